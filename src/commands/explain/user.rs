//! `hallpass explain --user`: whether a user can sign in as things are, and why their last tries came to nothing.

use crate::ambient::Clock;
use crate::commands::{Outcome, terminal};
use crate::failure::Failure;
use crate::passwords;
use crate::protocol::audit::RefusalRecord;
use crate::protocol::claims::User;
use crate::protocol::difference;
use crate::protocol::factor::SignInFailure;
use crate::protocol::shown::harmless_lines;
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::users::{self, ByLogin};
use crate::store::{StoreError, refusals};
use serde_json::json;
use std::fmt::Write as _;

/// How many tries are told.
const MOST: i64 = 10;

/// Explains.
pub(super) async fn explain(db: &Db, name: &str, json: bool) -> Outcome {
    users::fold_names(db).await?;
    let user = match users::find_by_login(db, name).await? {
        ByLogin::One(user) => *user,
        ByLogin::Several => {
            return Err(Failure::new(SignInFailure::AddressShared.cause()).with_fix(SignInFailure::AddressShared.fix()));
        }
        ByLogin::NoUser => return Err(no_user(db, name).await?),
    };
    let obstacles = SignInFailure::obstacles(&user, Clock::System.now(), |hash| passwords::unusable(hash).is_none());
    let tries = refusals::of_user(db, &user.sub, MOST).await?;
    if json {
        let obstacles: Vec<_> = obstacles
            .iter()
            .map(|obstacle| json!({"reason": obstacle.as_str(), "cause": obstacle.cause(), "fix": obstacle.fix()}))
            .collect();
        return terminal::print_json(&json!({
            "sub": user.sub,
            "username": user.username,
            "can_sign_in": obstacles.is_empty(),
            "obstacles": obstacles,
            "refusals": tries,
        }));
    }
    print!("{}", harmless_lines(&told(&user, &obstacles, &tries)));
    Ok(())
}

/// A name that no user has: perhaps it is nearly another's.
async fn no_user(db: &Db, name: &str) -> Result<Failure, StoreError> {
    let listed = users::list(db).await?;
    let names = listed.iter().filter_map(|user| user.username.as_deref()).collect::<Vec<_>>();
    let like = difference::most_like(name, names, |name| name, 3);
    let fix = match like {
        Some(like) => format!("a user is called {like}; what is typed at a sign-in is user name or e-mail address"),
        None => {
            "`hallpass user list` has them all; what is typed at a sign-in is user name or e-mail address".to_owned()
        }
    };
    Ok(Failure::new(format!("no user of this database has the name or e-mail address {name:?}")).with_fix(fix))
}

fn told(user: &User, obstacles: &[SignInFailure], tries: &[RefusalRecord]) -> String {
    let mut text =
        format!("User      {} (sub {})\n", user.username.as_deref().unwrap_or("without a user name"), user.sub);
    for obstacle in obstacles {
        let _ = writeln!(text, "Kept out  {}\n          {}", obstacle.cause(), super::wrapped(obstacle.fix()));
    }
    if obstacles.is_empty() {
        text.push_str("          can sign in, with the right password\n");
    }
    if tries.is_empty() {
        text.push_str("\nNo try of this user was refused in the last month.\n");
        return text;
    }
    text.push_str("\nRefused, the newest first:\n");
    for refusal in tries {
        let _ = writeln!(
            text,
            "  {}  {}  {}",
            terminal::instant(NumericDate(refusal.at)),
            refusal.reference,
            refusal.detail.as_deref().unwrap_or(&refusal.description)
        );
    }
    if let Some(fix) = tries.first().and_then(|newest| newest.explanation.fix.as_deref()) {
        let _ = writeln!(text, "\n{:<10}{}", "Fix", super::wrapped(fix));
    }
    text
}
