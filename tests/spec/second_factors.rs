//! Second factors as they are stored: authenticators and recovery codes, each code once, sealed by factor keys that are rotated; and
//! the commands that list and remove them. What the sign-in page makes of them is not here.

use crate::support::program::{Outcome, Running, done, files_in, refused, run, run_with};
use crate::support::provider::{NewUser, copy_keys};
use crate::support::remote::until;
use crate::support::totp::code;
use crate::support::{TestProvider, UserAgent, again_while_busy, folder};
use futures_util::future::join_all;
use hallpass::keys::factors::{self, FactorKeySet};
use hallpass::keys::instant_text;
use hallpass::protocol::claims::User;
use hallpass::protocol::time::NumericDate;
use hallpass::second_factor::enrolment::{
    self, Completed, Completion, ENROLMENT_LIFETIME, Enrolment, MOST_AUTHENTICATORS, Made,
};
use hallpass::second_factor::{self, Checked, RightCode, resealing};
use hallpass::store::user_sessions::By;
use hallpass::store::users;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const ALICE: &str = "alice-sub";
const BY: By<'static> = By::Person("203.0.113.0/24");
const RIGHT: Checked = Checked::Right(RightCode::Authenticator);

/// An authenticator that is not a factor yet.
async fn started(provider: &TestProvider, sub: &str) -> Enrolment {
    let user = users::find(&provider.provider.db, sub).await.unwrap().unwrap();
    enrolment::begin_enrolment(&provider.provider, &user, None, provider.provider.now()).unwrap()
}

async fn completed(provider: &TestProvider, sub: &str, token: &str, typed: &str) -> Completed {
    let completion = Completion { token, typed, name: "phone", link: None };
    let (provider, now) = (&provider.provider, provider.provider.now());
    let user = users::find(&provider.db, sub).await.unwrap();
    let user = user.unwrap_or_else(|| User { sub: sub.to_owned(), ..User::default() });
    enrolment::complete_enrolment(provider, &user, completion, BY, now).await.unwrap()
}

/// Gives a user an authenticator; its secret in base32. The code of this step is used up by it.
pub async fn enrolled(provider: &TestProvider, sub: &str) -> String {
    let enrolment = started(provider, sub).await;
    let secret = enrolment.typed().expose().to_owned();
    let done = completed(provider, sub, enrolment.token(), &code(&secret, provider.now())).await;
    assert!(matches!(done, Completed::Done { .. }), "{done:?}");
    secret
}

/// Gives a user recovery codes.
pub async fn recovery_codes(provider: &TestProvider, sub: &str) -> Vec<String> {
    let now = provider.provider.now();
    match enrolment::new_recovery_codes(&provider.provider, sub, BY, now).await.unwrap() {
        Made::Codes(codes) => codes.iter().map(|code| code.expose().to_owned()).collect(),
        other => panic!("{other:?}"),
    }
}

async fn check(provider: &TestProvider, sub: &str, typed: &str) -> Checked {
    again_while_busy(async || second_factor::check(&provider.provider, sub, typed, provider.provider.now()).await).await
}

fn keys(provider: &TestProvider) -> PathBuf {
    provider.folder.path().join("keys")
}

fn key_files(provider: &TestProvider) -> Vec<String> {
    files_in(&keys(provider)).into_iter().filter(|file| file.starts_with("factors.")).collect()
}

fn document(outcome: Outcome) -> Value {
    serde_json::from_str(&done(outcome).stdout).unwrap()
}

async fn with_alice_and_bob() -> TestProvider {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    provider
}

#[tokio::test]
async fn a_code_of_an_authenticator_is_right_once_within_one_step_and_costs_one_read_and_one_write() {
    let provider = with_alice_and_bob().await;
    let secret = enrolled(&provider, ALICE).await;
    // The first code of it was that of the enrolment.
    assert_eq!(check(&provider, ALICE, &code(&secret, provider.now())).await, Checked::Used);
    provider.travel(90);
    // At the beginning of a step, so that none ends meanwhile.
    provider.travel(30 - provider.now().rem_euclid(30));
    let now = provider.now();
    for (off, expected) in [(-60, Checked::Wrong), (60, Checked::Wrong)] {
        assert_eq!(check(&provider, ALICE, &code(&secret, now + off)).await, expected, "{off}");
    }
    assert_eq!(check(&provider, "bob-sub", &code(&secret, now)).await, Checked::Wrong);
    assert_eq!(check(&provider, "stranger", &code(&secret, now)).await, Checked::Wrong);
    let typed = code(&secret, now);
    let before = provider.provider.db.statements();
    assert_eq!(check(&provider, ALICE, &format!(" {}-{} ", &typed[..3], &typed[3..])).await, RIGHT);
    assert_eq!(provider.provider.db.statements() - before, 2);
    assert_eq!(check(&provider, ALICE, &typed).await, Checked::Used);
    // Of an earlier step, which was never typed: it is older than one that was.
    assert_eq!(check(&provider, ALICE, &code(&secret, now - 30)).await, Checked::Used);
    // The authenticator's clock may be ahead.
    assert_eq!(check(&provider, ALICE, &code(&secret, now + 30)).await, RIGHT);
    for typed in ["", "x", "000000 000000", &"1".repeat(65), "００００００", "'; DROP TABLE user_factors; --"] {
        assert_eq!(check(&provider, ALICE, typed).await, Checked::Wrong, "{typed}");
    }
}

#[tokio::test]
async fn of_one_code_that_is_typed_at_two_nodes_at_once_exactly_one_is_right() {
    let provider = with_alice_and_bob().await;
    let other = provider.second_node().await;
    let secret = enrolled(&provider, ALICE).await;
    let codes = recovery_codes(&provider, ALICE).await;
    provider.travel(90);
    for typed in [code(&secret, provider.now()), codes[0].clone()] {
        let tries = (0..32).map(|at| check(if at % 2 == 0 { &provider } else { &other }, ALICE, &typed));
        let found = join_all(tries).await;
        let right = found.iter().filter(|checked| matches!(checked, Checked::Right(_))).count();
        let used = found.iter().filter(|checked| **checked == Checked::Used).count();
        assert_eq!((right, used), (1, 31), "{found:?}");
    }
}

#[tokio::test]
async fn ten_recovery_codes_are_right_once_each_also_all_at_once_and_new_ones_replace_them() {
    let provider = with_alice_and_bob().await;
    let codes = recovery_codes(&provider, ALICE).await;
    assert_eq!(codes.len(), 10);
    assert!(codes.iter().all(|code| code.len() == 14), "{codes:?}");
    assert_eq!(check(&provider, "bob-sub", &codes[0]).await, Checked::Wrong);
    let found = join_all(codes.iter().map(|code| check(&provider, ALICE, code))).await;
    let mut left: Vec<usize> = found
        .iter()
        .map(|checked| match checked {
            Checked::Right(RightCode::RecoveryCode { left }) => *left,
            other => panic!("{other:?}"),
        })
        .collect();
    left.sort_unstable();
    assert_eq!(left, (0..10).collect::<Vec<_>>());
    let again = join_all(codes.iter().map(|code| check(&provider, ALICE, code))).await;
    assert!(again.iter().all(|checked| *checked == Checked::Used), "{again:?}");

    let new = recovery_codes(&provider, ALICE).await;
    assert_eq!(check(&provider, ALICE, &codes[3]).await, Checked::Wrong);
    let typed = new[0].to_lowercase().replace('-', " ");
    assert_eq!(check(&provider, ALICE, &typed).await, Checked::Right(RightCode::RecoveryCode { left: 9 }));
    assert_eq!(provider.rows("SELECT COUNT(*) FROM user_factors").await, [[Some("1".to_owned())]]);
    provider.provider.audit.flush().await;
    for (event, number) in [("recovery_codes_made", "2"), ("recovery_code_used", "11")] {
        let rows = provider.rows(&format!("SELECT COUNT(*) FROM audit_events WHERE event = '{event}'")).await;
        assert_eq!(rows, [[Some(number.to_owned())]], "{event}");
    }
}

#[tokio::test]
async fn an_enrolment_is_its_users_alone_for_ten_minutes_and_once() {
    let provider = with_alice_and_bob().await;
    let enrolment = started(&provider, ALICE).await;
    let (secret, token) = (enrolment.typed().expose().to_owned(), enrolment.token().to_owned());
    assert!(
        enrolment.uri().expose().starts_with("otpauth://totp/127.0.0.1:alice?secret="),
        "{}",
        enrolment.uri().expose()
    );
    assert!(enrolment.picture().unwrap().1.expose().starts_with('M'));
    assert!(!format!("{enrolment:?}").contains(&secret.replace(' ', "")));
    assert_eq!(
        provider.rows("SELECT factor_id FROM user_factors").await,
        [[]; 0],
        "nothing is stored before the first code"
    );
    let now = || code(&secret, provider.now());
    // Not bob's, not even were his password the same.
    let (node, at) = (&provider.provider, provider.provider.now());
    let [alice, bob] = [ALICE, "bob-sub"].map(|sub| users::find(&node.db, sub));
    let (alice, bob) = (alice.await.unwrap().unwrap(), bob.await.unwrap().unwrap());
    let first = now();
    let completion = Completion { token: &token, typed: &first, name: "", link: None };
    for another in [
        bob.clone(),
        User { credential: alice.credential.clone(), ..bob },
        User { credential: "of another password".to_owned(), ..alice },
    ] {
        let done = enrolment::complete_enrolment(node, &another, completion, BY, at).await.unwrap();
        assert_eq!(done, Completed::Expired, "{}", another.sub);
    }
    for broken in ["", ".", "x.y", &token[1..], &token[..token.len() - 1], &format!("{token}A"), &"x".repeat(600)] {
        assert_eq!(completed(&provider, ALICE, broken, &now()).await, Completed::Expired, "{broken}");
    }
    assert_eq!(completed(&provider, ALICE, &token, "000000").await, Completed::WrongCode);
    assert_eq!(completed(&provider, ALICE, &token, "").await, Completed::WrongCode);
    provider.travel(ENROLMENT_LIFETIME - 60);
    let Completed::Done { factor_id } = completed(&provider, ALICE, &token, &now()).await else {
        panic!("it is right")
    };
    assert_eq!(completed(&provider, ALICE, &token, &now()).await, Completed::Expired, "it was completed");
    let removed = second_factor::remove(&provider.provider.db, ALICE, &factor_id, BY, provider.provider.now()).await;
    assert_eq!(removed.unwrap().authenticators, 1);
    assert_eq!(completed(&provider, ALICE, &token, &now()).await, Completed::Expired, "it was completed and removed");
    let late = started(&provider, ALICE).await;
    let secret = late.typed().expose().to_owned();
    provider.travel(ENROLMENT_LIFETIME);
    assert_eq!(completed(&provider, ALICE, late.token(), &code(&secret, provider.now())).await, Completed::Expired);
}

/// Two tabs of one sign-in by the password alone: who has a second factor by then proves it first.
#[tokio::test]
async fn of_two_first_authenticators_at_once_one_is_added() {
    let provider = with_alice_and_bob().await;
    let (one, two) = (started(&provider, ALICE).await, started(&provider, ALICE).await);
    let at = provider.now();
    let codes = [&one, &two].map(|one| code(one.typed().expose(), at));
    let user = users::find(&provider.provider.db, ALICE).await.unwrap().unwrap();
    let complete = async |token: &str, typed: &str| {
        let (completion, now) = (Completion { token, typed, name: "", link: None }, provider.provider.now());
        enrolment::complete_enrolment(&provider.provider, &user, completion, BY, now).await.unwrap()
    };
    let (one, two) = tokio::join!(complete(one.token(), &codes[0]), complete(two.token(), &codes[1]));
    let added = [&one, &two].into_iter().filter(|it| matches!(it, Completed::Done { .. })).count();
    assert_eq!((added, one == Completed::Expired || two == Completed::Expired), (1, true), "{one:?} {two:?}");
    assert_eq!(provider.rows("SELECT kind FROM user_factors").await.len(), 1);
}

#[tokio::test]
async fn a_user_has_five_authenticators_at_most_also_when_two_are_added_at_once() {
    let provider = with_alice_and_bob().await;
    let mut started_ones = Vec::new();
    for _ in 0..MOST_AUTHENTICATORS + 2 {
        started_ones.push(started(&provider, ALICE).await);
    }
    let at = provider.now();
    let codes: Vec<String> = started_ones.iter().map(|one| code(one.typed().expose(), at)).collect();
    // The first by a sign-in of the password alone, which is enough for no further one.
    let first = completed(&provider, ALICE, started_ones[0].token(), &codes[0]).await;
    assert!(matches!(first, Completed::Done { .. }), "{first:?}");
    let all = started_ones.iter().zip(&codes).skip(1);
    let mut found = join_all(all.map(|(one, typed)| completed(&provider, ALICE, one.token(), typed))).await;
    found.insert(0, first);
    let too_many = found.iter().filter(|it| **it == Completed::TooMany).count();
    assert_eq!(too_many, 2, "{found:?}");
    let rows = provider.rows("SELECT name, last_step FROM user_factors").await;
    assert!(rows.len() == 5 && rows.iter().all(|row| row[0].as_deref() == Some("phone")), "{rows:?}");
    let events = provider.rows("SELECT detail FROM audit_events WHERE event = 'factor_added'").await;
    assert_eq!(events.len(), 5);
    // A node that does not know of authenticators would let the user in by the password alone.
    let least = provider.rows("SELECT value FROM provider_values WHERE name = 'least_schema_version'").await;
    assert!(least[0][0].as_deref().unwrap().parse::<i64>().unwrap() >= 13, "{least:?}");
    // With each of them.
    provider.travel(90);
    let added = started_ones.iter().zip(&found).filter(|(_, it)| matches!(it, Completed::Done { .. }));
    for (one, _) in added {
        assert_eq!(check(&provider, ALICE, &code(one.typed().expose(), provider.now())).await, RIGHT);
    }
}

/// Who can write SQL gives no secret to another row: the seal is bound to user, kind and id.
#[tokio::test]
async fn a_row_that_was_moved_to_another_user_opens_for_none() {
    let provider = with_alice_and_bob().await;
    let secret = enrolled(&provider, ALICE).await;
    let codes = recovery_codes(&provider, ALICE).await;
    provider.travel(90);
    provider.sql("UPDATE user_factors SET sub = 'bob-sub'").await;
    for typed in [code(&secret, provider.now()), codes[0].clone()] {
        assert_eq!(check(&provider, "bob-sub", &typed).await, Checked::Unreadable);
        assert_eq!(check(&provider, ALICE, &typed).await, Checked::Wrong);
    }
    provider.sql("UPDATE user_factors SET sub = 'alice-sub', kind = CASE kind WHEN 'totp' THEN 'recovery_codes' ELSE 'totp' END").await;
    assert_eq!(check(&provider, ALICE, &code(&secret, provider.now())).await, Checked::Unreadable);
    provider.sql("UPDATE user_factors SET kind = CASE kind WHEN 'totp' THEN 'recovery_codes' ELSE 'totp' END").await;
    assert_eq!(check(&provider, ALICE, &code(&secret, provider.now())).await, RIGHT);
    // Nothing of the secret is in the database in the clear.
    let stored =
        provider.rows("SELECT secret FROM user_factors").await.concat().into_iter().flatten().collect::<String>();
    assert!(!stored.contains(&secret.replace(' ', "")) && !stored.contains("left"));
}

#[tokio::test]
async fn what_an_older_key_sealed_is_sealed_anew_by_the_newest_at_use_and_in_the_background_until_the_old_file_may_go()
{
    let provider = with_alice_and_bob().await;
    let secret = enrolled(&provider, ALICE).await;
    let codes = recovery_codes(&provider, ALICE).await;
    let of_bob = enrolled(&provider, "bob-sub").await;
    let [old] = key_files(&provider).try_into().unwrap();
    let now = provider.provider.now();
    done(provider.command(&["key", "new", "--for", "factors", "--signs-from", &instant_text(now.plus(60))], ""));
    assert!(provider.provider.factor_keys.refresh().unwrap());
    let rows = async || {
        let rows = provider.rows("SELECT key_id, COUNT(*) FROM user_factors GROUP BY key_id ORDER BY 2").await;
        rows.into_iter().map(|row| row[1].clone().unwrap()).collect::<Vec<_>>()
    };
    let of_old = provider.provider.factor_keys.current().all()[0].id.clone();
    // Before its time the new one does nothing.
    assert_eq!(resealing::round(&provider.provider).await.unwrap(), 0);
    provider.travel(90);
    // At use.
    assert_eq!(check(&provider, ALICE, &code(&secret, provider.now())).await, RIGHT);
    until("the secret is sealed anew", async || rows().await == ["1", "2"]).await;
    assert_eq!(check(&provider, ALICE, &codes[0]).await, Checked::Right(RightCode::RecoveryCode { left: 9 }));
    assert_eq!(rows().await, ["1", "2"]);
    let left = provider.rows(&format!("SELECT sub FROM user_factors WHERE key_id = '{of_old}'")).await;
    assert_eq!(left, [[Some("bob-sub".to_owned())]]);
    // In the background, by two nodes at once.
    let both = [resealing::round(&provider.provider), resealing::round(&provider.provider)];
    let resealed: u64 = join_all(both).await.into_iter().map(Result::unwrap).sum();
    assert_eq!((resealed, rows().await.as_slice()), (1, &["3".to_owned()][..]));
    // The plan says so; then the old file may go.
    fs::rename(keys(&provider).join(&key_files(&provider)[1]), keys(&provider).join("factors.2025-01-01T000000Z.key"))
        .unwrap();
    let plan = document(provider.command(&["key", "plan", "--json"], ""));
    let told: Vec<(&str, u64)> = plan["factor_keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["state"].as_str().unwrap(), key["secrets"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [("done", 0), ("seals", 3)], "{plan}");
    let fix = plan["findings"].as_array().unwrap().iter().find(|it| it["alg"] == "factors").unwrap();
    let told = fix["fix"].as_str().unwrap();
    assert!(told.starts_with(&format!("delete {old}; keep a copy")) && told.contains("backups"), "{told}");
    fs::remove_file(keys(&provider).join(&old)).unwrap();
    assert!(provider.provider.factor_keys.refresh().unwrap());
    assert_eq!(check(&provider, "bob-sub", &code(&of_bob, provider.now())).await, RIGHT);
    assert_eq!(check(&provider, ALICE, &codes[1]).await, Checked::Right(RightCode::RecoveryCode { left: 8 }));
    assert_eq!(check(&provider, ALICE, &codes[0]).await, Checked::Used);
}

#[tokio::test]
async fn a_node_without_the_key_of_a_row_runs_says_so_and_refuses_those_codes_alone() {
    let provider = with_alice_and_bob().await;
    let secret = enrolled(&provider, ALICE).await;
    let codes = recovery_codes(&provider, ALICE).await;
    let [old] = key_files(&provider).try_into().unwrap();
    let away = provider.folder.path().join("away.key");
    fs::rename(keys(&provider).join(&old), &away).unwrap();
    // A folder that is empty for a moment changes nothing at a running node.
    assert!(!provider.provider.factor_keys.refresh().unwrap());
    provider.travel(90);
    assert_eq!(check(&provider, ALICE, &code(&secret, provider.now())).await, RIGHT);
    factors::create(&keys(&provider), NumericDate(1_700_000_000)).unwrap();
    assert!(provider.provider.factor_keys.refresh().unwrap());
    provider.travel(90);
    assert_eq!(check(&provider, ALICE, &code(&secret, provider.now())).await, Checked::Unreadable);
    assert_eq!(check(&provider, ALICE, &codes[0]).await, Checked::Unreadable);
    let of_bob = enrolled(&provider, "bob-sub").await;
    provider.travel(90);
    assert_eq!(check(&provider, "bob-sub", &code(&of_bob, provider.now())).await, RIGHT);
    // An authenticator more, which has its key, is right beside one that is not readable.
    let new = enrolled(&provider, ALICE).await;
    provider.travel(90);
    assert_eq!(check(&provider, ALICE, &code(&new, provider.now())).await, RIGHT);
    // What is none of it is a guess at the one that opens.
    assert_eq!(check(&provider, ALICE, "000000").await, Checked::Wrong);
    assert_eq!(resealing::round(&provider.provider).await.unwrap(), 0);
    let told = provider.provider.degraded.members()["factor_keys"].clone();
    assert!(told.contains("sealed 2 secrets"), "{told}");
    let outcome = provider.command(&["key", "plan"], "");
    assert_eq!(outcome.status, 1, "{outcome:?}");
    assert!(outcome.stdout.contains("fault: factors: the factor key is not here that sealed 2 secrets"), "{outcome:?}");
    let outcome = provider.command(&["doctor", "--json"], "");
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let fault = found["checks"].as_array().unwrap().iter().find(|it| it["check"] == "factors").unwrap();
    assert_eq!(fault["verdict"], "fault", "{fault}");
    assert!(fault["fix"].as_str().unwrap().contains("user factor remove NAME --all"), "{fault}");
    // Brought back, all is well again.
    fs::rename(&away, keys(&provider).join(old.replace("2023-", "2022-"))).unwrap();
    assert!(provider.provider.factor_keys.refresh().unwrap());
    assert_eq!(resealing::round(&provider.provider).await.unwrap(), 2);
    resealing::round(&provider.provider).await.unwrap();
    assert!(!provider.provider.degraded.members().contains_key("factor_keys"));
    assert_eq!(check(&provider, ALICE, &code(&secret, provider.now())).await, RIGHT);
}

#[tokio::test]
async fn serve_starts_where_rows_have_no_key_and_tells_it() {
    let provider = with_alice_and_bob().await;
    let _ = enrolled(&provider, ALICE).await;
    let folder = folder();
    copy_keys(&folder.path().join("keys"));
    for file in files_in(&folder.path().join("keys")).iter().filter(|file| file.starts_with("factors.")) {
        fs::remove_file(folder.path().join("keys").join(file)).unwrap();
    }
    let [listen, management] = [(); 2].map(|()| format!("127.0.0.1:{}", crate::support::postgres::free_port()));
    let variables = [
        ("HALLPASS_ISSUER", provider.issuer.as_str()),
        ("HALLPASS_LISTEN", &listen),
        ("HALLPASS_MANAGEMENT_LISTEN", &management),
        ("HALLPASS_DATABASE_URL", &provider.database_url),
        ("HALLPASS_REDIS_URL", &provider.redis_url),
    ];
    let variables: Vec<(&str, &str)> = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let serve = Running::start(folder.path(), &["serve"], &variables);
    serve.wait_for("serving");
    serve.wait_for("second factors cannot be checked; every other user signs in");
    let (_, log) = serve.output();
    assert!(log.contains("sealed 1 secret of users"), "{log}");
    // Another key would hide that this one is not here, and seal what there is anew when it is back.
    let made = files_in(&folder.path().join("keys")).into_iter().find(|file| file.starts_with("factors."));
    assert_eq!(made, None, "{log}");
}

#[tokio::test]
async fn init_makes_no_factor_key_where_the_database_has_secrets_of_another() {
    let provider = with_alice_and_bob().await;
    let _ = enrolled(&provider, ALICE).await;
    let folder = folder();
    let init = |url: &str| done(run_with(folder.path(), &["init"], &[("HALLPASS_DATABASE_URL", url)], ""));
    let made = || files_in(&folder.path().join("keys")).into_iter().any(|file| file.starts_with("factors."));
    let told = init(&provider.database_url).stderr;
    assert!(told.contains("no factor key was made") && told.contains("key new --for factors") && !made(), "{told}");
    let told = init("sqlite:new.db").stderr;
    assert!(told.contains("keep a copy") && made(), "{told}");
}

/// The row of another, or one that was changed: its key is there, and it does not open.
#[tokio::test]
async fn secrets_that_do_not_open_by_their_key_are_told_by_doctor_and_once_by_a_node() {
    let provider = with_alice_and_bob().await;
    for sub in [ALICE, "bob-sub"] {
        let _ = enrolled(&provider, sub).await;
    }
    let doctor = || -> Value {
        let told: Value = serde_json::from_str(&provider.command(&["doctor", "--json"], "").stdout).unwrap();
        told["checks"].as_array().unwrap().iter().find(|it| it["check"] == "factors").unwrap().clone()
    };
    assert_eq!(doctor()["verdict"], "ok");
    provider.sql("UPDATE user_factors SET secret = 'x' WHERE sub = 'alice-sub'").await;
    let fault = doctor();
    assert_eq!(fault["verdict"], "fault", "{fault}");
    assert!(fault.to_string().contains("1 secret of a second factor does not open"), "{fault}");
    let now = provider.provider.now();
    done(provider.command(&["key", "new", "--for", "factors", "--signs-from", &instant_text(now)], ""));
    assert!(provider.provider.factor_keys.refresh().unwrap());
    assert_eq!(resealing::round(&provider.provider).await.unwrap(), 1);
    let told = provider.provider.degraded.members()["factor_rows"].clone();
    assert!(told.contains("1 secret of a second factor does not open"), "{told}");
    provider.sql("DELETE FROM user_factors WHERE sub = 'alice-sub'").await;
    resealing::round(&provider.provider).await.unwrap();
    assert!(!provider.provider.degraded.members().contains_key("factor_rows"));
}

#[tokio::test]
async fn without_a_key_no_authenticator_is_started_and_the_fix_is_told() {
    let provider = with_alice_and_bob().await;
    let [file] = key_files(&provider).try_into().unwrap();
    let set = FactorKeySet::load(&keys(&provider)).unwrap();
    factors::retire(&keys(&provider), &set.all()[0], provider.provider.now().plus(-1)).unwrap();
    assert!(!keys(&provider).join(file).exists());
    assert!(provider.provider.factor_keys.refresh().unwrap());
    let user = users::find(&provider.provider.db, ALICE).await.unwrap().unwrap();
    let refused = enrolment::begin_enrolment(&provider.provider, &user, None, provider.provider.now()).unwrap_err();
    assert_eq!(refused.fix(), Some("hallpass key new --for factors"));
    let made = enrolment::new_recovery_codes(&provider.provider, ALICE, BY, provider.provider.now()).await.unwrap();
    assert!(matches!(made, Made::NoKey(_)), "{made:?}");
}

#[tokio::test]
async fn an_operator_lists_and_removes_factors_and_no_command_tells_a_secret() {
    let provider = with_alice_and_bob().await;
    let client = provider.client("reports").await;
    let _ = provider.tokens(&UserAgent::new(), &client).await;
    let secret = enrolled(&provider, ALICE).await.replace(' ', "");
    let _ = enrolled(&provider, ALICE).await;
    let _ = recovery_codes(&provider, ALICE).await;
    let listed = document(provider.command(&["user", "factor", "list", "alice", "--json"], ""));
    let of_kind = |kind: &str| -> Vec<Value> {
        listed["factors"].as_array().unwrap().iter().filter(|it| it["kind"] == kind).cloned().collect()
    };
    assert_eq!((of_kind("totp").len(), of_kind("recovery_codes").len()), (2, 1), "{listed}");
    assert_eq!((&of_kind("recovery_codes")[0]["left"], &of_kind("totp")[0]["name"]), (&json!(10), &json!("phone")));
    let sealed = provider.rows("SELECT secret FROM user_factors").await.concat();
    for command in [
        &["user", "factor", "list", "alice"][..],
        &["user", "factor", "list", "alice", "--json"],
        &["user", "show", "alice"],
        &["user", "show", "alice", "--json"],
        &["user", "export", "alice"],
    ] {
        let told = done(provider.command(command, "")).stdout;
        assert!(told.contains("recovery_codes"), "{command:?}: {told}");
        assert!(!told.contains(&secret), "{command:?}");
        assert!(sealed.iter().flatten().all(|sealed| !told.contains(sealed)), "{command:?}");
    }
    let one = of_kind("totp")[0]["factor"].as_str().unwrap().to_owned();
    refused(
        &provider.command(&["user", "factor", "remove", "bob", &one, "--yes"], ""),
        &["has no factor", "user factor list"],
    );
    let removed = document(provider.command(&["user", "factor", "remove", "alice", &one, "--yes", "--json"], ""));
    assert_eq!(
        (&removed["authenticators_removed"], &removed["recovery_codes_removed"], &removed["sessions_ended"]),
        (&json!(1), &json!(false), &json!(0))
    );
    // A script says what it means.
    assert_eq!(provider.command(&["user", "factor", "remove", "alice", "--all"], "").status, 2);
    assert_eq!(provider.command(&["user", "factor", "remove", "alice", "--yes"], "").status, 2);
    let removed = document(provider.command(&["user", "factor", "remove", "alice", "--all", "--yes", "--json"], ""));
    assert_eq!(
        (&removed["authenticators_removed"], &removed["recovery_codes_removed"], &removed["sessions_ended"]),
        (&json!(1), &json!(true), &json!(1)),
        "{removed}"
    );
    let ended = provider.rows("SELECT ended_at FROM user_sessions WHERE sub = 'alice-sub'").await;
    assert!(ended.iter().all(|row| row[0].is_some()), "{ended:?}");
    let again = document(provider.command(&["user", "factor", "remove", "alice", "--all", "--yes", "--json"], ""));
    assert_eq!(again["is_changed"], false);
    let events =
        provider.rows("SELECT detail FROM audit_events WHERE event = 'factor_removed' ORDER BY sequence").await;
    let told: Vec<String> = events.concat().into_iter().flatten().collect();
    assert!(told[0].contains("\"kind\":\"totp\"") && told[1].contains("\"kind\":\"all\""), "{told:?}");
    assert!(told.iter().all(|detail| detail.contains("operator")), "{told:?}");
}

#[tokio::test]
async fn the_last_authenticator_takes_the_recovery_codes_along_and_a_user_all_of_it() {
    let provider = with_alice_and_bob().await;
    let _ = enrolled(&provider, ALICE).await;
    let _ = recovery_codes(&provider, ALICE).await;
    let one = provider.rows("SELECT factor_id FROM user_factors WHERE kind = 'totp'").await[0][0].clone().unwrap();
    let now = provider.provider.now();
    let removed = second_factor::remove(&provider.provider.db, ALICE, &one, BY, now).await.unwrap();
    assert!(removed.authenticators == 1 && removed.recovery_codes, "{removed:?}");
    assert_eq!(provider.rows("SELECT factor_id FROM user_factors").await, [[]; 0]);
    let events =
        provider.rows("SELECT detail FROM audit_events WHERE event = 'factor_removed' ORDER BY sequence").await;
    let events: Vec<String> = events.concat().into_iter().flatten().collect();
    assert!(events.len() == 2 && events[0].contains("totp") && events[1].contains("recovery_codes"), "{events:?}");
    for (name, command) in [("alice", "delete"), ("bob", "erase")] {
        let _ = enrolled(&provider, &format!("{name}-sub")).await;
        let _ = recovery_codes(&provider, &format!("{name}-sub")).await;
        done(provider.command(&["user", command, name, "--yes"], ""));
        assert_eq!(provider.rows("SELECT factor_id FROM user_factors").await, [[]; 0], "{command}");
    }
}

#[tokio::test]
async fn a_running_node_learns_a_new_factor_key_within_seconds() {
    let provider = with_alice_and_bob().await;
    let watching = tokio::spawn(hallpass::startup::watch_keys(provider.provider.clone()));
    let now = provider.provider.now();
    done(provider.command(&["key", "new", "--for", "factors", "--signs-from", &instant_text(now)], ""));
    until("the new key seals", async || {
        let keys = provider.provider.factor_keys.current();
        keys.all().len() == 2 && keys.sealing(provider.provider.now()).unwrap().id == keys.all()[1].id
    })
    .await;
    let broken = keys(&provider).join("factors.2025-01-01T000000Z.key");
    fs::write(&broken, "no key").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o600)).unwrap();
    until("the broken file is told", async || {
        provider.provider.degraded.members().get("factor_key_files").is_some_and(|told| told.contains("no factor key"))
    })
    .await;
    assert_eq!(provider.provider.factor_keys.current().all().len(), 2);
    watching.abort();
}

#[test]
fn factor_keys_are_made_shown_and_retired_by_commands() {
    let folder = folder();
    let at = folder.path();
    let made = document(run(at, &["key", "new", "--for", "factors", "--json"]));
    let file = at.join(made["file"].as_str().unwrap());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(at.join("keys")).unwrap().permissions().mode() & 0o777, 0o700);
    let content = fs::read_to_string(&file).unwrap();
    let further = document(run(at, &["key", "new", "--for", "factors", "--json"]));
    let lead = further["seals_from"].as_i64().unwrap() - made["seals_from"].as_i64().unwrap();
    assert!((86_400..86_460).contains(&lead), "a further one seals a day later: {lead}");
    done(run(at, &["key", "new"]));
    let (first, second) = (made["key_id"].as_str().unwrap(), further["key_id"].as_str().unwrap());
    let plan = done(run(at, &["key", "plan"])).stdout;
    let lines: Vec<Vec<&str>> = plan.lines().map(|line| line.split_whitespace().collect()).collect();
    let states: Vec<[&str; 3]> =
        lines.iter().filter(|line| line.first() == Some(&"factors")).map(|line| [line[1], line[2], line[6]]).collect();
    assert_eq!(states, [["seals", first, "-"], ["next", second, "-"]], "there is no database to be asked: {plan}");
    assert_eq!(run(at, &["key", "new", "--for", "factors", "--alg", "RS256"]).status, 2);
    // It stops when the next one starts, and is never the last by mistake.
    refused(&run(at, &["key", "retire", second, "--at", "2020-01-01T00:00:00Z", "--yes"]), &["in the past"]);
    refused(&run(at, &["key", "retire", first, "--leaked", "--yes"]), &["key new --for factors", "user factor remove"]);
    let retired = document(run(at, &["key", "retire", first, "--yes", "--json"]));
    assert_eq!((&retired["retired_at"], &retired["alg"]), (&further["seals_from"], &json!("factors")));
    // One that has not started yet, and that an end of another relies on.
    refused(&run(at, &["key", "retire", second, "--yes"]), &["nothing would seal then"]);
    let unused = further["file"].as_str().unwrap().rsplit('/').next().unwrap();
    refused(&run(at, &["key", "retire", second, "--leaked", "--yes"]), &["has sealed nothing yet", "delete", unused]);
    refused(
        &run(at, &["key", "retire", second, "--at", "2099-01-01T00:00:00Z", "--yes"]),
        &["nothing would seal then"],
    );
    done(run(at, &["key", "retire", second, "--at", "2099-01-01T00:00:00Z", "--without-successor", "--yes"]));
    for arguments in [&["key", "plan"][..], &["key", "plan", "--json"]] {
        let outcome = run(at, arguments);
        assert!(outcome.stdout.contains("no factor key seals from 2099-01-01T00:00:00Z"), "{outcome:?}");
        assert!(!outcome.stdout.contains(content.trim()) && !outcome.stderr.contains(content.trim()));
    }
}

/// A stolen signing key does not wait for what is wrong with another file.
#[test]
fn a_broken_factor_key_holds_up_no_signing_key_and_says_how_it_is_replaced() {
    let folder = folder();
    let at = folder.path();
    let signing = document(run(at, &["key", "new", "--json"]))["kid"].as_str().unwrap().to_owned();
    let made = document(run(at, &["key", "new", "--for", "factors", "--json"]));
    let file = at.join(made["file"].as_str().unwrap());
    fs::write(&file, "broken").unwrap();
    refused(&run(at, &["key", "plan"]), &["no factor key", "move this one elsewhere first"]);
    done(run(at, &["key", "retire", &signing, "--leaked", "--yes"]));
    // As the fix says.
    refused(&run(at, &["key", "new", "--for", "factors"]), &["move this one elsewhere first"]);
    fs::rename(&file, at.join("elsewhere")).unwrap();
    done(run(at, &["key", "new", "--for", "factors"]));
}

/// A path of the database that is mistyped, or a machine that has the keys alone: nothing is known of what is sealed.
#[test]
fn without_the_database_no_factor_key_is_given_up() {
    let folder = folder();
    let at = folder.path();
    for from in ["2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"] {
        done(run(at, &["key", "new", "--for", "factors", "--signs-from", from]));
    }
    done(run(at, &["key", "new"]));
    let outcome = done(run(at, &["key", "plan", "--json"]));
    let plan: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let told: Vec<(&Value, &Value)> =
        plan["factor_keys"].as_array().unwrap().iter().map(|key| (&key["state"], &key["secrets"])).collect();
    assert_eq!(told, [(&json!("opens"), &Value::Null), (&json!("seals"), &Value::Null)], "{plan}");
    assert!(outcome.stderr.contains("not known") && outcome.stderr.contains("delete no file"), "{outcome:?}");
    let told = run(at, &["doctor"]).stdout;
    assert!(!plan.to_string().contains("may be deleted") && !told.contains("may be deleted"), "{plan} {told}");
    assert!(told.contains("is not known without the database"), "{told}");
}

#[tokio::test]
async fn a_factor_key_that_every_user_of_the_machine_may_read_stops_the_start() {
    let provider = TestProvider::start().await;
    let folder = folder();
    let copied = folder.path().join("keys");
    copy_keys(&copied);
    let file = files_in(&copied).into_iter().find(|file| file.starts_with("factors.")).unwrap();
    fs::set_permissions(copied.join(&file), fs::Permissions::from_mode(0o644)).unwrap();
    let database = provider.database_url.clone();
    let outcome = run_with(folder.path(), &["serve"], &[("HALLPASS_DATABASE_URL", &database)], "");
    refused(&outcome, &[&file, "Fix: chmod 600"]);
    refused(&run(folder.path(), &["key", "plan"]), &[&file, "chmod 600"]);
}
