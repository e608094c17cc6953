//! Every form of the account, as the pages have them: what a stolen session or a stolen password must not be enough for, and what another
//! site cannot send. A form that a page gains is among them by itself.

use crate::account::{form_with, open};
use crate::support::factors::Authenticator;
use crate::support::passkeys::SoftAuthenticator;
use crate::support::program::done;
use crate::support::provider::PASSWORD;
use crate::support::smtp::MailServer;
use crate::support::user_agent::Form;
use crate::support::{Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent};
use std::collections::BTreeSet;

/// Where a fresh sign-in by all factors is asked for, and where it is not.
const FRESH: [&str; 5] =
    ["/account/email", "/account/password", "/account/second-factor", "/account/passkeys", "/account/data"];
const OTHERS: [&str; 4] = ["/account", "/account/sessions", "/account/services", "/account/events"];

/// A form of a page and one of its buttons.
#[derive(Clone)]
struct Pressed {
    page: &'static str,
    form: Form,
    button: (String, String),
}

impl Pressed {
    fn name(&self) -> (&'static str, String) {
        (self.page, self.button.1.clone())
    }

    fn fields(&self) -> Vec<(String, String)> {
        let mut fields = self.form.fields.clone();
        if !self.button.0.is_empty() {
            fields.push(self.button.clone());
        }
        fields
    }

    /// Sends it as another page would, with another token where one is given.
    async fn send(&self, browser: &UserAgent, csrf: Option<&str>) -> Page {
        let mut fields = self.fields();
        for (name, value) in &mut fields {
            if let (Some(csrf), "csrf") = (csrf, name.as_str()) {
                csrf.clone_into(value);
            }
        }
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        browser.post_form(self.form.action.as_str(), &fields).await
    }
}

/// The forms of a page that lead to the account.
fn forms_of(page: &'static str, shown: &Page) -> Vec<Pressed> {
    let forms = shown.forms().into_iter().filter(|form| form.action.path().contains("/account"));
    let pressed = forms.flat_map(|form| {
        assert!(form.value("csrf").is_some_and(|token| !token.is_empty()), "{page}: {:?}", form.fields);
        form.buttons.clone().into_iter().map(move |button| Pressed { page, form: form.clone(), button })
    });
    pressed.collect()
}

/// What the forms of the account change.
async fn state(provider: &TestProvider) -> String {
    let mut found = Vec::new();
    for sql in [
        "SELECT sub, password_hash, deletion_requested_at, browsers_untrusted_at FROM users ORDER BY sub",
        "SELECT session FROM user_sessions WHERE ended_at IS NOT NULL ORDER BY session",
        "SELECT factor_id FROM user_factors ORDER BY factor_id",
        "SELECT passkey_id FROM user_passkeys ORDER BY passkey_id",
        "SELECT client_id FROM consents ORDER BY client_id",
        "SELECT digest FROM user_links ORDER BY digest",
        "SELECT mail_id FROM mail_outbox WHERE kind = 'email_link' ORDER BY mail_id",
        "SELECT event FROM audit_events WHERE event = 'user_exported'",
    ] {
        provider.provider.audit.flush().await;
        found.push(provider.rows(sql).await);
    }
    format!("{found:?}")
}

async fn ready() -> (MailServer, TestProvider, TestClient) {
    let server = MailServer::start();
    let settings = [("issuer", "//localhost"), ("trusted_browser", "30")];
    let provider = TestProvider::mailing(&server, &settings).await;
    let client = provider.add(NewClient::new("reports").with("consent", "ask")).await;
    provider.alice().await;
    (server, provider, client)
}

/// Gives alice one of everything.
async fn with_factors(provider: &TestProvider, client: &TestClient) -> Authenticator {
    let browser = UserAgent::new();
    let page = open(provider, &browser, "/account/passkeys", "alice").await;
    let _ = provider.add_passkey(&browser, &page, &mut SoftAuthenticator::synced()).await;
    let authenticator = provider.enroll("alice-sub").await;
    provider.travel(20);
    let page = Authorization::of(client).open(provider, &browser).await;
    let consent = in_by_code(provider, &browser, page, &authenticator, false).await;
    if consent.url.path().ends_with("/consent") {
        let _ = browser.submit(consent.form("form"), Some(("decision", "allow"))).await;
    }
    provider.travel(60);
    authenticator
}

/// Types what the pages ask for, until it is something else.
async fn in_by_code(
    provider: &TestProvider,
    browser: &UserAgent,
    mut page: Page,
    authenticator: &Authenticator,
    trusts: bool,
) -> Page {
    if page.url.path().ends_with("/login") {
        page = provider.type_in(browser, &page, "alice", PASSWORD).await;
    }
    if !page.url.path().ends_with("/account/second-factor") && page.url.path().ends_with("/second-factor") {
        let mut form = page.form("form:has(#code)");
        form.set("code", authenticator.code(provider.now()));
        if trusts {
            form.fields.push(("trust".into(), "yes".into()));
        }
        let typed = browser.submit(form, Some(("action", "continue"))).await;
        page = provider.settle(browser, typed).await;
        provider.travel(31);
    }
    page
}

/// Opens a page in a session of all factors, which becomes one where it is not.
async fn opened(
    provider: &TestProvider,
    browser: &UserAgent,
    path: &'static str,
    authenticator: &Authenticator,
) -> Page {
    let page = browser.get(&provider.url(path)).await;
    let page = provider.settle(browser, page).await;
    let page = in_by_code(provider, browser, page, authenticator, false).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, path), "{page}");
    page
}

/// Every form there is, in one session.
async fn all_forms(provider: &TestProvider, browser: &UserAgent, authenticator: &Authenticator) -> Vec<Pressed> {
    let mut forms = Vec::new();
    for page in FRESH.into_iter().chain(OTHERS) {
        forms.extend(forms_of(page, &opened(provider, browser, page, authenticator).await));
    }
    let names: BTreeSet<_> = forms.iter().map(Pressed::name).collect();
    for known in [
        ("/account/email", ""),
        ("/account/password", "change"),
        ("/account/second-factor", "begin"),
        ("/account/second-factor", "remove"),
        ("/account/second-factor", "make_codes"),
        ("/account/passkeys", "add"),
        ("/account/passkeys", "remove"),
        ("/account/data", "request"),
        ("/account/sessions", "end_others"),
        ("/account/sessions", "untrust"),
        ("/account/services", "take_back"),
    ] {
        let is_there = names.iter().any(|(page, button)| *page == known.0 && (known.1.is_empty() || button == known.1));
        assert!(is_there, "{known:?} is not among {names:?}");
    }
    forms
}

#[tokio::test]
async fn no_form_does_anything_without_its_own_token_or_from_another_site() {
    let (_server, provider, client) = ready().await;
    let authenticator = with_factors(&provider, &client).await;
    let (here, there) = (UserAgent::new(), UserAgent::new());
    let _ = opened(&provider, &there, "/account/sessions", &authenticator).await;
    let forms = all_forms(&provider, &here, &authenticator).await;
    let before = state(&provider).await;
    for pressed in &forms {
        let name = pressed.name();
        let others = forms.iter().filter(|other| other.form.value("csrf") != pressed.form.value("csrf"));
        let others = others.map(|other| other.form.value("csrf").unwrap().to_owned());
        for token in others.chain([String::new(), "made up".into()]).collect::<BTreeSet<_>>() {
            let refused = pressed.send(&here, Some(&token)).await;
            assert_eq!(refused.status, 403, "{name:?} with {token:?}: {refused}");
        }
        let elsewhere = pressed.send(&there, None).await;
        assert!(
            elsewhere.status == 403 || elsewhere.status.is_redirection(),
            "{name:?} in another browser: {elsewhere}"
        );
        let fields = pressed.fields();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let foreign = here.cross_site_post(pressed.form.action.as_str(), &fields).await;
        assert!(foreign.status == 403 || foreign.status.is_redirection(), "{name:?}: {foreign}");
    }
    assert_eq!(state(&provider).await, before);
}

/// A session that was stolen, or left open at a desk.
#[tokio::test]
async fn what_a_stolen_session_must_not_be_enough_for_wants_a_sign_in_of_the_last_five_minutes() {
    let (_server, provider, client) = ready().await;
    let authenticator = with_factors(&provider, &client).await;
    let browser = UserAgent::new();
    let forms = all_forms(&provider, &browser, &authenticator).await;
    provider.travel(301);
    let before = state(&provider).await;
    for pressed in forms.iter().filter(|pressed| FRESH.contains(&pressed.page)) {
        // What is done by a file or by taking a request back asks as well.
        let answer = pressed.send(&browser, None).await;
        let answer = provider.settle(&browser, answer).await;
        assert!(answer.url.path().ends_with("/login"), "{:?}: {answer}", pressed.name());
    }
    assert_eq!(state(&provider).await, before);
    for page in FRESH {
        let answer = browser.get(&provider.url(page)).await;
        let answer = provider.settle(&browser, answer).await;
        assert!(answer.url.path().ends_with("/login") || page == "/account/data", "{page}: {answer}");
    }
}

/// A password that was stolen, in a session that is fresh, at a node that has not heard yet of what another has added.
#[tokio::test]
async fn what_a_stolen_password_must_not_be_enough_for_wants_every_factor_that_the_account_has_now() {
    let (_server, provider, _client) = ready().await;
    let node = provider.second_node().await;
    let thief = UserAgent::new();
    let _ = open(&node, &thief, "/account/password", "alice").await;
    let owner = provider.enroll("alice-sub").await;
    // The pages list what there is by now, and the node takes the session for one of all factors still.
    let mut forms = Vec::new();
    for page in FRESH {
        let shown = thief.get(&node.url(page)).await;
        assert_eq!((shown.status.as_u16(), shown.url.path()), (200, page), "{shown}");
        forms.extend(forms_of(page, &shown));
    }
    for button in ["remove", "make_codes"] {
        assert!(forms.iter().any(|pressed| pressed.button.1 == button), "{button}");
    }
    let before = state(&provider).await;
    // The first that it tries tells the node, and so each is tried at a node of its own.
    for pressed in &forms {
        let node = provider.second_node().await;
        let thief_here = UserAgent::new();
        for cookie in thief.cookies() {
            thief_here.set_cookie(
                &node.url("/"),
                &format!("{}={}; Path=/; HttpOnly; SameSite=Lax", cookie.name, cookie.value),
            );
        }
        let answer = pressed.send(&thief_here, None).await;
        let answer = provider.settle(&thief_here, answer).await;
        let path = answer.url.path();
        assert!(path.ends_with("/second-factor") && path != "/account/second-factor", "{:?}: {answer}", pressed.name());
    }
    assert_eq!(state(&provider).await, before);
    assert_eq!(provider.rows("SELECT factor_id FROM user_factors WHERE kind = 'totp'").await.len(), 1);
    let browser = UserAgent::new();
    let _ = opened(&provider, &browser, "/account/second-factor", &owner).await;
}

/// A browser that is trusted spares the code at a sign-in, and nothing here.
#[tokio::test]
async fn a_trusted_browser_counts_for_none_of_it() {
    let (_server, provider, client) = ready().await;
    let authenticator = with_factors(&provider, &client).await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let _ = in_by_code(&provider, &browser, page, &authenticator, true).await;
    let page = browser.get(&provider.url("/logout")).await;
    let _ = browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert!(page.status.is_redirection(), "the code is spared: {page}");
    let sessions = browser.get(&provider.url("/account/sessions")).await;
    assert!(sessions.text().contains("You trust this browser"), "{sessions}");
    for path in FRESH.into_iter().filter(|path| *path != "/account/data") {
        let page = browser.get(&provider.url(path)).await;
        let page = provider.settle(&browser, page).await;
        assert!(page.url.path() == "/second-factor", "{path}: {page}");
    }
    // The data are shown as a form, which asks when it is sent.
    let data = browser.get(&provider.url("/account/data")).await;
    let data = provider.settle(&browser, data).await;
    for pressed in forms_of("/account/data", &data) {
        let answer = pressed.send(&browser, None).await;
        let answer = provider.settle(&browser, answer).await;
        assert!(answer.url.path() == "/second-factor", "{:?}: {answer}", pressed.name());
    }
}

/// Forms beside the account: the offer of a passkey, and those behind links of mails and operators.
#[tokio::test]
async fn the_offer_of_a_passkey_and_the_forms_behind_links_take_nothing_from_another_site() {
    let (server, provider, client) = ready().await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let mut form = page.forms().into_iter().find(|form| form.value("password").is_some()).unwrap();
    form.set("username", "alice").set("password", PASSWORD).set("makes_passkeys", "yes");
    let done_in = browser.submit(form, Some(("action", "sign_in"))).await;
    let offer = provider.settle(&browser, done_in).await;
    assert_eq!(offer.url.path(), "/passkey", "{offer}");
    let before = "SELECT passkey_offered_at FROM users WHERE sub = 'alice-sub'";
    for form in offer.forms().into_iter().filter(|form| form.action.path() == "/passkey") {
        for button in form.buttons.clone() {
            let pressed = Pressed { page: "/passkey", form: form.clone(), button };
            for token in ["", "made up"] {
                assert_eq!(pressed.send(&browser, Some(token)).await.status, 403, "{:?}", pressed.name());
            }
            let fields = pressed.fields();
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let foreign = browser.cross_site_post(form.action.as_str(), &fields).await;
            assert!(foreign.status.is_client_error(), "{:?}: {foreign}", pressed.name());
        }
    }
    assert_eq!(provider.rows(before).await, [[None]]);
    // The link to another address, and an invitation.
    let page = open(&provider, &UserAgent::new(), "/account/email", "alice").await;
    let asking = UserAgent::new();
    let page_of_asking = open(&provider, &asking, "/account/email", "alice").await;
    drop(page);
    let mut form = page_of_asking.form("form.stack");
    form.set("email", "new@example.com");
    let _ = asking.submit(form, None).await;
    provider.send_mails().await;
    let mail = server.mails().into_iter().find(|mail| mail.plain().contains("?link=")).unwrap();
    let invited = done(provider.command(&["user", "invite", "bob@example.com"], "")).stdout.trim().to_owned();
    for (link, name) in [(mail.link().to_owned(), "password"), (invited.lines().next().unwrap().to_owned(), "new")] {
        let reader = UserAgent::new();
        let page = reader.get(&link).await;
        assert_eq!(page.status, 200, "{page}");
        let mut form = page.form("form.stack");
        form.set(name, PASSWORD);
        if name == "new" {
            form.set("repeated", PASSWORD).set("username", "bob");
        }
        let button = form.buttons.first().cloned().unwrap_or_default();
        let pressed = Pressed { page: "link", form, button };
        let evil = UserAgent::new().with_header("origin", "https://evil.example");
        for cookie in reader.cookies() {
            evil.set_cookie(
                &provider.url("/"),
                &format!("{}={}; Path=/; HttpOnly; SameSite=Lax", cookie.name, cookie.value),
            );
        }
        let refused = pressed.send(&evil, None).await;
        assert_eq!(refused.status, 403, "{link}: {refused}");
        let fields = pressed.fields();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let foreign = reader.cross_site_post(pressed.form.action.as_str(), &fields).await;
        assert_eq!(foreign.status, 403, "{link}: {foreign}");
    }
    let users = provider.rows("SELECT email FROM users WHERE email IN ('new@example.com', 'bob@example.com')").await;
    assert_eq!(users.len(), 0, "{users:?}");
}

/// A link to another address is as strong as what was proven when it was asked for.
#[tokio::test]
async fn a_link_to_another_address_ends_when_the_account_gets_a_second_factor() {
    for (by, is_mailed) in [("authenticator", true), ("passkey", true), ("authenticator", false), ("passkey", false)] {
        let (server, provider, _client) = ready().await;
        let thief = UserAgent::new();
        let page = open(&provider, &thief, "/account/email", "alice").await;
        let mut form = page.form("form.stack");
        form.set("email", "thief@example.net");
        let _ = thief.submit(form, None).await;
        provider.mails_are_queued().await;
        let waiting = provider.rows("SELECT mail_id FROM mail_outbox WHERE kind = 'email_link'").await;
        assert_eq!(waiting.len(), 1);
        let link = async || {
            provider.send_mails().await;
            let mails = server.mails();
            mails.iter().find(|mail| mail.to() == "thief@example.net").map(|mail| mail.link().to_owned())
        };
        let mailed = if is_mailed { link().await } else { None };
        if let Some(mailed) = &mailed {
            assert_eq!(thief.get(mailed).await.status, 200);
        }
        if by == "authenticator" {
            let _ = provider.enroll("alice-sub").await;
        } else {
            let owner = UserAgent::new();
            let page = open(&provider, &owner, "/account/passkeys", "alice").await;
            let _ = provider.add_passkey(&owner, &page, &mut SoftAuthenticator::synced()).await;
        }
        match mailed {
            Some(mailed) => assert_eq!(thief.get(&mailed).await.status, 410, "{by}"),
            None => assert_eq!(link().await, None, "{by}"),
        }
    }
}

/// What a membership demands that has ended keeps no factor.
#[tokio::test]
async fn the_last_factor_goes_where_the_membership_that_demanded_it_has_ended() {
    let (_server, provider, _client) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let now = provider.now();
    provider
        .sql(&format!(
            "INSERT INTO groups (name, second_factor_within) VALUES ('staff', 7);
             INSERT INTO group_members (group_name, sub, until) VALUES ('staff', 'alice-sub', {});
             INSERT INTO group_members (group_name, sub, until) VALUES ('staff', 'bob-sub', {})",
            now - 100,
            now + 100_000
        ))
        .await;
    for (user, stays) in [("alice", false), ("bob", true)] {
        let authenticator = provider.enroll(&format!("{user}-sub")).await;
        provider.travel(31);
        let browser = UserAgent::new();
        let page = open(&provider, &browser, "/account/second-factor", user).await;
        let page = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
        assert_eq!(page.text().contains("Your organization asks you to have one"), stays, "{page}");
        let form = form_with(&page, "remove");
        let removed = browser.submit(form, Some(("action", "remove"))).await;
        let removed = provider.settle(&browser, removed).await;
        assert_eq!(removed.text().contains("this is your last one"), stays, "{user}: {removed}");
        assert_eq!(removed.text().contains("It is removed."), !stays, "{user}: {removed}");
    }
}
