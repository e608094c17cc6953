//! `hallpass user import`: people brought over from elsewhere, made again as a delta, and what was changed here meanwhile.

use crate::support::program::{Outcome, json_of};
use crate::support::provider::{PASSWORD, hash_of};
use crate::support::{Authorization, NewClient, NewUser, TestProvider, UserAgent, folder};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn hallpass(provider: &TestProvider, arguments: &[&str], input: &str) -> Outcome {
    provider.command(arguments, input)
}

/// Brings people over, with `--apply`.
#[track_caller]
fn import(provider: &TestProvider, people: &[Value], more: &[&str]) -> Outcome {
    let lines: Vec<String> = people.iter().map(Value::to_string).collect();
    let arguments = ["user", "import", "-", "--source", "monolith", "--apply", "--json"];
    hallpass(provider, &arguments.iter().chain(more).copied().collect::<Vec<_>>(), &lines.join("\n"))
}

#[track_caller]
fn imported(provider: &TestProvider, people: &[Value], more: &[&str]) -> Value {
    let outcome = import(provider, people, more);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    json_of(&outcome)
}

#[track_caller]
fn show(provider: &TestProvider, name: &str) -> Value {
    let outcome = hallpass(provider, &["user", "show", name, "--json"], "");
    assert_eq!(outcome.status, 0, "{outcome:?}");
    json_of(&outcome)
}

fn groups(provider: &TestProvider, name: &str) -> BTreeSet<String> {
    show(provider, name)["groups"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn run(provider: &TestProvider, arguments: &[&str]) {
    let outcome = hallpass(provider, arguments, "");
    assert_eq!(outcome.status, 0, "{arguments:?}: {outcome:?}");
}

/// What the login page answers: the address of the service, or a page.
async fn signs_in(provider: &TestProvider, login: &str, password: &str) -> bool {
    let client = NewClient::new("reports").sql().1;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(provider, &browser).await;
    provider.type_in(&browser, &page, login, password).await.query_parameter("code").is_some()
}

fn person(name: &str) -> Value {
    json!({"sub": format!("id-{name}"), "username": name, "email": format!("{name}@example.com")})
}

fn with(mut person: Value, more: impl std::borrow::Borrow<Value>) -> Value {
    for (member, value) in more.borrow().as_object().unwrap() {
        person[member] = value.clone();
    }
    person
}

#[track_caller]
fn finding<'a>(document: &'a Value, list: &str, key: &str) -> &'a Value {
    let found = document[list].as_array().unwrap().iter().find(|finding| finding["key"] == key);
    found.unwrap_or_else(|| panic!("{list} has nothing of {key}: {document}"))
}

#[tokio::test]
async fn a_user_comes_over_with_groups_claims_lock_and_standard_claims_and_show_tells_them() {
    let provider = TestProvider::start().await;
    let _ = provider.client("reports").await;
    let alice = with(
        person("alice"),
        json!({
            "email_verified": true, "given_name": "Alice", "phone_number": "+49 30 1", "phone_number_verified": true,
            "groups": ["editors", "Büro Köln"], "claims": {"department": ["sales", "board"], "level": 3},
            "password_hash": hash_of(PASSWORD),
        }),
    );
    let locked = with(person("lock"), json!({"locked_until": "forever", "password_hash": hash_of(PASSWORD)}));
    let later = with(person("later"), json!({"locked_until": "2099-01-01T00:00:00Z"}));
    let past =
        with(person("past"), json!({"locked_until": "2001-01-01T00:00:00Z", "password_hash": hash_of(PASSWORD)}));
    let report = imported(&provider, &[alice.clone(), locked.clone(), later.clone(), past.clone()], &[]);
    assert_eq!((&report["users"], &report["groups"], &report["is_changed"]), (&json!(4), &json!(2), &json!(true)));

    let shown = show(&provider, "alice");
    assert_eq!(
        (&shown["sub"], &shown["username"], &shown["source"], &shown["locked"], &shown["locked_until"]),
        (&json!("id-alice"), &json!("alice"), &json!("monolith"), &json!(false), &Value::Null)
    );
    assert_eq!(shown["groups"], json!(["Büro Köln", "editors"]));
    let claims = &shown["claims"];
    assert_eq!(
        (&claims["department"], &claims["level"], &claims["given_name"], &claims["phone_number_verified"]),
        (&json!(["sales", "board"]), &json!(3), &json!("Alice"), &json!(true))
    );
    let shown = show(&provider, "lock");
    assert_eq!(
        (&shown["locked"], &shown["locked_until"], &shown["state"]),
        (&json!(true), &Value::Null, &json!("locked"))
    );
    let shown = show(&provider, "later");
    assert_eq!((&shown["locked"], &shown["locked_until"]), (&json!(true), &json!("2099-01-01T00:00:00Z")));
    assert_eq!(show(&provider, "past")["locked"], false);

    assert!(signs_in(&provider, "alice", PASSWORD).await);
    assert!(signs_in(&provider, "past", PASSWORD).await, "a lock that has passed is none");
    assert!(!signs_in(&provider, "lock", PASSWORD).await);
    let least = provider.rows("SELECT value FROM provider_values WHERE name = 'least_schema_version'").await;
    assert!(least[0][0].as_deref().unwrap().parse::<i64>().unwrap() >= 10, "an older node would let a locked user in");

    // Made again, it changes nothing at all.
    let before = provider.rows("SELECT sub, digests, imported_at FROM user_sources ORDER BY sub").await;
    let again = imported(&provider, &[alice, locked, later, past], &[]);
    assert_eq!((&again["is_changed"], &again["unchanged"], &again["notes"]), (&json!(false), &json!(4), &json!([])));
    assert_eq!(provider.rows("SELECT sub, digests, imported_at FROM user_sources ORDER BY sub").await, before);
}

/// The page tells the lock to who has proven the password, and to no other.
#[tokio::test]
async fn a_locked_user_is_told_so_after_the_right_password_alone() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    imported(
        &provider,
        &[with(person("lock"), json!({"locked_until": "forever", "password_hash": hash_of(PASSWORD)}))],
        &[],
    );
    for (password, told, status) in [(PASSWORD, "Your account is locked", 403), ("not this", "", 422)] {
        let browser = UserAgent::new();
        let page = Authorization::of(&client).open(&provider, &browser).await;
        let page = provider.type_in(&browser, &page, "lock", password).await;
        assert_eq!(page.status.as_u16(), status);
        assert_eq!(page.text().contains("locked"), !told.is_empty(), "{page}");
    }
    run(&provider, &["user", "edit", "lock", "--unlock"]);
    provider.travel(10);
    assert!(signs_in(&provider, "lock", PASSWORD).await);
}

/// A lock that is set ends what the user has; when it is lifted that does not come back.
#[tokio::test]
async fn a_lock_ends_sign_ins_and_tokens() {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports")
        .with("grant_types", "authorization_code refresh_token")
        .with("scope", "openid offline_access");
    let client = provider.add(client).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let asked = Authorization::of(&client).with("scope", "openid offline_access").with("prompt", "consent");
    let page = asked.open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    let page = browser.submit(page.form("form"), Some(("decision", "allow"))).await;
    let page = provider.settle(&browser, page).await;
    let tokens = provider.redeem(&client, &page.query_parameter("code").unwrap()).await.ok();
    let refresh = async || {
        let token = tokens.text("refresh_token");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &token)];
        provider.post("/token", client.auth(), &fields).await.status.as_u16()
    };
    let userinfo = async || provider.userinfo(&tokens.text("access_token")).await.status.as_u16();
    assert_eq!(userinfo().await, 200);
    run(&provider, &["user", "edit", "alice", "--lock-until", "forever"]);
    provider.travel(10);
    assert_eq!((userinfo().await, refresh().await), (401, 400));
    run(&provider, &["user", "edit", "alice", "--unlock"]);
    provider.travel(10);
    assert_eq!((userinfo().await, refresh().await), (401, 400));
    assert!(signs_in(&provider, "alice", PASSWORD).await);
}

#[tokio::test]
async fn what_cannot_be_taken_is_named_and_the_rest_is_taken() {
    let provider = TestProvider::start().await;
    let _ = provider.client("reports").await;
    provider.add_user(NewUser::named("here")).await;
    let people = [
        person("good"),
        with(person("Here"), json!({"email": "other@example.com"})),
        with(person("client"), json!({"sub": "reports"})),
        person("twin"),
        with(person("TWIN"), json!({"email": "twin2@example.com"})),
        with(person("one"), json!({"sub": "same"})),
        with(person("two"), json!({"sub": "same"})),
        with(person("claims"), json!({"claims": {"iss": "x"}})),
        with(person("hash"), json!({"password_hash": "a-marked-value"})),
    ];
    let outcome = import(&provider, &people, &[]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    let report = json_of(&outcome);
    assert_eq!((&report["users"], &report["is_changed"]), (&json!(1), &json!(true)), "{report}");
    for key in ["Here", "client", "twin", "TWIN", "one", "two"] {
        let told = finding(&report, "faults", key);
        assert!(told["line"].is_u64() && !told["why"].as_str().unwrap().is_empty(), "{told}");
    }
    assert_eq!(report["faults"].as_array().unwrap().len(), 8, "{report}");
    assert!(!outcome.stdout.contains("a-marked-value"));
    let names = provider.rows("SELECT username FROM users ORDER BY username").await;
    assert_eq!(names, [[Some("good".to_owned())], [Some("here".to_owned())]]);

    // All or nothing: nothing.
    let people: Vec<Value> = people.iter().cloned().chain([person("better")]).collect();
    let outcome = import(&provider, &people, &["--all-or-nothing"]);
    assert_eq!((outcome.status, json_of(&outcome)["is_changed"].clone()), (1, json!(false)));
    assert_eq!(provider.rows("SELECT username FROM users").await.len(), 2);
    let report = imported(&provider, &[person("good"), person("better")], &["--all-or-nothing"]);
    assert_eq!((&report["users"], &report["is_changed"]), (&json!(1), &json!(true)));
}

/// Two monoliths both have a person 1.
#[tokio::test]
async fn a_sub_of_another_source_is_named_and_not_taken() {
    let provider = TestProvider::start().await;
    imported(&provider, &[with(person("alice"), json!({"sub": "1"}))], &[]);
    let line = with(person("bob"), json!({"sub": "1"})).to_string();
    let other = ["user", "import", "-", "--source", "other", "--apply", "--json"];
    let outcome = hallpass(&provider, &other, &line);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    assert_eq!(finding(&json_of(&outcome), "faults", "bob")["member"], "sub");
    let rows = provider.rows("SELECT source, sub FROM user_sources").await;
    assert_eq!(rows, [[Some("monolith".to_owned()), Some("1".to_owned())]]);
}

/// A user name with @ that is not one's own address is taken unless it is another's name or address.
#[tokio::test]
async fn a_user_name_with_at_is_taken_unless_it_is_the_address_of_another() {
    let provider = TestProvider::start().await;
    let _ = provider.client("reports").await;
    provider.add_user(NewUser::named("here").with("email", "here@example.com")).await;
    let old = json!({"sub": "1", "username": "old@example.com", "email": "new@example.com", "password_hash": hash_of(PASSWORD)});
    let people = [
        old,
        json!({"sub": "2", "username": "here@example.com", "email": "b@example.com"}),
        json!({"sub": "3", "username": "carl@example.com", "email": "c@example.com"}),
        json!({"sub": "4", "username": "carl", "email": "Carl@example.com"}),
    ];
    let outcome = import(&provider, &people, &[]);
    let report = json_of(&outcome);
    assert_eq!((outcome.status, &report["users"]), (1, &json!(2)), "{report}");
    finding(&report, "faults", "here@example.com");
    finding(&report, "faults", "carl@example.com");
    assert!(signs_in(&provider, "old@example.com", PASSWORD).await);
}

#[tokio::test]
async fn a_role_of_a_name_that_is_a_group_here_is_named_until_it_is_said_which() {
    let provider = TestProvider::start().await;
    run(&provider, &["group", "new", "admin"]);
    let alice = with(person("alice"), json!({"groups": ["admin", "editors"]}));
    let outcome = import(&provider, std::slice::from_ref(&alice), &[]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    let report = json_of(&outcome);
    assert!(report["faults"][0]["fix"].as_str().unwrap().contains("--role admin="), "{report}");
    assert_eq!(groups(&provider, "alice"), BTreeSet::from(["editors".to_owned()]));
    // Said once, it is known the next time.
    imported(&provider, std::slice::from_ref(&alice), &["--role", "admin=monolith:admin"]);
    let both = BTreeSet::from(["editors".to_owned(), "monolith:admin".to_owned()]);
    assert_eq!(groups(&provider, "alice"), both);
    let again = imported(&provider, std::slice::from_ref(&alice), &[]);
    assert_eq!((&again["is_changed"], groups(&provider, "alice")), (&json!(false), both));
    // And it may be the group that is here.
    imported(&provider, &[alice], &["--role", "admin=admin"]);
    assert_eq!(groups(&provider, "alice"), BTreeSet::from(["admin".to_owned(), "editors".to_owned()]));
}

/// Member by member: the source alone, here alone, both, neither.
#[tokio::test]
async fn a_delta_takes_what_the_source_changed_and_leaves_what_was_changed_here() {
    let provider = TestProvider::start().await;
    let _ = provider.client("reports").await;
    let (old, new) = (hash_of("old password of monolith"), hash_of("new password of monolith"));
    let locked = with(person("locked"), json!({"locked_until": "forever"}));
    let before = |name: &str| {
        with(
            person(name),
            json!({"email_verified": true, "name": "Before", "password_hash": old, "groups": ["editors", "readers"],
                "claims": {"department": "sales"}}),
        )
    };
    let mut people = ["source", "here", "both", "neither"].map(before).to_vec();
    people.push(locked.clone());
    imported(&provider, &people, &[]);
    run(&provider, &["user", "edit", "locked", "--unlock"]);
    // The first sign-in hashes the password as we do; that is no change.
    for name in ["source", "neither"] {
        assert!(signs_in(&provider, name, "old password of monolith").await, "{name}");
    }
    for name in ["here", "both"] {
        let set = hallpass(&provider, &["user", "set-password", name, "--password-stdin"], "chosen here");
        assert_eq!(set.status, 0, "{set:?}");
        let email = format!("{name}-here@example.com");
        run(&provider, &["user", "edit", name, "--email", &email, "--email-unverified", "--name", "Here"]);
        run(&provider, &["group", "remove", "editors", name]);
        run(&provider, &["user", "claim", "set", name, "department", "here"]);
    }
    run(&provider, &["user", "edit", "here", "--lock-until", "2099-01-01T00:00:00Z"]);
    let after = |name: &str| {
        with(
            person(name),
            json!({"email": format!("{name}-source@example.com"), "email_verified": true, "name": "Source",
                "password_hash": new, "groups": ["writers", "editors"], "claims": {"department": "it", "desk": "5"}}),
        )
    };
    let people = [after("source"), before("here"), after("both"), before("neither"), locked];
    let report = imported(&provider, &people, &[]);
    provider.travel(10);

    let of = |name: &str| {
        let shown = show(&provider, name);
        let claims = &shown["claims"];
        let text = |claim: &str| claims[claim].as_str().map(str::to_owned);
        (text("email"), claims["email_verified"].clone(), text("name"), text("department"), text("desk"))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(of("source"), (some("source-source@example.com"), json!(true), some("Source"), some("it"), some("5")));
    assert_eq!(of("here"), (some("here-here@example.com"), json!(false), some("Here"), some("here"), None));
    assert_eq!(of("both"), (some("both-here@example.com"), json!(false), some("Here"), some("here"), some("5")));
    assert_eq!(of("neither"), (some("neither@example.com"), json!(true), some("Before"), some("sales"), None));
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(groups(&provider, "source"), set(&["editors", "writers"]));
    assert_eq!(groups(&provider, "here"), set(&["readers"]), "who was taken out here stays out");
    assert_eq!(groups(&provider, "both"), set(&["writers"]));
    assert_eq!(groups(&provider, "neither"), set(&["editors", "readers"]));
    assert_eq!(show(&provider, "here")["locked_until"], "2099-01-01T00:00:00Z");
    assert_eq!(show(&provider, "locked")["locked"], false);
    for (name, password, is_right) in [
        ("source", "new password of monolith", true),
        ("source", "old password of monolith", false),
        ("both", "chosen here", true),
        ("both", "new password of monolith", false),
        ("neither", "old password of monolith", true),
    ] {
        assert_eq!(signs_in(&provider, name, password).await, is_right, "{name} {password}");
    }
    // What stays is named: password, address, lock, membership.
    for (key, members) in [
        ("here", &["password_hash", "email", "locked_until", "roles"][..]),
        ("both", &["password_hash", "email", "roles", "name", "claims"]),
        ("locked", &["locked_until"]),
    ] {
        let named: BTreeSet<&str> = report["notes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|note| note["key"] == key)
            .map(|note| note["member"].as_str().unwrap())
            .collect();
        for member in members {
            assert!(named.contains(member), "{key} {member}: {report}");
        }
    }
    assert!(report["notes"].as_array().unwrap().iter().all(|note| note["key"] != "neither"), "{report}");
    assert_eq!(report["changed"], 2, "{report}");
    // Again: nothing more happens, and the same is named.
    let again = imported(&provider, &people, &[]);
    assert_eq!((&again["is_changed"], &again["notes"]), (&json!(false), &report["notes"]));
}

/// A password that the source changed ends what the old one opened.
#[tokio::test]
async fn another_password_of_the_source_ends_sign_ins() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    let of = |password: &str| with(person("alice"), json!({"password_hash": hash_of(password)}));
    imported(&provider, &[of(PASSWORD)], &[]);
    let tokens = provider.tokens(&UserAgent::new(), &client).await;
    let token = tokens.text("access_token");
    assert_eq!(provider.userinfo(&token).await.status.as_u16(), 200);
    imported(&provider, &[of("another password")], &[]);
    provider.travel(10);
    assert_eq!(provider.userinfo(&token).await.status.as_u16(), 401);
    let events = provider.rows("SELECT event FROM audit_events WHERE event = 'user_password_set'").await;
    assert_eq!(events.len(), 1);
}

#[tokio::test]
async fn whom_we_disabled_or_deleted_stays_so_and_who_is_gone_is_named_or_disabled() {
    let provider = TestProvider::start().await;
    let people = ["off", "deleted", "gone", "stays"].map(person);
    imported(&provider, &people, &[]);
    run(&provider, &["user", "disable", "off", "--yes"]);
    run(&provider, &["user", "delete", "deleted", "--yes"]);
    let report = imported(&provider, &people[..2].iter().chain(&people[3..]).cloned().collect::<Vec<_>>(), &[]);
    assert_eq!((&report["users"], &report["missing"], &report["disabled"]), (&json!(0), &json!(1), &json!(0)));
    finding(&report, "left_out", "deleted");
    assert!(report["notes"].to_string().contains("gone is gone from the source"), "{report}");
    assert!(show(&provider, "off")["disabled_at"].is_string());
    assert!(show(&provider, "gone")["disabled_at"].is_null());
    let report = imported(
        &provider,
        &people[..2].iter().chain(&people[3..]).cloned().collect::<Vec<_>>(),
        &["--disable-missing"],
    );
    assert_eq!((&report["missing"], &report["disabled"]), (&json!(1), &json!(1)));
    assert!(show(&provider, "gone")["disabled_at"].is_string());
    // Back in the source, the user stays disabled here.
    let report = imported(&provider, &people, &["--disable-missing"]);
    assert_eq!((&report["missing"], &report["is_changed"]), (&json!(0), &json!(false)));
    assert!(show(&provider, "gone")["disabled_at"].is_string());
    // An empty source is a mistake, not a wish.
    let outcome = import(&provider, &[], &["--disable-missing"]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    assert!(show(&provider, "stays")["disabled_at"].is_null());
}

/// A row that cannot be read any more is not gone.
#[tokio::test]
async fn a_user_whose_row_is_broken_now_is_not_missing() {
    let provider = TestProvider::start().await;
    imported(&provider, &["alice", "bob"].map(person), &[]);
    let broken = with(person("alice"), json!({"password_hash": "no hash"}));
    let outcome = import(&provider, &[broken, person("bob")], &["--disable-missing"]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    assert_eq!(json_of(&outcome)["missing"], 0);
    assert!(show(&provider, "alice")["disabled_at"].is_null());
}

/// CSV says the same as JSON lines.
#[tokio::test]
async fn a_csv_file_says_the_same_as_json_lines() {
    let provider = TestProvider::start().await;
    let _ = provider.client("reports").await;
    let hash = hash_of(PASSWORD);
    for (number, separator) in [",", ";", "\t"].into_iter().enumerate() {
        let heading =
            ["username", "email", "email_verified", "groups", "claim:department", "given_name", "password_hash"];
        let name = format!("alice{number}");
        let email = format!("{name}@example.com");
        let row =
            [name.as_str(), &email, "1", "editors|Büro Köln", "\"sales, and more\"", "Alice", &format!("\"{hash}\"")];
        let text = format!("\u{feff}{}\r\n{}\r\n", heading.join(separator), row.join(separator));
        let outcome = hallpass(&provider, &["user", "import", "-", "--apply", "--source", &name], &text);
        let may_have_faults = i32::from(number > 0);
        assert_eq!(outcome.status, may_have_faults, "{outcome:?}");
        let shown = show(&provider, &name);
        assert_eq!(
            (&shown["claims"]["department"], &shown["claims"]["email_verified"], &shown["claims"]["given_name"]),
            (&json!("sales, and more"), &json!(true), &json!("Alice"))
        );
        assert_eq!(
            groups(&provider, &name).len(),
            if number == 0 { 2 } else { 0 },
            "the groups are those of alice0's source"
        );
        assert!(signs_in(&provider, &name, PASSWORD).await);
    }
    let wrong = "username,email,group\na,a@example.com,x\n";
    let outcome = hallpass(&provider, &["user", "import", "-"], wrong);
    assert!(outcome.status == 1 && outcome.stderr.contains("did you mean groups?"), "{outcome:?}");
    let wrong = "username,email\na\nb,b@example.com\n";
    let outcome = hallpass(&provider, &["user", "import", "-", "--json"], wrong);
    assert_eq!((outcome.status, json_of(&outcome)["faults"][0]["line"].clone()), (1, json!(2)), "{outcome:?}");
}

/// What is kept of the source are digests.
#[tokio::test]
async fn nothing_of_what_the_source_says_is_kept_beside_the_user() {
    let provider = TestProvider::start().await;
    let marked = with(
        person("alice"),
        json!({"email": "marked@example.com", "name": "Marked", "claims": {"department": "marked"}}),
    );
    imported(&provider, &[marked], &[]);
    let kept = provider.rows("SELECT digests FROM user_sources").await;
    assert!(!kept[0][0].as_deref().unwrap().to_lowercase().contains("marked"), "{kept:?}");
    run(&provider, &["user", "delete", "alice", "--yes"]);
    assert!(provider.rows("SELECT digests FROM user_sources").await.is_empty());
}

/// Each batch is whole, with its events: the same import made again takes what is left.
#[tokio::test]
async fn an_import_that_is_killed_continues_where_it_was() {
    const PEOPLE: usize = 4000;
    let provider = TestProvider::start().await;
    let people = (0..PEOPLE).map(|number| with(person(&format!("p{number}")), json!({"groups": ["all"]})).to_string());
    let file = provider.folder.path().join("people.jsonl");
    std::fs::write(&file, people.collect::<Vec<_>>().join("\n")).unwrap();
    let arguments = ["user", "import", "people.jsonl", "--source", "monolith", "--apply"];
    let mut killed = crate::support::program::command(provider.folder.path())
        .args(arguments)
        .envs(provider.variables().iter().map(|(name, value)| (*name, value.as_str())))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let count = async || {
        let rows = provider.rows("SELECT COUNT(*) FROM users").await;
        rows[0][0].as_deref().unwrap().parse::<usize>().unwrap()
    };
    while count().await == 0 && killed.try_wait().unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let before = count().await;
    assert!((1..PEOPLE).contains(&before), "it was killed too late to show anything: {before}");
    for table in ["user_sources", "group_members"] {
        assert_eq!(provider.rows(&format!("SELECT sub FROM {table}")).await.len(), before, "{table}");
    }
    let again = json_of(&hallpass(&provider, &[&arguments[..], &["--json"]].concat(), ""));
    assert_eq!((&again["users"], &again["unchanged"]), (&json!(PEOPLE - before), &json!(before)));
    assert_eq!(count().await, PEOPLE);
    let events = provider.rows("SELECT sub FROM audit_events WHERE event = 'user_added'").await;
    assert_eq!(events.len(), PEOPLE);
    run(&provider, &["audit", "verify"]);
}

/// Another writer is never kept waiting for the whole of an import.
#[tokio::test]
async fn others_write_while_an_import_runs() {
    let provider = TestProvider::start().await;
    let _ = provider.client("reports").await;
    provider.alice().await;
    let people = (0..3000).map(|number| person(&format!("p{number}")).to_string());
    std::fs::write(provider.folder.path().join("people.jsonl"), people.collect::<Vec<_>>().join("\n")).unwrap();
    let mut running = crate::support::program::command(provider.folder.path())
        .args(["user", "import", "people.jsonl", "--apply"])
        .envs(provider.variables().iter().map(|(name, value)| (*name, value.as_str())))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut sign_ins = 0;
    while running.try_wait().unwrap().is_none() {
        assert!(signs_in(&provider, "alice", PASSWORD).await);
        sign_ins += 1;
    }
    assert!(running.wait().unwrap().success());
    assert!(sign_ins > 1, "nothing was written meanwhile: {sign_ins}");
    assert_eq!(provider.rows("SELECT sub FROM user_sources").await.len(), 3000);
}

// ---- What an attacker, or an unlucky row, would make of it.

/// Which of those who came from the source are gone cannot be known while a row cannot be read at all.
#[tokio::test]
async fn no_user_is_disabled_as_missing_while_a_row_cannot_be_read() {
    let provider = TestProvider::start().await;
    imported(&provider, &["alice", "bob"].map(person), &[]);
    for broken in ["{\"username\": \"bob\", ", "{\"email\": \"bob@example.com\"}"] {
        let text = format!("{}\n{broken}", person("alice"));
        let arguments = ["user", "import", "-", "--source", "monolith", "--apply", "--disable-missing", "--json"];
        let outcome = hallpass(&provider, &arguments, &text);
        assert_eq!((outcome.status, &json_of(&outcome)["disabled"]), (1, &json!(0)), "{outcome:?}");
        assert!(show(&provider, "bob")["disabled_at"].is_null());
    }
    let csv = "username,email,sub\nalice,alice@example.com,id-alice\nbob,bob@example.com,id-bob,\n";
    let arguments = ["user", "import", "-", "--source", "monolith", "--apply", "--disable-missing"];
    assert_eq!(hallpass(&provider, &arguments, csv).status, 1);
    assert!(show(&provider, "bob")["disabled_at"].is_null());
}

/// An operator who makes a group anew did not mean the role.
#[tokio::test]
async fn a_group_that_was_deleted_and_made_again_here_is_not_joined() {
    let provider = TestProvider::start().await;
    let of = |name: &str| with(person(name), json!({"groups": ["editor"]}));
    imported(&provider, &[of("alice")], &[]);
    run(&provider, &["group", "delete", "editor", "--yes"]);
    let outcome = import(&provider, &[of("alice"), of("bob")], &[]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    run(&provider, &["group", "new", "editor"]);
    let outcome = import(&provider, &[of("alice"), of("bob")], &[]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    assert!(groups(&provider, "bob").is_empty() && groups(&provider, "alice").is_empty());
    imported(&provider, &[of("alice"), of("bob")], &["--role", "editor=editor"]);
    assert_eq!(groups(&provider, "bob"), BTreeSet::from(["editor".to_owned()]));
}

#[tokio::test]
async fn a_role_that_the_source_has_not_is_said_with_the_nearest() {
    let provider = TestProvider::start().await;
    let alice = with(person("alice"), json!({"groups": ["editor"]}));
    let outcome = import(&provider, std::slice::from_ref(&alice), &["--role", "Editor=writers"]);
    assert!(outcome.status == 1 && outcome.stderr.contains("did you mean editor?"), "{outcome:?}");
    assert!(provider.rows("SELECT sub FROM users").await.is_empty());
}

/// Of two rows with one key neither counts, also where the user is here already.
#[tokio::test]
async fn a_key_that_is_there_twice_changes_nothing() {
    let provider = TestProvider::start().await;
    imported(&provider, &[person("alice")], &[]);
    let other = with(person("alice"), json!({"username": "other", "email": "other@example.com"}));
    let outcome = import(&provider, &[person("alice"), other], &[]);
    assert_eq!((outcome.status, json_of(&outcome)["faults"].as_array().unwrap().len()), (1, 2), "{outcome:?}");
    assert_eq!(provider.rows("SELECT username FROM users").await, [[Some("alice".to_owned())]]);
}

/// Wide letters are the same to a sign-in.
#[tokio::test]
async fn a_user_name_in_wide_letters_takes_no_address_of_another() {
    let provider = TestProvider::start().await;
    let wide = with(person("mallory"), json!({"username": "\u{ff41}\u{ff4c}\u{ff49}\u{ff43}\u{ff45}@example.com"}));
    let outcome = import(&provider, &[person("alice"), wide.clone()], &[]);
    assert_eq!((outcome.status, &json_of(&outcome)["users"]), (1, &json!(1)), "{outcome:?}");
    // The same where the other is here already.
    let outcome = import(&provider, &[person("alice"), wide], &[]);
    assert_eq!((outcome.status, &json_of(&outcome)["users"]), (1, &json!(0)), "{outcome:?}");
    assert_eq!(provider.rows("SELECT username FROM users").await, [[Some("alice".to_owned())]]);
}

/// Neither of two equal names is taken, also where one of the rows cannot be taken for another reason.
#[tokio::test]
async fn a_name_is_not_taken_beside_a_broken_row_of_the_same_name() {
    let provider = TestProvider::start().await;
    let broken = with(person("KELVIN"), json!({"password_hash": "broken"}));
    let outcome = import(&provider, &[person("Kelvin"), broken], &[]);
    assert_eq!((outcome.status, &json_of(&outcome)["users"]), (1, &json!(0)), "{outcome:?}");
}

/// A lock that passes by itself is no change of the source, and a longer one of ours stays.
#[tokio::test]
async fn a_lock_that_has_passed_meanwhile_is_no_change() {
    let provider = TestProvider::start().await;
    let alice =
        with(person("alice"), json!({"locked_until": "2001-01-01T00:00:00Z", "password_hash": hash_of(PASSWORD)}));
    imported(&provider, std::slice::from_ref(&alice), &[]);
    let again = imported(&provider, std::slice::from_ref(&alice), &[]);
    assert_eq!((&again["is_changed"], &again["notes"]), (&json!(false), &json!([])));
    assert_eq!(show(&provider, "alice")["locked"], false);
    run(&provider, &["user", "edit", "alice", "--lock-until", "2099-01-01T00:00:00Z"]);
    let again = imported(&provider, std::slice::from_ref(&alice), &[]);
    assert_eq!((&again["is_changed"], show(&provider, "alice")["locked"].clone()), (&json!(false), json!(true)));
}

/// A membership that has ended here begins anew with the role.
#[tokio::test]
async fn a_role_is_joined_where_the_membership_has_ended() {
    let provider = TestProvider::start().await;
    imported(&provider, &[person("alice"), with(person("bob"), json!({"groups": ["editor"]}))], &[]);
    provider.sql("INSERT INTO group_members (group_name, sub, until) VALUES ('editor', 'id-alice', 1000000000)").await;
    let both = ["alice", "bob"].map(|name| with(person(name), json!({"groups": ["editor"]})));
    imported(&provider, &both, &[]);
    assert_eq!(groups(&provider, "alice"), BTreeSet::from(["editor".to_owned()]));
}

fn named(sub: &str, name: &str) -> Value {
    json!({"sub": format!("id-{sub}"), "username": name, "email": format!("{sub}@example.com")})
}

fn names(provider: &TestProvider, subs: &[&str]) -> Vec<Value> {
    subs.iter().map(|sub| show(provider, &format!("{sub}@example.com"))["username"].clone()).collect()
}

/// Two exchange their names, three pass them around, one gives up a name that a new user of the source has: in one import.
#[tokio::test]
async fn a_user_name_that_the_source_gave_to_another_goes_over_in_the_same_import() {
    for more in [&[][..], &["--all-or-nothing"]] {
        let provider = TestProvider::start().await;
        let before = ["a", "b", "c", "d", "e", "f"].map(|sub| named(sub, sub));
        imported(&provider, &before, more);
        let after = [
            named("new", "f"),
            named("a", "b"),
            named("b", "a"),
            named("c", "d"),
            named("d", "e"),
            named("e", "c"),
            named("f", "g"),
        ];
        let report: Vec<String> = after.iter().map(Value::to_string).collect();
        let arguments = ["user", "import", "-", "--source", "monolith", "--json"];
        let report = hallpass(&provider, &arguments, &report.join("\n"));
        assert_eq!(report.status, 0, "{report:?}");
        let told = imported(&provider, &after, more);
        let counts = |document: &Value| {
            ["users", "changed", "unchanged", "faults"].map(|member| document[member].clone()).to_vec()
        };
        assert_eq!(counts(&told), counts(&json_of(&report)), "{more:?}");
        assert_eq!(counts(&told)[..3], [json!(1), json!(6), json!(0)], "{more:?}: {told}");
        assert_eq!(names(&provider, &["a", "b", "c", "d", "e", "f", "new"]), ["b", "a", "d", "e", "c", "g", "f"]);
        let again = imported(&provider, &after, more);
        assert_eq!(counts(&again)[..3], [json!(0), json!(0), json!(7)], "{again}");
    }
}

/// Who cannot have the new name keeps the one they have, and so does who waits for that one.
#[tokio::test]
async fn a_name_that_is_not_given_up_after_all_is_not_given_away() {
    let provider = TestProvider::start().await;
    let add = ["user", "add", "taken", "--email", "taken@example.com", "--password-stdin"];
    assert_eq!(hallpass(&provider, &add, PASSWORD).status, 0);
    imported(&provider, &["a", "b", "c"].map(|sub| named(sub, sub)), &[]);
    let after = [named("new", "a"), named("a", "b"), named("b", "c"), named("c", "taken")];
    let outcome = import(&provider, &after, &[]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    let document = json_of(&outcome);
    assert_eq!(document["faults"].as_array().unwrap().len(), 4, "{document}");
    assert_eq!(names(&provider, &["a", "b", "c", "taken"]), ["a", "b", "c", "taken"]);
    // The way is free again.
    run(&provider, &["user", "edit", "taken", "--username", "other"]);
    imported(&provider, &after, &[]);
    assert_eq!(names(&provider, &["a", "b", "c", "new"]), ["b", "c", "taken", "a"]);
}

/// What a run leaves that was stopped between two of its transactions.
#[tokio::test]
async fn a_user_whose_name_was_given_away_gets_the_new_one_the_next_time() {
    let provider = TestProvider::start().await;
    imported(&provider, &[named("a", "a"), named("b", "b")], &[]);
    provider.sql("UPDATE users SET username = NULL, username_folded = NULL WHERE sub = 'id-a'").await;
    imported(&provider, &[named("a", "b"), named("b", "a")], &[]);
    assert_eq!(names(&provider, &["a", "b"]), ["b", "a"]);
}

/// Of a claim that has a column of its own a file without that column says nothing.
#[tokio::test]
async fn a_claim_of_a_column_stays_where_a_later_file_has_no_such_column() {
    let provider = TestProvider::start().await;
    let import = |text: &str| {
        let outcome = hallpass(&provider, &["user", "import", "-", "--apply", "--source", "hr"], text);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let claims = show(&provider, "alice")["claims"].clone();
        ["floor", "desk"].map(|name| claims[name].clone())
    };
    let start = "username,email";
    assert_eq!(
        import(&format!("{start},claim:floor,claim:desk\nalice,a@example.com,3,12\n")),
        [json!("3"), json!("12")]
    );
    assert_eq!(import(&format!("{start},claim:floor\nalice,a@example.com,4\n")), [json!("4"), json!("12")]);
    assert_eq!(import(&format!("{start}\nalice,a@example.com\n")), [json!("4"), json!("12")]);
    assert_eq!(
        import(&format!("{start},claim:floor,claim:desk\nalice,a@example.com,,13\n")),
        [Value::Null, json!("13")]
    );
}

/// As the tools around SQL Server and spreadsheets write it.
#[tokio::test]
async fn a_file_of_people_may_be_utf_16_and_a_quote_that_is_not_closed_is_named() {
    let provider = TestProvider::start().await;
    let folder = folder();
    let file = folder.path().join("people.csv");
    let text =
        "\u{feff}\"username\";\"email\";\"name, in full; if any\"\r\n".replace("\"name, in full; if any\"", "name");
    let text = format!("{text}jürgen;j@example.com;\"Jürgen; the first\"\r\n");
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&file, bytes).unwrap();
    let path = file.to_str().unwrap();
    let outcome = hallpass(&provider, &["user", "import", path, "--apply"], "");
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(show(&provider, "jürgen")["claims"]["name"], "Jürgen; the first");

    let rest = "bert,b@example.com,Bert\n".repeat(1_000_000);
    std::fs::write(&file, format!("username,email,name\nanna,a@example.com,Anna\nada,x@example.com,\"Ada\n{rest}"))
        .unwrap();
    let outcome = hallpass(&provider, &["user", "import", path, "--apply", "--json"], "");
    assert_eq!(outcome.status, 1);
    let document = json_of(&outcome);
    let fault = &document["faults"][0];
    assert!(fault["line"] == 3 && fault["why"].as_str().unwrap().contains("a quote is not closed"), "{fault}");
    assert_eq!(show(&provider, "anna")["claims"]["name"], "Anna");
}
