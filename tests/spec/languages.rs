//! The languages of pages and mails: which one a person reads, of those that there are.

use crate::account::open;
use crate::mails::forgot_with;
use crate::start_page::links;
use crate::support::program::{refused, run_with};
use crate::support::provider::PASSWORD;
use crate::support::smtp::{Mail, MailServer};
use crate::support::{Authorization, Page, TestProvider, UserAgent};
use scraper::Html;

// ---- Verbs of this file.

fn language(page: &Page) -> String {
    let html = Html::parse_document(&page.body);
    html.root_element().attr("lang").unwrap_or_default().to_owned()
}

fn asking_for(languages: &str) -> UserAgent {
    UserAgent::new().with_header("accept-language", languages)
}

#[track_caller]
fn assert_german(page: &Page) {
    assert_eq!(language(page), "de", "{page}");
}

async fn speaks(provider: &TestProvider, locale: &str) {
    provider.sql(&format!("UPDATE users SET locale = '{locale}' WHERE sub = 'alice-sub'")).await;
    provider.travel(10);
}

// ---- Pages.

#[tokio::test]
async fn a_browser_reads_the_language_that_it_asks_for_most() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    for (asked, heading) in [
        ("de", "Anmelden"),
        ("de-AT,en;q=0.9", "Anmelden"),
        ("en;q=0.8,de;q=0.9", "Anmelden"),
        ("fr,de;q=0.1", "Anmelden"),
        ("en-GB,de;q=0.9", "Sign in"),
        ("de;q=0,en;q=0.1", "Sign in"),
        ("fr", "Sign in"),
        ("*", "Sign in"),
        ("de;q=high", "Sign in"),
        ("", "Sign in"),
    ] {
        let page = Authorization::of(&client).open(&provider, &asking_for(asked)).await;
        assert_eq!(page.texts("form.stack button.primary"), [heading], "{asked}: {page}");
        assert_eq!(language(&page), if heading == "Anmelden" { "de" } else { "en" }, "{asked}");
    }
}

/// OIDC Core 3.1.2.1: in the order of preference, without an error where none is supported; for the whole of the sign-in, and for
/// the pages that its page leads to.
#[tokio::test]
async fn a_service_asks_for_the_language_of_the_whole_sign_in_by_ui_locales() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let asking = |list: &str| Authorization::of(&client).with("ui_locales", list);
    let page = asking("fr-CA de en").open(&provider, &browser).await;
    assert_german(&page);
    let wrong = provider.type_in(&browser, &page, "alice", "not the password").await;
    assert_german(&wrong);
    assert_eq!(wrong.texts("[role=alert]").len(), 1, "{wrong}");
    let again = browser.get(page.url.as_str()).await;
    assert_german(&again);
    let consent = provider.type_in(&browser, &wrong, "alice", PASSWORD).await;
    assert!(consent.query_parameter("code").is_some() || language(&consent) == "de", "{consent}");

    for list in ["fr", "", "x-klingon", "en de"] {
        let page = asking(list).open(&provider, &UserAgent::new()).await;
        assert_eq!((page.status.as_u16(), language(&page).as_str()), (200, "en"), "{list}");
    }
}

#[tokio::test]
async fn the_pages_that_a_sign_in_leads_to_are_in_its_language() {
    let server = MailServer::start();
    let provider = TestProvider::mailing(&server, &[("sign_up", "domain:example.com")]).await;
    let client = provider.client("reports").await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).with("ui_locales", "de").open(&provider, &browser).await;
    for path in ["/reset?", "/sign-up?"] {
        let link = links(&page).into_iter().find(|link| link.starts_with(path)).unwrap();
        let asked = browser.get(&provider.url(&link)).await;
        assert_german(&asked);
        // The answer to the form as well.
        let mut form = asked.form("form.stack");
        form.set(if path == "/reset?" { "username" } else { "email" }, "new@example.com");
        assert_german(&browser.submit(form, None).await);
    }
    let created = Authorization::of(&client).with("ui_locales", "de").with("prompt", "create");
    let created = created.open(&provider, &UserAgent::new()).await;
    assert!(created.url.path().contains("/sign-up"), "{created}");
    assert_german(&created);
}

#[tokio::test]
async fn errors_are_in_the_language_of_who_reads_them_and_what_services_are_told_is_english() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    let german = asking_for("de");
    let nothing = german.get(&provider.url("/nothing")).await;
    assert_german(&nothing);
    assert_eq!(nothing.status, 404);
    // The service is known, its address is not: the mistake is for developers.
    let bad = Authorization::of(&client).with("redirect_uri", "https://evil.example/").with("ui_locales", "de");
    let bad = bad.open(&provider, &UserAgent::new()).await;
    assert_german(&bad);
    assert!(bad.text().contains("redirect_uri is not registered"), "{bad}");
    // One whose sign-in is over keeps the language that the browser asks for.
    let over = german.get(&provider.url("/login?interaction=hp_in_none")).await;
    assert_german(&over);
    let refused = Authorization::of(&client).with("ui_locales", "de").with("prompt", "none");
    let refused = refused.open(&provider, &UserAgent::new()).await;
    let told = refused.query_parameter("error_description").unwrap();
    assert!(told.is_ascii() && told.contains("sign"), "{told}");
}

#[tokio::test]
async fn a_user_whose_browser_asks_for_no_language_of_ours_reads_their_own() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    for (locale, asked, expected) in
        [("de-CH", "fr", "de"), ("de_AT", "", "de"), ("de", "en", "en"), ("fr", "it", "en"), ("", "it", "en")]
    {
        speaks(&provider, locale).await;
        let browser = asking_for(asked);
        provider.sign_in(&browser, &client).await;
        let account = open(&provider, &browser, "/account", "alice").await;
        assert_eq!(language(&account), expected, "{locale:?} and {asked:?}: {account}");
    }
}

/// RP-Initiated Logout 1.0 section 2: `ui_locales`, on the page that asks and on the one behind it.
#[tokio::test]
async fn a_sign_out_speaks_the_language_that_the_service_asks_for() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    provider.sign_in(&browser, &client).await;
    let asks = browser.get(&provider.url("/logout?client_id=reports&ui_locales=de")).await;
    assert_german(&asks);
    assert_eq!(asks.texts("h1"), ["Möchten Sie sich abmelden?"], "{asks}");
    let gone = browser.submit(asks.form("form"), Some(("action", "sign_out"))).await;
    assert_german(&gone);
}

// ---- What the operator offers.

#[tokio::test]
async fn the_first_language_of_the_setting_is_for_who_asks_for_none_of_them() {
    for (setting, asked, expected) in
        [("de,en", "fr", "de"), ("de,en", "en", "en"), ("de", "en", "de"), ("en", "de", "en")]
    {
        let provider = TestProvider::with(&[("languages", setting)]).await;
        let page = asking_for(asked).get(&provider.url("/")).await;
        assert_eq!(language(&page), expected, "{setting} and {asked}");
        let metadata = provider.get("/.well-known/openid-configuration", &[]).await;
        let offered: Vec<&str> = setting.split(',').collect();
        assert_eq!(metadata.json()["ui_locales_supported"], serde_json::json!(offered));
    }
}

#[test]
fn a_language_without_texts_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let ran = |setting: &str| run_with(folder.path(), &["migrate"], &[("HALLPASS_LANGUAGES", setting)], "");
    for (setting, why) in
        [("xx", "no texts in \"xx\""), ("de,fr", "en and de"), ("en,EN", "twice"), (",", "one language or more")]
    {
        refused(&ran(setting), &["HALLPASS_LANGUAGES", why, "HALLPASS_LANGUAGES=de,en"]);
    }
    assert_eq!(ran(" de, ").status, 0);
}

// ---- Mails.

fn only(server: &MailServer) -> Mail {
    let mut mails = server.mails();
    assert_eq!(mails.len(), 1, "{:?}", mails.iter().map(Mail::subject).collect::<Vec<_>>());
    mails.remove(0)
}

/// What the user says of themselves counts more than a browser, which may be a stranger's.
#[tokio::test]
async fn a_mail_is_in_the_language_of_the_user_else_of_the_browser_that_it_is_about() {
    for (locale, asked, expected) in
        [("de", "en", "de"), ("", "de-DE", "de"), ("fr", "de", "de"), ("en", "de", "en"), ("", "fr", "en")]
    {
        let server = MailServer::start();
        let provider = TestProvider::mailing(&server, &[]).await;
        provider.alice().await;
        speaks(&provider, locale).await;
        let browser = asking_for(asked);
        forgot_with(&browser, &provider, "alice").await;
        provider.send_mails().await;
        let mail = only(&server);
        let (subject, word) = match expected {
            "de" => ("Neues Passwort", "Konto alice"),
            _ => ("Set a new password", "account alice"),
        };
        assert!(mail.subject().contains(subject), "{locale:?} and {asked:?}: {}", mail.subject());
        assert!(mail.plain().contains(word), "{locale:?} and {asked:?}: {}", mail.plain());
        assert!(mail.html().contains(&format!("<html lang=\"{expected}\">")), "{}", mail.html());
    }
}

/// A notice is queued with what it tells of, in the same transaction.
#[tokio::test]
async fn a_notice_is_in_the_language_of_the_browser_that_did_it() {
    let server = MailServer::start();
    let provider = TestProvider::mailing(&server, &[]).await;
    provider.alice().await;
    let browser = asking_for("de");
    forgot_with(&browser, &provider, "alice").await;
    provider.send_mails().await;
    let page = browser.get(only(&server).link()).await;
    assert_german(&page);
    let mut form = page.form("form.stack");
    form.set("new", "purple otter thunder shelf").set("repeated", "purple otter thunder shelf");
    assert_german(&browser.submit(form, None).await);
    provider.send_mails().await;
    let notice = server.mails().pop().unwrap();
    assert!(notice.html().contains("<html lang=\"de\">"), "{}", notice.html());
    assert!(notice.plain().contains("Passwort") && !notice.plain().contains("password"), "{}", notice.plain());
}
