//! `hallpass unthrottle`: an operator frees a user, a network or a client whose failures are counted, whichever store counts them;
//! and `doctor` says who was refused, and by which limit.

use crate::support::program::{Outcome, Serve, done, run_with};
use crate::support::provider::{PASSWORD, copy_keys, fresh_stores, hash_of};
use crate::support::verbs::http;
use crate::support::{Authorization, Page, TestClient, TestProvider, folder};
use crate::throttling::{from, ready};
use hallpass::startup;
use hallpass::store::ephemeral::Tally;
use hallpass::throttle::{
    PER_ACCOUNT, PER_ACCOUNT_AND_NETWORK, PER_CLIENT_AND_NETWORK, PER_NETWORK, PER_WIDE_NETWORK, SIGN_IN_WINDOW,
};
use std::fs;
use std::time::Duration;

/// A command beside a provider of a test, with its settings.
async fn beside(provider: &TestProvider, arguments: &[&str]) -> Outcome {
    let variables = provider.variables();
    let (folder, arguments) = (provider.folder.path().to_owned(), arguments.iter().map(|&it| it.to_owned()).collect());
    tokio::task::spawn_blocking(move || {
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let arguments: Vec<String> = arguments;
        run_with(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), &variables, "")
    })
    .await
    .unwrap()
}

/// Writes failures into the counters as they would be after so many attempts.
async fn fail(provider: &TestProvider, key: &str, field: &str, times: i64) {
    let tally = Tally { field, window: SIGN_IN_WINDOW, most: i64::MAX, amount: times };
    provider.provider.ephemeral.tally(key, &[tally]).await.unwrap();
}

async fn sign_in(provider: &TestProvider, client: &TestClient, network: &str, password: &str) -> Page {
    let browser = from(network);
    let page = Authorization::of(client).with("prompt", "login").open(provider, &browser).await;
    provider.type_in(&browser, &page, "alice", password).await
}

/// Each of the limits that a sign-in meets, and who is freed from it by whom.
#[tokio::test]
async fn a_user_and_a_network_are_freed_from_each_limit() {
    let account = |provider: &TestProvider| provider.provider.secrets.account(Some("alice-sub"), "");
    for (limit, unthrottle, told) in [
        ("account", &["unthrottle", "user", "alice"][..], "hallpass unthrottle user alice"),
        ("account", &["unthrottle", "user", "alice@example.com"], "more than 10 failures at one account"),
        ("account", &["unthrottle", "network", "198.51.100.1"], "the user alice from 198.51.100.1 was refused once"),
        ("network", &["unthrottle", "network", "198.51.100.1"], "hallpass unthrottle network 198.51.100.1"),
        ("wide_network", &["unthrottle", "network", "198.51.100.0/24"], "more than 1000 failed sign-ins from one /24"),
    ] {
        let (provider, client) = ready().await;
        let of_network = "fail:198.51.100.0";
        match limit {
            "account" => {
                let field = format!("198.51.100.1 {}", account(&provider));
                fail(&provider, of_network, &field, PER_ACCOUNT_AND_NETWORK).await;
            }
            "network" => fail(&provider, of_network, "198.51.100.1", PER_NETWORK).await,
            _ => fail(&provider, of_network, "all", PER_WIDE_NETWORK).await,
        }
        assert_eq!(sign_in(&provider, &client, "198.51.100.1", PASSWORD).await.status, 429, "{limit}");
        provider.provider.audit.flush().await;
        let doctor = beside(&provider, &["doctor"]).await.stdout;
        assert!(doctor.contains(told), "{told:?} is not in {doctor}");

        let outcome = done(beside(&provider, unthrottle).await);
        assert!(outcome.stderr.contains("freed "), "{outcome:?}");
        startup::learn_freed(&provider.provider).await;
        let page = sign_in(&provider, &client, "198.51.100.1", PASSWORD).await;
        assert!(page.status.is_redirection(), "{limit} {unthrottle:?}: {page}");
        let events = beside(&provider, &["audit", "list", "--event", "unthrottled"]).await.stdout;
        let of = if unthrottle[1] == "user" { "alice-sub" } else { "198.51.100.0" };
        assert!(events.lines().count() == 1 && events.contains(of), "{events}");
        done(beside(&provider, &["audit", "verify"]).await);
    }
}

/// What is counted afterwards is counted as ever, and an account that is slowed is not slowed any more.
#[tokio::test]
async fn who_was_freed_is_counted_anew() {
    let (provider, client) = ready().await;
    let account = provider.provider.secrets.account(Some("alice-sub"), "");
    fail(&provider, &format!("fail:{account}"), "all", PER_ACCOUNT).await;
    done(beside(&provider, &["unthrottle", "user", "alice"]).await);
    startup::learn_freed(&provider.provider).await;
    let freed =
        tokio::time::timeout(Duration::from_millis(2500), sign_in(&provider, &client, "198.51.100.1", PASSWORD));
    assert!(freed.await.expect("it is not slowed").status.is_redirection());
    for _ in 0..PER_ACCOUNT_AND_NETWORK {
        assert_eq!(sign_in(&provider, &client, "198.51.100.1", "guess").await.status, 422);
    }
    assert_eq!(sign_in(&provider, &client, "198.51.100.1", PASSWORD).await.status, 429);
}

#[tokio::test]
async fn who_is_not_known_is_not_freed() {
    let (provider, _) = ready().await;
    for (arguments, status, told) in [
        (&["unthrottle", "user", "carol"][..], 1, "`hallpass user list` names them"),
        (&["unthrottle", "client", "nothing"], 1, "`hallpass client list` names them"),
        (&["unthrottle", "network", "everywhere"], 2, "203.0.113.7"),
    ] {
        let outcome = beside(&provider, arguments).await;
        assert!(outcome.status == status && outcome.stderr.contains(told), "{outcome:?}");
    }
}

/// Counters in the process of `serve`, which no other process can reach, or in Redis.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_freed_at_a_running_node_within_ten_seconds() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    fs::create_dir(folder.path().join("migrations")).unwrap();
    let sql = format!(
        "INSERT INTO clients (client_id) VALUES ('reports');\n\
         INSERT INTO client_secrets (client_id, secret_hash) VALUES ('reports', '{}');\n",
        hash_of("hp_cs_a-secret-that-only-this-test-uses-0123456789")
    );
    fs::write(folder.path().join("migrations/20261201090000_reports.sql"), sql).unwrap();
    let serve = Serve::start(folder.path(), &database_url, &redis_url);
    let ask = async || {
        let request = http().post(format!("{}/token", serve.issuer)).basic_auth("reports", Some("hp_cs_wrong"));
        let body = "grant_type=authorization_code&code=x";
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        request.send().await.unwrap().status().as_u16()
    };
    for _ in 0..PER_CLIENT_AND_NETWORK {
        assert_eq!(ask().await, 401);
    }
    assert_eq!(ask().await, 429);
    // The event is written in a moment.
    let mut told = String::new();
    for _ in 0..50 {
        told = run_with(folder.path(), &["doctor"], &serve.variables(), "").stdout;
        if told.contains("the client reports") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        told.contains("20 failures of one client from one network") && told.contains("unthrottle client reports"),
        "{told}"
    );
    done(run_with(folder.path(), &["unthrottle", "client", "reports"], &serve.variables(), ""));
    for _ in 0..100 {
        if ask().await == 401 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it is throttled still");
}
