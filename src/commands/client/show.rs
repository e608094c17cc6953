//! `hallpass client list` and `show`: what is registered, never a hash and never a secret.

use super::products;
use super::settings::{Registration, Stack};
use super::told::{document_of, document_of_role, meaning};
use super::written::no_client;
use crate::ambient::Clock;
use crate::commands::Outcome;
use crate::commands::judge::ALWAYS_ASKS;
use crate::commands::page::Page;
use crate::commands::terminal::{self, instant, one_line};
use crate::config::Config;
use crate::failure::Failure;
use crate::logging;
use crate::protocol::claim_map::OwnScope;
use crate::protocol::client::Client;
use crate::protocol::response::ConsentPolicy;
use crate::protocol::time::NumericDate;
use crate::store::clients::{self, Listed, Lists, SecretDates};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// What a client is, as the list has it.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum State {
    /// It is served.
    Active,
    /// It was disabled, or will be.
    Disabled,
    /// Its row cannot be served.
    Faulty,
}

#[derive(clap::Args)]
pub(in crate::commands) struct List {
    /// Only those in this state
    #[arg(long)]
    state: Option<State>,
    #[command(flatten)]
    page: Page,
    /// Print a JSON object instead
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(in crate::commands) struct Show {
    /// The client's `client_id`
    id: String,
    /// Print a JSON object instead
    #[arg(long)]
    json: bool,
    /// Print the settings of its service instead, with a place for the secret
    #[arg(long, value_name = "STACK", conflicts_with = "json")]
    settings: Option<Stack>,
    /// Print the settings of this product instead, with a place for the secret
    #[arg(long = "for", value_name = "PRODUCT", value_parser = products::names(), hide_possible_values = true,
        conflicts_with_all = ["json", "settings"])]
    product: Option<String>,
}

pub(super) async fn list(config: Config, list: List) -> Outcome {
    logging::start("warn");
    let db = terminal::open_database(&config).await?;
    let now = Clock::System.now();
    let mut found = clients::list(&db, now).await?;
    let mut faults = clients::faults(&db).await?;
    db.close().await;
    let there_are_none = found.is_empty();
    let state_of = |client: &Listed| match client.disabled_at {
        Some(_) => State::Disabled,
        None if faults.contains_key(&client.client_id) => State::Faulty,
        None => State::Active,
    };
    found.retain(|client| list.state.is_none_or(|state| state_of(client) == state));
    let (found, next) = list.page.of(found, |client| &client.client_id, |client| vec![client.client_name.clone()])?;
    faults.retain(|client_id, _| found.iter().any(|client| client.client_id == *client_id));
    if list.json {
        let clients = found.iter().map(|client| {
            json!({
                "client_id": client.client_id,
                "client_name": client.client_name,
                "token_endpoint_auth_method": client.token_endpoint_auth_method,
                "grant_types": client.grant_types,
                "consent": client.consent,
                "consent_ignored": client.is_skip_ignored(),
                "access": client.access,
                "origin": client.origin,
                "secrets": client.secrets,
                "fault": faults.get(&client.client_id).map(|fault| format!("{}; {}", fault.why, fault.fix)),
                "disabled_at": client.disabled_at.map(NumericDate).map(instant),
            })
        });
        return terminal::print_json(&json!({ "clients": clients.collect::<Vec<_>>(), "next": next }));
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|client| {
            let state = match client.disabled_at.map(NumericDate) {
                Some(at) if at <= now => format!("disabled {}", instant(at)),
                _ if faults.contains_key(&client.client_id) => "faulty".to_owned(),
                Some(at) => format!("ends {}", instant(at)),
                None => "active".to_owned(),
            };
            vec![
                one_line(&client.client_id),
                one_line(&client.client_name),
                one_line(&client.token_endpoint_auth_method),
                client.secrets.to_string(),
                if client.is_skip_ignored() { "skip (ignored)".to_owned() } else { one_line(&client.consent) },
                if client.access == "groups" && client.groups == 0 {
                    "closed".to_owned()
                } else {
                    one_line(&client.access)
                },
                state,
            ]
        })
        .collect();
    print!("{}", terminal::table(&["ID", "NAME", "AUTHENTICATION", "SECRETS", "CONSENT", "ACCESS", "STATE"], &rows));
    for (client_id, fault) in &faults {
        eprintln!("{} is not served: {}; {}", one_line(client_id), fault.why, fault.fix);
    }
    terminal::say_next(next.as_deref());
    if there_are_none {
        eprintln!("There is no client yet. `hallpass client new ID` registers one.");
    }
    Ok(())
}

pub(super) async fn show(config: Config, show: Show) -> Outcome {
    logging::start("warn");
    let db = terminal::open_database(&config).await?;
    let columns = clients::columns(&db, &show.id).await?;
    let Some(columns) = columns else {
        return Err(no_client(&show.id));
    };
    let secrets = clients::secret_dates(&db, &show.id).await?;
    // A row with a word that is not registered can be shown all the same: that is when one wants to see it.
    let client = clients::find(&db, &show.id).await;
    let lists = clients::lists(&db, &show.id).await?;
    db.close().await;
    let client = match client {
        Ok(Some(client)) => client,
        Ok(None) => return Err(Failure::new(format!("there is no client {} any more", show.id))),
        Err(error) => {
            eprintln!("hallpass: {error}");
            let Lists { redirect_uris, post_logout_redirect_uris, audiences, .. } = lists.clone();
            Client { redirect_uris, post_logout_redirect_uris, audiences, ..Client::new(&show.id) }
        }
    };
    let product = show.product.as_deref().map(products::find).transpose()?;
    if show.settings.is_some() || product.is_some() {
        let scope = client.scope.to_string();
        let registration = Registration {
            issuer: &config.issuer,
            client_id: &client.client_id,
            client_secret: None,
            is_public: client.is_public(),
            scope: &scope,
            redirect_uris: &client.redirect_uris,
            post_logout_redirect_uris: &client.post_logout_redirect_uris,
            auth_method: client.token_endpoint_auth_method,
            client_uri: client.client_uri.as_deref(),
        };
        let settings = match product {
            Some(product) => registration.product(product)?,
            None => registration.settings(show.settings.unwrap_or(Stack::Env))?,
        };
        print!("{settings}");
        return Ok(());
    }
    // Rows that cannot be read are shown as they are.
    let own_scopes = own_scopes(&columns, lists.scopes.clone());
    if show.json {
        return terminal::print_json(&document(columns, &client, &secrets, (&lists, &own_scopes)));
    }
    let told = lines_of(&lists, &own_scopes);
    print!("{}", text(&columns, &client, &secrets, told, Clock::System.now()));
    Ok(())
}

/// Whether a column holds an instant, which operators read as one.
fn is_instant(column: &str) -> bool {
    column.ends_with("_at") || column == "tokens_valid_after"
}

/// Whether `consent = skip` of its row is without effect.
fn is_ignored(client: &Client) -> bool {
    client.consent == ConsentPolicy::Skip && client.always_asks()
}

fn end_of(secret: &SecretDates) -> Option<NumericDate> {
    (secret.client_secret_expires_at != 0).then_some(NumericDate(secret.client_secret_expires_at))
}

/// The scopes of the organization's own that a client may ask for.
fn own_scopes(columns: &[(String, Value)], mut all: Vec<OwnScope>) -> Vec<OwnScope> {
    let scope = columns.iter().find(|(name, _)| name == "scope").and_then(|(_, value)| value.as_str());
    all.retain(|own| scope.unwrap_or_default().split(' ').any(|token| token == own.scope));
    all
}

/// Who may enter, what they are there, and what is told of them, a line each.
fn lines_of(lists: &Lists, own_scopes: &[OwnScope]) -> Vec<(String, String)> {
    let groups = lists.groups.iter().map(|group| ("group", group.clone()));
    let roles = lists.roles.iter();
    let roles = roles.map(|role| ("role", format!("{} for members of {}, rank {}", role.role, role.group, role.rank)));
    let claims = lists.claims.iter().map(|row| ("claim", format!("{}: {}", row.claim, meaning(row))));
    let scopes = own_scopes.iter().map(|own| {
        let opens = if own.claims.is_empty() { String::new() } else { format!(", opens {}", own.claims.join(" ")) };
        ("own scope", format!("{}: {}{opens}", own.scope, own.description))
    });
    let all = groups.chain(roles).chain(claims).chain(scopes);
    all.map(|(name, value)| (name.to_owned(), one_line(&value))).collect()
}

fn document(
    columns: Vec<(String, Value)>,
    client: &Client,
    secrets: &[SecretDates],
    (lists, own_scopes): (&Lists, &[OwnScope]),
) -> Value {
    let mut document: Map<String, Value> = columns
        .into_iter()
        .map(|(name, value)| match value.as_i64() {
            Some(at) if is_instant(&name) => (name, json!(instant(NumericDate(at)))),
            _ => (name, value),
        })
        .collect();
    document.insert("always_asks".into(), json!(client.always_asks()));
    document.insert("redirect_uris".into(), json!(client.redirect_uris));
    document.insert("post_logout_redirect_uris".into(), json!(client.post_logout_redirect_uris));
    document.insert("audiences".into(), json!(client.audiences));
    document.insert("groups".into(), json!(lists.groups));
    document.insert("roles".into(), lists.roles.iter().map(document_of_role).collect());
    document.insert("claims".into(), lists.claims.iter().map(document_of).collect());
    let own_scopes = own_scopes
        .iter()
        .map(|own| json!({ "scope": own.scope, "description": own.description, "claims": own.claims }));
    document.insert("own_scopes".into(), own_scopes.collect());
    let secrets = secrets.iter().map(|secret| {
        json!({
            "label": secret.label,
            "created_at": secret.created_at.map(NumericDate).map(instant),
            "client_secret_expires_at": end_of(secret).map(instant),
        })
    });
    document.insert("secrets".into(), secrets.collect());
    Value::Object(document)
}

fn text(
    columns: &[(String, Value)],
    client: &Client,
    secrets: &[SecretDates],
    told: Vec<(String, String)>,
    now: NumericDate,
) -> String {
    let mut lines: Vec<(String, String)> = columns
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let value = match value {
                Value::Number(number) if is_instant(name) => instant(NumericDate(number.as_i64().unwrap_or_default())),
                Value::String(_) if name == "consent" && is_ignored(client) => {
                    format!("skip (ignored: {ALWAYS_ASKS})")
                }
                Value::String(text) => one_line(text),
                other => other.to_string(),
            };
            (name.clone(), value)
        })
        .collect();
    let lists = [
        ("redirect_uri", &client.redirect_uris),
        ("post_logout_redirect_uri", &client.post_logout_redirect_uris),
        ("audience", &client.audiences),
    ];
    for (name, values) in lists {
        lines.extend(values.iter().map(|value| (name.to_owned(), one_line(value))));
    }
    lines.extend(told);
    for secret in secrets {
        let made = secret
            .created_at
            .map_or_else(|| "made at an unknown time".to_owned(), |at| format!("made {}", instant(NumericDate(at))));
        let end = match end_of(secret) {
            None => "ends never".to_owned(),
            Some(at) if at.is_past(now) => format!("ended {}", instant(at)),
            Some(at) => format!("ends {}", instant(at)),
        };
        let label = secret.label.as_deref().map(|label| format!(" ({})", one_line(label))).unwrap_or_default();
        lines.push(("secret".to_owned(), format!("{made}, {end}{label}")));
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<width$}  {value}");
        text
    })
}
