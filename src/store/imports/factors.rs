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

/// What the digests call the rows that came of the source. That of recovery codes stays when its row is removed here.
const MARK: &str = "factor:";
/// What the digests call authenticators of the source that were removed here, and how many are remembered.
const REMOVED: &str = "removed:totp";
const MOST_REMOVED: usize = 10;

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
    /// Recovery codes of which none is left; those that were used stay so. It has the row, the sealed secret of before, and another.
    Empty(String, String, Sealed),
    /// It is removed; with a sealed secret, unless it is not that one any more.
    Remove(FactorKind, String, Option<String>),
}

impl Change {
    /// Whether a user has an authenticator by it whom an older version would let in without.
    pub const fn adds_authenticator(&self) -> bool {
        matches!(self, Self::Add(FactorKind::Totp, ..))
    }
}

/// What is found out about a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It was changed here, or on both sides, and stays.
    Stays(Verdict),
    /// It was removed here, and the source has switched the same one on again.
    StaysRemoved,
    /// The source has switched it off.
    SwitchedOff,
    /// No key here opens it, or none seals.
    NoKey,
}

/// No key here opens what would be changed, or none seals.
struct NoKey;

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

impl<'a> Factors<'a> {
    /// Compares what the source has with what is here and what it said last, and notes what is kept of it.
    pub fn compare(&mut self, wanted: &SecondFactor, digests: &mut Digests) {
        let had = self.of_import(FactorKind::Totp, digests).is_some();
        let has_none = wanted.authenticator.is_none() && self.of_kind(FactorKind::Totp).next().is_none();
        let has = self.one(FactorKind::Totp, wanted, digests);
        // Recovery codes are of an authenticator: those of the source are none of one that the user added here.
        let is_about_codes = had || has || has_none;
        if is_about_codes && !(wanted.has_broken_codes && self.knows_codes(wanted, digests)) {
            self.one(FactorKind::RecoveryCodes, wanted, digests);
        }
    }

    fn of_kind(&self, kind: FactorKind) -> impl Iterator<Item = &'a Stored> {
        self.here.iter().filter(move |row| row.kind() == Some(kind))
    }

    /// The row that came of the source, where it is here still.
    fn of_import(&self, kind: FactorKind, digests: &Digests) -> Option<&'a Stored> {
        let brought = digests.get(&mark(kind))?;
        self.of_kind(kind).find(|row| row.factor_id == *brought)
    }

    /// Whether nothing is gained by codes of which some are broken: what is here of them stays.
    fn knows_codes(&self, wanted: &SecondFactor, digests: &Digests) -> bool {
        let kind = FactorKind::RecoveryCodes;
        wanted.recovery_codes.is_empty() || digests.contains_key(&mark(kind)) || self.of_kind(kind).next().is_some()
    }

    /// One kind of them; gives whether the user has that of the source afterwards.
    fn one(&mut self, kind: FactorKind, wanted: &SecondFactor, digests: &mut Digests) -> bool {
        let name = member(kind);
        let last = digests.get(name).cloned().unwrap_or_default();
        let of_import = self.of_import(kind, digests);
        // It came of the source, and was removed here.
        let is_gone = of_import.is_none() && digests.contains_key(&mark(kind));
        let source = digest(self.sub, name, &said(wanted, kind));
        let now_here = match (of_import, self.of_kind(kind).next()) {
            (Some(_), _) => last.clone(),
            (None, None) => String::new(),
            (None, Some(other)) => digest(self.sub, name, &other.factor_id),
        };
        let stays = match decide(&last, &source, &now_here) {
            verdict @ (Verdict::ChangedHere | Verdict::ChangedOnBoth) => Some(Told::Stays(verdict)),
            // Which of them were used is not known any more.
            Verdict::Take if is_gone && kind == FactorKind::RecoveryCodes => Some(Told::Stays(Verdict::ChangedHere)),
            Verdict::Take if removed_here(digests, kind).any(|digest| digest == source) => Some(Told::StaysRemoved),
            Verdict::Take => match self.change(kind, wanted, of_import) {
                Ok(change) => {
                    if let Some(change) = change {
                        self.note(kind, change, digests);
                    }
                    None
                }
                Err(NoKey) => Some(Told::NoKey),
            },
            Verdict::Same => {
                if is_gone && kind == FactorKind::Totp {
                    note_removed_here(digests, &last);
                }
                None
            }
        };
        if let Some(told) = stays {
            self.told.push((kind, told));
            return of_import.is_some();
        }
        if source.is_empty() {
            digests.remove(name);
            return false;
        }
        digests.insert(name.to_owned(), source);
        true
    }

    /// Notes a change that is done.
    fn note(&mut self, kind: FactorKind, change: Change, digests: &mut Digests) {
        match &change {
            Change::Add(_, factor_id, _) => {
                digests.insert(mark(kind), factor_id.clone());
            }
            Change::Replace(..) | Change::Empty(..) => {}
            Change::Remove(..) => {
                digests.remove(&mark(kind));
                if kind == FactorKind::Totp {
                    self.told.push((kind, Told::SwitchedOff));
                }
            }
        }
        self.changes.push(change);
    }

    /// What makes the factor what the source has; `None`: it is so already.
    fn change(
        &self,
        kind: FactorKind,
        wanted: &SecondFactor,
        of_import: Option<&Stored>,
    ) -> Result<Option<Change>, NoKey> {
        let secret = match (kind, &wanted.authenticator) {
            (FactorKind::Totp, authenticator) => authenticator.clone(),
            (FactorKind::RecoveryCodes, None) => None,
            (FactorKind::RecoveryCodes, Some(_)) => {
                let kept = Kept::of(self.sub, wanted.recovery_codes.iter().map(FactorSecret::expose));
                (kept.left() > 0).then(|| kept.secret())
            }
        };
        match (secret, of_import) {
            (secret, Some(row)) if kind == FactorKind::RecoveryCodes => self.change_of_codes(secret.as_ref(), row),
            (None, None) => Ok(None),
            (None, Some(row)) => Ok(Some(Change::Remove(kind, row.factor_id.clone(), None))),
            (Some(secret), None) => {
                let factor_id = Handle::to_be_typed(random()).text();
                let owner = Owner { sub: self.sub, kind: kind.as_str(), factor_id: &factor_id };
                let sealed = self.sealer.and_then(|keys| keys.seal(&secret, &owner)).ok_or(NoKey)?;
                Ok(Some(Change::Add(kind, factor_id, sealed)))
            }
            (Some(secret), Some(row)) => {
                let sealed = self.sealer.and_then(|keys| keys.seal_anew(&row.sealed(), &secret, &row.owner()));
                Ok(Some(Change::Replace(kind, row.factor_id.clone(), row.secret.clone(), sealed.ok_or(NoKey)?)))
            }
        }
    }

    /// The same of recovery codes that are here: those that were used here stay so, whatever the source says meanwhile.
    fn change_of_codes(&self, secret: Option<&FactorSecret>, row: &Stored) -> Result<Option<Change>, NoKey> {
        let keys = self.sealer.ok_or(NoKey)?;
        let before = keys.open(&row.sealed(), &row.owner()).as_ref().and_then(Kept::read).ok_or(NoKey)?;
        let said = secret.map_or_else(|| Some(Kept::default()), Kept::read).ok_or(NoKey)?;
        let after = before.replaced_by(said);
        let (factor_id, sealed_before) = (row.factor_id.clone(), row.secret.clone());
        if secret.is_none() && !before.has_used() {
            return Ok(Some(Change::Remove(FactorKind::RecoveryCodes, factor_id, Some(sealed_before))));
        }
        if after.is_same(&before) {
            return Ok(None);
        }
        let sealed = keys.seal_anew(&row.sealed(), &after.secret(), &row.owner()).ok_or(NoKey)?;
        Ok(Some(match secret {
            None => Change::Empty(factor_id, sealed_before, sealed),
            Some(_) => Change::Replace(FactorKind::RecoveryCodes, factor_id, sealed_before, sealed),
        }))
    }
}

/// Digests of secrets of the source that were removed here, before the source switched them off.
fn removed_here(digests: &Digests, kind: FactorKind) -> impl Iterator<Item = &str> {
    let kept = digests.get(REMOVED).filter(|_| kind == FactorKind::Totp);
    kept.into_iter().flat_map(|digests| digests.split(' '))
}

/// The source has switched off an authenticator that was removed here: the same one is not taken when it is switched on again.
fn note_removed_here(digests: &mut Digests, last: &str) {
    digests.remove(&mark(FactorKind::Totp));
    let mut removed: Vec<String> = removed_here(digests, FactorKind::Totp).map(str::to_owned).collect();
    if last.is_empty() || removed.iter().any(|digest| digest == last) {
        return;
    }
    removed.push(last.to_owned());
    let further = removed.len().saturating_sub(MOST_REMOVED);
    digests.insert(REMOVED.to_owned(), removed[further..].join(" "));
}

/// Writes a change. `false`: what it would replace or add to is another since a moment.
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
        Change::Replace(_, factor_id, before, sealed) | Change::Empty(factor_id, before, sealed) => {
            user_factors::replace_in(transaction, factor_id, before, sealed, now).await
        }
        Change::Remove(_, factor_id, None) => user_factors::remove_in(transaction, sub, factor_id).await,
        Change::Remove(_, factor_id, Some(before)) => {
            user_factors::remove_as_read_in(transaction, factor_id, before).await
        }
    }
}

/// The events of a change of a user who is here.
pub(super) fn events(sub: &str, change: &Change, now: NumericDate) -> Vec<Event> {
    let events = match change {
        Change::Add(FactorKind::Totp, ..) => vec![user_factors::added(sub, now)],
        // It is another authenticator, in the row of the one that was there.
        Change::Replace(FactorKind::Totp, ..) => {
            vec![user_factors::removed(sub, FactorKind::Totp.as_str(), now), user_factors::added(sub, now)]
        }
        Change::Add(..) | Change::Replace(..) => vec![Event::new(EventKind::RecoveryCodesMade, now).of(sub)],
        Change::Empty(..) => vec![user_factors::removed(sub, FactorKind::RecoveryCodes.as_str(), now)],
        Change::Remove(kind, ..) => vec![user_factors::removed(sub, kind.as_str(), now)],
    };
    events.into_iter().map(|event| event.with("by", "operator").with("imported", true)).collect()
}
