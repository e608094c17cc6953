//! `hallpass user edit`: another name, address or claim of a user. The `sub` stays, and with it everything that services know.

use super::details::{Address, Details, flag};
use super::{address_fault, document_of, find, import, name_gone, named, shared_address, username_fault};
use crate::ambient::Clock;
use crate::commands::terminal::{Report, one_line, wrong_usage};
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::protocol::claims::User;
use crate::protocol::text;
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::migrations::least_version;
use crate::store::users::edit::{self, COLUMNS, Edited, Lock};
use clap::builder::PossibleValuesParser;
use serde_json::json;

const PATH: &[&str] = &["user", "edit"];

pub(super) const HELP: &str =
    "The sub stays, so services know the user as before; they are told the new claims within ten seconds. An address counts as \
verified, unless --email-unverified says otherwise.

Examples:
  hallpass user edit alice --given-name Alice --family-name Example
  hallpass user edit alice --email alice@example.org --unset nickname
  hallpass user edit alice --username alice.example
  hallpass user edit alice --email-unverified --json | jq .is_changed";

#[derive(clap::Args)]
pub(in crate::commands) struct Edit {
    /// User name or e-mail address
    #[arg(value_name = "NAME")]
    user: String,
    /// Another user name
    #[arg(long)]
    username: Option<String>,
    /// Another e-mail address
    #[arg(long)]
    email: Option<String>,
    #[command(flatten)]
    address: Address,
    /// The telephone number is verified to be the user's
    #[arg(long, conflicts_with = "phone_number_unverified")]
    phone_number_verified: bool,
    /// The user cannot sign in until that instant, or forever: what they have ends
    #[arg(long, value_name = "INSTANT", value_parser = import::parse_lock, conflicts_with = "unlock")]
    lock_until: Option<NumericDate>,
    /// The user can sign in again
    #[arg(long)]
    unlock: bool,
    /// The days that a group gives the user to set up a second factor start anew, with the next sign-in
    #[arg(long)]
    restart_second_factor_days: bool,
    /// A claim that is empty from now on; may be repeated
    #[arg(long, value_name = "COLUMN", value_parser = PossibleValuesParser::new(COLUMNS), hide_possible_values = true)]
    unset: Vec<String>,
    #[command(flatten)]
    report: Report,
    #[command(flatten)]
    details: Details,
}

impl Edit {
    /// What the flags say, without a look at the user.
    fn read(&self) -> Result<edit::Edit<'_>, Failure> {
        let mut details = self.details.read()?;
        for unset in &self.unset {
            let Some(column) = COLUMNS.iter().copied().find(|column| column == unset) else { continue };
            if details.columns.iter().any(|(given, _)| *given == column) {
                wrong_usage(PATH, &format!("{} and --unset {column} are the opposite of each other", flag(column)));
            }
            details.columns.push((column, None));
            if column == "phone_number" {
                details.phone_number_verified = Some(false);
            }
        }
        if self.phone_number_verified {
            details.phone_number_verified = Some(true);
        }
        let (username, email) = (self.username.as_deref(), self.email.as_deref());
        let email_verified = self.address.is_verified(email.is_some());
        let lock = if self.unlock { Lock::Lifted } else { self.lock_until.map_or(Lock::AsItIs, Lock::Until) };
        let restarts_factor_days = self.restart_second_factor_days;
        let may_share_address = self.address.may_be_shared();
        Ok(edit::Edit { username, email, may_share_address, email_verified, details, lock, restarts_factor_days })
    }
}

pub(super) async fn run(config: Config, arguments: &Edit) -> Outcome {
    let mut edit = arguments.read()?;
    if edit.username.is_none()
        && edit.email_verified.is_none()
        && edit.details.columns.is_empty()
        && edit.details.phone_number_verified.is_none()
        && edit.lock == Lock::AsItIs
        && !edit.restarts_factor_days
    {
        wrong_usage(PATH, "there is nothing to change: say it by a flag");
    }
    let db = terminal::open_database(&config).await?;
    let user = find(&db, &arguments.user).await?;
    check(&db, &user, &mut edit).await?;
    let edited = edit::edit(&db, &user.sub, &edit, Clock::System.now()).await?;
    least_version(&db).await?;
    db.close().await;
    let username = edit.username.or(user.username.as_deref());
    let changed = match edited {
        Edited::Done(changed) => changed,
        Edited::NameTaken => {
            return Err(Failure::new(format!("there is a user {:?} already", one_line(username.unwrap_or_default()))));
        }
        Edited::AddressTaken => {
            let what =
                format!("{} became the address of another user just now", one_line(edit.email.unwrap_or_default()));
            return Err(Failure::new(what).with_fix("`hallpass user list` names them"));
        }
        Edited::NameGone(gone) => return Err(name_gone(username.unwrap_or_default(), &gone)),
    };
    let own = json!({ "change": "edit", "is_changed": !changed.is_empty(), "changed": changed });
    let mut document = document_of(&user, own);
    document["username"] = username.into();
    arguments.report.print(&document, None)?;
    if changed.is_empty() {
        eprintln!("{} is so already; nothing was changed", named(&user));
    } else {
        eprintln!("changed {} of {}; services are told within ten seconds", changed.join(", "), named(&user));
    }
    Ok(())
}

/// What the new name and the new address may not be.
async fn check(db: &Db, user: &User, edit: &mut edit::Edit<'_>) -> Outcome {
    let present = user.email().unwrap_or_default();
    let email = edit.email.unwrap_or(present);
    if let Some(why) = edit.email.and_then(address_fault) {
        return Err(why.about("--email"));
    }
    let new_name = edit.username.filter(|name| Some(*name) != user.username.as_deref());
    // A name that is the address of before would be taken for another user's one day.
    let kept = user.username.as_deref().filter(|name| edit.email.is_some() && text::is_address(name));
    if let Some(why) = new_name.or(kept).and_then(|name| username_fault(name, email)) {
        return Err(why);
    }
    if text::fold_email(email) == text::fold_email(present) {
        // The one that the user has, shared or not, stays.
        edit.may_share_address = true;
    } else {
        shared_address(db, email, &user.sub, edit.may_share_address).await?;
    }
    Ok(())
}
