//! When a store is away, full or slow: every client is told within two seconds what may pass, nothing acknowledged is lost,
//! and what ends something works when what starts something does not. `docs/failures.md` is the table of it.

use crate::support::provider::PASSWORD;
use crate::support::verbs::{Api, Auth};
use crate::support::{
    Answer, Authorization, NewClient, Page, Stores, TestClient, TestProvider, UserAgent, redis, stores,
};
use hallpass::web::fault::FaultKind;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use std::time::Duration;
use tokio::time::Instant;

/// The longest that a client waits for an answer; twice what is promised, as machines are slow at times.
const PATIENCE: Duration = Duration::from_secs(4);

async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let value = work.await;
    assert!(started.elapsed() < PATIENCE, "{what} took {:?}", started.elapsed());
    value
}

fn is_unavailable(what: &str, answer: &Api) {
    assert_eq!(answer.error(), (503, "temporarily_unavailable".into()), "{what}: {}", answer.body);
    assert!(
        answer.header("retry-after").is_some_and(|text| text.parse::<u32>().is_ok()),
        "{what}: {:?}",
        answer.headers
    );
}

fn is_unavailable_page(what: &str, page: &Page) {
    assert_eq!(page.status, 503, "{what}: {page}");
    assert!(page.header("retry-after").is_some(), "{what}: {:?}", page.headers);
    assert!(page.text().contains("not your fault"), "{what}: {page}");
}

/// The client is told at its own address, with `state` and `iss`: RFC 6749 section 4.1.2.1, RFC 9207.
fn is_unavailable_at(provider: &TestProvider, client: &TestClient, page: &Page) {
    let answer = Answer::of(page, &client.redirect_uri);
    assert_eq!(answer.error(), "temporarily_unavailable", "{page}");
    assert_eq!((answer.get("state"), answer.get("iss")), (Some("the state"), Some(provider.issuer.as_str())));
}

async fn ready(server: &redis::Server) -> (TestProvider, TestClient) {
    let provider = TestProvider::with_redis(&server.url()).await;
    let client = NewClient::new("reports").with("consent", "skip").with("scope", "openid profile email offline_access");
    let client = provider.add(client.with("grant_types", "authorization_code refresh_token")).await;
    provider.alice().await;
    (provider, client)
}

async fn refresh_token(provider: &TestProvider, client: &TestClient, browser: &UserAgent) -> String {
    let request = Authorization::of(client).with("scope", "openid offline_access");
    let code = request.complete(provider, browser).await.code().to_owned();
    provider.redeem(client, &code).await.ok().text("refresh_token")
}

async fn refresh(provider: &TestProvider, client: &TestClient, token: &str) -> Api {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    provider.post("/token", client.auth(), &fields).await
}

/// What every endpoint says while Redis does not answer, whether it is gone or silent.
async fn everything_is_unavailable(
    provider: &TestProvider,
    client: &TestClient,
    browser: &UserAgent,
    tokens: &Api,
    page: &Page,
) {
    let access_token = tokens.text("access_token");
    let request = Authorization::of(client);
    is_unavailable_at(provider, client, &timed("/authorize", request.open(provider, browser)).await);
    let stranger = UserAgent::new();
    is_unavailable_at(provider, client, &timed("/authorize", request.open(provider, &stranger)).await);
    let (url, fields) = (provider.url("/authorize"), request.fields());
    let posted = timed("POST /authorize", stranger.cross_site_post(&url, &fields)).await;
    is_unavailable_at(provider, client, &posted);
    // Before the address is proven there is a page, and it is about what is wrong with the request.
    let unproven = request.clone().with("redirect_uri", "https://elsewhere.example/");
    assert_eq!(timed("/authorize", unproven.open(provider, &stranger)).await.status, 400);
    let unknown = request.with("client_id", "nobody");
    assert_eq!(timed("/authorize", unknown.open(provider, &stranger)).await.status, 400);

    is_unavailable("/token", &timed("/token", provider.redeem(client, "hp_ac_x")).await);
    is_unavailable("/userinfo", &timed("/userinfo", provider.userinfo(&access_token)).await);
    for endpoint in ["/introspect", "/revoke"] {
        let fields = [("token", access_token.as_str())];
        is_unavailable(endpoint, &timed(endpoint, provider.post(endpoint, client.auth(), &fields)).await);
    }
    let (wrong, fields) = (Auth::Basic("reports", "wrong"), [("grant_type", "authorization_code")]);
    is_unavailable("/token", &timed("/token", provider.post("/token", wrong, &fields)).await);

    let login = timed("/login", browser.get(page.url.as_str())).await;
    is_unavailable_page("/login", &login);
    let mut form = page.form("form");
    form.set("username", "alice").set("password", PASSWORD);
    is_unavailable_page("POST /login", &timed("POST /login", browser.submit(form, Some(("action", "sign_in")))).await);
    let logout = timed("/logout", browser.get(&provider.url("/logout"))).await;
    is_unavailable_page("/logout", &logout);
    assert!(!logout.text().contains("signed out"), "{logout}");
    // What needs no store is as it was.
    for path in ["/jwks", "/.well-known/openid-configuration"] {
        let _ = provider.get(path, &[]).await.ok();
    }
}

#[tokio::test]
async fn a_redis_that_is_away_or_silent_is_told_within_two_seconds_and_found_again() {
    let server = redis::Server::start();
    let (provider, client) = ready(&server).await;
    let (browser, stranger) = (UserAgent::new(), UserAgent::new());
    let tokens = provider.tokens(&browser, &client).await;
    let page = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
    assert_eq!(page.status, 200);

    assert!(server.ask("CLIENT PAUSE 60000 ALL").starts_with("+OK"));
    everything_is_unavailable(&provider, &client, &browser, &tokens, &page).await;
    server.stop();
    everything_is_unavailable(&provider, &client, &browser, &tokens, &page).await;
    server.start_again();
    let is_back = async || Authorization::of(&client).open(&provider, &stranger).await.status == 200;
    crate::support::remote::until("it is back", is_back).await;
    assert!(!provider.sign_in(&stranger, &client).await.code().is_empty());
}

/// A failure of ours costs no client its refresh tokens, however long it lasts.
#[tokio::test]
async fn a_refresh_that_failed_for_want_of_redis_works_again_afterwards() {
    let server = redis::Server::start();
    let (provider, client) = ready(&server).await;
    let token = refresh_token(&provider, &client, &UserAgent::new()).await;
    server.stop();
    for _ in 0..3 {
        is_unavailable("/token", &timed("/token", refresh(&provider, &client, &token)).await);
        provider.travel(60);
    }
    server.start_again();
    let works = async || refresh(&provider, &client, &token).await.status == 200;
    crate::support::remote::until("the refresh token works again", works).await;
    // The same token again, within the window: the same successor, as an answer may be lost on its way.
    let next = refresh(&provider, &client, &token).await.ok().text("refresh_token");
    let _ = refresh(&provider, &client, &next).await.ok();
}

/// A fault of ours after a code was spent is no replay of the client's: it comes again, as it was told, and finds its code.
#[tokio::test]
async fn a_code_that_met_a_fault_of_ours_can_be_redeemed_afterwards() {
    if stores() == Stores::Embedded {
        return; // It takes a database that can be locked by a table.
    }
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("scope", "openid offline_access");
    let client = provider.add(client.with("grant_types", "authorization_code refresh_token")).await;
    provider.alice().await;
    let request = Authorization::of(&client).with("scope", "openid offline_access");
    let code = request.complete(&provider, &UserAgent::new()).await.code().to_owned();
    let mut holder = AnyConnection::connect(&provider.database_url).await.unwrap();
    holder.execute("BEGIN").await.unwrap();
    holder.execute("LOCK TABLE refresh_families IN ACCESS EXCLUSIVE MODE").await.unwrap();
    is_unavailable("/token", &timed("/token", provider.redeem(&client, &code)).await);
    holder.execute("ROLLBACK").await.unwrap();
    let tokens = provider.redeem(&client, &code).await.ok();
    let _ = provider.userinfo(&tokens.text("access_token")).await.ok();
    let _ = refresh(&provider, &client, &tokens.text("refresh_token")).await.ok();
    // Once it was answered, it is spent for good.
    assert_eq!(provider.redeem(&client, &code).await.error(), (400, "invalid_grant".into()));
}

/// What a token endpoint stores before it decides is forgotten where it decides against it.
#[tokio::test]
async fn what_was_stored_for_a_refused_refresh_is_forgotten() {
    let server = redis::Server::start();
    let (provider, client) = ready(&server).await;
    let first = refresh_token(&provider, &client, &UserAgent::new()).await;
    let second = refresh(&provider, &client, &first).await.ok().text("refresh_token");
    provider.travel(60);
    let records = || server.ask("KEYS *:at:*").matches(":at:").count();
    let before = records();
    assert_eq!(refresh(&provider, &client, &first).await.error(), (400, "invalid_grant".into()));
    assert_eq!(refresh(&provider, &client, &second).await.error(), (400, "invalid_grant".into()));
    assert_eq!(records(), before);
}

/// `noeviction` means that a full Redis refuses what starts something. Signing out and giving back work all the same.
#[tokio::test]
async fn with_a_full_redis_one_can_sign_out_and_give_tokens_back() {
    let server = redis::Server::start();
    let (provider, client) = ready(&server).await;
    let (one, other, third) = (UserAgent::new(), UserAgent::new(), UserAgent::new());
    let tokens = provider.tokens(&one, &client).await;
    let others = provider.tokens(&other, &client).await;
    let refresh_token = refresh_token(&provider, &client, &other).await;
    let elsewhere = provider.sign_in(&other, &client).await.code().to_owned();
    assert!(server.ask("CONFIG SET maxmemory 1").starts_with("+OK"));

    is_unavailable("/token", &timed("/token", provider.redeem(&client, &elsewhere)).await);
    is_unavailable_at(&provider, &client, &Authorization::of(&client).open(&provider, &UserAgent::new()).await);
    for token in [others.text("access_token"), refresh_token.clone()] {
        let _ = provider.post("/revoke", client.auth(), &[("token", &token)]).await.ok();
    }
    let page = one.get(&format!("{}?id_token_hint={}", provider.url("/logout"), tokens.text("id_token"))).await;
    assert!(page.status == 200 && page.text().contains("You are signed out"), "{page}");
    // Without a proof the person is asked first, and that needs no room either.
    let page = other.get(&provider.url("/logout")).await;
    let page = other.submit(page.form("form"), Some(("action", "sign_out"))).await;
    assert!(page.status == 200 && page.text().contains("You are signed out"), "{page}");
    // A service's POST has to wait for the cookies; where it cannot be kept, it waits in the address.
    let third = third.cross_site_post(&provider.url("/logout"), &[("client_id", "reports"), ("state", "x")]).await;
    assert_eq!(third.location().unwrap().query(), Some("client_id=reports&state=x"), "{third}");

    server.ask("CONFIG SET maxmemory 0");
    for token in [tokens.text("access_token"), others.text("access_token")] {
        assert_eq!(provider.userinfo(&token).await.status, 401);
    }
    assert_eq!(refresh(&provider, &client, &refresh_token).await.error(), (400, "invalid_grant".into()));
    for browser in [&one, &other] {
        let page = Authorization::of(&client).with("prompt", "none").open(&provider, browser).await;
        assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "login_required");
    }
}

/// A sign-out in one tab while another signs in again leaves no session whose codes are refused everywhere.
#[tokio::test]
async fn a_sign_out_during_a_sign_in_leaves_no_dead_session() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let tokens = provider.tokens(&browser, &client).await;
    let session_of = |browser: &UserAgent| {
        browser.cookies().into_iter().find(|cookie| cookie.name.contains("session")).map(|cookie| cookie.value).unwrap()
    };
    let old = session_of(&browser);
    // Signed in again in one tab; the sign-out of another tab comes with the cookie from before, and is overtaken.
    let page = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
    let form = page.form("form");
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert!(!Answer::of(&page, &client.redirect_uri).code().is_empty());
    assert_ne!(session_of(&browser), old);
    let id = hallpass::protocol::secret::SessionId::received(session_of(&browser));
    let session = hallpass::store::sessions::find(&provider.provider.ephemeral, &id).await.unwrap().unwrap();
    hallpass::store::sessions::end(&provider.provider.ephemeral, session.sign_in.session, 1000).await.unwrap();
    drop((form, tokens));
    // The name of the session is dead, so nothing is issued in it: the person signs in again, and then everything works.
    let silent = Authorization::of(&client).with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(Answer::of(&silent, &client.redirect_uri).error(), "login_required");
    let answer = Authorization::of(&client).complete(&provider, &browser).await;
    let _ = provider.redeem(&client, answer.code()).await.ok();
}

/// The same where the sign-out comes while the password is typed: the sign-in starts a session of its own.
#[tokio::test]
async fn a_sign_in_that_ends_after_a_sign_out_starts_anew() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let tokens = provider.tokens(&browser, &client).await;
    let page = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
    let id = hallpass::protocol::secret::SessionId::received(
        browser.cookies().into_iter().find(|cookie| cookie.name.contains("session")).unwrap().value,
    );
    let session = hallpass::store::sessions::find(&provider.provider.ephemeral, &id).await.unwrap().unwrap();
    hallpass::store::sessions::end(&provider.provider.ephemeral, session.sign_in.session, 1000).await.unwrap();
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    let code = Answer::of(&page, &client.redirect_uri).code().to_owned();
    let again = provider.redeem(&client, &code).await.ok();
    let sid = |tokens: &Api| crate::support::verbs::claims_of(&tokens.text("id_token"))["sid"].clone();
    assert_ne!(sid(&again), sid(&tokens));
}

/// A database that is locked or away: what needs it says so in time, and what is known is served.
#[tokio::test]
async fn a_database_that_does_not_answer_is_told_in_time() {
    if stores() == Stores::Embedded {
        return; // SQLite has no server that could be silent; a full disk is in `failures.rs`.
    }
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("scope", "openid profile email offline_access");
    let client = provider.add(client.with("grant_types", "authorization_code refresh_token")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let token = refresh_token(&provider, &client, &browser).await;
    let page = Authorization::of(&client).open(&provider, &UserAgent::new()).await;
    assert_eq!(page.status, 200);
    let stranger = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &stranger).await;
    let mut holder = AnyConnection::connect(&provider.database_url).await.unwrap();
    holder.execute("BEGIN").await.unwrap();
    holder.execute("LOCK TABLE refresh_families, users, clients IN ACCESS EXCLUSIVE MODE").await.unwrap();
    is_unavailable("/token", &timed("/token", refresh(&provider, &client, &token)).await);
    let mut form = page.form("form");
    form.set("username", "alice").set("password", PASSWORD);
    let answered = timed("POST /login", stranger.submit(form, Some(("action", "sign_in")))).await;
    is_unavailable_page("POST /login", &answered);
    // Client and person are known here: a signed-in user continues.
    let answer = timed("/authorize", Authorization::of(&client).complete(&provider, &browser)).await;
    let _ = timed("/token", provider.redeem(&client, answer.code())).await.ok();
    holder.execute("ROLLBACK").await.unwrap();
    crate::support::remote::until("it is back", async || refresh(&provider, &client, &token).await.status == 200).await;
}

/// What broke is counted by its kind and named in the log, and no client is told.
#[tokio::test]
async fn what_breaks_is_counted_by_its_kind() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let count = |kind| provider.provider.faults.of(kind);
    provider.sql("ALTER TABLE users RENAME TO away").await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert_eq!(page.status, 500, "{page}");
    assert!(!page.text().contains("users"), "{page}");
    assert_eq!((count(FaultKind::DatabaseFailed), count(FaultKind::RowFaulty)), (1, 0));
    provider.sql("ALTER TABLE away RENAME TO users").await;
    provider.sql("UPDATE clients SET pkce = 'perhaps'").await;
    provider.travel(10);
    assert_eq!(provider.redeem(&client, "x").await.error(), (500, "server_error".into()));
    assert_eq!((count(FaultKind::DatabaseFailed), count(FaultKind::RowFaulty)), (1, 1));
}
