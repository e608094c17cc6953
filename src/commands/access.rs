//! `hallpass access`: may this user enter that service, and why; who can; what can they.

use crate::ambient::Clock;
use crate::commands::client::no_client;
use crate::commands::terminal::{self, instant, one_line};
use crate::commands::{Outcome, user};
use crate::config::Config;
use crate::failure::Failure;
use crate::logging;
use crate::protocol::claims::User;
use crate::protocol::client::Client;
use crate::protocol::facts::{Facts, Membership};
use crate::protocol::response::GrantType;
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::{clients, facts, groups, users};
use serde_json::{Value, json};

#[derive(clap::Args)]
#[command(
    after_help = "With a client and a user it says whether that user may enter there, and why; the status is 1 when not. With a client alone \
    it lists who can enter, with a user alone what that user can enter.\n\n\
    Examples:\n  hallpass access reports alice\n  hallpass access reports\n  hallpass access --user alice\n  \
    hallpass access reports alice --json | jq -r '.why[]'"
)]
pub(super) struct Arguments {
    /// The client's `client_id`
    #[arg(required_unless_present = "of_user")]
    client: Option<String>,
    /// The user's user name, e-mail address or sub
    #[arg(conflicts_with = "of_user")]
    user: Option<String>,
    /// What this user can enter
    #[arg(long = "user", id = "of_user", value_name = "USER", conflicts_with = "client")]
    of_user: Option<String>,
    /// Print a JSON object instead
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Outcome {
    logging::start("warn");
    let db = terminal::open_database(&config).await?;
    let now = Clock::System.now();
    let outcome = match &arguments {
        Arguments { client: Some(client), user: Some(user), json, .. } => one(&db, client, user, *json, now).await,
        Arguments { client: Some(client), user: None, json, .. } => of_client(&db, client, *json, now).await,
        Arguments { of_user: Some(user), json, .. } => of_user(&db, user, *json, now).await,
        Arguments { .. } => Ok(()),
    };
    db.close().await;
    outcome
}

/// Whether a user may enter a service, and what decides it, each in a sentence.
struct Judged {
    may_enter: bool,
    why: Vec<String>,
}

fn judge(client: &Client, user: &User, facts: &Facts, now: NumericDate) -> Judged {
    let (mut against, mut because) = (Vec::new(), Vec::new());
    if client.disabled_at.is_some_and(|at| at <= now) {
        against.push(format!("{} is disabled", client.client_id));
    }
    if !client.grant_types.contains(&GrantType::AuthorizationCode) {
        against.push(format!("{} does not sign users in: its grant_types lack authorization_code", client.client_id));
    }
    if user.disabled_at.is_some() {
        against.push("the account is disabled".to_owned());
    }
    if user.is_ambiguous {
        against.push("a client has the same id as the user's sub".to_owned());
    }
    match client.only_for() {
        None => because.push("the service is open to all users".to_owned()),
        Some([]) => {
            against.push("the service is open to groups, and client_groups names none".to_owned());
        }
        Some(groups) => {
            let (in_it, was_in): (Vec<&Membership>, Vec<&Membership>) = facts
                .memberships
                .iter()
                .filter(|membership| groups.contains(&membership.group))
                .partition(|membership| membership.is_live(now));
            because.extend(in_it.iter().map(|membership| match membership.until {
                Some(until) => format!("a member of {} until {}", membership.group, instant(until)),
                None => format!("a member of {}", membership.group),
            }));
            if in_it.is_empty() {
                against.push(format!("in none of its groups: {}", groups.join(", ")));
                let ended = |membership: &&Membership| {
                    membership
                        .until
                        .map(|until| format!("the membership of {} ended {}", membership.group, instant(until)))
                };
                against.extend(was_in.iter().filter_map(ended));
            }
        }
    }
    let may_enter = against.is_empty();
    Judged { may_enter, why: if may_enter { because } else { against } }
}

async fn client(db: &Db, id: &str) -> Result<Client, Failure> {
    clients::find(db, id).await?.ok_or_else(|| no_client(id))
}

async fn user_named(db: &Db, name: &str) -> Result<User, Failure> {
    match users::find(db, name).await? {
        Some(user) => Ok(user),
        None => user::find(db, name).await,
    }
}

async fn one(db: &Db, client_id: &str, name: &str, json: bool, now: NumericDate) -> Outcome {
    let (client, user) = (client(db, client_id).await?, user_named(db, name).await?);
    let facts = facts::find(db, &user.sub).await?;
    let Judged { may_enter, why } = judge(&client, &user, &facts, now);
    let words = why.join("; ");
    if json {
        terminal::print_json(&json!({
            "client_id": client.client_id,
            "sub": user.sub,
            "username": user.username,
            "may_enter": may_enter,
            "why": why,
        }))?;
    }
    let name = user::named(&user);
    if !may_enter {
        return Err(
            Failure::new(one_line(&format!("{name} may not enter {client_id}: {words}"))).with_fix(fix(&client, &user))
        );
    }
    if !json {
        println!("{}", one_line(&format!("{name} may enter {client_id}: {words}")));
    }
    Ok(())
}

/// What would let the user in.
fn fix(client: &Client, user: &User) -> String {
    let username = terminal::shell(user.username.as_deref().unwrap_or(&user.sub));
    if client.disabled_at.is_some() {
        return format!("hallpass client enable {}", terminal::shell(&client.client_id));
    }
    if user.disabled_at.is_some() {
        return format!("hallpass user enable {username}");
    }
    match client.only_for() {
        Some([first, ..]) => format!("hallpass group add {} {username}", terminal::shell(first)),
        Some([]) => format!(
            "INSERT INTO client_groups (client_id, group_name) VALUES ({}, …) in a migration",
            crate::web::remedies::quoted(&client.client_id)
        ),
        None => format!("hallpass client show {}", terminal::shell(&client.client_id)),
    }
}

/// Who may be let in, by their names: members of the groups, or all users.
async fn candidates(db: &Db, client: &Client) -> Result<Vec<String>, Failure> {
    let Some(groups) = client.only_for() else {
        return Ok(users::list(db).await?.into_iter().map(|user| user.sub).collect());
    };
    let mut subs: Vec<String> = Vec::new();
    for group in groups {
        for member in groups::members(db, group).await? {
            if !subs.contains(&member.sub) {
                subs.push(member.sub);
            }
        }
    }
    Ok(subs)
}

async fn of_client(db: &Db, client_id: &str, json: bool, now: NumericDate) -> Outcome {
    let client = client(db, client_id).await?;
    let mut found = Vec::new();
    for sub in candidates(db, &client).await? {
        let Some(user) = users::find(db, &sub).await? else { continue };
        let facts = facts::find(db, &user.sub).await?;
        let judged = judge(&client, &user, &facts, now);
        if judged.may_enter {
            found.push((user, judged.why));
        }
    }
    if json {
        let listed: Vec<Value> =
            found.iter().map(|(user, why)| json!({"sub": user.sub, "username": user.username, "why": why})).collect();
        return terminal::print_json(&json!({ "client_id": client.client_id, "users": listed }));
    }
    let cells = |(user, why): &(User, Vec<String>)| {
        vec![one_line(user.username.as_deref().unwrap_or(&user.sub)), one_line(&why.join("; "))]
    };
    let rows: Vec<Vec<String>> = found.iter().map(cells).collect();
    print!("{}", terminal::table(&["USERNAME", "WHY"], &rows));
    if rows.is_empty() {
        eprintln!("No user can enter {}.", one_line(&client.client_id));
    }
    Ok(())
}

async fn of_user(db: &Db, name: &str, json: bool, now: NumericDate) -> Outcome {
    let user = user_named(db, name).await?;
    let facts = facts::find(db, &user.sub).await?;
    let mut found = Vec::new();
    for listed in clients::list(db, now).await? {
        // One whose row cannot be served lets no user in.
        let Ok(Some(client)) = clients::find(db, &listed.client_id).await else { continue };
        let judged = judge(&client, &user, &facts, now);
        if judged.may_enter {
            found.push((client, judged.why));
        }
    }
    if json {
        let listed: Vec<Value> = found
            .iter()
            .map(|(client, why)| json!({"client_id": client.client_id, "client_name": client.client_name, "why": why}))
            .collect();
        return terminal::print_json(&json!({ "sub": user.sub, "username": user.username, "clients": listed }));
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|(client, why)| {
            vec![one_line(&client.client_id), one_line(client.display_name()), one_line(&why.join("; "))]
        })
        .collect();
    print!("{}", terminal::table(&["CLIENT", "NAME", "WHY"], &rows));
    if rows.is_empty() {
        eprintln!("{} can enter no service.", user::named(&user));
    }
    Ok(())
}
