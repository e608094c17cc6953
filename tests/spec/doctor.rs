//! `hallpass doctor`: our own set-up, providers and services from outside, and pasted tokens; healthy ones are found
//! healthy, and each ill is named with its fix.

use crate::support::listener::LogoutListener;
use crate::support::postgres::free_port;
use crate::support::program::{Outcome, Serve, run, run_with};
use crate::support::provider::{copy_keys, fresh_stores};
use crate::support::{NewClient, Stores, TestProvider, UserAgent, claims_of, folder, redis, stores};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass::protocol::response::SigningAlgorithm;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tokio::net::TcpListener;

/// What `doctor --json` found, and the status.
struct Findings {
    status: i32,
    checks: Vec<(String, String, String, String)>,
}

impl Findings {
    fn of(outcome: &Outcome) -> Self {
        let report: Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let checks = report["checks"].as_array().unwrap().iter();
        let checks = checks
            .map(|check| (text(&check["verdict"]), text(&check["check"]), text(&check["what"]), text(&check["fix"])))
            .collect();
        let found = Self { status: outcome.status, checks };
        assert_eq!(found.status, i32::from(report["faults"] != 0), "{outcome:?}");
        for (verdict, name, what, fix) in &found.checks {
            assert!(verdict == "ok" || !fix.is_empty(), "{name}: {what} has no fix");
        }
        found
    }

    /// There is such a check; the words are part of what it says or of its fix.
    #[track_caller]
    fn has(&self, verdict: &str, name: &str, words: &str) -> &Self {
        let found = self
            .checks
            .iter()
            .any(|(v, n, what, fix)| v == verdict && n == name && (what.contains(words) || fix.contains(words)));
        assert!(found, "no {verdict} {name}: {words:?} in {:#?}", self.checks);
        self
    }

    #[track_caller]
    fn has_no(&self, verdict: &str) -> &Self {
        assert!(self.checks.iter().all(|(v, ..)| v != verdict), "{:#?}", self.checks);
        self
    }
}

/// Beside a provider of a test, with its settings and further ones; what is in `input` on standard input.
async fn doctor_with(provider: &TestProvider, arguments: &[&str], more: &[(&str, &str)], input: &str) -> Outcome {
    let mut variables: Vec<(String, String)> =
        provider.variables().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let arguments: Vec<String> =
        std::iter::once("doctor").chain(arguments.iter().copied()).map(str::to_owned).collect();
    let (folder, input) = (provider.folder.path().to_owned(), input.to_owned());
    // The provider runs on this test's own thread, so the command must not hold it.
    tokio::task::spawn_blocking(move || {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run_with(&folder, &arguments, &variables, &input)
    })
    .await
    .unwrap()
}

async fn doctor(provider: &TestProvider, arguments: &[&str]) -> Findings {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    Findings::of(&doctor_with(provider, &arguments, &[], "").await)
}

/// A server of a test's own; its origin, on localhost.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://localhost:{port}")
}

#[tokio::test]
async fn a_healthy_node_is_found_healthy() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let serve = Serve::start(folder.path(), &database_url, &redis_url);
    let found = Findings::of(&run_with(folder.path(), &["doctor", "--json"], &serve.variables(), ""));
    found.has_no("fault");
    for (name, words) in [
        ("files", "not open to every user"),
        ("keys", "RS256, PS256, ES256, EdDSA sign"),
        ("database", "migrations may make tables"),
        ("database", "the tables may be written"),
        ("migrations", "nothing pending"),
        ("hashes", "can be checked"),
        ("issuer", "answers with its own name"),
        ("clock", "agrees with this machine's"),
        ("proxy", "Host and X-Forwarded headers arrive as the issuer has them"),
        ("proxy", "requests come without a proxy"),
        ("management", "ready"),
    ] {
        found.has("ok", name, words);
    }
    found.has("warning", "settings", "the issuer is http");
    match stores() {
        Stores::Embedded => {
            found.has("ok", "database", "SQLite 3.").has("warning", "settings", "sign-ins live in this process");
        }
        Stores::Servers => {
            found
                .has("ok", "database", "PostgreSQL 1")
                .has("ok", "database", "its clock agrees")
                .has("ok", "redis", "maxmemory-policy is noeviction")
                .has("ok", "redis", "its clock agrees")
                .has("ok", "redis", "keeps nothing on disk")
                .has("ok", "redis", "written, taken and counted");
        }
    }
    // People get lines, and the sum on standard error.
    let outcome = run_with(folder.path(), &["doctor"], &serve.variables(), "");
    assert!(outcome.stdout.lines().any(|line| line.starts_with("ok       issuer")), "{outcome:?}");
    assert!(outcome.stderr.contains("0 faults") && !outcome.stdout.contains('\u{1b}'), "{outcome:?}");
}

#[test]
fn doctor_makes_nothing_where_nothing_is() {
    let folder = folder();
    let variables = [("HALLPASS_ISSUER", format!("http://localhost:{}", free_port()))];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let found = Findings::of(&run_with(folder.path(), &["doctor", "--json"], &variables, ""));
    found.has("warning", "database", "not made yet").has("fault", "keys", "hallpass key new").has(
        "fault",
        "issuer",
        "start `hallpass serve`",
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn ills_of_files_keys_rows_and_migrations_are_named() {
    let provider = TestProvider::start().await;
    let keys = provider.folder.path().join("keys");
    for entry in fs::read_dir(&keys).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("eddsa") {
            fs::remove_file(path).unwrap();
        }
    }
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o777)).unwrap();
    let settings = provider.folder.path().join("hallpass.toml");
    fs::write(&settings, "# redis_url = \"redis://:secret@redis.internal\"\n").unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)).unwrap();
    provider.add(NewClient::new("modern").with("id_token_signed_response_alg", "EdDSA")).await;
    let migrations = provider.folder.path().join("migrations");
    fs::write(migrations.join("20260101000000_one.sql"), "CREATE TABLE one (a INTEGER);").unwrap();
    let found = doctor(&provider, &[]).await;
    found
        .has("fault", "files", "every user of this machine may add a signing key")
        .has("fault", "files", "chmod 640 hallpass.toml")
        .has("fault", "clients", "modern: no key signs with EdDSA")
        .has("warning", "migrations", "1 not applied");
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(run_with(provider.folder.path(), &["migrate"], &variables, "").status, 0);
    fs::write(migrations.join("20260101000000_one.sql"), "CREATE TABLE one (b INTEGER);").unwrap();
    doctor(&provider, &[]).await.has("fault", "migrations", "edited since it was applied");
    fs::remove_file(migrations.join("20260101000000_one.sql")).unwrap();
    doctor(&provider, &[]).await.has("warning", "migrations", "not among the files here");
    if stores() == Stores::Embedded {
        let file = provider.folder.path().join("hallpass.db");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        doctor(&provider, &[]).await.has("fault", "files", "chmod 600");
    }
}

#[tokio::test]
async fn rows_that_cannot_be_served_are_named_with_what_to_write() {
    let provider = TestProvider::start().await;
    provider.add(NewClient::new("words").with("grant_types", "authorization_code implicit")).await;
    provider.add(NewClient::new("later").with("origin", "registration")).await;
    let pairwise = |id: &str| NewClient::new(id).with("subject_type", "pairwise");
    provider.add(pairwise("several").at(&["https://a.example/cb", "https://b.example/cb"])).await;
    provider.add(pairwise("single")).await;
    let found = doctor(&provider, &[]).await;
    found
        .has("fault", "clients", "words: grant_types has the unknown word \"implicit\"")
        .has("fault", "clients", "one of authorization_code, refresh_token, client_credentials, separated by spaces")
        .has("fault", "clients", "later: origin has the unknown word \"registration\"")
        .has("fault", "clients", "several: subject_type is pairwise")
        .has("warning", "clients", "write sector_identifier 'single.example', by a migration");
}

/// What the lint says of a file, in the words of `judge`.
#[tokio::test]
async fn live_rows_are_judged_by_the_rules_of_the_lint() {
    let provider = TestProvider::start().await;
    let sound = NewClient::new("sound").with("backchannel_logout_uri", "https://sound.example/out");
    provider.add(sound).await;
    provider.sql("INSERT INTO client_post_logout_redirect_uris VALUES ('sound', 'https://sound.example/')").await;
    provider.add(NewClient::new("app").public().with("pkce", "optional")).await;
    provider.add(NewClient::new("offline").with("scope", "openid offline_access")).await;
    provider.add(NewClient::new("bare").at(&[])).await;
    provider.add(NewClient::new("wide").at(&["http://wide.example.com/cb"]).with("tos_uri", "ftp://x")).await;
    provider.add(NewClient::new("gone").at(&[]).with("disabled_at", "1")).await;
    let found = doctor(&provider, &[]).await;
    for what in [
        "app is public and may leave PKCE out",
        "offline may ask for offline_access and gets no refresh token",
        "bare has the grant authorization_code and no redirect URI",
        "wide: http://wide.example.com/cb: it is plain http to another machine",
        "wide: ftp://x: ",
        "app is not told when a user signs out elsewhere",
    ] {
        found.has("warning", "clients", what);
    }
    let concerns = |what: &str, id: &str| what.starts_with(&format!("{id} ")) || what.starts_with(&format!("{id}: "));
    for quiet in ["sound", "gone"] {
        assert!(found.checks.iter().all(|(.., what, _)| !concerns(what, quiet)), "{quiet}: {:?}", found.checks);
    }
}

#[tokio::test]
async fn stores_that_do_not_answer_or_do_not_let_us_write_are_named() {
    let folder = folder();
    copy_keys(&folder.path().join("keys"));
    let nowhere = format!("127.0.0.1:{}", free_port());
    let (database_url, redis_url) = (format!("postgres://hallpass@{nowhere}/hallpass"), format!("redis://{nowhere}/"));
    let variables = [("HALLPASS_DATABASE_URL", database_url.as_str()), ("HALLPASS_REDIS_URL", redis_url.as_str())];
    let found = Findings::of(&run_with(folder.path(), &["doctor", "--json"], &variables, ""));
    found.has("fault", "database", "HALLPASS_DATABASE_URL").has("fault", "redis", "HALLPASS_REDIS_URL");

    if stores() == Stores::Servers {
        // A user who may read only, on the database of a provider.
        let provider = TestProvider::start().await;
        let user = format!("reader_{}", free_port());
        provider
            .sql(&format!(
                "CREATE ROLE {user} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}; \
                 REVOKE CREATE ON SCHEMA public FROM PUBLIC"
            ))
            .await;
        let mut url = url::Url::parse(&provider.database_url).unwrap();
        url.set_username(&user).unwrap();
        let more = [("HALLPASS_DATABASE_URL", url.as_str())];
        let found = Findings::of(&doctor_with(&provider, &["--json"], &more, "").await);
        found.has("fault", "database", "migrations cannot make tables").has(
            "fault",
            "database",
            "a node cannot write its tables",
        );
    }
}

/// What `doctor` says beside a provider whose Redis is another one.
async fn doctor_at_redis(provider: &TestProvider, redis_url: &str) -> Findings {
    Findings::of(&doctor_with(provider, &["--json"], &[("HALLPASS_REDIS_URL", redis_url)], "").await)
}

#[tokio::test]
async fn a_redis_that_brings_back_what_was_ended_is_named_and_one_that_does_not_tell_is_no_fault() {
    let provider = TestProvider::start().await;
    for (settings, verdict, words) in [
        (&["--save", "3600 1 300 100"][..], "warning", "snapshots only (save \"3600 1 300 100\")"),
        (&["--save", "3600 1", "--appendonly", "yes"], "ok", "a crash costs the last second at most"),
        (&["--save", "", "--appendonly", "yes", "--appendfsync", "no"], "warning", "set appendfsync everysec"),
        (&["--save", ""], "ok", "keeps nothing on disk"),
    ] {
        let own = redis::Server::persisting(settings);
        doctor_at_redis(&provider, &own.url()).await.has(verdict, "redis", words);
        // A managed one, which forbids CONFIG.
        assert!(own.ask("ACL SETUSER managed on >word ~* &* +@all -config").starts_with("+OK"));
        let managed = format!("redis://managed:word@{}/0", own.address());
        let found = doctor_at_redis(&provider, &managed).await;
        if words.contains("last second") || words.contains("appendfsync") {
            found.has("ok", "redis", "a crash costs the last second at most");
        } else {
            found.has("warning", "redis", "make sure that it has appendonly yes, or keeps nothing at all");
        }
        found.has("ok", "redis", "written, taken and counted");
    }
}

#[tokio::test]
async fn each_node_of_a_redis_cluster_is_asked_and_named() {
    let provider = TestProvider::start().await;
    let cluster = redis::Cluster::start();
    doctor_at_redis(&provider, &cluster.urls()).await.has("ok", "redis", "keeps nothing on disk");
    let node = &cluster.nodes()[1];
    assert!(node.ask("CONFIG SET save \"3600 1\"").starts_with("+OK"));
    let named = format!("the Redis node {} keeps snapshots only", node.address());
    doctor_at_redis(&provider, &cluster.urls()).await.has("warning", "redis", &named);
}

#[tokio::test]
async fn rows_whose_hash_costs_too_much_or_is_none_are_named() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let _ = provider.client("reports").await;
    doctor(&provider, &[]).await.has("ok", "hashes", "1 of users and 1 of clients");
    let with = |parameters: &str| format!("$argon2id$v=19${parameters}$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g");
    for hash in [with("m=4294967295,t=1,p=1"), with("m=1048576,t=16,p=1"), "a password".to_owned()] {
        provider.sql(&format!("UPDATE users SET password_hash = '{hash}' WHERE sub = 'alice-sub'")).await;
        let found = doctor(&provider, &[]).await;
        found.has("fault", "hashes", "users: nothing proves the hash of \"alice\"").has(
            "fault",
            "hashes",
            "hallpass user set-password",
        );
    }
    let hash = with("m=131073,t=1,p=1");
    provider.sql(&format!("UPDATE client_secrets SET secret_hash = '{hash}'")).await;
    doctor(&provider, &[]).await.has("fault", "hashes", "client_secrets: nothing proves the hash of \"reports\"");
}

/// What a proxy does to requests and answers.
#[derive(Clone, Default)]
struct Proxy {
    drops: Vec<&'static str>,
    request_headers: Vec<(&'static str, &'static str)>,
    keeps_host: bool,
    cookie: Option<(&'static str, &'static str)>,
    date: Option<&'static str>,
    body: Option<(String, String)>,
}

/// A provider whose issuer is the proxy in front of it.
async fn behind(proxy: Proxy, settings: &[(&str, &str)]) -> TestProvider {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let settings: Vec<(&str, &str)> = settings.iter().copied().chain([("issuer", issuer.as_str())]).collect();
    let provider = TestProvider::with(&settings).await;
    let address = provider.address;
    let router = Router::new().fallback(move |request: Request| forward(proxy.clone(), address, request));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    provider
}

async fn forward(proxy: Proxy, to: SocketAddr, request: Request) -> Response {
    let path = request.uri().path_and_query().unwrap().as_str();
    let mut headers: HeaderMap = request.headers().clone();
    if !proxy.keeps_host {
        headers.remove(header::HOST);
    }
    for name in proxy.drops {
        headers.remove(name);
    }
    for (name, value) in proxy.request_headers {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let answer = client.get(format!("http://{to}{path}")).headers(headers).send().await.unwrap();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        response.headers_mut().remove(name);
    }
    if let Some((from, to)) = proxy.cookie {
        let cookies: Vec<HeaderValue> = answer.headers().get_all(header::SET_COOKIE).iter().cloned().collect();
        response.headers_mut().remove(header::SET_COOKIE);
        for cookie in cookies {
            let changed = cookie.to_str().unwrap().replace(from, to);
            response.headers_mut().append(header::SET_COOKIE, HeaderValue::try_from(changed).unwrap());
        }
    }
    if let Some(date) = proxy.date {
        response.headers_mut().insert(header::DATE, HeaderValue::from_static(date));
    }
    let mut body = answer.text().await.unwrap();
    if let Some((from, to)) = &proxy.body {
        body = body.replace(from.as_str(), to);
    }
    *response.body_mut() = Body::from(body);
    response
}

#[tokio::test]
async fn what_a_proxy_sends_is_compared_with_the_issuer() {
    let forwarded = Proxy { request_headers: vec![("x-forwarded-for", "203.0.113.9")], ..Proxy::default() };
    let provider = behind(forwarded.clone(), &[]).await;
    provider.client("reports").await;
    let found = doctor(&provider, &[]).await;
    found
        .has_no("fault")
        .has("ok", "proxy", "Host is \"127.0.0.1:")
        .has("warning", "proxy", "HALLPASS_TRUSTED_PROXIES=127.0.0.1")
        .has("ok", "cookies", "arrives as it is set");

    // Whatever header a proxy says it by.
    for (name, value) in [("forwarded", "for=203.0.113.9"), ("via", "1.1 proxy")] {
        let other = Proxy { request_headers: vec![(name, value)], ..Proxy::default() };
        doctor(&behind(other, &[]).await, &[]).await.has("warning", "proxy", "HALLPASS_TRUSTED_PROXIES");
    }
    let provider = behind(Proxy { keeps_host: true, ..forwarded }, &[("trusted_proxies", "127.0.0.0/8")]).await;
    doctor(&provider, &[]).await.has("ok", "proxy", "127.0.0.1 is trusted and says who asks").has(
        "ok",
        "proxy",
        "arrive as the issuer has them",
    );

    let provider = behind(Proxy::default(), &[("trusted_proxies", "127.0.0.0/8")]).await;
    doctor(&provider, &[]).await.has("warning", "proxy", "sends no X-Forwarded-For");

    let https = Proxy { request_headers: vec![("x-forwarded-proto", "https")], ..Proxy::default() };
    doctor(&behind(https, &[]).await, &[]).await.has("ok", "proxy", "X-Forwarded-Proto is \"https\"");
}

#[tokio::test]
async fn a_proxy_that_drops_cookies_or_authorization_is_found() {
    let replacing = Proxy { request_headers: vec![("cookie", "its=own")], ..Proxy::default() };
    doctor(&behind(Proxy::default(), &[]).await, &[]).await.has("ok", "proxy", "Cookie and Authorization arrive");
    doctor(&behind(replacing, &[]).await, &[]).await.has("fault", "proxy", "Cookie does not arrive");
    for (header, words) in
        [("cookie", "Cookie does not arrive: no user can sign in"), ("authorization", "Authorization does not arrive")]
    {
        let provider = behind(Proxy { drops: vec![header], ..Proxy::default() }, &[]).await;
        let found = doctor(&provider, &[]).await;
        found.has("fault", "proxy", words);
        let faults: Vec<_> = found.checks.iter().filter(|(verdict, ..)| verdict == "fault").collect();
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
}

#[tokio::test]
async fn networks_that_are_trusted_without_need_are_named() {
    for (trusted, wide) in [
        ("10.0.0.0/8", Some("10.0.0.0/8")),
        ("10.0.3.0/24,172.16.0.0/23", Some("172.16.0.0/23")),
        ("fd00::/48", Some("fd00::/48")),
        ("10.0.3.0/24,fd00::/64,192.0.2.7,127.0.0.0/8", None),
    ] {
        let more = [("HALLPASS_TRUSTED_PROXIES", trusted)];
        let found = Findings::of(&doctor_with(&TestProvider::start().await, &["--json"], &more, "").await);
        let named: Vec<&str> = found
            .checks
            .iter()
            .filter(|(.., what, _)| what.starts_with("any machine of "))
            .map(|check| check.2.as_str())
            .collect();
        assert_eq!(named.len(), usize::from(wide.is_some()), "{trusted}: {named:?}");
        if let Some(wide) = wide {
            found.has("warning", "settings", &format!("any machine of {wide} is trusted"));
        }
    }
}

#[tokio::test]
async fn secrets_that_end_soon_or_have_ended_are_named_unless_another_one_is_good() {
    let provider = TestProvider::start().await;
    let now = provider.provider.now().0;
    let day = 86_400;
    // The clock of the command is that of the machine.
    for (id, ends) in [
        ("lasting", &[0][..]),
        ("replaced", &[now - day, 0]),
        ("handed-over", &[now + day, now + 90 * day]),
        ("soon", &[now - day, now + 10 * day + 60]),
        ("over", &[now - 3 * day - 60]),
    ] {
        provider.add(NewClient::new(id)).await;
        provider.sql(&format!("DELETE FROM client_secrets WHERE client_id = '{id}'")).await;
        for (number, end) in ends.iter().enumerate() {
            let hash = format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2gt{number}");
            provider
                .sql(&format!(
                    "INSERT INTO client_secrets (client_id, secret_hash, client_secret_expires_at) VALUES ('{id}', '{hash}', {end})"
                ))
                .await;
        }
    }
    let found = doctor(&provider, &[]).await;
    found
        .has("warning", "secrets", "the last secret of soon ends in 10 days")
        .has("warning", "secrets", "hallpass client rotate-secret soon")
        .has("fault", "secrets", "the last secret of over ended 3 days ago")
        .has("ok", "secrets", "3 clients");
    assert_eq!(found.checks.iter().filter(|(_, name, ..)| name == "secrets").count(), 3, "{:?}", found.checks);
}

/// With Redis away, nothing else is named as the cause.
#[tokio::test]
async fn without_redis_it_is_redis_that_is_blamed() {
    let folder = folder();
    let own = redis::Server::start();
    let (database_url, _) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    fs::create_dir(folder.path().join("migrations")).unwrap();
    fs::write(
        folder.path().join("migrations/20261201090000_app.sql"),
        "INSERT INTO clients (client_id, token_endpoint_auth_method) VALUES ('app', 'none');\n\
         INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('app', 'https://app.example/cb');\n",
    )
    .unwrap();
    let serve = Serve::start(folder.path(), &database_url, &own.url());
    let ask = || Findings::of(&run_with(folder.path(), &["doctor", "--json"], &serve.variables(), ""));
    ask().has_no("fault").has("ok", "cookies", "arrives as it is set");
    own.stop();
    let found = ask();
    found
        .has("fault", "redis", &format!("HALLPASS_REDIS_URL: connection refused at {}", own.address()))
        .has("fault", "cookies", "no sign-in starts without Redis")
        .has("fault", "management", "start Redis")
        .has("ok", "database", "the tables may be written")
        .has("ok", "issuer", "answers with its own name");
    let blamed: BTreeSet<&str> =
        found.checks.iter().filter(|(verdict, ..)| verdict == "fault").map(|check| check.1.as_str()).collect();
    assert_eq!(blamed, BTreeSet::from(["redis", "cookies", "management"]), "{:#?}", found.checks);
}

/// No stranger is told what reaches a node.
#[tokio::test]
async fn a_node_tells_no_stranger_what_reaches_it() {
    let provider = TestProvider::start().await;
    for question in ["", "x", "nonce.", "nonce.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let answer = provider.get("/.well-known/openid-configuration", &[("hallpass-doctor", question)]).await.ok();
        assert_eq!(answer.header("hallpass-doctor"), None, "{question:?}");
    }
}

#[tokio::test]
async fn ills_of_a_proxy_are_named() {
    let flags = Proxy { cookie: Some(("Path=/", "Path=/auth")), ..Proxy::default() };
    let provider = behind(flags, &[]).await;
    provider.client("reports").await;
    doctor(&provider, &[]).await.has("fault", "cookies", "proxy_cookie_path");

    let old = Proxy { date: Some("Tue, 01 Jan 2019 00:00:00 GMT"), ..Proxy::default() };
    doctor(&behind(old, &[]).await, &[]).await.has("fault", "clock", "NTP");

    let inner = Proxy { body: Some(("/token\"".into(), "/inner/token\"".into())), ..Proxy::default() };
    doctor(&behind(inner, &[]).await, &[]).await.has_no("fault");
    let rewriting = Proxy { body: Some(("http://localhost".into(), "http://inner".into())), ..Proxy::default() };
    doctor(&behind(rewriting, &[]).await, &[]).await.has("fault", "issuer", "says that the issuer is \"http://inner");

    // A proxy that strips the issuer's path, and one that leads to the management listener.
    let stripped = serve(Router::new().route("/health/ready", get(async || "ready"))).await;
    let provider = TestProvider::with(&[("issuer", &format!("{stripped}/auth"))]).await;
    doctor(&provider, &[]).await.has("fault", "issuer", "pass every path below /auth");
    let open = serve(
        Router::new()
            .route("/health/ready", get(async || "ready"))
            .route("/.well-known/openid-configuration", get(async || json!({"issuer": "x"}).to_string())),
    )
    .await;
    let provider = TestProvider::with(&[("issuer", &open)]).await;
    doctor(&provider, &[]).await.has("fault", "management", "is publicly reachable");
}

#[tokio::test]
async fn a_sound_provider_is_found_sound() {
    let provider = TestProvider::with(&[("issuer", "/auth")]).await;
    let discovery = provider.url("/.well-known/openid-configuration");
    for url in [provider.issuer.as_str(), &discovery] {
        let found = doctor(&provider, &[url]).await;
        found.has_no("fault").has_no("warning");
        for (name, words) in [
            ("issuer", "as it was asked for"),
            ("members", "every required member"),
            ("endpoints", "https, or on this machine"),
            ("algorithms", "RS256"),
            ("pkce", "S256"),
            ("flows", "iss"),
            ("defaults", "nothing is left out"),
            ("rfc8414", "agrees"),
            ("jwks", "4 keys public"),
            ("jwks", "3600 seconds"),
            ("clock", "agrees"),
        ] {
            found.has("ok", name, words);
        }
    }
    let seen = doctor_with(&provider, &[&provider.issuer], &[], "").await;
    assert_eq!(seen.stderr, "13 ok, 0 warnings, 0 faults\n");
    let origin = provider.issuer.strip_suffix("/auth").unwrap();
    insta::assert_snapshot!(seen.stdout.replace(origin, "ORIGIN"), @r"
    ok       discovery   ORIGIN/auth/.well-known/openid-configuration answers
    ok       clock       its clock agrees with this machine's
    ok       issuer      ORIGIN/auth, as it was asked for
    ok       members     every required member is there
    ok       endpoints   7 are https, or on this machine
    ok       algorithms  RS256, PS256, ES256, EdDSA
    ok       pkce        S256 is supported, and services can see it
    ok       flows       response types code
    ok       flows       its answers say who they are from (iss)
    ok       defaults    nothing is left out whose default bites
    ok       rfc8414     ORIGIN/.well-known/oauth-authorization-server/auth agrees
    ok       jwks        4 keys public, each with a kid of its own, none too small
    ok       jwks        services may keep it for 3600 seconds
    ");
}

/// Any provider, however it is wrong: each ill has its line.
#[tokio::test]
async fn every_ill_of_a_provider_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let document = json!({
        "issuer": format!("{origin}/"),
        "authorization_endpoint": "http://id.example.com/authorize",
        "token_endpoint": "/token",
        "jwks_uri": format!("{origin}/jwks"),
        "response_types_supported": ["token"],
        "scopes_supported": ["email"],
        "id_token_signing_alg_values_supported": ["ES256", "none"],
        "code_challenge_methods_supported": ["plain"],
    });
    let weak = URL_SAFE_NO_PAD.encode([0xff; 128]);
    let keys = json!({"keys": [
        {"kty": "RSA", "kid": "one", "n": weak, "e": "AQAB", "d": "AQAB", "alg": "ES256"},
        {"kty": "RSA", "kid": "one", "n": URL_SAFE_NO_PAD.encode([0xff; 256]), "e": "AQAB"},
        {"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xfe; 256]), "e": "AQAB"},
    ]});
    let other = json!({"issuer": "https://other.example"});
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(async move || document.to_string()))
        .route("/.well-known/oauth-authorization-server", get(async move || other.to_string()))
        .route("/jwks", get(async move || keys.to_string()));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let found = Findings::of(&run_outside(&["doctor", &origin, "--json"]).await);
    found
        .has("warning", "discovery", "application/json")
        .has("fault", "issuer", "the slash at the end is part of the name")
        .has("fault", "members", "subject_types_supported")
        .has("warning", "members", "userinfo_endpoint")
        .has("fault", "members", "lacks openid")
        .has("fault", "endpoints", "authorization_endpoint is plain http")
        .has("fault", "endpoints", "token_endpoint is no absolute URL")
        .has("warning", "endpoints", "id.example.com")
        .has("fault", "algorithms", "RS256 is not among")
        .has("fault", "algorithms", "without a signature")
        .has("fault", "pkce", "S256 is not among plain")
        .has("fault", "flows", "code is not among token")
        .has("warning", "flows", "RFC 9207")
        .has("warning", "defaults", "request_uri_parameter_supported")
        .has("fault", "rfc8414", "another issuer")
        .has("fault", "jwks", "one is there twice")
        .has("fault", "jwks", "has no kid")
        .has("fault", "jwks", "private members d")
        .has("fault", "jwks", "1024 bits")
        .has("fault", "jwks", "of the type RSA and says alg ES256")
        .has("fault", "jwks", "ES256 is on offer, but there is no key for it")
        .has("warning", "jwks", "how long it may be kept");
    // By its discovery URL the slash is what it is.
    let url = format!("{origin}/.well-known/openid-configuration");
    Findings::of(&run_outside(&["doctor", &url, "--json"]).await).has("ok", "issuer", "exactly as here");
}

/// In an empty folder, with every default.
async fn run_outside(arguments: &[&str]) -> Outcome {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        let folder = folder();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let outcome = run(folder.path(), &arguments);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
        outcome
    })
    .await
    .unwrap()
}

fn redirect(to: &str, cookie: &str) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(to).unwrap());
    response.headers_mut().insert(header::SET_COOKIE, HeaderValue::try_from(cookie).unwrap());
    response
}

#[tokio::test]
async fn a_service_is_looked_at_from_outside() {
    let provider = "https://id.example.com/authorize?response_type=code&client_id=reports";
    let sound = format!(
        "{provider}&redirect_uri=https%3A%2F%2Freports.example.com%2Fcb&scope=openid&state=s&nonce=n&code_challenge=c&code_challenge_method=S256"
    );
    let poor =
        format!("{provider}&redirect_uri=http%3A%2F%2Freports.example.com%2Fcb&scope=email&response_mode=form_post");
    let router = Router::new()
        .route("/", get(async || redirect("/login", "theme=dark; Path=/")))
        .route("/login", get(async move || redirect(&sound, "correlation=x; HttpOnly; Secure; SameSite=Lax")))
        .route("/poor", get(async move || redirect(&poor, "correlation=x; SameSite=Lax")))
        .route(
            "/strict",
            get(async || {
                redirect(
                    "https://id.example.com/authorize?response_type=code",
                    "s=x; Secure; HttpOnly; SameSite=Strict",
                )
            }),
        )
        .route("/away", get(async || redirect("https://elsewhere.example/?secret=1", "a=b; SameSite=None")))
        .route("/circle", get(async || redirect("/circle", "a=b")))
        .route("/form-post", post(async || "taken"))
        .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/callback", get(async || StatusCode::BAD_REQUEST));
    let origin = serve(router).await;
    let look = async |path: &str| Findings::of(&run_outside(&["doctor", &format!("{origin}{path}"), "--json"]).await);
    look("/")
        .await
        .has_no("fault")
        .has("ok", "address", "starts a sign-in at https://id.example.com/authorize as reports")
        .has("ok", "address", "PKCE")
        .has("ok", "address", "the cookie correlation comes back");
    look("/poor")
        .await
        .has("fault", "address", "it does not know that a proxy speaks https for it")
        .has("fault", "address", "it sends no state")
        .has("warning", "address", "no PKCE")
        .has("warning", "address", "lacks openid")
        .has("fault", "address", "does not come back with a form_post")
        .has("warning", "address", "read by scripts");
    look("/strict").await.has("fault", "address", "SameSite=Strict");
    let away = look("/away").await;
    away.has("ok", "address", "leads to https://elsewhere.example/").has(
        "fault",
        "address",
        "SameSite=None without Secure",
    );
    assert!(away.checks.iter().all(|(.., what, _)| !what.contains("secret")), "queries are not shown");
    look("/circle").await.has("fault", "address", "redirects in a loop");
    look("/form-post").await.has_no("fault").has("ok", "address", "POST only");
    look("/broken").await.has("warning", "address", "500");
    look("/callback").await.has_no("fault").has("ok", "address", "400");
    look("/missing").await.has("fault", "address", "there is nothing there");
    let closed = format!("http://localhost:{}/", free_port());
    Findings::of(&run_outside(&["doctor", &closed, "--json"]).await).has("fault", "address", "DNS");
}

#[tokio::test]
async fn every_address_of_a_registered_client_is_looked_at() {
    let provider = TestProvider::start().await;
    let origin = serve(Router::new().route("/callback", get(async || StatusCode::BAD_REQUEST))).await;
    let listener = LogoutListener::start().await;
    let (callback, missing) = (format!("{origin}/callback"), format!("{origin}/missing"));
    let client = NewClient::new("reports")
        .at(&[&callback])
        .leaving_to(&missing)
        .with("frontchannel_logout_uri", &missing)
        .with("backchannel_logout_uri", &listener.uri);
    provider.add(client).await;
    let found = doctor(&provider, &["--client", "reports"]).await;
    found
        .has("ok", "client", "registered")
        .has("ok", "redirect_uri", "answers 400")
        .has("fault", "post_logout_redirect_uri", "there is nothing there")
        .has("fault", "frontchannel_logout_uri", "there is nothing there")
        .has("fault", "backchannel_logout_uri", "answers 200 to what is no logout token");
    listener.answer(400);
    doctor(&provider, &["--client", "reports"]).await.has("ok", "backchannel_logout_uri", "with 400");
    listener.answer(401);
    doctor(&provider, &["--client", "reports"]).await.has("warning", "backchannel_logout_uri", "401");

    let app = NewClient::new("app").public().with("application_type", "native").at(&["com.example.app:/callback"]);
    provider.add(app).await;
    doctor(&provider, &["--client", "app"]).await.has("ok", "redirect_uri", "opened by an app").has(
        "warning",
        "backchannel_logout_uri",
        "does not hear of a sign-out",
    );
    let outcome = doctor_with(&provider, &["--client", "nobody"], &[], "").await;
    assert!(outcome.status == 1 && outcome.stderr.contains("no client \"nobody\""), "{outcome:?}");
}

/// Front-Channel Logout between sites: among our own rows, and at one client that is asked about.
#[tokio::test]
async fn a_front_channel_on_another_site_is_named_where_there_is_no_back_channel() {
    let provider = TestProvider::start().await;
    let listener = LogoutListener::start().await;
    let origin = serve(Router::new().route("/out", get(async || "told"))).await;
    let there = origin.replace("127.0.0.1", "localhost") + "/out";
    let here = origin.replace("localhost", "127.0.0.1") + "/out";
    assert!(provider.issuer.starts_with("http://127.0.0.1:") && here != there);
    listener.answer(400);
    for (id, frame, message) in [
        ("other", there.as_str(), None),
        ("same", here.as_str(), None),
        ("both", there.as_str(), Some(listener.uri.as_str())),
        ("none", "com.example.app:/out", None),
    ] {
        let client = NewClient::new(id).at(&[&here]).with("frontchannel_logout_uri", frame);
        let client = message.into_iter().fold(client, |client, uri| client.with("backchannel_logout_uri", uri));
        provider.add(client).await;
    }
    let gone = NewClient::new("gone").with("frontchannel_logout_uri", &there).with("disabled_at", "1");
    provider.add(gone).await;
    let found = doctor(&provider, &[]).await;
    found.has("warning", "clients", "other: frontchannel_logout_uri").has("warning", "clients", "another site");
    let told: Vec<&String> =
        found.checks.iter().map(|(.., what, _)| what).filter(|what| what.contains("another site")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let one = async |id: &str| doctor(&provider, &["--client", id]).await;
    one("other").await.has("warning", "frontchannel_logout_uri", "another site");
    one("both").await.has("ok", "frontchannel_logout_uri", "its back channel tells it");
    for quiet in ["same", "none"] {
        let found = one(quiet).await;
        assert!(found.checks.iter().all(|(.., what, _)| !what.contains("another site")), "{quiet}");
    }
}

/// RFC 8252 section 7.3: there is a port and a listener only while the application signs in.
#[tokio::test]
async fn a_loopback_address_of_a_native_client_is_the_persons_own_and_no_fault() {
    let provider = TestProvider::start().await;
    let app = NewClient::new("app").public().with("application_type", "native").with("consent", "skip");
    let app = app
        .at(&["http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost:1/callback"])
        .leaving_to("http://127.0.0.1/signed-out");
    provider.add(app).await;
    let found = doctor(&provider, &["--client", "app"]).await;
    found.has_no("fault").has("ok", "redirect_uri", "on the user's own machine");
    found.has("ok", "post_logout_redirect_uri", "on the user's own machine");
    // The row promises something else.
    found.has("warning", "consent", "RFC 8252");
    // A service on the web that is developed on this machine should answer here.
    provider.add(NewClient::new("web").at(&["http://127.0.0.1:1/callback"])).await;
    doctor(&provider, &["--client", "web"]).await.has("fault", "redirect_uri", "127.0.0.1:1");
}

/// Checks a token at a provider; nothing of it may be printed.
async fn checked(provider: &TestProvider, token: &str, more: &[&str]) -> Findings {
    let arguments: Vec<&str> =
        [provider.issuer.as_str(), "--token", "-", "--json"].into_iter().chain(more.iter().copied()).collect();
    let outcome = doctor_with(provider, &arguments, &[], &format!("{token}\n")).await;
    for part in token.split(['.', '\n']).filter(|part| part.len() > 10) {
        assert!(!outcome.stdout.contains(part) && !outcome.stderr.contains(part), "{part}: {outcome:?}");
    }
    Findings::of(&outcome)
}

#[tokio::test]
async fn a_token_is_checked_claim_by_claim() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let tokens = provider.tokens(&UserAgent::new(), &client).await;
    let (id_token, access_token) = (tokens.text("id_token"), tokens.text("access_token"));
    let both = format!("{id_token}\n{access_token}");
    let found = checked(&provider, &both, &["--audience", "reports", "--nonce", "the nonce"]).await;
    found.has_no("fault").has_no("warning");
    for (name, words) in [
        ("form", "signed JWT"),
        ("alg", "RS256"),
        ("kid", "one of the provider's"),
        ("signature", "it is the provider's"),
        ("typ", "id_token"),
        ("iss", provider.issuer.as_str()),
        ("aud", "reports"),
        ("exp", "good for another"),
        ("iat", "issued"),
        ("nonce", "the request's"),
        ("at_hash", "issued beside it"),
        ("sub", "there is one"),
    ] {
        found.has("ok", name, words);
    }
    checked(&provider, &id_token, &[])
        .await
        .has_no("fault")
        .has("warning", "aud", "--audience")
        .has("warning", "nonce", "--nonce")
        .has("ok", "at_hash", "second line");
    let found = checked(&provider, &format!("{id_token}\nhp_at_another"), &["--audience", "x", "--nonce", "x"]).await;
    found.has("fault", "aud", "not for x").has("fault", "nonce", "another sign-in").has(
        "fault",
        "at_hash",
        "another one",
    );

    // Changed, cut off, and without a signature.
    let (head, signature) = id_token.rsplit_once('.').unwrap();
    let (header, _) = head.split_once('.').unwrap();
    let forged = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims_of(&id_token);
        change(&mut claims);
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
    };
    checked(&provider, &forged(&|claims| claims["sub"] = "mallory".into()), &[]).await.has(
        "fault",
        "signature",
        "does not fit",
    );
    let far = forged(&|claims| {
        claims["iss"] = format!("{}/", claims["iss"].as_str().unwrap()).into();
        claims["iat"] = (claims["iat"].as_i64().unwrap() + 500).into();
        claims["nbf"] = (claims["iat"].as_i64().unwrap() + 500).into();
        claims["exp"] = 1.into();
        claims["aud"] = json!(["reports", "other"]);
        claims.as_object_mut().unwrap().remove("sub");
        claims.as_object_mut().unwrap().remove("sid");
    });
    checked(&provider, &far, &[])
        .await
        .has("fault", "iss", "only the slash at the end differs")
        .has("fault", "iat", "in the future")
        .has("fault", "nbf", "not good for another")
        .has("fault", "exp", "at 1970-01-01T00:00:01Z")
        .has("warning", "azp", "several audiences")
        .has("fault", "sub", "about no user");
    let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), head.split_once('.').unwrap().1);
    checked(&provider, &none, &[]).await.has("fault", "alg", "it is not signed");
    let secret = format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), head.split_once('.').unwrap().1);
    checked(&provider, &secret, &[]).await.has("fault", "alg", "client's secret");
    let stranger =
        format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"x"}"#), head.split_once('.').unwrap().1);
    checked(&provider, &stranger, &[]).await.has("fault", "kid", "not among the provider's keys");

    // What is no JWT.
    checked(&provider, &access_token, &[]).await.has("fault", "form", "/introspect");
    checked(&provider, "a.b.c.d.e", &[]).await.has("fault", "form", "encrypted");
    checked(&provider, "something-opaque", &[]).await.has("fault", "form", "no JWT");
    checked(&provider, "a.b.c", &[]).await.has("fault", "form", "base64url");
}

#[tokio::test]
async fn every_algorithm_of_ours_is_checked() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    for alg in SigningAlgorithm::SUPPORTED {
        let client = NewClient::new(&format!("client-{}", alg.as_str().to_lowercase())).with("consent", "skip");
        let client = provider.add(client.with("id_token_signed_response_alg", alg.as_str())).await;
        let tokens = provider.tokens(&UserAgent::new(), &client).await;
        let both = format!("{}\n{}", tokens.text("id_token"), tokens.text("access_token"));
        let found = checked(&provider, &both, &[]).await;
        found.has_no("fault").has("ok", "signature", "the provider's").has("ok", "at_hash", "issued beside it");
    }
}

#[tokio::test]
async fn jwt_access_tokens_are_told_from_id_tokens() {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("access_token_format", "jwt");
    let client = provider.add(client).await;
    provider.alice().await;
    let token = provider.tokens(&UserAgent::new(), &client).await.text("access_token");
    checked(&provider, &token, &["--audience", &provider.issuer]).await.has_no("fault").has(
        "ok",
        "typ",
        "access token",
    );
    checked(&provider, &token, &["--audience", "reports"]).await.has("fault", "aud", "taken for the other");
}

#[tokio::test]
async fn a_token_is_never_on_the_command_line() {
    let folder = folder();
    let outcome = run(folder.path(), &["doctor", "--token", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"]);
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("could be read by others"), "{outcome:?}");
    for usage in [&["doctor", "--audience", "x"][..], &["doctor", "https://a.example", "https://b.example"]] {
        assert_eq!(run(folder.path(), usage).status, 2, "{usage:?}");
    }
    let outcome = run(folder.path(), &["doctor", "id.example.com"]);
    assert!(outcome.status == 1 && outcome.stderr.contains("Fix: write it as https://"), "{outcome:?}");
    let outcome = run_with(folder.path(), &["doctor", "--token", "-"], &[], "");
    assert!(outcome.status == 1 && outcome.stderr.contains("holds no token"), "{outcome:?}");
    // Without the provider, what can be checked is.
    let variables = [("HALLPASS_ISSUER", format!("http://localhost:{}", free_port()))];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let token =
        format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(r#"{"exp":1}"#));
    let found = Findings::of(&run_with(folder.path(), &["doctor", "--token", "-", "--json"], &variables, &token));
    found.has("fault", "signature", "not checked").has("fault", "exp", "1970-01-01");
}

/// A server with TLS and the certificate of a test: how long it is good for, and when it is not believed.
#[tokio::test]
async fn the_certificate_of_a_provider_is_looked_at() {
    for (days, verdict, words) in
        [(90, "ok", "good for 90 days"), (10, "warning", "in 10 days"), (2, "fault", "in 2 days")]
    {
        let folder = folder();
        let port = free_port();
        let issuer = format!("https://localhost:{port}");
        certificate(folder.path(), days);
        fs::create_dir(folder.path().join(".well-known")).unwrap();
        fs::write(folder.path().join(".well-known/openid-configuration"), json!({"issuer": issuer}).to_string())
            .unwrap();
        let script = format!(
            "import http.server, ssl\n\
             server = http.server.HTTPServer(('127.0.0.1', {port}), http.server.SimpleHTTPRequestHandler)\n\
             context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
             context.load_cert_chain('certificate.pem', 'key.pem')\n\
             server.socket = context.wrap_socket(server.socket, server_side=True)\n\
             server.serve_forever()\n"
        );
        let mut server = std::process::Command::new("python3")
            .args(["-c", &script])
            .current_dir(folder.path())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        crate::support::remote::until("the server listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        let trusted = [("HALLPASS_OUTBOUND_CA", "certificate.pem")];
        let found = run_with(folder.path(), &["doctor", &issuer, "--json"], &trusted, "");
        let stranger = run_with(
            folder.path(),
            &["doctor", &format!("{issuer}/.well-known/openid-configuration"), "--json"],
            &[],
            "",
        );
        server.kill().unwrap();
        server.wait().unwrap();
        Findings::of(&found).has(verdict, "tls", words);
        Findings::of(&stranger).has("fault", "discovery", "certificate");
    }
}

/// A certificate for `localhost` that signs itself, and its key.
fn certificate(folder: &Path, days: u32) {
    use openssl::asn1::Asn1Time;
    use openssl::bn::BigNum;
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;
    use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
    use openssl::x509::{X509Builder, X509NameBuilder};
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(days).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    // An hour more, so that there is no hurry.
    let end = hallpass::ambient::Clock::System.now().plus(i64::from(days) * 86_400 + 3600);
    builder.set_not_after(&Asn1Time::from_unix(end.0).unwrap()).unwrap();
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    let names = SubjectAlternativeName::new().dns("localhost").build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    fs::write(folder.join("certificate.pem"), builder.build().to_pem().unwrap()).unwrap();
    fs::write(folder.join("key.pem"), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
}
