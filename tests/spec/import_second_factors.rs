//! `hallpass user import --aspnet-identity`: the second factors of those who come over, and what a delta does to each part of one.
//! That each database's authenticators are right here is in `identity_source.rs`.

use crate::identity_source::{copied, import, keys, report, sqlite};
use crate::second_factors::enrolled;
use crate::support::TestProvider;
use crate::support::program::{Outcome, done, files_in, run_with};
use crate::support::totp::code;
use hallpass::protocol::secret::Digest;
use hallpass::second_factor::{self, Checked, RightCode};
use serde_json::{Value, json};
use sqlx::Connection as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const RIGHT: Checked = Checked::Right(RightCode::Authenticator);
/// Those of `people.csv` with an authenticator, and their secrets.
const PERSON3: &str = "HZQJYUYTDQZYCE7IZFFC5KUGVTEJ55XS";
const PERSON11: &str = "NMIKSQANC5DWGM2BCJVZQGL62WR6W6IB";
const PERSON19: &str = "JU7PYKQADYROYUUBZUCQCDPVHFC7V46H";

/// A monolith, and a provider that its users were brought to.
async fn moved() -> (TestProvider, TempDir, PathBuf, String) {
    let provider = TestProvider::start().await;
    let (folder, file) = copied("sqlite-text-keys", "app.db");
    let source = format!("sqlite:{}", file.display());
    assert_eq!(report(&provider, &source, &["--apply"])["users"], 22);
    (provider, folder, file, source)
}

async fn sub(provider: &TestProvider, name: &str) -> String {
    provider.rows(&format!("SELECT sub FROM users WHERE username = '{name}'")).await[0][0].clone().unwrap()
}

async fn check(provider: &TestProvider, name: &str, typed: &str) -> Checked {
    let sub = sub(provider, name).await;
    second_factor::check(&provider.provider, &sub, typed, provider.provider.now()).await.unwrap()
}

/// What the code is worth that an authenticator shows now; each time a later one.
async fn shows(provider: &TestProvider, name: &str, secret: &str) -> Checked {
    provider.travel(60);
    check(provider, name, &code(secret, provider.now())).await
}

/// Sets a token of a user of the monolith.
fn set_token(file: &Path, user: &str, token: &str, value: &str) {
    sqlite(
        file,
        &format!(
            "UPDATE AspNetUserTokens SET Value = {value} WHERE Name = '{token}' AND UserId = \
             (SELECT Id FROM AspNetUsers WHERE UserName = '{user}')"
        ),
    );
}

fn codes_of(file: &Path, user: &str) -> Vec<String> {
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n\
        print(c.execute(\"SELECT Value FROM AspNetUserTokens WHERE Name = 'RecoveryCodes' AND UserId = \
        (SELECT Id FROM AspNetUsers WHERE UserName = ?)\", [sys.argv[2]]).fetchone()[0])";
    let output = std::process::Command::new("python3").args(["-c", script]).arg(file).arg(user).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().split(';').map(str::to_owned).collect()
}

/// What a report says of a user's factors: list and member.
async fn named(provider: &TestProvider, report: &Value, name: &str) -> Vec<(String, String)> {
    let sub = sub(provider, name).await;
    let mut found = Vec::new();
    for list in ["faults", "left_out", "notes"] {
        let of = keys(report, list).into_iter().filter(|(key, _)| *key == sub);
        found.extend(of.map(|(_, member)| (list.to_owned(), member)));
    }
    found
}

fn is(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(list, member)| ((*list).to_owned(), (*member).to_owned())).collect()
}

#[tokio::test]
async fn authenticator_and_recovery_codes_of_identity_are_right_here_and_made_again_the_import_changes_nothing() {
    let (provider, _folder, file, source) = moved().await;
    assert_eq!(shows(&provider, "Person3", PERSON3).await, RIGHT);
    assert_eq!(shows(&provider, "Person3", PERSON11).await, Checked::Wrong);
    let codes = codes_of(&file, "Person3");
    let typed = codes[0].to_lowercase().replace('-', "");
    assert_eq!(check(&provider, "Person3", &typed).await, Checked::Right(RightCode::RecoveryCode { left: 4 }));
    assert_eq!(check(&provider, "Person11", &codes[1]).await, Checked::Wrong, "another's");
    let again = report(&provider, &source, &["--apply"]);
    assert_eq!((&again["is_changed"], &again["unchanged"]), (&json!(false), &json!(22)), "{again}");
    assert_eq!(check(&provider, "Person3", &codes[0]).await, Checked::Used, "used here, it stays so");
    assert_eq!(check(&provider, "Person3", &codes[1]).await, Checked::Right(RightCode::RecoveryCode { left: 3 }));
    let least = provider.rows("SELECT value FROM provider_values WHERE name = 'least_schema_version'").await;
    assert!(least[0][0].as_deref().unwrap().parse::<i64>().unwrap() >= 13, "{least:?}");
    // Neither the secret nor a digest that could be guessed at is beside the sealed row.
    let digests =
        provider.rows("SELECT digests FROM user_sources").await.concat().into_iter().flatten().collect::<String>();
    assert!(!digests.contains(PERSON3) && !digests.contains(&codes[2]));
}

#[tokio::test]
async fn who_came_without_an_authenticator_gets_it_by_a_later_import() {
    let provider = TestProvider::start().await;
    let (_folder, file) = copied("sqlite-text-keys", "app.db");
    let source = format!("sqlite:{}", file.display());
    // No key: they are left out, with what to do.
    let keys_folder = provider.folder.path().join("keys");
    let key = files_in(&keys_folder).into_iter().find(|file| file.starts_with("factors.")).unwrap();
    let away = provider.folder.path().join("away");
    fs::rename(keys_folder.join(&key), &away).unwrap();
    let told = report(&provider, &source, &["--apply"]);
    let left_out = keys(&told, "left_out");
    assert_eq!(left_out.iter().filter(|(_, member)| member == "TwoFactorEnabled").count(), 3, "{told}");
    assert!(told["left_out"].to_string().contains("hallpass key new --for factors"), "{told}");
    assert_eq!(told["users"], 19);
    // Taken without it, by a word.
    let told = report(&provider, &source, &["--apply", "--without-second-factor"]);
    assert_eq!(told["users"], 3, "{told}");
    assert_eq!(provider.rows("SELECT factor_id FROM user_factors").await, [[]; 0]);
    // Still no key: they are here, and stay.
    let told = report(&provider, &source, &["--apply"]);
    assert_eq!((&told["users"], &told["is_changed"]), (&json!(0), &json!(false)), "{told}");
    fs::rename(&away, keys_folder.join(&key)).unwrap();
    let told = report(&provider, &source, &["--apply"]);
    assert_eq!((&told["users"], &told["changed"]), (&json!(0), &json!(3)), "{told}");
    for (name, secret) in [("Person3", PERSON3), ("Person11", PERSON11), ("Jürgen19", PERSON19)] {
        assert_eq!(shows(&provider, name, secret).await, RIGHT, "{name}");
    }
    let events = provider.rows("SELECT detail FROM audit_events WHERE event = 'factor_added'").await;
    assert!(
        events.len() == 3 && events.concat().iter().flatten().all(|it| it.contains("aspnet-identity")),
        "{events:?}"
    );
    // The flag takes nothing away.
    let told = report(&provider, &source, &["--apply", "--without-second-factor"]);
    assert_eq!(told["is_changed"], false, "{told}");
    assert_eq!(shows(&provider, "Person3", PERSON3).await, RIGHT);
}

#[tokio::test]
async fn a_delta_takes_an_authenticator_that_the_source_changed_or_switched_off_alone() {
    let (provider, _folder, file, source) = moved().await;
    let codes = codes_of(&file, "Person11");
    assert_eq!(shows(&provider, "Person11", PERSON11).await, RIGHT);
    // Set up anew over there.
    set_token(&file, "Person3", "AuthenticatorKey", &format!("'{PERSON19}'"));
    sqlite(&file, "UPDATE AspNetUsers SET TwoFactorEnabled = 0 WHERE UserName = 'Jürgen19'");
    let switched_off = is(&[("notes", "TwoFactorEnabled")]);
    let told = report(&provider, &source, &[]);
    assert_eq!(named(&provider, &told, "Jürgen19").await, switched_off, "before it is done: {told}");
    let told = report(&provider, &source, &["--apply"]);
    assert_eq!(
        (&told["changed"], &told["unchanged"], &told["notes"].as_array().unwrap().len()),
        (&json!(2), &json!(20), &2),
        "{told}"
    );
    assert_eq!(named(&provider, &told, "Jürgen19").await, switched_off);
    assert!(told["notes"].to_string().contains("switched off in the source"), "{told}");
    let of_person3 = sub(&provider, "Person3").await;
    let events = format!("SELECT event FROM audit_events WHERE sub = '{of_person3}' ORDER BY sequence");
    let mut events: Vec<String> = provider.rows(&events).await.concat().into_iter().flatten().collect();
    events.sort();
    // One authenticator goes and another comes.
    assert_eq!(events, ["factor_added", "factor_removed", "user_added"]);
    assert_eq!(shows(&provider, "Person3", PERSON3).await, Checked::Wrong);
    assert_eq!(shows(&provider, "Person3", PERSON19).await, RIGHT);
    assert_eq!(shows(&provider, "Jürgen19", PERSON19).await, Checked::Wrong);
    let sub_of_19 = sub(&provider, "Jürgen19").await;
    assert_eq!(provider.rows(&format!("SELECT kind FROM user_factors WHERE sub = '{sub_of_19}'")).await, [[]; 0]);
    // What the source did not change is as it was.
    assert_eq!(check(&provider, "Person11", &codes[0]).await, Checked::Right(RightCode::RecoveryCode { left: 4 }));
    // Switched on again.
    sqlite(&file, "UPDATE AspNetUsers SET TwoFactorEnabled = 1 WHERE UserName = 'Jürgen19'");
    assert_eq!(report(&provider, &source, &["--apply"])["changed"], 1);
    assert_eq!(shows(&provider, "Jürgen19", PERSON19).await, RIGHT);
}

#[tokio::test]
async fn a_recovery_code_that_was_used_on_either_side_is_used() {
    let (provider, _folder, file, source) = moved().await;
    let codes = codes_of(&file, "Person3");
    assert_eq!(check(&provider, "Person3", &codes[0]).await, Checked::Right(RightCode::RecoveryCode { left: 4 }));
    // Identity takes a used one out of its list.
    let left: Vec<&str> = codes.iter().filter(|code| **code != codes[1]).map(String::as_str).collect();
    set_token(&file, "Person3", "RecoveryCodes", &format!("'{}'", left.join(";")));
    let told = report(&provider, &source, &["--apply"]);
    assert_eq!((&told["changed"], named(&provider, &told, "Person3").await), (&json!(1), is(&[])), "{told}");
    assert_eq!(check(&provider, "Person3", &codes[0]).await, Checked::Used);
    assert_eq!(check(&provider, "Person3", &codes[1]).await, Checked::Wrong);
    assert_eq!(check(&provider, "Person3", &codes[2]).await, Checked::Right(RightCode::RecoveryCode { left: 2 }));
    // New ones over there replace those that came from there.
    set_token(&file, "Person3", "RecoveryCodes", &format!("'NEWCD-23456;{}'", codes[0]));
    assert_eq!(report(&provider, &source, &["--apply"])["changed"], 1);
    assert_eq!(check(&provider, "Person3", &codes[3]).await, Checked::Wrong);
    assert_eq!(check(&provider, "Person3", &codes[0]).await, Checked::Used);
    assert_eq!(check(&provider, "Person3", "newcd23456").await, Checked::Right(RightCode::RecoveryCode { left: 0 }));
    assert_eq!(shows(&provider, "Person3", PERSON3).await, RIGHT, "the authenticator is as it was");
}

/// Switched off and on again, and broken for a while.
#[tokio::test]
async fn a_recovery_code_that_was_used_here_stays_used_whatever_the_source_says_meanwhile() {
    let (provider, _folder, file, source) = moved().await;
    let codes = codes_of(&file, "Person3");
    assert_eq!(check(&provider, "Person3", &codes[0]).await, Checked::Right(RightCode::RecoveryCode { left: 4 }));
    for enabled in [0, 1] {
        sqlite(&file, &format!("UPDATE AspNetUsers SET TwoFactorEnabled = {enabled} WHERE UserName = 'Person3'"));
        let told = report(&provider, &source, &["--apply"]);
        assert_eq!(told["changed"], 1, "{told}");
        assert_eq!(check(&provider, "Person3", &codes[0]).await, Checked::Used, "{enabled}");
        if enabled == 0 {
            assert_eq!(check(&provider, "Person3", &codes[1]).await, Checked::Wrong, "it is switched off");
        }
    }
    assert_eq!(shows(&provider, "Person3", PERSON3).await, RIGHT);
    assert_eq!(check(&provider, "Person3", &codes[1]).await, Checked::Right(RightCode::RecoveryCode { left: 3 }));
    // Broken codes say nothing: what is here stays.
    for broken in ["'x'", &format!("'{};x'", codes[4])] {
        set_token(&file, "Person3", "RecoveryCodes", broken);
        let outcome = import(&provider, &source, &["--apply"]);
        assert!(outcome.status == 1 && outcome.stdout.contains("stays"), "{outcome:?}");
    }
    assert_eq!(check(&provider, "Person3", &codes[2]).await, Checked::Right(RightCode::RecoveryCode { left: 2 }));
    set_token(&file, "Person3", "RecoveryCodes", &format!("'{}'", codes.join(";")));
    report(&provider, &source, &["--apply"]);
    for used in &codes[..3] {
        assert_eq!(check(&provider, "Person3", used).await, Checked::Used);
    }
    // Removed here, which of them were used is not known any more: none comes back, also not beside another authenticator.
    done(provider.command(&["user", "factor", "remove", "Person3", "--all", "--yes"], ""));
    for enabled in [0, 1] {
        set_token(&file, "Person3", "AuthenticatorKey", &format!("'{PERSON19}'"));
        sqlite(&file, &format!("UPDATE AspNetUsers SET TwoFactorEnabled = {enabled} WHERE UserName = 'Person3'"));
        report(&provider, &source, &["--apply"]);
    }
    assert_eq!(shows(&provider, "Person3", PERSON19).await, RIGHT);
    assert_eq!(check(&provider, "Person3", &codes[0]).await, Checked::Wrong);
    let told = report(&provider, &source, &["--apply"]);
    assert_eq!(named(&provider, &told, "Person3").await, is(&[("notes", "RecoveryCodes")]), "{told}");
}

#[tokio::test]
async fn an_authenticator_that_was_removed_here_does_not_come_back_switched_off_and_on_in_the_source() {
    let (provider, _folder, file, source) = moved().await;
    done(provider.command(&["user", "factor", "remove", "Person11", "--all", "--yes"], ""));
    let switch = |enabled: i32| {
        sqlite(&file, &format!("UPDATE AspNetUsers SET TwoFactorEnabled = {enabled} WHERE UserName = 'Person11'"));
        report(&provider, &source, &["--apply"])
    };
    for _ in 0..2 {
        let told = switch(0);
        assert_eq!(
            (&told["is_changed"], named(&provider, &told, "Person11").await),
            (&json!(false), is(&[])),
            "{told}"
        );
        let told = switch(1);
        let expected = is(&[("notes", "TwoFactorEnabled")]);
        assert_eq!(
            (&told["is_changed"], named(&provider, &told, "Person11").await),
            (&json!(false), expected),
            "{told}"
        );
        assert!(told["notes"].to_string().contains("not taken again"), "{told}");
        assert_eq!(shows(&provider, "Person11", PERSON11).await, Checked::Wrong);
    }
    // Another one is.
    set_token(&file, "Person11", "AuthenticatorKey", &format!("'{PERSON19}'"));
    assert_eq!(report(&provider, &source, &["--apply"])["changed"], 1);
    assert_eq!(shows(&provider, "Person11", PERSON19).await, RIGHT);
}

#[tokio::test]
async fn recovery_codes_of_the_source_are_none_of_an_authenticator_that_was_added_here() {
    let provider = TestProvider::start().await;
    let (_folder, file) = copied("sqlite-text-keys", "app.db");
    let source = format!("sqlite:{}", file.display());
    report(&provider, &source, &["--apply", "--without-second-factor"]);
    let codes = codes_of(&file, "Person3");
    let own = enrolled(&provider, &sub(&provider, "Person3").await).await;
    let told = report(&provider, &source, &["--apply"]);
    assert_eq!(named(&provider, &told, "Person3").await, is(&[("notes", "TwoFactorEnabled")]), "{told}");
    assert_eq!(check(&provider, "Person3", &codes[0]).await, Checked::Wrong);
    assert_eq!(shows(&provider, "Person3", &own).await, RIGHT);
    // An authenticator more, and that of the source removed: what there is besides is the user's.
    let of_person11 = sub(&provider, "Person11").await;
    let codes = codes_of(&file, "Person11");
    let brought = format!("SELECT factor_id FROM user_factors WHERE sub = '{of_person11}' AND kind = 'totp'");
    let brought = provider.rows(&brought).await[0][0].clone().unwrap();
    let own = enrolled(&provider, &of_person11).await;
    done(provider.command(&["user", "factor", "remove", "Person11", &brought, "--yes"], ""));
    sqlite(&file, "UPDATE AspNetUsers SET TwoFactorEnabled = 0 WHERE UserName = 'Person11'");
    report(&provider, &source, &["--apply"]);
    assert_eq!(shows(&provider, "Person11", &own).await, RIGHT);
    assert_eq!(check(&provider, "Person11", &codes[0]).await, Checked::Right(RightCode::RecoveryCode { left: 4 }));
}

/// Makes an import while another process has a transaction open about a user, and gives what it said.
async fn import_during(provider: &TestProvider, source: &str, sub: &str, statement: &str) -> Outcome {
    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(&provider.database_url).await.unwrap();
    let mut execute = async |sql: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut other).await.unwrap();
    };
    execute(format!("BEGIN; UPDATE users SET folded_of = folded_of WHERE sub = '{sub}'")).await;
    let variables: Vec<(&str, String)> = provider.variables();
    let (folder, source) = (provider.folder.path().to_owned(), source.to_owned());
    let import = tokio::task::spawn_blocking(move || {
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let arguments = ["user", "import", "--json", "--aspnet-identity", &source, "--apply"];
        run_with(&folder, &arguments, &variables, "")
    });
    tokio::time::sleep(Duration::from_millis(2500)).await;
    execute(format!("{statement}; COMMIT")).await;
    import.await.unwrap()
}

/// Compared before the other was done, the user is named as a fault; SQLite lets an import wait before that.
fn is_told(outcome: &Outcome) -> bool {
    let is_fault = outcome.status == 1 && outcome.stdout.contains("changed or used meanwhile");
    is_fault || (outcome.status == 0 && outcome.stdout.contains("what is here stays"))
}

/// On PostgreSQL two who hold what the other needs are ended by the database after a second.
#[tokio::test]
async fn an_import_and_a_removal_of_the_same_user_s_factors_do_not_hold_up_each_other() {
    let (provider, _folder, file, source) = moved().await;
    set_token(&file, "Person3", "RecoveryCodes", "'NEWCD-23456'");
    let sub = sub(&provider, "Person3").await;
    let removal = format!("DELETE FROM user_factors WHERE sub = '{sub}' AND kind = 'recovery_codes'");
    let outcome = import_during(&provider, &source, &sub, &removal).await;
    assert!(is_told(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn a_user_has_recovery_codes_once_also_where_they_are_made_here_while_an_import_brings_some() {
    let (provider, _folder, file, source) = moved().await;
    let codes = codes_of(&file, "Person3");
    set_token(&file, "Person3", "RecoveryCodes", "''");
    report(&provider, &source, &["--apply"]);
    set_token(&file, "Person3", "RecoveryCodes", &format!("'{}'", codes.join(";")));
    let sub = sub(&provider, "Person3").await;
    let own = format!(
        "INSERT INTO user_factors (factor_id, sub, kind, secret, key_id, created_at) VALUES ('own', '{sub}', 'recovery_codes', 'x', 'k', 1)"
    );
    let outcome = import_during(&provider, &source, &sub, &own).await;
    assert!(is_told(&outcome), "{outcome:?}");
    let rows = format!("SELECT factor_id FROM user_factors WHERE sub = '{sub}' AND kind = 'recovery_codes'");
    assert_eq!(provider.rows(&rows).await, [[Some("own".to_owned())]]);
}

/// What was committed before it was stopped is what older versions would let in by the password alone.
#[tokio::test]
async fn an_import_that_fails_later_has_kept_older_versions_out_with_its_first_authenticator() {
    let provider = TestProvider::start().await;
    let (_folder, file) = copied("sqlite-text-keys", "app.db");
    let source = format!("sqlite:{}", file.display());
    report(&provider, &source, &["--apply", "--without-second-factor"]);
    let least = async || provider.rows("SELECT value FROM provider_values WHERE name = 'least_schema_version'").await;
    assert!(least().await.concat()[0].as_deref().is_none_or(|least| least.parse::<i64>().unwrap() < 13));
    sqlite(&file, "DELETE FROM AspNetUsers WHERE UserName = 'Person1'");
    // Who is gone cannot be disabled.
    let refuse = if provider.database_url.starts_with("sqlite") {
        "CREATE TRIGGER no BEFORE UPDATE OF disabled_at ON users BEGIN SELECT RAISE(ABORT, 'not to be disabled'); END"
    } else {
        "ALTER TABLE users ADD CONSTRAINT not_to_be_disabled CHECK (disabled_at IS NULL)"
    };
    provider.sql(refuse).await;
    let outcome = import(&provider, &source, &["--apply", "--disable-missing"]);
    assert!(outcome.status == 1 && outcome.stderr.contains("disabled"), "{outcome:?}");
    assert_eq!(provider.rows("SELECT sub FROM user_factors WHERE kind = 'totp'").await.len(), 3);
    assert!(least().await[0][0].as_deref().unwrap().parse::<i64>().unwrap() >= 13);
}

#[tokio::test]
async fn what_was_removed_added_or_made_anew_here_stays_and_is_named() {
    let (provider, _folder, file, source) = moved().await;
    for name in ["Person11", "Jürgen19"] {
        done(provider.command(&["user", "factor", "remove", name, "--all", "--yes"], ""));
    }
    // Both sides: the key is another over there as well.
    set_token(&file, "Jürgen19", "AuthenticatorKey", &format!("'{PERSON3}'"));
    let of_person3 = sub(&provider, "Person3").await;
    let made = crate::second_factors::recovery_codes(&provider, &of_person3).await;
    let of_person1 = sub(&provider, "Person1").await;
    let own = enrolled(&provider, &of_person1).await;
    let told = report(&provider, &source, &["--apply"]);
    assert_eq!(told["is_changed"], false, "{told}");
    let removed = is(&[("notes", "TwoFactorEnabled"), ("notes", "RecoveryCodes")]);
    for (name, expected) in [
        ("Person11", removed[..1].to_vec()),
        ("Jürgen19", removed[..1].to_vec()),
        ("Person3", is(&[("notes", "RecoveryCodes")])),
        ("Person1", is(&[("notes", "TwoFactorEnabled")])),
    ] {
        assert_eq!(named(&provider, &told, name).await, expected, "{name}: {told}");
    }
    assert_eq!(shows(&provider, "Person11", PERSON11).await, Checked::Wrong);
    assert_eq!(shows(&provider, "Jürgen19", PERSON3).await, Checked::Wrong);
    assert_eq!(shows(&provider, "Person1", &own).await, RIGHT);
    assert_eq!(check(&provider, "Person3", &made[0]).await, Checked::Right(RightCode::RecoveryCode { left: 9 }));
    assert_eq!(provider.rows("SELECT kind FROM user_factors").await.len(), 3);
}

/// Who has a copy of the database alone has nothing to try guesses at: what is digested has the authenticator's secret in it.
#[tokio::test]
async fn the_digest_of_recovery_codes_cannot_be_guessed_at_without_the_authenticator() {
    let (provider, _folder, file, source) = moved().await;
    set_token(&file, "Person3", "RecoveryCodes", "'1f2e3d4c'");
    assert_eq!(report(&provider, &source, &["--apply"])["changed"], 1);
    let sub = sub(&provider, "Person3").await;
    let digests = async || -> Value {
        let rows = provider.rows(&format!("SELECT digests FROM user_sources WHERE sub = '{sub}'")).await;
        serde_json::from_str(rows[0][0].as_deref().unwrap()).unwrap()
    };
    let before = digests().await;
    // The code as it is compared, in base64.
    for guess in ["MUYyRTNENEM=", "1F2E3D4C", "1f2e3d4c", ";MUYyRTNENEM="] {
        let digest = Digest::of(&["user source", &sub, "recovery_codes", guess]);
        assert!(!before.to_string().contains(&digest.as_str()[..22]), "{guess}");
    }
    set_token(&file, "Person3", "AuthenticatorKey", &format!("'{PERSON19}'"));
    assert_eq!(report(&provider, &source, &["--apply"])["changed"], 1);
    assert_ne!(before["recovery_codes"], digests().await["recovery_codes"], "the same codes with another secret");
}

#[tokio::test]
async fn a_user_whose_authenticator_is_broken_is_named_and_not_taken() {
    let provider = TestProvider::start().await;
    let (_folder, file) = copied("sqlite-text-keys", "app.db");
    let source = format!("sqlite:{}", file.display());
    set_token(&file, "Person3", "AuthenticatorKey", "'0189-no-base32'");
    let outcome = import(&provider, &source, &["--apply"]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let fault = &told["faults"][0];
    assert_eq!(
        (&fault["table"], &fault["member"], &told["users"]),
        (&json!("AspNetUserTokens"), &json!("Value"), &json!(21))
    );
    assert!(fault["key"].as_str().unwrap().ends_with(", AuthenticatorKey"), "{fault}");
    assert!(!outcome.stdout.contains("0189-no-base32"), "{outcome:?}");
    assert_eq!(provider.command(&["user", "show", "Person3"], "").status, 1);
    // Passkeys are bound to a host, and are named.
    assert!(told["notes"].to_string().contains("passkeys, which are bound to the host"), "{told}");
}

/// The source changed what no key here opens: nothing of it is guessed at.
#[tokio::test]
async fn recovery_codes_that_no_key_here_opens_stay_as_they_are_and_are_named() {
    let (provider, _folder, file, source) = moved().await;
    let keys_folder = provider.folder.path().join("keys");
    let key = files_in(&keys_folder).into_iter().find(|file| file.starts_with("factors.")).unwrap();
    fs::remove_file(keys_folder.join(&key)).unwrap();
    done(provider.command(&["key", "new", "--for", "factors"], ""));
    set_token(&file, "Person3", "RecoveryCodes", "'NEWCD-23456'");
    let before = provider.rows("SELECT factor_id, secret FROM user_factors ORDER BY factor_id").await;
    for _ in 0..2 {
        let outcome = import(&provider, &source, &["--apply"]);
        assert_eq!(outcome.status, 1, "{outcome:?}");
        let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(named(&provider, &told, "Person3").await, is(&[("faults", "RecoveryCodes")]), "{told}");
        assert!(told["faults"][0]["fix"].as_str().unwrap().contains("keys folder of the nodes"), "{told}");
    }
    assert_eq!(provider.rows("SELECT factor_id, secret FROM user_factors ORDER BY factor_id").await, before);
}
