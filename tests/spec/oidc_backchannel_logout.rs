//! OpenID Connect Back-Channel Logout 1.0 and Front-Channel Logout 1.0.

use crate::support::listener::LogoutListener;
use crate::support::program::{Serve, run_with};
use crate::support::provider::{PASSWORD, copy_keys, fresh_stores, run_sql};
use crate::support::remote::{Remote, until};
use crate::support::{
    Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, claims_of, folder, header_of,
};
use hallpass::logout::deliver_due;
use serde_json::json;

async fn ready(services: &[(&str, &LogoutListener)]) -> (TestProvider, Vec<TestClient>, UserAgent) {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    let mut clients = Vec::new();
    for (id, listener) in services {
        let client = NewClient::new(id).with("consent", "skip").with("backchannel_logout_uri", &listener.uri);
        let client = provider.add(client).await;
        let _ = provider.tokens(&browser, &client).await;
        clients.push(client);
    }
    (provider, clients, browser)
}

async fn sign_out(provider: &TestProvider, browser: &UserAgent) -> crate::support::Page {
    let page = browser.get(&provider.url("/logout")).await;
    browser.submit(page.form("form"), Some(("action", "sign_out"))).await
}

/// Back-Channel 2.1, Front-Channel 3; OIDC Core `sid`.
#[tokio::test]
async fn discovery_says_that_it_is_supported() {
    let provider = TestProvider::start().await;
    let metadata = provider.get("/.well-known/openid-configuration", &[]).await.ok().json();
    for member in [
        "backchannel_logout_supported",
        "backchannel_logout_session_supported",
        "frontchannel_logout_supported",
        "frontchannel_logout_session_supported",
    ] {
        assert_eq!(metadata[member], true, "{member}");
    }
    assert!(metadata["claims_supported"].as_array().unwrap().contains(&json!("sid")));
}

/// 2.4, 2.5: what the token says, and who gets one.
#[tokio::test]
async fn every_service_of_the_session_is_told_by_a_signed_token() {
    let (one, two) = (LogoutListener::start().await, LogoutListener::start().await);
    let stranger = LogoutListener::start().await;
    let (provider, clients, browser) = ready(&[("one", &one), ("two", &two)]).await;
    let unused = NewClient::new("unused").with("backchannel_logout_uri", &stranger.uri);
    let _ = provider.add(unused).await;
    let sid = claims_of(&provider.tokens(&browser, &clients[0]).await.text("id_token"))["sid"].clone();
    let page = sign_out(&provider, &browser).await;
    assert!(page.text().contains("You were signed out of these services too"), "{page}");
    assert!(page.text().contains("The one service") && page.text().contains("The two service"), "{page}");
    let mut jtis = std::collections::HashSet::new();
    for (listener, id) in [(&one, "one"), (&two, "two")] {
        let tokens = listener.tokens();
        assert_eq!(tokens.len(), 1);
        assert_eq!(header_of(&tokens[0])["typ"], "logout+jwt");
        assert_eq!(header_of(&tokens[0])["alg"], "RS256");
        let claims = claims_of(&tokens[0]);
        assert_eq!((claims["iss"].as_str(), claims["aud"].as_str()), (Some(provider.issuer.as_str()), Some(id)));
        assert_eq!((claims["sub"].as_str(), &claims["sid"]), (Some("alice-sub"), &sid));
        assert_eq!(claims["events"], json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
        assert!(claims.get("nonce").is_none());
        let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!((1..=120).contains(&life));
        assert!(jtis.insert(claims["jti"].as_str().unwrap().to_owned()));
        let jwks = provider.get("/jwks", &[]).await.ok().json();
        assert!(jwks["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header_of(&tokens[0])["kid"]));
    }
    assert!(stranger.tokens().is_empty());
}

/// A logout token opens nothing.
#[tokio::test]
async fn a_logout_token_is_no_id_token() {
    let one = LogoutListener::start().await;
    let (provider, clients, browser) = ready(&[("one", &one)]).await;
    let _ = sign_out(&provider, &browser).await;
    let token = one.wait_for(1).await.remove(0);
    let page = Authorization::of(&clients[0]).with("id_token_hint", &token).open(&provider, &browser).await;
    assert_eq!(crate::support::Answer::of(&page, &clients[0].redirect_uri).error(), "invalid_request");
    assert_eq!(provider.userinfo(&token).await.error().0, 401);
}

/// 2.8, and beyond it: slow, down, and back again: told to the person, tried again, delivered in the end.
#[tokio::test]
async fn a_service_that_is_down_is_told_when_it_is_back() {
    let (one, two) = (LogoutListener::start().await, LogoutListener::start().await);
    let (provider, _, browser) = ready(&[("one", &one), ("two", &two)]).await;
    one.answer(500);
    let page = sign_out(&provider, &browser).await;
    assert!(page.text().contains("could not be reached yet") && page.text().contains("The one service"), "{page}");
    assert_eq!(two.tokens().len(), 1);
    let rows =
        provider.rows("SELECT client_id, tries, last_result, delivered_at FROM logout_outbox ORDER BY client_id").await;
    assert_eq!(rows[0][..3], [Some("one".into()), Some("1".into()), Some("it answered 500".into())]);
    assert!(rows[0][3].is_none() && rows[1][3].is_some());
    // Not before its time.
    deliver_due(&provider.provider).await;
    assert_eq!(one.tokens().len(), 1);
    provider.travel(6);
    deliver_due(&provider.provider).await;
    assert_eq!(one.tokens().len(), 2);
    one.answer(204);
    provider.travel(20);
    deliver_due(&provider.provider).await;
    let tokens = one.tokens();
    assert_eq!(tokens.len(), 3);
    // Signed anew each time, so that it is never too old.
    assert!(claims_of(&tokens[2])["iat"].as_i64() > claims_of(&tokens[0])["iat"].as_i64());
    assert_ne!(claims_of(&tokens[2])["jti"], claims_of(&tokens[0])["jti"]);
    provider.travel(100_000);
    deliver_due(&provider.provider).await;
    assert_eq!(one.tokens().len(), 3, "what was delivered is not sent again");
    assert_eq!(two.tokens().len(), 1);
}

/// After a day it is given up, and the operator can see it.
#[tokio::test]
async fn after_a_day_it_is_given_up() {
    let one = LogoutListener::start().await;
    let (provider, _, browser) = ready(&[("one", &one)]).await;
    one.answer(400);
    let _ = sign_out(&provider, &browser).await;
    provider.travel(86_400);
    deliver_due(&provider.provider).await;
    provider.travel(86_400);
    deliver_due(&provider.provider).await;
    assert_eq!(one.tokens().len(), 2);
    let rows = provider.rows("SELECT last_result, given_up_at, delivered_at FROM logout_outbox").await;
    assert!(
        rows[0][0].as_deref() == Some("it answered 400") && rows[0][1].is_some() && rows[0][2].is_none(),
        "{rows:?}"
    );
}

/// It survives a restart: whatever node comes next delivers it, and two nodes deliver it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_is_delivered_once_by_any_node() {
    let one = LogoutListener::start().await;
    let (provider, _, browser) = ready(&[("one", &one)]).await;
    one.answer(503);
    let _ = sign_out(&provider, &browser).await;
    assert_eq!(one.tokens().len(), 1);
    one.answer(200);
    provider.travel(6);
    if crate::support::stores() == crate::support::Stores::Servers {
        let second = provider.second_node().await;
        tokio::join!(deliver_due(&provider.provider), deliver_due(&second.provider), deliver_due(&provider.provider));
    } else {
        tokio::join!(deliver_due(&provider.provider), deliver_due(&provider.provider));
    }
    assert_eq!(one.tokens().len(), 2);
}

/// A slow service does not hold the person up for long.
#[tokio::test]
async fn a_slow_service_does_not_hold_the_person_up() {
    let (slow, quick) = (LogoutListener::start().await, LogoutListener::start().await);
    let (provider, _, browser) = ready(&[("slow", &slow), ("quick", &quick)]).await;
    slow.answer(0);
    let page = tokio::time::timeout(std::time::Duration::from_secs(8), sign_out(&provider, &browser)).await.unwrap();
    assert!(page.text().contains("could not be reached yet") && page.text().contains("The slow service"), "{page}");
    assert!(page.text().contains("The quick service"), "{page}");
}

/// RP-Initiated 3: the redirect comes after the notifications.
#[tokio::test]
async fn the_redirect_comes_after_the_notifications() {
    let one = LogoutListener::start().await;
    let (provider, clients, browser) = ready(&[("one", &one)]).await;
    provider.sql("INSERT INTO client_post_logout_redirect_uris VALUES ('one', 'https://one.example/out')").await;
    provider.travel(10);
    let hint = provider.tokens(&browser, &clients[0]).await.text("id_token");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "https://one.example/out")])
        .finish();
    let page = browser.cross_site_get(&format!("{}?{query}", provider.url("/logout"))).await;
    assert_eq!(page.location().unwrap().as_str(), "https://one.example/out");
    assert_eq!(one.tokens().len(), 1);
}

/// Another user signs in with the same browser: the first one's session ends for every service.
#[tokio::test]
async fn another_persons_sign_in_ends_the_session_before() {
    let one = LogoutListener::start().await;
    let (provider, clients, browser) = ready(&[("one", &one)]).await;
    provider.add_user(NewUser::named("bob")).await;
    let page = Authorization::of(&clients[0]).with("prompt", "login").open(&provider, &browser).await;
    let _ = provider.type_in(&browser, &page, "bob", PASSWORD).await;
    let tokens = one.wait_for(1).await;
    assert_eq!(claims_of(&tokens[0])["sub"], "alice-sub");
    // The same person signing in again keeps the session, and no service is told.
    let page = Authorization::of(&clients[0]).with("prompt", "login").open(&provider, &browser).await;
    let _ = provider.type_in(&browser, &page, "bob", PASSWORD).await;
    assert_eq!(one.tokens().len(), 1);
    let _ = sign_out(&provider, &browser).await;
    assert_eq!(claims_of(&one.wait_for(2).await[1])["sub"], "bob-sub");
}

/// Many tabs at once: every service that got a code is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_service_is_forgotten_when_many_tabs_are_opened_at_once() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let listener = LogoutListener::start().await;
    let first = provider.client("first").await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &first).await;
    let mut clients = Vec::new();
    for number in 0..8 {
        let client =
            NewClient::new(&format!("c{number}")).with("consent", "skip").with("backchannel_logout_uri", &listener.uri);
        clients.push(provider.add(client).await);
    }
    let tabs = clients.iter().map(|client| provider.sign_in(&browser, client));
    let answers = futures_util::future::join_all(tabs).await;
    assert!(answers.iter().all(|answer| !answer.code().is_empty()));
    let page = sign_out(&provider, &browser).await;
    let tokens = listener.wait_for(8).await;
    let told: std::collections::HashSet<String> =
        tokens.iter().map(|token| claims_of(token)["aud"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told.len(), 8);
    // A service without an address is named, so that the person can sign out there.
    assert!(
        page.text().contains("which cannot be told from here") && page.text().contains("The first service"),
        "{page}"
    );
}

/// Pairwise clients of different sectors cannot compare what they are told.
#[tokio::test]
async fn a_pairwise_client_is_told_its_own_names() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let listener = LogoutListener::start().await;
    let browser = UserAgent::new();
    let client = NewClient::new("pair").with("consent", "skip").with("subject_type", "pairwise");
    let client = provider.add(client.with("backchannel_logout_uri", &listener.uri)).await;
    let id_token = claims_of(&provider.tokens(&browser, &client).await.text("id_token"));
    let _ = sign_out(&provider, &browser).await;
    let claims = claims_of(&listener.wait_for(1).await[0]);
    assert_eq!((&claims["sub"], &claims["sid"]), (&id_token["sub"], &id_token["sid"]));
    assert_ne!(claims["sub"], "alice-sub");
}

/// Front-Channel 2, 3: a frame for each service with `iss` and `sid`, allowed by the policy, and then on.
#[tokio::test]
async fn a_front_channel_service_is_loaded_in_a_frame() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    let client = NewClient::new("front").with("consent", "skip").leaving_to("https://front.example/out");
    let client = provider.add(client.with("frontchannel_logout_uri", "https://front.example/logout?y=1")).await;
    let hint = provider.tokens(&browser, &client).await.text("id_token");
    let sid = claims_of(&hint)["sid"].as_str().unwrap().to_owned();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("id_token_hint", hint.as_str()),
            ("post_logout_redirect_uri", "https://front.example/out"),
            ("state", "s"),
        ])
        .finish();
    let page = browser.cross_site_get(&format!("{}?{query}", provider.url("/logout"))).await;
    assert_eq!(page.status, 200, "{page}");
    let issuer: String = url::form_urlencoded::byte_serialize(provider.issuer.as_bytes()).collect();
    assert!(
        page.body.contains(&format!("src=\"https://front.example/logout?y=1&#38;iss={issuer}&#38;sid={sid}\"")),
        "{}",
        page.body
    );
    assert!(page.header("content-security-policy").unwrap().ends_with("; frame-src https://front.example"));
    // The refresh is for browsers without script, as the script continues by itself: one of the two, never both.
    let refresh =
        "<noscript><meta http-equiv=\"refresh\" content=\"3; url=https://front.example/out?state=s\"></noscript>";
    assert!(page.body.contains(refresh) && page.body.matches("http-equiv").count() == 1, "{}", page.body);
    assert_eq!(page.texts("a.button"), ["Go back to The front service"]);
    // The service that sent the person is none where they would have to sign out.
    assert!(!page.text().contains("still be signed in"), "{page}");
}

/// The links of a list on the page: what they are called and where they lead.
fn links(page: &Page, list: &str) -> Vec<(String, Option<String>)> {
    let names = page.texts(&format!("ul[aria-labelledby={list}] li"));
    let link = |name: &String| {
        let (before, _) = page.body.split_once(&format!(">{name}</bdi></a>"))?;
        let href = before.rsplit_once("<a href=\"")?.1;
        Some(href.split('"').next()?.to_owned())
    };
    names.into_iter().map(|name| (name.clone(), link(&name))).collect()
}

/// The page names where the person may still be signed in, each with a link to its home page if that is a web address; the
/// service that sent them, whichever parameter names it, is not among them.
#[tokio::test]
async fn the_page_links_to_the_services_that_were_not_told_but_for_the_one_that_sent_the_person() {
    let listener = LogoutListener::start().await;
    for sender in ["plain", "down", "nobody", "told"] {
        for by_hint in [true, false] {
            let provider = TestProvider::start().await;
            provider.alice().await;
            let browser = UserAgent::new();
            listener.answer(200);
            let mut hint = String::new();
            for (id, home) in [("plain", "https://plain.example/home"), ("odd", "javascript:alert(1)"), ("bare", "")] {
                let client = NewClient::new(id).with("consent", "skip");
                let client = if home.is_empty() { client } else { client.with("client_uri", home) };
                let client = provider.add(client).await;
                let token = provider.tokens(&browser, &client).await.text("id_token");
                if id == sender {
                    hint = token;
                }
            }
            let away = format!("http://127.0.0.1:{}/", crate::support::postgres::free_port());
            for (id, uri) in [("down", away.as_str()), ("told", listener.uri.as_str())] {
                let client = NewClient::new(id).with("consent", "skip").with("backchannel_logout_uri", uri);
                let client = provider.add(client.with("client_uri", &format!("https://{id}.example/"))).await;
                let token = provider.tokens(&browser, &client).await.text("id_token");
                if id == sender {
                    hint = token;
                }
            }
            let word = if by_hint { ("id_token_hint", hint.as_str()) } else { ("client_id", sender) };
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs([word]).finish();
            let mut page = browser.cross_site_get(&format!("{}?{query}", provider.url("/logout"))).await;
            if page.text().contains("Do you want to sign out?") {
                page = browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
            }
            let is_known = sender != "nobody" && (!by_hint || !hint.is_empty());
            let named = |id: &str, home: Option<&str>| (format!("The {id} service"), home.map(str::to_owned));
            let but_for_the_sender = |all: Vec<(String, Option<String>)>| -> Vec<(String, Option<String>)> {
                all.into_iter().filter(|(name, _)| !is_known || *name != format!("The {sender} service")).collect()
            };
            let cannot =
                vec![named("plain", Some("https://plain.example/home")), named("odd", None), named("bare", None)];
            assert_eq!(links(&page, "cannot_be_told"), but_for_the_sender(cannot), "{sender} {by_hint}: {page}");
            let down = vec![named("down", Some("https://down.example/"))];
            assert_eq!(links(&page, "not_reached"), but_for_the_sender(down), "{sender} {by_hint}: {page}");
            assert_eq!(links(&page, "reached"), [named("told", Some("https://told.example/"))], "{sender}: {page}");
            assert!(!page.body.contains("javascript:"), "{}", page.body);
        }
    }
}

/// Front-Channel 2: a frame on another site gets no cookie of the service's, so it is not taken for a service that was told,
/// nor is one whose back channel does not answer; on our own site it is, and so is one that a message reached.
#[tokio::test]
async fn a_frame_on_another_site_is_loaded_and_not_taken_for_a_sign_out() {
    let listener = LogoutListener::start().await;
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    let here = format!("http://{}:1/out", provider.address.ip());
    let away = format!("http://127.0.0.1:{}/", crate::support::postgres::free_port());
    for (id, frame, message) in [
        ("ours", here.as_str(), None),
        ("name", "http://localhost:1/out", None),
        ("tls", "https://127.0.0.1/out", None),
        ("elsewhere", "https://front.example/out", None),
        ("both", "https://both.example/out", Some(listener.uri.as_str())),
        ("down", "https://down.example/out", Some(away.as_str())),
    ] {
        let client = NewClient::new(id).with("consent", "skip").with("frontchannel_logout_uri", frame);
        let client = message.into_iter().fold(client, |client, uri| client.with("backchannel_logout_uri", uri));
        let client = provider.add(client).await;
        let _ = provider.sign_in(&browser, &client).await;
    }
    let page = sign_out(&provider, &browser).await;
    assert_eq!(page.texts("h1"), ["You are signed out"]);
    assert_eq!(page.body.matches("<iframe").count(), 6, "each is tried: {}", page.body);
    let names = |list: &str| page.texts(&format!("ul[aria-labelledby={list}] li"));
    assert_eq!(names("reached"), ["The ours service", "The both service"]);
    assert_eq!(names("not_reached"), ["The down service"]);
    assert_eq!(names("cannot_be_told"), ["The name service", "The tls service", "The elsewhere service"]);
}

/// The operator is told which sign-out cannot be seen to work, and what to do; the sign-out continues all the same.
#[tokio::test]
async fn the_log_names_a_sign_out_that_cannot_be_seen_to_work() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let serve = Serve::start(folder.path(), &database_url, &redis_url);
    let mut clients = Vec::new();
    let service = LogoutListener::start().await;
    let host = url::Url::parse(&serve.issuer).unwrap().host_str().unwrap().to_owned();
    let ours = format!("http://{host}:1/out?secret=no");
    for (id, frame, message) in [
        ("ours", ours.as_str(), None),
        ("elsewhere", "https://front.example/out?key=of-theirs", None),
        ("both", "https://both.example/out", Some(service.uri.as_str())),
    ] {
        let client = NewClient::new(id).with("consent", "skip").with("frontchannel_logout_uri", frame);
        let client = message.into_iter().fold(client, |client, uri| client.with("backchannel_logout_uri", uri));
        let (sql, client) = client.leaving_to("https://elsewhere.example/out").sql();
        run_sql(&database_url, &sql).await.unwrap();
        clients.push(client);
    }
    run_sql(&database_url, &NewUser::alice().sql()).await.unwrap();
    let (provider, browser) = (Remote::new(&serve.issuer), UserAgent::new());
    for client in &clients {
        let _ = provider.sign_in(&browser, client, "alice", PASSWORD).await.code();
    }
    let query = "client_id=elsewhere&post_logout_redirect_uri=https://elsewhere.example/out";
    let page = browser.cross_site_get(&format!("{}/logout?{query}", serve.issuer)).await;
    let page = browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
    // It is the last hop all the same.
    assert!(page.body.contains("content=\"3; url=https://elsewhere.example/out\""), "{}", page.body);
    let warnings = || -> Vec<serde_json::Value> {
        let (_, log) = serve.running.output();
        let records = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        records.filter(|record| record.to_string().contains("cannot be seen to work")).collect()
    };
    until("the log names it", async || !warnings().is_empty()).await;
    let warnings = warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let text = warnings[0].to_string();
    assert_eq!(warnings[0]["level"], "WARN");
    for part in ["elsewhere", "https://front.example", "backchannel_logout_uri", serve.issuer.as_str()] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("of-theirs"), "what an address carries is not repeated: {text}");
}

/// Front-Channel 2: an address that no frame can show is not tried, and the person is told so.
#[tokio::test]
async fn what_is_no_web_page_gets_no_frame() {
    for uri in ["javascript:alert(1)", "com.example.app:/out", "https://a;script-src/out"] {
        let provider = TestProvider::start().await;
        let odd = NewClient::new("odd").with("consent", "skip").with("frontchannel_logout_uri", uri);
        let client = provider.add(odd).await;
        provider.alice().await;
        let browser = UserAgent::new();
        let _ = provider.sign_in(&browser, &client).await;
        let page = sign_out(&provider, &browser).await;
        assert!(!page.body.contains("<iframe") && !page.body.contains(uri), "{}", page.body);
        assert!(!page.header("content-security-policy").unwrap().contains("frame-src"), "{:?}", page.headers);
        assert!(page.text().contains("You may still be signed in at these services"), "{page}");
    }
}

/// A database that takes no messages keeps no user signed in, and no service is claimed to have been told.
#[tokio::test]
async fn a_sign_out_ends_the_session_also_when_no_message_can_be_kept() {
    let listener = LogoutListener::start().await;
    let (provider, clients, browser) = ready(&[("reports", &listener)]).await;
    let token = provider.tokens(&browser, &clients[0]).await.text("access_token");
    provider.sql("ALTER TABLE logout_outbox RENAME TO hidden").await;
    let page = sign_out(&provider, &browser).await;
    assert_eq!(page.status, 200, "{page}");
    assert!(page.text().contains("You are signed out"), "{page}");
    assert!(page.text().contains("You may still be signed in at these services"), "{page}");
    assert_eq!(provider.userinfo(&token).await.error(), (401, "invalid_token".into()));
    assert!(browser.cookies().iter().all(|cookie| !cookie.name.contains("session")));
    assert!(listener.tokens().is_empty());
}

/// The messages are stored in SQL: a process that is killed takes none with it, and the operator sees the outcome of each.
#[tokio::test]
async fn a_message_survives_a_killed_process_and_its_results_are_seen_by_the_operator() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let mut serve = Serve::start(folder.path(), &database_url, &redis_url);
    let service = LogoutListener::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("backchannel_logout_uri", &service.uri);
    let (sql, client) = client.sql();
    run_sql(&database_url, &format!("{sql}{}", NewUser::alice().sql())).await.unwrap();

    let (provider, browser) = (Remote::new(&serve.issuer), UserAgent::new());
    let _ = provider.sign_in(&browser, &client, "alice", PASSWORD).await.code();
    service.answer(503);
    let page = browser.get(&format!("{}/logout", serve.issuer)).await;
    let page = browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
    assert!(page.text().contains("could not be reached yet"), "{page}");
    serve.running.signal("KILL");
    assert_eq!(serve.running.wait(), -1);

    service.answer(200);
    let serve = Serve::again(folder.path(), serve.variables);
    let tokens = service.wait_for(2).await;
    // Signed anew, about the same session.
    let [first, second] = [&tokens[0], &tokens[1]].map(|token| claims_of(token));
    assert_eq!((&first["sid"], &first["sub"]), (&second["sid"], &second["sub"]));
    assert_ne!(first["jti"], second["jti"]);
    let told =
        || run_with(folder.path(), &["audit", "list", "--event", "logout_delivered", "--json"], &serve.variables(), "");
    until("the operator sees that it arrived", async || told().stdout.contains("reports")).await;
    let outcome: serde_json::Value = serde_json::from_str(&told().stdout).unwrap();
    assert_eq!((outcome["sub"].as_str(), outcome["client_id"].as_str()), (Some("alice-sub"), Some("reports")));
    assert!(outcome["detail"].as_str().unwrap().contains("\"tries\":2"), "{outcome}");
}
