//! RFC 6749 section 6, OIDC Core 11 and 12, RFC 9700 section 4.14: refresh tokens.

use crate::support::verbs::Auth;
use crate::support::{Answer, Api, Authorization, NewClient, TestClient, TestProvider, UserAgent, claims_of};
use std::collections::HashSet;

const SCOPE: &str = "openid profile email offline_access";

fn refreshing(id: &str) -> NewClient {
    NewClient::new(id)
        .with("consent", "skip")
        .with("grant_types", "authorization_code refresh_token")
        .with("scope", SCOPE)
}

async fn ready_with(settings: &[(&str, &str)]) -> (TestProvider, TestClient, UserAgent) {
    let provider = TestProvider::with(settings).await;
    let client = provider.add(refreshing("reports")).await;
    provider.alice().await;
    (provider, client, UserAgent::new())
}

async fn ready() -> (TestProvider, TestClient, UserAgent) {
    ready_with(&[]).await
}

async fn start(provider: &TestProvider, browser: &UserAgent, client: &TestClient) -> Api {
    let answer = Authorization::of(client).with("scope", SCOPE).complete(provider, browser).await;
    provider.redeem(client, answer.code()).await.ok()
}

async fn refresh_with(provider: &TestProvider, client: &TestClient, token: &str, more: &[(&str, &str)]) -> Api {
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    fields.extend(more);
    provider.post("/token", client.auth(), &fields).await
}

async fn refresh(provider: &TestProvider, client: &TestClient, token: &str) -> Api {
    refresh_with(provider, client, token, &[]).await
}

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".into())
}

/// OIDC Core 11: only for `offline_access`, and only where the row has the grant.
#[tokio::test]
async fn a_refresh_token_is_issued_for_offline_access_only() {
    let (provider, client, browser) = ready().await;
    let tokens = start(&provider, &browser, &client).await;
    assert!(tokens.text("refresh_token").starts_with("hp_rt_"));
    assert_eq!(tokens.text("scope"), SCOPE);
    let without = provider.tokens(&browser, &client).await.json();
    assert!(without.get("refresh_token").is_none());
    let plain = NewClient::new("plain").with("consent", "skip").with("scope", SCOPE);
    let plain = provider.add(plain).await;
    let tokens = start(&provider, &browser, &plain).await.json();
    assert!(tokens.get("refresh_token").is_none());
    assert_eq!(tokens["scope"], "openid profile email");
    let page = refresh(&provider, &plain, "hp_rt_x").await;
    assert_eq!(page.error(), (400, "unauthorized_client".into()));
}

/// OIDC Core 11: without the admin's skip, the person agrees to it.
#[tokio::test]
async fn offline_access_is_named_on_the_consent_page() {
    let (provider, _, browser) = ready().await;
    let asking = provider.add(refreshing("asking").with("consent", "ask")).await;
    let _ = provider.sign_in(&browser, &asking).await;
    let page = Authorization::of(&asking).with("scope", SCOPE).open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/consent"), "{page}");
    assert!(page.text().contains("Access while you are away"), "{page}");
}

/// RFC 6749 section 6; OIDC Core 12.2.
#[tokio::test]
async fn a_refresh_gives_new_tokens_about_the_same_sign_in() {
    let (provider, client, browser) = ready().await;
    let first = start(&provider, &browser, &client).await;
    provider.travel(100);
    let second = refresh(&provider, &client, &first.text("refresh_token")).await.ok();
    assert_eq!(second.text("scope"), SCOPE);
    assert_eq!(second.header("cache-control"), Some("no-store"));
    assert_ne!(second.text("refresh_token"), first.text("refresh_token"));
    assert_ne!(second.text("access_token"), first.text("access_token"));
    let (before, after) = (claims_of(&first.text("id_token")), claims_of(&second.text("id_token")));
    for same in ["iss", "sub", "aud", "auth_time", "sid", "amr"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert!(after["iat"].as_i64().unwrap() >= before["iat"].as_i64().unwrap() + 100);
    assert!(after.get("nonce").is_none());
    let _ = provider.userinfo(&second.text("access_token")).await.ok();
    // And on, generation by generation.
    let mut token = second.text("refresh_token");
    for _ in 0..3 {
        token = refresh(&provider, &client, &token).await.ok().text("refresh_token");
    }
}

/// RFC 6749 section 6: the scope can shrink and never grow, and the family keeps its own.
#[tokio::test]
async fn scope_can_shrink_and_never_grow() {
    let (provider, client, browser) = ready().await;
    let token = start(&provider, &browser, &client).await.text("refresh_token");
    for (scope, error) in [("openid phone", "invalid_scope"), ("openid \"x", "invalid_scope")] {
        let refused = refresh_with(&provider, &client, &token, &[("scope", scope)]).await;
        assert_eq!(refused.error(), (400, error.into()));
    }
    // The refusals did not cost the token.
    let narrow = refresh_with(&provider, &client, &token, &[("scope", "openid email")]).await.ok();
    assert_eq!(narrow.text("scope"), "openid email");
    let userinfo = provider.userinfo(&narrow.text("access_token")).await.ok().json();
    assert!(userinfo.get("name").is_none() && userinfo.get("email").is_some());
    let plain = refresh_with(&provider, &client, &narrow.text("refresh_token"), &[("scope", "email")]).await.ok();
    assert!(plain.json().get("id_token").is_none());
    let wide = refresh(&provider, &client, &plain.text("refresh_token")).await.ok();
    assert_eq!(wide.text("scope"), SCOPE);
}

/// RFC 6749 section 6: bound to its client; a stranger ends nothing by it.
#[tokio::test]
async fn a_stranger_with_a_refresh_token_finds_nothing_and_ends_nothing() {
    let (provider, client, browser) = ready().await;
    let stranger = provider.add(refreshing("stranger")).await;
    let token = start(&provider, &browser, &client).await.text("refresh_token");
    assert_eq!(refresh(&provider, &stranger, &token).await.error(), invalid_grant());
    // Nor can it be asked what was granted.
    let too_much = refresh_with(&provider, &stranger, &token, &[("scope", "openid phone")]).await;
    assert_eq!(too_much.error(), invalid_grant());
    let _ = refresh(&provider, &client, &token).await.ok();
}

/// An answer that was lost costs no client the session: the same successor, within the window.
#[tokio::test]
async fn within_the_window_a_repetition_gets_the_same_successor() {
    let (provider, client, browser) = ready().await;
    let first = start(&provider, &browser, &client).await.text("refresh_token");
    let successor = refresh(&provider, &client, &first).await.ok().text("refresh_token");
    // A second less than could be, as machines are slow at times.
    provider.travel(8);
    let again = refresh(&provider, &client, &first).await.ok();
    assert_eq!(again.text("refresh_token"), successor);
    let _ = provider.userinfo(&again.text("access_token")).await.ok();
    let _ = refresh(&provider, &client, &successor).await.ok();
}

/// RFC 9700 section 4.14.2: later it is a theft, and ends the family and its access tokens.
#[tokio::test]
async fn after_the_window_a_repetition_ends_the_family() {
    let (provider, client, browser) = ready().await;
    let first = start(&provider, &browser, &client).await.text("refresh_token");
    let second = refresh(&provider, &client, &first).await.ok();
    let other = start(&provider, &browser, &client).await;
    provider.travel(10);
    assert_eq!(refresh(&provider, &client, &first).await.error(), invalid_grant());
    assert_eq!(refresh(&provider, &client, &second.text("refresh_token")).await.error(), invalid_grant());
    assert_eq!(provider.userinfo(&second.text("access_token")).await.error(), (401, "invalid_token".into()));
    // Another family of the same person and client has nothing to do with it.
    let _ = provider.userinfo(&other.text("access_token")).await.ok();
    let _ = refresh(&provider, &client, &other.text("refresh_token")).await.ok();
}

/// Two generations back is too late, also within the window: its successor has been used.
#[tokio::test]
async fn once_the_successor_was_used_its_predecessor_ends_the_family() {
    let (provider, client, browser) = ready().await;
    let first = start(&provider, &browser, &client).await.text("refresh_token");
    let second = refresh(&provider, &client, &first).await.ok().text("refresh_token");
    let third = refresh(&provider, &client, &second).await.ok().text("refresh_token");
    assert_eq!(refresh(&provider, &client, &first).await.error(), invalid_grant());
    assert_eq!(refresh(&provider, &client, &third).await.error(), invalid_grant());
}

/// A family whose name is known and whose secret is guessed ends.
#[tokio::test]
async fn a_guessed_secret_ends_the_family() {
    let (provider, client, browser) = ready().await;
    let first = start(&provider, &browser, &client).await.text("refresh_token");
    let guessed = format!("{}{}", &first[..first.len() - 4], if first.ends_with("AAAA") { "BBBB" } else { "AAAA" });
    assert_eq!(refresh(&provider, &client, &guessed).await.error(), invalid_grant());
    assert_eq!(refresh(&provider, &client, &first).await.error(), invalid_grant());
}

/// A window of 0 turns it off.
#[tokio::test]
async fn a_window_of_zero_forgives_nothing() {
    let (provider, client, browser) = ready_with(&[("refresh_reuse_window", "0")]).await;
    let first = start(&provider, &browser, &client).await.text("refresh_token");
    let second = refresh(&provider, &client, &first).await.ok().text("refresh_token");
    assert_eq!(refresh(&provider, &client, &first).await.error(), invalid_grant());
    assert_eq!(refresh(&provider, &client, &second).await.error(), invalid_grant());
}

/// CVE-2026-1035 at a peer: parallel refreshes all won. Here 64 at once mint one successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_who_refresh_at_once_all_get_the_one_successor() {
    let (provider, client, browser) = ready_with(&[("refresh_reuse_window", "60")]).await;
    let first = start(&provider, &browser, &client).await.text("refresh_token");
    let answers = futures_util::future::join_all((0..64).map(|_| refresh(&provider, &client, &first))).await;
    let successors: HashSet<String> = answers.into_iter().map(|answer| answer.ok().text("refresh_token")).collect();
    assert_eq!(successors.len(), 1);
    let successor = successors.into_iter().next().unwrap();
    assert_ne!(successor, first);
    let _ = refresh(&provider, &client, &successor).await.ok();
}

/// The same without a window: one wins at most, and the family is dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_without_a_window_one_wins_and_keeps_nothing() {
    let (provider, client, browser) = ready_with(&[("refresh_reuse_window", "0")]).await;
    let first = start(&provider, &browser, &client).await.text("refresh_token");
    let answers = futures_util::future::join_all((0..64).map(|_| refresh(&provider, &client, &first))).await;
    let winners: Vec<Api> = answers.into_iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(refresh(&provider, &client, &winners[0].text("refresh_token")).await.error(), invalid_grant());
    assert_eq!(provider.userinfo(&winners[0].text("access_token")).await.error(), (401, "invalid_token".into()));
}

/// RFC 6749 section 4.1.2: a replayed code ends the family too, also when many race.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_replayed_code_ends_the_family() {
    let (provider, client, browser) = ready().await;
    let request = Authorization::of(&client).with("scope", SCOPE);
    let answer = request.complete(&provider, &browser).await;
    let token = provider.redeem(&client, answer.code()).await.ok().text("refresh_token");
    assert_eq!(provider.redeem(&client, answer.code()).await.error(), invalid_grant());
    assert_eq!(refresh(&provider, &client, &token).await.error(), invalid_grant());

    let answer = request.complete(&provider, &browser).await;
    let racers = futures_util::future::join_all((0..32).map(|_| provider.redeem(&client, answer.code()))).await;
    for winner in racers.iter().filter(|answer| answer.status == 200) {
        assert_eq!(refresh(&provider, &client, &winner.text("refresh_token")).await.error(), invalid_grant());
    }
}

/// The idle end, of the settings and of the client's row.
#[tokio::test]
async fn an_unused_family_ends() {
    let (provider, client, browser) = ready_with(&[("refresh_token_idle_lifetime", "1000")]).await;
    let own = provider.add(refreshing("own").with("refresh_token_idle_lifetime", "100")).await;
    let (of_settings, of_row) = (start(&provider, &browser, &client).await, start(&provider, &browser, &own).await);
    provider.travel(100);
    assert_eq!(refresh(&provider, &own, &of_row.text("refresh_token")).await.error(), invalid_grant());
    provider.travel(890);
    let used = refresh(&provider, &client, &of_settings.text("refresh_token")).await.ok();
    provider.travel(990);
    let used = refresh(&provider, &client, &used.text("refresh_token")).await.ok();
    provider.travel(1000);
    assert_eq!(refresh(&provider, &client, &used.text("refresh_token")).await.error(), invalid_grant());
}

/// The absolute end, however often it is used.
#[tokio::test]
async fn a_family_has_an_absolute_end() {
    let (provider, _, browser) = ready().await;
    let own = provider.add(refreshing("own").with("refresh_token_lifetime", "300")).await;
    let mut token = start(&provider, &browser, &own).await.text("refresh_token");
    for _ in 0..2 {
        provider.travel(140);
        token = refresh(&provider, &own, &token).await.ok().text("refresh_token");
    }
    provider.travel(20);
    assert_eq!(refresh(&provider, &own, &token).await.error(), invalid_grant());
}

/// A password, however it is changed, a disabled user or client, and what was declared invalid.
#[tokio::test]
async fn a_change_to_the_person_or_the_client_ends_it() {
    for sql in [
        "UPDATE users SET password_hash = '$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA'",
        "UPDATE users SET tokens_valid_after = 4000000000",
        "UPDATE users SET disabled_at = 1",
        "DELETE FROM users",
        "UPDATE clients SET tokens_valid_after = 4000000000",
    ] {
        let (provider, client, browser) = ready().await;
        let tokens = start(&provider, &browser, &client).await;
        provider.sql(sql).await;
        provider.travel(10);
        assert_eq!(refresh(&provider, &client, &tokens.text("refresh_token")).await.error(), invalid_grant(), "{sql}");
        assert_eq!(provider.userinfo(&tokens.text("access_token")).await.error().0, 401, "{sql}");
    }
    let (provider, client, browser) = ready().await;
    let tokens = start(&provider, &browser, &client).await;
    provider.sql("UPDATE clients SET disabled_at = 1").await;
    provider.travel(10);
    let refused = refresh(&provider, &client, &tokens.text("refresh_token")).await;
    assert_eq!(refused.error(), (401, "invalid_client".into()));
    // What ended does not come back with a change back.
    provider.sql("UPDATE clients SET disabled_at = NULL").await;
    provider.travel(10);
    let _ = refresh(&provider, &client, &tokens.text("refresh_token")).await.ok();
}

/// `clients.tokens_valid_after` ends what was authorized before it, and nothing that is authorized later, also where the
/// person signed in before it; the same at every endpoint.
#[tokio::test]
async fn what_is_authorized_after_the_instant_of_the_client_holds_whenever_the_person_signed_in() {
    let (provider, client, browser) = ready().await;
    let request = Authorization::of(&client).with("scope", "openid profile email offline_access");
    let before = start(&provider, &browser, &client).await;
    provider.travel(100);
    let late_code = request.complete(&provider, &browser).await;
    provider.travel(5);
    provider.sql(&format!("UPDATE clients SET tokens_valid_after = {}", provider.now())).await;
    provider.travel(10);
    let is_active = async |token: &str| {
        let answer = provider.post("/introspect", client.auth(), &[("token", token)]).await.ok();
        answer.json()["active"].as_bool().unwrap()
    };
    for token in ["refresh_token", "access_token"] {
        assert!(!is_active(&before.text(token)).await, "{token}");
    }
    assert_eq!(provider.userinfo(&before.text("access_token")).await.error().0, 401);
    assert_eq!(provider.redeem(&client, late_code.code()).await.error(), invalid_grant());
    assert_eq!(refresh(&provider, &client, &before.text("refresh_token")).await.error(), invalid_grant());
    // By single sign-on, without a form: the sign-in is older than the instant, what it authorizes is not.
    let page = request.open(&provider, &browser).await;
    let between = provider.redeem(&client, Answer::of(&page, &client.redirect_uri).code()).await.ok();
    for round in 0..2 {
        for token in ["refresh_token", "access_token"] {
            assert!(is_active(&between.text(token)).await, "{token} {round}");
        }
        let _ = provider.userinfo(&between.text("access_token")).await.ok();
    }
    let next = refresh(&provider, &client, &between.text("refresh_token")).await.ok();
    provider.travel(20);
    let _ = refresh(&provider, &client, &next.text("refresh_token")).await.ok();
    // A new instant ends these too.
    provider.sql(&format!("UPDATE clients SET tokens_valid_after = {}", provider.now())).await;
    provider.travel(10);
    assert!(!is_active(&next.text("refresh_token")).await);
}

/// RFC 9700 section 4.14.2: a public client's tokens rotate, whatever its row says.
#[tokio::test]
async fn a_public_client_rotates_always_and_a_row_can_end_rotation_for_others() {
    let (provider, _, browser) = ready().await;
    let fixed = provider.add(refreshing("fixed").with("refresh_token_rotation", "never")).await;
    let token = start(&provider, &browser, &fixed).await.text("refresh_token");
    for _ in 0..2 {
        let refreshed = refresh(&provider, &fixed, &token).await.ok().json();
        assert!(refreshed.get("refresh_token").is_none());
        provider.travel(100);
    }
    let public = provider.add(refreshing("public").with("refresh_token_rotation", "never").public()).await;
    let token = start(&provider, &browser, &public).await.text("refresh_token");
    let next = refresh(&provider, &public, &token).await.ok().text("refresh_token");
    assert_ne!(next, token);
}

/// What the client's row no longer allows is not handed out again.
#[tokio::test]
async fn a_scope_taken_from_the_client_is_not_refreshed() {
    let (provider, client, browser) = ready().await;
    let tokens = start(&provider, &browser, &client).await;
    provider.sql("UPDATE clients SET scope = 'openid offline_access'").await;
    provider.travel(10);
    let refreshed = refresh(&provider, &client, &tokens.text("refresh_token")).await.ok();
    assert_eq!(refreshed.text("scope"), "openid offline_access");
}

/// Anything else in its place.
#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let (provider, client, browser) = ready().await;
    let tokens = start(&provider, &browser, &client).await;
    let real = tokens.text("refresh_token");
    for bad in [
        "x",
        "hp_rt_",
        &real[..real.len() - 1],
        &format!("{real}A"),
        &tokens.text("access_token"),
        &tokens.text("id_token"),
    ] {
        assert_eq!(refresh(&provider, &client, bad).await.error(), invalid_grant(), "{bad}");
    }
    let missing = provider.post("/token", client.auth(), &[("grant_type", "refresh_token")]).await;
    assert_eq!(missing.error(), (400, "invalid_request".into()));
    let unproven = [("grant_type", "refresh_token"), ("refresh_token", real.as_str())];
    assert_eq!(provider.post("/token", Auth::Name("reports"), &unproven).await.error(), (401, "invalid_client".into()));
    let _ = refresh(&provider, &client, &real).await.ok();
}

/// No token is stored: the row has digests, and the salt goes when the window is over.
#[tokio::test]
async fn no_secret_is_stored_and_the_salt_goes_with_the_window() {
    let (provider, client, browser) = ready().await;
    let first = start(&provider, &browser, &client).await.text("refresh_token");
    let second = refresh(&provider, &client, &first).await.ok().text("refresh_token");
    let rows = provider.rows("SELECT current_digest, previous_digest, salt FROM refresh_families").await;
    assert_eq!(rows.len(), 1);
    for token in [&first, &second] {
        assert!(!rows[0].iter().flatten().any(|text| text.contains(&token[6..]) || token.contains(text.as_str())));
    }
    assert!(rows[0][2].is_some());
    provider.travel(10);
    hallpass::store::refresh_families::sweep(&provider.provider.db, 10, provider.provider.now()).await.unwrap();
    let rows = provider.rows("SELECT current_digest, previous_digest, salt FROM refresh_families").await;
    assert!(rows[0][2].is_none());
}

/// CVE-2026-9802 at a peer: revoked tokens lived again after a restart. Here another node knows, whatever Redis forgot.
#[tokio::test]
async fn a_revocation_outlives_the_short_lived_store() {
    let (provider, client, browser) = ready().await;
    let first = start(&provider, &browser, &client).await.text("refresh_token");
    let second = refresh(&provider, &client, &first).await.ok().text("refresh_token");
    provider.travel(10);
    assert_eq!(refresh(&provider, &client, &first).await.error(), invalid_grant());
    let rows = provider.rows("SELECT revoked_at FROM refresh_families").await;
    assert!(rows[0][0].is_some());
    assert_eq!(refresh(&provider, &client, &second).await.error(), invalid_grant());
}
