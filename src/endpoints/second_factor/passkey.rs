//! A passkey in place of a code: after the password or in a running session. Web Authentication Level 3, section 7.2.

use super::{Before, Candidate, Failed, Proof, Right, attempted, complete, fail, give_back};
use crate::caller::BrowserRequest;
use crate::endpoints::flow::Continued;
use crate::endpoints::login::beside::Beside;
use crate::endpoints::login::passkey::{bound_to, sent};
use crate::passkeys::{self, Bound, Checked, Purpose};
use crate::protocol::factor::{Factor, SignInFailure};
use crate::protocol::secret::BrowserId;
use crate::provider::Provider;
use crate::store::timely;
use crate::store::user_passkeys;
use crate::throttle::{FactorAttempt, Stopped};
use crate::web::answer::PageError;
use crate::web::pages::passkeys::PasskeyForm;
use axum::response::Response;
use std::sync::Arc;

/// What the page has for the browser: the passkeys of this user; `None`: there is none, or none can be for this issuer.
pub(super) async fn form(
    provider: &Provider,
    asked: &BrowserRequest,
    flow: &Continued,
    candidate: &Candidate<'_>,
) -> Result<Option<PasskeyForm>, PageError> {
    let (true, Some(browser)) = (candidate.user.has_passkey(), &asked.browser.id) else { return Ok(None) };
    let Some(ours) = &provider.relying_party else { return Ok(None) };
    let mut held = timely(user_passkeys::of_user(&provider.db, &candidate.user.sub)).await?;
    // No browser finds those of another host.
    held.retain(|row| row.rp_id == ours.id());
    if held.is_empty() {
        return Ok(None);
    }
    Ok(passkeys::ask(provider, &bound(browser, flow, candidate), &held, asked.now))
}

/// What the token of the form is bound to beside the interaction: whose it is, and the password that it is to confirm.
fn bound<'a>(browser: &'a BrowserId, flow: &'a Continued, candidate: &Candidate<'_>) -> Bound<'a> {
    let whose = format!("{} {}", candidate.name(), candidate.user.sub);
    bound_to(browser, flow, Purpose::Confirming, &whose)
}

/// A passkey was proven, and counted: it is looked at, and with it the sign-in is complete.
pub(super) async fn proven(
    provider: &Arc<Provider>,
    asked: &BrowserRequest,
    flow: &Continued,
    counted: Result<Option<FactorAttempt>, Stopped>,
    beside: Beside,
) -> Result<Response, PageError> {
    let (Some(candidate), Some(browser)) = (Candidate::of_form(flow, asked), &asked.browser.id) else {
        give_back(provider, counted).await?;
        return flow.redirect_to_authorize(provider);
    };
    let attempt = match attempted(provider, asked, flow, &candidate, counted, SignInFailure::PasskeysThrottled).await? {
        Ok(attempt) => attempt,
        Err(response) => return Ok(response),
    };
    let has_password = match candidate.before {
        Before::Password(_) => true,
        Before::Session(session) => Factor::of_amr(&session.sign_in.amr).contains(&Factor::Password),
    };
    let sent = sent(asked);
    let bound = bound(browser, flow, &candidate);
    let whose = Some((&**candidate.user, has_password));
    let (checked, session_has_ended) = tokio::join!(
        passkeys::check(provider, sent, &bound, whose, asked.now),
        candidate.session_has_ended(provider, flow, beside),
    );
    let session_has_ended = session_has_ended?;
    match checked? {
        Checked::Right(right) => {
            let by = Proof::Passkey(right.factor, sent.ceremony());
            complete(provider, asked, flow, &candidate, Right { by, attempt, session_has_ended }).await
        }
        Checked::Refused { why, of } => {
            let failed = Failed { why, later: None, passkey: of.map(|said| said.passkey_id) };
            fail(provider, asked, flow, &candidate, &failed).await
        }
        Checked::Outdated => {
            attempt.succeeded(&provider.ephemeral).await?;
            flow.redirect_to_authorize(provider)
        }
    }
}
