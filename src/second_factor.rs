//! The second factor of a user: a typed code is checked and spent, authenticators and recovery codes are listed and removed.
//!
//! `enrolment` adds them, `qr` draws what an authenticator app reads, `resealing` brings what older factor keys sealed under the
//! newest. How often a user may be wrong, and what a right code is worth, is decided by who asks. RFC 6238, RFC 4226.

pub mod enrolment;
mod qr;
pub mod resealing;

use crate::keys::factors::FactorKeySet;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::factor_secret::{FactorKind, FactorSealer as _, FactorSecret};
use crate::protocol::recovery_codes::{self, Kept, Spent};
use crate::protocol::time::NumericDate;
use crate::protocol::totp;
use crate::provider::Provider;
use crate::store::db::Db;
use crate::store::user_factors::{self, Stored};
use crate::store::{StoreError, timely};

/// The longest text that is looked at as a code, in bytes.
const MOST_TYPED: usize = 64;
/// How often a recovery code is looked for anew because another of the same user was used in that moment.
const TRIES: usize = recovery_codes::CODES;

/// What a code came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It was right, and is used up now.
    Right(RightCode),
    /// It is none of the user's.
    Wrong,
    /// It was right, and is used up since before.
    Used,
    /// No key opens any secret that it would be compared with, so that it was compared with none: the operator has to bring
    /// the key back. Beside a secret that opens, one that does not is as if it were not there, and what fails is `Wrong`: a
    /// guess that was compared has to count.
    Unreadable,
}

/// What kind of code was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RightCode {
    /// A code of an authenticator.
    Authenticator,
    /// A recovery code.
    RecoveryCode {
        /// How many the user has left.
        left: usize,
    },
}

/// Checks a typed code of a user against their authenticators and recovery codes, and spends it: one read, one write.
///
/// Spaces and hyphens do not matter; six digits are an authenticator's, anything else is a recovery code, in letters of any case.
/// At most 64 bytes are looked at. A code is right once, on whatever node
/// ([RFC 6238 section 5.2](https://www.rfc-editor.org/rfc/rfc6238#section-5.2)).
///
/// # Errors
/// The database failed, and it is not known whether the code was spent.
pub async fn check(provider: &Provider, sub: &str, typed: &str, now: NumericDate) -> Result<Checked, StoreError> {
    if typed.len() > MOST_TYPED {
        return Ok(Checked::Wrong);
    }
    let code = recovery_codes::plain(typed);
    let is_of_authenticator = code.len() == totp::DIGITS && code.bytes().all(|byte| byte.is_ascii_digit());
    let held = timely(user_factors::of_user(&provider.db, sub)).await?;
    if is_of_authenticator {
        return authenticator(provider, &held, &code, now).await;
    }
    recovery(provider, held, &code, now).await
}

/// The rows of a kind, each with its secret as far as a key opens it.
fn opened<'a>(
    keys: &FactorKeySet,
    held: &'a [Stored],
    kind: FactorKind,
    now: NumericDate,
) -> Vec<(&'a Stored, Option<FactorSecret>)> {
    let of_kind = held.iter().filter(|row| row.kind() == Some(kind));
    of_kind.map(|row| (row, keys.at(now).open(&row.sealed(), &row.owner()))).collect()
}

async fn authenticator(
    provider: &Provider,
    held: &[Stored],
    code: &str,
    now: NumericDate,
) -> Result<Checked, StoreError> {
    let keys = provider.factor_keys.current();
    let rows = opened(&keys, held, FactorKind::Totp, now);
    let found = rows.iter().find_map(|(row, secret)| {
        let secret = secret.as_ref()?;
        Some((*row, secret, totp::step_of(secret, code, now)?))
    });
    let Some((row, secret, step)) = found else {
        let is_unreadable = !rows.is_empty() && rows.iter().all(|(_, secret)| secret.is_none());
        return Ok(if is_unreadable { Checked::Unreadable } else { Checked::Wrong });
    };
    if !timely(user_factors::spend_step(&provider.db, &row.factor_id, step, now)).await? {
        return Ok(Checked::Used);
    }
    if keys.outdated(now).contains(&row.key_id) {
        // Not awaited: whether it can be done is nothing to who typed a right code.
        let (db, keys, row, secret) = (provider.db.clone(), keys.clone(), Stored::clone(row), secret.clone());
        tokio::spawn(async move { resealing::reseal(&db, &keys, &row, &secret, now).await });
    }
    Ok(Checked::Right(RightCode::Authenticator))
}

async fn recovery(
    provider: &Provider,
    mut held: Vec<Stored>,
    code: &str,
    now: NumericDate,
) -> Result<Checked, StoreError> {
    let keys = provider.factor_keys.current();
    for _ in 0..TRIES {
        let rows = opened(&keys, &held, FactorKind::RecoveryCodes, now);
        let Some((row, secret)) = rows.into_iter().next() else { return Ok(Checked::Wrong) };
        let Some(kept) = secret.as_ref().and_then(Kept::read) else { return Ok(Checked::Unreadable) };
        let after = match kept.spend(&row.sub, code) {
            Spent::Now(after) => after,
            Spent::Before => return Ok(Checked::Used),
            Spent::Never => return Ok(Checked::Wrong),
        };
        let Some(sealed) = keys.at(now).seal_anew(&row.sealed(), &after.secret(), &row.owner()) else {
            return Ok(Checked::Unreadable);
        };
        if timely(user_factors::spend_code(&provider.db, &row.factor_id, &row.secret, &sealed, now)).await? {
            let left = after.left();
            let event = Event::new(EventKind::RecoveryCodeUsed, now).of(&row.sub);
            provider.audit.record(event.with("left", left as u64));
            return Ok(Checked::Right(RightCode::RecoveryCode { left }));
        }
        let sub = row.sub.clone();
        held = timely(user_factors::of_user(&provider.db, &sub)).await?;
    }
    Err(StoreError::Late)
}

/// A factor as its user and operators are shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id, by which it is removed.
    pub factor_id: String,
    /// What it is, by its word in `user_factors.kind`.
    pub kind: String,
    /// What the user calls it.
    pub name: String,
    /// When it was added.
    pub created_at: NumericDate,
    /// When a code of it was used last.
    pub used_at: Option<NumericDate>,
    /// Of recovery codes, how many are left; `None` also where no key opens the row.
    pub left: Option<usize>,
    /// Whether a key opens it. A code of one that none opens signs in no user.
    pub is_readable: bool,
}

/// The factors of a user, the oldest first.
///
/// # Errors
/// The database failed.
pub async fn list(db: &Db, keys: &FactorKeySet, sub: &str, now: NumericDate) -> Result<Vec<Listed>, StoreError> {
    let held = timely(user_factors::of_user(db, sub)).await?;
    let listed = held.into_iter().map(|row| {
        let secret = keys.at(now).open(&row.sealed(), &row.owner());
        let is_list = row.kind() == Some(FactorKind::RecoveryCodes);
        let left = secret.as_ref().filter(|_| is_list).and_then(Kept::read).map(|kept| kept.left());
        Listed {
            left,
            is_readable: secret.is_some(),
            factor_id: row.factor_id,
            kind: row.kind,
            name: row.name,
            created_at: NumericDate(row.created_at),
            used_at: row.used_at.map(NumericDate),
        }
    });
    Ok(listed.collect())
}

/// What removes one factor, or all of them with the sign-ins that one opened.
pub use crate::store::user_factors::{Removed, remove, remove_unless_last, reset};
