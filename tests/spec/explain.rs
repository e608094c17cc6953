//! Every refusal explains itself: under its reference the operator finds what was sent, what was expected and the fix,
//! in the log and by `hallpass explain`.

use crate::support::provider::{CLIENT_SECRET, PASSWORD};
use crate::support::verbs::{Auth, CHALLENGE, VERIFIER};
use crate::support::{Answer, Api, Authorization, NewClient, Page, TestClient, TestProvider, UserAgent};
use reqwest::header::HeaderMap;
use serde_json::Value;

fn reference_in(headers: &HeaderMap) -> String {
    headers.get("x-request-id").expect("every answer has a reference").to_str().unwrap().to_owned()
}

/// What the operator is told of a refusal.
async fn explained(provider: &TestProvider, reference: &str) -> String {
    provider.provider.audit.flush().await;
    let outcome = provider.command(&["explain", reference], "");
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stdout.contains(reference), "{outcome:?}");
    outcome.stdout
}

async fn of_page(provider: &TestProvider, page: &Page) -> String {
    let reference = reference_in(&page.headers);
    assert!(page.text().contains(&reference), "the page shows its reference: {page}");
    explained(provider, &reference).await
}

async fn of_answer(provider: &TestProvider, answer: &Api) -> String {
    explained(provider, &reference_in(&answer.headers)).await
}

#[track_caller]
fn assert_tells(text: &str, parts: &[&str]) {
    // Where it was wrapped does not matter here.
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(flat.contains(part), "{part:?} is not in:\n{text}");
    }
}

async fn ready() -> (TestProvider, TestClient, UserAgent) {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    (provider, client, UserAgent::new())
}

#[tokio::test]
async fn an_unregistered_redirect_uri_is_over_the_registered_one_with_the_difference_marked() {
    let (provider, client, browser) = ready().await;
    let request = Authorization::of(&client).with("redirect_uri", "https://reports.example/callback/");
    let page = request.open(&provider, &browser).await;
    let text = of_page(&provider, &page).await;
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("Sent ")).unwrap();
    assert_eq!(lines[at], "Sent      https://reports.example/callback/");
    assert_eq!(lines[at + 1], "Expected  https://reports.example/callback");
    assert_eq!(lines[at + 2].find('^'), lines[at].rfind('/'), "{text}");
    let insert = "INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('reports', 'https://reports.example/callback/');";
    assert_tells(
        &text,
        &["invalid_request (400) at GET /authorize", "Client reports", "a slash at the end is too much", insert],
    );

    // What cannot be registered is not offered for it, and the usual mistakes have their words.
    for (sent, told) in [
        ("http://reports.example/callback", "does not know that TLS ends at a proxy"),
        ("https://localhost:5001/callback", "runs on localhost"),
        ("https://reports.example/signin-oidc", "the paths differ"),
        ("https://*.example/callback", "wildcard"),
        ("https://reports.example/callback#x", "fragment"),
    ] {
        let page = Authorization::of(&client).with("redirect_uri", sent).open(&provider, &browser).await;
        assert_tells(&of_page(&provider, &page).await, &[told, "the service send https://reports.example/callback"]);
    }
}

#[tokio::test]
async fn an_unknown_client_is_compared_with_those_there_are() {
    let (provider, client, browser) = ready().await;
    let page = Authorization::of(&client).with("client_id", "Report").open(&provider, &browser).await;
    let text = of_page(&provider, &page).await;
    assert_tells(&text, &["Sent Report", "Like reports", "hallpass migrate --check"]);
    let answer = provider.post("/token", Auth::Post("rports", CLIENT_SECRET), &[("grant_type", "x")]).await;
    assert_tells(&of_answer(&provider, &answer).await, &["Sent rports", "Like reports", "invalid_client (401)"]);
}

#[tokio::test]
async fn a_wrong_secret_is_described_and_never_told() {
    let (provider, client, _) = ready().await;
    let fields = [("grant_type", "authorization_code"), ("code", "x")];
    for (secret, told) in [
        (format!("{CLIENT_SECRET}\n"), "white space around it"),
        (format!("\"{CLIENT_SECRET}\""), "in quotation marks"),
        ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g".to_owned(), "looks like the hash"),
        ("hp_cs_another".to_owned(), "a secret of 13 bytes"),
    ] {
        let answer = provider.post("/token", Auth::Basic("reports", &secret), &fields).await;
        let text = of_answer(&provider, &answer).await;
        assert_tells(&text, &["Client reports", told, "one of 1 that it has", "hallpass client rotate-secret reports"]);
        assert!(!text.contains(secret.trim()), "{text}");
    }
    let answer = provider.post("/token", Auth::Name("reports"), &fields).await;
    assert_tells(
        &of_answer(&provider, &answer).await,
        &["Sent no secret", "Expected a secret by Basic or in the body"],
    );
    let public = provider.add(NewClient::new("app").public()).await;
    let answer = provider.post("/token", Auth::Basic(&public.client_id, "s"), &fields).await;
    assert_tells(&of_answer(&provider, &answer).await, &["Expected no secret"]);
    let ended = format!("UPDATE client_secrets SET client_secret_expires_at = {}", provider.now() - 100);
    provider.sql(&ended).await;
    provider.travel(20);
    let answer = provider.post("/token", client.auth(), &fields).await;
    assert_tells(&of_answer(&provider, &answer).await, &["this one ended 12", "seconds ago", "secret_ended"]);
}

#[tokio::test]
async fn pkce_is_explained_by_what_was_made_of_the_verifier() {
    let (provider, client, browser) = ready().await;
    let page = Authorization::of(&client)
        .without("code_challenge")
        .without("code_challenge_method")
        .open(&provider, &browser)
        .await;
    let answer = Answer::of(&page, &client.redirect_uri);
    // The client's developers read the reference in the redirect.
    let description = answer.get("error_description").unwrap();
    let reference = reference_in(&page.headers);
    assert!(description.ends_with(&format!(" (reference {reference})")), "{description}");
    let text = explained(&provider, &reference).await;
    assert_tells(
        &text,
        &["Sent no code_challenge", "UPDATE clients SET pkce = 'optional' WHERE client_id = 'reports'"],
    );

    let code = provider.sign_in(&browser, &client).await.code().to_owned();
    let wrong = VERIFIER.replace('d', "e");
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", &wrong),
    ];
    let answer = provider.post("/token", client.auth(), &fields).await;
    let text = of_answer(&provider, &answer).await;
    assert_tells(&text, &["invalid_grant", "a verifier of 43 characters", &CHALLENGE[..8], "this very sign-in"]);
    assert!(!text.contains(&wrong) && !text.contains(&code), "{text}");
}

#[tokio::test]
async fn a_code_that_is_late_used_or_sent_with_another_address_says_which_it_was() {
    let (provider, client, browser) = ready().await;
    let code = provider.sign_in(&browser, &client).await.code().to_owned();
    let other = TestClient { redirect_uri: "https://reports.example/Callback".into(), ..client.clone() };
    let text = of_answer(&provider, &provider.redeem(&other, &code).await).await;
    assert_tells(&text, &["Sent https://reports.example/Callback", "capital and small letters differ", "^"]);
    let text = of_answer(&provider, &provider.redeem(&client, &code).await).await;
    assert_tells(&text, &["the code was used before", "A code is good once"]);

    let code = provider.sign_in(&browser, &client).await.code().to_owned();
    provider.travel(75);
    let text = of_answer(&provider, &provider.redeem(&client, &code).await).await;
    assert_tells(
        &text,
        &["it expired 1", "a code that is 7", "younger than 60 seconds", "code_lifetime", "hallpass doctor"],
    );
}

#[tokio::test]
async fn a_missing_cookie_a_foreign_browser_and_a_late_form_say_what_to_look_for() {
    let (provider, client, browser) = ready().await;
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let stranger = UserAgent::new();
    let text = of_page(&provider, &stranger.get(page.url.as_str()).await).await;
    assert_tells(&text, &["cookie_missing", "localhost and 127.0.0.1 are two", "Secure cookies are dropped"]);
    let _ = Authorization::of(&client).open(&provider, &stranger).await;
    let text = of_page(&provider, &stranger.get(page.url.as_str()).await).await;
    assert_tells(&text, &["another_browser", "opened in another browser"]);

    let mut form = page.form("form");
    form.set("csrf", "x").set("username", "alice").set("password", PASSWORD);
    let text = of_page(&provider, &browser.submit(form, Some(("action", "sign_in"))).await).await;
    assert_tells(&text, &["form_not_ours", "not that of this browser"]);
    provider.travel(1801);
    let late = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert_tells(&of_page(&provider, &late).await, &["interaction_expired", "compares the clocks"]);
}

#[tokio::test]
async fn the_latest_refusals_can_be_listed_and_read_by_a_script() {
    let (provider, client, browser) = ready().await;
    let page = Authorization::of(&client).with("scope", "admin").open(&provider, &browser).await;
    let reference = reference_in(&page.headers);
    provider.provider.audit.flush().await;
    let list = provider.command(&["explain", "--latest", "5"], "");
    assert_eq!(list.status, 0, "{list:?}");
    assert!(list.stdout.lines().any(|line| line.starts_with(&reference) && line.contains("invalid_scope")), "{list:?}");
    let one = provider.command(&["explain", &reference.to_lowercase().replace('-', " "), "--json"], "");
    let refusal: Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!(refusal["client_id"], "reports");
    assert_eq!((&refusal["sent"], &refusal["expected"][0]), (&"admin".into(), &"openid profile email".into()));

    let unknown = provider.command(&["explain", "00000-00000"], "");
    assert_eq!((unknown.status, unknown.stdout.as_str()), (1, ""), "{unknown:?}");
    assert!(unknown.stderr.contains("no refusal has the reference"), "{unknown:?}");
    let bad = provider.command(&["explain", "nonsense"], "");
    assert!(bad.status == 1 && bad.stderr.contains("is no reference"), "{bad:?}");
    // What succeeded is told too.
    let answer = provider.tokens(&UserAgent::new(), &client).await;
    provider.provider.audit.flush().await;
    let fine = provider.command(&["explain", &reference_in(&answer.headers)], "");
    assert!(fine.stdout.contains("was not refused") && fine.stdout.contains("tokens_issued"), "{fine:?}");
}

#[tokio::test]
async fn a_fault_of_ours_is_explained_by_its_cause() {
    let (provider, client, browser) = ready().await;
    provider.sql("UPDATE clients SET id_token_signed_response_alg = 'EdDSA'").await;
    for entry in std::fs::read_dir(provider.folder.path().join("keys")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("eddsa") {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert!(provider.provider.keys.refresh(provider.provider.now()).unwrap());
    let code = provider.sign_in(&browser, &client).await.code().to_owned();
    let answer = provider.redeem(&client, &code).await;
    assert_eq!(answer.error(), (500, "server_error".to_owned()));
    assert_tells(&of_answer(&provider, &answer).await, &["server_error (500) at POST /token", "EdDSA"]);
}
