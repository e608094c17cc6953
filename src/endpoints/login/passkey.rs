//! A passkey at the login page: it says who the user is and proves it, and so is the whole sign-in. Web Authentication Level 3, section 7.2.

use super::beside::Beside;
use super::start::{self, Noted, Start, start_session};
use super::{Failed, LoginError, Tried, fail, note_days, signed_in};
use crate::caller::BrowserRequest;
use crate::endpoints::flow::Continued;
use crate::passkeys::{self, Bound, Checked, Purpose, Right, Sent};
use crate::protocol::audit::EventKind;
use crate::protocol::factor::SignInFailure;
use crate::protocol::secret::BrowserId;
use crate::provider::Provider;
use crate::store::StoreError;
use crate::throttle::{FactorAttempt, Stopped};
use crate::web::answer::PageError;
use crate::web::pages::passkeys::PasskeyForm;
use axum::response::Response;
use std::sync::Arc;

/// What the token of a form is bound to, and to whose passkey: once one was proven in the interaction, a page from before it is outdated.
pub(in crate::endpoints) fn bound_to<'a>(
    browser: &'a BrowserId,
    flow: &'a Continued,
    purpose: Purpose,
    whose: &str,
) -> Bound<'a> {
    let ceremony = flow.interaction.ceremony.as_ref().map_or("", |ceremony| ceremony.as_str());
    Bound { purpose, browser, form: &flow.id, state: format!("{ceremony} {whose}") }
}

/// What the page has for the browser; `None`: no passkey can be for this issuer.
pub(super) fn form(provider: &Provider, asked: &BrowserRequest, flow: &Continued) -> Option<PasskeyForm> {
    let browser = asked.browser.id.as_ref()?;
    passkeys::ask(provider, &bound_to(browser, flow, Purpose::SigningIn, ""), &[], asked.now)
}

/// What the form of a page brought.
pub(in crate::endpoints) fn sent(asked: &BrowserRequest) -> Sent<'_> {
    let field = |name| asked.params.get(name).unwrap_or_default();
    Sent { token: field("ceremony"), answer: field("credential") }
}

/// How long it counts as one event that a passkey may have been copied, of which its user is mailed: in seconds.
const CLONED_FOR: i64 = 86_400;

/// What kind of event a passkey is that came to nothing.
///
/// # Errors
/// The store failed.
pub(in crate::endpoints) async fn kind_of(
    provider: &Provider,
    why: SignInFailure,
    passkey: Option<&str>,
) -> Result<EventKind, StoreError> {
    let Some(passkey) = passkey.filter(|_| why == SignInFailure::PasskeyCloned) else {
        return Ok(EventKind::SignInFailed);
    };
    let is_first = provider.ephemeral.mark(&format!("cloned:{passkey}"), CLONED_FOR).await?;
    Ok(if is_first { EventKind::PasskeyCloned } else { EventKind::SignInFailed })
}

/// Whether what a form brought is of a passkey.
pub(in crate::endpoints) fn is_of_passkey(asked: &BrowserRequest) -> bool {
    asked.params.get("action") == Some("passkey")
}

/// A passkey was proven, and counted: it is looked at, and with it the sign-in is complete.
pub(super) async fn sign_in(
    provider: &Arc<Provider>,
    asked: &BrowserRequest,
    flow: &Continued,
    counted: Result<FactorAttempt, Stopped>,
    beside: Beside,
) -> Result<Response, PageError> {
    let Some(browser) = &asked.browser.id else { return flow.redirect_to_authorize(provider) };
    let attempt = match counted {
        Ok(attempt) => attempt,
        Err(Stopped::Later(later)) => {
            let why = SignInFailure::PasskeysThrottled;
            let failed = Failed { told: LoginError::TooMany(later), why, sub: None, slowed: false };
            return fail(provider, asked, flow, None, failed, Tried::Nothing).await;
        }
        Err(Stopped::Fault(error)) => return Err(error.into()),
    };
    let sent = sent(asked);
    let bound = bound_to(browser, flow, Purpose::SigningIn, "");
    let (checked, session_has_ended) =
        tokio::join!(passkeys::check(provider, sent, &bound, None, asked.now), beside.has_ended(provider, flow));
    let Right { mut user, factor } = match checked? {
        Checked::Right(right) => *right,
        Checked::Outdated => {
            attempt.succeeded(&provider.ephemeral).await?;
            return flow.redirect_to_authorize(provider);
        }
        Checked::Refused { why, of } => {
            let shown = match why {
                SignInFailure::UserDisabled => LoginError::Disabled,
                SignInFailure::UserLocked => LoginError::Locked,
                why => LoginError::Passkey(why),
            };
            let (sub, passkey) = of.map(|said| (said.sub, said.passkey_id)).unzip();
            let failed = Failed { told: shown, why, sub, slowed: false };
            return fail(provider, asked, flow, None, failed, Tried::Passkey(passkey)).await;
        }
    };
    note_days(provider, &mut user, asked.now).await?;
    let event = signed_in(provider, asked, flow, &user).with("amr", &[factor][..]);
    let proven = start::Proven {
        user,
        factors: vec![factor],
        since: asked.now,
        attempt: None,
        further: Some(attempt),
        noted: Noted { ceremony: Some(sent.ceremony()), ..Noted::default() },
        is_remembered: start::is_remembered(provider, asked),
        start: Start::SignIn,
        trusts: false,
        session_has_ended: session_has_ended?,
    };
    let response = Box::pin(start_session(provider, asked, flow, proven)).await?;
    provider.audit.record(event);
    Ok(response)
}
