//! Passkeys: added at the account or where they are offered, used alone or after the password, refused where they do not hold; and what
//! an attacker comes to. By an authenticator of the tests' own; `passkeys_browser.rs` has a browser's.

use crate::account::{form_with, open, press};
use crate::account_factors::secret_of;
use crate::support::passkeys::{SoftAuthenticator, Tamper, options_of};
use crate::support::program::{done, files_in, refused};
use crate::support::provider::PASSWORD;
use crate::support::smtp::MailServer;
use crate::support::totp;
use crate::support::verbs::origin_of;
use crate::support::{Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, claims_of};
use hallpass::passkeys::MOST_PASSKEYS;
use hallpass::throttle::PASSKEYS_PER_NETWORK;
use serde_json::{Value, json};

const PATH: &str = "/account/passkeys";

/// A provider at a host that has a name, which passkeys can be for.
async fn ready() -> (TestProvider, TestClient) {
    ready_with(&[]).await
}

async fn ready_with(settings: &[(&str, &str)]) -> (TestProvider, TestClient) {
    let provider = TestProvider::with(&[&[("issuer", "//localhost")], settings].concat()).await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip")).await;
    provider.alice().await;
    (provider, client)
}

/// Gives a user who has no second factor a passkey; gives the page that follows.
async fn add(provider: &TestProvider, username: &str, authenticator: &mut SoftAuthenticator) -> Page {
    let browser = UserAgent::new();
    let page = open(provider, &browser, PATH, username).await;
    assert_eq!(page.texts("h1"), ["Passkeys"]);
    let added = provider.add_passkey(&browser, &page, authenticator).await;
    provider.settle(&browser, added).await
}

async fn login_page(provider: &TestProvider, client: &TestClient, browser: &UserAgent) -> Page {
    let page = Authorization::of(client).with("acr_values", "1 2").open(provider, browser).await;
    assert!(page.url.path().ends_with("/login"), "{page}");
    page
}

/// Uses a passkey at the login page of a new browser; gives that, and what comes of it.
async fn by_passkey(
    provider: &TestProvider,
    client: &TestClient,
    authenticator: &mut SoftAuthenticator,
) -> (UserAgent, Page) {
    let browser = UserAgent::new();
    let page = login_page(provider, client, &browser).await;
    let page = provider.use_passkey(&browser, &page, authenticator).await;
    (browser, page)
}

/// Types alice's password at the login page of a new browser; gives that, and what comes of it.
async fn after_password(provider: &TestProvider, client: &TestClient, password: &str) -> (UserAgent, Page) {
    let browser = UserAgent::new();
    let page = login_page(provider, client, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", password).await;
    (browser, page)
}

async fn claims(provider: &TestProvider, client: &TestClient, page: &Page) -> Value {
    let answer = Answer::of(page, &client.redirect_uri);
    claims_of(&provider.redeem(client, answer.code()).await.ok().text("id_token"))
}

async fn events(provider: &TestProvider, kind: &str) -> String {
    provider.provider.audit.flush().await;
    provider.command(&["audit", "list", "--event", kind, "--json"], "").stdout
}

fn alert(page: &Page) -> String {
    page.texts("[role=alert]").join(" ").trim().to_owned()
}

fn has_session(browser: &UserAgent) -> bool {
    browser.cookies().iter().any(|cookie| cookie.name.contains("hallpass_session") && !cookie.value.is_empty())
}

fn codes(page: &Page) -> Vec<String> {
    page.texts(".codes code")
}

// ---- Adding.

#[tokio::test]
async fn a_passkey_is_added_with_recovery_codes_and_signs_in_alone() {
    for (mut authenticator, amr) in
        [(SoftAuthenticator::synced(), ["swk", "user", "mfa"]), (SoftAuthenticator::hardware(), ["hwk", "user", "mfa"])]
    {
        let (provider, client) = ready().await;
        let page = add(&provider, "alice", &mut authenticator).await;
        assert_eq!(codes(&page).len(), 10, "{page}");
        assert_eq!(page.header("cache-control"), Some("no-store"));
        provider.travel(60);
        let (_, page) = by_passkey(&provider, &client, &mut authenticator).await;
        let claims = claims(&provider, &client, &page).await;
        assert_eq!((&claims["amr"], &claims["acr"], &claims["sub"]), (&json!(amr), &json!("2"), &json!("alice-sub")));
        assert!((provider.now() - claims["auth_time"].as_i64().unwrap()).abs() <= 2, "{claims}");
        assert!(events(&provider, "sign_in").await.contains(&amr.join(" ")));
        assert!(events(&provider, "factor_added").await.contains("passkey"));
        // What is kept of it has no secret, and the user handle says nothing of the user.
        let rows = provider.rows("SELECT user_handle, passkey, used_at FROM user_passkeys").await;
        let handle = rows[0][0].clone().unwrap();
        assert_eq!((rows.len(), handle.len()), (1, 22));
        assert_ne!(handle, "alice-sub");
        assert!(rows[0][2].is_some(), "it was used");
    }
}

#[tokio::test]
async fn what_a_browser_is_asked_for_is_discoverable_verified_and_ours() {
    let (provider, _) = ready_with(&[("name", "Example Works")]).await;
    let browser = UserAgent::new();
    let page = open(&provider, &browser, PATH, "alice").await;
    let asked = &options_of(&page)["publicKey"];
    assert_eq!(asked["rp"], json!({ "id": "localhost", "name": "Example Works" }));
    assert_eq!((&asked["user"]["name"], &asked["user"]["displayName"]), (&json!("alice"), &json!("Alice Example")));
    let selection = &asked["authenticatorSelection"];
    assert_eq!((&selection["residentKey"], &selection["requireResidentKey"]), (&json!("required"), &json!(true)));
    assert_eq!(selection["userVerification"], "required");
    assert_eq!(asked["attestation"], "none");
    assert!(!asked.to_string().contains("alice-sub"), "{asked}");
    // Our script alone may run there, and everything else is as on every page.
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src"), "{policy}");
    // The second one of a user has the same handle, and is not made where the first one is.
    let mut first = SoftAuthenticator::synced();
    let _ = provider.add_passkey(&browser, &page, &mut first).await;
    let browser = UserAgent::new();
    let page = open(&provider, &browser, PATH, "alice").await;
    let page = provider.use_passkey(&browser, &page, &mut first).await;
    let again = options_of(&page);
    assert_eq!(again["publicKey"]["user"]["id"], asked["user"]["id"]);
    assert_ne!(again["publicKey"]["challenge"], asked["challenge"]);
    assert_eq!(first.create(&origin_of(&provider.issuer), &again).unwrap_err(), "InvalidStateError");
    let mut second = SoftAuthenticator::hardware();
    let page = provider.add_passkey(&browser, &page, &mut second).await;
    let page = provider.settle(&browser, page).await;
    assert!(page.text().contains("Your passkey is added."), "{page}");
    assert!(
        page.text().contains("It can be on several of your devices.") && page.text().contains("It stays on"),
        "{page}"
    );
}

#[tokio::test]
async fn what_does_not_hold_is_not_added() {
    let (provider, _) = ready().await;
    let tampered = |how: Tamper| SoftAuthenticator { tamper: Some(how), ..SoftAuthenticator::synced() };
    let unverified = SoftAuthenticator { verifies_user: false, ..SoftAuthenticator::hardware() };
    let cases = [
        (tampered(Tamper::Origin("https://evil.example".into())), "cannot be added"),
        (tampered(Tamper::Origin("http://localhost:1".into())), "cannot be added"),
        (tampered(Tamper::Type("webauthn.get".into())), "cannot be added"),
        (tampered(Tamper::Challenge("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into())), "cannot be added"),
        (tampered(Tamper::RpIdHash), "cannot be added"),
        (tampered(Tamper::NoUserPresence), "cannot be added"),
        (unverified, "did not check that it is you"),
    ];
    let browser = UserAgent::new();
    let page = open(&provider, &browser, PATH, "alice").await;
    for (mut authenticator, told) in cases {
        let answered = provider.add_passkey(&browser, &page, &mut authenticator).await;
        assert_eq!(answered.status, 422, "{answered}");
        assert!(alert(&answered).contains(told), "{told}: {answered}");
    }
    // An id that could be guessed, and one that is longer than any.
    for id_bytes in [8, 15, 1024, 2000] {
        let mut authenticator = SoftAuthenticator { id_bytes, ..SoftAuthenticator::synced() };
        let answered = provider.add_passkey(&browser, &page, &mut authenticator).await;
        assert!(alert(&answered).contains("cannot be added"), "{id_bytes}: {answered}");
    }
    // One that the authenticator says it did not keep.
    let mut authenticator = SoftAuthenticator::hardware();
    let mut credential = authenticator.create(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
    credential["clientExtensionResults"]["credProps"]["rk"] = json!(false);
    let answered = provider.send_passkey(&browser, &page, &credential).await;
    assert!(alert(&answered).contains("did not keep"), "{answered}");
    for nonsense in [json!({}), json!("x"), Value::Null, json!({ "id": "x".repeat(10_000) })] {
        let answered = provider.send_passkey(&browser, &page, &nonsense).await;
        assert_eq!(answered.status, 422, "{answered}");
    }
    assert!(provider.rows("SELECT passkey_id FROM user_passkeys").await.is_empty());
    // As long as it may be.
    let mut authenticator = SoftAuthenticator { id_bytes: 1023, ..SoftAuthenticator::synced() };
    assert_eq!(codes(&provider.add_passkey(&browser, &page, &mut authenticator).await).len(), 10);
}

#[tokio::test]
async fn the_form_that_adds_one_is_of_this_browser_and_sign_in_and_good_once() {
    let (provider, _) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let (alice, bob) = (UserAgent::new(), UserAgent::new());
    let page = open(&provider, &alice, PATH, "alice").await;
    let others = open(&provider, &bob, PATH, "bob").await;
    let mut authenticator = SoftAuthenticator::synced();
    let credential = authenticator.create(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
    // Bob sends what was made for alice, with her token in his form.
    let mut form = others.form("form#passkey");
    let token = page.form("form#passkey").value("ceremony").unwrap().to_owned();
    form.set("ceremony", &token).set("credential", &credential.to_string());
    let answered = bob.submit(form, Some(("action", "add"))).await;
    assert!(alert(&answered).contains("too old"), "{answered}");
    // Another site's form.
    let mut form = page.form("form#passkey");
    form.set("credential", &credential.to_string());
    let mut fields: Vec<(&str, &str)> = ["csrf", "ceremony", "credential"]
        .into_iter()
        .map(|name| (name, form.value(name).unwrap_or_default()))
        .collect();
    fields.push(("action", "add"));
    let answered = alice.cross_site_post(&provider.url(PATH), &fields).await;
    assert!(codes(&answered).is_empty(), "{answered}");
    assert!(provider.rows("SELECT passkey_id FROM user_passkeys").await.is_empty());
    // Two at once: one is added.
    let both = tokio::join!(
        provider.send_passkey(&alice, &page, &credential),
        provider.send_passkey(&alice, &page, &credential)
    );
    assert_eq!(provider.rows("SELECT passkey_id FROM user_passkeys").await.len(), 1, "{} {}", both.0, both.1);
    // Once it was removed, the same answer does not bring it back.
    let browser = UserAgent::new();
    let page_after = open(&provider, &browser, PATH, "alice").await;
    let page_after = provider.use_passkey(&browser, &page_after, &mut authenticator).await;
    let removed = press(&provider, &browser, form_with(&page_after, "remove"), "remove").await;
    assert!(removed.text().contains("removed here"), "{removed}");
    let again = provider.send_passkey(&browser, &page_after, &credential).await;
    assert!(alert(&again).contains("too old") || !again.status.is_success(), "{again}");
    let again = provider.send_passkey(&alice, &page, &credential).await;
    let again = provider.settle(&alice, again).await;
    assert!(codes(&again).is_empty(), "{again}");
    assert!(provider.rows("SELECT passkey_id FROM user_passkeys").await.is_empty());
    assert!(provider.rows("SELECT factor_id FROM user_factors").await.is_empty(), "the recovery codes go with it");
}

#[tokio::test]
async fn a_user_has_ten_at_most() {
    let (provider, _) = ready().await;
    let browser = UserAgent::new();
    let mut page = open(&provider, &browser, PATH, "alice").await;
    let mut first = SoftAuthenticator::synced();
    let _ = provider.add_passkey(&browser, &page, &mut first).await;
    let browser = UserAgent::new();
    page = open(&provider, &browser, PATH, "alice").await;
    page = provider.use_passkey(&browser, &page, &mut first).await;
    let old = browser.get(&provider.url(PATH)).await;
    for _ in 1..MOST_PASSKEYS {
        let added = provider.add_passkey(&browser, &page, &mut SoftAuthenticator::hardware()).await;
        page = provider.settle(&browser, added).await;
    }
    assert!(!page.body.contains("data-passkey"), "{page}");
    let refused = provider.add_passkey(&browser, &old, &mut SoftAuthenticator::hardware()).await;
    assert!(alert(&refused).contains("10 passkeys"), "{refused}");
}

#[tokio::test]
async fn a_stolen_password_adds_no_passkey_to_an_account_with_a_second_factor() {
    let (provider, _) = ready().await;
    let authenticator = provider.enroll("alice-sub").await;
    let thief = UserAgent::new();
    let page = open(&provider, &thief, PATH, "alice").await;
    assert!(page.url.path().ends_with("/second-factor") && !page.body.contains("data-passkey"), "{page}");
    // By the code it is; the codes from before stay.
    let page = provider.type_code(&thief, &page, authenticator.code(provider.now())).await;
    let added = provider.add_passkey(&thief, &page, &mut SoftAuthenticator::synced()).await;
    assert!(added.status.is_redirection(), "{added}");
    // And the other way round: who has a passkey adds no authenticator by the password alone.
    provider.add_user(NewUser::named("bob")).await;
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "bob", &mut passkey).await;
    for path in ["/account/second-factor", "/account/password", "/account/email", PATH] {
        let thief = UserAgent::new();
        let page = open(&provider, &thief, path, "bob").await;
        assert_eq!(page.texts("h1"), ["Confirm that it is you"], "{path}: {page}");
        assert!(!has_session(&thief), "{path}");
        let page = provider.use_passkey(&thief, &page, &mut passkey).await;
        assert!(page.url.path().ends_with(path), "{path}: {page}");
    }
}

// ---- Signing in.

#[tokio::test]
async fn the_login_page_tells_of_no_user_whether_they_have_one() {
    let (provider, client) = ready().await;
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "alice", &mut passkey).await;
    let mut seen = Vec::new();
    for hint in ["alice", "bob", "eve@example.com", ""] {
        let browser = UserAgent::new();
        let page = Authorization::of(&client).with("login_hint", hint).open(&provider, &browser).await;
        let mut options = options_of(&page);
        assert!(page.body.contains("autocomplete=\"username webauthn\""), "{page}");
        options["publicKey"]["challenge"] = Value::Null;
        seen.push(options.clone());
        assert_eq!(options["publicKey"]["allowCredentials"], json!([]));
        assert_eq!(options["publicKey"]["userVerification"], "required");
        assert_eq!(options["publicKey"]["rpId"], "localhost");
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]), "{seen:?}");
}

#[tokio::test]
async fn what_does_not_hold_signs_no_user_in() {
    let (provider, client) = ready().await;
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "alice", &mut passkey).await;
    let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let cases = [
        (Some(Tamper::Origin("https://evil.example".into())), "could not be checked", "passkey_invalid"),
        (Some(Tamper::Type("webauthn.create".into())), "could not be checked", "passkey_invalid"),
        (Some(Tamper::Challenge(zeros.into())), "could not be checked", "passkey_invalid"),
        (Some(Tamper::RpIdHash), "could not be checked", "passkey_invalid"),
        (Some(Tamper::NoUserPresence), "could not be checked", "passkey_invalid"),
        (Some(Tamper::Signature), "could not be checked", "passkey_invalid"),
        (Some(Tamper::UserHandle(None)), "could not be checked", "passkey_invalid"),
        (Some(Tamper::UserHandle(Some(vec![7; 16]))), "could not be checked", "passkey_invalid"),
        (None, "did not check that it is you", "passkey_unverified"),
    ];
    for (tamper, told, reason) in cases {
        let browser = UserAgent::new();
        let page = login_page(&provider, &client, &browser).await;
        let is_verified = tamper.is_some();
        let mut thief = SoftAuthenticator { tamper, verifies_user: is_verified, ..passkey.clone() };
        let page = provider.use_passkey(&browser, &page, &mut thief).await;
        assert_eq!(page.status, 422, "{page}");
        assert!(alert(&page).contains(told) && !has_session(&browser), "{page}");
        assert!(events(&provider, "sign_in_failed").await.contains(reason), "{reason}");
        // The page has another challenge, by which it is done.
        let page = provider.use_passkey(&browser, &page, &mut passkey).await;
        assert!(page.query_parameter("code").is_some(), "{page}");
    }
}

#[tokio::test]
async fn an_answer_is_good_once_in_its_browser_and_for_its_page() {
    let (provider, client) = ready().await;
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "alice", &mut passkey).await;
    let (browser, other) = (UserAgent::new(), UserAgent::new());
    let page = login_page(&provider, &client, &browser).await;
    let credential = passkey.get(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
    // In another browser, with all that the form has.
    let elsewhere = login_page(&provider, &client, &other).await;
    let mut form = elsewhere.form("form#passkey");
    let token = page.form("form#passkey").value("ceremony").unwrap().to_owned();
    form.set("ceremony", &token).set("credential", &credential.to_string());
    let answered = other.submit(form, Some(("action", "passkey"))).await;
    let answered = provider.settle(&other, answered).await;
    assert!(answered.url.path().ends_with("/login") && !has_session(&other), "{answered}");
    // What is no token, and one of another interaction of this very browser.
    let further = Authorization::of(&client).with("state", "another").open(&provider, &other).await;
    let of_further = further.form("form#passkey").value("ceremony").unwrap().to_owned();
    for token in ["", "x", "1.2.3", &of_further] {
        let page = login_page(&provider, &client, &other).await;
        let mut form = page.form("form#passkey");
        form.set("ceremony", token).set("credential", &credential.to_string());
        let answered = other.submit(form, Some(("action", "passkey"))).await;
        let answered = provider.settle(&other, answered).await;
        assert!(answered.url.path().ends_with("/login") && !has_session(&other), "{token}: {answered}");
    }
    // Many at once, by a key that counts and by one that does not: the interaction is continued by one, and one code is issued.
    let sent =
        futures_util::future::join_all((0..6).map(|_| provider.send_passkey(&browser, &page, &credential))).await;
    let issued = futures_util::future::join_all(sent.into_iter().map(|page| provider.settle(&browser, page))).await;
    let issued = issued.iter().filter(|page| page.query_parameter("code").is_some()).count();
    assert_eq!(issued, 1);
    // And never again.
    let again = provider.send_passkey(&browser, &page, &credential).await;
    let again = provider.settle(&browser, again).await;
    assert!(again.query_parameter("code").is_none(), "{again}");
}

/// The interaction is open still where a page follows the sign-in: the answer that was used is void there all the same.
#[tokio::test]
async fn a_used_answer_is_void_while_its_interaction_is_open() {
    let (provider, _) = ready().await;
    let client = provider.add(NewClient::new("asks").with("consent", "ask")).await;
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "alice", &mut passkey).await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let credential = passkey.get(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
    let consent = provider.send_passkey(&browser, &page, &credential).await;
    let consent = provider.settle(&browser, consent).await;
    assert!(consent.url.path().ends_with("/consent"), "{consent}");
    let sign_ins = events(&provider, "sign_in").await.lines().count();
    let again = provider.send_passkey(&browser, &page, &credential).await;
    let again = provider.settle(&browser, again).await;
    assert!(again.url.path().ends_with("/consent"), "{again}");
    assert_eq!(events(&provider, "sign_in").await.lines().count(), sign_ins, "no further sign-in came of it");
}

/// Sent twice, as by a second press or after a page that did not load: that is no copy.
#[tokio::test]
async fn an_answer_of_a_key_that_counts_which_is_sent_twice_is_no_alarm() {
    let (provider, _) = ready().await;
    let client = provider.add(NewClient::new("asks").with("consent", "ask")).await;
    let mut passkey = SoftAuthenticator::hardware();
    add(&provider, "alice", &mut passkey).await;
    for _ in 0..3 {
        let browser = UserAgent::new();
        let page = Authorization::of(&client).open(&provider, &browser).await;
        let credential = passkey.get(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
        let sent =
            futures_util::future::join_all((0..4).map(|_| provider.send_passkey(&browser, &page, &credential))).await;
        assert!(sent.iter().all(|page| page.status != 422), "{sent:?}");
        let again = provider.send_passkey(&browser, &page, &credential).await;
        let again = provider.settle(&browser, again).await;
        assert!(again.url.path().ends_with("/consent"), "{again}");
    }
    assert!(!events(&provider, "passkey_cloned").await.contains("passkey_cloned"));
    assert_eq!(events(&provider, "sign_in").await.matches("hwk user mfa").count(), 3);
}

/// A token says what it is for: that of one page is none for another of the same browser and interaction.
#[tokio::test]
async fn a_token_is_for_its_purpose_alone() {
    let (provider, client) = ready().await;
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "alice", &mut passkey).await;
    let browser = UserAgent::new();
    let login = login_page(&provider, &client, &browser).await;
    let factor = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    let credential = passkey.get(&origin_of(&provider.issuer), &options_of(&login)).unwrap();
    let mut form = factor.form("form#passkey");
    let token = login.form("form#passkey").value("ceremony").unwrap().to_owned();
    form.set("ceremony", &token).set("credential", &credential.to_string());
    let answered = browser.submit(form, Some(("action", "passkey"))).await;
    let answered = provider.settle(&browser, answered).await;
    assert!(answered.url.path().ends_with("/second-factor") && !has_session(&browser), "{answered}");
    // And the other way round, at the login page.
    let credential = passkey.get(&origin_of(&provider.issuer), &options_of(&factor)).unwrap();
    let mut form = login.form("form#passkey");
    let token = factor.form("form#passkey").value("ceremony").unwrap().to_owned();
    form.set("ceremony", &token).set("credential", &credential.to_string());
    let answered = browser.submit(form, Some(("action", "passkey"))).await;
    let answered = provider.settle(&browser, answered).await;
    assert!(answered.query_parameter("code").is_none() && !has_session(&browser), "{answered}");
}

#[tokio::test]
async fn a_counter_that_does_not_grow_is_refused_told_and_mailed() {
    let server = MailServer::start();
    let provider = TestProvider::mailing(&server, &[("issuer", "//localhost")]).await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip")).await;
    provider.add_user(NewUser::alice().with("email_verified_at", "1")).await;
    let mut passkey = SoftAuthenticator::hardware();
    add(&provider, "alice", &mut passkey).await;
    let mut copy = passkey.clone();
    let (_, page) = by_passkey(&provider, &client, &mut passkey).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
    provider.send_mails().await;
    let before = server.mails().len();
    // The copy counts from where it was made: its number was seen.
    let (thief, page) = by_passkey(&provider, &client, &mut copy).await;
    assert_eq!(page.status, 422, "{page}");
    assert!(alert(&page).contains("may be a copy") && !has_session(&thief), "{page}");
    assert!(events(&provider, "passkey_cloned").await.contains("passkey_cloned"));
    provider.mails_are_queued().await;
    provider.send_mails().await;
    let mails = server.wait_for(before + 1).await;
    let mail =
        mails.iter().find(|mail| mail.subject() == "A passkey was refused").unwrap_or_else(|| panic!("{mails:?}"));
    assert!(mail.to().contains("alice@example.com") && mail.plain().contains(&provider.url(PATH)), "{}", mail.plain());
    // It counts as one event and one mail a day, however often it is tried.
    let page = login_page(&provider, &client, &thief).await;
    let mut older = SoftAuthenticator { counts: false, ..copy.clone() };
    let page = provider.use_passkey(&thief, &page, &mut older).await;
    assert!(alert(&page).contains("may be a copy"), "a counter that is told no more: {page}");
    assert_eq!(
        events(&provider, "passkey_cloned").await.matches("passkey_cloned").count(),
        2,
        "event and reason, once"
    );
    // It is not used up for its owner, whose counter grows.
    let (_, page) = by_passkey(&provider, &client, &mut passkey).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
    // After the password it is the same.
    let page = Authorization::of(&client).open(&provider, &thief).await;
    let page = provider.type_in(&thief, &page, "alice", PASSWORD).await;
    let page = provider.use_passkey(&thief, &page, &mut copy).await;
    assert!(alert(&page).contains("may be a copy") && !has_session(&thief), "{page}");
}

#[tokio::test]
async fn who_may_not_sign_in_may_not_by_a_passkey_either() {
    let (provider, client) = ready().await;
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "alice", &mut passkey).await;
    let till = provider.now() + 1000;
    for (sql, undo, told) in [
        ("disabled_at = 1".to_owned(), "disabled_at = NULL", "is disabled"),
        (format!("locked_until = {till}"), "locked_until = NULL", "is locked"),
    ] {
        provider.sql(&format!("UPDATE users SET {sql} WHERE sub = 'alice-sub'")).await;
        let (browser, page) = by_passkey(&provider, &client, &mut passkey).await;
        assert_eq!(page.status, 403, "{page}");
        assert!(alert(&page).contains(told) && !has_session(&browser), "{page}");
        provider.sql(&format!("UPDATE users SET {undo} WHERE sub = 'alice-sub'")).await;
    }
    // A sub that is a client's name signs in nowhere.
    provider.add(NewClient::new("alice-sub")).await;
    let (browser, page) = by_passkey(&provider, &client, &mut passkey).await;
    assert!(page.status == 422 && !has_session(&browser), "{page}");
    provider.sql("DELETE FROM clients WHERE client_id = 'alice-sub'").await;
    // One whose passkey was removed: at once, on whatever node.
    let node = provider.second_node().await;
    let id = provider.rows("SELECT passkey_id FROM user_passkeys").await[0][0].clone().unwrap();
    let removed = done(provider.command(&["user", "factor", "remove", "alice", "--yes", &id], ""));
    assert!(removed.stderr.contains("removed 1 passkey and the recovery codes of alice"), "{}", removed.stderr);
    let (_, page) = by_passkey(&node, &client, &mut passkey).await;
    assert!(alert(&page).contains("not known here any more"), "{page}");
    // The browser is told which one it may forget.
    assert!(page.body.contains("data-unknown=\""), "{page}");
    assert!(events(&provider, "sign_in_failed").await.contains("passkey_unknown"));
}

#[tokio::test]
async fn failures_of_a_network_are_counted_and_successes_are_not() {
    let (provider, client) = ready_with(&[("trusted_proxies", "127.0.0.1")]).await;
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "alice", &mut passkey).await;
    let from = |network: &str| UserAgent::new().with_header("x-forwarded-for", network);
    let browser = from("192.0.2.1");
    let page = login_page(&provider, &client, &browser).await;
    let mut thief = SoftAuthenticator { tamper: Some(Tamper::Signature), ..passkey.clone() };
    let credential = thief.get(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
    // What is right counts nothing: one is left.
    for _ in 0..PASSKEYS_PER_NETWORK - 1 {
        assert_eq!(provider.send_passkey(&browser, &page, &credential).await.status, 422);
    }
    for _ in 0..3 {
        let here = from("192.0.2.1");
        let page = login_page(&provider, &client, &here).await;
        assert!(provider.use_passkey(&here, &page, &mut passkey).await.query_parameter("code").is_some());
    }
    assert_eq!(provider.send_passkey(&browser, &page, &credential).await.status, 422);
    let stopped = provider.send_passkey(&browser, &page, &credential).await;
    assert_eq!(stopped.status, 429, "{stopped}");
    assert!(stopped.header("retry-after").is_some());
    // Passwords are counted apart, and other networks too.
    let here = from("192.0.2.1");
    let page = login_page(&provider, &client, &here).await;
    let page = provider.type_in(&here, &page, "alice", PASSWORD).await;
    assert!(page.url.path().ends_with("/second-factor"), "{page}");
    let elsewhere = from("192.0.2.2");
    let page = login_page(&provider, &client, &elsewhere).await;
    assert!(provider.use_passkey(&elsewhere, &page, &mut passkey).await.query_parameter("code").is_some());
}

// ---- After the password, and in a running session.

#[tokio::test]
async fn it_is_asked_for_after_the_password_and_tokens_say_so() {
    let (provider, client) = ready().await;
    let mut passkey = SoftAuthenticator::synced();
    let page = add(&provider, "alice", &mut passkey).await;
    let recovery = codes(&page)[0].clone();
    let (browser, page) = after_password(&provider, &client, PASSWORD).await;
    assert!(page.url.path().ends_with("/second-factor") && !has_session(&browser), "{page}");
    assert!(!page.body.contains("one-time-code"), "no code of an app is asked for: {page}");
    let ids = options_of(&page)["publicKey"]["allowCredentials"].clone();
    assert_eq!(ids.as_array().unwrap().len(), 1, "{ids}");
    let page = provider.use_passkey(&browser, &page, &mut passkey).await;
    let claims = claims(&provider, &client, &page).await;
    assert_eq!((&claims["amr"], &claims["acr"]), (&json!(["pwd", "swk", "user", "mfa"]), &json!("2")));
    assert!(events(&provider, "sign_in").await.contains("pwd swk user mfa"));
    // A recovery code does as well, and the way to it and back is a link.
    let (browser, page) = after_password(&provider, &client, PASSWORD).await;
    let recovering = browser.get(&format!("{}&recovery=1", page.url)).await;
    assert!(recovering.text().contains("Use your passkey instead"), "{recovering}");
    let page = provider.type_code(&browser, &recovering, &recovery).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
}

#[tokio::test]
async fn another_users_passkey_confirms_nothing() {
    let (provider, client) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let (mut hers, mut his) = (SoftAuthenticator::synced(), SoftAuthenticator::synced());
    add(&provider, "alice", &mut hers).await;
    add(&provider, "bob", &mut his).await;
    let (browser, page) = after_password(&provider, &client, PASSWORD).await;
    let credential = his.get_with(0, &origin_of(&provider.issuer), &options_of(&page));
    let page = provider.send_passkey(&browser, &page, &credential).await;
    assert_eq!(page.status, 422, "{page}");
    assert!(alert(&page).contains("none of this account") && !has_session(&browser), "{page}");
    // Her activity says that the password was right.
    provider.provider.audit.flush().await;
    let hers_here = UserAgent::new();
    let activity = open(&provider, &hers_here, "/account/events", "alice").await;
    let activity = provider.use_passkey(&hers_here, &activity, &mut hers).await;
    assert!(activity.text().contains("the password was right, and the passkey was not"), "{activity}");
    // What was made at the login page is none for this one, nor the other way round.
    let credential = hers.get(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
    let other = UserAgent::new();
    let login = login_page(&provider, &client, &other).await;
    let mut form = login.form("form#passkey");
    let token = page.form("form#passkey").value("ceremony").unwrap().to_owned();
    form.set("ceremony", &token).set("credential", &credential.to_string());
    let answered = other.submit(form, Some(("action", "passkey"))).await;
    let answered = provider.settle(&other, answered).await;
    assert!(answered.query_parameter("code").is_none() && !has_session(&other), "{answered}");
}

#[tokio::test]
async fn a_running_session_steps_up_by_it() {
    let (provider, client) = ready_with(&[("trusted_browser", "30")]).await;
    let mut passkey = SoftAuthenticator::hardware();
    add(&provider, "alice", &mut passkey).await;
    let browser = UserAgent::new();
    // The browser is trusted with the passkey, so that the password alone signs in there.
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    let mut form = page.form("form#passkey");
    let credential = passkey.get(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
    form.set("credential", &credential.to_string());
    form.fields.push(("trust".into(), "yes".into()));
    let page = browser.submit(form, Some(("action", "passkey"))).await;
    assert!(provider.settle(&browser, page).await.query_parameter("code").is_some());
    let page = browser.get(&provider.url("/logout")).await;
    let _ = browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert_eq!(claims(&provider, &client, &page).await["amr"], json!(["pwd"]));
    // More is asked for: the passkey is what is missing, and nothing else.
    let page = Authorization::of(&client).with("acr_values", "2").open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/second-factor"), "{page}");
    let page = provider.use_passkey(&browser, &page, &mut passkey).await;
    let claims = claims(&provider, &client, &page).await;
    assert_eq!((&claims["amr"], &claims["acr"]), (&json!(["pwd", "hwk", "user", "mfa"]), &json!("2")));
    assert!(events(&provider, "step_up").await.contains("hwk"));
    // A passkey alone is as much.
    let other = UserAgent::new();
    let page = Authorization::of(&client).with("acr_values", "2").open(&provider, &other).await;
    let page = provider.use_passkey(&other, &page, &mut passkey).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
}

#[tokio::test]
async fn a_demand_for_a_second_factor_is_met_by_it() {
    let (provider, client) = ready().await;
    let demanding = provider.add(NewClient::new("demands").with("consent", "skip").with("require_acr", "2")).await;
    done(provider.command(&["group", "new", "staff"], ""));
    done(provider.command(&["group", "add", "staff", "alice"], ""));
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "alice", &mut passkey).await;
    done(provider.command(&["group", "edit", "staff", "--second-factor", "by-link"], ""));
    provider.travel(20);
    for client in [&client, &demanding] {
        let browser = UserAgent::new();
        let page = Authorization::of(client).open(&provider, &browser).await;
        let page = provider.use_passkey(&browser, &page, &mut passkey).await;
        assert!(page.query_parameter("code").is_some(), "{page}");
    }
    // The last factor of who has to have one is not removed by themselves.
    let browser = UserAgent::new();
    let page = open(&provider, &browser, PATH, "alice").await;
    let page = provider.use_passkey(&browser, &page, &mut passkey).await;
    let kept = press(&provider, &browser, form_with(&page, "remove"), "remove").await;
    assert!(alert(&kept).contains("this is your last one"), "{kept}");
    assert_eq!(provider.rows("SELECT passkey_id FROM user_passkeys").await.len(), 1);
    // No link makes an authenticator beside it: the password and the link would be enough then.
    refused(&provider.command(&["user", "factor", "link", "alice"], ""), &["has a second factor"]);
}

// ---- Another password.

#[tokio::test]
async fn after_a_reset_it_signs_in_once_it_was_used_together_with_the_new_password() {
    for by in ["link", "operator"] {
        let (provider, client) = ready().await;
        let mut passkey = SoftAuthenticator::synced();
        add(&provider, "alice", &mut passkey).await;
        let new = "purple otter thunder shelf";
        if by == "link" {
            let link = done(provider.command(&["user", "reset-link", "alice"], "")).stdout.trim().to_owned();
            let browser = UserAgent::new();
            let mut form = browser.get(&link).await.form("form.stack");
            form.set("new", new).set("repeated", new);
            assert_eq!(browser.submit(form, None).await.status, 200);
        } else {
            done(provider.command(&["user", "set-password", "alice", "--password-stdin"], new));
        }
        provider.travel(20);
        // Alone it does not: a thief may have added it.
        let (thief, page) = by_passkey(&provider, &client, &mut passkey).await;
        assert!(alert(&page).contains("You have a new password since") && !has_session(&thief), "{by}: {page}");
        assert!(events(&provider, "sign_in_failed").await.contains("passkey_held_back"));
        // The new password alone does not either, and both do.
        let (browser, page) = after_password(&provider, &client, new).await;
        assert!(page.url.path().ends_with("/second-factor"), "{page}");
        let page = provider.use_passkey(&browser, &page, &mut passkey).await;
        assert!(page.query_parameter("code").is_some(), "{page}");
        // From then on it signs in alone.
        let (_, page) = by_passkey(&provider, &client, &mut passkey).await;
        assert!(page.query_parameter("code").is_some(), "{by}: {page}");
    }
}

#[tokio::test]
async fn who_changes_the_password_keeps_the_passkeys() {
    let (provider, client) = ready().await;
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "alice", &mut passkey).await;
    let browser = UserAgent::new();
    let page = open(&provider, &browser, "/account/password", "alice").await;
    let page = provider.use_passkey(&browser, &page, &mut passkey).await;
    let new = "purple otter thunder shelf";
    let mut form = page.form("form.stack");
    form.set("old", PASSWORD).set("new", new).set("repeated", new);
    let page = press(&provider, &browser, form, "change").await;
    assert!(page.text().contains("Your password is changed"), "{page}");
    let (_, page) = by_passkey(&provider, &client, &mut passkey).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
}

#[tokio::test]
async fn a_hold_is_lifted_by_the_passkey_beside_the_new_password_and_by_nothing_else() {
    let (provider, client) = ready().await;
    let (mut passkey, mut other) = (SoftAuthenticator::synced(), SoftAuthenticator::hardware());
    let page = add(&provider, "alice", &mut passkey).await;
    let recovery = codes(&page)[0].clone();
    let browser = UserAgent::new();
    let page = open(&provider, &browser, PATH, "alice").await;
    let page = provider.use_passkey(&browser, &page, &mut passkey).await;
    let _ = provider.add_passkey(&browser, &page, &mut other).await;
    let (set, new) = ("purple otter thunder shelf", "seven quiet otters dancing");
    done(provider.command(&["user", "set-password", "alice", "--password-stdin"], set));
    provider.travel(20);
    let alone = async |passkey: &mut SoftAuthenticator| {
        by_passkey(&provider, &client, passkey).await.1.query_parameter("code").is_some()
    };
    assert!(!alone(&mut passkey).await && !alone(&mut other).await);
    // A recovery code beside the new password lifts none, nor does a change of that password by who is in.
    let browser = UserAgent::new();
    let page = browser.get(&provider.url("/account/password")).await;
    let page = provider.settle(&browser, page).await;
    let page = provider.type_in(&browser, &page, "alice", set).await;
    let page = browser.get(&format!("{}&recovery=1", page.url)).await;
    let page = provider.type_code(&browser, &page, &recovery).await;
    let mut form = page.form("form.stack");
    form.set("old", set).set("new", new).set("repeated", new);
    let page = press(&provider, &browser, form, "change").await;
    assert!(page.text().contains("Your password is changed"), "{page}");
    assert!(!alone(&mut passkey).await && !alone(&mut other).await);
    // One of them beside the password lifts its own.
    let (browser, page) = after_password(&provider, &client, new).await;
    assert!(provider.use_passkey(&browser, &page, &mut other).await.query_parameter("code").is_some());
    assert!(alone(&mut other).await && !alone(&mut passkey).await);
}

// ---- The offer.

/// Signs in by the password, in a browser that makes passkeys.
async fn by_password(provider: &TestProvider, client: &TestClient, browser: &UserAgent, makes: &str) -> Page {
    let page = Authorization::of(client).with("prompt", "login").open(provider, browser).await;
    type_in(provider, browser, &page, makes).await
}

async fn type_in(provider: &TestProvider, browser: &UserAgent, page: &Page, makes: &str) -> Page {
    let mut form = page.form("form");
    form.set("username", "alice").set("password", PASSWORD).set("makes_passkeys", makes);
    let answered = browser.submit(form, Some(("action", "sign_in"))).await;
    provider.settle(browser, answered).await
}

#[tokio::test]
async fn it_is_offered_once_after_a_password_where_the_browser_makes_some() {
    let (provider, client) = ready().await;
    let browser = UserAgent::new();
    // Without a script, nothing says that it does.
    assert!(by_password(&provider, &client, &browser, "").await.query_parameter("code").is_some());
    let offer = by_password(&provider, &client, &browser, "yes").await;
    assert!(offer.url.path().ends_with("/passkey"), "{offer}");
    assert!(offer.text().contains("Sign in without a password?") && offer.text().contains("Alice Example"), "{offer}");
    assert!(offer.text().contains("your password alone does not sign you in any more"), "{offer}");
    let page = press(&provider, &browser, form_with(&offer, "later"), "later").await;
    assert!(page.query_parameter("code").is_some(), "{page}");
    // The answer stands, in this browser and in others.
    for browser in [browser, UserAgent::new()] {
        assert!(by_password(&provider, &client, &browser, "yes").await.query_parameter("code").is_some());
    }
}

#[tokio::test]
async fn an_offer_that_is_taken_gives_recovery_codes_and_the_sign_in_continues() {
    let (provider, client) = ready().await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let offer = type_in(&provider, &browser, &page, "yes").await;
    let mut passkey = SoftAuthenticator::synced();
    // One that does not hold can be tried again.
    let mut broken = SoftAuthenticator { tamper: Some(Tamper::RpIdHash), ..SoftAuthenticator::synced() };
    let offer = provider.add_passkey(&browser, &offer, &mut broken).await;
    assert_eq!(offer.status, 422, "{offer}");
    let page = provider.add_passkey(&browser, &offer, &mut passkey).await;
    assert_eq!(codes(&page).len(), 10, "{page}");
    let next = page.body.split("href=\"").find(|part| part.contains("/authorize?")).unwrap();
    let next = next.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
    let page = browser.get(&next).await;
    let page = provider.settle(&browser, page).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
    let (_, page) = by_passkey(&provider, &client, &mut passkey).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
    // Who has one is not offered another.
    let page = by_password(&provider, &client, &UserAgent::new(), "yes").await;
    assert!(page.url.path().ends_with("/second-factor"), "{page}");
}

#[tokio::test]
async fn the_offer_is_of_its_browser_and_wants_a_sign_in_that_is_fresh_and_whole() {
    let (provider, client) = ready().await;
    let authenticator = provider.enroll("alice-sub").await;
    let browser = UserAgent::new();
    let page = by_password(&provider, &client, &browser, "yes").await;
    // Not before the code, wherever one goes by hand.
    let direct = browser.get(&page.url.as_str().replace("/second-factor", "/passkey")).await;
    let direct = provider.settle(&browser, direct).await;
    assert!(direct.url.path().ends_with("/second-factor"), "{direct}");
    let offer = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert!(offer.url.path().ends_with("/passkey"), "{offer}");
    assert!(!offer.text().contains("your password alone does not sign you in any more"), "{offer}");
    let stranger = UserAgent::new().get(offer.url.as_str()).await;
    assert!(!stranger.body.contains("data-passkey"), "{stranger}");
    provider.travel(301);
    let stale = offer.clone();
    let late = provider.add_passkey(&browser, &offer, &mut SoftAuthenticator::synced()).await;
    assert!(alert(&late).contains("cannot be done here any more") && !late.body.contains("data-passkey"), "{late}");
    assert!(stale.body.contains("data-seconds=\""), "the script takes it away by then: {stale}");
    assert!(provider.rows("SELECT passkey_id FROM user_passkeys").await.is_empty());
    let page = press(&provider, &browser, form_with(&late, "later"), "later").await;
    assert!(page.query_parameter("code").is_some(), "{page}");
}

// ---- Where none can be.

#[tokio::test]
async fn none_is_offered_where_the_issuers_host_is_an_address() {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    assert!(!page.body.contains("passkey") && !page.body.contains("webauthn"), "{page}");
    let page = open(&provider, &UserAgent::new(), PATH, "alice").await;
    assert!(page.text().contains("cannot be used at this address") && !page.body.contains("data-passkey"), "{page}");
    let page = by_password_here(&provider, &client).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
    let told = provider.get("/.well-known/passkey-endpoints", &[]).await.ok().json();
    assert_eq!(told, json!({}));
}

async fn by_password_here(provider: &TestProvider, client: &TestClient) -> Page {
    let browser = UserAgent::new();
    let page = Authorization::of(client).open(provider, &browser).await;
    let fields = page.form("form");
    let named = |name| fields.value(name).unwrap_or_default().to_owned();
    let (interaction, csrf) = (named("interaction"), named("csrf"));
    let sent = [
        ("interaction", interaction.as_str()),
        ("csrf", &csrf),
        ("username", "alice"),
        ("password", PASSWORD),
        ("makes_passkeys", "yes"),
        ("action", "sign_in"),
    ];
    let answered = browser.post_form(&provider.url("/login"), &sent).await;
    provider.settle(&browser, answered).await
}

#[tokio::test]
async fn passkeys_of_another_host_stay_a_second_factor_and_are_told_to_user_and_operator() {
    let (provider, client) = ready().await;
    let mut passkey = SoftAuthenticator::synced();
    let page = add(&provider, "alice", &mut passkey).await;
    let recovery = codes(&page)[0].clone();
    provider.sql("UPDATE user_passkeys SET rp_id = 'old.example'").await;
    let (browser, page) = after_password(&provider, &client, PASSWORD).await;
    assert!(page.url.path().ends_with("/second-factor") && !has_session(&browser), "{page}");
    assert!(page.text().contains("was made for another address") && !page.body.contains("data-passkey"), "{page}");
    let page = browser.get(&format!("{}&recovery=1", page.url)).await;
    let page = provider.type_code(&browser, &page, &recovery).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
    let page = open(&provider, &browser, PATH, "alice").await;
    assert!(page.text().contains("was made for another address"), "{page}");
    let doctor = provider.command(&["doctor"], "");
    assert!(doctor.stdout.contains("a passkey is for another host than localhost"), "{}", doctor.stdout);
    // The hosts of links and passkeys are told to programs that keep passwords.
    let told = provider.get("/.well-known/passkey-endpoints", &[]).await.ok().json();
    assert_eq!(told, json!({ "enroll": provider.url(PATH), "manage": provider.url(PATH) }));
}

/// Recovery codes are what is left without the device: where none can be made, the first passkey is none.
#[tokio::test]
async fn without_a_factor_key_no_first_passkey_is_added_and_a_further_one_is() {
    let (provider, client) = ready().await;
    let keys = provider.folder.path().join("keys");
    let retire = |is_retired: bool| {
        const END: &str = ".retired-2025-06-01T000000Z.key";
        for file in files_in(&keys).iter().filter(|file| file.starts_with("factors.")) {
            let plain = file.replace(END, ".key");
            let to = if is_retired { plain.replace(".key", END) } else { plain };
            std::fs::rename(keys.join(file), keys.join(to)).unwrap();
        }
        assert!(provider.provider.factor_keys.refresh().unwrap());
    };
    let browser = UserAgent::new();
    let page = open(&provider, &browser, PATH, "alice").await;
    retire(true);
    let mut passkey = SoftAuthenticator::synced();
    let refused = provider.add_passkey(&browser, &page, &mut passkey).await;
    assert!(alert(&refused).contains("cannot be added at the moment"), "{refused}");
    assert!(refused.body.contains("data-unknown=\""), "the browser may forget what it made: {refused}");
    assert!(provider.rows("SELECT passkey_id FROM user_passkeys").await.is_empty());
    // Nor is one offered, and no one is held up by it.
    let page = by_password(&provider, &client, &UserAgent::new(), "yes").await;
    assert!(page.query_parameter("code").is_some(), "{page}");
    retire(false);
    add(&provider, "alice", &mut SoftAuthenticator::synced()).await;
}

/// Whose only factor is a passkey sees how many codes are left, and makes new ones.
#[tokio::test]
async fn who_has_passkeys_alone_makes_new_recovery_codes() {
    let (provider, _) = ready().await;
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "alice", &mut passkey).await;
    let browser = UserAgent::new();
    let page = open(&provider, &browser, "/account/second-factor", "alice").await;
    let page = provider.use_passkey(&browser, &page, &mut passkey).await;
    assert!(page.text().contains("10 recovery codes are left") || page.text().contains("10"), "{page}");
    let page = press(&provider, &browser, form_with(&page, "make_codes"), "make_codes").await;
    assert_eq!(codes(&page).len(), 10, "{page}");
}

/// A node that has not seen yet that the account has a second factor now adds no passkey to it by the password alone.
#[tokio::test]
async fn a_session_of_the_password_adds_none_once_another_node_has_added_a_factor() {
    let (provider, _) = ready().await;
    let node = provider.second_node().await;
    let thief = UserAgent::new();
    let page = open(&node, &thief, PATH, "alice").await;
    assert_eq!(page.texts("h1"), ["Passkeys"]);
    let _ = provider.enroll("alice-sub").await;
    let refused = node.add_passkey(&thief, &page, &mut SoftAuthenticator::synced()).await;
    assert!(!refused.status.is_success() && codes(&refused).is_empty(), "{refused}");
    assert!(provider.rows("SELECT passkey_id FROM user_passkeys").await.is_empty());
    // And no password is changed by it, which would keep what was added meanwhile.
    provider.add_user(NewUser::named("bob")).await;
    let page = open(&node, &UserAgent::new(), PATH, "bob").await;
    assert_eq!(page.texts("h1"), ["Passkeys"]);
    let owner = UserAgent::new();
    let page = open(&node, &owner, "/account/password", "bob").await;
    add(&provider, "bob", &mut SoftAuthenticator::synced()).await;
    let new = "purple otter thunder shelf";
    let mut form = page.form("form.stack");
    form.set("old", PASSWORD).set("new", new).set("repeated", new);
    let page = press(&node, &owner, form, "change").await;
    assert!(!page.text().contains("Your password is changed"), "{page}");
}

// ---- What an operator sees.

#[tokio::test]
async fn an_operator_sees_and_removes_them_and_data_files_have_them() {
    let (provider, client) = ready().await;
    let browser = UserAgent::new();
    let page = open(&provider, &browser, PATH, "alice").await;
    let mut form = page.form("form#passkey");
    let mut passkey = SoftAuthenticator::synced();
    let credential = passkey.create(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
    form.set("credential", &credential.to_string()).set("name", "  my\u{7} phone ");
    let page = browser.submit(form, Some(("action", "add"))).await;
    assert_eq!(codes(&page).len(), 10, "{page}");
    let listed = done(provider.command(&["user", "factor", "list", "alice"], "")).stdout;
    assert!(listed.contains("passkey") && listed.contains("my  phone"), "{listed}");
    let shown = done(provider.command(&["user", "show", "alice", "--json"], "")).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let kinds: Vec<&str> =
        shown["factors"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["recovery_codes", "passkey"]);
    let exported = done(provider.command(&["user", "export", "alice"], "")).stdout;
    let exported: Value = serde_json::from_str(&exported).unwrap();
    assert_eq!(exported["passkeys"][0]["host"], "localhost");
    assert_eq!(exported["passkeys"][0]["is_synced"], true);
    assert!(!exported["passkeys"].to_string().contains("EC_EC2"), "a public key is no use to anyone: {exported}");
    let browser = UserAgent::new();
    let signs_in = login_page(&provider, &client, &browser).await;
    let signs_in = provider.use_passkey(&browser, &signs_in, &mut passkey).await;
    assert!(signs_in.query_parameter("code").is_some(), "{signs_in}");
    let reset = done(provider.command(&["user", "factor", "remove", "alice", "--all", "--yes", "--json"], "")).stdout;
    let reset: Value = serde_json::from_str(&reset).unwrap();
    assert_eq!((&reset["passkeys_removed"], &reset["authenticators_removed"]), (&json!(1), &json!(0)));
    assert_eq!((&reset["recovery_codes_removed"], &reset["is_changed"]), (&json!(true), &json!(true)));
    provider.travel(20);
    let (_, page) = after_password(&provider, &client, PASSWORD).await;
    assert!(page.query_parameter("code").is_some(), "the password alone is enough: {page}");
    // With the user all of it is gone.
    add(&provider, "alice", &mut SoftAuthenticator::synced()).await;
    done(provider.command(&["user", "delete", "alice", "--yes"], ""));
    assert!(provider.rows("SELECT passkey_id FROM user_passkeys").await.is_empty());
}

#[tokio::test]
async fn recovery_codes_stay_while_there_is_any_factor() {
    let (provider, _) = ready().await;
    let mut passkey = SoftAuthenticator::synced();
    add(&provider, "alice", &mut passkey).await;
    let browser = UserAgent::new();
    let page = open(&provider, &browser, "/account/second-factor", "alice").await;
    let page = provider.use_passkey(&browser, &page, &mut passkey).await;
    // An authenticator beside it makes no other codes.
    let shown = press(&provider, &browser, form_with(&page, "begin"), "begin").await;
    let mut form = form_with(&shown, "complete");
    form.set("code", &totp::code(&secret_of(&shown), provider.now()));
    let page = press(&provider, &browser, form, "complete").await;
    assert!(page.text().contains("Your authenticator is added.") && codes(&page).is_empty(), "{page}");
    let kinds = async || {
        let rows = provider.rows("SELECT kind FROM user_factors ORDER BY kind").await;
        rows.into_iter().filter_map(|row| row[0].clone()).collect::<Vec<_>>()
    };
    assert_eq!(kinds().await, ["recovery_codes", "totp"]);
    done(provider.command(&["user", "factor", "remove", "alice", "--yes", &passkey_id(&provider).await], ""));
    assert_eq!(kinds().await, ["recovery_codes", "totp"]);
    let id = provider.rows("SELECT factor_id FROM user_factors WHERE kind = 'totp'").await[0][0].clone().unwrap();
    done(provider.command(&["user", "factor", "remove", "alice", "--yes", &id], ""));
    assert!(kinds().await.is_empty());
}

async fn passkey_id(provider: &TestProvider) -> String {
    provider.rows("SELECT passkey_id FROM user_passkeys").await[0][0].clone().unwrap()
}
