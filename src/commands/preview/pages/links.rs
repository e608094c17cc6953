//! The pages behind one-time links as `hallpass preview page` shows them.

use super::account::{app_form, codes};
use super::{ACCOUNT, ADDRESS, USER};
use crate::config::{Config, SignUp};
use crate::endpoints::link_request::Shown;
use crate::endpoints::{invitation, path, reset, sign_up};
use crate::store::user_links::Entry;
use crate::texts::text;
use crate::web::pages::links::{
    EnrollmentAuthenticatorPage, EnrollmentCodesPage, LinkPasswordPage, LinkRequestPage, LinkUsedPage, NewPasswordPage,
};
use crate::web::pages::{self, Chrome};
use axum::http::StatusCode;
use axum::response::Response;

/// A page by its name.
pub(super) fn page(config: &Config, name: &str) -> Option<Response> {
    let used = |heading, message| {
        let page = LinkUsedPage { page: Chrome::new(config, &heading), heading, message };
        Some(pages::render(StatusCode::OK, &page, None))
    };
    match name {
        "reset" | "reset-checked" | "reset-wrong" => Some(new_password(config, name)),
        "reset-request" => Some(request(config, reset::form(config, "", None))),
        "reset-asked" => Some(request(config, reset::sent())),
        "sign-up" | "sign-up-elsewhere" => Some(sign_up(config, name)),
        "sign-up-asked" => Some(request(config, sign_up::sent(ADDRESS))),
        "sign-up-invitation" => Some(request(config, sign_up::invited_only())),
        "email-link" => Some(email_link(config)),
        "email-link-done" => {
            let message = text("email-confirmed").with("address", ADDRESS);
            used(text("email-confirmed-heading"), message)
        }
        "reset-done" => used(text("reset-done-heading"), text("reset-done")),
        "sign-up-account" => Some(invitation(config, Entry::SignUp, false)),
        "invitation" => Some(invitation(config, Entry::Invitation, false)),
        "invitation-taken" => Some(invitation(config, Entry::Invitation, true)),
        "invitation-done" => used(text("invitation-done-heading"), text("invitation-done")),
        "enrollment" => Some(enrollment(config, false)),
        "enrollment-wrong" => Some(enrollment(config, true)),
        "enrollment-authenticator" => Some(authenticator(config, false)),
        "enrollment-authenticator-wrong" => Some(authenticator(config, true)),
        "enrollment-codes" => {
            let heading = text("codes-heading");
            let page = EnrollmentCodesPage { page: Chrome::new(config, &heading), heading, codes: codes() };
            Some(pages::render(StatusCode::OK, &page, None))
        }
        _ => None,
    }
}

fn enrollment(config: &Config, is_wrong: bool) -> Response {
    let heading = text("enrollment-heading");
    let page = LinkPasswordPage {
        page: Chrome::new(config, &heading),
        heading,
        lede: text("enrollment-lede"),
        action: path::ENROLLMENT,
        submit: text("second-factor-continue"),
        link: String::new(),
        account: ACCOUNT.to_owned(),
        username: ACCOUNT.to_owned(),
        error: is_wrong.then(|| text("password-wrong")),
        wait: None,
    };
    pages::render(StatusCode::OK, &page, None)
}

fn email_link(config: &Config) -> Response {
    let heading = text("email-confirm-heading");
    let page = LinkPasswordPage {
        page: Chrome::new(config, &heading),
        heading,
        lede: text("email-confirm-lede").with("address", ADDRESS),
        action: path::EMAIL_LINK,
        submit: text("email-confirm"),
        link: String::new(),
        account: ACCOUNT.to_owned(),
        username: ACCOUNT.to_owned(),
        error: None,
        wait: None,
    };
    pages::render(StatusCode::OK, &page, None)
}

fn request(config: &Config, shown: Shown<'_>) -> Response {
    let page = LinkRequestPage {
        page: Chrome::new(config, &shown.heading),
        heading: shown.heading,
        lede: shown.lede,
        hint: shown.hint,
        form: shown.form,
        interaction: String::new(),
        client_id: String::new(),
    };
    pages::render(StatusCode::OK, &page, None)
}

/// The page for an address, which is one of the setting's domains or of ours.
fn sign_up(config: &Config, name: &str) -> Response {
    let domains = match &config.sign_up {
        SignUp::Domains(domains) => domains.join(sign_up::BETWEEN),
        SignUp::Off | SignUp::Invitation => "example.org".to_owned(),
    };
    let shown = if name == "sign-up" {
        sign_up::form(&domains, "", None)
    } else {
        sign_up::form(&domains, "alice@elsewhere.example", Some(sign_up::elsewhere(&domains)))
    };
    request(config, shown)
}

fn authenticator(config: &Config, is_wrong: bool) -> Response {
    let page = EnrollmentAuthenticatorPage {
        page: Chrome::new(config, &text("authenticator-heading")),
        link: String::new(),
        account: ACCOUNT.to_owned(),
        form: app_form(is_wrong),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn new_password(config: &Config, name: &str) -> Response {
    let is_checked = name == "reset-checked";
    let heading = text("reset-heading");
    let page = NewPasswordPage {
        page: Chrome::new(config, &heading),
        heading,
        lede: Some(text("reset-lede")),
        action: path::RESET,
        link: String::new(),
        username: ACCOUNT.to_owned(),
        chooses_username: false,
        full_name: None,
        account: Some(ACCOUNT.to_owned()),
        error: (name == "reset-wrong").then(|| text("password-common")),
        field: if name == "reset-wrong" { "new" } else { "" },
        strength: is_checked.then(|| text("strength-months").counting("number", 7)),
        advice: is_checked.then(|| text("strength-advice")),
        submit: text("reset-submit"),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn invitation(config: &Config, entry: Entry, is_taken: bool) -> Response {
    let (heading, action, submit) = invitation::words(entry);
    let page = NewPasswordPage {
        page: Chrome::new(config, &heading),
        heading,
        lede: None,
        action,
        link: String::new(),
        username: if is_taken { ACCOUNT.to_owned() } else { String::new() },
        chooses_username: true,
        full_name: Some(if is_taken { USER.to_owned() } else { String::new() }),
        account: Some(ADDRESS.to_owned()),
        error: is_taken.then(|| text("link-username-taken")),
        field: if is_taken { "username" } else { "" },
        strength: None,
        advice: None,
        submit,
    };
    pages::render(StatusCode::OK, &page, None)
}
