//! What pages tell a user: whose account it is, what will be sent and what of it is new, until when to wait, and for whom a link
//! that does not work was meant.

use crate::support::provider::PASSWORD;
use crate::support::{Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent};
use hallpass::throttle::PER_ACCOUNT_AND_NETWORK;
use reqwest::StatusCode;
use scraper::{Html, Selector};

// ---- Verbs of this file.

fn count(page: &Page, css: &str) -> usize {
    Html::parse_document(&page.body).select(&Selector::parse(css).unwrap()).count()
}

fn links(page: &Page) -> Vec<String> {
    let html = Html::parse_document(&page.body);
    let selector = Selector::parse("a[href]").unwrap();
    html.select(&selector).filter_map(|link| link.attr("href")).map(str::to_owned).collect()
}

/// What a user reads, as a browser sets it: the text without the spaces that the reader of pages puts between elements.
fn said(page: &Page) -> String {
    page.text().replace(" .", ".").replace(" ,", ",")
}

/// The page that the link for another account leads to.
async fn switched(browser: &UserAgent, page: &Page) -> Page {
    let link = links(page).into_iter().find(|link| link.ends_with("switch=1"));
    let link = link.unwrap_or_else(|| panic!("no such link: {page}"));
    browser.get(page.url.join(&link).unwrap().as_str()).await
}

/// A user who is asked for consent, with the scope of that request.
async fn asked(provider: &TestProvider, client: &TestClient, browser: &UserAgent, scope: &str) -> Page {
    let page = Authorization::of(client).with("scope", scope).open(provider, browser).await;
    if page.url.path().ends_with("/login") { provider.type_in(browser, &page, "alice", PASSWORD).await } else { page }
}

async fn allow(provider: &TestProvider, browser: &UserAgent, page: &Page) {
    let answered = browser.submit(page.form("form"), Some(("decision", "allow"))).await;
    let settled = provider.settle(browser, answered).await;
    assert!(settled.status.is_redirection(), "{settled}");
}

// ---- Whose account it is.

#[tokio::test]
async fn another_account_is_used_in_a_form_that_says_nothing_of_this_one() {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let hinted = Authorization::of(&client).with("login_hint", "alice");
    let login = hinted.open(&provider, &browser).await;
    assert_eq!(login.form("form").value("username"), Some("alice"));
    let consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    let confirm = hinted.with("prompt", "login").open(&provider, &browser).await;
    assert!(said(&confirm).contains("Please confirm it is you, Alice Example."), "{confirm}");
    for page in [consent, confirm] {
        let page = switched(&browser, &page).await;
        assert_eq!(page.form("form").value("username"), Some(""), "{page}");
        assert!(!page.body.to_lowercase().contains("alice"), "{}", page.body);
        let page = provider.type_in(&browser, &page, "alice", "not her password").await;
        assert_eq!(page.form("form").value("username"), Some("alice"), "what was typed there stays");
    }
}

#[tokio::test]
async fn two_accounts_of_one_name_can_be_told_apart() {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports")).await;
    provider.alice().await;
    provider.add_user(NewUser::named("alice2").with("name", "Alice Example")).await;
    let bare = NewUser::named("bare").with("email", "bare");
    provider.add_user(bare).await;
    for (username, expected) in [("alice", "Alice Example alice"), ("alice2", "Alice Example alice2"), ("bare", "bare")]
    {
        let browser = UserAgent::new();
        let login = Authorization::of(&client).open(&provider, &browser).await;
        let consent = provider.type_in(&browser, &login, username, PASSWORD).await;
        let choice = Authorization::of(&client).with("prompt", "select_account").open(&provider, &browser).await;
        let confirm = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
        let leave = browser.get(&provider.url("/logout")).await;
        let box_of = |page: &Page| page.texts(".account p").into_iter().take(2).collect::<Vec<_>>().join(" ");
        for page in [&consent, &leave] {
            let shown = box_of(page).replace(" Not you? Use another account", "");
            assert_eq!(shown, format!("Signed in as {expected}"), "{page}");
        }
        assert_eq!(choice.texts("button[value=continue]"), [format!("Continue as {expected}")]);
        let confirmed = box_of(&confirm).replace(" Not you? Use another account", "").replace(" .", "");
        assert_eq!(confirmed, format!("Please confirm it is you, {expected}"));
        // The way that is offered first looks like it.
        assert_eq!(count(&choice, "button.primary[value=continue]"), 1, "{choice}");
        assert_eq!((count(&choice, "button.secondary[value=sign_in]"), count(&choice, ".primary")), (1, 1), "{choice}");
    }
}

#[tokio::test]
async fn the_title_of_a_page_says_what_its_heading_says() {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("response_mode", "form_post");
    let login = request.open(&provider, &browser).await;
    let wrong = provider.type_in(&browser, &login, "alice", "not her password").await;
    let consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    let answered = browser.submit(consent.form("form"), Some(("decision", "allow"))).await;
    let sent = provider.settle(&browser, answered).await;
    let mut pages = vec![login, wrong, consent, sent];
    for path in ["/", "/logout", "/nowhere", "/login", "/authorize", "/authorize?client_id=reports&redirect_uri=x"] {
        pages.push(browser.get(&provider.url(path)).await);
    }
    let signed_out = browser.submit(pages[4].form("form"), Some(("action", "sign_out"))).await;
    pages.extend([signed_out, browser.get(&provider.url("/")).await]);
    for page in pages {
        assert_eq!(page.texts("h1"), [page.title()], "{page}");
    }
}

// ---- What is asked for.

#[tokio::test]
async fn consent_shows_the_values_that_will_be_sent_and_no_others() {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("scope", "openid profile email phone address reports:read");
    let client = provider.add(client).await;
    let alice = NewUser::alice().with("phone_number", "+44 20 7946 0000").with("locale", "en-GB");
    provider.add_user(alice.with("address_formatted", "1 Main Street").with("picture", &"p".repeat(300))).await;
    let browser = UserAgent::new();
    let page = asked(&provider, &client, &browser, "openid email").await;
    assert_eq!(page.texts(".values div"), ["Address alice@example.com"], "{page}");
    let page = asked(&provider, &client, &browser, "openid profile phone address reports:read").await;
    let shown = page.texts(".values div");
    for value in ["Name Alice Example", "Language en-GB", "Number +44 20 7946 0000", "Address 1 Main Street"] {
        assert!(shown.contains(&value.to_owned()), "{value} is not in {shown:?}");
    }
    assert!(!page.text().contains("alice@example.com"), "{page}");
    assert!(!page.body.contains(&"p".repeat(250)), "what is endless is cut");
    // Of a scope that is not asked for as a whole, the single claims that are.
    let single = r#"{"userinfo": {"locale": null}}"#;
    let request = Authorization::of(&client).with("scope", "openid").with("claims", single);
    let page = request.open(&provider, &browser).await;
    assert_eq!(page.texts(".values div"), ["Language en-GB"], "{page}");
    // What was allowed is what was shown: the whole of the scope is asked for anew.
    allow(&provider, &browser, &page).await;
    let page = asked(&provider, &client, &browser, "openid profile").await;
    assert!(page.url.path().ends_with("/consent") && page.text().contains("Name Alice Example"), "{page}");
    let silent = Authorization::of(&client).with("scope", "openid profile").with("prompt", "none");
    let answer = Answer::of(&silent.open(&provider, &browser).await, &client.redirect_uri);
    assert_eq!(answer.error(), "consent_required");
    // Once it was, single claims of it are part of that.
    allow(&provider, &browser, &page).await;
    assert!(request.open(&provider, &browser).await.status.is_redirection());
}

#[tokio::test]
async fn consent_marks_what_was_not_allowed_before() {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports").with("scope", "openid profile email reports:read")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let first = asked(&provider, &client, &browser, "openid email").await;
    assert_eq!(count(&first, ".badge"), 0, "where nothing was allowed before, nothing is marked: {first}");
    allow(&provider, &browser, &first).await;
    let wider = asked(&provider, &client, &browser, "openid email reports:read profile").await;
    let lines = wider.texts(".scopes li");
    let new: Vec<bool> = ["Your e-mail address", "reports:read New", "Your profile New"]
        .map(|begins| lines.iter().any(|line| line.starts_with(begins)))
        .into();
    assert_eq!((new, count(&wider, ".badge")), (vec![true; 3], 2), "{lines:?}");
    assert!(wider.text().contains("What is not marked as new you have allowed before."), "{wider}");
    allow(&provider, &browser, &wider).await;
    let again = Authorization::of(&client).with("prompt", "consent").open(&provider, &browser).await;
    assert_eq!(count(&again, ".badge"), 0, "{again}");
}

// ---- When to come again.

/// To the minute, and the same whether or not there is such a user.
#[tokio::test]
async fn a_throttled_user_is_told_until_when_and_an_unknown_name_is_told_the_same() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let mut pages = Vec::new();
    for name in ["alice", "nemo0"] {
        let browser = UserAgent::new();
        let login = Authorization::of(&client).open(&provider, &browser).await;
        for _ in 0..PER_ACCOUNT_AND_NETWORK {
            assert_eq!(provider.type_in(&browser, &login, name, "guess").await.status, 422);
        }
        let begins = provider.now();
        let page = provider.type_in(&browser, &login, name, "guess").await;
        let ends = provider.now();
        assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS, "{page}");
        let seconds: i64 = page.header("retry-after").unwrap().parse().unwrap();
        let of_day = |now: i64| (now + seconds + 59) / 60 % 1440;
        let fits = (begins..=ends).any(|now| {
            let minutes = (seconds + 59) / 60;
            let (hour, minute) = (of_day(now) / 60, of_day(now) % 60);
            said(&page).contains(&format!("Please wait {minutes} minutes, until {hour:02}:{minute:02} UTC, and"))
        });
        assert!(fits, "{seconds} {page}");
        assert_eq!(count(&page, "time[datetime$=':00Z']"), 1, "{}", page.body);
        // What was typed may be right: it was not looked at.
        let fields = ["[aria-invalid]", "input[aria-describedby=login-error]"].map(|css| count(&page, css));
        assert_eq!(fields, [0, 2], "{}", page.body);
        pages.push(page);
    }
    // But for the name, the tokens and the clock, one page is the other.
    let plain = |page: &Page, name: &str| {
        let mut text = page.text().replace(name, "…");
        text.retain(|c| !c.is_ascii_digit());
        text
    };
    assert_eq!(plain(&pages[0], "alice"), plain(&pages[1], "nemo0"));
}

// ---- Links that do not work.

#[tokio::test]
async fn a_wrong_redirect_uri_is_told_for_which_service_and_to_its_developers_in_small_print() {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("client_name", "Reports & <b>Co</b>");
    let client = provider.add(client.with("client_uri", "https://reports.example/")).await;
    let browser = UserAgent::new();
    let wrong = Authorization::of(&client).with("redirect_uri", "https://evil.example/cb");
    let page = wrong.clone().open(&provider, &browser).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(said(&page).contains("It is meant for Reports & <b>Co</b>, and there is a mistake in it."), "{page}");
    assert_eq!(page.texts("p.fine"), ["For the developers: redirect_uri is not registered for this client ."]);
    // The way on is the row's, and what was sent is nowhere.
    assert_eq!(links(&page), ["https://reports.example/"]);
    assert!(!page.body.contains("evil.example"), "{}", page.body);

    let unknown = wrong.with("client_id", "unknown").open(&provider, &browser).await;
    assert!(unknown.text().contains("The service that sent you here made a mistake."), "{unknown}");
    assert_eq!(unknown.texts("p.fine").len(), 1);
    assert!(!unknown.body.contains("Reports") && links(&unknown).is_empty(), "{unknown}");
}
