//! Second factors of users about to be brought over: what of them is taken, and what was changed here and stays.
//!
//! Beside the digest of what the source said, the id of the row that came of it is kept: a factor that was removed or made anew here
//! is told from one that is as it was brought.

use super::SecondFactor;
use super::compare::{Digests, Verdict, decide, digest};
use crate::ambient::random;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::factor_secret::{FactorKind, FactorSealer, FactorSecret, Owner, Sealed};
use crate::protocol::recovery_codes::Kept;
use crate::protocol::secret::Handle;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Transaction;
use crate::store::user_factors::{self, New, Stored};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// What the digests call the rows that came of the source.
const MARK: &str = "factor:";

/// What findings and digests call the factors.
pub(super) const fn member(kind: FactorKind) -> &'static str {
    match kind {
        FactorKind::Totp => "authenticator",
        FactorKind::RecoveryCodes => "recovery_codes",
    }
}

fn mark(kind: FactorKind) -> String {
    format!("{MARK}{}", kind.as_str())
}

/// What is done about a factor.
pub(super) enum Change {
    /// It is stored.
    Add(FactorKind, String, Sealed),
    /// It gets another secret, unless its sealed one is not this any more.
    Replace(FactorKind, String, String, Sealed),
    /// It is removed.
    Remove(FactorKind, String),
}

/// What is found out about a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It was changed here, or on both sides, and stays.
    Stays(Verdict),
    /// No key here opens it, or none seals.
    NoKey,
}

/// The factors of one user.
pub(super) struct Factors<'a> {
    /// What seals and opens.
    pub sealer: Option<&'a dyn FactorSealer>,
    /// The user.
    pub sub: &'a str,
    /// What is here.
    pub here: &'a [Stored],
    /// What is done.
    pub changes: Vec<Change>,
    /// What is to be said.
    pub told: Vec<(FactorKind, Told)>,
}

/// What the source says of a kind, as the digest of it is made; the empty text of none.
///
/// Digests are stored in the clear. A recovery code of another program is short enough to be guessed at, so that the secret of
/// the authenticator, 80 bits at least ([`crate::protocol::totp::LEAST_SECRET_BYTES`]), is part of what is digested.
fn said(wanted: &SecondFactor, kind: FactorKind) -> Zeroizing<String> {
    let text = |secret: &FactorSecret| Zeroizing::new(STANDARD.encode(secret.expose()));
    // What is left of an authenticator that is switched off is none.
    let Some(authenticator) = wanted.authenticator.as_ref().map(text) else { return Zeroizing::default() };
    let mut codes: Vec<Zeroizing<String>> = wanted.recovery_codes.iter().map(text).collect();
    match kind {
        FactorKind::Totp => authenticator,
        FactorKind::RecoveryCodes if codes.is_empty() => Zeroizing::default(),
        FactorKind::RecoveryCodes => {
            codes.sort_unstable_by(|one, other| one.as_str().cmp(other));
            let texts: Vec<&str> = [&authenticator].into_iter().chain(&codes).map(|text| text.as_str()).collect();
            Zeroizing::new(texts.join(";"))
        }
    }
}

impl Factors<'_> {
    /// Compares what the source has with what is here and what it said last, and notes what is kept of it.
    pub fn compare(&mut self, wanted: &SecondFactor, digests: &mut Digests) {
        let has_authenticator = self.one(FactorKind::Totp, wanted, digests);
        // Recovery codes replace an authenticator: where there is none they are nothing.
        if has_authenticator || wanted.authenticator.is_none() {
            self.one(FactorKind::RecoveryCodes, wanted, digests);
        }
    }

    /// One kind of them; gives whether the user has any of it afterwards.
    fn one(&mut self, kind: FactorKind, wanted: &SecondFactor, digests: &mut Digests) -> bool {
        let name = member(kind);
        let last = digests.get(name).cloned().unwrap_or_default();
        let brought = digests.get(&mark(kind)).cloned().unwrap_or_default();
        let here: Vec<&Stored> = self.here.iter().filter(|row| row.kind() == Some(kind)).collect();
        let of_import = here.iter().find(|row| row.factor_id == brought).copied();
        let source = digest(self.sub, name, &said(wanted, kind));
        let now_here = match (of_import, here.as_slice()) {
            (Some(_), _) => last.clone(),
            (None, []) => String::new(),
            (None, [other, ..]) => digest(self.sub, name, &other.factor_id),
        };
        let verdict = decide(&last, &source, &now_here);
        if matches!(verdict, Verdict::ChangedHere | Verdict::ChangedOnBoth) {
            self.told.push((kind, Told::Stays(verdict)));
            return !here.is_empty();
        }
        if verdict == Verdict::Take {
            let Some(change) = self.change(kind, wanted, of_import) else {
                self.told.push((kind, Told::NoKey));
                return !here.is_empty();
            };
            match &change {
                Change::Add(_, factor_id, _) => digests.insert(mark(kind), factor_id.clone()),
                Change::Replace(..) => None,
                Change::Remove(..) => digests.remove(&mark(kind)),
            };
            self.changes.push(change);
        }
        if source.is_empty() {
            digests.remove(name);
            here.len() > usize::from(of_import.is_some())
        } else {
            digests.insert(name.to_owned(), source);
            true
        }
    }

    /// What makes the factor what the source has; `None`: no key opens it, or none seals.
    fn change(&self, kind: FactorKind, wanted: &SecondFactor, of_import: Option<&Stored>) -> Option<Change> {
        let secret = match kind {
            FactorKind::Totp => wanted.authenticator.clone(),
            FactorKind::RecoveryCodes => {
                let codes = wanted.recovery_codes.iter().map(FactorSecret::expose);
                let kept = Kept::of(self.sub, codes);
                (wanted.authenticator.is_some() && kept.left() > 0).then(|| kept.secret())
            }
        };
        match (secret, of_import) {
            (None, None) => None,
            (None, Some(row)) => Some(Change::Remove(kind, row.factor_id.clone())),
            (Some(secret), None) => {
                let factor_id = Handle::to_be_typed(random()).text();
                let owner = Owner { sub: self.sub, kind: kind.as_str(), factor_id: &factor_id };
                let sealed = self.sealer?.seal(&secret, &owner)?;
                Some(Change::Add(kind, factor_id, sealed))
            }
            (Some(secret), Some(row)) => {
                let keys = self.sealer?;
                let secret = if kind == FactorKind::RecoveryCodes {
                    let before = Kept::read(&keys.open(&row.sealed(), &row.owner())?)?;
                    before.replaced_by(Kept::read(&secret)?).secret()
                } else {
                    secret
                };
                let sealed = keys.seal_anew(&row.sealed(), &secret, &row.owner())?;
                Some(Change::Replace(kind, row.factor_id.clone(), row.secret.clone(), sealed))
            }
        }
    }
}

/// Writes a change. `false`: what it would replace is another since a moment.
///
/// # Errors
/// The database failed.
pub(super) async fn write(
    transaction: &mut Transaction,
    sub: &str,
    change: &Change,
    now: NumericDate,
) -> Result<bool, StoreError> {
    match change {
        Change::Add(kind, factor_id, sealed) => {
            let owner = Owner { sub, kind: kind.as_str(), factor_id };
            user_factors::insert_in(transaction, &New { owner, name: "", sealed, last_step: 0 }, now).await
        }
        Change::Replace(_, factor_id, before, sealed) => {
            user_factors::replace_in(transaction, factor_id, before, sealed, now).await
        }
        Change::Remove(_, factor_id) => user_factors::remove_in(transaction, sub, factor_id).await,
    }
}

/// The event of a change of a user who is here.
pub(super) fn event(sub: &str, change: &Change, now: NumericDate) -> Event {
    let event = match change {
        Change::Add(FactorKind::Totp, ..) | Change::Replace(FactorKind::Totp, ..) => user_factors::added(sub, now),
        Change::Add(..) | Change::Replace(..) => Event::new(EventKind::RecoveryCodesMade, now).of(sub),
        Change::Remove(kind, _) => user_factors::removed(sub, kind.as_str(), now),
    };
    event.with("by", "operator").with("imported", true)
}
