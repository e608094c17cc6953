//! `hallpass user sessions …`: where a user is signed in, and ending it, also where another process serves.

use super::{confirmed, counted, document_of, find, named};
use crate::ambient::Clock;
use crate::commands::terminal::Report;
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::protocol::time::NumericDate;
use crate::store::user_sessions::{self, By, Listed, Which};
use serde_json::json;

pub(super) const HELP: &str =
    "Examples:\n  hallpass user sessions list alice\n  hallpass user sessions end alice --all";

#[derive(clap::Subcommand)]
pub(in crate::commands) enum SessionsCommand {
    /// List where a user is signed in
    #[command(after_help = "LAST USED is told to within an hour.\n\n\
            Examples:\n  hallpass user sessions list alice\n  hallpass user sessions list alice --json | jq -r '.sessions[].session'")]
    List {
        /// User name or e-mail address
        username: String,
        /// Print JSON instead
        #[arg(long)]
        json: bool,
    },
    /// End one sign-in of a user, or all of them; every service that was entered is told
    #[command(
        after_help = "Within ten seconds the sign-in has ended at every node, its access tokens too, and services with a \
            backchannel_logout_uri are told. Refresh tokens of offline_access continue; `user disable` and `user set-password` end those.\n\n\
            Examples:\n  hallpass user sessions end alice 3q2-7wAAAAAAAAAAAAAAAA\n  hallpass user sessions end alice --all --yes"
    )]
    End {
        /// User name or e-mail address
        username: String,
        /// The sign-in, as the list names it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        session: Option<String>,
        /// All of the user's
        #[arg(long)]
        all: bool,
        /// Do not ask; a script must say so
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        report: Report,
    },
}

pub(super) async fn run(config: Config, command: SessionsCommand) -> Outcome {
    match command {
        SessionsCommand::List { username, json } => list(config, &username, json).await,
        SessionsCommand::End { username, session, yes, report, .. } => {
            end(config, &username, session.as_deref(), yes, report).await
        }
    }
}

async fn list(config: Config, username: &str, json: bool) -> Outcome {
    let db = terminal::open_database(&config).await?;
    let user = find(&db, username).await?;
    let now = Clock::System.now();
    let found = user_sessions::list(&db, &user.sub, config.session_idle_lifetime, now).await?;
    db.close().await;
    let instant = |at: i64| terminal::instant(NumericDate(at));
    if json {
        let listed = found.iter().map(|row| {
            json!({
                "session": row.session,
                "browser": row.browser,
                "network": row.network,
                "started_at": instant(row.started_at),
                "last_used_at": instant(row.seen_at),
                "expires_at": instant(row.expires_at),
            })
        });
        return terminal::print_json(&json!({ "sessions": listed.collect::<Vec<_>>() }));
    }
    let cells = |row: &Listed| {
        let texts = [&row.session, &row.browser, &row.network].map(|text| terminal::one_line(text));
        texts.into_iter().chain([instant(row.started_at), instant(row.seen_at)]).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = found.iter().map(cells).collect();
    print!("{}", terminal::table(&["SESSION", "BROWSER", "NETWORK", "STARTED", "LAST USED"], &rows));
    if rows.is_empty() {
        eprintln!("{} is not signed in anywhere.", named(&user));
    }
    Ok(())
}

async fn end(config: Config, username: &str, session: Option<&str>, yes: bool, report: Report) -> Outcome {
    const PATH: &[&str] = &["user", "sessions", "end"];
    let which = if session.is_some() { "this sign-in" } else { "every sign-in" };
    let (db, user) = confirmed(&config, PATH, username, yes, |named| format!("End {which} of {named}?")).await?;
    let now = Clock::System.now();
    let (which, idle_lifetime) = (session.map_or(Which::All, Which::One), config.session_idle_lifetime);
    let ended = user_sessions::end(&db, &user.sub, which, By::Operator, idle_lifetime, now).await?;
    db.close().await;
    match (session, ended) {
        (Some(session), 0) => {
            Err(Failure::new(format!("{} has no sign-in {session:?} that has not ended", named(&user)))
                .with_fix(format!("`hallpass user sessions list {username}` names them")))
        }
        (None, 0) => {
            report.print(&document_of(&user, json!({ "sessions_ended": 0 })), None)?;
            eprintln!("{} is not signed in anywhere; nothing was changed", named(&user));
            Ok(())
        }
        _ => {
            report.print(&document_of(&user, json!({ "sessions_ended": ended })), None)?;
            let count = counted(ended, "sign-in");
            eprintln!("ended {count} of {}; within ten seconds every node and every service knows", named(&user));
            Ok(())
        }
    }
}
