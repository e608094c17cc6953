//! The stores: every case runs on both lasting ones and on every form of the short-lived one, whatever `TEST_STORES` says.
//!
//! What passes here may be relied on everywhere else without knowing which store it is. `memory.rs` tests by itself
//! what only it does: filling up.

use crate::store_shares::{start, tally};
use crate::support::provider::run_sql;
use crate::support::redis::MASTER_NAME;
use crate::support::remote::until;
use crate::support::{NewClient, NewUser, folder, postgres, redis};
use hallpass::ambient::{Clock, random};
use hallpass::config::{DatabaseUrl, EphemeralUrl};
use hallpass::failure::Failure;
use hallpass::protocol::authorization::Allowed;
use hallpass::protocol::claims_request::ClaimsRequest;
use hallpass::protocol::grant::{Authorization, Grant, SignIn};
use hallpass::protocol::response::{
    AccessTokenFormat, ApplicationType, ClientAuthMethod, ConsentPolicy, GrantType, PkcePolicy, ResponseType,
    SigningAlgorithm, SubjectType,
};
use hallpass::protocol::scope::Scope;
use hallpass::protocol::secret::{AuthorizationCode, Handle};
use hallpass::protocol::time::NumericDate;
use hallpass::store::cache::Directory;
use hallpass::store::db::Db;
use hallpass::store::ephemeral::{Ephemeral, Taken, Tallied};
use hallpass::store::migrations::Migrations;
use hallpass::store::stored::Stored;
use hallpass::store::{clients, codes, consents, users};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Barrier;
use tokio::time::Instant;

/// How many race for one thing.
const RACERS: usize = 64;

const NOW: NumericDate = NumericDate(1_790_000_000);

/// A short-lived store, with the clock of the one that has no clock of its own.
pub struct ShortLived {
    pub name: &'static str,
    pub store: Arc<Ephemeral>,
    pub moved: Arc<AtomicI64>,
}

impl ShortLived {
    pub async fn open(name: &'static str, url: &str, issuer: &str) -> Self {
        let moved = Arc::new(AtomicI64::new(0));
        let store = Ephemeral::open(&ephemeral_url(url), issuer, Clock::Moved(moved.clone())).await;
        let store = Arc::new(store.unwrap_or_else(|error| panic!("{name}: {error}")));
        Self { name, store, moved }
    }

    /// Waits until `seconds` later: in process by the moved clock, at Redis by its own.
    async fn until<F: Future<Output = bool>>(&self, seconds: i64, what: &str, is_so: impl FnMut() -> F) {
        self.moved.fetch_add(seconds, Ordering::SeqCst);
        until(&format!("{what} ({})", self.name), is_so).await;
    }
}

fn ephemeral_url(url: &str) -> EphemeralUrl {
    if url.is_empty() { EphemeralUrl::Memory } else { EphemeralUrl::Redis(url.to_owned().into()) }
}

fn sentinel_url(sentinel: &redis::Sentinel) -> String {
    format!("redis+sentinel://{}/{MASTER_NAME}", sentinel.address())
}

pub fn an_issuer() -> String {
    format!("https://{}.example", Handle(random()).text())
}

/// Every form of the short-lived store, with keys that no other test sees.
pub async fn short_lived() -> Vec<ShortLived> {
    let issuer = an_issuer();
    let mut stores = Vec::new();
    for (name, url) in [
        ("in process", String::new()),
        ("Redis", redis::server().url()),
        ("a cluster", redis::cluster().urls()),
        ("behind a Sentinel", sentinel_url(redis::sentinel())),
    ] {
        stores.push(ShortLived::open(name, &url, &issuer).await);
    }
    stores
}

/// What a store gives where `value` is what it has.
pub fn as_read<T: serde::Serialize>(value: T) -> Stored<T> {
    Stored::of(value).unwrap()
}

/// A lasting store with its tables.
pub struct Lasting {
    pub name: &'static str,
    pub db: Db,
    url: String,
    _folder: TempDir,
}

impl Lasting {
    async fn open(name: &'static str, server: Option<&postgres::Server>) -> Self {
        let folder = folder();
        let file = folder.path().join("hallpass.db");
        let (setting, url) = match server {
            None => (DatabaseUrl::Sqlite(PathBuf::from(&file)), format!("sqlite:{}", file.display())),
            Some(server) => {
                let url = server.create_database();
                (DatabaseUrl::Postgres(url.clone().into()), url)
            }
        };
        let db = Db::open(&setting).await.unwrap();
        Migrations::read(None).await.unwrap().apply(&db).await.unwrap();
        Self { name, db, url, _folder: folder }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn sql(&self, sql: &str) {
        run_sql(&self.url, sql).await.unwrap_or_else(|error| panic!("{}: {error}: {sql}", self.name));
    }
}

/// Both lasting stores, fresh.
pub async fn lasting() -> [Lasting; 2] {
    [Lasting::open("SQLite", None).await, Lasting::open("PostgreSQL", Some(postgres::server())).await]
}

/// Lets all go at once, on threads of their own; gives what they came to.
pub async fn race<T: Send + 'static, F>(racers: usize, run: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(racers));
    let running: Vec<_> = (0..racers)
        .map(|racer| {
            let (start, work) = (start.clone(), run(racer));
            tokio::spawn(async move {
                start.wait().await;
                work.await
            })
        })
        .collect();
    let mut results = Vec::new();
    for racer in running {
        results.push(racer.await.unwrap());
    }
    results
}

fn allowing(scope: &str) -> Allowed {
    Allowed { scope: Scope::parse(scope).unwrap(), claims: Vec::new() }
}

fn a_grant() -> Grant {
    Grant {
        authorization: Authorization {
            client_id: "reports".into(),
            scope: Scope::parse("openid email").unwrap(),
            resources: vec!["https://api.example/".into()],
            claims: ClaimsRequest::default(),
            shown: Vec::new(),
            sign_in: Some(SignIn {
                sub: "alice-sub".into(),
                session: Handle([7; 16]),
                auth_time: NOW,
                amr: vec!["pwd".into()],
                acr: "1".into(),
                credential: "mark".into(),
            }),
            authorized_at: NOW,
            confirmation: None,
        },
        redirect_uri: Some("https://reports.example/callback".into()),
        nonce: Some("a \"nonce\"\nwith ünusual letters".into()),
        code_challenge: None,
        expires_at: NOW.plus(60),
    }
}

#[tokio::test]
async fn what_is_put_is_read_until_it_is_replaced_or_deleted() {
    for ShortLived { name, store, .. } in short_lived().await {
        let grant = a_grant();
        store.put("a", &grant, 100).await.unwrap();
        let read: Grant = store.get("a").await.unwrap().unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&grant).unwrap(), "{name}");
        assert_eq!(store.get::<String>("b").await.unwrap(), None, "{name}");

        store.put("a", &"another", 100).await.unwrap();
        assert_eq!(store.get::<String>("a").await.unwrap().as_deref(), Some("another"), "{name}");
        store.delete("a").await.unwrap();
        assert_eq!(store.get::<String>("a").await.unwrap(), None, "{name}");
        assert_eq!(store.spend::<String>("a", 100).await.unwrap(), Taken::Missing, "{name}");
        // To delete what is not there is no fault.
        store.delete("a").await.unwrap();
    }
}

#[tokio::test]
async fn what_is_put_is_gone_when_its_time_is_over() {
    let stores = short_lived().await;
    for ShortLived { name, store, .. } in &stores {
        store.put("short", &1, 2).await.unwrap();
        store.put("long", &2, 100).await.unwrap();
        store.put("renewed", &3, 2).await.unwrap();
        store.put("renewed", &4, 100).await.unwrap();
        assert_eq!(store.get::<i64>("short").await.unwrap(), Some(1), "{name}");
    }
    for here in &stores {
        let store = &here.store;
        here.until(2, "it is gone", async || store.get::<i64>("short").await.unwrap().is_none()).await;
        assert_eq!(store.spend::<i64>("short", 100).await.unwrap(), Taken::Missing, "{}", here.name);
        assert_eq!(store.get::<i64>("long").await.unwrap(), Some(2), "{}", here.name);
        assert_eq!(store.get::<i64>("renewed").await.unwrap(), Some(4), "{}", here.name);
    }
}

/// A record is short, the memory of its end is long: what is not taken does not fill the store.
#[tokio::test]
async fn what_is_spent_is_remembered_for_a_time_of_its_own() {
    let stores = short_lived().await;
    for ShortLived { name, store, .. } in &stores {
        assert_eq!(store.spend::<i64>("a", 100).await.unwrap(), Taken::Missing, "{name}");
        for key in ["a", "b", "c"] {
            store.put(key, &1, 2).await.unwrap();
        }
        assert_eq!(store.spend::<i64>("a", 100).await.unwrap(), Taken::Fresh(1), "{name}");
        assert_eq!(store.spend::<i64>("a", 100).await.unwrap(), Taken::Spent, "{name}");
        // No caller takes a tombstone for a record, or puts anything in its place.
        assert_eq!(store.get::<i64>("a").await.unwrap(), None, "{name}");
        assert!(!store.replace("a", &as_read(1), &2, 100).await.unwrap(), "{name}");
        assert!(!store.replace("a", &as_read(""), &"x", 100).await.unwrap(), "{name}");
        assert_eq!(store.spend::<i64>("c", 100).await.unwrap(), Taken::Fresh(1), "{name}");
        assert_eq!(store.spend::<i64>("c", 100).await.unwrap(), Taken::Spent, "{name}");
    }
    for here in &stores {
        let store = &here.store;
        let gone = async || store.get::<i64>("b").await.unwrap().is_none();
        here.until(2, "what was not taken is gone", gone).await;
        for key in ["a", "c"] {
            assert_eq!(store.spend::<i64>(key, 100).await.unwrap(), Taken::Spent, "{}: {key}", here.name);
        }
    }
}

#[tokio::test]
async fn replace_changes_only_what_was_read() {
    let stores = short_lived().await;
    for ShortLived { name, store, .. } in &stores {
        assert!(!store.replace("a", &as_read("one"), &"two", 100).await.unwrap(), "{name}");
        assert_eq!(store.get::<String>("a").await.unwrap(), None, "{name}");
        store.put("a", &"one", 2).await.unwrap();
        assert!(!store.replace("a", &as_read("three"), &"two", 100).await.unwrap(), "{name}");
        assert_eq!(store.get::<String>("a").await.unwrap().as_deref(), Some("one"), "{name}");
        assert!(store.replace("a", &as_read("one"), &"two", 100).await.unwrap(), "{name}");
        store.put("b", &"one", 100).await.unwrap();
        assert!(store.replace("b", &as_read("one"), &"two", 2).await.unwrap(), "{name}");
    }
    for here in &stores {
        let store = &here.store;
        here.until(2, "the new time is over", async || store.get::<String>("b").await.unwrap().is_none()).await;
        assert_eq!(store.get::<String>("a").await.unwrap().as_deref(), Some("two"), "{}", here.name);
    }
}

#[tokio::test]
async fn two_issuers_share_a_redis_without_seeing_each_other() {
    for url in [redis::server().url(), redis::cluster().urls(), sentinel_url(redis::sentinel())] {
        let one = ShortLived::open("one", &url, &an_issuer()).await.store;
        let other = ShortLived::open("other", &url, &an_issuer()).await.store;
        one.put("a", &1, 100).await.unwrap();
        assert_eq!(other.get::<i64>("a").await.unwrap(), None, "{url}");
        assert_eq!(other.spend::<i64>("a", 100).await.unwrap(), Taken::Missing, "{url}");
        assert_eq!(one.spend::<i64>("a", 100).await.unwrap(), Taken::Fresh(1), "{url}");
    }
}

/// RFC 6749 section 10.5; RFC 9700 section 2.1.1. This test must never be removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixty_four_who_redeem_one_code_one_wins_on_every_store() {
    for ShortLived { name, store, .. } in short_lived().await {
        for _ in 0..5 {
            let code = AuthorizationCode::from_random(&random::<32>());
            codes::issue(&store, &code, &a_grant(), 100).await.unwrap();
            let results = race(RACERS, |_| {
                let (store, code) = (store.clone(), code.clone());
                async move { codes::redeem(&store, &code, "reports", 100).await.unwrap().1 }
            })
            .await;
            let fresh = results.iter().filter(|taken| matches!(taken, Taken::Fresh(_))).count();
            let spent = results.iter().filter(|taken| matches!(taken, Taken::Spent)).count();
            assert_eq!((fresh, spent), (1, RACERS - 1), "{name}");
        }
    }
}

/// Section 4 of RFC 6749's threat model, RFC 6819 section 4.4.1.3: a stranger must not be able to burn it.
#[tokio::test]
async fn a_code_that_another_client_shows_is_neither_found_nor_burned() {
    for ShortLived { name, store, .. } in short_lived().await {
        let code = AuthorizationCode::from_random(&random::<32>());
        codes::issue(&store, &code, &a_grant(), 100).await.unwrap();
        let (_, taken) = codes::redeem(&store, &code, "stranger", 100).await.unwrap();
        assert!(matches!(taken, Taken::Missing), "{name}");
        let (_, taken) = codes::redeem(&store, &code, "reports", 100).await.unwrap();
        assert!(matches!(taken, Taken::Fresh(grant) if grant.authorization.sub() == Some("alice-sub")), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_verb_that_decides_decides_for_one_of_sixty_four() {
    for ShortLived { name, store, .. } in short_lived().await {
        let store = &store;
        let winners = |results: Vec<bool>| results.into_iter().filter(|won| *won).count();
        store.put("state", &"before", 100).await.unwrap();
        let replaced = race(RACERS, |racer| {
            let store = store.clone();
            async move {
                store.replace("state", &as_read("before".to_owned()), &format!("after {racer}"), 100).await.unwrap()
            }
        });
        assert_eq!(winners(replaced.await), 1, "replace, {name}");

        let counted = race(RACERS, |_| {
            let store = store.clone();
            async move { store.tally("tries", &[tally("tries", 100, 10, 1)]).await.unwrap() }
        });
        let counted: Vec<bool> =
            counted.await.into_iter().map(|tallied| matches!(tallied, Tallied::Counted(_))).collect();
        assert_eq!(winners(counted), 10, "tally, {name}");

        store.start(&start("one", "network"), &1).await.unwrap();
        let taken = race(RACERS, |_| {
            let store = store.clone();
            async move { store.take_started::<i64>("one").await.unwrap() == Taken::Fresh(1) }
        });
        assert_eq!(winners(taken.await), 1, "take_started, {name}");

        store.put("session", &1, 100).await.unwrap();
        let removed = race(RACERS, |_| {
            let store = store.clone();
            async move { store.remove::<i64>("session").await.unwrap().is_some() }
        });
        assert_eq!(winners(removed.await), 1, "remove, {name}");

        let marked = race(RACERS, |_| {
            let store = store.clone();
            async move { store.mark("ended", 100).await.unwrap() }
        });
        assert_eq!(winners(marked.await), 1, "mark, {name}");
    }
}

#[tokio::test]
async fn a_redis_that_went_away_is_found_again() {
    let server = redis::Server::start();
    let here = ShortLived::open("Redis", &server.url(), &an_issuer()).await;
    here.store.put("a", &1, 100).await.unwrap();
    server.stop();
    let asked = Instant::now();
    assert!(here.store.get::<i64>("a").await.is_err());
    // The caller is told, and not kept waiting.
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
    server.start_again();
    until("it is found again", async || here.store.put("a", &2, 100).await.is_ok()).await;
    assert_eq!(here.store.get::<i64>("a").await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_master_that_dies_is_replaced_by_the_sentinel() {
    let sentinel = redis::Sentinel::start();
    let here = ShortLived::open("behind a Sentinel", &sentinel_url(&sentinel), &an_issuer()).await;
    here.store.put("before", &1, 100).await.unwrap();
    sentinel.wait_for_the_replica();
    sentinel.lose_master();
    until("the new master is found", async || here.store.put("after", &2, 100).await.is_ok()).await;
    assert_eq!(here.store.spend::<i64>("before", 100).await.unwrap(), Taken::Fresh(1));
    assert_eq!(here.store.spend::<i64>("before", 100).await.unwrap(), Taken::Spent);
    assert_eq!(here.store.get::<i64>("after").await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_master_that_steps_down_is_left_for_the_new_one() {
    let sentinel = redis::Sentinel::start();
    let here = ShortLived::open("behind a Sentinel", &sentinel_url(&sentinel), &an_issuer()).await;
    here.store.put("before", &1, 100).await.unwrap();
    sentinel.fail_over();
    until("the new master is found", async || here.store.put("after", &2, 100).await.is_ok()).await;
    assert_eq!(here.store.get::<i64>("after").await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_redis_that_may_evict_what_is_live_is_refused_with_the_fix() {
    let server = redis::Server::start();
    let url = ephemeral_url(&server.url());
    for policy in ["allkeys-lru", "volatile-ttl", "volatile-random", "allkeys-lfu"] {
        assert!(server.ask(&format!("CONFIG SET maxmemory-policy {policy}")).starts_with("+OK"));
        let Err(error) = Ephemeral::open(&url, &an_issuer(), Clock::System).await else {
            panic!("{policy} was accepted")
        };
        // Waiting would not help.
        assert!(!error.may_pass(), "{policy}");
        assert_eq!(Failure::from(error).fix(), Some("set maxmemory-policy noeviction"));
    }
    server.ask("CONFIG SET maxmemory-policy noeviction");
    assert!(Ephemeral::open(&url, &an_issuer(), Clock::System).await.is_ok());
}

#[tokio::test]
async fn a_cluster_of_which_one_node_may_evict_is_refused() {
    let cluster = redis::Cluster::start();
    for node in cluster.nodes() {
        assert!(node.ask("CONFIG SET maxmemory-policy allkeys-lru").starts_with("+OK"));
        let opened = Ephemeral::open(&ephemeral_url(&cluster.urls()), &an_issuer(), Clock::System).await;
        node.ask("CONFIG SET maxmemory-policy noeviction");
        let Err(error) = opened else { panic!("the evicting node was not noticed") };
        assert_eq!(Failure::from(error).fix(), Some("set maxmemory-policy noeviction"));
    }
    assert!(Ephemeral::open(&ephemeral_url(&cluster.urls()), &an_issuer(), Clock::System).await.is_ok());
}

#[tokio::test]
async fn a_person_is_found_by_user_name_or_e_mail_whatever_the_case() {
    for store in lasting().await {
        store.sql(&NewUser::alice().sql()).await;
        store.sql(&NewUser::named("bob").sql()).await;
        for login in ["alice", "ALICE", "alice@example.com", "Alice@Example.COM"] {
            let found = users::find_by_login(&store.db, login).await.unwrap();
            assert_eq!(found.one().map(|user| user.sub).as_deref(), Some("alice-sub"), "{login:?}, {}", store.name);
        }
        for unknown in ["", "alic", "alice ", "%", "_lice", "a*", "alice@example.org", "' OR '1'='1", "alice-sub"] {
            assert!(
                users::find_by_login(&store.db, unknown).await.unwrap().one().is_none(),
                "{unknown:?}, {}",
                store.name
            );
        }
    }
}

/// A sign-in by e-mail works only where the address is unique.
#[tokio::test]
async fn an_e_mail_address_that_several_share_means_no_user_and_a_user_name_wins() {
    for store in lasting().await {
        for name in ["anna", "berta", "clara", "doris", "emma"] {
            store.sql(&NewUser::named(name).with("email", "Team@example.com").sql()).await;
        }
        let found =
            async |login: &str| users::find_by_login(&store.db, login).await.unwrap().one().map(|user| user.sub);
        assert_eq!(found("team@example.com").await, None, "{}", store.name);
        assert_eq!(found("clara").await.as_deref(), Some("clara-sub"), "{}", store.name);
        // A user whose user name the address is, beside so many who only share it.
        store.sql(&NewUser::named("zoe").with("username", "team@example.com").sql()).await;
        assert_eq!(found("TEAM@example.com").await.as_deref(), Some("zoe-sub"), "{}", store.name);
    }
}

#[tokio::test]
async fn a_user_name_is_given_once_whatever_its_case() {
    for store in lasting().await {
        let new = |sub, username| users::NewUser {
            sub,
            username,
            email: "a@example.com",
            email_verified: false,
            may_share_address: true,
            details: users::edit::Details::default(),
            password_hash: "$argon2id$",
            now: NOW,
        };
        let add = async |sub, username| users::add(&store.db, &new(sub, username)).await.unwrap();
        assert!(matches!(add("1", "alice").await, users::Added::Done), "{}", store.name);
        assert!(matches!(add("2", "Alice").await, users::Added::Taken), "{}", store.name);
        assert!(matches!(add("3", "bob").await, users::Added::Done), "{}", store.name);
        assert!(users::find(&store.db, "2").await.unwrap().is_none(), "{}", store.name);
    }
}

/// OpenID Connect Core 5.1.
#[tokio::test]
async fn every_column_of_a_person_is_read_as_its_claim() {
    let texts = [
        "name",
        "given_name",
        "family_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "phone_number",
    ];
    let address = ["formatted", "street_address", "locality", "region", "postal_code", "country"];
    for store in lasting().await {
        let mut user = NewUser::named("alice").with("phone_number_verified_at", "1700000002");
        let mut expected = json!({
            "email": "alice@example.com", "email_verified": true, "phone_number_verified": true,
            "updated_at": 1_700_000_001, "address": {}
        });
        for text in texts {
            user = user.with(text, &format!("Ä's {text}"));
            expected[text] = json!(format!("Ä's {text}"));
        }
        for part in address {
            user = user.with(&format!("address_{part}"), &format!("the {part}"));
            expected["address"][part] = json!(format!("the {part}"));
        }
        store.sql(&user.with("tokens_valid_after", "5").with("disabled_at", "6").sql()).await;
        let found = users::find(&store.db, "alice-sub").await.unwrap().unwrap();
        assert_eq!(serde_json::Value::Object(found.claims), expected, "{}", store.name);
        assert_eq!(found.username.as_deref(), Some("alice"), "{}", store.name);
        assert_eq!((found.tokens_valid_after, found.disabled_at), (Some(NumericDate(5)), Some(NumericDate(6))));
        assert!(found.password_hash.unwrap().starts_with("$argon2id$"));

        store.sql("INSERT INTO users (sub) VALUES ('bare')").await;
        let bare = users::find(&store.db, "bare").await.unwrap().unwrap();
        assert!(bare.claims.is_empty() && bare.password_hash.is_none() && bare.username.is_none(), "{}", store.name);
    }
}

#[tokio::test]
async fn every_column_of_a_client_is_read() {
    for store in lasting().await {
        let client = NewClient::new("reports")
            .with("application_type", "native")
            .with("token_endpoint_auth_method", "client_secret_post")
            .with("grant_types", "authorization_code refresh_token")
            .with("response_types", "code")
            .with("scope", "openid address")
            .with("id_token_signed_response_alg", "EdDSA")
            .with("pkce", "optional")
            .with("consent", "skip")
            .with("access_token_format", "jwt")
            .with("claims_in_id_token", "yes")
            .with("subject_type", "pairwise")
            .with("sector_identifier", "example.com")
            .with("default_max_age", "1")
            .with("code_lifetime", "30")
            .with("access_token_lifetime", "31")
            .with("id_token_lifetime", "32")
            .with("client_uri", "https://reports.example/")
            .with("policy_uri", "https://reports.example/policy")
            .with("tos_uri", "https://reports.example/tos")
            .with("initiate_login_uri", "https://reports.example/login")
            .with("tokens_valid_after", "5")
            .with("disabled_at", "6")
            .at(&["https://b.example/cb", "https://a.example/cb?x=1"])
            .leaving_to("https://reports.example/bye");
        store.sql(&client.sql().0).await;
        store
            .sql("INSERT INTO client_secrets (client_id, secret_hash, client_secret_expires_at) VALUES ('reports', '$argon2id$x', 9)")
            .await;
        let found = clients::find(&store.db, "reports").await.unwrap().unwrap();
        assert_eq!(found.client_id, "reports");
        assert_eq!(found.client_name, "The reports service");
        assert_eq!(found.application_type, ApplicationType::Native);
        assert_eq!(found.token_endpoint_auth_method, ClientAuthMethod::ClientSecretPost);
        assert!(found.grant_types.contains(&GrantType::AuthorizationCode), "{}", store.name);
        assert_eq!(found.response_types, [ResponseType::Code]);
        assert_eq!(found.scope.to_string(), "openid address");
        assert_eq!(found.id_token_signed_response_alg, SigningAlgorithm::EdDsa);
        assert_eq!((found.pkce, found.consent), (PkcePolicy::Optional, ConsentPolicy::Skip));
        assert_eq!(found.access_token_format, AccessTokenFormat::Jwt);
        assert!(found.claims_in_id_token);
        assert_eq!(found.subject_type, SubjectType::Pairwise);
        assert_eq!(found.sector_identifier.as_deref(), Some("example.com"));
        assert_eq!(found.default_max_age, Some(1));
        let lifetimes = found.lifetimes;
        assert_eq!((lifetimes.code, lifetimes.access_token, lifetimes.id_token), (Some(30), Some(31), Some(32)));
        assert_eq!(found.client_uri.as_deref(), Some("https://reports.example/"));
        assert_eq!(found.policy_uri.as_deref(), Some("https://reports.example/policy"));
        assert_eq!(found.tos_uri.as_deref(), Some("https://reports.example/tos"));
        assert_eq!(found.initiate_login_uri.as_deref(), Some("https://reports.example/login"));
        assert_eq!((found.tokens_valid_after, found.disabled_at), (Some(NumericDate(5)), Some(NumericDate(6))));
        assert_eq!(found.redirect_uris, ["https://a.example/cb?x=1", "https://b.example/cb"]);
        assert_eq!(found.post_logout_redirect_uris, ["https://reports.example/bye"]);
        let mut ends: Vec<_> = found.secrets.iter().map(|secret| secret.expires_at).collect();
        ends.sort();
        assert_eq!(ends, [None, Some(NumericDate(9))], "{}", store.name);
    }
}

/// Only the first column must be given, and the defaults are the safe choice.
#[tokio::test]
async fn a_client_of_whom_only_the_id_is_given_is_safe() {
    for store in lasting().await {
        store.sql("INSERT INTO clients (client_id) VALUES ('bare')").await;
        let found = clients::find(&store.db, "bare").await.unwrap().unwrap();
        assert_eq!(found.token_endpoint_auth_method, ClientAuthMethod::ClientSecretBasic);
        assert_eq!((found.pkce, found.consent), (PkcePolicy::Required, ConsentPolicy::Ask), "{}", store.name);
        assert_eq!(found.scope.to_string(), "openid profile email");
        assert_eq!(found.id_token_signed_response_alg, SigningAlgorithm::Rs256);
        assert_eq!(found.access_token_format, AccessTokenFormat::Opaque);
        assert!(found.redirect_uris.is_empty() && found.secrets.is_empty() && found.disabled_at.is_none());
        for other in ["", "Bare", "bare ", "bar_", "%"] {
            assert!(clients::find(&store.db, other).await.unwrap().is_none(), "{other:?}, {}", store.name);
        }
    }
}

#[tokio::test]
async fn a_consent_grows_with_what_is_allowed_later() {
    for store in lasting().await {
        store.sql(&NewUser::alice().sql()).await;
        store
            .sql("INSERT INTO clients (client_id) VALUES ('one'); INSERT INTO clients (client_id) VALUES ('two')")
            .await;
        let allowed = async |client: &str| {
            consents::find(&store.db, "alice-sub", client).await.unwrap().map(|allowed| allowed.scope.to_string())
        };
        assert_eq!(allowed("one").await, None, "{}", store.name);
        for scope in ["openid email", "email profile"] {
            consents::remember(&store.db, "alice-sub", "one", &allowing(scope), NOW).await.unwrap();
        }
        assert_eq!(allowed("one").await.as_deref(), Some("openid email profile"), "{}", store.name);
        assert_eq!(allowed("two").await, None, "{}", store.name);
        store.sql("DELETE FROM clients WHERE client_id = 'one'").await;
        assert_eq!(allowed("one").await, None, "a client's consents end with it, {}", store.name);
    }
}

/// Several tabs at once are each their own interaction, and each may end with a yes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_consent_of_several_tabs_is_lost() {
    for store in lasting().await {
        store.sql(&NewUser::alice().sql()).await;
        store.sql("INSERT INTO clients (client_id) VALUES ('one')").await;
        race(8, |racer| {
            let (db, scope) = (store.db.clone(), allowing(&format!("scope{racer}")));
            async move { consents::remember(&db, "alice-sub", "one", &scope, NOW).await.unwrap() }
        })
        .await;
        let allowed = consents::find(&store.db, "alice-sub", "one").await.unwrap().unwrap();
        assert_eq!(allowed.scope.tokens().count(), 8, "{allowed:?}, {}", store.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shared_value_is_made_once_by_the_first_writer() {
    for store in lasting().await {
        let values = race(16, |racer| {
            let db = store.db.clone();
            async move { db.shared_value("salt", &format!("value of {racer}")).await.unwrap() }
        })
        .await;
        let different: BTreeSet<&String> = values.iter().collect();
        assert_eq!(different.len(), 1, "{}: {different:?}", store.name);
        assert_eq!(store.db.shared_value("salt", "too late").await.unwrap(), values[0]);
        assert_eq!(store.db.shared_value("another", "new").await.unwrap(), "new");
    }
}

/// Served the moment it is committed, a change is seen within ten seconds.
#[tokio::test]
async fn a_new_client_is_seen_at_once_and_a_change_within_ten_seconds() {
    for store in lasting().await {
        let directory = Directory::new(store.db.clone());
        let name = async |seconds: i64| {
            let found = directory.client("reports", NOW.plus(seconds)).await.unwrap();
            found.map(|client| client.client_name.clone())
        };
        assert_eq!(name(0).await, None, "{}", store.name);
        store.sql("INSERT INTO clients (client_id, client_name) VALUES ('reports', 'One')").await;
        assert_eq!(name(0).await.as_deref(), Some("One"), "{}", store.name);

        store.sql("UPDATE clients SET client_name = 'Two'").await;
        let before = store.db.statements();
        assert_eq!(name(1).await.as_deref(), Some("One"), "what is fresh is not read again, {}", store.name);
        assert_eq!(store.db.statements(), before, "{}", store.name);
        assert_eq!(name(10).await.as_deref(), Some("Two"), "{}", store.name);

        // A request in between sees it even earlier, and waits for nothing.
        store.sql("UPDATE clients SET client_name = 'Three'").await;
        until("the refresh in the background has come", async || name(16).await.as_deref() == Some("Three")).await;

        store.sql("UPDATE clients SET disabled_at = 1").await;
        assert_eq!(name(26).await, None, "{}", store.name);
        store.sql("UPDATE clients SET disabled_at = NULL").await;
        assert_eq!(name(36).await.as_deref(), Some("Three"), "{}", store.name);
        store.sql("DELETE FROM clients").await;
        assert_eq!(name(46).await, None, "{}", store.name);
    }
}

#[tokio::test]
async fn a_person_and_a_consent_are_seen_as_soon_as_a_client() {
    for store in lasting().await {
        let directory = Directory::new(store.db.clone());
        let user = async |seconds: i64| directory.user("alice-sub", NOW.plus(seconds)).await.unwrap();
        let consent = async |seconds: i64| {
            let found = directory.consent("alice-sub", "reports", NOW.plus(seconds)).await.unwrap();
            found.map(|allowed| allowed.scope.to_string())
        };
        assert!(user(0).await.is_none() && consent(0).await.is_none(), "{}", store.name);
        store.sql(&NewUser::alice().sql()).await;
        store.sql("INSERT INTO clients (client_id) VALUES ('reports')").await;
        assert!(user(0).await.is_some(), "{}", store.name);
        let scope = allowing("openid");
        directory.remember_consent("alice-sub", "reports", &scope, NOW).await.unwrap();
        assert_eq!(consent(0).await.as_deref(), Some("openid"), "{}", store.name);
        let more = Allowed { claims: vec!["team".into()], ..allowing("email") };
        directory.remember_consent("alice-sub", "reports", &more, NOW).await.unwrap();
        assert_eq!(consent(0).await.as_deref(), Some("openid email"), "one's own answer counts at once");

        store.sql("UPDATE users SET disabled_at = 1; DELETE FROM consents").await;
        assert!(user(10).await.is_some_and(|user| user.disabled_at.is_some()), "{}", store.name);
        assert_eq!(consent(10).await, None, "{}", store.name);
    }
}

/// Losing PostgreSQL stops changes, not answers from what is cached.
#[tokio::test]
async fn a_database_that_goes_away_is_answered_for_from_the_cache() {
    let server = postgres::Server::start();
    let store = Lasting::open("PostgreSQL", Some(&server)).await;
    store.sql("INSERT INTO clients (client_id, client_name) VALUES ('reports', 'One')").await;
    let directory = Directory::new(store.db.clone());
    assert!(directory.client("reports", NOW).await.unwrap().is_some());
    server.stop();

    assert!(directory.client("unknown", NOW.plus(60)).await.is_err(), "what is not known cannot be answered");
    assert!(directory.client("reports", NOW.plus(60)).await.unwrap().is_some());
    // One finds out that the database is away; the others do not stand in line behind it.
    let asked = Instant::now();
    for _ in 0..10 {
        assert!(directory.client("reports", NOW.plus(61)).await.unwrap().is_some());
    }
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());

    server.start_again();
    store.sql("UPDATE clients SET client_name = 'Two'").await;
    let found = directory.client("reports", NOW.plus(71)).await.unwrap().unwrap();
    assert_eq!(found.client_name, "Two");
}

/// An hour, after which a disabled client must not continue because the database is away.
#[tokio::test]
async fn what_is_cached_is_not_served_for_ever() {
    for store in lasting().await {
        let directory = Directory::new(store.db.clone());
        store.sql("INSERT INTO clients (client_id) VALUES ('reports')").await;
        assert!(directory.client("reports", NOW).await.unwrap().is_some());
        // To the reader a table that is gone is as good as a database that is.
        store.sql("ALTER TABLE clients RENAME TO hidden").await;
        assert!(directory.client("reports", NOW.plus(3599)).await.unwrap().is_some(), "{}", store.name);
        assert!(directory.client("reports", NOW.plus(3600)).await.is_err(), "{}", store.name);
        store.sql("ALTER TABLE hidden RENAME TO clients").await;
        assert!(directory.client("reports", NOW.plus(3601)).await.unwrap().is_some(), "{}", store.name);
    }
}

#[tokio::test]
async fn one_serve_at_a_time_uses_a_sqlite_file() {
    let [sqlite, server] = lasting().await;
    let first = sqlite.db.lock_for_serving().unwrap();
    let Err(error) = sqlite.db.lock_for_serving() else { panic!("two hold the lock") };
    assert!(Failure::from(error).fix().is_some_and(|fix| fix.contains("PostgreSQL")));
    drop(first);
    assert!(sqlite.db.lock_for_serving().unwrap().is_some());
    assert!(server.db.lock_for_serving().unwrap().is_none(), "PostgreSQL serves any number of nodes");
}
