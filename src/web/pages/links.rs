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
pub struct LinkUsedPage<'a> {
    /// The frame.
    pub page: Chrome,
    /// What was done.
    pub heading: Text<'static>,
    /// In a sentence.
    pub message: Text<'a>,
}

/// The page behind a link that does nothing without the password: it asks for that.
#[derive(Template)]
#[template(path = "link_password.html")]
pub struct LinkPasswordPage<'a> {
    /// The frame.
    pub page: Chrome,
    /// What it is about.
    pub heading: Text<'static>,
    /// In a sentence.
    pub lede: Text<'a>,
    /// Where the form goes, below the issuer.
    pub action: &'static str,
    /// What the button says.
    pub submit: Text<'static>,
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

/// The page of a link that is not there yet: one asks for it by mail.
#[derive(Template)]
#[template(path = "link_request.html")]
pub struct LinkRequestPage<'a> {
    /// The frame.
    pub page: Chrome,
    /// What it is about.
    pub heading: Text<'static>,
    /// In a sentence.
    pub lede: Text<'a>,
    /// In small print.
    pub hint: Option<Text<'static>>,
    /// What is typed; `None`: it was sent, or there is no mail.
    pub form: Option<LinkRequestForm<'a>>,
    /// The sign-in that waits, to return to; empty: none.
    pub interaction: String,
    /// Its client; empty: our own start page.
    pub client_id: String,
}

/// What one types who asks for a link.
pub struct LinkRequestForm<'a> {
    /// Where it goes, below the issuer.
    pub action: &'static str,
    /// The field.
    pub name: &'static str,
    /// What is typed there.
    pub label: Text<'static>,
    /// Whether that is an address, and no user name.
    pub is_address: bool,
    /// What is in the field.
    pub typed: String,
    /// What is wrong with what was sent.
    pub error: Option<Text<'a>>,
    /// What the button says.
    pub submit: Text<'static>,
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
