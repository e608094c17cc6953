//! Passkeys of users: asked for, added and proven. By one alone a user signs in, or proves it after the password.
//! [Web Authentication Level 3](https://www.w3.org/TR/webauthn-3/) section 7; how often a user may fail, and what a proof is worth, is decided by who asks.
//!
//! What an answer is checked by travels with the form, under a token of ours that is bound to browser, form and purpose. That it counts
//! once is decided by the row of the passkey (`store::user_passkeys`); that one is added once, by a mark.

use crate::ambient::random;
use crate::protocol::authorization::REMEMBERED_FOR;
use crate::protocol::claims::User;
use crate::protocol::factor::{Factor, SignInFailure};
use crate::protocol::secret::{BrowserId, Digest, Handle, InteractionId, same_text};
use crate::protocol::text::label;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::user_factors::Added;
use crate::store::user_passkeys::{self, New, Stored, Used};
use crate::store::user_sessions::By;
use crate::store::{StoreError, timely, users};
use crate::web::pages::passkeys::PasskeyForm;
use crate::webauthn::{Answer, Ceremony, HANDLE_BYTES, Maker, Refused};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// How many a user may have.
pub const MOST_PASSKEYS: usize = 10;
/// How long a page may be open before its answer comes, in seconds: as long as its sign-in is remembered.
const LIFETIME: i64 = REMEMBERED_FOR;
/// How often a passkey is read anew because another proof of it was noted in that moment.
const TRIES: usize = 3;

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A new passkey of a user who is signed in.
    Adding,
    /// A sign-in by it alone.
    SigningIn,
    /// The proof beside a password, or in a running session.
    Confirming,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Adding => "adding",
            Self::SigningIn => "signing in",
            Self::Confirming => "confirming",
        }
    }
}

/// What a token is good for: nothing else, and nowhere else.
pub struct Bound<'a> {
    /// What the answer is for.
    pub purpose: Purpose,
    /// The browser.
    pub browser: &'a BrowserId,
    /// The form.
    pub form: &'a InteractionId,
    /// What it depends on besides: where that is another by now, the page is outdated.
    pub state: String,
}

/// What a form brought: as long as a parameter may be.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    /// The token.
    pub token: &'a str,
    /// What the browser answered, as JSON.
    pub answer: &'a str,
}

impl Sent<'_> {
    /// The name of the ceremony that it answers.
    #[must_use]
    pub fn ceremony(&self) -> Digest {
        Digest::of(&["ceremony", self.token])
    }
}

fn tag(provider: &Provider, bound: &Bound<'_>, content: &str) -> String {
    let Bound { purpose, browser, form, state } = bound;
    provider.secrets.ceremony_token(&[purpose.as_str(), browser.expose(), form.expose(), state, content])
}

fn sealed(provider: &Provider, bound: &Bound<'_>, ceremony: Ceremony, now: NumericDate) -> PasskeyForm {
    let content = format!("{}.{}", now.0, URL_SAFE_NO_PAD.encode(&ceremony.state));
    let token = format!("{content}.{}", tag(provider, bound, &content));
    PasskeyForm { options: ceremony.options, token, ..PasskeyForm::default() }
}

/// What the answer is checked by; `None`: the token is none of ours, is for something else, or is too old.
fn opened(provider: &Provider, bound: &Bound<'_>, token: &str, now: NumericDate) -> Option<String> {
    let (content, mac) = token.rsplit_once('.')?;
    if !same_text(&tag(provider, bound, content), mac) {
        return None;
    }
    let (at, state) = content.split_once('.')?;
    let is_young = now.since(NumericDate(at.parse().ok()?)) <= LIFETIME;
    is_young.then(|| URL_SAFE_NO_PAD.decode(state).ok()).flatten().and_then(|state| String::from_utf8(state).ok())
}

/// Asks for the proof of one of those passkeys, or where there are none of whichever the user chooses. `None`: no passkey can be for
/// this issuer.
#[must_use]
pub fn ask(provider: &Provider, bound: &Bound<'_>, among: &[Stored], now: NumericDate) -> Option<PasskeyForm> {
    let ceremony = provider.relying_party.as_ref()?.ask_to_prove(&ids(among))?;
    Some(sealed(provider, bound, ceremony, now))
}

fn ids(held: &[Stored]) -> Vec<&str> {
    held.iter().map(|row| row.credential_id.as_str()).collect()
}

/// What a proof came to.
pub enum Checked {
    /// It holds, and is used up now.
    Right(Box<Right>),
    /// It does not.
    Refused {
        /// Why.
        why: SignInFailure,
        /// Which passkey it is said to be, and whose.
        of: Option<Said>,
    },
    /// The page is outdated: begin anew.
    Outdated,
}

/// The passkey that an answer names.
pub struct Said {
    /// Whose.
    pub sub: String,
    /// Its id among the factors of the user.
    pub passkey_id: String,
}

/// A proof that holds.
pub struct Right {
    /// Whose.
    pub user: User,
    /// What it is worth.
    pub factor: Factor,
}

/// Checks what a browser answered, and notes that the passkey was used: two reads, one write.
///
/// Alone it is refused to a user who may not sign in, or who has another password since it was used last. `beside` is the user who has
/// proven the password, or whose session it is, and whether the password was: from then on it signs in alone.
///
/// # Errors
/// The database failed, and it is not known whether the proof was noted.
pub async fn check(
    provider: &Provider,
    sent: Sent<'_>,
    bound: &Bound<'_>,
    beside: Option<(&User, bool)>,
    now: NumericDate,
) -> Result<Checked, StoreError> {
    let (Some(relying_party), Some(state)) = (&provider.relying_party, opened(provider, bound, sent.token, now)) else {
        return Ok(Checked::Outdated);
    };
    let refused = |why, of| Ok(Checked::Refused { why, of });
    let Some(answer) = Answer::read(sent.answer) else { return refused(SignInFailure::PasskeyInvalid, None) };
    for _ in 0..TRIES {
        let found = timely(user_passkeys::find(&provider.db, &answer.credential_id())).await?;
        let is_theirs = |row: &Stored| beside.is_none_or(|(user, _)| user.sub == row.sub);
        let Some(row) = found.filter(is_theirs) else { return refused(SignInFailure::PasskeyUnknown, None) };
        // Sent once more: nothing is wrong with it, and its counter has not grown since.
        if row.ceremony.as_deref() == Some(sent.ceremony().as_str()) {
            return Ok(Checked::Outdated);
        }
        let said = || Some(Said { sub: row.sub.clone(), passkey_id: row.passkey_id.clone() });
        // Section 7.2, step 6: who is not known yet has to be told.
        let is_told = answer.user_handle().map(|handle| handle == row.user_handle);
        if is_told == Some(false) || (is_told.is_none() && beside.is_none()) {
            return refused(SignInFailure::PasskeyInvalid, said());
        }
        let proven = match relying_party.proven(&state, &answer, &row.passkey) {
            Ok(proven) => proven,
            Err(why) => return refused(why.at_sign_in(), said()),
        };
        let user = match beside {
            Some((user, _)) => user.clone(),
            None => match timely(users::find(&provider.db, &row.sub)).await? {
                Some(user) => user,
                None => return refused(SignInFailure::PasskeyUnknown, None),
            },
        };
        if let Some(why) = obstacle(&user, &row, now).filter(|_| beside.is_none()) {
            return refused(why, said());
        }
        let is_renewed = beside.is_none_or(|(_, has_password)| has_password);
        let credential = if is_renewed { &user.credential } else { &row.credential };
        let use_of_it = Used { before: &row, passkey: &proven.passkey, credential, ceremony: &sent.ceremony() };
        if timely(user_passkeys::used(&provider.db, &use_of_it, now)).await? {
            let factor = Factor::passkey(proven.is_backup_eligible);
            return Ok(Checked::Right(Box::new(Right { user, factor })));
        }
    }
    Err(StoreError::Late)
}

/// What keeps a user out who has proven this passkey and nothing else.
fn obstacle(user: &User, row: &Stored, now: NumericDate) -> Option<SignInFailure> {
    let is_held_back = user.credential != row.credential;
    SignInFailure::of_account(user, now).next().or(is_held_back.then_some(SignInFailure::PasskeyHeldBack))
}

impl Refused {
    /// Why a sign-in comes to nothing by it.
    const fn at_sign_in(self) -> SignInFailure {
        match self {
            Self::Unverified => SignInFailure::PasskeyUnverified,
            Self::NotGrown => SignInFailure::PasskeyCloned,
            Self::NotKept | Self::Invalid => SignInFailure::PasskeyInvalid,
        }
    }
}

/// Asks for a new passkey of a user, who has those, within so many seconds. Nothing is stored. `None`: no passkey can be for this issuer.
#[must_use]
pub fn ask_to_add(
    provider: &Provider,
    user: &User,
    bound: &Bound<'_>,
    held: &[Stored],
    (patience, now): (i64, NumericDate),
) -> Option<PasskeyForm> {
    let relying_party = provider.relying_party.as_ref()?;
    let handle = held.iter().find_map(|row| handle_of(&row.user_handle)).unwrap_or_else(random::<HANDLE_BYTES>);
    // Empty ones may have been written by hand, and none is made for those.
    let names = [Some(user.display_name()), user.username.as_deref(), user.email()];
    let display_name = names.into_iter().flatten().find(|name| !name.trim().is_empty()).unwrap_or("user");
    let name = names.into_iter().skip(1).flatten().find(|name| !name.trim().is_empty()).unwrap_or(display_name);
    let maker = Maker { handle, name, display_name, patience };
    let ceremony = relying_party.ask_to_make(&maker, &ids(held))?;
    Some(PasskeyForm { seconds: Some(patience), ..sealed(provider, bound, ceremony, now) })
}

fn handle_of(text: &str) -> Option<[u8; HANDLE_BYTES]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// What an addition came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addition {
    /// The user has it.
    Done,
    /// The user has ten.
    TooMany,
    /// It does not hold.
    Refused(Refused),
    /// The page is outdated, or was used: begin anew.
    Outdated,
}

/// Adds the passkey that a browser made, once.
///
/// # Errors
/// A store failed.
pub async fn add(
    provider: &Provider,
    user: &User,
    sent: Sent<'_>,
    name: &str,
    bound: &Bound<'_>,
    (by, now): (By<'_>, NumericDate),
) -> Result<Addition, StoreError> {
    let (Some(relying_party), Some(state)) = (&provider.relying_party, opened(provider, bound, sent.token, now)) else {
        return Ok(Addition::Outdated);
    };
    let made = match relying_party.made(&state, sent.answer) {
        Ok(made) => made,
        Err(why) => return Ok(Addition::Refused(why)),
    };
    // Once, also where it was removed since: its row would not tell.
    let mark = format!("enrolled:{}", sent.ceremony().as_str());
    if !provider.ephemeral.mark(&mark, LIFETIME).await? {
        return Ok(Addition::Outdated);
    }
    let passkey_id = Handle::to_be_typed(random()).text();
    let new = New {
        passkey_id: &passkey_id,
        user,
        user_handle: &made.user_handle,
        credential_id: &made.credential_id,
        rp_id: relying_party.id(),
        name: &label(name),
        passkey: &made.passkey,
        is_backup_eligible: made.is_backup_eligible,
    };
    let added = match timely(user_passkeys::add(&provider.db, &new, MOST_PASSKEYS, by, now)).await {
        Ok(added) => added,
        Err(error) => {
            // Nothing came of it: the form can be sent again.
            provider.ephemeral.delete(&mark).await?;
            return Err(error);
        }
    };
    Ok(match added {
        Added::Done => Addition::Done,
        Added::TooMany => Addition::TooMany,
        // Another passkey of that id is another user's, or the same was added before.
        Added::Before | Added::LinkGone | Added::NoUser => Addition::Outdated,
    })
}
