//! Hashes of passwords that other programs made: who has one signs in, and no form of a hash is told by the time of a
//! failure.

use crate::credentials::{OURS, counts, hash_in_row, ready, renewed, sign_in};
use crate::store_contract::lasting;
use crate::support::provider::{PASSWORD, hash_of};
use crate::support::{Authorization, NewUser, Page, TestClient, TestProvider, UserAgent};
use futures_util::future::join_all;
use hallpass::passwords::registered_form;
use hallpass::startup;
use hallpass::store::password_forms;
use sqlx::Connection as _;
use std::time::Duration;
use tokio::time::Instant;

/// The cheapest of all and one of its siblings, each of no password that a test types.
const CHEAP: &str = "$pbkdf2-sha1$i=1000,l=32$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
const DEAR: &str = "$argon2id$v=19$m=131072,t=4,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
const TOO_DEAR: [&str; 4] = [
    "$pbkdf2-sha256$i=4000000,l=32$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
    "$scrypt$ln=20,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
    "$2b$18$VM9/fM5UTS7qkLKRAQo0oOfO4IZo66col4rwsbTB30Xz5vBK29dka",
    "$argon2id$v=19$m=1048576,t=4,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
];

/// One hash of each form, of a password with letters beyond ASCII, as a row holds it; made by other implementations.
fn vectors() -> Vec<(&'static str, String, String)> {
    let mut found: Vec<(&str, String, String)> = Vec::new();
    for line in include_str!("../vectors/passwords.tsv").lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [form, password, hash] = columns.as_slice() else { panic!("{line}") };
        let password: String = serde_json::from_str(password).unwrap();
        let is_typed = password.starts_with("Pässwörd") || password.starts_with("Passw0rd!");
        if is_typed && found.iter().all(|(other, ..)| other != form) {
            // Those of argon2 are of parameters that no import takes; a row may have them.
            found.push((form, password, registered_form(hash).unwrap_or_else(|_| (*hash).to_owned())));
        }
    }
    found
}

#[tokio::test]
async fn a_hash_of_another_program_signs_its_user_in_and_is_made_anew_and_ends_no_session() {
    let vectors = vectors();
    assert!(vectors.len() >= 20, "{}", vectors.len());
    let (provider, client) = ready().await;
    provider.add_user(NewUser::alice()).await;
    for (number, (form, password, before)) in vectors.iter().enumerate() {
        provider.sql(&format!("UPDATE users SET password_hash = '{before}' WHERE sub = 'alice-sub'")).await;
        provider.travel(1000);
        let computed = provider.provider.passwords.computed();
        let mut first = sign_in(&provider, &client, password).await;
        let hash = renewed(&provider, before).await;
        assert!(hash.starts_with(OURS), "{form}: {hash}");
        provider.travel(10);
        let mut second = sign_in(&provider, &client, password).await;
        for held in [&mut first, &mut second] {
            assert!(counts(&provider, &client, held).await, "{form}");
        }
        assert_eq!(hash_in_row(&provider).await, hash, "once is enough");
        let passwords = &provider.provider.passwords;
        // One for each sign-in; a client's secret is proven once and remembered.
        let of_client = u64::from(number == 0);
        assert_eq!(passwords.computed() - computed - of_client, 2, "{form}");
        assert_eq!(passwords.renewed(), u64::try_from(number).unwrap() + 1, "{form}");
    }
}

/// One sign-in; the page it leads to.
async fn attempt(provider: &TestProvider, client: &TestClient, name: &str, password: &str) -> Page {
    let browser = UserAgent::new();
    let page = Authorization::of(client).open(provider, &browser).await;
    provider.type_in(&browser, &page, name, password).await
}

#[tokio::test]
async fn another_password_changes_nothing_of_a_hash_of_another_program() {
    let (provider, client) = ready().await;
    for (number, (form, password, hash)) in vectors().into_iter().enumerate() {
        let name = format!("user{number}");
        provider.add_user(NewUser::named(&name).with("password_hash", &hash)).await;
        let page = attempt(&provider, &client, &name, &format!("{password}!")).await;
        assert_eq!(page.status, 422, "{form}: {page}");
        let sql = format!("SELECT password_hash FROM users WHERE sub = '{name}-sub'");
        assert_eq!(provider.rows(&sql).await[0][0].as_deref(), Some(hash.as_str()), "{form}");
        // An address has so many tries only.
        provider.travel(10_000);
    }
    assert_eq!(provider.provider.passwords.renewed(), 0);
}

#[tokio::test]
async fn a_hash_that_costs_too_much_is_not_computed_and_the_operator_is_told() {
    let (provider, client) = ready().await;
    for (number, hash) in TOO_DEAR.into_iter().enumerate() {
        let name = format!("user{number}");
        provider.add_user(NewUser::named(&name).with("password_hash", hash)).await;
        let computed = provider.provider.passwords.computed();
        assert_eq!(attempt(&provider, &client, &name, PASSWORD).await.status, 422);
        assert_eq!(provider.provider.passwords.computed() - computed, 1, "the dummy is: {hash}");
        let told = provider.command(&["explain", "--user", &name, "--json"], "");
        assert!(told.stdout.contains("password_unusable"), "{told:?}");
    }
    startup::learn_forms(&provider.provider.db, &provider.provider.passwords).await;
    assert_eq!(provider.provider.passwords.floor(), Duration::ZERO, "nothing of them is computed");
    let told = provider.command(&["doctor", "--json"], "");
    assert!(told.stdout.contains("nothing proves the hash of"), "{told:?}");
}

/// Whatever was wrong, and whatever form the hash has, for each hash that is computed.
#[tokio::test]
async fn a_failed_sign_in_is_answered_no_earlier_than_the_dearest_stored_form_needs() {
    let (provider, client) = ready().await;
    provider.alice().await;
    let passwords = &provider.provider.passwords;
    startup::learn_forms(&provider.provider.db, &provider.provider.passwords).await;
    assert_eq!(attempt(&provider, &client, "alice", "wrong").await.status, 422);
    assert_eq!((passwords.floor(), passwords.held_back().0), (Duration::ZERO, 0), "all hashes are ours: no delay");

    provider.add_user(NewUser::named("cheap").with("password_hash", CHEAP)).await;
    provider.add_user(NewUser::named("dear").with("password_hash", DEAR)).await;
    provider.add_user(NewUser::named("disabled").with("disabled_at", "1")).await;
    provider.add_user(NewUser::named("unusable").with("password_hash", TOO_DEAR[0])).await;
    provider.add_user(NewUser::named("without")).await;
    provider.sql("UPDATE users SET password_hash = NULL WHERE sub = 'without-sub'").await;
    startup::learn_forms(&provider.provider.db, &provider.provider.passwords).await;
    let floor = passwords.floor();
    assert!(floor > Duration::from_millis(1) && floor <= Duration::from_secs(1), "{floor:?}");
    let names = ["alice", "cheap", "dear", "disabled", "unusable", "without", "unknown"];
    let mut failures = 0;
    for (password, hashes) in [("wrong", 1), ("wro\u{308}ng", 2)] {
        for name in names {
            let (started, computed) = (Instant::now(), passwords.computed());
            assert_eq!(attempt(&provider, &client, name, password).await.status, 422, "{name}");
            let took = started.elapsed();
            failures += 1;
            assert_eq!(passwords.computed() - computed, hashes, "{name}");
            assert_eq!(passwords.held_back().0, failures, "{name}");
            assert!(took >= floor * u32::try_from(hashes).unwrap(), "{name}: {took:?}");
        }
    }
    // Who proves the password and may not sign in is told so, and as late.
    assert_eq!(attempt(&provider, &client, "disabled", PASSWORD).await.status, 403);
    assert_eq!(passwords.held_back().0, failures + 1);
    // Who signs in does not wait.
    assert!(attempt(&provider, &client, "alice", PASSWORD).await.status.is_redirection());
    assert_eq!(passwords.held_back().0, failures + 1);

    // A node knows it from the start, and forgets it with the last such row.
    let second = provider.second_node().await;
    assert!(second.provider.passwords.floor() > Duration::ZERO);
    let ours = hash_of(PASSWORD);
    provider.sql(&format!("UPDATE users SET password_hash = '{ours}' WHERE password_hash IS NOT NULL")).await;
    for node in [&provider, &second] {
        startup::learn_forms(&node.provider.db, &node.provider.passwords).await;
        assert_eq!(node.provider.passwords.floor(), Duration::ZERO);
    }
}

#[tokio::test]
async fn a_failure_that_waits_holds_no_turn() {
    let (provider, client) = ready().await;
    provider.alice().await;
    provider.add_user(NewUser::named("dear").with("password_hash", DEAR)).await;
    startup::learn_forms(&provider.provider.db, &provider.provider.passwords).await;
    let passwords = &provider.provider.passwords;
    let many = passwords.width() + 2;
    let mut opened = Vec::new();
    for number in 0..many {
        let browser = UserAgent::new();
        let page = Authorization::of(&client).open(&provider, &browser).await;
        opened.push((format!("unknown{number}"), browser, page));
    }
    let failing = join_all(opened.iter().map(|(name, browser, page)| provider.type_in(browser, page, name, "wrong")));
    let right = async {
        while passwords.held_back().1 < many {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        attempt(&provider, &client, "alice", PASSWORD).await
    };
    let (failed, right) = tokio::time::timeout(Duration::from_mins(1), async { tokio::join!(failing, right) })
        .await
        .expect("more wait at once than the gate has turns");
    assert!(failed.iter().all(|page| page.status == 422));
    assert!(right.status.is_redirection(), "{right}");
}

/// The plan of the statement that jumps to the next form.
async fn plan(url: &str) -> String {
    let is_sqlite = url.starts_with("sqlite");
    let sql = password_forms::NEXT.replace("$1", "''");
    let sql = format!("{} {sql}", if is_sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" });
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(url).await.unwrap();
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
    let column = if is_sqlite { 3 } else { 0 };
    rows.iter().map(|row| sqlx::Row::get::<String, _>(row, column)).collect::<Vec<_>>().join("\n")
}

/// A handful of reads of an index, however many users there are; each form once, however the row was written.
#[tokio::test]
async fn the_stored_forms_are_found_by_jumping_from_one_to_the_next() {
    for store in lasting().await {
        assert_eq!(password_forms::list(&store.db).await.unwrap(), [""; 0], "{}", store.name);
        let ours = hash_of(PASSWORD);
        let mut statements = vec!["BEGIN".to_owned()];
        let mut expected = vec!["rubbish".to_owned(), "$1$".to_owned()];
        let mut add = |hash: &str| {
            let sub = statements.len();
            statements
                .push(format!("INSERT INTO users (sub, username, password_hash) VALUES ('{sub}', 'u{sub}', {hash})"));
        };
        for _ in 0..3000 {
            add(&format!("'{ours}'"));
        }
        for (_, _, hash) in vectors() {
            let parts: Vec<&str> = hash.split('$').collect();
            let form = match parts.as_slice() {
                ["", version, cost, _] if version.starts_with('2') => format!("${version}${cost}$"),
                [form @ .., _, _] => format!("{}$", form.join("$")),
                _ => panic!("{hash}"),
            };
            // As many as there are of a form make no difference.
            for _ in 0..50 {
                add(&format!("'{hash}'"));
            }
            expected.push(form);
        }
        for odd in ["NULL", "''", "'rubbish +'", "'$1$salt$hash'"] {
            add(odd);
        }
        add(&format!("'{}'", "x y".repeat(5000)));
        statements.push("COMMIT".to_owned());
        statements.push("ANALYZE".to_owned());
        store.sql(&statements.join(";\n")).await;
        let mut found = password_forms::list(&store.db).await.unwrap();
        found.retain(|form| !form.starts_with("x y"));
        found.iter_mut().filter(|form| form.starts_with("rubbish")).for_each(|form| "rubbish".clone_into(form));
        found.sort();
        expected.sort();
        expected.dedup();
        assert_eq!(found, expected, "{}", store.name);
        let plan = plan(store.url()).await;
        assert!(plan.contains("users_password_form"), "{}: {plan}", store.name);
        // The last such row takes its form along.
        store.sql(&format!("UPDATE users SET password_hash = '{ours}'")).await;
        assert_eq!(password_forms::list(&store.db).await.unwrap(), [""; 0], "{}", store.name);
    }
}

/// What `user import` will store: the same texts, and the base64 of Identity.
#[test]
fn what_an_import_reads_is_stored_in_a_form_that_a_sign_in_verifies() {
    for (form, _, hash) in vectors().into_iter().filter(|(form, ..)| !form.starts_with("argon2")) {
        assert_eq!(registered_form(&hash).as_deref(), Ok(hash.as_str()), "{form}");
        assert!(form.starts_with("django") || hash.starts_with('$'), "{form}: {hash}");
    }
    for bad in ["", PASSWORD, "$1$salt$hash", TOO_DEAR[0], TOO_DEAR[1], TOO_DEAR[2], TOO_DEAR[3]] {
        assert!(registered_form(bad).is_err(), "{bad}");
    }
    assert_eq!(registered_form(&hash_of(PASSWORD)).as_deref(), Ok(hash_of(PASSWORD).as_str()));
}
