//! `hallpass user delete` and `hallpass user erase`: a user goes, with what ends by that; and what the audit and the refusals have
//! kept of the person goes too.

use super::{counted, document_of, find, named};
use crate::ambient::Clock;
use crate::audit;
use crate::commands::audit::{LONGEST_NAME, sub_of};
use crate::commands::terminal::{Report, one_line};
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::claims::User;
use crate::protocol::time::NumericDate;
use crate::store::audit_events::{self, Erased, Wanted};
use crate::store::db::Db;
use crate::store::refusals;
use crate::store::users::deletion::{self, Ends, IdleLifetimes, Pending};
use crate::store::users::tombstones::{self, Tombstone};
use crate::store::users::{self, ByLogin};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

pub(super) const DELETE_HELP: &str =
    "Within ten seconds every sign-in, access token and refresh token of the user has ended, and services with a \
backchannel_logout_uri are told. The sub stays as a tombstone, and of the user name a keyed digest: neither is ever given to another \
user. `user erase` removes what the audit says of the person, too. A row of users that is deleted by SQL leaves no tombstone.

Examples:
  hallpass user delete alice          asks first
  hallpass user delete alice --yes    in a script";

pub(super) const ERASE_HELP: &str =
    "It deletes the user as `user delete` does, if that was not done, and erases the personal data of the user in the audit and in \
refusals: sub, network, names. The events stay, and `audit verify` still holds. It waits until nodes have ended the sign-ins and told the \
services, 15 seconds at most: both write events that name the user. Where no node runs, or a service cannot be told, it says so: say \
the same again when that is over, a day later at most. Earlier exports, backups and logs are copies: erase there yourself.

Examples:
  hallpass user erase alice                               asks first
  hallpass user erase SUB --name \"Alice Example\" --yes    in a script, also after the user was deleted";

#[derive(clap::Args)]
pub(in crate::commands) struct Delete {
    /// User name, e-mail address or sub
    #[arg(value_name = "NAME")]
    user: String,
    /// Do not ask; a script must say so
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    report: Report,
}

#[derive(clap::Args)]
pub(in crate::commands) struct Erase {
    /// User name, e-mail address or sub
    #[arg(value_name = "NAME")]
    user: String,
    /// A further name to look for in events without a sub, beside the user names and the address that are known
    #[arg(long, value_name = "TEXT")]
    name: Vec<String>,
    /// Do not ask; a script must say so
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    report: Report,
}

/// Nothing is left to do.
const NOTHING: Pending = Pending { sessions: 0, messages: 0 };
/// How long sign-ins may take to end before what is there is erased.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long a node may take to write the events that it has.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

/// Who is meant: a user who is there, or one who was.
pub(super) enum Whom {
    /// One who is there.
    Here(Box<User>),
    /// One who was deleted.
    Gone(Tombstone),
    /// One whose row was deleted by SQL, whom events are about.
    Unknown(String),
}

impl Whom {
    /// The `sub`.
    pub(super) fn sub(&self) -> &str {
        match self {
            Self::Here(user) => &user.sub,
            Self::Gone(gone) => &gone.sub,
            Self::Unknown(sub) => sub,
        }
    }
}

/// Whom a user name, an address or a `sub` means; one who was deleted by `sub` or user name.
pub(super) async fn whom(db: &Db, name: &str) -> Result<Whom, Failure> {
    let by_sub = users::find(db, name).await?;
    match (find(db, name).await, by_sub) {
        (Ok(by_name), Some(by_sub)) if by_name.sub != by_sub.sub => {
            let what =
                format!("{:?} is the name of {} and the sub of {}", one_line(name), named(&by_name), named(&by_sub));
            Err(Failure::new(what).with_fix("say the address of the one, or the user name of the other"))
        }
        (Ok(user), _) | (Err(_), Some(user)) => Ok(Whom::Here(Box::new(user))),
        (Err(failure), None) => match tombstones::find(db, name, name).await? {
            Some(gone) => Ok(Whom::Gone(gone)),
            None => sub_of(db, name).await.map(Whom::Unknown).map_err(|_| failure),
        },
    }
}

/// What ends with a user, as the settings have it.
pub(super) async fn ends_of(config: &Config, db: &Db, sub: &str, now: NumericDate) -> Result<Ends, Failure> {
    let (session, refresh_family) = (config.session_idle_lifetime, config.refresh_token_idle_lifetime);
    Ok(deletion::ends(db, sub, IdleLifetimes { session, refresh_family }, now).await?)
}

fn in_words(ends: &Ends) -> String {
    let families = match ends.refresh_families {
        1 => "1 refresh token family".to_owned(),
        number => format!("{number} refresh token families"),
    };
    let (sessions, consents) = (counted(ends.sessions, "sign-in"), counted(ends.consents, "consent"));
    format!("{sessions}, {families}, {consents} and {}", counted(ends.memberships, "membership"))
}

fn deleted(own: Value, ends: &Ends) -> Value {
    let mut document = own;
    document["sessions_ended"] = ends.sessions.into();
    document["refresh_families_ended"] = ends.refresh_families.into();
    document["consents_deleted"] = ends.consents.into();
    document["memberships_deleted"] = ends.memberships.into();
    document
}

pub(super) async fn delete(config: Config, arguments: &Delete) -> Outcome {
    const PATH: &[&str] = &["user", "delete"];
    let Delete { user, yes, report } = arguments;
    if !yes && !terminal::is_there() {
        terminal::confirm(PATH, "", false)?;
    }
    let db = terminal::open_database(&config).await?;
    let now = Clock::System.now();
    let user = match whom(&db, user).await? {
        Whom::Here(user) => user,
        Whom::Gone(gone) => {
            let own = json!({ "sub": gone.sub, "username": null, "change": "delete", "is_changed": false });
            report.print(&deleted(own, &Ends::default()), None)?;
            let at = terminal::instant(NumericDate(gone.deleted_at));
            eprintln!("this user was deleted {at}; nothing was changed");
            return Ok(());
        }
        Whom::Unknown(sub) => {
            return Err(Failure::new(format!("there is no user of the sub {:?} any more", one_line(&sub)))
                .with_fix(format!("hallpass user erase {}", terminal::shell(&sub))));
        }
    };
    let ends = ends_of(&config, &db, &user.sub, now).await?;
    let question = format!("Delete {} for good, sub {}, with {}?", named(&user), one_line(&user.sub), in_words(&ends));
    terminal::confirm(PATH, &question, *yes)?;
    let is_deleted = deletion::delete(&db, &user.sub, user.username.as_deref(), ends, now).await?;
    db.close().await;
    let own = json!({ "change": "delete", "is_changed": is_deleted });
    report.print(&deleted(document_of(&user, own), &ends), None)?;
    eprintln!(
        "deleted {}, with {}; within ten seconds every node and every service knows",
        named(&user),
        in_words(&ends)
    );
    Ok(())
}

pub(super) async fn erase(config: Config, arguments: &Erase) -> Outcome {
    const PATH: &[&str] = &["user", "erase"];
    let Erase { user, name, yes, report } = arguments;
    if !yes && !terminal::is_there() {
        terminal::confirm(PATH, "", false)?;
    }
    if name.iter().any(|name| name.is_empty() || name.len() > LONGEST_NAME) {
        return Err(Failure::new(format!("--name: a name has 1 to {LONGEST_NAME} bytes; nothing was changed")));
    }
    let db = terminal::open_database(&config).await?;
    let now = Clock::System.now();
    let whom = whom(&db, user).await?;
    let names = names_of(&db, &whom, name).await?;
    let who = match &whom {
        Whom::Here(user) => named(user),
        Whom::Gone(_) | Whom::Unknown(_) => "a user who is gone".to_owned(),
    };
    let question =
        format!("Erase {who}, sub {}, and what the audit says of the person, for good?", one_line(whom.sub()));
    terminal::confirm(PATH, &question, *yes)?;
    if let Whom::Here(user) = &whom {
        let ends = ends_of(&config, &db, &user.sub, now).await?;
        deletion::delete(&db, &user.sub, user.username.as_deref(), ends, now).await?;
    }
    let pending = settled(&db, whom.sub()).await?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let erased = audit_events::erase(&db, whom.sub(), &names, now).await?;
    let refusals = refusals::forget_user(&db, whom.sub()).await?;
    let is_changed = matches!(whom, Whom::Here(_)) || erased != Erased::default() || refusals > 0;
    if is_changed {
        let event =
            Event::new(EventKind::UserErased, now).with("events", erased.events).with("members", erased.members);
        audit::note(&db, vec![event.with("refusals", refusals as u64)], now).await?;
    }
    db.close().await;
    let document = json!({
        "sub": whom.sub(),
        "change": "erase",
        "is_changed": is_changed,
        "events": erased.events,
        "members": erased.members,
        "refusals": refusals,
        "is_complete": pending == NOTHING,
    });
    report.print(&document, None)?;
    eprintln!(
        "erased {} personal members of {} events, and {refusals} refusals of {}",
        erased.members,
        erased.events,
        one_line(whom.sub())
    );
    if pending != NOTHING {
        eprintln!(
            "hallpass: it is not complete: nodes have {} to end and {} to tell of it, and write events of that that name the user. \
             Say the same again when they have",
            counted(pending.sessions.unsigned_abs(), "sign-in"),
            counted(pending.messages.unsigned_abs(), "service")
        );
    }
    Ok(())
}

/// Waits until nodes have ended the sign-ins of a user who is gone and have told the services, and the events of it are written.
/// Gives what is left to do.
async fn settled(db: &Db, sub: &str) -> Result<Pending, Failure> {
    let started = Instant::now();
    let mut pending = deletion::pending(db, sub).await?;
    if pending != NOTHING {
        eprintln!("waiting until nodes have ended the sign-ins, {} seconds at most", PATIENCE.as_secs());
    }
    while pending != NOTHING && started.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
        pending = deletion::pending(db, sub).await?;
    }
    tokio::time::sleep(WRITTEN_WITHIN).await;
    Ok(pending)
}

/// What the user is or was called: by the row, by the events about the user, and by what the operator says. A name that another user
/// has now is that user's.
async fn names_of(db: &Db, whom: &Whom, further: &[String]) -> Result<BTreeSet<String>, Failure> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    if let Whom::Here(user) = whom {
        let email = user.email();
        known.extend(user.username.as_deref().into_iter().chain(email).map(str::to_owned));
    }
    let wanted = Wanted { sub: Some(whom.sub().to_owned()), ..Wanted::default() };
    for record in audit_events::latest(db, &wanted, NumericDate(0), i64::MAX).await? {
        known.extend(record.personal.get("username").cloned());
    }
    let mut names: BTreeSet<String> = further.iter().cloned().collect();
    for name in known.into_iter().filter(|name| (1..=LONGEST_NAME).contains(&name.len())) {
        match users::find_by_login(db, &name).await? {
            ByLogin::One(other) if other.sub != whom.sub() => {}
            _ => {
                names.insert(name);
            }
        }
    }
    Ok(names)
}
