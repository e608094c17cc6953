//! Throttling: guessing is made slow, and nobody can lock an owner out by it.

use crate::support::provider::PASSWORD;
use crate::support::verbs::{Auth, http, send};
use crate::support::{Answer, Authorization, NewUser, Page, TestClient, TestProvider, UserAgent};
use hallpass::throttle::{
    BEGUN_PER_NETWORK, BEGUN_WINDOW, PER_ACCOUNT, PER_ACCOUNT_AND_NETWORK, PER_CLIENT_AND_NETWORK, PER_NETWORK,
    SIGN_IN_WINDOW,
};
use std::net::IpAddr;

/// A provider behind a proxy on this machine, so that a test can come from any network.
async fn ready() -> (TestProvider, TestClient) {
    let provider = TestProvider::with(&[("trusted_proxies", "127.0.0.1")]).await;
    let client = provider.client("reports").await;
    provider.alice().await;
    (provider, client)
}

fn from(network: &str) -> UserAgent {
    UserAgent::new().with_header("x-forwarded-for", network)
}

/// One sign-in from a browser; the page it leads to.
async fn attempt(
    provider: &TestProvider,
    client: &TestClient,
    browser: &UserAgent,
    name: &str,
    password: &str,
) -> Page {
    let page = Authorization::of(client).with("prompt", "login").open(provider, browser).await;
    provider.type_in(browser, &page, name, password).await
}

fn is_in(page: &Page) -> bool {
    page.status.is_redirection()
}

/// Writes failures into the counters as they would be after so many attempts; a hash each would take a minute.
async fn fail(provider: &TestProvider, key: &str, times: i64) {
    for _ in 0..times {
        provider.provider.ephemeral.count(key, SIGN_IN_WINDOW).await.unwrap();
    }
}

fn account(sub: &str) -> String {
    hallpass::throttle::account(Some(sub), "")
}

/// A hard limit for account and network together, before any hash is computed, with `Retry-After`.
#[tokio::test]
async fn an_account_can_be_guessed_ten_times_from_one_network() {
    let (provider, client) = ready().await;
    let attacker = from("198.51.100.1");
    for _ in 0..PER_ACCOUNT_AND_NETWORK {
        assert_eq!(attempt(&provider, &client, &attacker, "alice", "guess").await.status, 422);
    }
    let before = provider.provider.passwords.computed();
    for password in ["guess", PASSWORD] {
        let page = attempt(&provider, &client, &attacker, "alice", password).await;
        assert_eq!(page.status, 429, "{page}");
        let seconds: i64 = page.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=SIGN_IN_WINDOW).contains(&seconds));
        assert!(page.text().contains("Please wait"), "{page}");
    }
    assert_eq!(provider.provider.passwords.computed(), before, "no hash is computed for it");
    provider.travel(SIGN_IN_WINDOW);
    if crate::support::stores() == crate::support::Stores::Embedded {
        // Redis counts by its own clock, which no test can move.
        assert!(is_in(&attempt(&provider, &client, &attacker, "alice", PASSWORD).await));
    }
}

/// CVE-2025-24806 at a peer: counted per spelling. Here on the account that was found.
#[tokio::test]
async fn spelling_variants_are_one_account() {
    let (provider, client) = ready().await;
    let attacker = from("198.51.100.1");
    let spellings = ["alice", "ALICE", " alice ", "Alice", "alice@example.com", "ALICE@EXAMPLE.COM", "aLiCe"];
    for spelling in spellings.iter().cycle().take(usize::try_from(PER_ACCOUNT_AND_NETWORK).unwrap()) {
        assert_eq!(attempt(&provider, &client, &attacker, spelling, "guess").await.status, 422);
    }
    for spelling in spellings {
        assert_eq!(attempt(&provider, &client, &attacker, spelling, PASSWORD).await.status, 429, "{spelling}");
    }
}

/// A name that nobody has is throttled just the same, so that nobody learns which names there are.
#[tokio::test]
async fn an_unknown_name_is_throttled_like_a_known_one() {
    let (provider, client) = ready().await;
    let attacker = from("198.51.100.1");
    for _ in 0..PER_ACCOUNT_AND_NETWORK {
        assert_eq!(attempt(&provider, &client, &attacker, "nobody", "guess").await.status, 422);
    }
    assert_eq!(attempt(&provider, &client, &attacker, "nobody", "guess").await.status, 429);
}

/// Nobody locks an owner out: from another network the owner signs in, from a browser that is known also in the
/// attacker's own network.
#[tokio::test]
async fn the_owner_is_not_locked_out() {
    let (provider, client) = ready().await;
    let known = from("198.51.100.1");
    assert!(is_in(&attempt(&provider, &client, &known, "alice", PASSWORD).await));
    let attacker = from("198.51.100.1");
    for _ in 0..=PER_ACCOUNT_AND_NETWORK {
        let _ = attempt(&provider, &client, &attacker, "alice", "guess").await;
    }
    assert_eq!(attempt(&provider, &client, &attacker, "alice", PASSWORD).await.status, 429);
    assert!(is_in(&attempt(&provider, &client, &from("203.0.113.7"), "alice", PASSWORD).await));
    assert!(is_in(&attempt(&provider, &client, &known, "alice", PASSWORD).await));
    // The owner's success in that network gives the attacker nothing.
    assert_eq!(attempt(&provider, &client, &attacker, "alice", PASSWORD).await.status, 429);
}

/// A known browser answers for itself: it has a limit of its own, and knowing bob's account helps nobody with alice's.
#[tokio::test]
async fn a_known_browser_has_its_own_limit_and_one_account() {
    let (provider, client) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let browser = from("198.51.100.1");
    assert!(is_in(&attempt(&provider, &client, &browser, "bob", PASSWORD).await));
    for _ in 0..PER_ACCOUNT_AND_NETWORK {
        assert_eq!(attempt(&provider, &client, &browser, "bob", "guess").await.status, 422);
    }
    assert_eq!(attempt(&provider, &client, &browser, "bob", PASSWORD).await.status, 429);
    fail(&provider, &format!("fail:an:{}:198.51.100.1", account("alice-sub")), PER_ACCOUNT_AND_NETWORK).await;
    assert_eq!(attempt(&provider, &client, &browser, "alice", PASSWORD).await.status, 429);
}

/// Spraying: one network over many accounts.
#[tokio::test]
async fn a_network_that_sprays_over_many_accounts_is_stopped() {
    let (provider, client) = ready().await;
    let known = from("198.51.100.1");
    assert!(is_in(&attempt(&provider, &client, &known, "alice", PASSWORD).await));
    let attacker = from("198.51.100.1");
    fail(&provider, "fail:n:198.51.100.1", PER_NETWORK - 1).await;
    assert_eq!(attempt(&provider, &client, &attacker, "somebody", "guess").await.status, 422);
    assert_eq!(attempt(&provider, &client, &attacker, "another", "guess").await.status, 429);
    assert!(is_in(&attempt(&provider, &client, &from("198.51.100.2"), "alice", PASSWORD).await));
    assert!(is_in(&attempt(&provider, &client, &known, "alice", PASSWORD).await));
}

/// From many networks at once an account is only slowed.
#[tokio::test]
async fn an_account_attacked_from_everywhere_is_slowed_and_not_locked() {
    let (provider, client) = ready().await;
    let known = from("203.0.113.7");
    assert!(is_in(&attempt(&provider, &client, &known, "alice", PASSWORD).await));
    fail(&provider, &format!("fail:a:{}", account("alice-sub")), PER_ACCOUNT).await;
    let begun = tokio::time::Instant::now();
    assert!(is_in(&attempt(&provider, &client, &known, "alice", PASSWORD).await));
    let unslowed = begun.elapsed();
    assert!(is_in(&attempt(&provider, &client, &from("192.0.2.33"), "alice", PASSWORD).await));
    let slowed = begun.elapsed().saturating_sub(unslowed);
    // It waits three seconds; the known browser does not. The bounds are wide, as machines are slow at times.
    assert!(slowed.as_secs_f64() >= 2.9, "{slowed:?}");
    assert!(unslowed < slowed, "{unslowed:?}");
}

/// An address that a stranger claims to come from is not believed.
#[tokio::test]
async fn a_forged_forwarded_address_does_not_get_round_it() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    for number in 0..PER_ACCOUNT_AND_NETWORK {
        let browser = from(&format!("198.51.100.{number}"));
        assert_eq!(attempt(&provider, &client, &browser, "alice", "guess").await.status, 422);
    }
    assert_eq!(attempt(&provider, &client, &from("203.0.113.1"), "alice", PASSWORD).await.status, 429);

    // Behind a proxy, what stands left of the first untrusted address is that address's own claim.
    let (provider, client) = ready().await;
    for number in 0..PER_ACCOUNT_AND_NETWORK {
        let browser = from(&format!("192.0.2.{number}, 198.51.100.1"));
        assert_eq!(attempt(&provider, &client, &browser, "alice", "guess").await.status, 422);
    }
    assert_eq!(attempt(&provider, &client, &from("203.0.113.1, 198.51.100.1"), "alice", PASSWORD).await.status, 429);
    let household = |suffix: &str| format!("2001:db8:1:2:{suffix}").parse::<IpAddr>().unwrap().to_string();
    for number in 0..PER_ACCOUNT_AND_NETWORK {
        let browser = from(&household(&format!("{number}::1")));
        assert_eq!(attempt(&provider, &client, &browser, "alice", "guess").await.status, 422);
    }
    assert_eq!(attempt(&provider, &client, &from(&household("ffff::9")), "alice", PASSWORD).await.status, 429);
}

/// Many at once do not pass because they were counted late.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_sent_at_once_are_counted_before_they_are_checked() {
    let (provider, client) = ready().await;
    let browser = from("198.51.100.1");
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let form = page.form("form");
    let guesses = (0..40).map(|number| {
        let mut form = form.clone();
        form.set("username", "alice").set("password", &format!("guess {number}"));
        browser.submit(form, Some(("action", "sign_in")))
    });
    let pages = futures_util::future::join_all(guesses).await;
    let checked = pages.iter().filter(|page| page.status == 422).count();
    assert_eq!(checked, usize::try_from(PER_ACCOUNT_AND_NETWORK).unwrap());
    assert!(provider.provider.passwords.computed() <= 10);
}

/// Client authentication: a hard limit for client and network, and a secret that is proven is never stopped by it.
#[tokio::test]
async fn guessing_a_clients_secret_is_stopped_and_stops_nobody_else() {
    let (provider, client) = ready().await;
    let other = provider.client("other").await;
    let fields = [("grant_type", "authorization_code"), ("code", "x")];
    let proven = provider.post("/token", client.auth(), &fields).await;
    assert_eq!(proven.error(), (400, "invalid_grant".into()));
    let guess = Auth::Basic("reports", "guess");
    for _ in 0..PER_CLIENT_AND_NETWORK {
        assert_eq!(provider.post("/token", guess, &fields).await.error(), (401, "invalid_client".into()));
    }
    let before = provider.provider.passwords.computed();
    let stopped = provider.post("/token", guess, &fields).await;
    assert_eq!(stopped.error(), (429, "temporarily_unavailable".into()));
    assert!(stopped.header("retry-after").unwrap().parse::<i64>().unwrap() > 0);
    for door in ["/introspect", "/revoke"] {
        assert_eq!(provider.post(door, guess, &[("token", "x")]).await.error().0, 429, "{door}");
    }
    assert_eq!(provider.provider.passwords.computed(), before);
    let _ = provider.post("/revoke", client.auth(), &[("token", "x")]).await.ok();
    let _ = provider.post("/revoke", other.auth(), &[("token", "x")]).await.ok();
    let request = http().post(provider.url("/revoke")).header("x-forwarded-for", "203.0.113.1");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let elsewhere = send(request.body("token=x&client_id=reports&client_secret=guess")).await;
    assert_eq!(elsewhere.error(), (401, "invalid_client".into()));
}

/// A success takes its count back: a busy network is no attacker.
#[tokio::test]
async fn successes_do_not_count() {
    let (provider, client) = ready().await;
    for _ in 0..=PER_ACCOUNT_AND_NETWORK {
        let page = attempt(&provider, &client, &from("198.51.100.1"), "alice", PASSWORD).await;
        assert!(!Answer::of(&page, &client.redirect_uri).code().is_empty());
    }
}

/// What a stranger can have kept for them is bounded: a network that begins thousands of sign-ins and completes none
/// is refused further ones, while others, and whoever is signed in already, are not.
#[tokio::test]
async fn a_network_cannot_fill_the_store_with_sign_ins_that_it_begins() {
    let (provider, client) = ready().await;
    let (attacker, other) = (from("198.51.100.1"), from("203.0.113.1"));
    let _ = provider.sign_in(&attacker, &client).await;
    for _ in 0..BEGUN_PER_NETWORK {
        provider.provider.ephemeral.count("begun:198.51.100.1", BEGUN_WINDOW).await.unwrap();
    }
    let stranger = from("198.51.100.1");
    let request = Authorization::of(&client);
    for page in [
        request.open(&provider, &stranger).await,
        stranger.cross_site_post(&provider.url("/authorize"), &request.fields()).await,
        stranger.cross_site_post(&provider.url("/logout"), &[("state", "x")]).await,
    ] {
        assert_eq!(page.status, 503, "{page}");
        assert!(page.header("retry-after").is_some() && page.header("set-cookie").is_none(), "{:?}", page.headers);
    }
    assert!(!provider.sign_in(&attacker, &client).await.code().is_empty(), "nothing is kept for who is signed in");
    assert!(!provider.sign_in(&other, &client).await.code().is_empty(), "another network");
    provider.travel(BEGUN_WINDOW);
    if crate::support::stores() == crate::support::Stores::Embedded {
        // Redis keeps its own time.
        assert_eq!(request.open(&provider, &stranger).await.status, 200);
    }
}

/// Parameters that nobody reads are not kept, and the others have a bound together.
#[tokio::test]
async fn what_is_kept_of_a_request_is_bounded() {
    let (provider, client) = ready().await;
    let request = Authorization::of(&client);
    let browser = UserAgent::new();
    let large = "u".repeat(15_000);
    let padded = (0..3).fold(request.clone(), |request, number| request.with(&format!("unknown{number}"), &large));
    assert!(!padded.complete(&provider, &browser).await.code().is_empty());
    let long = request.with("state", &"s".repeat(7000)).with("nonce", &"n".repeat(7000));
    // Nothing is kept for somebody who is signed in.
    assert!(!long.complete(&provider, &browser).await.code().is_empty());
    let page = long.open(&provider, &UserAgent::new()).await;
    let answer = Answer::of(&page, &client.redirect_uri);
    assert_eq!((answer.error(), answer.get("state").map(str::len)), ("invalid_request", Some(7000)));
}
