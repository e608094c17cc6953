//! Browsers that users trust: there a plain sign-in asks for no second factor.
//!
//! The cookie says since when, under a keyed digest over browser, account, password and second factor; for how long is the setting's
//! word, as it is now. It is no factor: where more is asked for than a plain sign-in, it spares nothing.

use crate::caller::BrowserRequest;
use crate::endpoints::flow::Flow;
use crate::protocol::claims::User;
use crate::protocol::factor::ACR_VALUES;
use crate::protocol::secret::{BrowserId, same_text};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;

const DAY: i64 = 86_400;

/// Whether this sign-in asks for nothing but who the user is.
pub(super) fn is_plain(flow: &Flow) -> bool {
    let request = &flow.request;
    !request.prefers_second_factor() && !request.refuses_acr(ACR_VALUES[0]) && flow.client().require_acr.is_none()
}

/// Until when the user trusts this browser; `None`: it is not trusted, or something has ended that.
pub(in crate::endpoints) fn lasts_until(
    provider: &Provider,
    asked: &BrowserRequest,
    user: &User,
) -> Option<NumericDate> {
    let browser = &asked.browser;
    let name = browser.kept.as_ref().or(browser.id.as_ref())?;
    browser.trusted.iter().find_map(|item| {
        let (since, tag) = item.split_once('~')?;
        let since = since.parse().map(NumericDate).ok()?;
        let until = since.plus(provider.config.trusted_browser * DAY);
        let lasts = until > asked.now
            && user.browsers_untrusted_at.is_none_or(|at| since > at)
            && user.tokens_valid_after.is_none_or(|after| since >= after);
        (lasts && same_text(&provider.secrets.trusted_browser(name, user, since), tag)).then_some(until)
    })
}

/// What the cookie says for other users, and so what stays of it beside a new item of this one.
pub(super) fn of_others(provider: &Provider, items: &[String], name: &BrowserId, user: &User) -> Vec<String> {
    let is_own = |item: &&String| {
        let Some((since, tag)) = item.split_once('~') else { return false };
        let since = since.parse().map(NumericDate);
        since.is_ok_and(|since| same_text(&provider.secrets.trusted_browser(name, user, since), tag))
    };
    items.iter().filter(|item| !is_own(item)).cloned().collect()
}

/// What the cookie says of a browser that is trusted from now on.
pub(super) fn item(provider: &Provider, name: &BrowserId, user: &User, now: NumericDate) -> String {
    format!("{}~{}", now.0, provider.secrets.trusted_browser(name, user, now))
}
