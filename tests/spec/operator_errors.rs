//! What an operator is told where a setting, a file or a server is wrong: which one, with its line where there is one, the cause in
//! plain words, and what to do. A driver's own words are never the message.

use crate::support::dotnet;
use crate::support::folder;
use crate::support::postgres::{self, free_port};
use crate::support::program::{Outcome, Running, run_with};
use crate::support::provider::copy_keys;
use crate::support::redis;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// What drivers, the system and OpenSSL say, each in words of its own.
const WORDS_OF_DRIVERS: &[&str] = &[
    "os error",
    "error returned from",
    "error communicating",
    "pool timed out",
    "error:0",
    "SSL routines",
    "statem",
    "at line ",
    "(code: ",
    "InvalidClientConfig",
    "AuthenticationFailed",
    "ResponseError",
    "Parse error",
    "stream did not contain",
    "while executing migration",
];

/// Runs a command that ends within a few seconds, with free ports to listen on.
fn run(folder: &Path, command: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let (listen, management) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let mut all = vec![("HALLPASS_LISTEN", listen.as_str()), ("HALLPASS_MANAGEMENT_LISTEN", management.as_str())];
    all.extend(variables);
    let started = Instant::now();
    let outcome = run_with(folder, command, &all, "");
    assert!(started.elapsed() < Duration::from_secs(12), "{command:?} took {:?}: {outcome:?}", started.elapsed());
    outcome
}

/// It is refused with all of these words, and with a fix, and with none of a driver's.
#[track_caller]
fn is_told(name: &str, outcome: &Outcome, words: &[&str]) {
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(outcome.status, 1, "{name}: {outcome:?}");
    for word in words {
        assert!(text.contains(word), "{name}: {word:?} is not in\n{text}");
    }
    assert!(text.contains("Fix: ") || text.contains("Example: "), "{name}: no fix in\n{text}");
    for word in WORDS_OF_DRIVERS {
        assert!(!text.contains(word), "{name}: {word:?} is in\n{text}");
    }
    assert!(!text.contains("a-marked-password"), "{name}: {text}");
}

/// A certificate for `localhost` that no authority has signed, and its key, in a folder and for its owner alone.
fn certificate_in(folder: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = dotnet::certificate(folder);
    let owner = fs::metadata(folder).unwrap();
    for path in [&certificate, &key] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    (certificate, key)
}

async fn sql(url: &str, statements: &[&'static str]) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    for statement in statements {
        connection.execute(*statement).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// A PostgreSQL with TLS, passwords, and users who lack one thing each; its address, and the URL of a database there.
async fn strict_postgres() -> (postgres::Server, String, String) {
    let server = postgres::Server::start();
    let url = server.create_database();
    let data = server.folder().join("data");
    certificate_in(&data);
    let rules = "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all barred 127.0.0.1/32 reject\n\
                 hostssl all encrypted 127.0.0.1/32 trust\nhostnossl all encrypted 127.0.0.1/32 reject\n\
                 host all all 127.0.0.1/32 scram-sha-256\n";
    fs::write(data.join("pg_hba.conf"), rules).unwrap();
    sql(
        &url,
        &[
            "ALTER SYSTEM SET ssl = on",
            "ALTER SYSTEM SET ssl_cert_file = 'localhost.pem'",
            "ALTER SYSTEM SET ssl_key_file = 'localhost.key'",
            "CREATE ROLE proper LOGIN PASSWORD 'right'",
            "CREATE ROLE encrypted LOGIN",
            "CREATE ROLE dormant NOLOGIN PASSWORD 'right'",
            "SELECT pg_reload_conf()",
        ],
    )
    .await;
    // It reads them again in a moment.
    for _ in 0..100 {
        if AnyConnection::connect(&format!("{url}?sslmode=require")).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let address = url.rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned();
    (server, address, url)
}

/// Ends at once: the port of a server that is not there.
fn closed_port() -> u16 {
    free_port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_cannot_be_used_is_told_by_setting_cause_and_fix() {
    const SETTING: &str = "HALLPASS_DATABASE_URL";
    let (server, strict, url) = strict_postgres().await;
    let plain = postgres::server().create_database();
    let database = url.rsplit_once('/').unwrap().1;
    let certificate = server.folder().join("data/localhost.pem");
    let folder = folder();
    fs::write(folder.path().join("no.pem"), "no certificate").unwrap();
    let port = strict.rsplit_once(':').unwrap().1;
    let closed = format!("127.0.0.1:{}", closed_port());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let cases: Vec<(&str, String, Vec<String>)> = vec![
        (
            "nothing listens",
            format!("postgres://u:a-marked-password@{closed}/d"),
            vec![format!("connection refused at {closed}"), "start PostgreSQL".into()],
        ),
        (
            "no such host",
            "postgres://u:a-marked-password@nowhere.invalid/d".into(),
            vec!["no address is known for the host of nowhere.invalid:5432".into(), "DNS".into()],
        ),
        (
            "it never answers",
            format!("postgres://u@{silent}/d"),
            vec![format!("{silent} gives no answer within 5 seconds")],
        ),
        (
            "it is a Redis",
            format!("postgres://u@{}/d?sslmode=disable", redis::server().address()),
            vec![redis::server().address(), "whether it is PostgreSQL that listens there".into()],
        ),
        (
            "wrong password",
            format!("postgres://proper:a-marked-password@{strict}/{database}"),
            vec![strict.clone(), "the password for the user \"proper\"".into(), "percent-encoded".into()],
        ),
        (
            "may not log in",
            format!("postgres://dormant:right@{strict}/{database}"),
            vec!["the user \"dormant\"".into(), "may not log in".into(), "ALTER ROLE \"dormant\" LOGIN".into()],
        ),
        (
            "not let in",
            format!("postgres://barred@{strict}/{database}"),
            vec!["\"barred\"".into(), "pg_hba.conf".into()],
        ),
        (
            "not without TLS",
            format!("postgres://encrypted@{strict}/{database}?sslmode=disable"),
            vec!["\"encrypted\"".into(), "without TLS".into(), "sslmode=verify-full".into()],
        ),
        (
            "no such database",
            format!("postgres://postgres@{strict}/missing"),
            vec!["has no database \"missing\"".into(), "CREATE DATABASE \"missing\"".into()],
        ),
        ("TLS is not offered", format!("{plain}?sslmode=require"), vec!["offers no TLS".into(), "ssl = on".into()]),
        (
            "its certificate is not trusted",
            format!("postgres://postgres@localhost:{port}/{database}?sslmode=verify-full"),
            vec!["is not accepted: self-signed certificate".into(), "sslrootcert=".into()],
        ),
        (
            "its certificate is for another name",
            format!("{url}?sslmode=verify-full&sslrootcert={}", certificate.display()),
            vec!["is not accepted: ip address mismatch".into(), "use the name that the certificate is for".into()],
        ),
        (
            "the authority's file is missing",
            format!("{url}?sslmode=verify-full&sslrootcert=/nowhere/ca.pem"),
            vec!["sslrootcert=/nowhere/ca.pem: there is no such file".into()],
        ),
        (
            "the authority's file holds none",
            format!("{url}?sslmode=verify-full&sslrootcert=no.pem"),
            vec!["sslrootcert=no.pem: it holds no certificate in PEM form".into()],
        ),
        (
            "the socket's folder is another one",
            "postgres://postgres@localhost/d?host=/nowhere".into(),
            vec!["there is no socket in /nowhere".into()],
        ),
        ("a port that is none", "postgres://u@h:99999/d".into(), vec!["a port that is no number".into()]),
        ("a misspelt parameter", format!("{url}?sslmod=verify-full"), vec!["did you mean sslmode?".into()]),
    ];
    for (name, url, words) in &cases {
        let words: Vec<&str> = words.iter().map(String::as_str).chain([SETTING]).collect();
        let variables = [(SETTING, url.as_str())];
        is_told(name, &run(folder.path(), &["migrate"], &variables), &words);
        let doctor = run(folder.path(), &["doctor"], &variables);
        is_told(name, &doctor, &words);
    }
    // What cannot pass by itself ends `serve` at once.
    for (name, url, words) in
        cases.iter().filter(|(name, ..)| name.contains("password") || name.contains("certificate"))
    {
        let words: Vec<&str> = words.iter().map(String::as_str).chain([SETTING]).collect();
        is_told(name, &run(folder.path(), &["serve"], &[(SETTING, url)]), &words);
    }
}

/// A user who may connect and not make tables.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_user_without_rights_is_told_what_to_grant() {
    let (_server, strict, url) = strict_postgres().await;
    let database = url.rsplit_once('/').unwrap().1;
    let folder = folder();
    let url = format!("postgres://proper:right@{strict}/{database}");
    for command in ["migrate", "serve", "doctor"] {
        let outcome = run(folder.path(), &[command], &[("HALLPASS_DATABASE_URL", &url)]);
        is_told(
            command,
            &outcome,
            &["HALLPASS_DATABASE_URL", "may not do that", "permission denied", "owner of the database"],
        );
    }
}

#[test]
fn a_serve_that_waits_for_its_stores_says_at_once_for_what_and_why() {
    let folder = folder();
    let address = format!("127.0.0.1:{}", closed_port());
    for (setting, url) in [
        ("HALLPASS_DATABASE_URL", format!("postgres://u:a-marked-password@{address}/d")),
        ("HALLPASS_REDIS_URL", format!("redis://:a-marked-password@{address}")),
    ] {
        let (listen, management) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let variables =
            [(setting, url.as_str()), ("HALLPASS_LISTEN", &listen), ("HALLPASS_MANAGEMENT_LISTEN", &management)];
        let serve = Running::start(folder.path(), &["serve"], &variables);
        let started = Instant::now();
        serve.wait_for(&format!("{setting}: connection refused at {address}"));
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        let (_, log) = serve.output();
        assert!(log.contains("\"fix\":\"start ") && !log.contains("os error") && !log.contains("a-marked"), "{log}");
    }
}

#[test]
fn a_sqlite_file_that_cannot_be_used_is_told_by_its_name_cause_and_fix() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("folder.db")).unwrap();
    fs::write(path("text.db"), "this is not a database\n".repeat(100)).unwrap();
    for (name, url, words) in [
        ("no folder", "sqlite:nowhere/x.db", &["nowhere/x.db", "there is no such file or folder"][..]),
        ("a folder", "sqlite:folder.db", &["folder.db", "cannot be opened as a file"]),
        ("a text", "sqlite:text.db", &["HALLPASS_DATABASE_URL", "text.db", "no SQLite database"]),
        ("a parameter", "sqlite:x.db?mode=ro", &["HALLPASS_DATABASE_URL", "unknown parameter \"mode\"", "sqlite:x.db"]),
        ("no scheme", "x.db", &["HALLPASS_DATABASE_URL", "must begin with sqlite:"]),
    ] {
        for command in ["migrate", "serve", "doctor"] {
            is_told(name, &run(folder.path(), &[command], &[("HALLPASS_DATABASE_URL", url)]), words);
        }
    }
}

/// The address of a server that answers all that it is sent by HTTP.
fn speaks_http() -> String {
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = http.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut connection in http.incoming().flatten() {
            let _ = connection.read(&mut [0; 1024]);
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    address
}

#[test]
fn a_redis_that_cannot_be_used_is_told_by_setting_cause_and_fix() {
    const SETTING: &str = "HALLPASS_REDIS_URL";
    let folder = folder();
    copy_keys(&folder.path().join("keys"));
    let (certificate, key) = certificate_in(folder.path());
    let tls_port = free_port().to_string();
    let server = redis::Server::persisting(&[
        "--save",
        "",
        "--tls-port",
        &tls_port,
        "--tls-cert-file",
        certificate.to_str().unwrap(),
        "--tls-key-file",
        key.to_str().unwrap(),
        "--tls-ca-cert-file",
        certificate.to_str().unwrap(),
        "--tls-auth-clients",
        "no",
    ]);
    server.ask("ACL SETUSER reader on >right ~hallpass:* +get +info +config +ping");
    server.ask("ACL SETUSER elsewhere on >right ~other:* +@all");
    let locked = redis::Server::start();
    locked.ask("CONFIG SET requirepass right");
    let node =
        redis::cluster().nodes().iter().find(|node| node.ask("GET hallpass:probe").starts_with("-MOVED")).unwrap();
    let of_http = speaks_http();
    let (address, of_locked) = (server.address(), locked.address());
    let closed = format!("127.0.0.1:{}", closed_port());
    let cases: Vec<(&str, String, Vec<String>)> = vec![
        ("no password", format!("redis://{of_locked}"), vec![of_locked.clone(), "demands a password".into()]),
        (
            "wrong password",
            format!("redis://:a-marked-password@{of_locked}"),
            vec![of_locked.clone(), "does not accept the user or the password".into()],
        ),
        (
            "a command is forbidden",
            format!("redis://reader:right@{address}"),
            vec!["may not use SET".into(), "ACL SETUSER".into()],
        ),
        (
            "the keys are forbidden",
            format!("redis://elsewhere:right@{address}"),
            vec!["may not use the keys hallpass:*".into(), "ACL SETUSER".into()],
        ),
        (
            "a node of a cluster",
            format!("redis://{}", node.address()),
            vec!["is a node of a cluster".into(), "separated by commas".into()],
        ),
        (
            "no cluster",
            format!("redis://{address},redis://{address}"),
            vec![format!("{address}, {address}"), "is no cluster".into()],
        ),
        (
            "no Redis",
            format!("redis://{of_http}"),
            vec![of_http.clone(), "does not speak the protocol of Redis".into()],
        ),
        (
            "its certificate is not trusted",
            format!("rediss://localhost:{tls_port}"),
            vec!["is not accepted: self-signed certificate".into(), "SSL_CERT_FILE".into()],
        ),
        ("no such database", format!("redis://{address}/99"), vec!["no database of that number".into()]),
        ("no Sentinel", format!("redis+sentinel://{address}/x"), vec!["is no Sentinel".into()]),
        ("a misspelt parameter", format!("rediss://{address}?insecur=1"), vec!["unknown parameter \"insecur\"".into()]),
        ("a misspelt end", format!("rediss://{address}/#insecur"), vec!["did you mean insecure?".into()]),
        // What may pass by itself, `serve` waits for.
        ("waits: nothing listens", format!("redis://{closed}"), vec![format!("connection refused at {closed}")]),
        (
            "waits: no such host",
            "redis://nowhere.invalid".into(),
            vec!["no address is known for the host of nowhere.invalid:6379".into()],
        ),
        ("waits: no node listens", format!("redis://{closed},redis://{closed}"), vec![closed.clone()]),
        (
            "waits: no TLS there",
            format!("rediss://{address}"),
            vec![address.clone(), "redis:// instead of rediss://".into()],
        ),
        ("waits: TLS there", format!("redis://127.0.0.1:{tls_port}"), vec![tls_port.clone(), "rediss://".into()]),
    ];
    for (name, url, words) in &cases {
        let words: Vec<&str> = words.iter().map(String::as_str).chain([SETTING]).collect();
        let variables = [(SETTING, url.as_str())];
        is_told(name, &run(folder.path(), &["doctor"], &variables), &words);
        if !name.starts_with("waits") {
            is_told(name, &run(folder.path(), &["serve"], &variables), &words);
        }
    }
    // With the authority named as it is told, it is accepted.
    let trusting =
        [(SETTING, format!("rediss://localhost:{tls_port}")), ("SSL_CERT_FILE", certificate.display().to_string())];
    let trusting: Vec<(&str, &str)> = trusting.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let doctor = run(folder.path(), &["doctor"], &trusting);
    assert!(doctor.stdout.contains("records may be written, taken and counted"), "{doctor:?}");
}

#[test]
fn an_address_that_cannot_be_listened_on_is_told_by_setting_cause_and_fix() {
    let folder = folder();
    copy_keys(&folder.path().join("keys"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for setting in ["HALLPASS_LISTEN", "HALLPASS_MANAGEMENT_LISTEN"] {
        for (name, address, words) in [
            ("taken", taken.as_str(), &[taken.as_str(), "another process listens there"][..]),
            ("another machine's", "192.0.2.1:8080", &["192.0.2.1:8080", "no address of this machine", "0.0.0.0:8080"]),
            ("a name", "localhost:8080", &["must be an IP address and a port"]),
        ] {
            let words: Vec<&str> = words.iter().copied().chain([setting]).collect();
            is_told(name, &run(folder.path(), &["serve"], &[(setting, address)]), &words);
        }
    }
}

/// A file that is missing, cannot be read, is a folder, is malformed or is another one than was applied.
#[test]
fn a_file_that_cannot_be_used_is_told_by_its_name_and_line_cause_and_fix() {
    /// Name, what is done to the folder, variables, command, and what is told.
    type Case = (
        &'static str,
        fn(&Path),
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
        &'static [&'static str],
    );
    let cases: &[Case] = &[
        ("settings: missing", |_| {}, &[], &["serve", "--config", "no.toml"], &["no.toml", "there is no such file"]),
        (
            "settings: a folder",
            |folder| fs::create_dir(folder.join("hallpass.toml")).unwrap(),
            &[],
            &["serve"],
            &["hallpass.toml", "it is a folder"],
        ),
        (
            "settings: no TOML",
            |folder| fs::write(folder.join("hallpass.toml"), "keys = \"keys\"\n\nlisten = \n").unwrap(),
            &[],
            &["migrate"],
            &["hallpass.toml, line 3", "not TOML"],
        ),
        (
            "settings: no UTF-8",
            |folder| fs::write(folder.join("hallpass.toml"), b"keys = \"\xff\"").unwrap(),
            &[],
            &["doctor"],
            &["hallpass.toml", "not UTF-8", "save it as UTF-8"],
        ),
        (
            "settings: a value",
            |folder| fs::write(folder.join("hallpass.toml"), "\ncode_lifetime = 9999\n").unwrap(),
            &[],
            &["serve"],
            &["HALLPASS_CODE_LIFETIME", "hallpass.toml, line 2", "from 5 to 600"],
        ),
        (
            "keys: a file",
            |folder| fs::write(folder.join("keys"), "").unwrap(),
            &[],
            &["serve"],
            &["keys", "is a file and not a folder"],
        ),
        (
            "keys: missing",
            |_| {},
            &[("HALLPASS_KEYS", "no/keys")],
            &["doctor"],
            &["no/keys", "there is no such file or folder", "hallpass key new"],
        ),
        (
            "key: a folder",
            |folder| fs::create_dir_all(folder.join("keys/rs256.2026-01-01T000000Z.pem")).unwrap(),
            &[],
            &["serve"],
            &["keys/rs256.2026-01-01T000000Z.pem"],
        ),
        (
            "authorities: missing",
            |_| {},
            &[("HALLPASS_OUTBOUND_CA", "no.pem")],
            &["serve"],
            &["HALLPASS_OUTBOUND_CA: no.pem", "there is no such file"],
        ),
        (
            "authorities: a folder",
            |_| {},
            &[("HALLPASS_OUTBOUND_CA", ".")],
            &["doctor"],
            &["HALLPASS_OUTBOUND_CA: .", "it is a folder"],
        ),
        (
            "authorities: none",
            |folder| fs::write(folder.join("ca.pem"), "no certificate").unwrap(),
            &[("HALLPASS_OUTBOUND_CA", "ca.pem")],
            &["serve"],
            &["HALLPASS_OUTBOUND_CA: ca.pem", "no certificate", "-----BEGIN CERTIFICATE-----"],
        ),
        ("users: missing", |_| {}, &[], &["user", "import", "no.jsonl"], &["no.jsonl", "there is no such file"]),
    ];
    for (name, prepare, variables, command, words) in cases {
        let folder = folder();
        prepare(folder.path());
        is_told(name, &run(folder.path(), command, variables), words);
    }
}

/// Which file, which line of it, why and how it is corrected, on SQLite and on PostgreSQL, tried and applied.
#[test]
fn a_migration_that_fails_is_told_by_its_line_on_both_databases() {
    const FILE: &str = "20261201090000_reports.sql";
    let client = |id: &str| format!("INSERT INTO clients (client_id) VALUES ('{id}');\n");
    let cases: &[(&str, Vec<u8>, usize, &str)] = &[
        (
            "a word",
            format!("-- a\n{}\nINSERT INT clients;\n", client("a")).into(),
            4,
            "no SQL that the database understands",
        ),
        (
            "no semicolon",
            b"INSERT INTO clients (client_id)\nVALUES ('a')\nINSERT INTO clients (client_id) VALUES ('b');".into(),
            3,
            "no SQL",
        ),
        (
            "no table",
            format!("{}\n\nINSERT INTO clientz (client_id) VALUES ('b');", client("a")).into(),
            4,
            "names a table that is not there",
        ),
        (
            "no column",
            format!("{}INSERT INTO clients\n(client_idd) VALUES ('b');", client("a")).into(),
            2,
            "names a column that is not there",
        ),
        ("a row twice", format!("{}-- again\n{}", client("a"), client("a")).into(), 3, "a row that is there already"),
        (
            "no such client",
            b"\n\nINSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('x', 'https://a.example/');"
                .into(),
            3,
            "names a row that is not there",
        ),
        ("no end", format!("{}INSERT INTO clients (client_id) VALUES ('b);\n", client("a")).into(), 2, "no SQL"),
        ("no UTF-8", b"SELECT 1;\n-- \xff\n".into(), 2, "it is not UTF-8"),
        ("NUL", b"SELECT 1;\n\n\0SELECT 2;".into(), 3, "NUL byte"),
    ];
    for postgres in [false, true] {
        for (name, text, line, why) in cases {
            let folder = folder();
            let url = if postgres { postgres::server().create_database() } else { "sqlite:hallpass.db".to_owned() };
            let variables = [("HALLPASS_DATABASE_URL", url.as_str())];
            fs::create_dir(folder.path().join("migrations")).unwrap();
            assert_eq!(run(folder.path(), &["migrate"], &variables).status, 0);
            fs::write(folder.path().join("migrations").join(FILE), text).unwrap();
            // A column may be told on its own line or on that of its statement.
            let lines = if *name == "no column" { vec![*line, line + 1] } else { vec![*line] };
            for command in [&["migrate", "--check"][..], &["migrate"], &["doctor"]] {
                let outcome = run(folder.path(), command, &variables);
                is_told(name, &outcome, &[FILE, why]);
                let text = format!("{}{}", outcome.stdout, outcome.stderr);
                let is_there = lines.iter().any(|line| text.contains(&format!("line {line}")));
                assert!(is_there, "{name} on {url}: no line {line} in\n{text}");
            }
        }
    }
}

/// A file that is never applied is told a name that is, and under that name it is applied.
#[test]
fn a_migration_with_a_wrong_name_is_told_one_that_is_taken() {
    let folder = folder();
    let migrations = folder.path().join("migrations");
    fs::create_dir(&migrations).unwrap();
    let insert = |id: &str| format!("INSERT INTO clients (client_id) VALUES ('{id}');");
    for name in
        ["reports.sql", "2026-12-01 billing.sql", "0042_low.sql", "20261202090000_loud.SQL", "20261203090000.sql"]
    {
        fs::write(migrations.join(name), insert(name.split('.').next().unwrap())).unwrap();
    }
    let outcome = run(folder.path(), &["migrate"], &[]);
    is_told("names", &outcome, &["reports.sql", "so it is never applied"]);
    let mut renamed = 0;
    for pair in outcome.stderr.lines().collect::<Vec<_>>().windows(2) {
        let Some(good) = pair[1].trim().strip_prefix("Fix: name it ") else { continue };
        let old = pair[0].trim_start_matches("hallpass: ").split(": ").next().unwrap();
        fs::rename(migrations.join(old), migrations.join(good.split(',').next().unwrap())).unwrap();
        renamed += 1;
    }
    assert_eq!(renamed, 5, "{outcome:?}");
    let outcome = run(folder.path(), &["migrate"], &[]);
    assert_eq!((outcome.status, outcome.stdout.lines().count()), (0, 5), "{outcome:?}");

    for (name, id) in [("20270101000000_one.sql", "one"), ("20270101000000_two.sql", "two")] {
        fs::write(migrations.join(name), insert(id)).unwrap();
    }
    let outcome = run(folder.path(), &["migrate"], &[]);
    is_told("twice", &outcome, &["20270101000000_one.sql and 20270101000000_two.sql", "20270101000001_two.sql"]);
    fs::rename(migrations.join("20270101000000_two.sql"), migrations.join("20270101000001_two.sql")).unwrap();
    assert_eq!(run(folder.path(), &["migrate"], &[]).status, 0);

    fs::write(migrations.join("20270101000001_two.sql"), insert("three")).unwrap();
    let outcome = run(folder.path(), &["migrate"], &[]);
    is_told("edited", &outcome, &["20270101000001_two.sql", "was edited since", "restore it"]);
}
