//! The pages of the account as `hallpass preview page` shows them.

use super::{ACCOUNT, ADDRESS, CLIENT, CLIENT_ID, USER, WEBSITE, passkey_form};
use crate::ambient::Clock;
use crate::config::Config;
use crate::protocol::own_page::OwnPage;
use crate::protocol::time::NumericDate;
use crate::second_factor::enrolment::picture_of;
use crate::texts::{Text, text};
use crate::web::pages::account::{
    AccountPage, DataPage, EmailPage, EventLine, EventsPage, GrantLine, Moment, PasswordPage, ServicesPage,
    SessionLine, SessionsPage, Tabs, TrustLine,
};
use crate::web::pages::factors::{AppForm, AuthenticatorPage, FactorLine, FactorsPage, Picture, RecoveryCodesPage};
use crate::web::pages::passkeys::{PasskeyLine, PasskeysPage};
use crate::web::pages::{self, Chrome, ClaimLine, ScopeLine};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

/// A network of documentation ([RFC 5737](https://www.rfc-editor.org/rfc/rfc5737)).
const NETWORK: &str = "192.0.2.7";

/// A page by its name.
pub(super) fn page(config: &Config, name: &str) -> Option<Response> {
    let render = |page: &dyn Fn() -> Response| Some(page());
    match name {
        "account" => render(&|| overview(config)),
        "account-email" | "account-email-odd" => render(&|| email(config, name == "account-email-odd")),
        "account-password" | "account-password-checked" | "account-password-wrong" | "account-password-none" => {
            render(&|| password(config, name))
        }
        "account-second-factor" | "account-second-factor-none" => {
            render(&|| factors(config, name == "account-second-factor"))
        }
        "account-authenticator" | "account-authenticator-wrong" => {
            render(&|| authenticator(config, name == "account-authenticator-wrong"))
        }
        "account-recovery-codes" => render(&|| recovery_codes(config)),
        "account-passkeys" | "account-passkeys-none" => {
            let page = passkeys(config, name == "account-passkeys");
            Some(pages::render(StatusCode::OK, &page, Some(&page.page.scripts)))
        }
        "account-sessions" => render(&|| sessions(config, None)),
        "account-sessions-trusted" => render(&|| sessions(config, Some(true))),
        "account-sessions-not-trusted" => render(&|| sessions(config, Some(false))),
        "account-services" => render(&|| services(config, true)),
        "account-services-none" => render(&|| services(config, false)),
        "account-events" => render(&|| events(config)),
        "account-data" => render(&|| data(config, false)),
        "account-data-requested" => render(&|| data(config, true)),
        _ => None,
    }
}

/// So many hours ago.
fn ago(hours: i64) -> Moment {
    Moment::of(NumericDate(Clock::System.now().0 - 3600 * hours))
}

fn overview(config: &Config) -> Response {
    let page = Chrome::new(config, &text("account-heading"));
    let texts = &page.texts.clone();
    let claim = |name: &str, value: &str| ClaimLine::of(name, &Value::from(value), texts);
    let page = AccountPage {
        page,
        tabs: Tabs { here: OwnPage::Account, done: None },
        user_name: USER.to_owned(),
        username: Some(ACCOUNT.to_owned()),
        email: Some("alice@example.com".to_owned()),
        has_mail: config.smtp_url.is_some(),
        email_is_verified: true,
        groups: Some("staff, reports-editors".to_owned()),
        claims: [claim("zoneinfo", "Europe/Berlin"), claim("locale", "en-US")].into_iter().flatten().collect(),
        sub: "K7rTq2vX0mWcZ5yB8dNfHg".to_owned(),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn email(config: &Config, is_odd: bool) -> Response {
    let page = EmailPage {
        page: Chrome::new(config, &text("email-heading")),
        tabs: Tabs { here: OwnPage::Email, done: None },
        email: Some(ADDRESS.to_owned()),
        is_verified: !is_odd,
        typed: if is_odd { "alice@example@com".to_owned() } else { String::new() },
        has_mail: config.smtp_url.is_some(),
        error: is_odd.then(|| text("email-odd")),
        wait: None,
        csrf: String::new(),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn password(config: &Config, name: &str) -> Response {
    let is_checked = name == "account-password-checked";
    let page = PasswordPage {
        page: Chrome::new(config, &text("password-heading")),
        tabs: Tabs { here: OwnPage::Password, done: None },
        username: ACCOUNT.to_owned(),
        has_password: name != "account-password-none",
        csrf: String::new(),
        error: (name == "account-password-wrong").then(|| text("password-wrong")),
        wait: None,
        strength: is_checked.then(|| text("strength-months").counting("number", 7)),
        advice: is_checked.then(|| text("strength-advice")),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn factors(config: &Config, has_some: bool) -> Response {
    let line = |name: Option<&str>, since, used| FactorLine {
        factor_id: String::new(),
        name: name.map(str::to_owned),
        since: ago(since),
        used: Some(ago(used)),
    };
    let page = FactorsPage {
        page: Chrome::new(config, &text("factors-heading")),
        tabs: Tabs { here: OwnPage::SecondFactor, done: None },
        authenticators: if has_some { vec![line(Some("my phone"), 900, 2), line(None, 100, 50)] } else { Vec::new() },
        can_add: true,
        has_codes: has_some,
        codes_left: has_some.then_some(7),
        passkeys: 0,
        is_demanded: !has_some,
        error: None,
        csrf_begin: String::new(),
        csrf_remove: String::new(),
        csrf_codes: String::new(),
    };
    pages::render(StatusCode::OK, &page, None)
}

/// What an authenticator app reads, and the form.
pub(super) fn app_form(is_wrong: bool) -> AppForm {
    let uri = "otpauth://totp/Example:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Example";
    AppForm {
        picture: picture_of(uri).map(|(size, path)| Picture { size, path: path.expose().to_owned() }),
        uri: uri.to_owned(),
        typed: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP".to_owned(),
        token: String::new(),
        name: String::new(),
        error: is_wrong.then(|| text("authenticator-wrong")),
    }
}

fn authenticator(config: &Config, is_wrong: bool) -> Response {
    let page = AuthenticatorPage {
        page: Chrome::new(config, &text("authenticator-heading")),
        tabs: Tabs { here: OwnPage::SecondFactor, done: None },
        form: app_form(is_wrong),
        csrf: String::new(),
    };
    pages::render(StatusCode::OK, &page, None)
}

/// Ten recovery codes.
pub(super) fn codes() -> Vec<String> {
    let code = |at: usize| format!("{}2F4-QRT{}-7HXW", "BCDFGHJKMN".get(at..=at).unwrap_or("B"), at % 8 + 2);
    (0..10).map(code).collect()
}

fn recovery_codes(config: &Config) -> Response {
    let page = RecoveryCodesPage {
        page: Chrome::new(config, &text("codes-heading")),
        tabs: Tabs { here: OwnPage::SecondFactor, done: None },
        codes: codes(),
        message: text("factors-added"),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn passkeys(config: &Config, has_some: bool) -> PasskeysPage {
    let line = |name: Option<&str>, is_synced, since, note| PasskeyLine {
        passkey_id: String::new(),
        name: name.map(str::to_owned),
        is_synced,
        since: ago(since),
        used: Some(ago(since / 40)),
        note,
    };
    let all = || {
        let held_back = Some(text("passkeys-held-back"));
        vec![line(Some("Safari on iPhone"), true, 900, None), line(None, false, 100, held_back)]
    };
    PasskeysPage {
        page: Chrome::new(config, &text("passkeys-heading")),
        tabs: Tabs { here: OwnPage::Passkeys, done: None },
        passkeys: if has_some { all() } else { Vec::new() },
        form: Some(passkey_form()),
        is_full: false,
        is_offered: true,
        is_first_factor: !has_some,
        name: "Firefox on Linux".to_owned(),
        error: None,
        csrf_add: String::new(),
        csrf_remove: String::new(),
    }
}

fn sessions(config: &Config, is_trusted: Option<bool>) -> Response {
    let line = |browser: &str, network: &str, hours, is_here| SessionLine {
        session: String::new(),
        browser: browser.to_owned(),
        network: network.to_owned(),
        since: ago(hours + 30),
        last_used: ago(hours),
        is_here,
    };
    let page = SessionsPage {
        page: Chrome::new(config, &text("sessions-heading")),
        tabs: Tabs { here: OwnPage::Sessions, done: None },
        sessions: vec![line("Firefox on Linux", NETWORK, 0, true), line("Safari on iPhone", "198.51.100.20", 5, false)],
        more: 0,
        csrf: String::new(),
        csrf_others: String::new(),
        request: String::new(),
        csrf_everywhere: String::new(),
        trust: is_trusted.map(|is_trusted| TrustLine { until: is_trusted.then(|| ago(-620)), csrf: String::new() }),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn services(config: &Config, has_some: bool) -> Response {
    let page = Chrome::new(config, &text("services-heading"));
    let texts = page.texts.clone();
    let line = |name: &str, scopes: &[&str], is_connected: bool| GrantLine {
        client_id: CLIENT_ID.to_owned(),
        name: name.to_owned(),
        url: is_connected.then(|| WEBSITE.to_owned()),
        since: ago(900),
        told: GrantLine::told(&scopes.iter().map(|token| ScopeLine::of(token, &texts)).collect::<Vec<_>>()),
        is_connected,
        is_given_by_organization: !is_connected,
    };
    let all = || vec![line("Monolith", &["profile"], false), line(CLIENT, &["profile", "email", "reports:read"], true)];
    let page = ServicesPage {
        page,
        tabs: Tabs { here: OwnPage::Services, done: has_some.then(|| text("services-taken-back")) },
        services: if has_some { all() } else { Vec::new() },
        csrf: String::new(),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn events(config: &Config) -> Response {
    let line = |hours, what: Text<'static>, is_warning, service: Option<&str>| EventLine {
        at: ago(hours),
        what,
        is_warning,
        service: service.map(str::to_owned),
        network: Some(NETWORK.to_owned()),
    };
    let page = EventsPage {
        page: Chrome::new(config, &text("events-heading")),
        tabs: Tabs { here: OwnPage::Events, done: None },
        days: 90,
        events: vec![
            line(0, text("event-sign-in"), false, None),
            line(2, text("event-sign-in-failed"), true, Some(CLIENT)),
            line(26, text("event-consent-given"), false, Some(CLIENT)),
        ],
        older: Some("0.0.x".to_owned()),
    };
    pages::render(StatusCode::OK, &page, None)
}

fn data(config: &Config, is_requested: bool) -> Response {
    let page = DataPage {
        page: Chrome::new(config, &text("data-heading")),
        tabs: Tabs { here: OwnPage::Data, done: is_requested.then(|| text("data-deletion-noted")) },
        csrf_file: String::new(),
        csrf_deletion: String::new(),
        requested: is_requested.then(|| ago(0)),
    };
    pages::render(StatusCode::OK, &page, None)
}
