//! The pages on which a user adds and removes second factors, as askama reads their templates.

use super::Chrome;
use super::account::{Moment, Tabs};
use crate::texts::Text;
use askama::Template;

/// An authenticator on the page.
pub struct FactorLine {
    /// Its id, by which it is removed.
    pub factor_id: String,
    /// What the user calls it.
    pub name: Option<String>,
    /// Since when it is there.
    pub since: Moment,
    /// When a code of it was used last.
    pub used: Option<Moment>,
}

/// `/account/second-factor`.
#[derive(Template)]
#[template(path = "account_factors.html")]
pub struct FactorsPage {
    /// The frame.
    pub page: Chrome,
    /// What all pages of the account have.
    pub tabs: Tabs,
    /// The authenticators.
    pub authenticators: Vec<FactorLine>,
    /// Whether there may be one more.
    pub can_add: bool,
    /// Whether there are recovery codes.
    pub has_codes: bool,
    /// How many are left; `None`: that cannot be told now.
    pub codes_left: Option<i64>,
    /// How many passkeys the user has, for which recovery codes stand in as well.
    pub passkeys: usize,
    /// Whether a group of the user demands a second factor.
    pub is_demanded: bool,
    /// What is wrong with what was sent.
    pub error: Option<Text<'static>>,
    /// The token of the form that begins to add an authenticator.
    pub csrf_begin: String,
    /// The token of the forms that remove one.
    pub csrf_remove: String,
    /// The token of the form that makes recovery codes.
    pub csrf_codes: String,
}

/// A QR code: what is dark, in a square of so many modules.
pub struct Picture {
    /// The modules of a side.
    pub size: usize,
    /// The path, as `d` of SVG has it.
    pub path: String,
}

/// What an authenticator app reads, and the fields beside its first code.
pub struct AppForm {
    /// What an app reads with the camera; `None`: it would be too large.
    pub picture: Option<Picture>,
    /// The same as a link, for the device that the app is on.
    pub uri: String,
    /// The secret to be typed.
    pub typed: String,
    /// What the form brings back.
    pub token: String,
    /// What the user calls it.
    pub name: String,
    /// What is wrong with what was sent.
    pub error: Option<Text<'static>>,
}

/// An authenticator that is about to be added.
#[derive(Template)]
#[template(path = "account_authenticator.html")]
pub struct AuthenticatorPage {
    /// The frame.
    pub page: Chrome,
    /// What all pages of the account have.
    pub tabs: Tabs,
    /// What the app reads, and the form.
    pub form: AppForm,
    /// The form's token.
    pub csrf: String,
}

/// Recovery codes, which are shown once.
#[derive(Template)]
#[template(path = "account_recovery_codes.html")]
pub struct RecoveryCodesPage {
    /// The frame.
    pub page: Chrome,
    /// What all pages of the account have.
    pub tabs: Tabs,
    /// The codes.
    pub codes: Vec<String>,
    /// What was done.
    pub message: Text<'static>,
}
