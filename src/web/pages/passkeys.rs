//! The pages on which passkeys are used, added and removed, as askama reads their templates.

use super::Chrome;
use super::account::{Moment, Tabs};
use crate::texts::Text;
use askama::Template;

/// What a page has for the script that asks the browser for a passkey.
#[derive(Clone, Debug, Default)]
pub struct PasskeyForm {
    /// What the browser is asked, as JSON.
    pub options: String,
    /// What the form brings back.
    pub token: String,
    /// How long it is good, in seconds; `None`: as long as the page.
    pub seconds: Option<i64>,
    /// A passkey that was sent and is no user's: the browser may forget it.
    pub unknown: Option<String>,
}

/// A passkey on the page.
pub struct PasskeyLine {
    /// Its id, by which it is removed.
    pub passkey_id: String,
    /// What the user calls it.
    pub name: Option<String>,
    /// Whether it can be on several devices.
    pub is_synced: bool,
    /// Since when it is there.
    pub since: Moment,
    /// When it was used last.
    pub used: Option<Moment>,
    /// Why it does not sign in alone now.
    pub note: Option<Text<'static>>,
}

/// `/account/passkeys`.
#[derive(Template)]
#[template(path = "account_passkeys.html")]
pub struct PasskeysPage {
    /// The frame.
    pub page: Chrome,
    /// What all pages of the account have.
    pub tabs: Tabs,
    /// The passkeys.
    pub passkeys: Vec<PasskeyLine>,
    /// What adds one more; `None`: there may be no more, or none can be for this issuer.
    pub form: Option<PasskeyForm>,
    /// Whether there are as many as there may be.
    pub is_full: bool,
    /// Whether a passkey can be for this issuer at all.
    pub is_offered: bool,
    /// Whether the password alone is enough until now.
    pub is_first_factor: bool,
    /// What the browser is, as a name to begin with.
    pub name: String,
    /// What is wrong with what was sent.
    pub error: Option<Text<'static>>,
    /// The token of the form that adds one.
    pub csrf_add: String,
    /// The token of the forms that remove one.
    pub csrf_remove: String,
}

/// `/passkey`.
#[derive(Template)]
#[template(path = "passkey_offer.html")]
pub struct PasskeyOfferPage {
    /// The frame.
    pub page: Chrome,
    /// Who has signed in.
    pub user_name: String,
    /// Which account of that name, where that says more.
    pub account: Option<String>,
    /// The id of the service that is signed in to; empty: our own start page.
    pub client_id: String,
    /// The interaction's id.
    pub interaction: String,
    /// The form's token.
    pub csrf: String,
    /// What adds one; `None`: the sign-in is too long ago.
    pub form: Option<PasskeyForm>,
    /// Whether the password alone is enough until now.
    pub is_first_factor: bool,
    /// What the browser is, as a name to begin with.
    pub name: String,
    /// What is wrong with what was sent.
    pub error: Option<Text<'static>>,
}

/// `/passkey`, where it was added and recovery codes were made with it.
#[derive(Template)]
#[template(path = "passkey_codes.html")]
pub struct PasskeyCodesPage {
    /// The frame.
    pub page: Chrome,
    /// The codes.
    pub codes: Vec<String>,
    /// Where the sign-in continues.
    pub next: String,
}
