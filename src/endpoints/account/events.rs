//! `/account/events`: what happened lately at the account, in words of its user.

use super::Visit;
use crate::caller::BrowserRequest;
use crate::protocol::audit::EventKind;
use crate::protocol::factor::SignInFailure;
use crate::protocol::own_page::OwnPage;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::timely;
use crate::store::user_events::{self, Place, Told};
use crate::store::user_links::Purpose;
use crate::store::user_passkeys::KIND;
use crate::texts::{Text, text};
use crate::web::answer::PageError;
use crate::web::pages::Chrome;
use crate::web::pages::account::{EventLine, EventsPage, Moment};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;

/// For how many days events are shown, at most.
const DAYS: i64 = 90;
const DAY: i64 = 86_400;

/// The page.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let here = match Visit::open(&provider, &asked, OwnPage::Events, false).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    let days = provider.config.audit_retention.map_or(DAYS, |kept| kept.min(DAYS));
    let before = asked.params.get("before").and_then(Place::parse);
    let since = here.now.plus(-days * DAY);
    let (found, older) = timely(user_events::page(&provider.db, &here.user.sub, since, before)).await?;
    let page = EventsPage {
        page: Chrome::new(&provider.config, &text("events-heading")),
        tabs: here.tabs(&provider, &asked),
        days,
        events: found.into_iter().filter_map(line).collect(),
        older: older.map(|place| place.as_text()),
    };
    Ok(here.render(&provider, StatusCode::OK, &page))
}

/// An event as the page has it.
fn line(told: Told) -> Option<EventLine> {
    let kind = EventKind::ALL.iter().copied().find(|kind| kind.as_str() == told.event)?;
    let detail: Value = told.detail.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    Some(EventLine {
        at: Moment::of(NumericDate(told.at)),
        what: what(kind, &detail)?,
        is_warning: matches!(kind, EventKind::SignInFailed | EventKind::SignInThrottled | EventKind::PasskeyCloned),
        service: told.client_name.filter(|name| !name.is_empty()).or(told.client_id),
        network: told.network,
    })
}

/// What happened, in words of the user; `None`: the user is not told of it.
fn what(kind: EventKind, detail: &Value) -> Option<Text<'static>> {
    Some(match kind {
        EventKind::SignIn if detail["trusts_browser"] == true => text("event-sign-in-trusting"),
        EventKind::SignIn => text("event-sign-in"),
        EventKind::StepUp => text("event-step-up"),
        EventKind::SignInFailed if detail["reason"] == SignInFailure::CodeWrong.as_str() => text("event-code-wrong"),
        EventKind::SignInFailed if detail["reason"] == SignInFailure::CodeUsed.as_str() => text("event-code-spent"),
        EventKind::SignInFailed if detail["reason"] == SignInFailure::PasskeyCloned.as_str() => {
            text("event-passkey-cloned")
        }
        EventKind::SignInFailed if detail["after_password"] == true => text("event-passkey-failed-after-password"),
        EventKind::SignInFailed if is_of_passkey(&detail["reason"]) => text("event-passkey-failed"),
        EventKind::SignInFailed => text("event-sign-in-failed"),
        EventKind::SignInThrottled if detail["reason"] == SignInFailure::CodesThrottled.as_str() => {
            text("event-codes-throttled")
        }
        EventKind::SignInThrottled => text("event-sign-in-throttled"),
        EventKind::SignOut => text("event-sign-out"),
        EventKind::EntryRefused => text("event-entry-refused"),
        EventKind::ConsentGiven => text("event-consent-given"),
        EventKind::ConsentDenied => text("event-consent-denied"),
        EventKind::ConsentWithdrawn => text("event-consent-withdrawn"),
        EventKind::UserAdded => text("event-user-added"),
        EventKind::UserPasswordSet => text("event-password-set"),
        EventKind::UserPasswordChanged => text("event-password-changed"),
        EventKind::UserPasswordReset => text("event-password-reset"),
        EventKind::UserLinkMade if detail["purpose"] == Purpose::Email.as_str() => text("event-email-link-made"),
        EventKind::UserLinkMade if detail["mailed"] == true && detail["purpose"] == Purpose::Factor.as_str() => {
            text("event-mailed-factor-link-made")
        }
        EventKind::UserLinkMade if detail["mailed"] == true => text("event-mailed-link-made"),
        EventKind::UserLinkMade if detail["purpose"] == Purpose::Factor.as_str() => text("event-factor-link-made"),
        EventKind::UserLinkMade => text("event-link-made"),
        EventKind::UserLinksEnded => text("event-links-ended"),
        EventKind::UserDisabled => text("event-user-disabled"),
        EventKind::UserEnabled => text("event-user-enabled"),
        EventKind::UserEdited => text("event-user-edited"),
        EventKind::UserExported => text("event-user-exported"),
        EventKind::UserSessionsEnded if detail["by"] == "operator" => text("event-sessions-ended-by-operator"),
        EventKind::UserSessionsEnded => text("event-sessions-ended"),
        EventKind::BrowsersUntrusted => text("event-browsers-untrusted"),
        EventKind::DeletionRequested => text("event-deletion-requested"),
        EventKind::DeletionWithdrawn => text("event-deletion-withdrawn"),
        EventKind::FactorAdded if detail["kind"] == KIND => text("event-passkey-added"),
        EventKind::FactorAdded => text("event-factor-added"),
        EventKind::FactorRemoved if detail["kind"] == KIND => text("event-passkey-removed"),
        EventKind::FactorRemoved => text("event-factor-removed"),
        EventKind::PasskeyCloned => text("event-passkey-cloned"),
        EventKind::RecoveryCodesMade => text("event-codes-made"),
        EventKind::RecoveryCodeUsed => text("event-code-used"),
        EventKind::MembershipAdded => text("event-membership-added"),
        EventKind::MembershipRemoved => text("event-membership-removed"),
        EventKind::UserClaimSet | EventKind::UserClaimUnset => text("event-details-set"),
        _ => return None,
    })
}

/// Whether a sign-in came to nothing by a passkey.
fn is_of_passkey(reason: &Value) -> bool {
    SignInFailure::ALL.iter().any(|why| why.is_of_passkey() && reason == why.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_for_the_page_has_words_and_nothing_else_does() {
        for kind in EventKind::ALL {
            assert_eq!(what(*kind, &Value::Null).is_some(), kind.is_told(), "{kind:?}");
        }
    }
}
