//! `hallpass client edit`: which columns and lists of a client become what, read from flags and written as SQL.

use crate::ambient::Clock;
use crate::commands::acceptance::Acceptance;
use crate::commands::judge::{self, Fault};
use crate::commands::terminal::{one_line, parse_instant, wrong_usage};
use crate::failure::Failure;
use crate::protocol::client::STALE_AFTER;
use crate::protocol::difference;
use crate::protocol::response::ApplicationType;
use crate::store::clients;
use crate::store::db::Db;
use crate::web::remedies::quoted;
use serde_json::Value;

pub(super) const HELP: &str =
    "Columns have the names of `client show`. It shows what becomes what and asks; a client that could not be served \
or would not be safe afterwards is left as it is.

Examples:
  hallpass client edit reports --set client_name=\"Monthly reports\"
  hallpass client edit reports --set scope=\"openid email\" --unset default_max_age --yes
  hallpass client edit reports --add-redirect-uri https://new.example.com/signin-oidc --migration
  hallpass client edit reports --remove-redirect-uri https://old.example.com/signin-oidc --yes
  hallpass client edit reports --set access=groups --add-group finance    only for its members
  hallpass client edit reports --set tokens_valid_after=now    ends what was authorized before
  hallpass client edit printer --add-redirect-uri http://printer.lan/cb --accept 'plain-http: it cannot do TLS'";

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A text, always.
    Text,
    /// A text or nothing.
    OptionalText,
    /// A number, always.
    Number,
    /// A number or nothing.
    OptionalNumber,
}

/// Which columns an operator changes. `client_id` is the client; the others have commands of their own, or say where it came from.
const COLUMNS: &[(&str, Kind)] = &[
    ("client_name", Kind::Text),
    ("application_type", Kind::Text),
    ("token_endpoint_auth_method", Kind::Text),
    ("grant_types", Kind::Text),
    ("response_types", Kind::Text),
    ("scope", Kind::Text),
    ("id_token_signed_response_alg", Kind::Text),
    ("pkce", Kind::Text),
    ("consent", Kind::Text),
    ("access_token_format", Kind::Text),
    ("claims_in_id_token", Kind::Text),
    ("access", Kind::Text),
    ("subject_type", Kind::Text),
    ("sector_identifier", Kind::OptionalText),
    ("default_max_age", Kind::OptionalNumber),
    ("require_acr", Kind::OptionalText),
    ("code_lifetime", Kind::OptionalNumber),
    ("access_token_lifetime", Kind::OptionalNumber),
    ("id_token_lifetime", Kind::OptionalNumber),
    ("refresh_token_idle_lifetime", Kind::OptionalNumber),
    ("refresh_token_lifetime", Kind::OptionalNumber),
    ("refresh_token_rotation", Kind::Text),
    ("resource", Kind::OptionalText),
    ("backchannel_logout_uri", Kind::OptionalText),
    ("frontchannel_logout_uri", Kind::OptionalText),
    ("initiate_login_uri", Kind::OptionalText),
    ("stale_after", Kind::Number),
    ("client_uri", Kind::OptionalText),
    ("policy_uri", Kind::OptionalText),
    ("tos_uri", Kind::OptionalText),
    ("tokens_valid_after", Kind::OptionalNumber),
];

#[derive(clap::Args)]
pub(in crate::commands) struct Flags {
    /// A column and what it becomes
    #[arg(long, value_name = "COLUMN=VALUE")]
    set: Vec<String>,
    /// A column that is empty from now on, so that the setting or the default counts
    #[arg(long, value_name = "COLUMN")]
    unset: Vec<String>,
    /// Where sign-ins may end, too
    #[arg(long, value_name = "URI")]
    add_redirect_uri: Vec<String>,
    /// Where no sign-in may end any more
    #[arg(long, value_name = "URI")]
    remove_redirect_uri: Vec<String>,
    /// Where sign-outs may end, too
    #[arg(long, value_name = "URI")]
    add_post_logout_redirect_uri: Vec<String>,
    /// Where no sign-out may end any more
    #[arg(long, value_name = "URI")]
    remove_post_logout_redirect_uri: Vec<String>,
    /// An API that its access tokens are for, too
    #[arg(long, value_name = "URI")]
    add_audience: Vec<String>,
    /// An API that they are not for any more
    #[arg(long, value_name = "URI")]
    remove_audience: Vec<String>,
    /// A group whose members may enter, too, where access is groups
    #[arg(long, value_name = "GROUP")]
    add_group: Vec<String>,
    /// A group whose members may not enter any more
    #[arg(long, value_name = "GROUP")]
    remove_group: Vec<String>,
    /// Accept what is refused at first (plain-http, private-scheme, audience), with the reason; may be repeated
    #[arg(long, value_name = "CODE: REASON", value_parser = Acceptance::flag)]
    accept: Vec<Acceptance>,
}

/// A list of a client: its table and column.
type List = (&'static str, &'static str);
const REDIRECT_URIS: List = ("client_redirect_uris", "redirect_uri");
const POST_LOGOUT_REDIRECT_URIS: List = ("client_post_logout_redirect_uris", "post_logout_redirect_uri");
const AUDIENCES: List = ("client_audiences", "audience");
const GROUPS: List = ("client_groups", "group_name");

/// What is to become what.
pub(in crate::commands) struct Edits {
    /// Column, and its value as SQL has it.
    columns: Vec<(&'static str, String)>,
    added: Vec<(List, String)>,
    removed: Vec<(List, String)>,
    accepted: Vec<Acceptance>,
}

impl Edits {
    /// Whether a risk is one that the operator takes.
    pub(super) fn accepts(&self, fault: &Fault) -> bool {
        fault.is_own_risk && self.accepted.iter().any(|acceptance| acceptance.code == fault.code)
    }

    /// The groups that are let in from now on.
    pub(super) fn groups(&self) -> Vec<&str> {
        self.added.iter().filter(|(list, _)| *list == GROUPS).map(|(_, group)| group.as_str()).collect()
    }

    /// The comments by which the lint accepts it too.
    pub(super) fn acceptances(&self) -> String {
        self.accepted.iter().map(Acceptance::comment).collect()
    }

    /// Reads the flags.
    pub(super) fn of(flags: Flags) -> Result<Self, Failure> {
        let mut columns = Vec::new();
        for pair in &flags.set {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(Failure::new(format!("--set {}: write it as COLUMN=VALUE", one_line(pair))));
            };
            columns.push(column(name, value)?);
        }
        for name in &flags.unset {
            let (name, kind) = known(name)?;
            if matches!(kind, Kind::Text | Kind::Number) {
                return Err(Failure::new(format!("--unset {name}: the column cannot be empty"))
                    .with_fix(format!("say what it becomes, by --set {name}=…")));
            }
            columns.push((name, "NULL".to_owned()));
        }
        let all = |list: List, texts: Vec<String>| texts.into_iter().map(move |text| (list, text));
        let added: Vec<(List, String)> = all(REDIRECT_URIS, flags.add_redirect_uri)
            .chain(all(POST_LOGOUT_REDIRECT_URIS, flags.add_post_logout_redirect_uri))
            .chain(all(AUDIENCES, flags.add_audience))
            .chain(all(GROUPS, flags.add_group))
            .collect();
        let removed: Vec<(List, String)> = all(REDIRECT_URIS, flags.remove_redirect_uri)
            .chain(all(POST_LOGOUT_REDIRECT_URIS, flags.remove_post_logout_redirect_uri))
            .chain(all(AUDIENCES, flags.remove_audience))
            .chain(all(GROUPS, flags.remove_group))
            .collect();
        for ((table, name), text) in &added {
            // Which of the two kinds the client is, only its row says: what neither may have is refused here.
            let faults = [ApplicationType::Web, ApplicationType::Native]
                .map(|kind| judge::of_value(table, name, text, kind).filter(|fault| !fault.is_own_risk));
            if let [Some(fault), Some(_)] = faults {
                return Err(Failure::new(fault.why).with_fix(fault.fix));
            }
        }
        let twice =
            columns.iter().enumerate().find(|(at, (name, _))| columns[..*at].iter().any(|(before, _)| before == name));
        if let Some((_, (name, _))) = twice {
            return Err(Failure::new(format!("{name} is to become two things")));
        }
        if columns.is_empty() && added.is_empty() && removed.is_empty() {
            wrong_usage(&["client", "edit"], "what is to be changed is missing: --set, --unset, --add-… or --remove-…");
        }
        Ok(Self { columns, added, removed, accepted: flags.accept })
    }

    /// The SQL, for a client whose id is quoted.
    pub(super) fn statements(&self, id: &str) -> Vec<String> {
        let mut statements = Vec::new();
        if !self.columns.is_empty() {
            let sets: Vec<String> = self.columns.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            statements.push(format!("UPDATE clients SET {} WHERE client_id = {id};", sets.join(", ")));
        }
        for ((table, name), text) in &self.removed {
            statements.push(format!("DELETE FROM {table} WHERE client_id = {id} AND {name} = {};", quoted(text)));
        }
        for ((table, name), text) in &self.added {
            statements.push(format!(
                "INSERT INTO {table} (client_id, {name}) VALUES ({id}, {}) ON CONFLICT DO NOTHING;",
                quoted(text)
            ));
        }
        statements
    }

    /// What would become what, a line each; what is like that already is left out.
    pub(super) async fn differences(&self, db: &Db, id: &str) -> Result<Vec<String>, Failure> {
        let rows = clients::columns(db, id).await?.unwrap_or_default();
        let lists = clients::lists(db, id).await?;
        let mut lines = Vec::new();
        for (name, value) in &self.columns {
            let before = match rows.iter().find(|(known, _)| known == name).map(|(_, value)| value) {
                None | Some(Value::Null) => "NULL".to_owned(),
                Some(Value::String(text)) => quoted(text),
                Some(other) => other.to_string(),
            };
            if before != *value {
                lines.push(one_line(&format!("{name}: {before} becomes {value}")));
            }
        }
        let has = |(table, _): List, text: &String| match table {
            "client_redirect_uris" => lists.redirect_uris.contains(text),
            "client_post_logout_redirect_uris" => lists.post_logout_redirect_uris.contains(text),
            "client_groups" => lists.groups.contains(text),
            _ => lists.audiences.contains(text),
        };
        for (list, text) in self.removed.iter().filter(|(list, text)| has(*list, text)) {
            lines.push(one_line(&format!("{}: without {text}", list.1)));
        }
        if let Some((list, text)) = self.removed.iter().find(|(list, text)| !has(*list, text)) {
            return Err(Failure::new(format!("{id} has no {} {}; nothing was changed", list.1, one_line(text)))
                .with_fix(format!("`hallpass client show {id}` names them")));
        }
        for (list, text) in self.added.iter().filter(|(list, text)| !has(*list, text)) {
            lines.push(one_line(&format!("{}: {text} too", list.1)));
        }
        Ok(lines)
    }
}

fn known(name: &str) -> Result<(&'static str, Kind), Failure> {
    if let Some(found) = COLUMNS.iter().find(|(known, _)| *known == name) {
        return Ok(*found);
    }
    let fix = match name {
        "client_id" => "a client keeps its id: register another, and disable this one".to_owned(),
        "disabled_at" => "`hallpass client disable` and `hallpass client enable`".to_owned(),
        _ => match difference::most_like(name, COLUMNS, |(known, _)| known, 4) {
            Some((like, _)) => format!("did you mean {like}?"),
            None => "`hallpass client show` has the names of the columns".to_owned(),
        },
    };
    Err(Failure::new(format!("{:?} is no column that can be changed", one_line(name))).with_fix(fix))
}

/// A column and its value as SQL.
fn column(name: &str, value: &str) -> Result<(&'static str, String), Failure> {
    let (name, kind) = known(name)?;
    if matches!(kind, Kind::Number | Kind::OptionalNumber) {
        let is_instant = name == "tokens_valid_after";
        let now = Clock::System.now();
        let instant = if value == "now" { Some(now) } else { parse_instant(value).ok() };
        let number = instant.filter(|_| is_instant).map(|at| at.0).or_else(|| value.parse::<i64>().ok());
        if is_instant && number.is_some_and(|at| at > now.0) {
            let what = format!(
                "--set {name}: {} lies ahead, and until then nothing that is issued would be good",
                one_line(value)
            );
            return Err(Failure::new(what).with_fix(format!("--set {name}=now ends what was authorized until now")));
        }
        let what = if is_instant { "now, or an instant such as 2026-12-01T00:00:00Z" } else { "a number of seconds" };
        let number =
            number.ok_or_else(|| Failure::new(format!("--set {name}: {:?} is not {what}", one_line(value))))?;
        if name == "stale_after" && !STALE_AFTER.contains(&number) {
            let bounds = format!("{} to {} seconds", STALE_AFTER.start(), STALE_AFTER.end());
            let nearest = number.clamp(*STALE_AFTER.start(), *STALE_AFTER.end());
            return Err(Failure::new(format!("--set {name}: {number} is not within {bounds}"))
                .with_fix(format!("--set {name}={nearest} is the nearest; {} is never", STALE_AFTER.end())));
        }
        return Ok((name, number.to_string()));
    }
    if value.contains('\0') {
        return Err(Failure::new(format!("--set {name}: a text cannot have a NUL character")));
    }
    if let Some(fault) =
        judge::of_value("clients", name, value, ApplicationType::Web).filter(|fault| !fault.is_own_risk)
    {
        return Err(Failure::new(format!("--set {name}: {}", fault.why)).with_fix(fault.fix));
    }
    Ok((name, quoted(value)))
}
