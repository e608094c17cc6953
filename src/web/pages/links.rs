//! The pages that a one-time link opens: a password is set, for one who is invited an account with it, and a second factor is set up.

use super::factors::AppForm;
use super::{Chrome, Wait};
use crate::texts::Text;
use askama::Template;

/// The form behind a link.
#[derive(Template)]
#[template(path = "new_password.html")]
pub struct NewPasswordPage {
    /// The frame.
    pub page: Chrome,
    /// What it is about.
    pub heading: Text<'static>,
    /// In a sentence.
    pub lede: Option<Text<'static>>,
    /// Where the form goes, below the issuer.
    pub action: &'static str,
    /// The link's secret, which the form brings back.
    pub link: String,
    /// Whose password it is, for the browser's own list of passwords; what was typed, where it can be chosen.
    pub username: String,
    /// Whether the user chooses a user name.
    pub chooses_username: bool,
    /// The full name as it was typed; `None`: it is not asked for.
    pub full_name: Option<String>,
    /// Who it is, as the page shows it.
    pub account: Option<String>,
    /// What is wrong with what was sent.
    pub error: Option<Text<'static>>,
    /// The field that it is wrong with; empty: none of the form.
    pub field: &'static str,
    /// What a password that was looked at is worth.
    pub strength: Option<Text<'static>>,
    /// What could be better about it.
    pub advice: Option<Text<'static>>,
    /// What the button says.
    pub submit: Text<'static>,
}

/// The link was used: the user signs in next.
#[derive(Template)]
#[template(path = "link_used.html")]
pub struct LinkUsedPage {
    /// The frame.
    pub page: Chrome,
    /// What was done.
    pub heading: Text<'static>,
    /// In a sentence.
    pub message: Text<'static>,
}

/// The first page behind a link for a second factor: it asks for the password.
#[derive(Template)]
#[template(path = "enrollment.html")]
pub struct EnrollmentPage {
    /// The frame.
    pub page: Chrome,
    /// The link's secret, which the form brings back.
    pub link: String,
    /// Who it is, as the page shows it.
    pub account: String,
    /// Whose password it is, for the browser's own list of passwords.
    pub username: String,
    /// What is wrong with what was sent.
    pub error: Option<Text<'static>>,
    /// When to come again, after too many wrong passwords.
    pub wait: Option<Wait>,
}

/// The second one: what an authenticator app reads, and its first code.
#[derive(Template)]
#[template(path = "enrollment_authenticator.html")]
pub struct EnrollmentAuthenticatorPage {
    /// The frame.
    pub page: Chrome,
    /// The link's secret, which the form brings back.
    pub link: String,
    /// Who it is, as the page shows it.
    pub account: String,
    /// What the app reads, and the form.
    pub form: AppForm,
}

/// The last one: recovery codes, which are shown once, and the way to sign in.
#[derive(Template)]
#[template(path = "enrollment_codes.html")]
pub struct EnrollmentCodesPage {
    /// The frame.
    pub page: Chrome,
    /// What was done.
    pub heading: Text<'static>,
    /// The codes; none where they could not be made.
    pub codes: Vec<String>,
}
