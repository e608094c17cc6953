//! How a user comes by a second factor: an authenticator is started, shown, and added with the first code of it; recovery codes are
//! made and shown once.
//!
//! Until the first code is typed the secret is nowhere but in the form, sealed by the factor key for that user and for ten minutes.

use super::qr;
use crate::ambient::random;
use crate::failure::Failure;
use crate::keys::factors::FactorKeySet;
use crate::protocol::claims::User;
use crate::protocol::factor_secret::{FactorKind, FactorSealer as _, FactorSecret, Owner, Sealed};
use crate::protocol::recovery_codes::{self, CODES, Kept};
use crate::protocol::secret::{Digest, Handle, LinkSecret};
use crate::protocol::text::label;
use crate::protocol::time::NumericDate;
use crate::protocol::totp::{self, SECRET_BYTES, Shown};
use crate::provider::Provider;
use crate::store::user_factors::{self, Added, New};
use crate::store::user_sessions::By;
use crate::store::{StoreError, timely};
use zeroize::Zeroizing;

/// How many authenticators a user may have.
pub const MOST_AUTHENTICATORS: i64 = 5;
/// How long an enrolment may take, in seconds.
pub const ENROLMENT_LIFETIME: i64 = 600;
/// What the seal of an enrolment is bound to beside the user.
const ENROLMENT: &str = "enrolment";
/// The longest token of an enrolment, in bytes.
const MOST_TOKEN: usize = 512;
/// Bytes in front of the secret in a token: id of the factor, end.
const ID: usize = 16;
const END: usize = 8;

/// An authenticator that is not yet a factor.
#[derive(Debug)]
pub struct Enrolment {
    secret: FactorSecret,
    token: String,
    issuer: String,
    account: String,
}

impl Enrolment {
    /// What the form brings back: the sealed secret.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What an authenticator app reads: `otpauth://…`, a link on a telephone.
    #[must_use]
    pub fn uri(&self) -> Shown {
        totp::uri(&self.secret, &self.issuer, &self.account)
    }

    /// The secret to be typed, in groups of four.
    #[must_use]
    pub fn typed(&self) -> Shown {
        totp::typed_secret(&self.secret)
    }

    /// The same as a QR code: the modules of a side, and the path of what is dark, as `d` of SVG has it. `None`: issuer and account
    /// are too long for one; then the secret has to be typed.
    #[must_use]
    pub fn picture(&self) -> Option<(usize, Shown)> {
        picture_of(self.uri().expose())
    }

    /// The enrolment of a token that is good still, to be shown once more.
    #[must_use]
    pub fn again(provider: &Provider, user: &User, completion: Completion<'_>, now: NumericDate) -> Option<Self> {
        let Completion { token, link, .. } = completion;
        let (_, secret) = opened(&provider.factor_keys.current(), user, token, link, now)?;
        Some(Self::of(provider, user, secret, token.to_owned()))
    }

    fn of(provider: &Provider, user: &User, secret: FactorSecret, token: String) -> Self {
        let organization = provider.config.organization.name.as_deref();
        let issuer = organization.map_or_else(|| host_of(&provider.config.issuer), str::to_owned);
        let account = user.username.as_deref().unwrap_or_else(|| user.display_name()).to_owned();
        Self { secret, token, issuer, account }
    }
}

/// A text as a QR code, as `Enrolment::picture` gives it.
#[must_use]
pub fn picture_of(text: &str) -> Option<(usize, Shown)> {
    qr::draw(text).map(|(size, path)| (size, Shown::new(path)))
}

/// What the token of an enrolment is bound to beside the user: the password that was proven, and the link that allows it.
fn bound_to(user: &User, link: Option<&LinkSecret>) -> String {
    let link = link.map(|link| link.digest().as_str().to_owned()).unwrap_or_default();
    Digest::of(&[ENROLMENT, &user.credential, &link]).as_str().to_owned()
}

/// Begins to add an authenticator, by a link that allows it or by a fresh sign-in. Nothing is stored.
///
/// # Errors
/// No factor key seals now; what the operator can do.
pub fn begin_enrolment(
    provider: &Provider,
    user: &User,
    link: Option<&LinkSecret>,
    now: NumericDate,
) -> Result<Enrolment, Failure> {
    let keys = provider.factor_keys.current();
    let secret = FactorSecret::new(random::<SECRET_BYTES>());
    let end = now.plus(ENROLMENT_LIFETIME).0.to_be_bytes();
    let content = Zeroizing::new([&random::<ID>()[..], &end, secret.expose()].concat());
    let bound = bound_to(user, link);
    let owner = Owner { sub: &user.sub, kind: ENROLMENT, factor_id: &bound };
    let sealed = keys.at(now).seal(&FactorSecret::new(content.as_slice()), &owner);
    let sealed = sealed.ok_or_else(|| keys.missing(now))?;
    Ok(Enrolment::of(provider, user, secret, format!("{}.{}", sealed.key_id, sealed.text)))
}

/// What an installation is called that says no name: its host.
fn host_of(issuer: &str) -> String {
    url::Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// What the form of an enrolment brings.
#[derive(Clone, Copy)]
pub struct Completion<'a> {
    /// The token of the enrolment.
    pub token: &'a str,
    /// The first code of the authenticator, as it was typed.
    pub typed: &'a str,
    /// What the user calls the authenticator; may be empty. It is cut at 64 characters.
    pub name: &'a str,
    /// The one-time link that allows it, and is spent with it: it is for the first authenticator alone. `None`: a fresh sign-in does.
    pub link: Option<&'a LinkSecret>,
}

/// What an enrolment came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// The authenticator is a factor; its first code is used up.
    Done {
        /// Its id.
        factor_id: String,
    },
    /// The code is none of the authenticator's; another may be typed.
    WrongCode,
    /// The enrolment is over, was another user's or was completed before: begin anew.
    Expired,
    /// The user has five; or has one, and a link allowed the first.
    TooMany,
    /// The link was used, or has ended.
    LinkGone,
}

/// Adds an authenticator with the first code of it, once.
///
/// # Errors
/// The database failed.
pub async fn complete_enrolment(
    provider: &Provider,
    user: &User,
    completion: Completion<'_>,
    by: By<'_>,
    now: NumericDate,
) -> Result<Completed, StoreError> {
    let keys = provider.factor_keys.current();
    let sub = user.sub.as_str();
    let Some((factor_id, secret)) = opened(&keys, user, completion.token, completion.link, now) else {
        return Ok(Completed::Expired);
    };
    let Some(last_step) = totp::step_of(&secret, &recovery_codes::plain(completion.typed), now) else {
        return Ok(Completed::WrongCode);
    };
    let own = Owner { sub, kind: FactorKind::Totp.as_str(), factor_id: &factor_id };
    // The key that sealed the token may have been retired since: the form is made anew then.
    let Some(sealed) = keys.at(now).seal(&secret, &own) else { return Ok(Completed::Expired) };
    // Once, also where the factor was removed since: its row would not tell.
    let mark = format!("enrolled:{factor_id}");
    if !provider.ephemeral.mark(&mark, ENROLMENT_LIFETIME).await? {
        return Ok(Completed::Expired);
    }
    let name = label(completion.name);
    let new = New { owner: own, name: &name, sealed: &sealed, last_step };
    let most = if completion.link.is_some() { 1 } else { MOST_AUTHENTICATORS };
    let adding = user_factors::add_authenticator(&provider.db, user, &new, most, completion.link, by, now);
    let added = timely(adding).await?;
    Ok(match added {
        Added::Done => Completed::Done { factor_id },
        Added::TooMany => {
            // One may be removed, and the form sent again.
            provider.ephemeral.delete(&mark).await?;
            Completed::TooMany
        }
        Added::LinkGone => Completed::LinkGone,
        Added::Before | Added::NoUser => Completed::Expired,
    })
}

/// What is in a token: the id that the factor gets, and the secret.
fn opened(
    keys: &FactorKeySet,
    user: &User,
    token: &str,
    link: Option<&LinkSecret>,
    now: NumericDate,
) -> Option<(String, FactorSecret)> {
    let (key_id, text) = token.split_once('.').filter(|_| token.len() <= MOST_TOKEN)?;
    let sealed = Sealed { text: text.to_owned(), key_id: key_id.to_owned() };
    let bound = bound_to(user, link);
    let content = keys.at(now).open(&sealed, &Owner { sub: &user.sub, kind: ENROLMENT, factor_id: &bound })?;
    let (id, rest) = content.expose().split_at_checked(ID)?;
    let (end, secret) = rest.split_at_checked(END)?;
    let end = NumericDate(i64::from_be_bytes(end.try_into().ok()?));
    let id = Handle::to_be_typed(id.try_into().ok()?).text();
    (!end.is_past(now)).then(|| (id, FactorSecret::new(secret)))
}

/// What the making of recovery codes came to.
#[derive(Debug)]
pub enum Made {
    /// These, which are shown once.
    Codes(Vec<Shown>),
    /// No factor key seals now; what the operator can do.
    NoKey(Failure),
    /// There is no such user.
    NoUser,
}

/// Whether a factor key seals now: without one, no recovery codes can be made.
///
/// # Errors
/// None does; what the operator can do.
pub fn may_seal(provider: &Provider, now: NumericDate) -> Result<(), Failure> {
    let keys = provider.factor_keys.current();
    keys.sealing(now).map(drop).ok_or_else(|| keys.missing(now))
}

/// Makes recovery codes for a user who has none; `None`: they have some, used up or not.
///
/// # Errors
/// The database failed.
pub async fn first_recovery_codes(
    provider: &Provider,
    sub: &str,
    by: By<'_>,
    now: NumericDate,
) -> Result<Option<Made>, StoreError> {
    if timely(user_factors::has_recovery_codes(&provider.db, sub)).await? {
        return Ok(None);
    }
    new_recovery_codes(provider, sub, by, now).await.map(Some)
}

/// Makes ten recovery codes, which replace those there are.
///
/// # Errors
/// The database failed, and then the old ones are good still.
pub async fn new_recovery_codes(
    provider: &Provider,
    sub: &str,
    by: By<'_>,
    now: NumericDate,
) -> Result<Made, StoreError> {
    make_recovery_codes(provider, (sub, None), by, now).await
}

/// The same for a user who proved all that the account had then; `NoUser`: it has more by now.
///
/// # Errors
/// The database failed, and then the old ones are good still.
pub async fn other_recovery_codes(
    provider: &Provider,
    proven: &User,
    by: By<'_>,
    now: NumericDate,
) -> Result<Made, StoreError> {
    make_recovery_codes(provider, (&proven.sub, Some(proven)), by, now).await
}

async fn make_recovery_codes(
    provider: &Provider,
    (sub, proven): (&str, Option<&User>),
    by: By<'_>,
    now: NumericDate,
) -> Result<Made, StoreError> {
    let keys = provider.factor_keys.current();
    let codes: Vec<Shown> = (0..CODES).map(|_| recovery_codes::code_of(random())).collect();
    let plain: Vec<Zeroizing<String>> = codes.iter().map(|code| recovery_codes::plain(code.expose())).collect();
    let kept = Kept::of(sub, plain.iter().map(|code| code.as_bytes()));
    let factor_id = Handle::to_be_typed(random()).text();
    let own = Owner { sub, kind: FactorKind::RecoveryCodes.as_str(), factor_id: &factor_id };
    let Some(sealed) = keys.at(now).seal(&kept.secret(), &own) else { return Ok(Made::NoKey(keys.missing(now))) };
    let new = New { owner: own, name: "", sealed: &sealed, last_step: 0 };
    let is_stored = timely(user_factors::put_recovery_codes(&provider.db, &new, proven, by, now)).await?;
    Ok(if is_stored { Made::Codes(codes) } else { Made::NoUser })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_without_a_name_is_called_by_its_host() {
        assert_eq!(host_of("https://id.example.com/auth"), "id.example.com");
    }
}
