//! `hallpass group …`: groups, who is in them, and a file that says it for all of them.

mod claim;
mod sync;

use crate::ambient::Clock;
use crate::commands::page::Page;
use crate::commands::terminal::{self, instant, one_line};
use crate::commands::{Outcome, user};
use crate::config::Config;
use crate::failure::Failure;
use crate::logging;
use crate::protocol::difference::most_like;
use crate::protocol::time::NumericDate;
use crate::startup;
use crate::store::db::Db;
use crate::store::groups::{self, Change, Deletion, End, Group, Naming};
use crate::store::migrations::least_version;
use serde_json::{Value, json};

pub(super) const HELP: &str = "Examples:\n  hallpass group new finance --description \"Finance\"\n  \
    hallpass group add finance alice bob\n  hallpass group show finance";

/// The longest name, in bytes.
const LONGEST: usize = 255;

#[derive(clap::Subcommand)]
pub(super) enum GroupCommand {
    /// Make a group
    #[command(after_help = "A group that is there stays as it is, but for a description that is said.\n\n\
            Examples:\n  hallpass group new finance\n  hallpass group new finance --description \"People of the finance department\"")]
    New {
        /// Its name, as services are told it
        group: String,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
        /// Print what was done as a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Demand a second factor of the members of a group, or describe it in other words
    #[command(
        after_help = "Members who have none sign in for so many days after their first sign-in under the demand and are told so on a page; after \
            that their password does not sign them in. With by-link it never does. Then a link is what they set one up by: `hallpass user factor \
            link NAME`. A user who has one is asked for it in any case.\n\n\
            Examples:\n  hallpass group edit finance --second-factor 14\n  \
            hallpass group edit admins --second-factor by-link\n  hallpass group edit finance --second-factor no"
    )]
    Edit {
        /// The group
        group: String,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
        /// Days (1 to 365), by-link, or no
        #[arg(long, value_name = "WHEN", value_parser = parse_demand)]
        second_factor: Option<Demanded>,
        /// Print what was done as a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Put users into a group, at once and on every node within ten seconds
    #[command(
        after_help = "Who is in it already stays in it, until when they were: only --until says another end, and --until never \
            none.\n\nExamples:\n  hallpass group add finance alice bob@example.com\n  \
            hallpass group add finance carol --until 2027-01-01T00:00:00Z"
    )]
    Add {
        /// The group
        group: String,
        /// User names or e-mail addresses
        #[arg(required = true)]
        users: Vec<String>,
        /// The instant the membership ends by itself, or never
        #[arg(long, value_name = "INSTANT", value_parser = parse_end)]
        until: Option<End>,
        /// Print what was done as a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Take users out of a group, at once and on every node within ten seconds
    #[command(
        after_help = "Examples:\n  hallpass group remove finance alice\n  hallpass group remove finance alice bob --json"
    )]
    Remove {
        /// The group
        group: String,
        /// User names or e-mail addresses
        #[arg(required = true)]
        users: Vec<String>,
        /// Print what was done as a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the groups
    #[command(after_help = "Examples:\n  hallpass group list\n  hallpass group list --matching fin\n  \
            hallpass group list --json | jq -r '.groups[].name'")]
    List {
        #[command(flatten)]
        page: Page,
        /// Print a JSON object instead
        #[arg(long)]
        json: bool,
    },
    /// Show a group: its members, and the clients that let it in
    #[command(
        after_help = "Examples:\n  hallpass group show finance\n  hallpass group show finance --json | jq -r '.members[].username'"
    )]
    Show {
        /// The group
        group: String,
        /// Print a JSON object instead
        #[arg(long)]
        json: bool,
    },
    /// Delete a group, with its memberships and claims
    #[command(
        after_help = "A client that lets no other group in would be closed to all users: that has to be said with --force, and the client \
            stays closed, also when a group of that name is made again.\n\n\
            Examples:\n  hallpass group delete finance          asks first\n  hallpass group delete finance --yes    in a script"
    )]
    Delete {
        /// The group
        group: String,
        /// Also where a client lets it in
        #[arg(long)]
        force: bool,
        /// Do not ask; a script must say so
        #[arg(long)]
        yes: bool,
        /// Print what was done as a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say what every member of a group has beside it, and services may be told
    #[command(subcommand, after_help = claim::HELP)]
    Claim(claim::ClaimCommand),
    /// Make groups and members what a file says
    #[command(after_help = sync::HELP)]
    Sync(sync::Sync),
}

pub(super) async fn run(config: Config, command: GroupCommand) -> Outcome {
    logging::start("warn");
    match command {
        GroupCommand::New { group, description, json } => new(config, &group, description.as_deref(), json).await,
        GroupCommand::Edit { group, description, second_factor, json } => {
            edit(config, &group, description, second_factor, json).await
        }
        GroupCommand::Add { group, users, until, json } => {
            let until = until.unwrap_or(End::AsItIs);
            let change = |sub| Change::Add { sub, until };
            change_members(config, &group, &users, json, change).await
        }
        GroupCommand::Remove { group, users, json } => {
            change_members(config, &group, &users, json, |sub| Change::Remove { sub }).await
        }
        GroupCommand::List { page, json } => list(config, &page, json).await,
        GroupCommand::Show { group, json } => show(config, &group, json).await,
        GroupCommand::Delete { group, force, yes, json } => delete(config, &group, force, yes, json).await,
        GroupCommand::Claim(command) => claim::run(config, command).await,
        GroupCommand::Sync(sync) => sync::run(config, sync).await,
    }
}

/// What a group demands of its members: a second factor within so many days, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demanded(Option<i64>);

fn parse_demand(text: &str) -> Result<Demanded, String> {
    match (text, text.parse::<i64>()) {
        ("no", _) => Ok(Demanded(None)),
        ("by-link", _) => Ok(Demanded(Some(0))),
        (_, Ok(days)) if (1..=365).contains(&days) => Ok(Demanded(Some(days))),
        _ => Err("days from 1 to 365, by-link, or no".to_owned()),
    }
}

/// Reads how a membership ends.
fn parse_end(text: &str) -> Result<End, String> {
    if text == "never" { Ok(End::Never) } else { terminal::parse_instant(text).map(End::At) }
}

/// Why no group can have that name.
pub(super) fn name_fault(name: &str) -> Option<Failure> {
    let why = if name.is_empty() || name.len() > LONGEST {
        format!("the name of a group must have 1 to {LONGEST} bytes")
    } else if name.trim() != name || name.chars().any(char::is_control) {
        "the name of a group has no space at its ends and no control character".to_owned()
    } else {
        return None;
    };
    Some(Failure::new(why).with_fix("take a name such as finance, or app:editors"))
}

/// A group that must be there.
pub(super) async fn find(db: &Db, name: &str, now: NumericDate) -> Result<Group, Failure> {
    if let Some(group) = groups::find(db, name, now).await? {
        return Ok(group);
    }
    let all = groups::list(db, now).await?;
    let fix = match most_like(name, &all, |group| &group.name, 2) {
        Some(near) => format!("did you mean {}? `hallpass group list` names them", one_line(&near.name)),
        None => format!("`hallpass group new {}` makes it", terminal::shell(name)),
    };
    Err(Failure::new(format!("there is no group {name:?}")).with_fix(fix))
}

async fn new(config: Config, name: &str, description: Option<&str>, json: bool) -> Outcome {
    if let Some(fault) = name_fault(name) {
        return Err(fault);
    }
    let db = startup::open_database(&config).await?;
    let now = Clock::System.now();
    let mut changes = vec![(name.to_owned(), Change::New(description.unwrap_or_default().to_owned()))];
    changes.extend(description.map(|text| (name.to_owned(), Change::Describe(text.to_owned()))));
    let done = groups::apply(&db, &changes, now).await?;
    db.close().await;
    let words = match done.first() {
        Some((_, Change::New(_))) => format!("made the group {}", one_line(name)),
        Some(_) => format!("described the group {}", one_line(name)),
        None => format!("the group {} is there; nothing was changed", one_line(name)),
    };
    report(json, &done, &words)
}

async fn edit(
    config: Config,
    name: &str,
    description: Option<String>,
    demanded: Option<Demanded>,
    json: bool,
) -> Outcome {
    if description.is_none() && demanded.is_none() {
        terminal::wrong_usage(&["group", "edit"], "there is nothing to change: say it by a flag");
    }
    let db = terminal::open_database(&config).await?;
    let now = Clock::System.now();
    let group = find(&db, name, now).await?;
    let changes = description.map(Change::Describe).into_iter().chain(demanded.map(|it| Change::Demand(it.0)));
    let changes: Vec<(String, Change)> = changes.map(|change| (group.name.clone(), change)).collect();
    let done = groups::apply(&db, &changes, now).await?;
    // An older node would let in whom the demand keeps out.
    least_version(&db).await?;
    db.close().await;
    let words = if done.is_empty() {
        "is so already; nothing was changed"
    } else {
        "is changed; every node knows within ten seconds"
    };
    let keeps_out = done.iter().any(|(_, change)| matches!(change, Change::Demand(Some(0))));
    let advice = if keeps_out {
        ". Members without a second factor cannot sign in to set one up: `hallpass user factor link NAME` makes a link for one"
    } else {
        ""
    };
    report(json, &done, &format!("the group {} {words}{advice}", one_line(name)))
}

async fn change_members(
    config: Config,
    name: &str,
    users: &[String],
    json: bool,
    change: impl Fn(String) -> Change,
) -> Outcome {
    let db = terminal::open_database(&config).await?;
    let now = Clock::System.now();
    let group = find(&db, name, now).await?;
    let mut changes = Vec::new();
    for username in users {
        let user = user::find(&db, username).await?;
        changes.push((group.name.clone(), change(user.sub)));
    }
    let done = groups::apply(&db, &changes, now).await?;
    db.close().await;
    let words = match (done.len(), done.first()) {
        (0, _) => "nothing was changed".to_owned(),
        (count, Some((_, Change::Remove { .. }))) => format!("took {count} out of {}", one_line(name)),
        (count, _) => format!("put {count} into {}", one_line(name)),
    };
    report(json, &done, &format!("{words}; every node knows within ten seconds"))
}

async fn list(config: Config, page: &Page, json: bool) -> Outcome {
    let db = terminal::open_database(&config).await?;
    let found = groups::list(&db, Clock::System.now()).await?;
    db.close().await;
    let there_are_none = found.is_empty();
    let (found, next) = page.of(found, |group| &group.name, |group| vec![group.description.clone()])?;
    if json {
        let listed: Vec<Value> = found.iter().map(described).collect();
        return terminal::print_json(&json!({ "groups": listed, "next": next }));
    }
    let cells = |group: &Group| {
        vec![one_line(&group.name), group.members.to_string(), group.clients.to_string(), one_line(&group.description)]
    };
    let rows: Vec<Vec<String>> = found.iter().map(cells).collect();
    print!("{}", terminal::table(&["GROUP", "MEMBERS", "CLIENTS", "DESCRIPTION"], &rows));
    terminal::say_next(next.as_deref());
    if there_are_none {
        eprintln!("There are no groups yet. `hallpass group new NAME` makes one.");
    }
    Ok(())
}

fn described(group: &Group) -> Value {
    json!({
        "name": group.name,
        "description": group.description,
        "created_at": group.created_at.map(NumericDate).map(instant),
        "second_factor_within": group.second_factor_within,
        "members": group.members,
        "clients": group.clients,
    })
}

async fn show(config: Config, name: &str, json: bool) -> Outcome {
    let db = terminal::open_database(&config).await?;
    let group = find(&db, name, Clock::System.now()).await?;
    let (members, clients) = (groups::members(&db, name).await?, groups::clients(&db, name).await?);
    db.close().await;
    let at = |at: Option<i64>| at.map(NumericDate).map(instant);
    if json {
        let listed = members.iter().map(|member| {
            json!({
                "sub": member.sub,
                "username": member.username,
                "until": at(member.until),
                "added_at": at(member.added_at),
            })
        });
        let mut document = described(&group);
        document["members"] = listed.collect();
        document["clients"] = json!(clients);
        return terminal::print_json(&document);
    }
    println!("{}", one_line(&group.name));
    if !group.description.is_empty() {
        println!("{}", one_line(&group.description));
    }
    let clients = if clients.is_empty() { "none".to_owned() } else { clients.join(", ") };
    println!("clients that let it in: {}", one_line(&clients));
    match group.second_factor_within {
        None => {}
        Some(0) => println!("second factor: demanded, and a password alone does not let members in"),
        Some(days) => println!("second factor: demanded within {days} days of the first sign-in"),
    }
    println!();
    let rows: Vec<Vec<String>> = members
        .iter()
        .map(|member| {
            let name = member.username.as_deref().unwrap_or(&member.sub);
            vec![
                one_line(name),
                one_line(&member.sub),
                at(member.added_at).unwrap_or_default(),
                at(member.until).unwrap_or_default(),
            ]
        })
        .collect();
    print!("{}", terminal::table(&["USERNAME", "SUB", "SINCE", "UNTIL"], &rows));
    Ok(())
}

async fn delete(config: Config, name: &str, force: bool, yes: bool, json: bool) -> Outcome {
    const PATH: &[&str] = &["group", "delete"];
    if !yes && !terminal::is_there() {
        terminal::confirm(PATH, "", false)?;
    }
    let db = terminal::open_database(&config).await?;
    let now = Clock::System.now();
    let group = find(&db, name, now).await?;
    let known = groups::naming(&db, name).await?;
    let Naming { let_in, closed, roles } = &known;
    if !let_in.is_empty() && !force {
        let what = format!("{} is let in by {}", one_line(name), one_line(&let_in.join(", ")));
        let fix = "let those clients in another way first (client_groups), or say --force: a client that lets no other group in is \
             closed to all users then";
        return Err(Failure::new(what).with_fix(fix));
    }
    let close = match closed.as_slice() {
        [] => String::new(),
        closed => format!(" No user can enter {} any more.", one_line(&closed.join(", "))),
    };
    let roles = match roles.as_slice() {
        [] => String::new(),
        clients => format!(", and its roles at {}", one_line(&clients.join(", "))),
    };
    let question = format!("Delete the group {}, with {} members{roles}?{close}", one_line(name), group.members);
    terminal::confirm(PATH, &question, yes)?;
    let deletion = groups::delete(&db, name, &known, now).await?;
    db.close().await;
    let name = one_line(name);
    match deletion {
        Deletion::Done => tell(
            json,
            &[json!({"group": group.name, "change": "delete"})],
            &format!("deleted the group {name}; every node knows within ten seconds"),
        ),
        Deletion::Gone => tell(json, &[], &format!("the group {name} is gone; nothing was changed")),
        Deletion::NamedSince(clients) => {
            let clients = one_line(&clients.join(", "));
            let what =
                format!("what {clients} would lose with the group {name} has changed meanwhile; nothing was deleted");
            Err(Failure::new(what).with_fix("run the same command again: it says what that is"))
        }
    }
}

/// What was done, change by change.
fn report(as_json: bool, done: &[(String, Change)], words: &str) -> Outcome {
    tell(as_json, &done.iter().map(|(group, change)| change_of(group, change)).collect::<Vec<_>>(), words)
}

fn tell(as_json: bool, changes: &[Value], words: &str) -> Outcome {
    if as_json {
        return terminal::print_json(&json!({ "changes": changes }));
    }
    eprintln!("{words}");
    Ok(())
}

fn change_of(group: &str, change: &Change) -> Value {
    match change {
        Change::New(_) => json!({"group": group, "change": "new"}),
        Change::Describe(_) => json!({"group": group, "change": "describe"}),
        Change::Demand(days) => {
            json!({"group": group, "change": "demand_second_factor", "second_factor_within": days})
        }
        Change::Add { sub, until } => {
            json!({"group": group, "change": "add", "sub": sub, "until": until.instant().map(instant)})
        }
        Change::Remove { sub } => json!({"group": group, "change": "remove", "sub": sub}),
    }
}
