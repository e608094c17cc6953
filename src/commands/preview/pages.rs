//! `hallpass preview page NAME`: every page that people meet, with the settings as they are and made-up names.
//!
//! It needs neither a database nor a client. The pages are served at a port of this machine, with the policy and the assets that
//! they have in earnest; their forms lead nowhere.

mod account;
mod links;

use crate::ambient::{CONTEXT, Clock, Context};
use crate::caller::speak;
use crate::commands::Outcome;
use crate::config::{Config, Remember, SignUp};
use crate::endpoints::assets;
use crate::failure::Failure;
use crate::server::{self, Places};
use crate::texts::text;
use crate::web::accept;
use crate::web::headers;
use crate::web::pages::passkeys::{PasskeyCodesPage, PasskeyForm, PasskeyOfferPage};
use crate::web::pages::{
    self, Again, Chrome, ClaimLine, ConsentPage, ErrorPage, FactorNeededPage, FormPostPage, HomePage, Link, LoginPage,
    LogoutPage, NoEntryPage, ScopeLine, SecondFactorPage, Service, SignedInHere, SignedOutPage, Wait,
};
use crate::web::problems::Problem;
use crate::web::request;
use axum::Router;
use axum::extract::{Path, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// How the pages are called.
const NAMES: [&str; 88] = [
    "home",
    "signed-out-home",
    "account",
    "account-email",
    "account-email-odd",
    "account-password",
    "account-password-checked",
    "account-password-wrong",
    "account-password-none",
    "account-second-factor",
    "account-second-factor-none",
    "account-authenticator",
    "account-authenticator-wrong",
    "account-recovery-codes",
    "account-passkeys",
    "account-passkeys-none",
    "account-sessions",
    "account-sessions-trusted",
    "account-sessions-not-trusted",
    "account-services",
    "account-services-none",
    "account-events",
    "account-data",
    "account-data-requested",
    "login",
    "login-wrong",
    "login-disabled",
    "login-locked",
    "login-factor-overdue",
    "login-throttled",
    "login-confirm",
    "login-home",
    "login-passkey",
    "select-account",
    "second-factor",
    "second-factor-wrong",
    "second-factor-step-up",
    "second-factor-unreadable",
    "second-factor-passkey",
    "recovery-code",
    "passkey-offer",
    "passkey-codes",
    "factor-missing",
    "factor-due",
    "consent",
    "consent-app",
    "no-entry",
    "reset-request",
    "reset-asked",
    "email-link",
    "email-link-done",
    "reset",
    "reset-checked",
    "reset-wrong",
    "reset-done",
    "sign-up",
    "sign-up-elsewhere",
    "sign-up-asked",
    "sign-up-invitation",
    "sign-up-account",
    "invitation",
    "invitation-taken",
    "invitation-done",
    "enrollment",
    "enrollment-wrong",
    "enrollment-authenticator",
    "enrollment-authenticator-wrong",
    "enrollment-codes",
    "form-post",
    "logout",
    "signed-out",
    "signed-out-everywhere",
    "signed-out-not-everywhere",
    "wrong-link",
    "wrong-method",
    "not-found",
    "nothing-to-continue",
    "expired",
    "already-answered",
    "no-cookie",
    "another-browser",
    "form-not-ours",
    "form-outdated",
    "link-over",
    "busy",
    "node-outdated",
    "store-failed",
    "failed",
];
const CLIENT: &str = "Reports";
const CLIENT_ID: &str = "reports";
const USER: &str = "Alice Example";
const ACCOUNT: &str = "alice";
const ADDRESS: &str = "alice@example.com";
const REFERENCE: &str = "4Q7XK-20GHV";
const WEBSITE: &str = "https://reports.example/";

/// Serves the pages until the process is told to end.
pub(super) async fn serve(config: Config, name: &str) -> Outcome {
    if !NAMES.contains(&name) {
        return Err(Failure::new(format!("there is no page {name:?}")).with_fix(format!("one of {}", NAMES.join(", "))));
    }
    let cannot_listen = |error| Failure::new("cannot listen on localhost").with_source(error);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let base = config.base_path().to_owned();
    let config = Arc::new(config);
    let shown = config.clone();
    let scripts = pages::scripts_below(&format!("http://{address}{base}"));
    let inside = assets::routes(&config).route(
        "/preview/{name}",
        get(async move |Path(name): Path<String>, request: Request| {
            // As a provider does it: in the language that the browser asks for, or `?ui_locales=` in the address.
            let context = Context::new(String::new(), accept::languages(request.headers()));
            CONTEXT.sync_scope(Arc::new(context), || {
                if let Ok(query) = request::query(request.uri()) {
                    speak(&query);
                }
                answer(&shown, &name, &scripts)
            })
        }),
    );
    let routes = if base.is_empty() { inside } else { Router::new().nest(&base, inside) };
    println!("http://{address}{base}/preview/{name}");
    eprintln!("The others are beside it: {}. Ctrl-C ends it.", NAMES.join(", "));
    let (stopper, stop) = server::stop_sign();
    let served = tokio::spawn(server::serve(listener, routes, Places::few(), stop));
    server::signal().await;
    stopper.stop();
    let _ = served.await;
    Ok(())
}

fn answer(config: &Config, name: &str, scripts: &str) -> Response {
    let mut response = page(config, name).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response());
    // Here they are not below the issuer.
    let policy = response.headers().get(header::CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    if policy.is_some_and(|policy| policy.contains("script-src")) {
        headers::page(response.headers_mut(), Some(scripts));
    }
    headers::every(response.headers_mut(), config);
    response
}

/// A page by its name.
fn page(config: &Config, name: &str) -> Option<Response> {
    let page = |page: &dyn Fn() -> Response| Some(page());
    match name {
        "home" => page(&|| home(config, true)),
        "signed-out-home" => page(&|| home(config, false)),
        _ if name.starts_with("account") => account::page(config, name),
        _ if ["reset", "email-link", "sign-up", "invitation", "enrollment"]
            .iter()
            .any(|first| name.starts_with(first)) =>
        {
            links::page(config, name)
        }
        "login"
        | "login-wrong"
        | "login-disabled"
        | "login-locked"
        | "login-factor-overdue"
        | "login-throttled"
        | "login-confirm"
        | "login-home"
        | "login-passkey"
        | "select-account" => {
            let page = login(config, name);
            Some(pages::render(StatusCode::OK, &page, Some(&page.page.scripts)))
        }
        "second-factor"
        | "second-factor-wrong"
        | "second-factor-step-up"
        | "second-factor-unreadable"
        | "second-factor-passkey"
        | "recovery-code" => {
            let page = second_factor(config, name);
            Some(pages::render(StatusCode::OK, &page, Some(&page.page.scripts)))
        }
        "passkey-offer" => {
            let page = passkey_offer(config);
            Some(pages::render(StatusCode::OK, &page, Some(&page.page.scripts)))
        }
        "passkey-codes" => page(&|| passkey_codes(config)),
        "factor-missing" | "factor-due" => page(&|| factor_needed(config, name)),
        "consent" | "consent-app" => {
            let page = consent(config, name == "consent-app");
            Some(pages::render(StatusCode::OK, &page, page.returns_to_app.then_some(&*page.page.scripts)))
        }
        "no-entry" => page(&|| no_entry(config)),
        "form-post" => page(&|| form_post(config)),
        "logout" => page(&|| logout(config)),
        "signed-out" | "signed-out-everywhere" | "signed-out-not-everywhere" => page(&|| signed_out(config, name)),
        "wrong-link" => page(&|| problem(config, Problem::BadRequest)),
        "wrong-method" => page(&|| problem(config, Problem::WrongMethod)),
        "not-found" => page(&|| problem(config, Problem::NothingHere)),
        "nothing-to-continue" => page(&|| problem(config, Problem::NothingToContinue)),
        "expired" => page(&|| problem(config, Problem::Expired)),
        "already-answered" => page(&|| problem(config, Problem::AlreadyAnswered)),
        "no-cookie" => page(&|| problem(config, Problem::NoCookie)),
        "another-browser" => page(&|| problem(config, Problem::AnotherBrowser)),
        "form-outdated" => page(&|| problem(config, Problem::FormOutdated)),
        "link-over" => page(&|| problem(config, Problem::LinkOver)),
        "form-not-ours" => page(&|| problem(config, Problem::FormOfAnotherBrowser)),
        "busy" => page(&|| problem(config, Problem::Busy)),
        "node-outdated" => page(&|| problem(config, Problem::NodeOutdated)),
        "store-failed" => page(&|| problem(config, Problem::StoreFailed)),
        "failed" => page(&|| problem(config, Problem::Failed)),
        _ => None,
    }
}

fn service() -> Service {
    Service { name: CLIENT.to_owned(), url: Some(WEBSITE.to_owned()) }
}

fn home(config: &Config, is_signed_in: bool) -> Response {
    let here = || SignedInHere {
        user_name: USER.to_owned(),
        account: Some(ACCOUNT.to_owned()),
        services: vec![
            Service { name: "Monolith".to_owned(), url: Some("https://monolith.example/".to_owned()) },
            service(),
        ],
        request: String::new(),
        csrf: String::new(),
    };
    let title = if is_signed_in { text("home-signed-in") } else { text("home-signed-out") };
    let page = HomePage { page: Chrome::new(config, &title), signed_in: is_signed_in.then(here) };
    pages::render(StatusCode::OK, &page, None)
}

fn login(config: &Config, name: &str) -> LoginPage {
    let is = |other: &str| name == other;
    let (user, link) = (|| Some(USER.to_owned()), |path: &str| Some(format!("{WEBSITE}{path}")));
    let is_home = is("login-home");
    let heading = if is_home { text("login-heading-home") } else { text("login-heading").with("client", CLIENT) };
    let error = match name {
        "login-wrong" => Some(text("login-wrong")),
        "login-disabled" => Some(text("login-disabled")),
        "login-locked" => Some(text("login-locked")),
        "login-factor-overdue" => Some(text("login-factor-overdue")),
        _ => None,
    };
    LoginPage {
        page: Chrome::new(config, &heading),
        client_name: (!is_home).then(|| CLIENT.to_owned()),
        client_id: CLIENT_ID.to_owned(),
        interaction: String::new(),
        csrf: String::new(),
        session: String::new(),
        username: if error.is_some() || is("login-throttled") { ACCOUNT.to_owned() } else { String::new() },
        error,
        wait: is("login-throttled").then(|| Wait::until(Clock::System.now(), 700)),
        continue_as: is("select-account").then(user).flatten(),
        signed_in_as: is("login-confirm").then(user).flatten(),
        account: Some(ACCOUNT.to_owned()),
        host: config.host().to_owned(),
        policy_uri: link("privacy"),
        tos_uri: link("terms"),
        has_mail: config.smtp_url.is_some(),
        has_sign_up: matches!(config.sign_up, SignUp::Domains(_)),
        remember: (config.remember == Remember::Ask).then_some(false),
        passkey: is("login-passkey").then(passkey_form),
        passkey_error: None,
    }
}

/// What a script hands to a browser, which finds no passkey for it.
fn passkey_form() -> PasskeyForm {
    let challenge = "c29tZSBjaGFsbGVuZ2Ugb2Ygbm8gdXNl";
    let options = serde_json::json!({ "publicKey": {
        "challenge": challenge,
        "rpId": "id.example",
        "rp": { "id": "id.example", "name": "Example" },
        "user": { "id": challenge, "name": ACCOUNT, "displayName": USER },
        "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
    } });
    PasskeyForm { options: options.to_string(), ..PasskeyForm::default() }
}

fn passkey_offer(config: &Config) -> PasskeyOfferPage {
    PasskeyOfferPage {
        page: Chrome::new(config, &text("passkey-offer-heading")),
        user_name: USER.to_owned(),
        account: Some(ACCOUNT.to_owned()),
        client_id: CLIENT_ID.to_owned(),
        interaction: String::new(),
        csrf: String::new(),
        form: Some(passkey_form()),
        is_first_factor: true,
        name: "Firefox on Linux".to_owned(),
        error: None,
    }
}

fn passkey_codes(config: &Config) -> Response {
    let page = PasskeyCodesPage {
        page: Chrome::new(config, &text("codes-heading")),
        codes: account::codes(),
        next: String::new(),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn second_factor(config: &Config, name: &str) -> SecondFactorPage {
    let error = match name {
        "second-factor-wrong" => Some(text("second-factor-wrong")),
        "second-factor-unreadable" => Some(text("second-factor-unreadable")),
        _ => None,
    };
    SecondFactorPage {
        page: Chrome::new(config, &text("second-factor-heading")),
        asking_client: (name == "second-factor-step-up").then(|| CLIENT.to_owned()),
        client_id: CLIENT_ID.to_owned(),
        user_name: USER.to_owned(),
        account: Some(ACCOUNT.to_owned()),
        interaction: String::new(),
        csrf: String::new(),
        proven: String::new(),
        session: String::new(),
        counter: String::new(),
        counted: String::new(),
        is_recovery: name == "recovery-code",
        asks_for_code: name != "second-factor-passkey",
        has_authenticator: true,
        passkey: (name == "second-factor-passkey").then(passkey_form),
        passkey_error: None,
        error,
        wait: None,
        trust: matches!(name, "second-factor" | "second-factor-passkey")
            .then(|| text("second-factor-trust").counting("days", 30)),
        reference: (name == "second-factor-unreadable").then(|| REFERENCE.to_owned()),
    }
}

fn factor_needed(config: &Config, name: &str) -> Response {
    let is_missing = name == "factor-missing";
    let heading = || {
        if is_missing { text("factor-missing-heading").with("client", CLIENT) } else { text("factor-due-heading") }
    };
    let page = FactorNeededPage {
        page: Chrome::new(config, &heading()),
        heading: heading(),
        message: if is_missing {
            text("factor-missing-message").with("client", CLIENT)
        } else {
            text("factor-due-message").with("date", "2026-12-24")
        },
        action: "",
        label: if is_missing {
            text("factor-missing-back").with("client", CLIENT)
        } else {
            text("factor-due-continue")
        },
        client_id: CLIENT_ID.to_owned(),
        user_name: USER.to_owned(),
        account: Some(ACCOUNT.to_owned()),
        interaction: String::new(),
        csrf: String::new(),
        reference: is_missing.then(|| REFERENCE.to_owned()),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn consent(config: &Config, returns_to_app: bool) -> ConsentPage {
    let page = Chrome::new(config, &text("consent-heading").with("client", CLIENT));
    let texts = &page.texts.clone();
    let claim = |name: &str, value: &str| ClaimLine::of(name, &Value::from(value), texts);
    let profile = [claim("name", USER), claim("locale", "en-US")];
    let email = claim("email", "alice@example.com");
    ConsentPage {
        page,
        client_name: CLIENT.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_uri: Some(WEBSITE.to_owned()),
        policy_uri: Some(format!("{WEBSITE}privacy")),
        tos_uri: Some(format!("{WEBSITE}terms")),
        user_name: USER.to_owned(),
        account: Some(ACCOUNT.to_owned()),
        interaction: String::new(),
        csrf: String::new(),
        scopes: vec![
            ScopeLine { claims: profile.into_iter().flatten().collect(), ..ScopeLine::of("profile", texts) },
            ScopeLine { is_new: true, claims: email.into_iter().collect(), ..ScopeLine::of("email", texts) },
            ScopeLine { is_new: true, ..ScopeLine::of("reports:read", texts) },
        ],
        shown: String::new(),
        has_more_than_before: true,
        return_host: "reports.example".to_owned(),
        returns_to_app,
    }
}

fn no_entry(config: &Config) -> Response {
    let page = NoEntryPage {
        page: Chrome::new(config, &text("no-entry-heading").with("client", CLIENT)),
        client_name: CLIENT.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        user_name: USER.to_owned(),
        account: Some(ACCOUNT.to_owned()),
        interaction: String::new(),
        csrf: String::new(),
        reference: REFERENCE.to_owned(),
    };
    pages::render(StatusCode::FORBIDDEN, &page, None)
}

fn form_post(config: &Config) -> Response {
    let page = FormPostPage {
        page: Chrome::new(config, &text("form-post-heading").with("client", CLIENT)),
        client_name: CLIENT.to_owned(),
        action: "#".to_owned(),
        fields: Vec::new(),
    };
    // Without its script, which would send the form at once.
    pages::render(StatusCode::OK, &page, None)
}

fn logout(config: &Config) -> Response {
    let page = LogoutPage {
        page: Chrome::new(config, &text("logout-heading")),
        user_name: USER.to_owned(),
        account: Some(ACCOUNT.to_owned()),
        warning: None,
        goes_back_to: Some(CLIENT.to_owned()),
        services: vec!["Monolith".to_owned(), CLIENT.to_owned()],
        request: String::new(),
        csrf: String::new(),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn signed_out(config: &Config, name: &str) -> Response {
    let (heading, explanation) = match name {
        "signed-out-everywhere" => {
            (text("signed-out-everywhere"), Some(text("signed-out-everywhere").attribute("explanation")))
        }
        "signed-out-not-everywhere" => {
            (text("signed-out-not-everywhere"), Some(text("signed-out-not-everywhere").attribute("explanation")))
        }
        _ => (text("signed-out"), None),
    };
    let again = Again { request: String::new(), csrf: String::new() };
    let page = SignedOutPage {
        leave: explanation.is_some().then(|| Link::home(config)),
        text: explanation,
        reached: vec![service()],
        again: (name == "signed-out-not-everywhere").then_some(again),
        ..SignedOutPage::saying(config, heading)
    };
    pages::render(StatusCode::OK, &page, None)
}

fn problem(config: &Config, problem: Problem) -> Response {
    let row = problem.row();
    let is_bad_request = problem == Problem::BadRequest;
    let page = ErrorPage {
        page: Chrome::new(config, &text(row.text).attribute("heading")),
        text: row.text,
        mistake: if is_bad_request {
            "redirect_uri is not registered for this client".to_owned()
        } else {
            String::new()
        },
        service: is_bad_request.then(|| CLIENT.to_owned()),
        reference: REFERENCE.to_owned(),
        restart: match problem {
            Problem::BadRequest | Problem::Expired | Problem::AlreadyAnswered => Some(Link::back_to(CLIENT, WEBSITE)),
            Problem::NothingHere | Problem::NothingToContinue => Some(Link::home(config)),
            Problem::FormOutdated => Some(Link::account(config)),
            _ => None,
        },
    };
    pages::render(row.status, &page, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    #[test]
    fn every_name_has_its_page() {
        let config = RawConfig::default().check().unwrap();
        for name in NAMES {
            assert!(page(&config, name).is_some(), "{name}");
        }
        for problem in Problem::ALL {
            let _ = super::problem(&config, *problem);
        }
    }
}
