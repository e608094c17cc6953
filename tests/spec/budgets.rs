//! What a request may cost: counts of store commands, statements, signatures and hashes, never durations.

use crate::support::passkeys::{SoftAuthenticator, options_of};
use crate::support::verbs::origin_of;
use crate::support::{Authorization, NewClient, Stores, TestClient, TestProvider, UserAgent, stores};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    trips: u64,
    statements: u64,
    signatures: u64,
    hashes: u64,
}

/// What the provider has spent so far.
fn spent(provider: &TestProvider) -> Cost {
    let inner = &provider.provider;
    Cost {
        trips: inner.ephemeral.trips(),
        statements: inner.db.statements(),
        signatures: inner.keys.signatures(),
        hashes: inner.passwords.computed(),
    }
}

async fn cost_of<T>(provider: &TestProvider, work: impl Future<Output = T>) -> (Cost, T) {
    let before = spent(provider);
    let value = work.await;
    let after = spent(provider);
    let cost = Cost {
        trips: after.trips - before.trips,
        statements: after.statements - before.statements,
        signatures: after.signatures - before.signatures,
        hashes: after.hashes - before.hashes,
    };
    (cost, value)
}

/// In process each command is done before the next begins, so only Redis has trips to count.
#[track_caller]
fn assert_within(cost: Cost, budget: Cost) {
    assert!(stores() == Stores::Embedded || cost.trips <= budget.trips, "{cost:?} is more than {budget:?}");
    assert_eq!((cost.signatures, cost.hashes), (budget.signatures, budget.hashes), "{cost:?}");
    assert!(cost.statements <= budget.statements, "{cost:?} is more than {budget:?}");
}

const fn budget(signatures: u64, trips: u64, statements: u64, hashes: u64) -> Cost {
    Cost { trips, statements, signatures, hashes }
}

async fn ready(format: &str) -> (TestProvider, TestClient, UserAgent) {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("scope", "openid profile email offline_access");
    let client = client.with("grant_types", "authorization_code refresh_token client_credentials");
    let client = provider.add(client.with("access_token_format", format)).await;
    provider.alice().await;
    let browser = UserAgent::new();
    // Everything is known once: client, person, consent, secret.
    let _ = provider.tokens(&browser, &client).await;
    (provider, client, browser)
}

#[tokio::test]
async fn authorize_for_a_person_who_is_signed_in() {
    let (provider, client, browser) = ready("opaque").await;
    let (cost, page) = cost_of(&provider, Authorization::of(&client).open(&provider, &browser)).await;
    assert!(page.status.is_redirection());
    assert_within(cost, budget(0, 2, 0, 0));
}

#[tokio::test]
async fn token_with_a_code() {
    for (format, signatures) in [("opaque", 1), ("jwt", 2)] {
        let (provider, client, browser) = ready(format).await;
        let answer = provider.sign_in(&browser, &client).await;
        let (cost, tokens) = cost_of(&provider, provider.redeem(&client, answer.code())).await;
        let _ = tokens.ok();
        assert_within(cost, budget(signatures, 2, 0, 0));
    }
}

#[tokio::test]
async fn token_with_a_code_and_with_a_refresh_token() {
    let (provider, client, browser) = ready("opaque").await;
    let request = Authorization::of(&client).with("scope", "openid offline_access");
    let answer = request.complete(&provider, &browser).await;
    let (cost, tokens) = cost_of(&provider, provider.redeem(&client, answer.code())).await;
    let token = tokens.ok().text("refresh_token");
    assert_within(cost, budget(1, 2, 1, 0));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    let (cost, tokens) = cost_of(&provider, provider.post("/token", client.auth(), &fields)).await;
    let _ = tokens.ok();
    assert_within(cost, budget(1, 1, 1, 0));
}

#[tokio::test]
async fn client_credentials() {
    for (format, signatures) in [("opaque", 0), ("jwt", 1)] {
        let (provider, client, _) = ready(format).await;
        let fields = [("grant_type", "client_credentials")];
        let (cost, tokens) = cost_of(&provider, provider.post("/token", client.auth(), &fields)).await;
        let _ = tokens.ok();
        assert_within(cost, budget(signatures, 1, 0, 0));
    }
}

#[tokio::test]
async fn userinfo_and_introspection() {
    for format in ["opaque", "jwt"] {
        let (provider, client, browser) = ready(format).await;
        let token = provider.tokens(&browser, &client).await.text("access_token");
        let (cost, answer) = cost_of(&provider, provider.userinfo(&token)).await;
        let _ = answer.ok();
        assert_within(cost, budget(0, 1, 0, 0));
        let (cost, answer) =
            cost_of(&provider, provider.post("/introspect", client.auth(), &[("token", &token)])).await;
        assert_eq!(answer.ok().json()["active"], true);
        assert_within(cost, budget(0, 1, 0, 0));
    }
}

/// A client that lets in by group and is told of groups, roles and claims costs what any other does; and what grew old is read
/// anew side by side: the user, and what is known of them.
#[tokio::test]
async fn groups_and_claims_cost_no_request_anything() {
    let (provider, client, browser) = ready("jwt").await;
    provider
        .sql(
            "INSERT INTO groups (name) VALUES ('staff'); INSERT INTO client_groups VALUES ('reports', 'staff');
             INSERT INTO group_members (group_name, sub) VALUES ('staff', 'alice-sub');
             INSERT INTO user_claims VALUES ('alice-sub', 'level', '7');
             INSERT INTO client_roles VALUES ('reports', 'clerk', 'staff', 0);
             INSERT INTO client_claims (client_id, claim, source) VALUES ('reports', 'role', 'roles');
             INSERT INTO client_claims (client_id, claim, source) VALUES ('reports', 'level', 'claim');
             UPDATE clients SET access = 'groups', consent = 'skip' WHERE client_id = 'reports'",
        )
        .await;
    provider.travel(10);
    let tokens = provider.tokens(&browser, &client).await;
    assert_eq!(crate::support::verbs::claims_of(&tokens.text("id_token"))["role"], serde_json::json!(["clerk"]));
    let (cost, page) = cost_of(&provider, Authorization::of(&client).open(&provider, &browser)).await;
    assert!(page.status.is_redirection());
    assert_within(cost, budget(0, 2, 0, 0));
    let answer = provider.sign_in(&browser, &client).await;
    let (cost, tokens) = cost_of(&provider, provider.redeem(&client, answer.code())).await;
    let token = tokens.ok().text("access_token");
    assert_within(cost, budget(2, 2, 0, 0));
    let (cost, answer) = cost_of(&provider, provider.userinfo(&token)).await;
    assert_eq!(answer.ok().json()["level"], serde_json::json!([7]));
    assert_within(cost, budget(0, 1, 0, 0));
    let (cost, _) = cost_of(&provider, provider.post("/introspect", client.auth(), &[("token", &token)])).await;
    assert_within(cost, budget(0, 1, 0, 0));
    // Nothing is fresh any more: the client by its two statements, the user, and the groups beside them.
    provider.travel(10);
    let (cost, answer) = cost_of(&provider, provider.userinfo(&token)).await;
    let _ = answer.ok();
    assert_within(cost, budget(0, 1, 4, 0));
}

/// The form itself, from the press of the button to the redirect that follows it.
#[tokio::test]
async fn login() {
    let (provider, client, _) = ready("opaque").await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let mut form = page.form("form");
    form.set("username", "alice").set("password", crate::support::provider::PASSWORD);
    let (cost, page) = cost_of(&provider, browser.submit(form, Some(("action", "sign_in")))).await;
    assert!(page.status.is_redirection(), "{page}");
    // The person, and the row of the sign-in.
    assert_within(cost, budget(0, 3, 2, 1));
    // Once more in the same browser, where the session continues.
    let _ = provider.settle(&browser, page).await;
    let page = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
    let mut form = page.form("form");
    form.set("username", "alice").set("password", crate::support::provider::PASSWORD);
    let (cost, page) = cost_of(&provider, browser.submit(form, Some(("action", "sign_in")))).await;
    assert!(page.status.is_redirection(), "{page}");
    assert_within(cost, budget(0, 3, 2, 1));
}

/// Where nothing that is known of the user is fresh any more: the user, and what the page is about.
#[tokio::test]
async fn a_page_of_the_account_costs_three_statements_at_most() {
    let (provider, _, browser) = ready("opaque").await;
    for path in ["", "/password", "/sessions", "/services", "/events", "/data"] {
        provider.travel(10);
        let (cost, page) = cost_of(&provider, browser.get(&provider.url(&format!("/account{path}")))).await;
        assert_eq!(page.status.as_u16(), 200, "{page}");
        assert_within(cost, budget(0, 1, 3, 0));
    }
}

/// The form that changes the password: the user, and the transaction.
#[tokio::test]
async fn a_change_of_the_password() {
    let (provider, _, browser) = ready("opaque").await;
    let page = browser.get(&provider.url("/account/password")).await;
    let mut form = page.form("form");
    let new = "seven quiet otters dancing";
    form.set("old", crate::support::provider::PASSWORD).set("new", new).set("repeated", new);
    let (cost, page) = cost_of(&provider, browser.submit(form, Some(("action", "change")))).await;
    assert!(page.status.is_redirection(), "{page}");
    assert_within(cost, budget(0, 6, 3, 2));
}

/// The password of a user with a second factor, and then the code. The code costs a read and a write of its own beside the row of the
/// sign-in: whether it is good is decided before anything is started, and the row is written last, so that no sign-in is listed
/// that came to nothing.
#[tokio::test]
async fn second_factor() {
    let (provider, client, _) = ready("opaque").await;
    let authenticator = provider.enroll("alice-sub").await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let mut form = page.form("form");
    form.set("username", "alice").set("password", crate::support::provider::PASSWORD);
    let (cost, page) = cost_of(&provider, browser.submit(form, Some(("action", "sign_in")))).await;
    assert_within(cost, budget(0, 3, 1, 1));
    let page = provider.settle(&browser, page).await;
    let mut form = page.form("form");
    form.set("code", authenticator.code(provider.now()));
    let (cost, page) = cost_of(&provider, browser.submit(form, Some(("action", "continue")))).await;
    assert!(page.status.is_redirection(), "{page}");
    assert_within(cost, budget(0, 2, 3, 0));
    let (cost, page) = cost_of(&provider, provider.settle(&browser, page)).await;
    assert!(page.status.is_redirection(), "{page}");
    assert_eq!((cost.statements, cost.hashes), (0, 0));
    // Beside a session it is no more.
    provider.travel(30);
    let page = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", crate::support::provider::PASSWORD).await;
    let mut form = page.form("form");
    form.set("code", authenticator.code(provider.now()));
    let (cost, page) = cost_of(&provider, browser.submit(form, Some(("action", "continue")))).await;
    assert!(page.status.is_redirection(), "{page}");
    assert_within(cost, budget(0, 2, 3, 0));
}

/// A passkey alone: its row and its user are read, its use and the row of the sign-in are written. After the password it costs the same
/// as a code, and no hash.
#[tokio::test]
async fn passkey() {
    let provider = TestProvider::with(&[("issuer", "//localhost")]).await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let page = crate::account::open(&provider, &browser, "/account/passkeys", "alice").await;
    let mut authenticator = SoftAuthenticator::hardware();
    let _ = provider.add_passkey(&browser, &page, &mut authenticator).await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let answer = authenticator.get(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
    let (cost, page) = cost_of(&provider, provider.send_passkey(&browser, &page, &answer)).await;
    assert!(page.status.is_redirection(), "{page}");
    assert_within(cost, budget(0, 2, 4, 0));
    let (cost, page) = cost_of(&provider, provider.settle(&browser, page)).await;
    assert!(page.status.is_redirection(), "{page}");
    assert_eq!((cost.statements, cost.hashes), (0, 0));
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", crate::support::provider::PASSWORD).await;
    let answer = authenticator.get(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
    let (cost, page) = cost_of(&provider, provider.send_passkey(&browser, &page, &answer)).await;
    assert!(page.status.is_redirection(), "{page}");
    assert_within(cost, budget(0, 2, 3, 0));
    let _ = provider.settle(&browser, page).await;
    // Beside a session it is the same, alone and after the password.
    for password in [None, Some(crate::support::provider::PASSWORD)] {
        let page = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
        let page = match password {
            Some(password) => provider.type_in(&browser, &page, "alice", password).await,
            None => page,
        };
        let answer = authenticator.get(&origin_of(&provider.issuer), &options_of(&page)).unwrap();
        let (cost, page) = cost_of(&provider, provider.send_passkey(&browser, &page, &answer)).await;
        assert!(page.status.is_redirection(), "{page}");
        assert_within(cost, budget(0, 2, if password.is_some() { 3 } else { 4 }, 0));
        let _ = provider.settle(&browser, page).await;
    }
}

#[tokio::test]
async fn discovery_and_jwks_cost_nothing() {
    let (provider, ..) = ready("opaque").await;
    for path in ["/.well-known/openid-configuration", "/jwks"] {
        let (cost, answer) = cost_of(&provider, provider.get(path, &[])).await;
        let _ = answer.ok();
        assert_eq!(cost, budget(0, 0, 0, 0));
    }
}
