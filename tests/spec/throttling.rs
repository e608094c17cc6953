//! Throttling: guessing is made slow, and no attacker can lock an owner out by it.

use crate::support::provider::PASSWORD;
use crate::support::verbs::{Auth, http, send};
use crate::support::{Answer, Authorization, NewUser, Page, TestClient, TestProvider, UserAgent};
use hallpass::store::ephemeral::Tally;
use hallpass::throttle::{
    CLIENT_WINDOW, CLIENTS_PER_NETWORK, PER_ACCOUNT, PER_ACCOUNT_AND_NETWORK, PER_CLIENT_AND_NETWORK, PER_NETWORK,
    PER_WIDE_NETWORK, SIGN_IN_WINDOW, WIDE_WINDOW,
};
use std::net::IpAddr;

/// A provider behind a proxy on this machine, so that a test can come from any network.
pub async fn ready() -> (TestProvider, TestClient) {
    let provider = TestProvider::with(&[("trusted_proxies", "127.0.0.1")]).await;
    let client = provider.client("reports").await;
    provider.alice().await;
    (provider, client)
}

/// A browser in a network.
pub fn from(network: &str) -> UserAgent {
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
async fn fail(provider: &TestProvider, key: &str, field: &str, times: i64) {
    let is_wide = field == "all" && key.strip_prefix("fail:").is_some_and(|of| of.parse::<IpAddr>().is_ok());
    let window = if is_wide { WIDE_WINDOW } else { SIGN_IN_WINDOW };
    let tally = Tally { field, window, most: i64::MAX, amount: times };
    provider.provider.ephemeral.tally(key, &[tally]).await.unwrap();
}

fn account(provider: &TestProvider, sub: &str) -> String {
    provider.provider.secrets.account(Some(sub), "")
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
    assert!(is_in(&attempt(&provider, &client, &attacker, "alice", PASSWORD).await));
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

/// A name that no user has is throttled just the same, so that no caller learns which names there are; and each by itself, so
/// that what was tried with one says nothing about another.
#[tokio::test]
async fn an_unknown_name_is_throttled_like_a_known_one() {
    let (provider, client) = ready().await;
    let attacker = from("198.51.100.1");
    for _ in 0..PER_ACCOUNT_AND_NETWORK {
        assert_eq!(attempt(&provider, &client, &attacker, "nobody", "guess").await.status, 422);
    }
    for spelling in ["nobody", "NOBODY", " nobody "] {
        assert_eq!(attempt(&provider, &client, &attacker, spelling, "guess").await.status, 429, "{spelling}");
    }
    let mut counters = std::collections::HashSet::new();
    for number in 0..10_000 {
        let name = format!("invented-{number}");
        counters.insert(provider.provider.secrets.account(None, &name));
    }
    assert_eq!(counters.len(), 10_000, "names share counters");
    for other in ["alice", "mallory"] {
        assert_eq!(attempt(&provider, &client, &attacker, other, "guess").await.status, 422, "{other}");
    }
    // At a name that was failed at from everywhere one waits, whether a user has it or not.
    let names = [account(&provider, "alice-sub"), unknown(&provider, "nobody at all")];
    for (name, account) in ["alice", "nobody at all"].into_iter().zip(names) {
        fail(&provider, &format!("fail:{account}"), "all", PER_ACCOUNT).await;
        let started = tokio::time::Instant::now();
        assert_eq!(attempt(&provider, &client, &from("203.0.113.9"), name, "guess").await.status, 422, "{name}");
        assert!(started.elapsed().as_secs_f64() >= 2.9, "{name}");
    }
}

fn unknown(provider: &TestProvider, name: &str) -> String {
    provider.provider.secrets.account(None, name)
}

/// No attacker locks an owner out: from another network the owner signs in, from a browser that is known also in the
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

/// A known browser answers for itself: it has a limit of its own, and knowing bob's account does not help with alice's.
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
    let here = format!("198.51.100.1 {}", account(&provider, "alice-sub"));
    fail(&provider, "fail:198.51.100.0", &here, PER_ACCOUNT_AND_NETWORK).await;
    assert_eq!(attempt(&provider, &client, &browser, "alice", PASSWORD).await.status, 429);
}

/// Spraying: one network over many accounts.
#[tokio::test]
async fn a_network_that_sprays_over_many_accounts_is_stopped() {
    let (provider, client) = ready().await;
    let known = from("198.51.100.1");
    assert!(is_in(&attempt(&provider, &client, &known, "alice", PASSWORD).await));
    let attacker = from("198.51.100.1");
    fail(&provider, "fail:198.51.100.0", "198.51.100.1", PER_NETWORK - 1).await;
    assert_eq!(attempt(&provider, &client, &attacker, "mallory", "guess").await.status, 422);
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
    let over_all = format!("fail:{}", account(&provider, "alice-sub"));
    fail(&provider, &over_all, "all", PER_ACCOUNT).await;
    let stranger = async || {
        let started = tokio::time::Instant::now();
        let page = attempt(&provider, &client, &from("192.0.2.33"), "alice", PASSWORD).await;
        assert!(is_in(&page), "{page}");
        started.elapsed()
    };
    // It waits three seconds. The bounds are wide, as machines are slow at times.
    let slowed = stranger().await;
    assert!(slowed.as_secs_f64() >= 2.9, "{slowed:?}");
    // A stranger's success clears nothing; the known browser does not wait, and its success clears the account.
    let failures = async || provider.provider.ephemeral.tallied(&over_all, "all").await.unwrap();
    assert_eq!(failures().await, PER_ACCOUNT);
    let started = tokio::time::Instant::now();
    assert!(is_in(&attempt(&provider, &client, &known, "alice", PASSWORD).await));
    assert!(started.elapsed() < slowed);
    assert_eq!(failures().await, 0);
    assert!(stranger().await < slowed);
}

/// One customer of an address provider is given a /24 or a /48 whole: it is one attacker, whatever address it comes from.
#[tokio::test]
async fn a_wide_network_is_counted_as_one() {
    let (provider, client) = ready().await;
    for (wide, inside, beside) in
        [("198.51.100.0", "198.51.100.77", "198.51.101.77"), ("2001:db8:1::", "2001:db8:1:beef::1", "2001:db8:2::1")]
    {
        let key = format!("fail:{wide}");
        fail(&provider, &key, "all", PER_WIDE_NETWORK - 1).await;
        assert_eq!(attempt(&provider, &client, &from(inside), "alice", "guess").await.status, 422, "{inside}");
        for name in ["alice", "nobody"] {
            let page = attempt(&provider, &client, &from(inside), name, PASSWORD).await;
            assert_eq!(page.status, 429, "{inside} {name}");
            assert!(page.header("retry-after").unwrap().parse::<i64>().unwrap() > SIGN_IN_WINDOW, "{inside}");
        }
        assert!(is_in(&attempt(&provider, &client, &from(beside), "alice", PASSWORD).await), "{beside}");
    }
}

/// A browser is one browser by the name it keeps: cookies of an earlier sign-in, kept through a sign-out and sent together
/// with those of sign-ins that were started elsewhere, are counted on the one that proved to be known.
#[tokio::test]
async fn a_known_browser_is_counted_by_the_name_that_is_known() {
    let (provider, client) = ready().await;
    let browser = from("198.51.100.1");
    assert!(is_in(&attempt(&provider, &client, &browser, "alice", PASSWORD).await));
    let kept: Vec<_> = browser.cookies().into_iter().filter(|cookie| !cookie.name.contains("session")).collect();
    let mut checked = 0;
    for _ in 0..2 * PER_ACCOUNT_AND_NETWORK {
        // A browser that was never here starts a sign-in, and then turns up with the cookies of the known one as well.
        let stranger = from("203.0.113.1");
        let page = Authorization::of(&client).open(&provider, &stranger).await;
        for cookie in &kept {
            stranger.set_cookie(&provider.issuer, &format!("{}={}; Path=/", cookie.name, cookie.value));
        }
        checked += i64::from(provider.type_in(&stranger, &page, "alice", "guess").await.status == 422);
    }
    assert_eq!(checked, PER_ACCOUNT_AND_NETWORK);
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

    // Behind a proxy, what is to the left of the first untrusted address is that address's own claim.
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
async fn guessing_a_clients_secret_is_stopped_and_stops_no_other_client() {
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
    for path in ["/introspect", "/revoke"] {
        assert_eq!(provider.post(path, guess, &[("token", "x")]).await.error().0, 429, "{path}");
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

/// A client that is not registered costs what a registered one does: a hash, and a count.
#[tokio::test]
async fn an_unknown_client_is_checked_and_counted_like_a_known_one() {
    let (provider, _) = ready().await;
    let fields = [("grant_type", "authorization_code"), ("code", "x")];
    let mut computed = Vec::new();
    for auth in [
        Auth::Basic("reports", "guess"),
        Auth::Basic("nobody", "guess"),
        Auth::Post("nobody", "guess"),
        Auth::Name("reports"),
        Auth::Name("nobody"),
    ] {
        let before = provider.provider.passwords.computed();
        let answer = provider.post("/token", auth, &fields).await;
        assert_eq!(answer.error(), (401, "invalid_client".into()), "{auth:?}");
        computed.push(provider.provider.passwords.computed() - before);
    }
    // A secret that is longer than any is no quicker.
    let before = provider.provider.passwords.computed();
    let long = provider.post("/token", Auth::Basic("reports", &"x".repeat(2000)), &fields).await;
    assert_eq!(long.error(), (401, "invalid_client".into()));
    computed.push(provider.provider.passwords.computed() - before);
    assert_eq!(computed, [1; 6]);
    for id in ["reports", "invented"] {
        let mut status = 0;
        for _ in 0..=PER_CLIENT_AND_NETWORK {
            status = provider.post("/token", Auth::Basic(id, "guess"), &fields).await.error().0;
        }
        assert_eq!(status, 429, "{id}");
    }
    // Who invents a name for each try is stopped as one network; this machine is none, many share it.
    let tally = Tally { field: "all", window: CLIENT_WINDOW, most: i64::MAX, amount: CLIENTS_PER_NETWORK };
    for network in ["203.0.113.7", "127.0.0.1"] {
        provider.provider.ephemeral.tally(&format!("client:{network}"), &[tally]).await.unwrap();
    }
    let before = provider.provider.passwords.computed();
    let request = http().post(provider.url("/token")).header("x-forwarded-for", "203.0.113.7");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let stopped = send(request.body("grant_type=x&client_id=another&client_secret=guess")).await;
    assert_eq!(stopped.error(), (429, "temporarily_unavailable".into()));
    assert_eq!(provider.provider.passwords.computed(), before);
    assert_eq!(provider.post("/token", Auth::Basic("another", "guess"), &fields).await.error().0, 401);
}

/// Parameters that are not read are not kept, and the others have a bound together.
#[tokio::test]
async fn what_is_kept_of_a_request_is_bounded() {
    let (provider, client) = ready().await;
    let request = Authorization::of(&client);
    let browser = UserAgent::new();
    let large = "u".repeat(15_000);
    let padded = (0..3).fold(request.clone(), |request, number| request.with(&format!("unknown{number}"), &large));
    assert!(!padded.complete(&provider, &browser).await.code().is_empty());
    let long = request.with("state", &"s".repeat(7000)).with("nonce", &"n".repeat(7000));
    // Nothing is kept for a user who is signed in.
    assert!(!long.complete(&provider, &browser).await.code().is_empty());
    let page = long.open(&provider, &UserAgent::new()).await;
    let answer = Answer::of(&page, &client.redirect_uri);
    assert_eq!((answer.error(), answer.get("state").map(str::len)), ("invalid_request", Some(7000)));
}
