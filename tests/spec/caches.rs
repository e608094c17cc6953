//! The caches of clients, people, consents and families: what many want at once is read once, what is known costs nothing,
//! and what is kept is bounded by its bytes. How long it is served is in `store_contract.rs`.

use crate::store_contract::{Lasting, lasting, race};
use crate::support::NewUser;
use futures_util::FutureExt as _;
use hallpass::ambient::random;
use hallpass::protocol::authorization::Allowed;
use hallpass::protocol::claims::User;
use hallpass::protocol::claims_request::ClaimsRequest;
use hallpass::protocol::client::Client;
use hallpass::protocol::grant::{Authorization, SignIn};
use hallpass::protocol::response::AccessPolicy;
use hallpass::protocol::scope::Scope;
use hallpass::protocol::secret::Handle;
use hallpass::protocol::time::NumericDate;
use hallpass::store::cache::Directory;
use hallpass::store::refresh_families::Family;
use hallpass::store::{StoreError, consents, users};
use serde_json::json;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How many want the same thing at once.
const RACERS: usize = 64;

/// What is not kept is read again for a request that comes when the read is over; on a busy machine some of the racers do.
const A_FEW: u64 = 16;

const NOW: NumericDate = NumericDate(1_790_000_000);

const A_CLIENT: &str = "INSERT INTO clients (client_id, client_name) VALUES ('reports', 'Reports'); \
     INSERT INTO client_secrets (client_id, secret_hash, client_secret_expires_at) VALUES \
     ('reports', '$argon2id$one', 0), ('reports', '$argon2id$two', 1800000000); \
     INSERT INTO client_redirect_uris VALUES ('reports', 'https://b.example/'), ('reports', 'https://a.example/'); \
     INSERT INTO client_post_logout_redirect_uris VALUES ('reports', 'https://a.example/bye'); \
     INSERT INTO client_audiences VALUES ('reports', 'https://api.example/');";

/// What some work costs in statements.
async fn statements<T>(store: &Lasting, work: impl Future<Output = T>) -> (u64, T) {
    let before = store.db.statements();
    let value = work.await;
    (store.db.statements() - before, value)
}

fn allowed(scope: &str) -> Allowed {
    Allowed { scope: Scope::parse(scope).unwrap(), claims: Vec::new() }
}

fn a_family(scope: &str) -> Family {
    let sign_in = SignIn {
        sub: "alice-sub".into(),
        session: Handle([7; 16]),
        auth_time: NOW,
        amr: vec!["pwd".into()],
        acr: "1".into(),
        credential: "mark".into(),
    };
    Family {
        family: Handle(random()),
        authorization: Authorization {
            client_id: "reports".into(),
            scope: Scope::parse(scope).unwrap(),
            resources: vec!["https://api.example/".into()],
            claims: ClaimsRequest::default(),
            shown: Vec::new(),
            sign_in: Some(sign_in),
            authorized_at: NOW,
            confirmation: None,
        },
        used_at: NOW,
        expires_at: NOW.plus(1000),
    }
}

fn a_user(sub: &str, claims: usize) -> User {
    let mut user = User { sub: sub.to_owned(), credential: "mark".to_owned(), ..User::default() };
    for number in 0..claims {
        user.claims.insert(format!("claim {number}"), json!({"text": "x".repeat(100), "list": [1, "two"]}));
    }
    user
}

#[tokio::test]
async fn a_client_is_read_whole_in_two_statements() {
    for store in lasting().await {
        store.sql(A_CLIENT).await;
        let directory = Directory::new(store.db.clone());
        let (cost, client) = statements(&store, directory.client("reports", NOW)).await;
        let client = client.unwrap().unwrap();
        assert_eq!(cost, 2, "{}", store.name);
        assert_eq!(client.redirect_uris, ["https://a.example/", "https://b.example/"], "{}", store.name);
        assert_eq!(client.post_logout_redirect_uris, ["https://a.example/bye"], "{}", store.name);
        assert_eq!(client.audiences, ["https://api.example/"], "{}", store.name);
        let secrets: Vec<_> =
            client.secrets.iter().map(|secret| (secret.secret_hash.as_str(), secret.expires_at)).collect();
        let ends = Some(NumericDate(1_800_000_000));
        assert_eq!(secrets, [("$argon2id$one", None), ("$argon2id$two", ends)], "{}", store.name);
    }
}

#[tokio::test]
async fn what_many_want_at_once_is_read_once() {
    for store in lasting().await {
        store.sql(A_CLIENT).await;
        store.sql(&NewUser::alice().sql()).await;
        // A row that was written by hand costs more, once.
        users::fold_names(&store.db).await.unwrap();
        consents::remember(&store.db, "alice-sub", "reports", &allowed("openid"), NOW).await.unwrap();
        let directory = Arc::new(Directory::new(store.db.clone()));
        let all = |racers: usize, now: NumericDate| {
            let directory = directory.clone();
            race(racers, move |_| {
                let directory = directory.clone();
                async move {
                    let client = directory.client("reports", now).await.unwrap().is_some();
                    let user = directory.user("alice-sub", now).await.unwrap().is_some();
                    client && user && directory.consent("alice-sub", "reports", now).await.unwrap().is_some()
                }
            })
        };
        for (when, now) in [("not known", NOW), ("too old", NOW.plus(60))] {
            let (cost, found) = statements(&store, all(RACERS, now)).await;
            assert!(found.into_iter().all(|found| found), "{}, {when}", store.name);
            // Two for the client, one for the person, one for the consent.
            assert_eq!(cost, 4, "{}, {when}", store.name);
            let (cost, _) = statements(&store, all(RACERS, now)).await;
            assert_eq!(cost, 0, "what is known costs nothing, {}", store.name);
        }
        // Growing old, it is read once behind the answers.
        let (_, _) = statements(&store, all(RACERS, NOW.plus(65))).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (cost, _) = statements(&store, all(RACERS, NOW.plus(66))).await;
        assert_eq!(cost, 0, "{}", store.name);
    }
}

/// A request that joins a read which had started before it came cannot take its word that there is nothing.
#[tokio::test]
async fn absence_is_told_only_by_a_read_that_started_after_the_question() {
    for store in lasting().await {
        let directory = Arc::new(Directory::new(store.db.clone()));
        let ask = |_| {
            let directory = directory.clone();
            async move { directory.client("reports", NOW).await.unwrap().is_some() }
        };
        let (cost, found) = statements(&store, race(RACERS, ask)).await;
        assert!(found.into_iter().all(|found| !found), "{}", store.name);
        assert!((2..=A_FEW).contains(&cost), "{cost}, {}", store.name);
        store.sql(A_CLIENT).await;
        assert!(directory.client("reports", NOW).await.unwrap().is_some(), "absence is not kept, {}", store.name);
    }
}

#[tokio::test]
async fn who_waits_for_a_read_gets_it_although_the_request_that_started_it_has_gone() {
    for store in lasting().await {
        store.sql(A_CLIENT).await;
        let directory = Directory::new(store.db.clone());
        let before = store.db.statements();
        let mut others = pin!(directory.client("reports", NOW));
        {
            let mut first = pin!(directory.client("reports", NOW));
            assert!(first.as_mut().now_or_never().is_none());
            assert!(others.as_mut().now_or_never().is_none());
        }
        assert!(others.await.unwrap().is_some(), "{}", store.name);
        assert_eq!(store.db.statements() - before, 2, "{}", store.name);

        // With the last who waits the read ends, and is in no request's way.
        {
            let mut first = pin!(directory.client("reports", NOW.plus(60)));
            assert!(first.as_mut().now_or_never().is_none());
        }
        assert!(directory.client("reports", NOW.plus(60)).await.unwrap().is_some(), "{}", store.name);
    }
}

#[tokio::test]
async fn an_error_is_told_to_all_who_wait_and_not_kept() {
    for store in lasting().await {
        store.sql(A_CLIENT).await;
        store.sql("UPDATE clients SET consent = 'perhaps'").await;
        let directory = Arc::new(Directory::new(store.db.clone()));
        let ask = |_| {
            let directory = directory.clone();
            async move { directory.client("reports", NOW).await.map(|client| client.is_some()) }
        };
        for told in race(RACERS, ask).await {
            assert!(matches!(told, Err(StoreError::Inconsistent { table: "clients", .. })), "{}", store.name);
        }
        store.sql("UPDATE clients SET consent = 'ask'; ALTER TABLE client_secrets RENAME TO hidden").await;
        let (cost, told) = statements(&store, race(RACERS, ask)).await;
        assert!(told.into_iter().all(|told| told.is_err()), "{}", store.name);
        assert!((2..=A_FEW).contains(&cost), "{cost}, {}", store.name);
        store.sql("ALTER TABLE hidden RENAME TO client_secrets").await;
        assert!(race(RACERS, ask).await.into_iter().all(|told| told.unwrap()), "{}", store.name);
    }
}

/// A table that is locked: no task waits longer than a request does, and a single read waits for it.
#[tokio::test]
async fn each_who_waits_for_a_read_has_patience_of_their_own() {
    let [_, store] = lasting().await;
    store.sql(A_CLIENT).await;
    let directory = Arc::new(Directory::new(store.db.clone()));
    let mut holder = AnyConnection::connect(store.url()).await.unwrap();
    holder.execute("BEGIN").await.unwrap();
    holder.execute("LOCK TABLE clients IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let ask = |_| {
        let directory = directory.clone();
        async move { directory.client("reports", NOW).await.map(|client| client.is_some()) }
    };
    let started = Instant::now();
    let (cost, told) = statements(&store, race(RACERS, ask)).await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(told.into_iter().all(|told| told.is_err_and(|error| error.may_pass())));
    assert_eq!(cost, 1);
    holder.execute("ROLLBACK").await.unwrap();
    assert!(directory.client("reports", NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_read_while_a_consent_is_given_does_not_hide_it() {
    for store in lasting().await {
        store.sql(A_CLIENT).await;
        store.sql(&NewUser::alice().sql()).await;
        let directory = Directory::new(store.db.clone());
        let (openid, email) = (allowed("openid"), allowed("email"));
        directory.remember_consent("alice-sub", "reports", &openid, NOW).await.unwrap();
        let mut earlier = pin!(directory.consent("alice-sub", "reports", NOW));
        assert!(earlier.as_mut().now_or_never().is_none());
        // Its statement is carried out meanwhile, and no request has taken the answer.
        tokio::time::sleep(Duration::from_millis(100)).await;
        directory.remember_consent("alice-sub", "reports", &email, NOW).await.unwrap();
        assert!(earlier.await.unwrap().is_some(), "{}", store.name);
        let now = directory.consent("alice-sub", "reports", NOW).await.unwrap().unwrap();
        assert_eq!(now.scope.to_string(), "openid email", "{}", store.name);
    }
}

/// The least of several tries: from time to time the cache keeps its own house.
fn allocations(mut work: impl FnMut()) -> u64 {
    (0..20).map(|_| allocation_counter::measure(&mut work).count_total).min().unwrap()
}

#[tokio::test]
async fn a_hit_and_a_handle_of_the_database_allocate_nothing() {
    for store in lasting().await {
        store.sql(A_CLIENT).await;
        store.sql(&NewUser::alice().sql()).await;
        let directory = Directory::new(store.db.clone());
        let openid = allowed("openid");
        directory.remember_consent("alice-sub", "reports", &openid, NOW).await.unwrap();
        let family = a_family("openid");
        let name = family.family;
        directory.know_family(family, NOW);
        assert!(directory.client("reports", NOW).await.unwrap().is_some());
        assert!(directory.user("alice-sub", NOW).await.unwrap().is_some());
        assert!(directory.consent("alice-sub", "reports", NOW).await.unwrap().is_some());

        assert_eq!(allocations(|| drop(store.db.clone())), 0);
        let hits = [
            allocations(|| drop(directory.client("reports", NOW).now_or_never().unwrap())),
            allocations(|| drop(directory.user("alice-sub", NOW).now_or_never().unwrap())),
            allocations(|| drop(directory.consent("alice-sub", "reports", NOW).now_or_never().unwrap())),
            allocations(|| drop(directory.family(name, NOW).now_or_never().unwrap())),
        ];
        assert_eq!(hits, [0; 4], "{}", store.name);
    }
}

/// 32 MiB together, however large what is read is.
#[tokio::test]
async fn the_caches_hold_so_many_bytes_and_no_more() {
    const LARGE: usize = 200 * 1024;
    for store in lasting().await {
        let directory = Directory::new(store.db.clone());
        let text = "x".repeat(LARGE);
        for number in 0..60 {
            store.sql(&format!("INSERT INTO clients (client_id, client_name) VALUES ('{number}', '{text}')")).await;
            store.sql(&NewUser::named(&format!("user{number}")).sql()).await;
            let (id, sub) = (number.to_string(), format!("user{number}-sub"));
            assert!(directory.client(&id, NOW).await.unwrap().is_some());
            directory.remember_consent(&sub, &id, &allowed(&text), NOW).await.unwrap();
            assert!(directory.consent(&sub, &id, NOW).await.unwrap().is_some());
            directory.know_family(a_family(&text), NOW);
            let claim = |at: usize| {
                format!("INSERT INTO user_claims VALUES ('{sub}', 'claim{at}', '\"{}\"');", &text[..15_000])
            };
            store.sql(&(0..12).map(claim).collect::<String>()).await;
            let telling = Client { access: AccessPolicy::Groups, ..Client::new(&id) };
            assert_eq!(directory.facts(&sub, &telling, NOW).await.unwrap().claims.len(), 12);
        }
        for number in 0..600 {
            directory.know_user(a_user(&number.to_string(), 50), NOW);
        }
        let held = directory.held();
        for cache in held {
            assert!(cache.bytes <= cache.most, "{cache:?}");
            // Scopes are one entry, which a database of that size would not fit into.
            assert!(cache.name == "offered" || cache.bytes > cache.most / 2, "there was enough to fill it: {cache:?}");
        }
        assert_eq!(held.map(|cache| cache.name), ["clients", "users", "facts", "offered", "consents", "families"]);
        assert_eq!(held.iter().map(|cache| cache.most).sum::<u64>(), 32 << 20);
    }
}

/// What is told to be held is what the allocator gave, or a little more.
#[tokio::test]
async fn what_an_entry_weighs_is_what_it_holds() {
    let [store, _] = lasting().await;
    for (user, family) in [
        (a_user("alice", 0), a_family("openid")),
        (a_user("bob", 1), a_family(&"x".repeat(1000))),
        (a_user("carol", 100), a_family(&format!("{} y z", "x".repeat(100_000)))),
    ] {
        let directory = Directory::new(store.db.clone());
        let (mut kept_user, mut kept_family) = (None, None);
        let of_user = allocation_counter::measure(|| kept_user = Some(Arc::new(user.clone()))).bytes_current;
        let of_family = allocation_counter::measure(|| kept_family = Some(Arc::new(family.clone()))).bytes_current;
        drop((kept_user, kept_family));
        directory.know_user(user, NOW);
        directory.know_family(family, NOW);
        let [_, users, _, _, _, families] = directory.held();
        for (cache, taken) in [(users, of_user), (families, of_family)] {
            let taken = u64::try_from(taken).unwrap();
            assert!((taken..2 * taken + 1024).contains(&cache.bytes), "{taken} bytes were taken: {cache:?}");
        }
    }
}
