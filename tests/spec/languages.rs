//! The languages of pages and mails: which one a person reads, of those that there are.

use crate::account::open;
use crate::mails::forgot_with;
use crate::start_page::links;
use crate::support::program::{done, hebrew, json_of, refused, run_with};
use crate::support::provider::PASSWORD;
use crate::support::smtp::{Mail, MailServer};
use crate::support::{Authorization, NewClient, Page, TestProvider, UserAgent, folder};
use hallpass::protocol::mail::MailKind;
use scraper::Html;
use std::fs;
use std::path::Path;

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
    let folder = folder();
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
        assert!(mail.html().contains(&format!("<html lang=\"{expected}\" dir=\"ltr\">")), "{}", mail.html());
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
    assert!(notice.html().contains("<html lang=\"de\" dir=\"ltr\">"), "{}", notice.html());
    assert!(notice.plain().contains("Passwort") && !notice.plain().contains("password"), "{}", notice.plain());
}

/// What the audit writes behind the answer is told in the language of the browser as well.
#[tokio::test]
async fn a_notice_of_a_new_browser_is_in_its_language() {
    let server = MailServer::start();
    let provider = TestProvider::mailing(&server, &[]).await;
    let client = provider.client("reports").await;
    provider.alice().await;
    provider.sql(&format!("UPDATE users SET created_at = {}", provider.now() - 86_400)).await;
    provider.sign_in(&asking_for("en"), &client).await;
    provider.send_mails().await;
    assert_eq!(only(&server).subject(), "A sign-in from a new browser");
    // The service decides where it says so.
    let page = Authorization::of(&client).with("ui_locales", "de").open(&provider, &asking_for("en")).await;
    let page = provider.type_in(&asking_for("en"), &page, "alice", PASSWORD).await;
    assert!(page.query_parameter("code").is_none(), "a form is of its browser: {page}");
    let browser = asking_for("en");
    let page = Authorization::of(&client).with("ui_locales", "de").open(&provider, &browser).await;
    provider.type_in(&browser, &page, "alice", PASSWORD).await;
    provider.send_mails().await;
    provider.sign_in(&asking_for("de-AT"), &client).await;
    provider.send_mails().await;
    let mails = server.mails();
    let subjects: Vec<&str> = mails.iter().map(Mail::subject).collect();
    let german = "Anmeldung mit einem neuen Browser";
    assert_eq!(subjects, ["A sign-in from a new browser", german, german]);
}

// ---- Texts of the operator's own.

fn written(folder: &Path, files: &[(&str, &str)]) -> String {
    let texts = folder.join("texts");
    fs::create_dir_all(&texts).unwrap();
    for (name, content) in files {
        fs::write(texts.join(name), content).unwrap();
    }
    texts.display().to_string()
}

#[tokio::test]
async fn a_folder_of_texts_words_some_differently_and_adds_languages() {
    let folder = folder();
    let texts = written(
        folder.path(),
        &[("de.ftl", "login-sign-in = Los <b>geht</b> es\n"), ("fr-CA.ftl", "login-sign-in = Se connecter\n")],
    );
    let provider = TestProvider::with(&[("texts", &texts), ("languages", "de,en,fr-CA")]).await;
    let client = provider.client("reports").await;
    for (asked, expected, button, cancel) in [
        ("de", "de", "Los <b>geht</b> es", "Abbrechen"),
        ("fr", "fr-CA", "Se connecter", "Abbrechen"),
        ("fr-CA", "fr-CA", "Se connecter", "Abbrechen"),
        ("en", "en", "Sign in", "Cancel"),
    ] {
        let page = Authorization::of(&client).open(&provider, &asking_for(asked)).await;
        assert_eq!(language(&page), expected, "{asked}: {page}");
        assert_eq!(page.texts("form.stack button.primary"), [button], "{asked}: {page}");
        assert!(page.text().contains(cancel), "{asked}: {page}");
    }
    let metadata = provider.get("/.well-known/openid-configuration", &[]).await;
    assert_eq!(metadata.json()["ui_locales_supported"], serde_json::json!(["de", "en", "fr-CA"]));
}

#[test]
fn texts_that_are_wrong_stop_the_start_with_their_line_and_others_are_told() {
    let folder = folder();
    let ran = |files: &[(&str, &str)], languages: &str, command: &[&str]| {
        let _ = fs::remove_dir_all(folder.path().join("texts"));
        let texts = written(folder.path(), files);
        run_with(folder.path(), command, &[("HALLPASS_TEXTS", &texts), ("HALLPASS_LANGUAGES", languages)], "")
    };
    for (file, source, why) in [
        ("de.ftl", "login-cancel = A\n\nb = { $\n", "de.ftl, line 3: not Fluent"),
        ("de.ftl", "login-cancel = A\nlogin-cancel = B\n", "de.ftl, line 2: login-cancel is there twice"),
        ("de.ftl", "login-cancel = { -name }\n", "line 1: login-cancel names -name"),
        ("de_DE_x_y.ftl", "", "named after no language"),
    ] {
        refused(&ran(&[(file, source)], "en,de", &["migrate"]), &["HALLPASS_TEXTS", why]);
    }
    refused(&ran(&[], "en,fr", &["migrate"]), &["HALLPASS_LANGUAGES", "no texts in \"fr\""]);
    assert_eq!(ran(&[("fr.ftl", "")], "en,fr", &["migrate"]).status, 0);
    let missing = run_with(folder.path(), &["migrate"], &[("HALLPASS_TEXTS", "not-there")], "");
    refused(&missing, &["HALLPASS_TEXTS", "not-there cannot be read"]);
    let german = "login-cancle = A\nlogin-cancel = { $what }\nscope-email = B\n    .descripton = C\n";
    let files = [("de.ftl", german), ("it.ftl", ""), ("fr.flt", "")];
    let told = ran(&files, "en,de", &["texts", "check"]);
    assert_eq!(told.status, 1, "{told:?}");
    for remark in [
        "no page and no mail has a text login-cancle. Did you mean login-cancel?",
        "no page and no mail has a text scope-email.descripton. Did you mean scope-email.description?",
        "login-cancel has a variable $what",
        "it.ftl is of a language that HALLPASS_LANGUAGES does not name",
        "fr.flt is neither a catalog",
    ] {
        assert!(told.stdout.contains(remark), "{remark}: {told:?}");
    }
    let told = ran(&files, "en,de", &["doctor"]);
    assert!(told.stdout.contains("Did you mean login-cancel?"), "{told:?}");
}

#[test]
fn the_texts_command_prints_what_there_is_and_what_is_missing() {
    let folder = folder();
    let english = done(run_with(folder.path(), &["texts", "show", "en"], &[], "")).stdout;
    assert!(english.contains("login-sign-in = Sign in\n"), "{english}");
    let german = json_of(&done(run_with(folder.path(), &["texts", "show", "DE", "--json"], &[], "")));
    assert_eq!(german["language"], "de");
    assert!(
        german["texts"]
            .as_array()
            .unwrap()
            .contains(&serde_json::json!({"key": "login-sign-in", "source": "login-sign-in = Anmelden"}))
    );
    refused(&run_with(folder.path(), &["texts", "show", "fr"], &[], ""), &["no texts in \"fr\"", "en and de"]);
    // What is missing, put at the end, leaves nothing that is missing; what the file has in part is taken out first.
    let (whole, in_part) = ("login-sign-in = Se connecter", "scope-email = Adresse\nlogin-heading = { $service }\n");
    let texts = written(folder.path(), &[("fr.ftl", &format!("{in_part}{whole}"))]);
    let settings = [("HALLPASS_TEXTS", texts.as_str()), ("HALLPASS_LANGUAGES", "en,fr")];
    let missing = done(run_with(folder.path(), &["texts", "missing", "FR"], &settings, ""));
    assert!(missing.stderr.contains("first what it has of login-heading, scope-email:"), "{missing:?}");
    let missing = missing.stdout;
    assert!(missing.contains("login-heading = ") && !missing.contains("login-sign-in"), "{missing}");
    // With what a translator is told.
    assert!(missing.contains("\n# "), "{missing}");
    let file = folder.path().join("texts/fr.ftl");
    fs::write(&file, format!("{in_part}{whole}{missing}")).unwrap();
    refused(&run_with(folder.path(), &["texts", "check"], &settings, ""), &["is there twice"]);
    // That needs no settings, which could not be read now.
    done(run_with(folder.path(), &["texts", "show", "en"], &settings, ""));
    fs::write(&file, format!("{whole}{missing}")).unwrap();
    done(run_with(folder.path(), &["texts", "check"], &settings, ""));
    let none = done(run_with(folder.path(), &["texts", "missing", "fr", "--json"], &settings, ""));
    assert_eq!(json_of(&none)["texts"], serde_json::json!([]));
    refused(&run_with(folder.path(), &["texts", "missing", "it"], &settings, ""), &["cannot choose", "en, fr"]);
}

#[tokio::test]
async fn a_language_from_right_to_left_is_laid_out_so_and_keeps_names_apart() {
    let folder = folder();
    hebrew(&folder.path().join("texts"));
    let texts = folder.path().join("texts").display().to_string();
    let server = MailServer::start();
    let provider = TestProvider::mailing(&server, &[("texts", &texts), ("languages", "en,he")]).await;
    let client =
        provider.add(NewClient::new("reports").with("consent", "skip").with("client_name", "Reports (2)")).await;
    provider.alice().await;
    let page = Authorization::of(&client).open(&provider, &asking_for("he")).await;
    assert!(page.body.contains("<html lang=\"he\" dir=\"rtl\">"), "{}", page.body);
    let title = page.texts("title").join("");
    assert!(title.contains("\u{2068}Reports (2)\u{2069}"), "{title:?}");
    // In the content markup does it.
    assert_eq!(page.texts("h1 bdi"), ["Reports (2)"], "{page}");
    assert!(!page.texts("h1").join("").contains('\u{2068}'), "{page}");
    forgot_with(&asking_for("he"), &provider, "alice").await;
    provider.send_mails().await;
    let mail = only(&server);
    assert!(mail.html().contains("<html lang=\"he\" dir=\"rtl\">"), "{}", mail.html());
    let plain = mail.plain();
    assert!(plain.contains("\u{2068}alice\u{2069}"), "{plain:?}");
    for word in plain.split_whitespace().filter(|word| word.contains("://") || word.contains("localhost")) {
        assert!(!word.contains(['\u{2068}', '\u{2069}']), "{word:?}");
    }
    // What is known of it is kept apart, in both parts.
    let at = plain.lines().find(|line| line.contains("UTC")).unwrap();
    assert!(at.contains(": \u{2068}20") && at.ends_with("UTC\u{2069}"), "{at:?}");
    assert!(mail.html().contains("<bdi>\u{2068}20"), "{}", mail.html());
    let page = asking_for("en").get(mail.link()).await;
    assert!(page.status.is_success() && page.body.contains("<html lang=\"en\" dir=\"ltr\">"), "{page}");
}

// ---- Layouts of mails.

const HTML: &str = "<html lang=\"{{ language }}\" dir=\"{{ direction }}\"><h1>{{ organization }}: {{ subject }}</h1>\n\
    {% for text in words %}<p>{{ text }}</p>{% endfor %}{% if link %}<a href=\"{{ link.address }}\">{{ link.action }}</a>{% endif %}\n\
    {% for fact in facts %}<i>{{ fact.name }}={{ fact.value }}</i>{% endfor %}<p>{{ advice }}</p>{{ kind }}</html>\n";
const PLAIN: &str = "{% for text in words %}{{ text }}\n{% endfor %}{% if link %}{{ link.address }}{% endif %}\n\
    {{ advice }}\n{{ sender }} {{ issuer }} {{ help }}\n";

#[tokio::test]
async fn mails_are_laid_out_as_the_operator_has_it_and_what_is_put_in_is_escaped() {
    let folder = folder();
    let texts = written(folder.path(), &[("mail.html", HTML), ("mail.txt", PLAIN)]);
    let server = MailServer::start();
    let settings = [("texts", texts.as_str()), ("name", "Example <Ltd.>"), ("help_url", "https://example.com/help")];
    let provider = TestProvider::mailing(&server, &settings).await;
    provider.alice().await;
    provider.sql("UPDATE users SET username = 'a<b>&' WHERE sub = 'alice-sub'").await;
    provider.travel(10);
    forgot_with(&asking_for("de"), &provider, "a<b>&").await;
    provider.send_mails().await;
    let mail = only(&server);
    let html = mail.html();
    assert!(html.contains("<h1>Example &lt;Ltd.&gt;: Neues Passwort"), "{html}");
    assert!(html.contains("Konto a&lt;b&gt;&amp;") && html.contains("password_link</html>"), "{html}");
    assert!(html.contains("<html lang=\"de\" dir=\"ltr\">"), "{html}");
    let plain = mail.plain();
    assert!(plain.contains("Konto a<b>&") && plain.contains("https://example.com/help"), "{plain}");
    // The link works as it is written in both.
    let link = mail.link().to_owned();
    assert!(html.replace("&#x2f;", "/").contains(&link), "{html}");
    assert!(asking_for("de").get(&link).await.status.is_success());
}

/// A link that is waited for is worth more than its looks; and a header is one line.
#[tokio::test]
async fn a_mail_that_its_layout_fails_at_is_sent_in_ours_and_a_subject_is_one_line() {
    let folder = folder();
    let fails = "{% if \"alice\" in words[0] %}{{ words[0] }} {{ link.address if link }}{% else %}{{ nope[link.address] }}{% endif %}";
    let subject = "mail-password-link-subject =\n    Passwort\n    X-Injected: yes\n";
    let texts = written(folder.path(), &[("mail.txt", fails), ("mail.html", fails), ("de.ftl", subject)]);
    let checked = run_with(folder.path(), &["texts", "check"], &[("HALLPASS_TEXTS", &texts)], "");
    assert_eq!(done(checked).stderr, "");
    let server = MailServer::start();
    let provider = TestProvider::mailing(&server, &[("texts", &texts)]).await;
    provider.alice().await;
    provider.sql("UPDATE users SET username = 'bob' WHERE sub = 'alice-sub'").await;
    provider.travel(10);
    forgot_with(&asking_for("de"), &provider, "bob").await;
    provider.send_mails().await;
    let mail = only(&server);
    assert_eq!(mail.subject(), "Passwort X-Injected: yes");
    assert!(mail.plain().contains("Konto bob") && mail.html().contains("<!doctype html>"), "{}", mail.plain());
    assert!(asking_for("de").get(mail.link()).await.status.is_success());
}

#[test]
fn a_mail_is_printed_as_it_would_be_sent() {
    let folder = folder();
    let texts = written(folder.path(), &[("mail.html", HTML), ("fr.ftl", "mail-new-browser-subject = Bonjour\n")]);
    let settings = [("HALLPASS_TEXTS", texts.as_str()), ("HALLPASS_LANGUAGES", "de,fr"), ("HALLPASS_NAME", "Us & Co")];
    let printed =
        |arguments: &[&str]| run_with(folder.path(), &[&["texts", "mail"], arguments].concat(), &settings, "");
    for kind in MailKind::ALL.iter().map(|kind| kind.as_str()) {
        let mail = json_of(&done(printed(&[kind, "--json"])));
        assert!(mail["language"] == "de" && mail["plain"].as_str().unwrap().len() > 100, "{mail}");
        assert!(mail["html"].as_str().unwrap().trim_end().ends_with(&format!("{kind}</html>")), "{mail}");
    }
    let html = done(printed(&["new_browser", "--language", "FR"])).stdout;
    assert!(html.contains("<h1>Us &amp; Co: Bonjour</h1>") && html.contains("lang=\"fr\""), "{html}");
    // Where there is no layout, it is ours.
    let plain = done(printed(&["password_link", "--plain"])).stdout;
    assert!(plain.contains("Konto alice") && plain.contains("/reset?link=hp_ln_"), "{plain}");
    refused(&printed(&["new_browser", "--language", "it"]), &["cannot choose", "de, fr"]);
    assert_eq!(printed(&["new"]).status, 2);
}

#[test]
fn a_layout_with_a_fault_stops_the_start_with_its_line_and_doctor_says_it() {
    let folder = folder();
    let without_link = HTML.replace("{{ link.address }}", "#");
    let only_with_facts = "{% if facts[2].value %}{{ words[0] }}{% if link %}{{ link.address }}{% endif %}{% endif %}";
    for (file, content, why) in [
        ("mail.html", "<p>\n{{ salutation }}</p>", "mail.html, line 2: undefined value: `salutation` is undefined"),
        ("mail.html", "{% for text in words %}", "mail.html, line 1: syntax error"),
        ("mail.txt", "{% include \"/etc/passwd\" %}", "mail.txt, line 1: syntax error: unknown statement include"),
        (
            "mail.txt",
            "{{ words[0] }}\n{{ link.address if link }}\n{{ help }}",
            "mail.txt, line 3: undefined value: it is not set",
        ),
        ("mail.html", "{% if help %}-{% endif %}{{ help or issuer }}\n{{ help }}", "line 2: undefined value"),
        ("mail.txt", "{{ advice * 9999999 }}", "mail.txt, line 1"),
        ("mail.html", &without_link, "the link is not in it"),
        ("mail.txt", " \n{% if false %}x{% endif %}", "nothing is in it"),
        (
            "mail.txt",
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}",
            "takes too long",
        ),
        ("mail.txt", only_with_facts, "mail.txt, line 1"),
    ] {
        let _ = fs::remove_dir_all(folder.path().join("texts"));
        let texts = written(folder.path(), &[(file, content)]);
        let settings = [
            ("HALLPASS_TEXTS", texts.as_str()),
            ("HALLPASS_NAME", "Us"),
            ("HALLPASS_LISTEN", "127.0.0.1:0"),
            ("HALLPASS_MANAGEMENT_LISTEN", "127.0.0.1:0"),
        ];
        for command in [&["serve"][..], &["texts", "check"]] {
            let outcome = run_with(folder.path(), command, &settings, "");
            assert!(outcome.status == 1 && outcome.stderr.contains(why), "{content}: {outcome:?}");
        }
        let told = run_with(folder.path(), &["doctor"], &settings, "");
        assert!(told.status == 1 && told.stdout.contains(why), "{content}: {told:?}");
    }
}
