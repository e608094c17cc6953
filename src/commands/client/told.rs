//! `hallpass client claim` and `hallpass client role`: what a client is told beyond its scopes, and which roles the members of
//! groups have there; read from flags and written as SQL.

use super::change::{self, Change, Target};
use super::new::word;
use super::written::no_client;
use crate::commands::further_claims;
use crate::commands::terminal::{self, one_line};
use crate::commands::{Outcome, with_runtime};
use crate::config::Config;
use crate::failure::Failure;
use crate::logging;
use crate::protocol::claim_map::Role;
use crate::protocol::columns::RowFault;
use crate::protocol::response::{ClaimShape, ClaimSource, Place};
use crate::protocol::scope::Scope;
use crate::store::clients::{self, ClaimRow, Lists};
use crate::store::db::Db;
use crate::web::remedies::quoted;
use serde_json::{Value, json};

pub(super) const CLAIM_HELP: &str = "Examples:\n  hallpass client claim set reports groups --from groups\n  \
    hallpass client claim list reports";
pub(super) const ROLE_HELP: &str = "Examples:\n  hallpass client role set reports Admin finance-admins\n  \
    hallpass client role list reports";

/// The longest role, scope, prefix and beginning, in bytes.
const LONGEST: usize = 255;

#[derive(clap::Subcommand)]
pub(in crate::commands) enum ClaimCommand {
    /// Tell a client a claim, under its name, in the shape and in the places that it wants
    #[command(
        after_help = "A claim that begins with a slash is a path of members (RFC 6901). Groups and roles are lists unless --shape says \
            otherwise, other claims are as they are. Where users are asked for consent, a further claim is asked for again.\n\n\
            Examples:\n  hallpass client claim set reports groups --from groups --starts-with reports- --yes\n  \
            hallpass client claim set grafana role --from roles --shape text --yes\n  \
            hallpass client claim set app /realm_access/roles --from roles --yes\n  \
            hallpass client claim set kube groups --from groups --prefix oidc: --in id_token --yes\n  \
            hallpass client claim set crm cost_center --from claim:department --scope crm --migration\n  \
            hallpass client claim set crm tenant --from 'constant:\"acme\"' --in access_token --yes"
    )]
    Set(Box<ClaimSet>),
    /// Tell a client a claim no more
    #[command(after_help = "Examples:\n  hallpass client claim unset reports groups --yes")]
    Unset {
        #[command(flatten)]
        target: Target,
        /// The claim, as the client is told it
        claim: String,
    },
    /// List what a client is told beyond its scopes
    #[command(
        after_help = "Examples:\n  hallpass client claim list reports\n  hallpass client claim list reports --json | jq '.claims[]'"
    )]
    List(List),
}

#[derive(clap::Args)]
pub(in crate::commands) struct ClaimSet {
    #[command(flatten)]
    target: Target,
    /// The claim, as the client is told it
    claim: String,
    /// What it is made of: groups, roles, claim, claim:NAME or constant:JSON
    #[arg(long, value_name = "SOURCE")]
    from: String,
    /// list, text or `as_is` [default: list of groups and roles, else `as_is`]
    #[arg(long, value_parser = word::<ClaimShape>())]
    shape: Option<ClaimShape>,
    /// The scope that opens it [default: every sign-in does]
    #[arg(long)]
    scope: Option<String>,
    /// Where: `id_token`, userinfo, `access_token` (JWT), introspection
    #[arg(long = "in", value_name = "PLACE,…", value_delimiter = ',', default_value = "id_token,userinfo",
        value_parser = word::<Place>())]
    places: Vec<Place>,
    /// Only groups, roles or texts that begin so
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    starts_with: String,
    /// What is put before each text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,
}

#[derive(clap::Subcommand)]
pub(in crate::commands) enum RoleCommand {
    /// Give the members of a group a role at a client
    #[command(after_help = "It is told where `hallpass client claim set CLIENT CLAIM --from roles` says how.\n\n\
            Examples:\n  hallpass client role set grafana Admin platform --rank 1 --yes\n  \
            hallpass client role set grafana Viewer staff --rank 9 --migration")]
    Set {
        #[command(flatten)]
        target: Target,
        /// The role, as the client knows it
        role: String,
        /// The group whose members have it
        group: String,
        /// Where the client takes one role only, the one of the least number counts
        #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
        rank: i64,
    },
    /// Take a role at a client from the members of a group
    #[command(after_help = "Examples:\n  hallpass client role unset grafana Admin platform --yes")]
    Unset {
        #[command(flatten)]
        target: Target,
        /// The role
        role: String,
        /// The group
        group: String,
    },
    /// List the roles at a client
    #[command(
        after_help = "Examples:\n  hallpass client role list grafana\n  hallpass client role list grafana --json | jq '.roles[]'"
    )]
    List(List),
}

#[derive(clap::Args)]
pub(in crate::commands) struct List {
    /// The client's `client_id`
    id: String,
    /// Print a JSON object instead
    #[arg(long)]
    json: bool,
}

pub(super) fn claim(config: Config, command: ClaimCommand) -> Outcome {
    match command {
        ClaimCommand::Set(set) => {
            let row = row_of(&set)?;
            change::run(config, set.target, Change::Told(Step::ClaimSet(row)))
        }
        ClaimCommand::Unset { target, claim } => change::run(config, target, Change::Told(Step::ClaimUnset(claim))),
        ClaimCommand::List(list) => with_runtime(list_claims(config, list)),
    }
}

pub(super) fn role(config: Config, command: RoleCommand) -> Outcome {
    match command {
        RoleCommand::Set { target, role, group, rank } => {
            bounded("the role", &role)?;
            change::run(config, target, Change::Told(Step::RoleSet(Role { role, group, rank })))
        }
        RoleCommand::Unset { target, role, group } => {
            change::run(config, target, Change::Told(Step::RoleUnset { role, group }))
        }
        RoleCommand::List(list) => with_runtime(list_roles(config, list)),
    }
}

fn bounded(what: &str, text: &str) -> Outcome {
    if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err(Failure::new(format!("{what} must have 1 to {LONGEST} bytes, and no control character")));
    }
    Ok(())
}

/// The row that the flags describe, which this version can read.
fn row_of(set: &ClaimSet) -> Result<ClaimRow, Failure> {
    let (word, value) = set.from.split_once(':').map_or((set.from.as_str(), None), |(word, rest)| (word, Some(rest)));
    let (source, value) = match (word, value) {
        ("groups", None) => (ClaimSource::Groups, None),
        ("roles", None) => (ClaimSource::Roles, None),
        ("claim", name) => {
            name.map(|name| bounded("the claim of the user", name)).transpose()?;
            (ClaimSource::Claim, name.map(str::to_owned))
        }
        ("constant", Some(text)) => (ClaimSource::Constant, Some(further_claims::value(text)?.told().to_owned())),
        _ => {
            return Err(Failure::new(format!("--from {}: there is no such source", one_line(&set.from)))
                .with_fix("write groups, roles, claim, claim:NAME or constant:JSON"));
        }
    };
    let is_list = matches!(source, ClaimSource::Groups | ClaimSource::Roles);
    for (flag, text) in [("--starts-with", &set.starts_with), ("--prefix", &set.prefix)] {
        if !text.is_empty() {
            bounded(flag, text)?;
        }
    }
    if let Some(scope) = &set.scope {
        let is_one = Scope::parse(scope).is_ok_and(|scopes| scopes.tokens().eq([scope.as_str()]));
        if !is_one || scope.len() > LONGEST {
            return Err(Failure::new(format!("--scope {}: it is not one scope", one_line(scope))));
        }
    }
    let row = ClaimRow {
        claim: set.claim.clone(),
        source: source.as_str().to_owned(),
        value,
        shape: set.shape.unwrap_or(if is_list { ClaimShape::List } else { ClaimShape::AsIs }).as_str().to_owned(),
        scope: set.scope.clone(),
        places: set.places.iter().map(|place| place.as_str()).collect::<Vec<_>>().join(" "),
        starts_with: set.starts_with.clone(),
        prefix: set.prefix.clone(),
    };
    row.read().map_err(|RowFault { why, fix }| Failure::new(why).with_fix(fix))?;
    Ok(row)
}

/// A change of one row of `client_claims` or `client_roles`.
pub(in crate::commands) enum Step {
    ClaimSet(ClaimRow),
    ClaimUnset(String),
    RoleSet(Role),
    RoleUnset { role: String, group: String },
}

impl Step {
    /// The words of the command after `client`.
    pub(super) const fn words(&self) -> &'static str {
        match self {
            Self::ClaimSet(_) => "claim set",
            Self::ClaimUnset(_) => "claim unset",
            Self::RoleSet(_) => "role set",
            Self::RoleUnset { .. } => "role unset",
        }
    }

    /// The group that has to be there.
    pub(super) fn group(&self) -> Option<&str> {
        match self {
            Self::RoleSet(role) => Some(&role.group),
            _ => None,
        }
    }

    /// What a migration says at its head.
    pub(super) fn comment(&self, id: &str) -> String {
        match self {
            Self::ClaimSet(row) => {
                format!("-- Tells the client {id} the claim {}: {}.\n", one_line(&row.claim), meaning(row))
            }
            Self::ClaimUnset(claim) => {
                format!("-- The client {id} is not told the claim {} any more.\n", one_line(claim))
            }
            Self::RoleSet(Role { role, group, .. }) => format!(
                "-- Members of the group {group}, which must be there, have the role {} at the client {id}.\n",
                one_line(role),
                group = one_line(group)
            ),
            Self::RoleUnset { role, group } => format!(
                "-- Members of the group {} do not have the role {} at the client {id} any more.\n",
                one_line(group),
                one_line(role)
            ),
        }
    }

    /// The SQL, for a client whose id is quoted.
    pub(super) fn statement(&self, id: &str) -> String {
        match self {
            Self::ClaimSet(row) => claim_statement(id, row),
            Self::ClaimUnset(claim) => {
                format!("DELETE FROM client_claims WHERE client_id = {id} AND claim = {};", quoted(claim))
            }
            Self::RoleSet(Role { role, group, rank }) => format!(
                "INSERT INTO client_roles (client_id, role, group_name, rank) VALUES ({id}, {}, {}, {rank})\n\
                 ON CONFLICT (client_id, role, group_name) DO UPDATE SET rank = excluded.rank;",
                quoted(role),
                quoted(group)
            ),
            Self::RoleUnset { role, group } => format!(
                "DELETE FROM client_roles WHERE client_id = {id} AND role = {} AND group_name = {};",
                quoted(role),
                quoted(group)
            ),
        }
    }

    /// What would become what, a line each; nothing where it is like that.
    pub(super) async fn differences(&self, db: &Db, id: &str) -> Result<Vec<String>, Failure> {
        let Lists { claims, roles, .. } = clients::lists(db, id).await?;
        let is_role = |known: &&Role, role: &str, group: &str| known.role == role && known.group == group;
        let line = match self {
            Self::ClaimSet(row) => match claims.iter().find(|known| known.claim == row.claim) {
                Some(known) if known == row => None,
                Some(known) => Some(format!("claim {}: {} becomes {}", row.claim, meaning(known), meaning(row))),
                None => Some(format!("claim {}: {}", row.claim, meaning(row))),
            },
            Self::ClaimUnset(claim) => claims
                .iter()
                .find(|known| known.claim == *claim)
                .map(|known| format!("without claim {}: {}", claim, meaning(known))),
            Self::RoleSet(new) => match roles.iter().find(|known| is_role(known, &new.role, &new.group)) {
                Some(known) if known.rank == new.rank => None,
                Some(known) => {
                    Some(format!("role {} of {}: rank {} becomes {}", new.role, new.group, known.rank, new.rank))
                }
                None => Some(format!("role {} for members of {}, rank {}", new.role, new.group, new.rank)),
            },
            Self::RoleUnset { role, group } => roles
                .iter()
                .find(|known| is_role(known, role, group))
                .map(|_| format!("without role {role} for members of {group}")),
        };
        Ok(line.iter().map(|line| one_line(line)).collect())
    }
}

/// The statement that makes a row of `client_claims`, or makes it what it is to be, for a client whose id is quoted.
pub(super) fn claim_statement(id: &str, row: &ClaimRow) -> String {
    let optional = |text: &Option<String>| text.as_deref().map_or_else(|| "NULL".to_owned(), quoted);
    let values = [
        id.to_owned(),
        quoted(&row.claim),
        quoted(&row.source),
        optional(&row.value),
        quoted(&row.shape),
        optional(&row.scope),
        quoted(&row.places),
        quoted(&row.starts_with),
        quoted(&row.prefix),
    ];
    format!(
        "INSERT INTO client_claims (client_id, claim, source, value, shape, scope, places, starts_with, prefix)\nVALUES ({})\n\
         ON CONFLICT (client_id, claim) DO UPDATE SET source = excluded.source, value = excluded.value, shape = excluded.shape,\n    \
         scope = excluded.scope, places = excluded.places, starts_with = excluded.starts_with, prefix = excluded.prefix;",
        values.join(", ")
    )
}

/// A row in a line.
pub(super) fn meaning(row: &ClaimRow) -> String {
    let source = match (&*row.source, &row.value) {
        ("constant", Some(value)) => value.clone(),
        ("claim", Some(name)) => format!("the user's {name}"),
        ("claim", None) => "the user's".to_owned(),
        (source, _) => source.to_owned(),
    };
    let shape = if row.source == "constant" { String::new() } else { format!(" as {}", row.shape) };
    let optional = |what: &str, text: &str| if text.is_empty() { String::new() } else { format!(", {what} {text}") };
    let scope = optional("by scope", row.scope.as_deref().unwrap_or_default());
    let more = optional("starting with", &row.starts_with) + &optional("with the prefix", &row.prefix);
    one_line(&format!("{source}{shape} in {}{scope}{more}", row.places))
}

/// A row as JSON.
pub(super) fn document_of(row: &ClaimRow) -> Value {
    json!({
        "claim": row.claim,
        "source": row.source,
        "value": row.value,
        "shape": row.shape,
        "scope": row.scope,
        "places": row.places.split_whitespace().collect::<Vec<_>>(),
        "starts_with": row.starts_with,
        "prefix": row.prefix,
    })
}

/// A role as JSON.
pub(super) fn document_of_role(role: &Role) -> Value {
    json!({ "role": role.role, "group": role.group, "rank": role.rank })
}

async fn lists_of(config: &Config, id: &str) -> Result<Lists, Failure> {
    logging::start("warn");
    let db = terminal::open_database(config).await?;
    if clients::name_and_end(&db, id).await?.is_none() {
        return Err(no_client(id));
    }
    let lists = clients::lists(&db, id).await?;
    db.close().await;
    Ok(lists)
}

async fn list_claims(config: Config, List { id, json }: List) -> Outcome {
    let Lists { claims, .. } = lists_of(&config, &id).await?;
    if json {
        let claims: Vec<Value> = claims.iter().map(document_of).collect();
        return terminal::print_json(&json!({ "client_id": id, "claims": claims }));
    }
    let rows: Vec<Vec<String>> = claims.iter().map(|row| vec![one_line(&row.claim), meaning(row)]).collect();
    print!("{}", terminal::table(&["CLAIM", "MEANING"], &rows));
    if rows.is_empty() {
        eprintln!("{} is told what its scopes open, and no more.", one_line(&id));
    }
    Ok(())
}

async fn list_roles(config: Config, List { id, json }: List) -> Outcome {
    let Lists { mut roles, .. } = lists_of(&config, &id).await?;
    roles.sort_by(|one, other| (one.rank, &one.role, &one.group).cmp(&(other.rank, &other.role, &other.group)));
    if json {
        let roles: Vec<Value> = roles.iter().map(document_of_role).collect();
        return terminal::print_json(&json!({ "client_id": id, "roles": roles }));
    }
    let cells = |role: &Role| vec![one_line(&role.role), one_line(&role.group), role.rank.to_string()];
    let rows: Vec<Vec<String>> = roles.iter().map(cells).collect();
    print!("{}", terminal::table(&["ROLE", "GROUP", "RANK"], &rows));
    if rows.is_empty() {
        eprintln!("No group has a role at {}.", one_line(&id));
    }
    Ok(())
}
