//! The password as a factor: whether it is this person's. What follows from that is not decided here.

use super::beside::has_ended;
use crate::caller::BrowserRequest;
use crate::passwords::{self, Renewal, StoredHash, Typed, Verdict};
use crate::protocol::claims::User;
use crate::protocol::factor::SignInFailure;
use crate::protocol::secret::{BrowserId, Handle, Password};
use crate::protocol::text::MAX_NAME_BYTES;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::timely;
use crate::store::users::{self, ByLogin};
use crate::throttle::{self, Attempt, Later, Stopped};
use crate::web::answer::PageError;
use crate::web::problems::Problem;
use std::sync::Arc;

/// What shows that this browser is known to that person, by every factor that they have.
pub(in crate::endpoints) fn known_tag(provider: &Provider, browser_id: &BrowserId, user: &User) -> String {
    provider.secrets.known_browser(browser_id, user)
}

/// Whether the person signed in with this browser before: where a password is counted, by the password alone.
pub(in crate::endpoints) fn is_known(
    provider: &Provider,
    known: &[String],
    browser_id: &BrowserId,
    user: &User,
) -> bool {
    known.contains(&known_tag(provider, browser_id, user))
        || known.contains(&provider.secrets.known_by_password(browser_id, user))
}

/// What typing a name and a password came to.
pub(in crate::endpoints) enum Proof {
    /// It is this person.
    Proven(Box<Proven>),
    /// It is not, whichever of the two was wrong.
    Wrong {
        /// What was wrong, for the operator alone.
        why: SignInFailure,
        /// The person whose name was typed, for the audit alone.
        sub: Option<String>,
        /// The attempt.
        attempt: Attempt,
    },
    /// It is this person, who may not sign in, for good or for now.
    Barred {
        /// Why.
        why: SignInFailure,
        /// Who, for the audit alone.
        sub: String,
        /// The attempt.
        attempt: Attempt,
    },
    /// It was not even looked at.
    Later {
        /// The person whose name was typed, for the audit alone.
        sub: Option<String>,
        /// When to come again.
        later: Later,
    },
}

/// A person who has proven that they know their password.
pub(in crate::endpoints) struct Proven {
    /// Who.
    pub user: User,
    /// The attempt, which is taken back when the sign-in is complete.
    pub attempt: Attempt,
    /// The session that was there before has been ended in another tab: its name cannot be used again.
    pub session_has_ended: bool,
    /// The hash in the row is not as we would make it now.
    pub renewal: Option<Renewal>,
}

/// Finds the person whose password it is. Whether the name or the password was wrong can be told neither by
/// the answer nor by its time, nor by when it is throttled.
pub(in crate::endpoints) async fn prove(
    provider: &Provider,
    asked: &BrowserRequest,
    session: Option<Handle>,
    typed: &str,
    password: Password,
) -> Result<Proof, PageError> {
    let (browser, network) = (&asked.browser, asked.network);
    let browser_id = browser.id.as_ref().ok_or(Problem::NoCookie)?;
    let is_plausible = !typed.is_empty() && typed.len() <= MAX_NAME_BYTES;
    let by_login =
        if is_plausible { timely(users::find_by_login(&provider.db, typed)).await? } else { ByLogin::NoUser };
    let not_found = match by_login {
        ByLogin::Several => SignInFailure::AddressShared,
        _ if !is_plausible => SignInFailure::NameImplausible,
        _ => SignInFailure::UserUnknown,
    };
    let found = by_login.one();
    let sub = found.as_ref().map(|user| user.sub.clone());
    let account = provider.secrets.account(sub.as_deref(), typed);
    let mut turn = provider.passwords.turn_for_person().await.map_err(|_| Problem::Busy)?;
    // It is counted on the very browser that is known: another name of the same browser would be a new counter.
    let name = browser.kept.as_ref().unwrap_or(browser_id);
    let is_known = found.as_ref().is_some_and(|user| is_known(provider, &browser.known, name, user));
    let known = is_known.then_some(name);
    let counted = throttle::sign_in(&provider.throttle, &provider.ephemeral, &account, network, known);
    let (attempt, session_has_ended) = tokio::join!(counted, has_ended(provider, session));
    let attempt = match attempt {
        Ok(attempt) => attempt,
        Err(Stopped::Later(later)) => return Ok(Proof::Later { sub, later }),
        Err(Stopped::Fault(error)) => return Err(error.into()),
    };
    if attempt.is_slowed() {
        drop(turn);
        if let Err(later) = provider.throttle.slow(&attempt).await {
            return Ok(Proof::Later { sub, later });
        }
        turn = provider.passwords.turn_for_person().await.map_err(|_| Problem::Busy)?;
    }
    if let Some(user) = found.as_ref().filter(|user| user.is_ambiguous) {
        tracing::warn!(sub = user.sub, "this person cannot sign in: a client has their sub as its client_id");
    }
    // Also of a user who may not sign in: only who proves the password is told that.
    let stored = found.as_ref().and_then(|user| {
        let hash = user.password_hash.as_deref()?;
        provider.passwords.tell_of("users", &user.sub, passwords::unusable(hash));
        Some(StoredHash { hash, is_prepared: user.password_is_prepared })
    });
    let typed = Typed::new(password);
    let answer_from = provider.passwords.answer_from(&typed);
    let verdict = provider.passwords.verify_person(turn, typed, stored).await.map_err(|_| Problem::Busy)?;
    let proof = match (found, verdict) {
        (Some(user), Verdict::Right(renewal)) if user.may_sign_in(asked.now) => {
            return Ok(Proof::Proven(Box::new(Proven {
                user,
                attempt,
                session_has_ended: session_has_ended?,
                renewal,
            })));
        }
        (Some(user), Verdict::Right(_)) if user.disabled_at.is_some() => {
            Proof::Barred { why: SignInFailure::UserDisabled, sub: user.sub, attempt }
        }
        (Some(user), Verdict::Right(_)) if user.is_locked(asked.now) => {
            Proof::Barred { why: SignInFailure::UserLocked, sub: user.sub, attempt }
        }
        (Some(user), verdict) => Proof::Wrong { why: why_not(&user, &verdict, asked.now), sub, attempt },
        (None, _) => Proof::Wrong { why: not_found, sub, attempt },
    };
    // Whatever was wrong, and whatever form the hash has: the turn at the gate is over, and no connection is held.
    provider.passwords.hold_back(answer_from).await;
    Ok(proof)
}

/// Why this user did not get in. What only the right password comes up against is no reason while it is wrong.
fn why_not(user: &User, verdict: &Verdict, now: NumericDate) -> SignInFailure {
    let is_right = matches!(verdict, Verdict::Right(_));
    let obstacles = SignInFailure::obstacles(user, now, |hash| passwords::unusable(hash).is_none());
    let met = |obstacle: &SignInFailure| {
        is_right || !matches!(obstacle, SignInFailure::SubIsClientId | SignInFailure::SecondFactorOverdue)
    };
    obstacles.into_iter().find(met).unwrap_or(SignInFailure::PasswordWrong)
}

/// Hashes a proven password as we would now, and writes that where the row has not changed meanwhile. Sign-ins and tokens keep
/// their mark. Where it fails, the next sign-in tries again.
pub(super) async fn renew(provider: Arc<Provider>, sub: String, credential: String, renewal: Renewal) {
    let before = renewal.before().to_owned();
    let Ok(Some(hash)) = provider.passwords.renew(renewal).await else { return };
    match users::renew_hash(&provider.db, &sub, &before, &hash, &credential).await {
        Ok(renewed) => tracing::debug!(sub, renewed, "the hash of a password was made anew"),
        Err(error) => {
            tracing::warn!(sub, %error, "the hash of a password could not be made anew; the next sign-in tries again");
        }
    }
}
