//! A person at a real browser: the demo, decisions and mistakes, tabs, the keyboard, no JavaScript, and how pages look.

use crate::support::chromium::{Browser, Options};
use crate::support::factors::WRONG;
use crate::support::program::{Demo, demo_ports, run};
use crate::support::provider::PASSWORD;
use crate::support::remote::until;
use crate::support::{Authorization, NewClient, NewUser, Receiver, TestClient, TestProvider, claims_of, folder};
use fantoccini::key::Key;
use hallpass::throttle::PER_ACCOUNT_AND_NETWORK;
use reqwest::Method;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::Duration;
use url::Url;

// ---- Verbs of this file.

async fn asking_client(provider: &TestProvider, id: &str, name: &str, receiver: &Receiver) -> TestClient {
    provider.add(NewClient::new(id).with("client_name", name).at(&[&receiver.redirect_uri])).await
}

async fn type_in(browser: &Browser, username: &str, password: &str) {
    browser.fill("#username", username).await;
    browser.fill("#password", password).await;
    browser.click("button[value=sign_in]").await;
}

async fn value(browser: &Browser, css: &str) -> String {
    let value = browser.ask(&format!("return document.querySelector({css:?}).value")).await;
    value.as_str().unwrap().to_owned()
}

/// The id of the element that has the focus, or whatever else names it.
async fn focus(browser: &Browser) -> String {
    let of = "const e = document.activeElement;
              return e === document.body ? 'BODY' : e.id || e.value || e.className || e.tagName";
    browser.ask(of).await.as_str().unwrap().to_owned()
}

/// What the console complains about, but for the status of the error pages that the test itself asked for.
async fn complaints(browser: &Browser) -> Vec<String> {
    let is_page = |line: &String| {
        line.contains("the server responded with a status of 4")
            && ["/login", "/consent", "/authorize"].iter().any(|path| line.contains(path))
    };
    browser.console_errors().await.into_iter().filter(|line| !is_page(line)).collect()
}

async fn assert_arrived(browser: &Browser) {
    browser.wait_for_url_containing("/callback").await;
    assert_eq!(browser.text("#arrived").await, "Arrived");
}

// ---- The demo.

#[tokio::test]
async fn in_the_demo_one_sign_in_opens_both_services_and_ctrl_c_leaves_nothing_behind() {
    let _ports = demo_ports().await;
    let folder = folder();
    let mut demo = Demo::start(folder.path(), &[]);
    let left_behind = || {
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("hallpass-demo-")).count()
    };
    assert_eq!(left_behind(), 1, "while it runs, it keeps everything in one folder");
    let (username, password) = demo.credentials.clone().unwrap();
    let browser = Browser::open(Options::default()).await;

    browser.goto(&demo.monolith).await;
    assert_eq!(browser.text("h1").await, "Welcome to Monolith");
    browser.click("a[href='/login']").await;
    assert_eq!(browser.text("h1").await, "Sign in to continue to Monolith");
    type_in(&browser, &username, &password).await;
    assert_eq!(browser.url().await.as_str(), format!("{}/", demo.monolith));
    assert_eq!(browser.text("h1").await, "Hello, Alice Example");
    let page = browser.text("main").await;
    let issuer = &demo.provider;
    for part in [
        &format!("\"iss\": \"{issuer}\""),
        "\"alg\": \"RS256\"",
        "\"aud\": \"monolith\"",
        "\"nonce\"",
        "Signature",
        "RS256 by the key",
        "is the one of this sign-in",
        "fits the access token",
        "the provider accepted the verifier",
        "alice@example.com",
    ] {
        assert!(page.contains(part), "{part:?} is not in {page}");
    }

    let _ = browser.visited().await;
    browser.click(".pair a.primary").await;
    assert_eq!(browser.url().await.as_str(), format!("{}/", demo.reports));
    assert_eq!(browser.text("h1").await, "Hello, Alice Example");
    assert!(browser.text("main").await.contains("\"aud\": \"reports\""));
    // By way of the provider, but without any page of it.
    let visited = browser.visited().await;
    let at_provider: Vec<&str> = visited.iter().filter(|url| url.as_str().starts_with(issuer)).map(Url::path).collect();
    assert_eq!(at_provider, ["/authorize"], "{visited:?}");

    // A sign-out at the one reaches the other, which was not visited: by the back channel.
    browser.click("form[action='/logout'] button").await;
    assert_eq!(browser.url().await.as_str(), format!("{}/signed-out", demo.reports));
    assert!(browser.text("[role=status]").await.contains("here and at the provider"));
    browser.goto(&demo.monolith).await;
    assert!(browser.text("[role=status]").await.contains("back-channel logout"));
    assert_eq!(browser.text("h1").await, "Welcome to Monolith");
    browser.click("a[href='/login']").await;
    assert_eq!(browser.text("h1").await, "Sign in to continue to Monolith", "the provider has forgotten them too");
    type_in(&browser, &username, &password).await;
    assert_eq!(browser.text("h1").await, "Hello, Alice Example");
    // Opened by its printed address, the other one has the user in at once.
    browser.goto(&demo.reports).await;
    assert_eq!(browser.text("h1").await, "Hello, Alice Example");
    assert_eq!(complaints(&browser).await, Vec::<String>::new());

    // What the demo refuses is explained by the command that it prints.
    browser.goto(&format!("{issuer}/authorize?client_id=nowhere")).await;
    let (told, _) = demo.running.output();
    let command = told.lines().find_map(|line| line.split_once("hallpass explain ")).expect(&told).1;
    let arguments: Vec<&str> = ["explain"].into_iter().chain(command.split_whitespace()).collect();
    until("the refusal is written", async || {
        run(folder.path(), &arguments).stdout.contains("client_id is not registered here")
    })
    .await;

    demo.running.signal("INT");
    assert_eq!(demo.running.wait(), 0, "{:?}", demo.running.output());
    assert_eq!(left_behind(), 0);
    for address in [&demo.monolith, &demo.reports, &demo.provider] {
        let port = Url::parse(address).unwrap().port().unwrap();
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "{address} is still taken");
    }
    browser.close().await;
}

// ---- Decisions, mistakes, tabs, keys: one browser, whose cookies are forgotten in between.

#[tokio::test]
async fn a_person_decides_errs_and_uses_tabs_keys_and_the_back_button() {
    let provider = TestProvider::start().await;
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let reports = asking_client(&provider, "reports", "Reports", &receiver).await;
    let monolith = asking_client(&provider, "monolith", "Monolith", &other).await;
    provider.alice().await;
    let browser = Browser::open(Options::default()).await;

    a_wrong_password_is_said_and_the_right_one_then_works(&provider, &reports, &receiver, &browser).await;
    the_back_button_leads_to_no_second_answer(&receiver, &browser).await;
    form_post_submits_itself(&provider, &reports, &receiver, &browser).await;
    // What the page asked for came by the script that the policy allows, and nothing was stopped by it.
    assert_eq!(complaints(&browser).await, Vec::<String>::new());

    forget(&provider, &browser).await;
    two_tabs_complete_independently(&provider, [&reports, &monolith], [&receiver, &other], &browser).await;
    forget(&provider, &browser).await;
    the_keyboard_is_enough(&provider, &reports, &receiver, &browser).await;
    forget(&provider, &browser).await;
    a_late_answer_is_told_so(&provider, &reports, &browser).await;
    assert_eq!(complaints(&browser).await, Vec::<String>::new());
    assert!(receiver.is_empty() && other.is_empty());
    browser.close().await;
}

/// Only the cookies of the page that is open can be deleted, so one of the provider's is opened first.
async fn forget(provider: &TestProvider, browser: &Browser) {
    browser.goto(&provider.url("/assets/icon.svg")).await;
    browser.client().delete_all_cookies().await.unwrap();
}

async fn a_wrong_password_is_said_and_the_right_one_then_works(
    provider: &TestProvider,
    client: &TestClient,
    receiver: &Receiver,
    browser: &Browser,
) {
    browser.goto(&Authorization::of(client).url(provider)).await;
    assert_eq!(focus(browser).await, "username");
    type_in(browser, "alice", "not her password").await;
    assert!(browser.text("[role=alert]").await.contains("do not match"));
    assert_eq!((value(browser, "#username").await, value(browser, "#password").await), ("alice".into(), String::new()));
    assert_eq!(focus(browser).await, "password");
    browser.press(&format!("{PASSWORD}{}", char::from(Key::Enter))).await;
    browser.wait_for_url_containing("/consent").await;

    browser.click("button[value=deny]").await;
    assert_arrived(browser).await;
    let (method, answer) = receiver.next().await;
    assert_eq!((method, answer.error(), answer.get("state")), (Method::GET, "access_denied", Some("the state")));
}

/// Browsers may bring a page back as it was, and that is as far as it goes.
async fn the_back_button_leads_to_no_second_answer(receiver: &Receiver, browser: &Browser) {
    browser.client().back().await.unwrap();
    if browser.ask("return document.forms.length").await != 0 {
        browser.click("button[value=allow]").await;
    }
    let text = browser.text("main").await;
    assert!(text.contains("completed"), "{text}");
    assert!(receiver.is_empty());
}

async fn form_post_submits_itself(
    provider: &TestProvider,
    client: &TestClient,
    receiver: &Receiver,
    browser: &Browser,
) {
    browser.goto(&Authorization::of(client).with("response_mode", "form_post").url(provider)).await;
    // The person is signed in already, so this is the consent page.
    browser.click("button[value=allow]").await;
    assert_arrived(browser).await;
    let (method, answer) = receiver.next().await;
    assert_eq!((method, answer.get("state")), (Method::POST, Some("the state")));
    let id_token = provider.redeem(client, answer.code()).await.ok().text("id_token");
    assert_eq!(claims_of(&id_token)["sub"], "alice-sub");
}

async fn two_tabs_complete_independently(
    provider: &TestProvider,
    clients: [&TestClient; 2],
    receivers: [&Receiver; 2],
    browser: &Browser,
) {
    let request = |index: usize| Authorization::of(clients[index]).with("prompt", "login consent");
    let first = browser.tab().await;
    browser.goto(&request(0).with("state", "first").url(provider)).await;
    let second = browser.new_tab().await;
    browser.goto(&request(1).with("state", "second").url(provider)).await;
    type_in(browser, "alice", PASSWORD).await;
    assert!(browser.text("h1").await.contains("Monolith"));
    // To and fro, each tab in the middle of the other's sign-in.
    browser.switch(&first).await;
    type_in(browser, "alice@example.com", PASSWORD).await;
    assert!(browser.text("h1").await.contains("Reports"));
    browser.switch(&second).await;
    browser.click("button[value=allow]").await;
    assert_arrived(browser).await;
    browser.client().close_window().await.unwrap();
    browser.switch(&first).await;
    browser.click("button[value=allow]").await;
    assert_arrived(browser).await;
    for (index, state) in [(0, "first"), (1, "second")] {
        let (_, answer) = receivers[index].next().await;
        assert_eq!(answer.get("state"), Some(state));
        let _ = provider.redeem(clients[index], answer.code()).await.ok();
    }
}

async fn the_keyboard_is_enough(provider: &TestProvider, client: &TestClient, receiver: &Receiver, browser: &Browser) {
    browser.goto(&Authorization::of(client).with("prompt", "consent").url(provider)).await;
    let (tab, enter) = (char::from(Key::Tab), char::from(Key::Enter));
    // The first field has the focus; one Tab leads to the next, and Enter sends the form.
    browser.press(&format!("alice{tab}")).await;
    assert_eq!(focus(browser).await, "password");
    browser.press(&format!("{PASSWORD}{enter}")).await;
    browser.wait_for_url_containing("/consent").await;
    let mut passed = Vec::new();
    while passed.last().is_none_or(|last| last != "allow") {
        browser.press(&tab.to_string()).await;
        passed.push(focus(browser).await);
        let ring = "return getComputedStyle(document.activeElement).outlineStyle";
        assert_eq!(browser.ask(ring).await, "solid", "a user on {passed:?} sees it");
        assert!(passed.len() < 5, "{passed:?}");
    }
    browser.press(&enter.to_string()).await;
    assert_arrived(browser).await;
    let _ = receiver.next().await.1.code();
}

async fn a_late_answer_is_told_so(provider: &TestProvider, client: &TestClient, browser: &Browser) {
    browser.goto(&Authorization::of(client).url(provider)).await;
    provider.travel(1801);
    type_in(browser, "alice", PASSWORD).await;
    assert_eq!(browser.text("h1").await, "This sign-in has expired");
    // Two groups of five that can be read out.
    let reference = browser.text("code").await;
    assert!(reference.len() == 11 && reference.chars().nth(5) == Some('-'), "{reference}");
}

// ---- What a script adds, and small screens.

/// Without script there is no button for it, and the pages are as they were.
#[tokio::test]
async fn a_password_can_be_seen_and_is_a_password_again_when_it_is_sent() {
    let provider = TestProvider::start().await;
    let receiver = Receiver::start().await;
    let client = NewClient::new("reports").with("consent", "skip").at(&[&receiver.redirect_uri]);
    let client = provider.add(client).await;
    provider.alice().await;
    for javascript in [true, false] {
        let browser = Browser::open(Options { javascript, ..Options::default() }).await;
        browser.goto(&Authorization::of(&client).url(&provider)).await;
        assert_eq!(focus(&browser).await, "username");
        browser.fill("#username", "alice").await;
        browser.fill("#password", PASSWORD).await;
        let state = "const e = document.getElementById('reveal'), p = document.getElementById('password');
                     return [p.type, getComputedStyle(e).display === 'none', e.textContent, e.getAttribute('aria-label')]";
        let hidden = serde_json::json!(["password", !javascript, "Show", "Show password"]);
        assert_eq!(browser.ask(state).await, hidden);
        if javascript {
            browser.ask("document.getElementById('reveal').click()").await;
            assert_eq!(browser.ask(state).await, serde_json::json!(["text", false, "Hide", "Hide password"]));
            assert_eq!(
                (focus(&browser).await, value(&browser, "#password").await),
                ("password".into(), PASSWORD.into())
            );
            let sent = "document.forms[0].addEventListener('submit', e => {
                            e.preventDefault(); window.sent = document.getElementById('password').type; });
                        document.querySelector('button[value=sign_in]').click(); return window.sent";
            assert_eq!(browser.ask(sent).await, "password");
            browser.goto(&Authorization::of(&client).url(&provider)).await;
            type_in(&browser, "alice", PASSWORD).await;
        } else {
            browser.click("button[value=sign_in]").await;
        }
        assert_arrived(&browser).await;
        let _ = receiver.next().await.1.code();
        assert_eq!(complaints(&browser).await, Vec::<String>::new());
        browser.close().await;
    }
}

/// What a user sees without moving the page: all of it on a small notebook, and *Sign in* above a phone's keyboard.
#[tokio::test]
async fn low_screens_show_what_is_needed_and_words_stay_in_one_line() {
    let provider = TestProvider::start().await;
    let receiver = Receiver::start().await;
    let client = NewClient::new("reports").with("policy_uri", "https://reports.example/privacy");
    let client = client.with("tos_uri", "https://reports.example/terms").with("client_name", "Reports");
    let client = provider.add(client.at(&[&receiver.redirect_uri])).await;
    provider.alice().await;
    for (width, height, javascript) in [(1280, 657, true), (390, 420, true), (390, 420, false), (320, 420, true)] {
        let browser = Browser::open(Options { javascript, width, height, ..Options::default() }).await;
        if width > 600 {
            browser.fit(width, height).await;
        }
        let measure = "const root = document.documentElement, button = document.querySelector('button[value=sign_in]');
                       const broken = [...document.querySelectorAll('.whole')].filter(e => e.getClientRects().length > 1);
                       return { height: innerHeight, below: root.scrollHeight - root.clientHeight,
                                sign_in: button ? button.getBoundingClientRect().bottom : 0,
                                broken: broken.map(e => e.textContent), wholes: document.querySelectorAll('.whole').length }";
        let measured = async |path: &str| {
            browser.goto(path).await;
            let measured = browser.ask(measure).await;
            assert_eq!((&measured["height"], &measured["broken"]), (&height.into(), &serde_json::json!([])), "{path}");
            assert!(measured["wholes"].as_i64().unwrap() > 0, "{path}: {measured}");
            if width > 600 {
                assert_eq!(measured["below"], 0, "{path} scrolls: {measured}");
            }
            measured["sign_in"].as_f64().unwrap()
        };
        let bottom = measured(&Authorization::of(&client).url(&provider)).await;
        assert!(bottom > 0.0 && bottom <= f64::from(height), "{width} x {height}: {bottom}");
        browser.screenshot(&format!("low-{width}-{height}-{javascript}.png")).await;
        for path in ["/", "/login", "/nowhere"] {
            measured(&provider.url(path)).await;
        }
        browser.close().await;
    }
}

const TOLD: &str = "If the app has opened, you can go on there";

/// Browsers stay on the page when an app takes over, which it does after Allow alone, and when it does.
#[tokio::test]
async fn a_consent_page_says_that_one_may_go_back_to_the_app() {
    let provider = TestProvider::start().await;
    let app = NewClient::new("phone").with("application_type", "native").public().at(&["com.example.app:/cb"]);
    let app = provider.add(app).await;
    provider.alice().await;
    let browser = Browser::open(Options { width: 390, height: 844, ..Options::default() }).await;
    browser.goto(&Authorization::of(&app).url(&provider)).await;
    type_in(&browser, "alice", PASSWORD).await;
    let before = browser.text("main").await;
    assert!(before.contains("you will be sent back to the app") && !before.contains(TOLD), "{before}");
    // What is sent is kept here, so that each moment can be looked at.
    browser.ask("document.addEventListener('submit', function (event) { event.preventDefault(); })").await;
    let told = async |what: &str, script: &str| {
        browser.ask(script).await;
        let text = browser.text("main").await;
        assert!(text.contains("Allow") && text.contains("Deny"), "{what}: the form stays: {text}");
        text.contains(TOLD)
    };
    let blur = "window.dispatchEvent(new Event('blur'))";
    assert!(!told("nothing was sent", blur).await);
    assert!(!told("denied", "document.querySelector('button[value=deny]').click()").await);
    assert!(!told("denied, and the app came", blur).await);
    assert!(!told("allowed", "document.querySelector('button[value=allow]').click()").await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!told("allowed, and no app came yet", "null").await);
    assert!(told("allowed, and the app came", blur).await);
    browser.screenshot("back-to-app.png").await;
    assert!(!told("come back to", "window.dispatchEvent(new Event('pageshow'))").await);
    assert!(!told("come back to and left", blur).await);
    browser.close().await;
}

/// OpenID Connect Core 5.6.2: what the page shows is long, and nothing that goes through the browser is.
#[tokio::test]
async fn a_user_in_500_groups_of_40_characters_signs_in_and_the_groups_are_whole_at_userinfo() {
    let (provider, receiver) = (TestProvider::start().await, Receiver::start().await);
    let client = asking_client(&provider, "reports", "Reports", &receiver).await;
    provider.alice().await;
    let names: Vec<String> = (0..500).map(|number| format!("{number:03}-{}", "g".repeat(36))).collect();
    let values = |row: fn(&String) -> String| names.iter().map(row).collect::<Vec<_>>().join(", ");
    let (groups, members) = (values(|name| format!("('{name}')")), values(|name| format!("('{name}', 'alice-sub')")));
    provider
        .sql(&format!(
            "INSERT INTO groups (name) VALUES {groups}; INSERT INTO group_members (group_name, sub) VALUES {members}; \
             INSERT INTO client_claims (client_id, claim, source, places) \
             VALUES ('reports', 'groups', 'groups', 'id_token userinfo introspection')"
        ))
        .await;
    let browser = Browser::open(Options { width: 390, height: 844, ..Options::default() }).await;
    browser.goto(&Authorization::of(&client).url(&provider)).await;
    type_in(&browser, "alice", PASSWORD).await;
    let page = browser.text("main").await;
    assert!(page.contains(&names[0]) && page.contains("groups"), "{page}");
    let is_too_wide = "return document.documentElement.scrollWidth > innerWidth";
    assert_eq!(browser.ask(is_too_wide).await, false, "long names do not make the page wider than the screen");
    browser.screenshot("consent-500-groups.png").await;
    browser.click("button[value=allow]").await;

    let agreed = Authorization::of(&client).with("prompt", "none").url(&provider);
    for again in [None, Some(agreed)] {
        if let Some(url) = &again {
            browser.goto(url).await;
        }
        assert_arrived(&browser).await;
        assert!(browser.url().await.as_str().len() < 1000, "{again:?}");
        let (_, answer) = receiver.next().await;
        let tokens = provider.redeem(&client, answer.code()).await.ok();
        let id_token = tokens.text("id_token");
        assert!(id_token.len() < 8192, "{again:?}");
        let claims = claims_of(&id_token);
        assert_eq!(
            (&claims["groups"], &claims["_claim_names"]["groups"]),
            (&Value::Null, &json!("userinfo")),
            "{again:?}"
        );
        assert_eq!(claims["_claim_sources"]["userinfo"]["endpoint"], provider.url("/userinfo"), "{again:?}");
        let userinfo = provider.userinfo(&tokens.text("access_token")).await.ok().json();
        assert_eq!(userinfo["groups"], json!(names), "{again:?}");
    }
    browser.goto(&provider.url("/assets/icon.svg")).await;
    let cookies = browser.client().get_all_cookies().await.unwrap();
    let length: usize = cookies.iter().map(|cookie| cookie.name().len() + cookie.value().len()).sum();
    assert!(!cookies.is_empty() && length < 1000, "{length}");
    browser.goto(&provider.url("/")).await;
    assert!(browser.text("main").await.contains("Alice"));
    assert_eq!(complaints(&browser).await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn a_throttled_user_reads_the_time_of_their_own_clock() {
    let provider = TestProvider::start().await;
    let receiver = Receiver::start().await;
    let client = asking_client(&provider, "reports", "Reports", &receiver).await;
    let browser = Browser::open(Options::default()).await;
    browser.goto(&Authorization::of(&client).url(&provider)).await;
    for _ in 0..=PER_ACCOUNT_AND_NETWORK {
        type_in(&browser, "alice", "guess").await;
    }
    let told = "const time = document.querySelector('time'), at = new Date(time.dateTime);
                return [time.textContent, at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })]";
    let told = browser.ask(told).await;
    assert_eq!(told[0], told[1]);
    assert!(browser.text("[role=alert]").await.contains("Please wait"));
    browser.close().await;
}

// ---- Signing out.

/// Front-Channel Logout 2: the browser itself tells the services, and continues when they have been told, also without
/// script.
#[tokio::test]
async fn a_sign_out_tells_services_by_frames_and_continues_by_itself() {
    for javascript in [true, false] {
        let provider = TestProvider::start().await;
        let (service, told, left) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
        let client = NewClient::new("reports").with("consent", "skip").at(&[&service.redirect_uri]);
        let client = client.with("frontchannel_logout_uri", &format!("{}?front=1", told.redirect_uri));
        let client = provider.add(client.leaving_to(&left.redirect_uri)).await;
        provider.alice().await;
        let browser = Browser::open(Options { javascript, ..Options::default() }).await;
        browser.goto(&Authorization::of(&client).url(&provider)).await;
        type_in(&browser, "alice", PASSWORD).await;
        assert_arrived(&browser).await;
        let (_, answer) = service.next().await;
        let id_token = provider.redeem(&client, answer.code()).await.ok().text("id_token");

        let mut out = Url::parse(&provider.url("/logout")).unwrap();
        out.query_pairs_mut()
            .append_pair("id_token_hint", &id_token)
            .append_pair("post_logout_redirect_uri", &left.redirect_uri)
            .append_pair("state", "gone");
        browser.goto(out.as_str()).await;
        browser.wait_for_url_containing("/callback?state=gone").await;
        let (method, notice) = told.next().await;
        let claims = claims_of(&id_token);
        assert_eq!((method, notice.get("front")), (Method::GET, Some("1")));
        assert_eq!(notice.get("iss"), claims["iss"].as_str());
        assert_eq!(notice.get("sid"), claims["sid"].as_str());
        assert_eq!(left.next().await.1.get("state"), Some("gone"));
        // Longer than the refresh would take, if the script did not stand in for it.
        tokio::time::sleep(Duration::from_millis(3500)).await;
        assert!(told.is_empty() && left.is_empty(), "told once, and come back to once");
        // What was shown needed nothing that the policy forbids.
        assert_eq!(complaints(&browser).await, Vec::<String>::new());
        browser.close().await;
    }
}

/// A frame that never answers holds no sign-out up: after three seconds the script continues, once. (The refresh of a page
/// without script waits for its frames, as HTML has it; there is the link.)
#[tokio::test]
async fn a_frame_that_does_not_load_holds_no_sign_out_up() {
    let provider = TestProvider::start().await;
    let (service, left) = (Receiver::start().await, Receiver::start().await);
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let frame = format!("http://{}/out", silent.local_addr().unwrap());
    let client = NewClient::new("reports").with("consent", "skip").at(&[&service.redirect_uri]);
    let client = client.with("frontchannel_logout_uri", &frame).leaving_to(&left.redirect_uri);
    let client = provider.add(client).await;
    provider.alice().await;
    let browser = Browser::open(Options::default()).await;
    browser.goto(&Authorization::of(&client).url(&provider)).await;
    type_in(&browser, "alice", PASSWORD).await;
    assert_arrived(&browser).await;
    let (_, answer) = service.next().await;
    let id_token = provider.redeem(&client, answer.code()).await.ok().text("id_token");
    let mut out = Url::parse(&provider.url("/logout")).unwrap();
    out.query_pairs_mut()
        .append_pair("id_token_hint", &id_token)
        .append_pair("post_logout_redirect_uri", &left.redirect_uri);
    tokio::time::timeout(Duration::from_mins(1), browser.goto(out.as_str())).await.expect("it continues");
    let _ = left.next().await;
    browser.wait_for_url_containing("/callback").await;
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert!(left.is_empty(), "and does not come back twice");
    browser.close().await;
}

// ---- Without JavaScript: the whole way, and how every page looks on the way.

#[tokio::test]
async fn every_page_works_and_looks_right_without_script_on_phone_and_desktop_in_light_and_dark() {
    let _ports = demo_ports().await;
    let folder = folder();
    let demo = Demo::start(folder.path(), &[]);
    let provider = TestProvider::start().await;
    let receiver = Receiver::start().await;
    let reports = NewClient::new("reports")
        .with("client_name", "Reports")
        .with("client_uri", "https://reports.example/")
        .with("policy_uri", "https://reports.example/privacy")
        .with("tos_uri", "https://reports.example/terms")
        .at(&[&receiver.redirect_uri]);
    let reports = provider.add(reports).await;
    // Names that are one endless word must not widen a page.
    let endless = asking_client(&provider, "endless", &"Donaudampfschiff".repeat(8), &receiver).await;
    provider.alice().await;
    provider.add_user(NewUser::named("endless").with("name", &"Wolfeschlegelstein".repeat(8))).await;
    for (dark, phone) in [(false, false), (false, true), (true, false), (true, true)] {
        let (width, height) = if phone { (360, 740) } else { (1280, 800) };
        let browser = Browser::open(Options { javascript: false, dark, width, height, ..Options::default() }).await;
        let look = Look { browser: &browser, dark, phone };
        look.at_the_provider(&provider, &reports, &receiver).await;
        look.at_endless_names(&provider, &endless).await;
        look.at_the_demo(&demo).await;
        assert_eq!(complaints(&browser).await, Vec::<String>::new());
        browser.close().await;
    }
    // One consent page each of reports and endless was not answered.
    assert!(receiver.is_empty());
}

/// A browser with the name of its kind, for the pictures.
struct Look<'a> {
    browser: &'a Browser,
    dark: bool,
    phone: bool,
}

impl Look<'_> {
    async fn at_the_provider(&self, provider: &TestProvider, client: &TestClient, receiver: &Receiver) {
        let browser = self.browser;
        let request = Authorization::of(client).with("response_mode", "form_post").with("prompt", "consent");
        browser.goto(&request.url(provider)).await;
        self.at("login", "username").await;
        type_in(browser, "alice", "not her password").await;
        self.at("login-error", "password").await;
        browser.fill("#password", PASSWORD).await;
        browser.click("button[value=sign_in]").await;
        self.at("consent", "BODY").await;
        browser.click("button[value=allow]").await;
        // No script takes the person further, but there is a button.
        self.at("form-post", "BODY").await;
        assert!(receiver.is_empty());
        browser.click("#form_post button").await;
        assert_arrived(browser).await;
        let (method, answer) = receiver.next().await;
        assert_eq!((method, answer.get("state")), (Method::POST, Some("the state")));
        let _ = provider.redeem(client, answer.code()).await.ok();
        browser.goto(&request.clone().with("prompt", "select_account").url(provider)).await;
        self.at("select-account", "BODY").await;
        browser.goto(&request.with("client_id", "nobody").url(provider)).await;
        self.at("error", "BODY").await;
        let sign_out = format!("{}?client_id={}", provider.url("/logout"), client.client_id);
        browser.goto(&sign_out).await;
        self.at("sign-out", "BODY").await;
        browser.click("button[value='sign_out']").await;
        self.at("signed-out", "BODY").await;
        browser.goto(&sign_out).await;
        self.at("nobody-signed-in", "BODY").await;
    }

    async fn at_endless_names(&self, provider: &TestProvider, client: &TestClient) {
        self.browser.client().delete_all_cookies().await.unwrap();
        self.browser.goto(&Authorization::of(client).with("prompt", "consent").url(provider)).await;
        self.at("endless-login", "username").await;
        type_in(self.browser, "endless", PASSWORD).await;
        self.at("endless-consent", "BODY").await;
    }

    async fn at_the_demo(&self, demo: &Demo) {
        let (username, password) = demo.credentials.as_ref().unwrap();
        self.browser.goto(&demo.monolith).await;
        self.at("demo-welcome", "BODY").await;
        self.browser.click("a[href='/login']").await;
        type_in(self.browser, username, password).await;
        assert_eq!(self.browser.text("h1").await, "Hello, Alice Example");
        self.at("demo-monolith", "BODY").await;
        self.browser.click(".pair a.primary").await;
        assert_eq!(self.browser.text("h1").await, "Hello, Alice Example");
        self.at("demo-reports", "BODY").await;
    }

    /// Takes a picture, and checks what can be measured: nothing is too wide, the focus is where typing continues, every
    /// field has its label, and whatever is pressed is large enough for a thumb.
    async fn at(&self, name: &str, focused: &str) {
        let dark = if self.dark { "dark" } else { "light" };
        let name = format!("{name}-{dark}-{}.png", if self.phone { "phone" } else { "desktop" });
        self.browser.screenshot(&name).await;
        let measured = self
            .browser
            .ask(
                "const root = document.documentElement, all = css => [...document.querySelectorAll(css)];
                 const fields = all('input:not([type=hidden])');
                 const targets = all('input:not([type=hidden]), button:not([hidden]), a');
                 const dark = matchMedia('(prefers-color-scheme: dark)').matches;
                 const color = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);
                 return {
                     overflow: root.scrollWidth - root.clientWidth,
                     phone: root.clientWidth === 360,
                     unlabeled: fields.filter(field => field.labels.length !== 1).map(field => field.name),
                     small: targets.filter(e => e.getBoundingClientRect().height < 44).map(e => e.textContent),
                     dark: dark && color.every(part => part < 60) || !dark && color.every(part => part > 200)
                         ? dark : 'the colors do not follow',
                     headings: all('h1').length,
                     language: root.lang,
                 };",
            )
            .await;
        let expected = serde_json::json!({
            "overflow": 0,
            "phone": self.phone,
            "unlabeled": [],
            "small": [],
            "dark": self.dark,
            "headings": 1,
            "language": "en",
        });
        assert_eq!(measured, expected, "{name}");
        assert_eq!(focus(self.browser).await, focused, "{name}");
    }
}

// ---- The second factor.

/// With scripts and without: the field has the focus, Enter continues, and a recovery code is a link away.
#[tokio::test]
async fn a_second_factor_is_typed_with_scripts_and_without() {
    let provider = TestProvider::start().await;
    let receiver = Receiver::start().await;
    let reports = NewClient::new("reports").with("client_name", "Reports").with("consent", "skip");
    let reports = provider.add(reports.at(&[&receiver.redirect_uri])).await;
    provider.alice().await;
    let authenticator = provider.enroll("alice-sub").await;
    for (javascript, recovery) in [(true, 0), (false, 1)] {
        let browser = Browser::open(Options { javascript, width: 390, height: 844, ..Options::default() }).await;
        browser.goto(&Authorization::of(&reports).with("prompt", "login").url(&provider)).await;
        type_in(&browser, "alice", PASSWORD).await;
        assert_eq!(browser.text("h1").await, "Confirm that it is you");
        assert_eq!(focus(&browser).await, "code");
        browser.fill("#code", WRONG).await;
        browser.press(&String::from(char::from(Key::Enter))).await;
        assert!(browser.text("[role=alert]").await.contains("not right"));
        browser.fill("#code", authenticator.code(provider.now())).await;
        browser.press(&String::from(char::from(Key::Enter))).await;
        assert_arrived(&browser).await;
        browser.goto(&Authorization::of(&reports).with("prompt", "login").url(&provider)).await;
        type_in(&browser, "alice", PASSWORD).await;
        browser.click("a[href*='recovery=1']").await;
        browser.fill("#code", authenticator.recovery(recovery)).await;
        browser.click("button[value=continue]").await;
        assert_arrived(&browser).await;
        let known = complaints(&browser).await;
        let known: Vec<_> = known.into_iter().filter(|line| !line.contains("/second-factor")).collect();
        assert_eq!(known, Vec::<String>::new());
        provider.travel(30);
        browser.close().await;
    }
}
