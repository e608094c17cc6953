//! The mark of a password, which sign-ins and tokens carry: it stays where the same password is hashed anew, and is another
//! as soon as the password is, however it is changed.

use crate::store_contract::{Lasting, lasting, race};
use crate::support::program::done;
use crate::support::provider::{PASSWORD, Stores, hash_of, stores};
use crate::support::{Answer, Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent};
use argon2::password_hash::{PasswordHasher as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use hallpass::protocol::time::NumericDate;
use hallpass::store::users;
use std::time::Duration;

pub const OURS: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// The hash of a password by other parameters.
fn hash_by(password: &str, algorithm: Algorithm, memory: u32, passes: u32) -> String {
    let argon2 = Argon2::new(algorithm, Version::V0x13, Params::new(memory, passes, 1, None).unwrap());
    let salt = SaltString::encode_b64(b"a salt for tests").unwrap();
    argon2.hash_password(password.as_bytes(), &salt).unwrap().to_string()
}

/// What a person has after a sign-in.
pub struct Held {
    browser: UserAgent,
    access_token: String,
    refresh_token: String,
}

pub async fn ready() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("scope", "openid offline_access");
    let client = provider.add(client.with("grant_types", "authorization_code refresh_token")).await;
    (provider, client)
}

pub async fn sign_in(provider: &TestProvider, client: &TestClient, password: &str) -> Held {
    let browser = UserAgent::new();
    let request = Authorization::of(client).with("scope", "openid offline_access");
    let page = request.open(provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", password).await;
    let code = Answer::of(&page, &client.redirect_uri).code().to_owned();
    let tokens = provider.redeem(client, &code).await.ok();
    Held { browser, access_token: tokens.text("access_token"), refresh_token: tokens.text("refresh_token") }
}

/// Whether the session, the access token and the refresh token still count; all of them, or none.
pub async fn counts(provider: &TestProvider, client: &TestClient, held: &mut Held) -> bool {
    let page = Authorization::of(client).open(provider, &held.browser).await;
    let session = page.query_parameter("code").is_some();
    let access = provider.userinfo(&held.access_token).await.status == 200;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", held.refresh_token.as_str())];
    let refreshed = provider.post("/token", client.auth(), &fields).await;
    let refresh = refreshed.status == 200;
    assert!(session == access && access == refresh, "session {session}, access {access}, refresh {refresh}");
    if refresh {
        held.refresh_token = refreshed.text("refresh_token");
        held.access_token = refreshed.text("access_token");
    }
    session
}

pub async fn hash_in_row(provider: &TestProvider) -> String {
    provider.rows("SELECT password_hash FROM users WHERE sub = 'alice-sub'").await[0][0].clone().unwrap()
}

/// Waits for what no request waits for.
pub async fn renewed(provider: &TestProvider, before: &str) -> String {
    for _ in 0..500 {
        let hash = hash_in_row(provider).await;
        if hash != before {
            return hash;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the hash was not made anew");
}

#[tokio::test]
async fn a_hash_by_other_parameters_is_made_anew_at_the_sign_in_and_ends_no_session() {
    for (algorithm, memory, passes) in
        [(Algorithm::Argon2id, 8192, 1), (Algorithm::Argon2id, 7168, 5), (Algorithm::Argon2i, 19456, 2)]
    {
        let (provider, client) = ready().await;
        let before = hash_by(PASSWORD, algorithm, memory, passes);
        provider.add_user(NewUser::alice().with("password_hash", &before)).await;
        let mut first = sign_in(&provider, &client, PASSWORD).await;
        let hash = renewed(&provider, &before).await;
        assert!(hash.starts_with(OURS), "{hash}");
        provider.travel(10);
        let mut second = sign_in(&provider, &client, PASSWORD).await;
        for held in [&mut first, &mut second] {
            assert!(counts(&provider, &client, held).await, "{algorithm} {memory} {passes}");
        }
        // Once is enough.
        assert_eq!((hash_in_row(&provider).await, provider.provider.passwords.renewed()), (hash, 1));
        // By hand, it all ends: what started before the hash was made anew, and what started after it.
        let other = hash_of("another password, as good");
        provider.sql(&format!("UPDATE users SET password_hash = '{other}'")).await;
        provider.travel(10);
        for held in [&mut first, &mut second] {
            assert!(!counts(&provider, &client, held).await, "{algorithm} {memory} {passes}");
        }
    }
}

/// It costs the person nothing: the sign-in has its one hash, its statement, and is answered.
#[tokio::test]
async fn a_hash_is_made_anew_after_the_answer_and_a_failure_changes_nothing() {
    let (provider, client) = ready().await;
    let before = hash_by(PASSWORD, Algorithm::Argon2id, 8192, 1);
    provider.add_user(NewUser::alice().with("password_hash", &before)).await;
    // Wherever the statement fails, the trigger or the constraint says why.
    provider
        .sql(match stores() {
            Stores::Embedded => {
                "CREATE TRIGGER frozen BEFORE UPDATE OF password_hash ON users BEGIN SELECT RAISE(ABORT, 'frozen'); END"
            }
            Stores::Servers => "ALTER TABLE users ADD CONSTRAINT frozen CHECK (password_hash LIKE '%m=8192%')",
        })
        .await;
    for time in 1..=2 {
        let computed = provider.provider.passwords.computed();
        let mut held = sign_in(&provider, &client, PASSWORD).await;
        // A client's secret is proven once and remembered.
        assert_eq!(provider.provider.passwords.computed() - computed, if time == 1 { 2 } else { 1 });
        for _ in 0..500 {
            if provider.provider.passwords.renewed() == time {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(provider.provider.passwords.renewed(), time, "the next sign-in tries again");
        assert!(counts(&provider, &client, &mut held).await);
    }
    assert_eq!(hash_in_row(&provider).await, before);
}

#[tokio::test]
async fn a_hash_that_costs_more_or_is_ours_stays_as_it_is() {
    for (memory, passes) in [(19456, 2), (32768, 2), (47104, 1)] {
        let (provider, client) = ready().await;
        let before = hash_by(PASSWORD, Algorithm::Argon2id, memory, passes);
        provider.add_user(NewUser::alice().with("password_hash", &before)).await;
        let mut held = sign_in(&provider, &client, PASSWORD).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!((hash_in_row(&provider).await, provider.provider.passwords.renewed()), (before, 0));
        assert!(counts(&provider, &client, &mut held).await);
    }
}

/// RFC 8265: what was hashed as it was typed is prepared from the next sign-in on.
#[tokio::test]
async fn a_hash_of_a_password_that_was_not_prepared_is_made_anew_and_prepared() {
    for (memory, passes, after) in [(19456, 2, OURS), (32768, 3, "$argon2id$v=19$m=32768,t=3,p=1$")] {
        let (provider, client) = ready().await;
        let (composed, decomposed) = ("Ísafjörður is far", "I\u{301}safjo\u{308}rður is far");
        let before = hash_by(decomposed, Algorithm::Argon2id, memory, passes);
        provider.add_user(NewUser::alice().with("password_hash", &before)).await;
        let mut first = sign_in(&provider, &client, decomposed).await;
        let hash = renewed(&provider, &before).await;
        assert!(hash.starts_with(after), "never cheaper: {hash}");
        for typed in [composed, decomposed] {
            let computed = provider.provider.passwords.computed();
            let mut held = sign_in(&provider, &client, typed).await;
            assert_eq!(provider.provider.passwords.computed() - computed, 1, "{typed}");
            assert!(counts(&provider, &client, &mut held).await);
        }
        provider.travel(10);
        assert!(counts(&provider, &client, &mut first).await);
        assert_eq!((hash_in_row(&provider).await, provider.provider.passwords.renewed()), (hash, 1));
    }
}

/// An operator who changes the password means to end things, whatever the new one is.
#[tokio::test]
async fn the_same_password_set_again_ends_everything() {
    let (provider, client) = ready().await;
    provider.alice().await;
    let set = || {
        done(provider.command(&["user", "set-password", "alice", "--password-stdin"], &format!("{PASSWORD}\n")));
    };
    for _ in 0..2 {
        let mut held = sign_in(&provider, &client, PASSWORD).await;
        set();
        provider.travel(10);
        assert!(!counts(&provider, &client, &mut held).await);
    }
}

async fn mark(store: &Lasting) -> String {
    users::find(&store.db, "alice-sub").await.unwrap().unwrap().credential
}

#[tokio::test]
async fn the_mark_stays_with_the_password_and_is_another_for_another_hash() {
    for store in lasting().await {
        store.sql(&NewUser::alice().sql()).await;
        let by_hand = mark(&store).await;
        let renew = async |before: &str, after: &str, mark: &str| {
            users::renew_hash(&store.db, "alice-sub", before, after, mark).await.unwrap()
        };
        // A mark that was made of the hash stays the mark of the password.
        assert!(renew(&hash_of(PASSWORD), "one", &by_hand).await);
        assert_eq!(mark(&store).await, by_hand, "{}", store.name);
        assert!(renew("one", "two", &by_hand).await);
        assert_eq!(mark(&store).await, by_hand, "{}", store.name);
        // Written by a command, by hand, taken away, and by hand again what was there once.
        users::set_password(&store.db, "alice-sub", "three", NumericDate(1)).await.unwrap();
        let set = mark(&store).await;
        users::set_password(&store.db, "alice-sub", "three", NumericDate(1)).await.unwrap();
        let set_again = mark(&store).await;
        store.sql("UPDATE users SET password_hash = 'four'").await;
        let changed = mark(&store).await;
        store.sql("UPDATE users SET password_hash = NULL").await;
        let taken = mark(&store).await;
        store.sql("UPDATE users SET password_hash = 'two'").await;
        let second = mark(&store).await;
        store.sql(&format!("UPDATE users SET password_hash = '{}'", hash_of(PASSWORD))).await;
        let marks = [by_hand, set, set_again, changed, taken, second, mark(&store).await];
        let different: std::collections::BTreeSet<&String> = marks.iter().collect();
        assert_eq!(different.len(), marks.len(), "{marks:?}, {}", store.name);
        assert!(marks.iter().all(|mark| mark.len() == 22), "{marks:?}");
    }
}

#[tokio::test]
async fn of_many_who_make_a_hash_anew_one_wins_and_a_new_password_beats_them_all() {
    for store in lasting().await {
        store.sql(&NewUser::alice().with("password_hash", "old").sql()).await;
        let before = mark(&store).await;
        let won = race(16, |racer| {
            let (db, mark) = (store.db.clone(), before.clone());
            async move { users::renew_hash(&db, "alice-sub", "old", &format!("new-{racer}"), &mark).await.unwrap() }
        })
        .await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{}", store.name);
        assert_eq!(mark(&store).await, before, "{}", store.name);
        // A user signed in with the password of before while another one was set.
        users::set_password(&store.db, "alice-sub", "another", NumericDate(1)).await.unwrap();
        let set = mark(&store).await;
        let winner = format!("new-{}", won.iter().position(|won| *won).unwrap());
        assert!(!users::renew_hash(&store.db, "alice-sub", &winner, "late", &before).await.unwrap());
        let user = users::find(&store.db, "alice-sub").await.unwrap().unwrap();
        assert_eq!((user.password_hash.as_deref(), user.credential), (Some("another"), set), "{}", store.name);
    }
}
