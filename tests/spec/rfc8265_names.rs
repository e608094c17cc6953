//! RFC 8265 and what goes beyond it: whom a user name, an e-mail address and a password mean, in whatever letters they
//! are typed, on either database.
//!
//! The specification's own tables are in `src/protocol/text.rs`.

use crate::store_contract::{Lasting, lasting};
use crate::support::program::{Outcome, run_at_terminal};
use crate::support::provider::{PASSWORD, hash_of};
use crate::support::{Answer, Authorization, NewUser, TestClient, TestProvider, UserAgent};
use hallpass::protocol::time::NumericDate;
use hallpass::store::users::edit::Details;
use hallpass::store::users::{self, NewUser as Added};
use hallpass::throttle::PER_ACCOUNT_AND_NETWORK;
use reqwest::StatusCode;
use serde_json::json;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use std::time::Duration;

const COMPOSED: &str = "Grüße aus Ísafjörður";
const DECOMPOSED: &str = "Gru\u{308}ße aus I\u{301}safjo\u{308}rður";

async fn found(store: &Lasting, login: &str) -> Option<String> {
    users::find_by_login(&store.db, login).await.unwrap().one().map(|user| user.sub)
}

#[track_caller]
fn assert_found(store: &Lasting, login: &str, found: Option<&str>, expected: Option<&str>) {
    assert_eq!(found, expected, "{login:?}, {}", store.name);
}

async fn add(store: &Lasting, sub: &str, username: &str, email: &str) -> bool {
    let hash = hash_of(PASSWORD);
    let added = Added {
        sub,
        username,
        email,
        email_verified: true,
        may_share_address: true,
        details: Details::default(),
        password_hash: &hash,
        now: NumericDate(1_700_000_000),
    };
    matches!(users::add(&store.db, &added).await.unwrap(), users::Added::Done)
}

/// A row as a migration file would have it.
fn by_hand(sub: &str, username: &str, email: &str) -> String {
    let quoted = |text: &str| text.replace('\'', "''");
    format!(
        "INSERT INTO users (sub, username, email, email_verified_at) VALUES ('{sub}', '{}', '{}', 1)",
        quoted(username),
        quoted(email)
    )
}

/// What one database takes for lower case another does not, and neither knows composition.
#[tokio::test]
async fn a_user_name_is_one_persons_in_whatever_letters_on_either_database() {
    for store in lasting().await {
        for (sub, username, others) in [
            ("1", "Grüße", ["GRÜßE", "grüße", "Gru\u{308}ße"]),
            ("2", "Özgür", ["özgür", "ÖZGÜR", "o\u{308}zgu\u{308}r"]),
            ("3", "Ivan İnci", ["ivan İnci", "IVAN  İNCI", "Ｉｖａｎ\u{3000}İnci"]),
            ("4", "ışık", ["ışik", "IŞIK", "ISIK"]),
            ("5", "Σίσυφος", ["ΣΊΣΥΦΟΣ", "σίσυφος", "σι\u{301}συφος"]),
            ("6", "ＡＬＩＣＥ", ["alice", "Alice", "ａｌｉｃｅ"]),
        ] {
            assert!(add(&store, sub, username, &format!("{sub}@example.com")).await, "{username}, {}", store.name);
            for other in others {
                // A dotless i is another letter; it is unknown only because no user has it.
                let expected = if sub == "4" { None } else { Some(sub) };
                assert_found(&store, other, found(&store, other).await.as_deref(), expected);
                if expected.is_some() {
                    assert!(!add(&store, "new", other, "new@example.com").await, "{other} is taken, {}", store.name);
                }
            }
            assert_found(&store, username, found(&store, username).await.as_deref(), Some(sub));
        }
        assert_found(&store, "Ivan", found(&store, "Ivan").await.as_deref(), None);
    }
}

#[tokio::test]
async fn an_address_is_the_same_in_whatever_letters_and_an_internationalized_domain_in_ascii() {
    for store in lasting().await {
        assert!(add(&store, "1", "jürgen", "Jürgen@Bücher.example").await);
        for same in ["JÜRGEN@BÜCHER.EXAMPLE", "ju\u{308}rgen@xn--bcher-kva.example", "jürgen@xn--BCHER-kva.example"]
        {
            assert_found(&store, same, found(&store, same).await.as_deref(), Some("1"));
            let holders = users::with_address(&store.db, same).await.unwrap();
            assert_eq!(holders.len(), 1, "{same}, {}", store.name);
        }
        // Two people who have it sign in by it no more.
        assert!(add(&store, "2", "other", "JÜRGEN@xn--bcher-kva.example").await);
        assert_found(&store, "shared", found(&store, "jürgen@bücher.example").await.as_deref(), None);
        let people = users::list(&store.db).await.unwrap();
        assert!(people.iter().all(|person| person.shares_address == 1), "{}", store.name);
    }
}

#[tokio::test]
async fn a_row_by_hand_is_found_in_any_case_from_the_first_look_on() {
    for store in lasting().await {
        store.sql(&by_hand("1", "Özgür", "Özgür@Example.com")).await;
        for login in ["özgür", "ÖZGÜR@example.com", "Özgür"] {
            assert_found(&store, login, found(&store, login).await.as_deref(), Some("1"));
        }
        // Written once, and then a sign-in costs one statement.
        let before = store.db.statements();
        assert_found(&store, "again", found(&store, "ÖZGÜR").await.as_deref(), Some("1"));
        assert_found(&store, "nobody", found(&store, "nobody").await.as_deref(), None);
        assert_eq!(store.db.statements() - before, 2, "{}", store.name);
        // A user without a name is folded too, and never again.
        store.sql("INSERT INTO users (sub) VALUES ('bare')").await;
        assert_found(&store, "", found(&store, "").await.as_deref(), None);
        let before = store.db.statements();
        assert_found(&store, " ", found(&store, " ").await.as_deref(), None);
        assert_eq!(store.db.statements() - before, 1, "{}", store.name);
    }
}

/// What a name costs must not tell whether a user has it.
#[tokio::test]
async fn a_name_that_no_user_has_costs_as_many_statements_as_another() {
    for store in lasting().await {
        store.sql(&by_hand("1", "alice", "alice@example.com")).await;
        let mut costs = Vec::new();
        for login in ["nobody", "ALICE", "nobody", "alice"] {
            // A row that was written by hand meanwhile.
            store.sql(&format!("INSERT INTO users (sub) VALUES ('filler-{}')", costs.len())).await;
            for _ in 0..2 {
                let before = store.db.statements();
                let _ = found(&store, login).await;
                costs.push(store.db.statements() - before);
            }
        }
        assert_eq!(costs, [3, 1, 3, 1, 3, 1, 3, 1], "{}", store.name);
    }
}

#[tokio::test]
async fn a_user_renamed_by_hand_is_found_by_the_new_name_only() {
    for store in lasting().await {
        assert!(add(&store, "1", "Özgür", "old@example.com").await);
        store.sql("UPDATE users SET username = 'Günther', email = 'NEW@example.com' WHERE sub = '1'").await;
        for (login, expected) in [
            ("özgür", None),
            ("Özgür", None),
            ("old@example.com", None),
            ("GÜNTHER", Some("1")),
            ("new@EXAMPLE.com", Some("1")),
        ] {
            assert_found(&store, login, found(&store, login).await.as_deref(), expected);
        }
        // The old name is free at once, for all who take it: a command, or another row by hand.
        store.sql("UPDATE users SET username = 'Renamed' WHERE sub = '1'").await;
        assert!(add(&store, "2", "GÜNTHER", "g@example.com").await, "{}", store.name);
        store.sql("UPDATE users SET username = 'Again' WHERE sub = '2'").await;
        store.sql(&by_hand("0", "günther", "0@example.com")).await;
        assert_found(&store, "Günther", found(&store, "Günther").await.as_deref(), Some("0"));
        // Two who changed their names with each other.
        store.sql("UPDATE users SET username = 'x' WHERE sub = '0'").await;
        store.sql("UPDATE users SET username = 'Günther' WHERE sub = '1'").await;
        store.sql("UPDATE users SET username = 'Renamed' WHERE sub = '0'").await;
        assert_found(&store, "GÜNTHER", found(&store, "GÜNTHER").await.as_deref(), Some("1"));
        assert_found(&store, "RENAMED", found(&store, "RENAMED").await.as_deref(), Some("0"));
    }
}

/// A fold that is not of the row's own name decides nothing, however it was written.
#[tokio::test]
async fn a_stale_fold_lets_no_user_in_by_the_old_name() {
    for store in lasting().await {
        assert!(add(&store, "1", "alice", "alice@example.com").await);
        // As if it had been folded: the row itself is looked at all the same.
        store
            .sql(
                "UPDATE users SET username = 'carol', email = 'carol@example.com', folded_of = 'carol carol@example.com'",
            )
            .await;
        for login in ["alice", "alice@example.com"] {
            assert_found(&store, login, found(&store, login).await.as_deref(), None);
        }
        assert_found(&store, "carol", found(&store, "carol").await.as_deref(), Some("1"));
    }
}

#[tokio::test]
async fn two_names_by_hand_that_differ_in_letters_only_are_each_found_as_they_are_written() {
    for store in lasting().await {
        store.sql(&by_hand("1", "alice", "1@example.com")).await;
        store.sql(&by_hand("2", "ALICE", "2@example.com")).await;
        for (login, expected) in [("alice", "1"), ("ALICE", "2"), ("Alice", "1"), ("2@EXAMPLE.com", "2")] {
            assert_found(&store, login, found(&store, login).await.as_deref(), Some(expected));
        }
        assert!(!add(&store, "3", "aLICE", "3@example.com").await, "{}", store.name);
        // It is not looked at again and again.
        let before = store.db.statements();
        let _ = found(&store, "nobody").await;
        assert_eq!(store.db.statements() - before, 1, "{}", store.name);
    }
}

/// RFC 8265 refuses it; the operator who wrote the row wants it all the same.
#[tokio::test]
async fn a_name_by_hand_that_the_profile_refuses_is_found() {
    for store in lasting().await {
        for (sub, username) in [("1", "O’Brien™"), ("2", "Henry Ⅳ"), ("3", " spaced "), ("4", "🥑")] {
            store.sql(&by_hand(sub, username, &format!("{sub}@example.com"))).await;
            assert_found(&store, username, found(&store, username).await.as_deref(), Some(sub));
        }
        assert_found(&store, "o’brien™", found(&store, "o’brien™").await.as_deref(), Some("1"));
    }
}

/// A sign-in by e-mail works only where the address is unique; also where the other row is by hand.
#[tokio::test]
async fn an_address_is_shared_in_whatever_letters_also_with_a_row_by_hand() {
    for store in lasting().await {
        assert!(add(&store, "1", "anna", "Team@Bücher.example").await);
        let is_verified = async || users::find(&store.db, "1").await.unwrap().unwrap().claims["email_verified"] == true;
        assert_found(&store, "alone", found(&store, "team@bücher.example").await.as_deref(), Some("1"));
        for other in [
            by_hand("2", "berta", "TEAM@BÜCHER.example"),
            by_hand("2", "berta", "team@xn--bcher-kva.example"),
            by_hand("2", "TEAM@bücher.example", "berta@example.com"),
        ] {
            assert!(is_verified().await, "{}", store.name);
            store.sql(&other).await;
            assert!(!is_verified().await, "{other}, {}", store.name);
            store.sql("DELETE FROM users WHERE sub = '2'").await;
            store.sql(&other).await;
            let who = found(&store, "team@bücher.example").await;
            // Whose user name it is comes first; else it is no user's.
            assert_ne!(who.as_deref(), Some("1"), "{other}, {}", store.name);
            assert_eq!(who.is_some(), other.contains("'berta@example.com'"), "{other}, {}", store.name);
            store.sql("DELETE FROM users WHERE sub = '2'").await;
        }
        // Another user's address was changed by hand to hers.
        assert!(add(&store, "3", "clara", "clara@example.com").await);
        store.sql("UPDATE users SET email = 'TEAM@bücher.EXAMPLE' WHERE sub = '3'").await;
        assert_found(&store, "shared", found(&store, "team@bücher.example").await.as_deref(), None);
    }
}

/// A full disk, a standby: it keeps no user out who types the name as it is written.
#[tokio::test]
async fn a_name_that_cannot_be_folded_is_found_as_it_is_written() {
    for store in lasting().await {
        store
            .sql(match store.name {
                "SQLite" => {
                    "CREATE TRIGGER frozen BEFORE UPDATE OF folded_of ON users BEGIN SELECT RAISE(ABORT, 'frozen'); END"
                }
                _ => "ALTER TABLE users ADD CONSTRAINT frozen CHECK (folded_of IS NULL)",
            })
            .await;
        store.sql(&by_hand("1", "Özgür", "Özgür@example.com")).await;
        for (login, expected) in [("Özgür", Some("1")), ("Özgür@example.com", Some("1")), ("özgür", None)] {
            assert_found(&store, login, found(&store, login).await.as_deref(), expected);
        }
        assert!(users::find(&store.db, "1").await.unwrap().is_some(), "{}", store.name);
    }
}

/// More than one sign-in waits for: it continues, and a node folds the rest in the background.
#[tokio::test]
async fn many_rows_by_hand_are_folded_however_many_they_are() {
    for store in lasting().await {
        let rows: Vec<String> = (0..1001).map(|n| format!("('{n:04}', 'Ü{n}', 'ü{n}@example.com')")).collect();
        store.sql(&format!("INSERT INTO users (sub, username, email) VALUES {}", rows.join(", "))).await;
        assert_found(&store, "Ü1000", found(&store, "Ü1000").await.as_deref(), Some("1000"));
        users::fold_names(&store.db).await.unwrap();
        assert_found(&store, "ü1000", found(&store, "ü1000").await.as_deref(), Some("1000"));
        let before = store.db.statements();
        let _ = found(&store, "nobody").await;
        assert_eq!(store.db.statements() - before, 1, "{}", store.name);
    }
}

/// One reads rows to fold them while another changes them: what that wrote is not written over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_changed_while_it_is_folded_is_found_by_what_it_is_now() {
    for store in lasting().await {
        store.sql("INSERT INTO users (sub, username, email) VALUES ('1', 'Alice', 'Old@example.com')").await;
        let mut holder = AnyConnection::connect(store.url()).await.unwrap();
        let begin = if store.url().starts_with("sqlite") { "BEGIN IMMEDIATE" } else { "BEGIN" };
        holder.execute(begin).await.unwrap();
        let change = "UPDATE users SET email = 'New@example.com', email_folded = 'new@example.com', username_folded = 'alice', \
                      folded_of = 'Alice New@example.com' WHERE sub = '1'";
        holder.execute(change).await.unwrap();
        let db = store.db.clone();
        let folding = tokio::spawn(async move { users::fold_names(&db).await });
        // It has read the row from before by then, and waits.
        tokio::time::sleep(Duration::from_millis(500)).await;
        holder.execute("COMMIT").await.unwrap();
        folding.await.unwrap().unwrap();
        // Whether another has the address is asked without folding anything first.
        let folded: String = sqlx::query_scalar("SELECT email_folded FROM users").fetch_one(&mut holder).await.unwrap();
        assert_eq!(folded, "new@example.com", "{}", store.name);
        assert_found(&store, "NEW@example.com", found(&store, "NEW@example.com").await.as_deref(), Some("1"));
    }
}

async fn ready() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    (provider, client)
}

fn command(provider: &TestProvider, arguments: &[&str], input: &str) -> Outcome {
    provider.command(arguments, input)
}

/// Signs in and gives the page, and how many hashes it cost.
async fn sign_in(
    provider: &TestProvider,
    client: &TestClient,
    login: &str,
    password: &str,
) -> (crate::support::Page, u64) {
    let browser = UserAgent::new();
    let page = Authorization::of(client).open(provider, &browser).await;
    let before = provider.provider.passwords.computed();
    let page = provider.type_in(&browser, &page, login, password).await;
    (page, provider.provider.passwords.computed() - before)
}

async fn is_let_in(provider: &TestProvider, client: &TestClient, login: &str, password: &str) -> (bool, u64) {
    let (page, cost) = sign_in(provider, client, login, password).await;
    if !page.status.is_redirection() {
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
        return (false, cost);
    }
    let _ = Answer::of(&page, &client.redirect_uri).code();
    (true, cost)
}

#[tokio::test]
async fn a_name_and_a_password_are_taken_from_whatever_keyboard() {
    let (provider, client) = ready().await;
    let arguments = ["user", "add", "Ivan İnci", "--email", "ivan@example.com", "--password-stdin"];
    assert_eq!(command(&provider, &arguments, &format!("{DECOMPOSED}\n")).status, 0);
    for login in ["ivan i\u{307}nci", "Ivan İnci", "Ivan  İNCI", "IVAN@example.com"] {
        for (password, cost) in [(COMPOSED, 1), (DECOMPOSED, 1), ("Grüße\u{a0}aus Ísafjörður", 1)] {
            assert_eq!(is_let_in(&provider, &client, login, password).await, (true, cost), "{login} {password}");
        }
    }
    assert_eq!(is_let_in(&provider, &client, "Ivan", COMPOSED).await, (false, 1));
    assert_eq!(is_let_in(&provider, &client, "Ivan İnci", &COMPOSED.to_uppercase()).await, (false, 1));
    // The other direction: set composed, typed decomposed.
    let arguments = ["user", "set-password", "IVAN İNCI", "--password-stdin"];
    assert_eq!(command(&provider, &arguments, "Fünf Köche\n").status, 0);
    assert_eq!(is_let_in(&provider, &client, "Ivan İnci", "Fu\u{308}nf Ko\u{308}che").await, (true, 1));
}

/// Hashes of before, from an import or a monolith, are of the bytes that were typed there.
#[tokio::test]
async fn a_hash_of_before_preparation_is_found_by_what_was_typed() {
    let (provider, client) = ready().await;
    let line = |name: &str, password: &str| {
        json!({"username": name, "email": format!("{name}@example.com"), "password_hash": hash_of(password)})
            .to_string()
    };
    let lines = [line("decomposed", DECOMPOSED), line("composed", COMPOSED), line("control", "a\tpassword")];
    assert_eq!(command(&provider, &["user", "import", "-", "--apply"], &lines.join("\n")).status, 0);
    assert_eq!(is_let_in(&provider, &client, "composed", COMPOSED).await, (true, 1));
    assert_eq!(is_let_in(&provider, &client, "composed", DECOMPOSED).await, (true, 1));
    assert_eq!(is_let_in(&provider, &client, "decomposed", DECOMPOSED).await, (true, 2));
    assert_eq!(is_let_in(&provider, &client, "control", "a\tpassword").await, (true, 1), "refused for a new one only");
}

/// Neither whether there is such a person, nor how the hash was made.
#[tokio::test]
async fn the_cost_of_a_wrong_password_does_not_tell_which_names_there_are() {
    let (provider, client) = ready().await;
    let arguments = ["user", "add", "prepared", "--email", "p@example.com", "--password-stdin"];
    assert_eq!(command(&provider, &arguments, "a good password\n").status, 0);
    provider.add_user(NewUser::named("by-hand")).await;
    provider.add_user(NewUser::named("disabled").with("disabled_at", "1")).await;
    provider.sql("INSERT INTO users (sub, username) VALUES ('bare', 'bare')").await;
    for (typed, cost) in [("wrong", 1), ("wro\u{308}ng", 2), ("wrong\u{a0}", 2), ("wr\u{7}ong", 1), ("wröng", 1)] {
        for login in ["prepared", "by-hand", "disabled", "bare", "nobody"] {
            assert_eq!(is_let_in(&provider, &client, login, typed).await, (false, cost), "{login}, {typed:?}");
        }
    }
    let long = "o\u{308}".repeat(512);
    assert_eq!(is_let_in(&provider, &client, "nobody", &long).await, (false, 1), "{} bytes", long.len());
}

#[tokio::test]
async fn what_was_typed_stays_on_the_page_as_it_was_typed() {
    let (provider, client) = ready().await;
    for typed in ["ÖZGÜR", "o\u{308}zgu\u{308}r", "Ｉｖａｎ\u{3000}İnci"] {
        let (page, _) = sign_in(&provider, &client, typed, "wrong").await;
        assert_eq!(page.form("form").value("username"), Some(typed));
    }
}

#[tokio::test]
async fn one_name_in_different_letters_is_throttled_as_one() {
    let (provider, client) = ready().await;
    for spellings in [
        ["Grüße", "GRÜßE", "Gru\u{308}ße", "ｇｒüße"],
        ["a@ü.example", "A@Ü.example", "a@xn--tda.example", "a@U\u{308}.example"],
    ] {
        for spelling in spellings.iter().cycle().take(usize::try_from(PER_ACCOUNT_AND_NETWORK).unwrap()) {
            assert!(!is_let_in(&provider, &client, spelling, "wrong").await.0);
        }
        for spelling in spellings {
            let (page, cost) = sign_in(&provider, &client, spelling, "wrong").await;
            assert_eq!((page.status, cost), (StatusCode::TOO_MANY_REQUESTS, 0), "{spelling}");
        }
    }
}

#[tokio::test]
async fn what_is_no_user_name_or_password_is_refused_with_the_fix() {
    let (provider, _) = ready().await;
    let add = |username: &str, password: &str| {
        let arguments = ["user", "add", username, "--email", "new@example.com", "--password-stdin"];
        command(&provider, &arguments, password)
    };
    for (username, why) in [
        ("O’Brien", "U+2019"),
        ("henry Ⅳ", "U+2163"),
        ("a\u{a0}b", "U+00A0"),
        ("שרהabc", "right-to-left"),
        ("alice ", "spaces around"),
        ("", "1 to 320 bytes"),
        (&"x".repeat(256), "255 bytes"),
    ] {
        let outcome = add(username, "a good password\n");
        assert_eq!(outcome.status, 1, "{outcome:?}");
        assert!(outcome.stderr.contains(why), "{username}: {outcome:?}");
        let line = json!({"username": username, "email": "new@example.com"}).to_string();
        let outcome = command(&provider, &["user", "import", "-"], &line);
        assert!(outcome.status == 1 && outcome.stdout.contains(why), "{username}: {outcome:?}");
        assert_eq!(outcome.stdout.lines().count(), 1, "{outcome:?}");
    }
    for (password, why) in [
        ("a bell \u{7} rings\n", "U+0007"),
        (&format!("{}\n", "x".repeat(1025)), "1024 bytes"),
        ("o\u{308}".repeat(4).as_str(), "8 characters"),
    ] {
        let outcome = add("new", password);
        assert!(outcome.status == 1 && outcome.stderr.contains(why), "{outcome:?}");
        assert!(!outcome.stderr.contains("rings"), "{outcome:?}");
    }
    assert!(provider.rows("SELECT sub FROM users").await.is_empty());
}

#[tokio::test]
async fn commands_find_users_in_whatever_letters() {
    let (provider, _) = ready().await;
    provider.add_user(NewUser::named("1").with("username", "Özgür").with("email", "Özgür@Bücher.example")).await;
    for arguments in [
        &["user", "add", "özgür", "--email", "new@example.com", "--password-stdin"][..],
        &["user", "add", "new", "--email", "o\u{308}zgür@xn--bcher-kva.example", "--password-stdin"],
    ] {
        let outcome = command(&provider, arguments, "a good password\n");
        assert!(outcome.status == 1 && outcome.stderr.contains("already"), "{outcome:?}");
    }
    let lines = [
        json!({"username": "ÖZGÜR", "email": "a@example.com"}),
        json!({"username": "Ñandú", "email": "b@example.com"}),
        json!({"username": "n\u{303}andu\u{301}", "email": "c@example.com"}),
        json!({"username": "d", "email": "ÖZGÜR@bücher.example"}),
    ];
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let outcome = command(&provider, &["user", "import", "-"], &lines.join("\n"));
    assert!(outcome.stdout.contains("-:1: there is a user") && outcome.stdout.contains("-:3: there is a user"));
    assert!(outcome.stdout.contains("-:4: the address"), "{outcome:?}");
    let outcome = command(&provider, &["user", "disable", "o\u{308}zgu\u{308}r", "--yes"], "");
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(provider.rows("SELECT disabled_at FROM users").await[0][0].is_some());
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let typed = format!("{DECOMPOSED}\n{DECOMPOSED}\n");
    let outcome = run_at_terminal(provider.folder.path(), &["user", "set-password", "ÖZGÜR"], &variables, &typed);
    assert_eq!(outcome.status, 0, "{outcome:?}");
}
