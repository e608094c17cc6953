//! The binary as a person at a terminal and as a script: arguments in, files, output and status out; and `serve` from
//! its start to its end.
//!
//! Migrations as files are in `admin_sql.rs`; what is logged is in `logs.rs`.

use crate::support::postgres::free_port;
use crate::support::program::{Outcome, Running, Serve, done, files_in, refused, run, run_with};
use crate::support::provider::{CLIENT_SECRET, PASSWORD, copy_keys, fresh_stores, hash_of, run_sql};
use crate::support::remote::{Remote, until};
use crate::support::verbs::{http, send};
use crate::support::{
    Api, Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent, claims_of, folder, postgres, redis,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass::ambient::Clock;
use hallpass::config::SETTINGS;
use hallpass::keys::{KeySet, parse_instant};
use hallpass::passwords::{Passwords, StoredHash, Typed, Verdict, hash_fault};
use hallpass::protocol::response::SigningAlgorithm;
use hallpass::protocol::secret::Password;
use hallpass::protocol::time::NumericDate;
use openssl::rsa::Rsa;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn help_lists_every_command_with_examples() {
    let folder = folder();
    let help = done(run(folder.path(), &["--help"])).stdout;
    for command in ["serve", "demo", "migrate", "client", "user", "key", "hash-secret"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {help}");
        done(run(folder.path(), &[command, "--help"]));
    }
    for example in ["hallpass demo", "hallpass serve", "hallpass user add", "hallpass client new"] {
        assert!(help.contains(example), "{example}: {help}");
    }
    assert!(done(run(folder.path(), &["client", "new", "--help"])).stdout.contains("Examples:"));
    assert!(done(run(folder.path(), &["--version"])).stdout.contains(env!("CARGO_PKG_VERSION")));
    let all = done(run(folder.path(), &["serve", "--help"])).stdout;
    for setting in SETTINGS {
        assert!(all.contains(&setting.variable()) && all.contains(&setting.flag()), "{}: {all}", setting.name);
    }
    assert!(files_in(folder.path()).is_empty(), "help makes no files");
}

#[test]
fn wrong_usage_ends_with_status_2_and_says_what_is_wrong() {
    let folder = folder();
    for arguments in [
        &[][..],
        &["dance"],
        &["serve", "--no-such-flag", "x"],
        &["client"],
        &["client", "new"],
        &["client", "new", "reports"],
        &["client", "new", "a", "--redirect-uri", "https://a.example/", "--consent", "maybe"],
        &["client", "new", "a", "--redirect-uri", "https://a.example/", "--public", "--secret-stdin"],
        &["client", "new", "a", "--redirect-uri", "https://a.example/", "--secret-stdin", "--secret-hash", "x"],
        &["user", "add"],
        &["user", "add", "alice"],
        &["key", "new", "--alg", "HS256"],
        &["key", "new", "--signs-from", "tomorrow"],
        // A secret on the command line would be in the list of processes.
        &["user", "add", "alice", "--email", "a@example.com", "--password", "correct horse"],
        &["hash-secret", "a-secret-as-an-argument"],
    ] {
        let outcome = run(folder.path(), arguments);
        assert_eq!(outcome.status, 2, "{arguments:?}: {outcome:?}");
        assert!(outcome.stdout.is_empty() && outcome.stderr.contains("--help"), "{arguments:?}: {outcome:?}");
    }
    assert!(files_in(folder.path()).is_empty());
}

#[tokio::test]
async fn hash_secret_reads_the_secret_from_standard_input_and_prints_a_hash_that_works() {
    let folder = folder();
    for input in ["a secret with 32 characters or so\n", "a secret with 32 characters or so", "x y\r\n"] {
        let outcome = done(run_with(folder.path(), &["hash-secret"], &[], input));
        let secret = input.trim_end();
        let hash = outcome.stdout.strip_suffix('\n').unwrap();
        assert!(hash.starts_with("$argon2id$v=19$") && !hash.contains('\n'), "{hash}");
        assert_eq!(hash_fault(hash), None);
        assert!(!outcome.stdout.contains(secret) && !outcome.stderr.contains(secret), "{outcome:?}");
        let passwords = Passwords::new().unwrap();
        for (typed, is_right) in [(secret.to_owned(), true), (format!("{secret}x"), false)] {
            let turn = passwords.turn_for_person().await.unwrap();
            let (typed, stored) = (Typed::new(Password::received(typed)), StoredHash { hash, is_prepared: false });
            let verdict = passwords.verify_person(turn, typed, Some(stored)).await.unwrap();
            assert_eq!(matches!(verdict, Verdict::Right(_)), is_right);
        }
    }
    refused(&run_with(folder.path(), &["hash-secret"], &[], ""), &["standard input"]);
    refused(&run_with(folder.path(), &["hash-secret"], &[], "\n"), &["standard input"]);
    assert!(files_in(folder.path()).is_empty(), "it needs no database");
}

#[tokio::test]
async fn user_add_makes_a_person_who_can_sign_in_at_once() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    let password = "päss wörd' -- of Bob";
    let add = ["user", "add", "Bob", "--email", "bob@example.com", "--name", "Bob O'Neil", "--password-stdin"];
    let outcome = done(provider.command(&add, &format!("{password}\n")));
    assert!(!outcome.stdout.contains("wörd") && !outcome.stderr.contains("wörd"), "{outcome:?}");
    let sub = outcome.stdout.trim();

    for login in ["bob", "bob@example.com"] {
        let browser = UserAgent::new();
        let page = Authorization::of(&client).open(&provider, &browser).await;
        let page = provider.type_in(&browser, &page, login, password).await;
        let code = page.query_parameter("code").unwrap_or_else(|| panic!("{page}"));
        let tokens = provider.redeem(&client, &code).await.ok();
        assert_eq!(claims_of(&tokens.text("id_token"))["sub"], sub);
        let claims = provider.userinfo(&tokens.text("access_token")).await.ok();
        assert_eq!(claims.text("name"), "Bob O'Neil");
        assert_eq!(claims.text("email"), "bob@example.com");
        assert_eq!(claims.json()["email_verified"], true, "an operator's word is proof");
    }

    let again = ["user", "add", "BOB", "--email", "another@example.com", "--password-stdin"];
    refused(&provider.command(&again, "another password\n"), &["BOB", "already"]);
}

#[test]
fn user_add_refuses_what_could_not_sign_in_or_would_be_another_user() {
    let folder = folder();
    let add = |arguments: &[&str], password: &str| {
        let arguments: Vec<&str> = ["user", "add"].iter().chain(arguments).copied().collect();
        run_with(folder.path(), &arguments, &[], password)
    };
    let good = "correct horse";
    refused(&add(&["a", "--email", "a@example.com", "--password-stdin"], "1234567\n"), &["8 characters"]);
    // Characters, not bytes.
    refused(&add(&["a", "--email", "a@example.com", "--password-stdin"], "äöüäöüä\n"), &["8 characters"]);
    refused(&add(&["a", "--email", "a@example.com", "--password-stdin"], ""), &["standard input"]);
    refused(&add(&["a", "--email", "a@example.com"], good), &["--password-stdin"]);
    refused(&add(&["", "--email", "a@example.com", "--password-stdin"], good), &["user name"]);
    refused(&add(&[" a", "--email", "a@example.com", "--password-stdin"], good), &["user name"]);
    refused(&add(&["a\nb", "--email", "a@example.com", "--password-stdin"], good), &["user name"]);
    refused(&add(&["boss@example.com", "--email", "a@example.com", "--password-stdin"], good), &["@"]);
    refused(&add(&["a", "--email", "nowhere", "--password-stdin"], good), &["--email"]);
    refused(&add(&["a", "--email", "a b@example.com", "--password-stdin"], good), &["--email"]);
    assert!(files_in(folder.path()).is_empty(), "what is refused leaves nothing behind");
    done(add(&["A@example.com", "--email", "a@example.com", "--password-stdin"], good));
}

/// RFC 7638 section 3, computed here anew.
fn thumbprint(key: &Value) -> String {
    let members: &[&str] = match key["kty"].as_str().unwrap() {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        _ => &["crv", "kty", "x"],
    };
    let members: Vec<String> = members.iter().map(|name| format!("\"{name}\":{}", key[*name])).collect();
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{{{}}}", members.join(","))))
}

/// The file's name is its timetable.
#[test]
fn key_new_makes_a_private_file_whose_first_signs_at_once_and_whose_second_a_day_later() {
    let folder = folder();
    let keys = folder.path().join("keys");
    let now = Clock::System.now();
    for algorithm in SigningAlgorithm::SUPPORTED {
        let mut instants = Vec::new();
        for _ in 0..2 {
            let outcome = done(run(folder.path(), &["key", "new", "--alg", algorithm.as_str()]));
            let path = folder.path().join(outcome.stdout.trim_end());
            assert_eq!(mode_of(&path), 0o600, "{}", path.display());
            let name = path.file_name().unwrap().to_str().unwrap();
            let mut parts = name.split('.');
            assert_eq!(parts.next(), Some(algorithm.as_str().to_lowercase().as_str()), "{name}");
            instants.push(parse_instant(parts.next().unwrap()).unwrap());
            assert_eq!(parts.collect::<Vec<_>>(), ["pem"], "{name}");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("-----BEGIN PRIVATE KEY-----"), "{name}");
            assert!(!outcome.stdout.contains("PRIVATE KEY") && !outcome.stderr.contains("PRIVATE KEY"));
        }
        assert!((0..60).contains(&instants[0].since(now)), "{algorithm}: the first signs at once");
        assert!((86_400..86_460).contains(&instants[1].since(now)), "{algorithm}: the second signs a day later");
    }
    assert_eq!(mode_of(&keys), 0o700);
    assert_eq!(files_in(&keys).len(), 8, "nothing unfinished is left");
    let set = KeySet::load(&keys).unwrap();
    let published = set.jwks(now, 600);
    for key in published["keys"].as_array().unwrap() {
        assert_eq!(key["kid"], thumbprint(key), "{key}");
    }
    // Without a word it is RS256.
    assert!(done(run(folder.path(), &["key", "new", "--keys", "others"])).stdout.contains("rs256."));
}

#[test]
fn key_new_keeps_to_the_instant_it_is_told_and_overwrites_nothing() {
    let folder = folder();
    let new = ["key", "new", "--alg", "eddsa", "--signs-from", "2031-12-01T00:00:00Z"];
    assert_eq!(done(run(folder.path(), &new)).stdout, "keys/eddsa.2031-12-01T000000Z.pem\n");
    let file = folder.path().join("keys/eddsa.2031-12-01T000000Z.pem");
    let before = fs::read(&file).unwrap();
    refused(&run(folder.path(), &new), &["eddsa.2031-12-01T000000Z.pem"]);
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(files_in(&folder.path().join("keys")).len(), 1);
}

/// The settings that `client new` prints for the service, by their names.
fn printed(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")).map(str::to_owned))
}

#[tokio::test]
async fn client_new_writes_a_file_that_migrate_turns_into_a_client_whose_secret_was_printed_once() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let uri = "https://reports.example.com/signin-oidc";
    let name = "Ann's \"reports\"";
    let new = ["client", "new", "re.ports", "--name", name, "--redirect-uri", uri];
    let outcome = done(provider.command(&new, ""));
    let discovery = printed(&outcome.stdout, "OIDC_DISCOVERY_URL").unwrap();
    assert_eq!(discovery, provider.url("/.well-known/openid-configuration"));
    assert_eq!(printed(&outcome.stdout, "OIDC_CLIENT_ID").unwrap(), "re.ports");
    let secret = printed(&outcome.stdout, "OIDC_CLIENT_SECRET").unwrap();
    assert!(secret.starts_with("hp_cs_") && secret.len() >= 6 + 43, "{secret}");
    assert_eq!((outcome.stdout.matches(&secret).count(), outcome.stderr.matches(&secret).count()), (1, 0));

    let migrations = provider.folder.path().join("migrations");
    let files = files_in(&migrations);
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let (number, words) = file.split_once('_').unwrap();
    assert!(number.len() == 14 && number.bytes().all(|b| b.is_ascii_digit()), "{file}");
    assert_eq!(words, "add_client_re_ports.sql");
    assert!(outcome.stderr.contains(file), "{outcome:?}");
    let sql = fs::read_to_string(migrations.join(file)).unwrap();
    assert!(!sql.contains(&secret) && sql.contains("'$argon2id$v=19$"), "{sql}");
    for part in ["INSERT INTO clients (", "'Ann''s \"reports\"'", uri, "pkce", "consent"] {
        assert!(sql.contains(part), "{part}: {sql}");
    }

    done(provider.command(&["migrate"], ""));
    let client = TestClient { client_id: "re.ports".into(), secret: Some(secret), redirect_uri: uri.into() };
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert!(page.text().contains(name), "the name as it was typed, on the consent page: {page}");
    let tokens = provider.tokens(&browser, &client).await;
    let _ = provider.userinfo(&tokens.text("access_token")).await.ok();
}

#[tokio::test]
async fn client_new_can_register_a_client_without_a_secret() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let uri = "http://127.0.0.1/callback";
    let new = ["client", "new", "app", "--public", "--application-type", "native", "--redirect-uri", uri];
    let outcome = done(provider.command(&new, ""));
    assert_eq!(printed(&outcome.stdout, "OIDC_CLIENT_SECRET"), None);
    done(provider.command(&["migrate"], ""));
    let client =
        TestClient { client_id: "app".into(), secret: None, redirect_uri: "http://127.0.0.1:49152/callback".into() };
    let _ = provider.tokens(&UserAgent::new(), &client).await;
    // RFC 9700 section 2.1.1.
    let without =
        ["client", "new", "app2", "--public", "--pkce", "optional", "--redirect-uri", "https://app.example/cb"];
    refused(&provider.command(&without, ""), &["PKCE"]);
}

#[tokio::test]
async fn client_new_takes_a_secret_that_is_there_already_and_prints_it_nowhere() {
    let provider = TestProvider::start().await;
    let hash = hash_of(CLIENT_SECRET);
    let uri = "https://a.example/callback";
    let by_hash = ["client", "new", "a", "--redirect-uri", uri, "--secret-hash", &hash];
    let outcome = done(provider.command(&by_hash, ""));
    assert_eq!(printed(&outcome.stdout, "OIDC_CLIENT_SECRET"), None);
    let secret = "a secret of 32 characters, or 33.";
    let by_input = ["client", "new", "b", "--redirect-uri", uri, "--secret-stdin"];
    let outcome = done(provider.command(&by_input, &format!("{secret}\n")));
    assert!(!outcome.stdout.contains(secret) && !outcome.stderr.contains(secret), "{outcome:?}");
    let migrations = provider.folder.path().join("migrations");
    let files = files_in(&migrations);
    assert_eq!(files.len(), 2, "two made within one second have different numbers");
    assert_ne!(files[0][..14], files[1][..14]);
    assert!(files.iter().all(|file| !fs::read_to_string(migrations.join(file)).unwrap().contains(secret)));
    done(provider.command(&["migrate"], ""));
    for (id, secret) in [("a", CLIENT_SECRET), ("b", secret)] {
        let client = TestClient { client_id: id.into(), secret: Some(secret.into()), redirect_uri: uri.into() };
        assert_eq!(provider.redeem(&client, "hp_ac_x").await.text("error"), "invalid_grant", "{id}");
    }

    let costly = "$argon2id$v=19$m=1048576,t=16,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g";
    for bad in ["secret", "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2id$v=19", costly]
    {
        let arguments = ["client", "new", "c", "--redirect-uri", uri, "--secret-hash", bad];
        refused(&provider.command(&arguments, ""), &["--secret-hash", "Fix: "]);
    }
    let short = ["client", "new", "c", "--redirect-uri", uri, "--secret-stdin"];
    refused(&provider.command(&short, "too short\n"), &["32 characters"]);
    assert_eq!(files_in(&migrations).len(), 2);
}

#[test]
fn client_new_refuses_an_address_that_could_not_work_or_would_not_be_safe_and_says_why() {
    let folder = folder();
    for (uri, why) in [
        ("http://a.example/cb", "https"),
        ("https://a.example/cb#part", "fragment"),
        ("https://*.a.example/cb", "wildcard"),
        ("/cb", "absolute"),
        ("javascript:alert(1)", "scheme"),
        ("data:text/html,x", "scheme"),
        ("https://user:word@a.example/", "password"),
        ("com.example.app:/cb", "native"),
        ("https://a.example/c b", "space"),
        ("https://ä.example/", "ASCII"),
    ] {
        for flag in ["--redirect-uri", "--post-logout-redirect-uri"] {
            let good = "https://good.example/";
            let arguments = ["client", "new", "a", "--redirect-uri", good, flag, uri];
            refused(&run(folder.path(), &arguments), &[flag, uri, why]);
        }
    }
    for id in ["", "a b", "a/b", "ä", "a'b", &"x".repeat(256)] {
        refused(&run(folder.path(), &["client", "new", id, "--redirect-uri", "https://a.example/"]), &["client_id"]);
    }
    assert!(files_in(folder.path()).is_empty(), "what is refused leaves nothing behind");
}

#[tokio::test]
async fn client_new_writes_to_standard_output_what_can_be_piped_into_the_database() {
    let provider = TestProvider::start().await;
    let evil = "x\n'); DELETE FROM users; --\r\nGRANT";
    let uri = "https://a.example/o'neil?a=1&b=2";
    let arguments = ["client", "new", "piped", "--name", evil, "--redirect-uri", uri, "--output", "-"];
    provider.alice().await;
    let outcome = done(provider.command(&arguments, ""));
    let secret = printed(&outcome.stderr, "OIDC_CLIENT_SECRET").unwrap();
    assert!(!outcome.stdout.contains(&secret), "{outcome:?}");
    assert!(files_in(&provider.folder.path().join("migrations")).is_empty());
    run_sql(&provider.database_url, &outcome.stdout).await.unwrap();

    let client = TestClient { client_id: "piped".into(), secret: Some(secret), redirect_uri: uri.into() };
    let found = provider.provider.directory.client("piped", provider.provider.now()).await.unwrap().unwrap();
    assert_eq!(found.redirect_uris, [uri]);
    assert!(found.client_name.starts_with("x '); DELETE FROM users; --"), "{}", found.client_name);
    assert_eq!(provider.redeem(&client, "hp_ac_x").await.text("error"), "invalid_grant");
    let _ = provider.sign_in(&UserAgent::new(), &client).await;
}

#[test]
fn client_new_overwrites_no_file() {
    let folder = folder();
    let file = folder.path().join("mine.sql");
    fs::write(&file, "-- mine").unwrap();
    let arguments = ["client", "new", "a", "--redirect-uri", "https://a.example/", "--output", "mine.sql"];
    let outcome = run(folder.path(), &arguments);
    refused(&outcome, &["mine.sql"]);
    assert!(!outcome.stderr.contains("hp_cs_"), "a secret that belongs to no file is of no use: {outcome:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "-- mine");
}

/// The log records, which are one JSON object a line.
fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

async fn get(url: &str) -> Api {
    send(http().get(url)).await
}

async fn ready(serve: &Serve) -> (u16, Value) {
    let answer = get(&format!("http://{}/health/ready", serve.management)).await;
    (answer.status.as_u16(), answer.json())
}

#[tokio::test]
async fn serve_without_configuration_makes_its_database_and_keys_and_says_what_it_runs_on() {
    let folder = folder();
    let (port, management) = (free_port().to_string(), free_port().to_string());
    let (listen, management) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{management}"));
    let issuer = format!("http://localhost:{port}");
    let mut running = Running::start(
        folder.path(),
        &["serve", "--listen", &listen, "--management-listen", &management, "--issuer", &issuer],
        &[],
    );
    running.wait_for("not for production");
    let jwks = get(&format!("{issuer}/jwks")).await.ok().json();
    let mut algorithms: Vec<&str> =
        jwks["keys"].as_array().unwrap().iter().filter_map(|key| key["alg"].as_str()).collect();
    algorithms.sort_unstable();
    assert_eq!(algorithms, ["ES256", "RS256"]);

    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().contains("hallpass.db") {
            assert_eq!(mode_of(&path), 0o600, "{}", path.display());
        }
    }
    assert!(folder.path().join("hallpass.db").is_file());
    let keys = folder.path().join("keys");
    assert_eq!(mode_of(&keys), 0o700);
    let names = files_in(&keys);
    let beginnings = ["es256.", "factors.", "rs256."];
    assert!(
        names.len() == 3 && names.iter().zip(beginnings).all(|(name, begins)| name.starts_with(begins)),
        "{names:?}"
    );
    assert!(names.iter().all(|name| mode_of(&keys.join(name)) == 0o600));

    running.signal("TERM");
    assert_eq!(running.wait(), 0);
    let (stdout, stderr) = running.output();
    assert_eq!(stdout, "", "data goes to standard output, and this is none");
    let records = records(&stderr);
    let serving = records.iter().find(|record| record["message"] == "serving").unwrap();
    assert_eq!(serving["issuer"], issuer);
    assert_eq!(serving["discovery"], format!("{issuer}/.well-known/openid-configuration"));
    assert_eq!((&serving["listen"], &serving["management"]), (&json!(listen), &json!(management)));
    assert!(serving["database"].as_str().unwrap().contains("SQLite"), "{serving}");
    assert!(serving["sign_ins"].as_str().unwrap().contains("process"), "{serving}");
    assert_eq!(serving["algorithms"], "RS256 ES256");
    let warnings: Vec<&Value> = records.iter().filter(|record| record["message"] == "not for production").collect();
    for setting in ["HALLPASS_ISSUER", "HALLPASS_REDIS_URL", "HALLPASS_DATABASE_URL"] {
        let is_fix = |warning: &&Value| warning["fix"].as_str().is_some_and(|fix| fix.contains(setting));
        assert!(warnings.iter().any(is_fix), "{setting}: {warnings:?}");
    }
}

#[tokio::test]
async fn serve_on_servers_says_where_they_are_without_their_passwords() {
    let folder = folder();
    copy_keys(&folder.path().join("keys"));
    let database = postgres::server().create_database().replace("postgres@", "postgres:a-marked-password@");
    let own = redis::Server::start();
    own.ask("CONFIG SET requirepass another-marked-password");
    let redis_url = own.url().replace("redis://", "redis://:another-marked-password@");
    let serve = Serve::start(folder.path(), &database, &redis_url);
    let (stdout, stderr) = serve.running.output();
    let serving = records(&stderr).into_iter().find(|record| record["message"] == "serving").unwrap();
    let place = database.rsplit('@').next().unwrap();
    assert_eq!(serving["database"], format!("PostgreSQL at {place}"));
    assert_eq!(serving["sign_ins"], format!("Redis at {}/0", own.address()));
    assert!(!stdout.contains("marked-password") && !stderr.contains("marked-password"), "{stderr}");
    assert!(!stderr.contains("HALLPASS_REDIS_URL"), "it is there, so nothing is to be said about it: {stderr}");
}

/// An https issuer means a proxy, and a proxy that is not named shares one limit among all users.
#[tokio::test]
async fn serve_behind_a_proxy_that_is_not_named_says_so() {
    for (proxies, is_said) in [("", true), ("10.0.0.0/8", false)] {
        let folder = folder();
        copy_keys(&folder.path().join("keys"));
        let addresses = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let variables = [
            ("HALLPASS_ISSUER", "https://id.example.com"),
            ("HALLPASS_LISTEN", &addresses[0]),
            ("HALLPASS_MANAGEMENT_LISTEN", &addresses[1]),
            ("HALLPASS_TRUSTED_PROXIES", proxies),
        ];
        let running = Running::start(folder.path(), &["serve"], &variables);
        // The last of the warnings on embedded stores.
        running.wait_for("one SQLite file serves one node");
        assert_eq!(running.output().1.contains("HALLPASS_TRUSTED_PROXIES"), is_said, "{proxies}");
    }
}

/// Runs `serve`, which must refuse to start, on these settings in a folder with good keys.
fn refused_start(prepare: impl FnOnce(&Path), variables: &[(&str, &str)]) -> Outcome {
    let folder = folder();
    copy_keys(&folder.path().join("keys"));
    prepare(folder.path());
    let (listen, management) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let mut all = vec![("HALLPASS_LISTEN", listen.as_str()), ("HALLPASS_MANAGEMENT_LISTEN", management.as_str())];
    all.extend(variables);
    let mut running = Running::start(folder.path(), &["serve"], &all);
    let status = running.wait();
    let (stdout, stderr) = running.output();
    Outcome { status, stdout, stderr }
}

/// Several nodes that each made keys of their own would refuse one another's tokens.
#[test]
fn serve_with_a_server_and_no_keys_refuses_to_start_and_says_how_to_make_one() {
    let (database, redis_url) = (postgres::server().create_database(), redis::server().url());
    for variables in [
        &[("HALLPASS_DATABASE_URL", database.as_str()), ("HALLPASS_REDIS_URL", redis_url.as_str())][..],
        &[("HALLPASS_DATABASE_URL", database.as_str())],
        &[("HALLPASS_REDIS_URL", redis_url.as_str())],
    ] {
        let without_keys = |folder: &Path| fs::remove_dir_all(folder.join("keys")).unwrap();
        let outcome = refused_start(without_keys, variables);
        refused(&outcome, &["keys", "Fix: hallpass key new --alg RS256"]);
    }
}

#[test]
fn serve_names_the_port_that_is_taken_and_the_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for setting in ["HALLPASS_LISTEN", "HALLPASS_MANAGEMENT_LISTEN"] {
        let outcome = refused_start(|_| {}, &[(setting, &address)]);
        refused(&outcome, &[&address, setting, "Fix: "]);
    }
}

#[test]
fn a_second_serve_on_one_sqlite_file_is_refused() {
    let folder = folder();
    copy_keys(&folder.path().join("keys"));
    let database_url = format!("sqlite:{}", folder.path().join("hallpass.db").display());
    let mut first = Serve::start(folder.path(), &database_url, "");
    let outcome = refused_start(|_| {}, &[("HALLPASS_DATABASE_URL", &database_url)]);
    refused(&outcome, &["another `hallpass serve`", "hallpass.db", "Fix: "]);
    assert!(first.running.is_running());
    // The lock ends with the process that holds it, however that ended.
    first.running.signal("KILL");
    first.running.wait();
    drop(Serve::start(folder.path(), &database_url, ""));
}

#[test]
fn serve_names_an_unknown_or_bad_setting_and_gives_an_example() {
    let nothing = |_: &Path| {};
    refused(&refused_start(nothing, &[("HALLPASS_ISUER", "x")]), &["HALLPASS_ISUER", "HALLPASS_ISSUER", "Example: "]);
    refused(&refused_start(nothing, &[("HALLPASS_COLOR", "red")]), &["HALLPASS_COLOR", "Example: "]);
    for (setting, value) in [
        ("HALLPASS_ISSUER", "http://id.example.com"),
        ("HALLPASS_LISTEN", "everywhere"),
        ("HALLPASS_DATABASE_URL", "mysql://u:a-marked-password@h/d"),
        ("HALLPASS_REDIS_URL", "localhost:6379"),
        ("HALLPASS_CODE_LIFETIME", "3600"),
        ("HALLPASS_MIGRATIONS", "no-such-folder"),
    ] {
        let outcome = refused_start(nothing, &[(setting, value)]);
        refused(&outcome, &[setting, "Example: "]);
        assert!(!outcome.stderr.contains("a-marked-password"), "{outcome:?}");
    }
    let with_file = |text: &'static str| move |folder: &Path| fs::write(folder.join("hallpass.toml"), text).unwrap();
    refused(&refused_start(with_file("isuer = 'x'"), &[]), &["isuer", "hallpass.toml", "HALLPASS_ISSUER", "Example: "]);
    refused(&refused_start(with_file("issuer = "), &[]), &["hallpass.toml", "TOML", "Example: "]);
    refused(&refused_start(with_file("code_lifetime = 0"), &[]), &["HALLPASS_CODE_LIFETIME", "hallpass.toml"]);
    let folder = folder();
    refused(&run(folder.path(), &["serve", "--config", "no-such.toml"]), &["no-such.toml"]);
    refused(&run(folder.path(), &["serve", "--listen", "x"]), &["--listen", "Example: "]);
}

#[test]
fn serve_names_a_key_file_that_is_not_good_enough_with_its_fix() {
    let weak = Rsa::generate(1024).unwrap().private_key_to_pem().unwrap();
    let name = "rs256.2026-01-01T000000Z.pem";
    let write = |content: Vec<u8>, mode: u32| {
        move |folder: &Path| {
            let path = folder.join("keys").join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    refused(&refused_start(write(b"not a key".to_vec(), 0o600), &[]), &[name, "Fix: "]);
    refused(&refused_start(write(weak, 0o600), &[]), &[name, "1024", "2048", "Fix: "]);
    let readable = |folder: &Path| {
        let keys = folder.join("keys");
        fs::set_permissions(keys.join(&files_in(&keys)[0]), fs::Permissions::from_mode(0o644)).unwrap();
    };
    refused(&refused_start(readable, &[]), &["keys/eddsa.", "Fix: chmod 600"]);
}

#[tokio::test]
async fn a_new_key_is_published_by_a_running_serve() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let serve = Serve::start(folder.path(), &database_url, &redis_url);
    let count = async || get(&format!("{}/jwks", serve.issuer)).await.ok().json()["keys"].as_array().unwrap().len();
    let before = count().await;
    done(run_with(folder.path(), &["key", "new", "--alg", "ES256"], &serve.variables(), ""));
    until("the new key is published", async || count().await == before + 1).await;
}

/// A connection on which `POST /token` waits for the second half of its body.
fn half_a_request(address: &str) -> (TcpStream, &'static str) {
    let body = "grant_type=authorization_code&code=hp_ac_x";
    let (first, second) = body.split_at(20);
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        connection,
        "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    )
    .unwrap();
    // The server answers this when it begins to read the body, and so the request is in flight for certain.
    let mut interim = [0; 25];
    connection.read_exact(&mut interim).unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 Continue"), "{:?}", String::from_utf8_lossy(&interim));
    connection.write_all(first.as_bytes()).unwrap();
    (connection, second)
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_a_signal_ends_serve_with_status_0() {
    for signal in ["TERM", "INT"] {
        let folder = folder();
        let (database_url, redis_url) = fresh_stores(folder.path());
        copy_keys(&folder.path().join("keys"));
        let mut serve = Serve::start(folder.path(), &database_url, &redis_url);
        let _ = get(&format!("{}/jwks", serve.issuer)).await.ok();
        let address = serve.issuer.replace("http://localhost", "127.0.0.1");
        let (mut connection, rest) = half_a_request(&address);

        serve.running.signal(signal);
        until("new connections are refused", async || TcpStream::connect(&address).is_err()).await;
        assert!(serve.running.is_running(), "{signal}: it has not waited for the request");
        connection.write_all(rest.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{signal}: {answer}");
        assert!(answer.contains("\"error\":\"invalid_client\""), "{signal}: {answer}");
        let ended = Instant::now();
        assert_eq!(serve.running.wait(), 0, "{signal}");
        // The management connection and idle ones do not hold it up.
        assert!(ended.elapsed() < Duration::from_secs(5), "{signal}: {:?}", ended.elapsed());
    }
}

#[tokio::test]
async fn connections_on_which_nothing_happens_do_not_hold_up_the_end() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let mut serve = Serve::start(folder.path(), &database_url, &redis_url);
    let address = serve.issuer.replace("http://localhost", "127.0.0.1");
    // Browsers open a connection or two ahead of time; and this one has had its answer and is kept.
    let ahead = TcpStream::connect(&address).unwrap();
    let mut kept = TcpStream::connect(&address).unwrap();
    kept.write_all(b"GET /jwks HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 12];
    kept.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    serve.running.signal("TERM");
    let signaled = Instant::now();
    assert_eq!(serve.running.wait(), 0);
    assert!(signaled.elapsed() < Duration::from_secs(5), "{:?}", signaled.elapsed());
    drop((ahead, kept));
}

/// What ends a session of a terminal, and what some supervisors send to have settings read again, ends no provider.
#[tokio::test]
async fn a_hangup_changes_nothing() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let mut serve = Serve::start(folder.path(), &database_url, &redis_url);
    for _ in 0..3 {
        serve.running.signal("HUP");
    }
    serve.running.wait_for("SIGHUP changes nothing");
    let _ = get(&format!("{}/jwks", serve.issuer)).await.ok();
    assert!(serve.running.is_running());
    serve.running.signal("TERM");
    assert_eq!(serve.running.wait(), 0);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let mut serve = Serve::start(folder.path(), &database_url, &redis_url);
    let (sql, client) = NewClient::new("reports").with("consent", "skip").sql();
    run_sql(&database_url, &(sql + &NewUser::alice().sql())).await.unwrap();
    let provider = Remote::new(&serve.issuer);
    let browser = UserAgent::new();
    let answer = provider.sign_in(&browser, &client, "alice", PASSWORD).await;
    let tokens = provider.redeem(&client, answer.code()).await.ok();

    serve.running.signal("TERM");
    assert_eq!(serve.running.wait(), 0);
    let serve = Serve::again(folder.path(), serve.variables.clone());
    // While this waits, the browser notices that its old connection has ended.
    let _ = get(&format!("{}/jwks", serve.issuer)).await.ok();
    let page = provider.open(&Authorization::of(&client), &browser).await;
    if redis_url.is_empty() {
        // Sign-ins end with the process, as the start said; clients and people do not.
        assert!(page.url.path().ends_with("/login") && page.location().is_none(), "{page}");
        let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
        assert!(page.query_parameter("code").is_some(), "{page}");
    } else {
        assert!(page.query_parameter("code").is_some(), "the sign-in is still valid: {page}");
        let _ = provider.userinfo(&tokens.text("access_token")).await.ok();
    }
    drop(serve);
}

#[tokio::test]
async fn serve_waits_for_a_database_and_a_redis_that_are_not_there_yet() {
    let folder = folder();
    copy_keys(&folder.path().join("keys"));
    let (database, own_redis) = (postgres::Server::start(), redis::Server::start());
    let (database_url, redis_url) = (database.create_database(), own_redis.url());
    database.stop();
    own_redis.stop();
    let (port, management) = (free_port(), free_port());
    let variables = [
        ("HALLPASS_ISSUER", format!("http://localhost:{port}")),
        ("HALLPASS_LISTEN", format!("127.0.0.1:{port}")),
        ("HALLPASS_MANAGEMENT_LISTEN", format!("127.0.0.1:{management}")),
        ("HALLPASS_DATABASE_URL", database_url),
        ("HALLPASS_REDIS_URL", redis_url),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut running = Running::start(folder.path(), &["serve"], &variables);
    running.wait_for("the database (HALLPASS_DATABASE_URL) does not answer; waiting for it");
    database.start_again();
    running.wait_for("Redis (HALLPASS_REDIS_URL) does not answer; waiting for it");
    own_redis.start_again();
    running.wait_for("\"serving\"");
    assert!(running.is_running());
    let answer = get(&format!("http://127.0.0.1:{management}/health/ready")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn serve_that_waits_for_its_database_ends_by_a_signal_as_well() {
    let folder = folder();
    copy_keys(&folder.path().join("keys"));
    let nowhere = format!("postgres://postgres@127.0.0.1:{}/nothing", free_port());
    let (listen, management) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let variables = [
        ("HALLPASS_LISTEN", listen.as_str()),
        ("HALLPASS_MANAGEMENT_LISTEN", &management),
        ("HALLPASS_DATABASE_URL", &nowhere),
    ];
    let mut running = Running::start(folder.path(), &["serve"], &variables);
    running.wait_for("waiting for it");
    running.signal("TERM");
    assert_eq!(running.wait(), 0, "{:?}", running.output());
}

#[tokio::test]
async fn readiness_names_the_dependency_that_is_missing_until_it_is_back() {
    let folder = folder();
    copy_keys(&folder.path().join("keys"));
    let (database, own_redis) = (postgres::Server::start(), redis::Server::start());
    let serve = Serve::start(folder.path(), &database.create_database(), &own_redis.url());
    let is_ready = (200, json!({"status": "ready"}));
    // What is missing, and for what a sentence says more.
    let found = async || {
        let (status, body) = ready(&serve).await;
        let degraded = body["degraded"].as_object().map(|told| told.keys().cloned().collect()).unwrap_or_default();
        (status, body["status"].clone(), body["missing"].clone(), degraded)
    };
    let is = |status: u16, word: &str, missing: Value, degraded: &[&str]| {
        let degraded: Vec<String> = degraded.iter().map(|&name| name.to_owned()).collect();
        (status, json!(word), missing, degraded)
    };
    assert_eq!(ready(&serve).await, is_ready);

    own_redis.stop();
    let without_redis = is(503, "unavailable", json!(["redis"]), &["short_lived_store"]);
    until("Redis is missed", async || found().await == without_redis).await;
    database.stop();
    let without_both = is(503, "unavailable", json!(["redis"]), &["database", "short_lived_store"]);
    until("both are told of", async || found().await == without_both).await;
    // To restart the process would not help, so it says that it lives.
    let live = get(&format!("http://{}/health/live", serve.management)).await.ok();
    assert_eq!(live.json(), json!({"status": "live"}));
    own_redis.start_again();
    // Tokens can still be had: no balancer takes the node out.
    let without_database = is(200, "ready", Value::Null, &["database"]);
    until("only the database is told of", async || found().await == without_database).await;
    database.start_again();
    until("all is well", async || ready(&serve).await == is_ready).await;
}

#[tokio::test]
async fn health_is_on_the_management_listener_only_and_nothing_else_is() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let serve = Serve::start(folder.path(), &database_url, &redis_url);
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(get(&format!("{}{path}", serve.issuer)).await.status, 404, "{path}");
    }
    for path in ["/health/live", "/health/ready"] {
        let _ = get(&format!("http://{}{path}", serve.management)).await.ok();
    }
    for path in ["/authorize", "/token", "/jwks", "/.well-known/openid-configuration", "/login"] {
        assert_eq!(get(&format!("http://{}{path}", serve.management)).await.status, 404, "{path}");
    }
}

/// An operator who starts with the defaults and a user: three commands, one sign-in.
#[tokio::test]
async fn a_person_and_a_client_added_beside_a_running_serve_can_sign_in() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let serve = Serve::start(folder.path(), &database_url, &redis_url);
    let beside = |arguments: &[&str], input: &str| done(run_with(folder.path(), arguments, &serve.variables(), input));
    beside(&["user", "add", "carol", "--email", "carol@example.com", "--password-stdin"], "a good password\n");
    let uri = "https://reports.example/callback";
    let new = beside(&["client", "new", "reports", "--redirect-uri", uri, "--consent", "skip"], "");
    beside(&["migrate"], "");
    let client = TestClient {
        client_id: "reports".into(),
        secret: printed(&new.stdout, "OIDC_CLIENT_SECRET"),
        redirect_uri: uri.into(),
    };
    let provider = Remote::new(&serve.issuer);
    let answer = provider.sign_in(&UserAgent::new(), &client, "carol", "a good password").await;
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    let claims = provider.userinfo(&tokens.text("access_token")).await.ok();
    assert_eq!(claims.text("email"), "carol@example.com");
    assert_eq!(claims_of(&tokens.text("id_token"))["iss"], serve.issuer);
    assert!(NumericDate(claims_of(&tokens.text("id_token"))["exp"].as_i64().unwrap()) > Clock::System.now());
}
