//! `hallpass preview CLIENT USER`: what this pair would get, made by the code that makes the real tokens.
//!
//! Claims are printed and no token: nothing is signed and nothing is stored. `--diff` compares with what `--json`
//! printed before, in CI for example: an operator who changes a client's row or the claims of a user sees what that changes.

mod pages;

use crate::ambient::{Clock, random};
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::keys::KeySet;
use crate::logging;
use crate::protocol::authorization::claims_asked;
use crate::protocol::claims::User;
use crate::protocol::claims_request::{Asked, ClaimsRequest};
use crate::protocol::client::Client;
use crate::protocol::factor::Factor;
use crate::protocol::grant::{Authorization, SignIn};
use crate::protocol::node_secrets::NodeSecrets;
use crate::protocol::release::{About, opened_beyond_scopes};
use crate::protocol::response::{AccessTokenFormat, GrantType, Place, SubjectType};
use crate::protocol::scope::{SCOPES_SUPPORTED, Scope};
use crate::protocol::secret::{Handle, Password};
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::{clients, facts, users};
use crate::tokens::{self, ACCESS_TOKEN_TYPE, Holder, ID_TOKEN_TYPE, Order, Terms};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What differs between any two tokens. Of `exp` the distance to `iat` is compared; of the others, that they are there.
const VOLATILE: [&str; 8] = ["iat", "exp", "auth_time", "jti", "at_hash", "sid", "nonce", "kid"];

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  hallpass preview reports alice\n  \
    hallpass preview reports alice --scope 'openid email' --json > reports-alice.json\n  \
    hallpass preview reports alice --scope 'openid email' --diff reports-alice.json\n  \
    hallpass preview reports alice --claims '{\"id_token\": {\"email\": null}}'\n  \
    hallpass preview page login\n\n\
    `page` and the name of a page serve that page, and the others beside it, at a port of this machine: to look at them with the \
    settings of the organization. No database and no client is needed.\n\n\
    Times and random values do not count as differences; lifetimes do. The status is 1 when something differs.")]
pub(super) struct Arguments {
    /// The client's `client_id`, or `page`
    client: String,
    /// The user's user name, e-mail address or sub, or the name of a page
    user: String,
    /// What is asked for; by default all that the client may have
    #[arg(long)]
    scope: Option<String>,
    /// The claims parameter of the request (OpenID Connect Core 5.5); without it none is sent
    #[arg(long, value_name = "JSON")]
    claims: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Compare with what --json printed before
    #[arg(long, value_name = "FILE")]
    diff: Option<PathBuf>,
}

impl Arguments {
    /// Whether it is `preview page NAME`. A client of that name is meant where anything is said about claims.
    const fn is_about_a_page(&self) -> bool {
        let is_plain = self.scope.is_none() && self.claims.is_none() && !self.json && self.diff.is_none();
        matches!(self.client.as_bytes(), b"page") && is_plain
    }
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Outcome {
    logging::start("warn");
    if arguments.is_about_a_page() {
        return pages::serve(config, &arguments.user).await;
    }
    let saved = arguments.diff.as_deref().map(read_saved).transpose()?;
    let db = open(&config).await?;
    let preview = preview(&config, &db, &arguments).await;
    db.close().await;
    let preview = preview?;
    match saved {
        Some(mut saved) => {
            let mut preview = preview;
            // By which rule something is told is no difference in what is told.
            for document in [&mut saved, &mut preview] {
                document.as_object_mut().map(|members| members.remove("sources"));
            }
            compare(&saved, &preview, arguments.json)
        }
        None if arguments.json => terminal::print_json(&preview),
        None => {
            print!("{}", text_of(&preview));
            Ok(())
        }
    }
}

fn read_saved(file: &Path) -> Result<Value, Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::at(format!("--diff {}", file.display()), error))?;
    let mut saved = terminal::read_json(&text).ok_or_else(|| {
        Failure::new("that is not what this version of `hallpass preview … --json` prints")
            .about(format!("--diff {}", file.display()))
            .with_fix("save what `hallpass preview … --json` prints")
    })?;
    if let Some(members) = saved.as_object_mut() {
        members.remove("version");
    }
    Ok(saved)
}

/// The database as it is: it is neither made nor migrated.
async fn open(config: &Config) -> Result<Db, Failure> {
    terminal::must_exist(config)?;
    Ok(Db::open(&config.database_url).await?)
}

async fn preview(config: &Config, db: &Db, arguments: &Arguments) -> Result<Value, Failure> {
    let now = Clock::System.now();
    let client = clients::find(db, &arguments.client).await?;
    let client = client.ok_or_else(|| Failure::new(format!("there is no client {:?}", arguments.client)))?;
    let user = match users::find_by_login(db, &arguments.user).await?.one() {
        Some(user) => Some(user),
        None => users::find(db, &arguments.user).await?,
    };
    let user = user.ok_or_else(|| Failure::new(format!("there is no user {:?}", arguments.user)))?;
    let scope = scope(&client, &user, arguments, now)?;
    let sent = arguments.claims.as_deref().filter(|text| !text.is_empty());
    let claims = claims_asked(&client, sent).map_err(|refusal| {
        Failure::new(format!("--claims: {}", refusal.description())).with_fix(refusal.reason.fix())
    })?;
    let pairwise_salt = match db.known_value("pairwise_salt").await? {
        Some(salt) => salt,
        None if client.subject_type == SubjectType::Pairwise => {
            return Err(
                Failure::new("the salt of pairwise subjects is not made yet").with_fix("let `hallpass serve` run once")
            );
        }
        // It decides nothing that is not random anyway.
        None => String::new(),
    };
    // The root of the other secrets decides nothing that is not random here.
    let secrets = NodeSecrets::new(Password::from_random(&random::<32>()).expose(), &pairwise_salt);
    let subject = secrets.subject_for(&client, &user.sub);
    if !claims.wants(Some(&subject)) {
        let what = format!("--claims asks for another sub than {subject}, which {} is to this client", arguments.user);
        return Err(Failure::new(what).with_fix("name that sub, or no value of sub"));
    }
    let holder = Holder { client: Arc::new(client) };
    let facts = facts::find(db, &user.sub).await?;
    let about = About { client: &holder.client, user: &user, facts: &facts, now };
    if !holder.client.admits(&facts, now) {
        eprintln!(
            "{} may not enter {} now, and gets none of this: `hallpass access` says why",
            arguments.user, arguments.client
        );
    }
    let preview = built(Terms { config, secrets: &secrets }, &holder, about, (scope, claims));
    let untold = untold(sent, &preview);
    if !untold.is_empty() {
        eprintln!("asked for by --claims and not told: {}", terminal::one_line(&untold.join(", ")));
    }
    Ok(preview)
}

/// What is asked for by its name and is not there, as `PLACE.CLAIM`.
fn untold(sent: Option<&str>, preview: &Value) -> Vec<String> {
    let Some(asked) = sent.and_then(|text| ClaimsRequest::parse(text).ok()) else { return Vec::new() };
    let of = |place: &str, names: Vec<Asked>, told: &Value| -> Vec<String> {
        let untold = names.into_iter().filter(|asked| told.get(&asked.name).is_none());
        untold.map(|asked| format!("{place}.{}", asked.name)).collect()
    };
    let mut untold = of("userinfo", asked.userinfo, &preview["userinfo"]);
    untold.extend(of("id_token", asked.id_token, &preview["id_token"]["claims"]));
    untold
}

/// What would be granted, or why nothing is.
fn scope(client: &Client, user: &User, arguments: &Arguments, now: NumericDate) -> Result<Scope, Failure> {
    if client.disabled_at.is_some_and(|at| at <= now) {
        return Err(Failure::new(format!("{} is disabled: it gets no tokens", client.client_id)));
    }
    if !client.grant_types.contains(&GrantType::AuthorizationCode) {
        let what = format!("{} does not sign users in: its grant_types lack authorization_code", client.client_id);
        return Err(Failure::new(what));
    }
    if !user.may_sign_in(now) {
        let why = match user.disabled_at {
            _ if user.is_ambiguous => "a client has the same id",
            Some(_) => "the account is disabled",
            None => "the account is locked",
        };
        return Err(Failure::new(format!("{} cannot sign in: {why}", arguments.user)));
    }
    let asked = match &arguments.scope {
        Some(text) => Scope::parse(text).map_err(|why| Failure::new(format!("--scope: {why}")))?,
        None => client.scope.clone(),
    };
    let granted = client.granted_of(&asked);
    if granted.is_empty() {
        return Err(Failure::new(format!(
            "none of the scopes {:?} may be given to {}, whose row has {:?}",
            asked.to_string(),
            client.client_id,
            client.scope.to_string()
        )));
    }
    let left_out: Vec<&str> = asked.tokens().filter(|token| !granted.has(token)).collect();
    if !left_out.is_empty() {
        eprintln!("not granted: {}", left_out.join(" "));
    }
    let opens_nothing = |token: &&str| {
        !SCOPES_SUPPORTED.contains(token)
            && client.audiences.is_empty()
            && !client.own_scopes.iter().any(|own| own.scope == **token && !own.claims.is_empty())
            && !client.claim_maps.iter().any(|map| map.scope.as_deref() == Some(*token))
    };
    let idle: Vec<&str> = granted.tokens().filter(opens_nothing).collect();
    if !idle.is_empty() {
        eprintln!("granted, and opens neither a claim nor an API of client_audiences: {}", idle.join(" "));
    }
    Ok(granted)
}

/// What a whole sign-in of a user is of.
const fn factors_of(user: &User) -> &'static [Factor] {
    match (user.has_authenticator, user.has_passkey()) {
        (true, _) => &[Factor::Password, Factor::Otp],
        (false, true) => &[Factor::SyncedKey],
        (false, false) => &[Factor::Password],
    }
}

/// Everything that this pair would get, without a token.
fn built(terms: Terms<'_>, holder: &Holder, about: About<'_>, (scope, claims): (Scope, ClaimsRequest)) -> Value {
    let About { client, user, facts, now } = about;
    let session = Handle(random());
    let authorization = Authorization {
        client_id: client.client_id.clone(),
        resources: Vec::new(),
        // As after the consent page.
        shown: opened_beyond_scopes(client, &scope, &claims),
        scope,
        claims,
        sign_in: Some(SignIn::of(user, factors_of(user), session, now)),
        authorized_at: now,
        confirmation: None,
    };
    let scope = &authorization.scope;
    let order = Order {
        holder,
        user: Some(user),
        facts,
        authorization: &authorization,
        grant: Handle(random()),
        session,
        nonce: Some("the nonce of the request, unchanged"),
    };
    let record = tokens::access_grant(terms, &order, now);
    // A key of its own: what is made here is good nowhere.
    let sample = tokens::seal(&order, terms.secrets);
    let algorithm = client.id_token_signed_response_alg;
    let keys = KeySet::load(&terms.config.keys).ok();
    let kid = keys.as_ref().and_then(|keys| keys.signing(algorithm, now)).map(|key| key.entry.kid.clone());
    if kid.is_none() {
        eprintln!("no {algorithm} key signs now; with these settings this pair would get an error");
    }
    let header = |typ: &str| json!({ "alg": algorithm.as_str(), "typ": typ, "kid": kid });
    let introspection = tokens::introspection(terms, client, Some(&about), &record);
    let access_token = match client.access_token_format {
        AccessTokenFormat::Opaque => json!({ "format": "opaque", "introspection": introspection.clone() }),
        AccessTokenFormat::Jwt => json!({
            "format": "jwt",
            "header": header(ACCESS_TOKEN_TYPE),
            "claims": tokens::access_token_claims(terms, &order, &record, tokens::jti_of(&sample)),
            "introspection": introspection.clone(),
        }),
    };
    let id_token = tokens::id_token_claims(terms, &order, sample.expose(), now);
    json!({
        "client_id": client.client_id,
        "user": user.sub,
        "response": tokens::response(&order, &record),
        "refresh_token": client.may_refresh() && scope.has("offline_access"),
        "id_token": id_token.map(|claims| json!({ "header": header(ID_TOKEN_TYPE), "claims": claims })),
        "userinfo": scope.has("openid").then(|| tokens::userinfo(terms, &about, &record)),
        "access_token": access_token,
        "entry": client.admits(facts, now),
        "sources": sources(&about, &authorization, &introspection),
    })
}

/// By which rule each claim of each place is told. What the protocol itself sets is not listed.
fn sources(about: &About<'_>, authorization: &Authorization, introspection: &Value) -> Value {
    let mut places = Map::new();
    for place in Place::SUPPORTED {
        if *place == Place::AccessToken && about.client.access_token_format == AccessTokenFormat::Opaque {
            continue;
        }
        let mut claims = Map::new();
        about.each(authorization, *place, |told| {
            claims.insert(told.path(), json!(told.because.to_string()));
        });
        if *place == Place::Introspection {
            for (claim, scope) in [("username", "profile"), ("email", "email")] {
                if introspection.get(claim).is_some() {
                    claims.insert(claim.to_owned(), json!(format!("scope {scope}")));
                }
            }
        }
        if !claims.is_empty() {
            places.insert(place.to_string(), Value::Object(claims));
        }
    }
    Value::Object(places)
}

/// For a reader: a heading and a block for each.
fn text_of(preview: &Value) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut block = |heading: &str, value: &Value| {
        let _ = writeln!(text, "{heading}\n{value:#}\n");
    };
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    block("token response, without the tokens", &preview["response"]);
    let id_token = &preview["id_token"];
    if id_token.is_null() {
        block("no id_token and no userinfo: the scope lacks openid", &json!({}));
    } else {
        block(&format!("id_token, signed with {}", word(&id_token["header"]["alg"])), &id_token["claims"]);
        block("userinfo", &preview["userinfo"]);
    }
    let access_token = &preview["access_token"];
    if access_token["format"] == "jwt" {
        block(
            &format!("access token, a JWT signed with {}", word(&access_token["header"]["alg"])),
            &access_token["claims"],
        );
        block("introspection", &access_token["introspection"]);
    } else {
        block("access token, opaque; introspection says", &access_token["introspection"]);
    }
    if preview["sources"].as_object().is_some_and(|places| !places.is_empty()) {
        block("where each claim comes from", &preview["sources"]);
    }
    let has_refresh_token = preview["refresh_token"] == true;
    let _ = writeln!(text, "{}", if has_refresh_token { "with a refresh token" } else { "without a refresh token" });
    text
}

/// One difference: where, and what was and is there.
struct Difference {
    path: String,
    saved: Option<Value>,
    now: Option<Value>,
}

fn compare(saved: &Value, preview: &Value, as_json: bool) -> Outcome {
    let mut found = Vec::new();
    differences("", saved, preview, &mut found);
    if as_json {
        let list: Vec<Value> = found
            .iter()
            .map(|difference| json!({ "path": difference.path, "saved": difference.saved, "now": difference.now }))
            .collect();
        terminal::print_json(&json!({ "differences": list }))?;
    } else {
        for Difference { path, saved, now } in &found {
            match (saved, now) {
                (Some(saved), Some(now)) => println!("~ {path}: {saved} is now {now}"),
                (Some(saved), None) => println!("- {path}: {saved} is gone"),
                (None, now) => println!("+ {path}: {} is new", now.as_ref().unwrap_or(&Value::Null)),
            }
        }
    }
    match found.len() {
        0 => {
            eprintln!("no difference");
            Ok(())
        }
        1 => Err(Failure::new("1 difference")),
        count => Err(Failure::new(format!("{count} differences"))),
    }
}

fn differences(path: &str, saved: &Value, now: &Value, found: &mut Vec<Difference>) {
    let (Some(saved_members), Some(now_members)) = (saved.as_object(), now.as_object()) else {
        if saved != now {
            found.push(Difference { path: path.to_owned(), saved: Some(saved.clone()), now: Some(now.clone()) });
        }
        return;
    };
    let names: BTreeSet<&String> = saved_members.keys().chain(now_members.keys()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (saved_members.get(name), now_members.get(name)) {
            (Some(saved), Some(now)) if VOLATILE.contains(&name.as_str()) => {
                let (before, after) = (lifetime(name, saved_members), lifetime(name, now_members));
                if std::mem::discriminant(saved) != std::mem::discriminant(now) {
                    found.push(Difference { path, saved: Some(saved.clone()), now: Some(now.clone()) });
                } else if before != after {
                    let path = format!("{path} - iat");
                    found.push(Difference { path, saved: before.map(Value::from), now: after.map(Value::from) });
                }
            }
            (Some(saved), Some(now)) => differences(&path, saved, now, found),
            (saved, now) => found.push(Difference { path, saved: saved.cloned(), now: now.cloned() }),
        }
    }
}

fn lifetime(name: &str, members: &Map<String, Value>) -> Option<i64> {
    let number = |name: &str| members.get(name).and_then(Value::as_i64);
    if name == "exp" { number("exp")?.checked_sub(number("iat")?) } else { None }
}
