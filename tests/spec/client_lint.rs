//! `hallpass client lint` as CI runs it: without a database, a line for each finding, and a status.

use crate::support::folder;
use crate::support::program::{Outcome, run, run_with};
use crate::support::provider::{CLIENT_SECRET, hash_of};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A good hash, so that nothing is found about it.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
const FILE: &str = "20261201090000_add_client_reports.sql";

/// A client about which nothing is found; `extra` columns with their values beside it.
fn client(id: &str, columns: &str, values: &str) -> String {
    format!(
        "INSERT INTO clients (client_id, backchannel_logout_uri{columns}) VALUES ('{id}', 'https://{id}.example/logout'{values});
INSERT INTO client_secrets (client_id, secret_hash) VALUES ('{id}', '{HASH}');
INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('{id}', 'https://{id}.example/cb');
INSERT INTO client_post_logout_redirect_uris VALUES ('{id}', 'https://{id}.example/');
"
    )
}

fn without_lines(sql: &str, word: &str) -> String {
    sql.split_inclusive('\n').filter(|line| !line.contains(word)).collect()
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(folder())
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self::new();
        fs::create_dir(folder.0.path().join("migrations")).unwrap();
        for (name, text) in files {
            fs::write(folder.0.path().join("migrations").join(name), text).unwrap();
        }
        folder
    }

    fn lint(&self, arguments: &[&str]) -> Outcome {
        let arguments: Vec<&str> = ["client", "lint"].iter().chain(arguments).copied().collect();
        run(self.0.path(), &arguments)
    }
}

/// What is found in one file, without the folder's name; and the status.
fn findings_in(sql: &str) -> (i32, String) {
    let outcome = Folder::with(&[(FILE, sql)]).lint(&[]);
    (outcome.status, outcome.stdout.replace(&format!("migrations/{FILE}:"), ""))
}

/// Exactly one error, with its line, code, and parts of what is said.
#[track_caller]
fn error(sql: &str, line: usize, code: &str, parts: &[&str]) {
    let (status, found) = findings_in(sql);
    assert_eq!(status, 1, "{found}");
    assert_eq!(found.lines().count(), 1, "{sql}\n{found}");
    assert!(found.starts_with(&format!("{line}: {code}: ")), "{line}: {code}: is not the beginning of {found}");
    assert!(found.contains("; "), "it says no fix: {found}");
    for part in parts {
        assert!(found.contains(part), "{part} is not in {found}");
    }
}

/// Exactly one warning.
#[track_caller]
fn warning(sql: &str, line: usize, code: &str, parts: &[&str]) {
    let (status, found) = findings_in(sql);
    assert_eq!((status, found.lines().count()), (0, 1), "{sql}\n{found}");
    assert!(
        found.starts_with(&format!("{line}: {code} (warning): ")),
        "{line}: {code} is not the beginning of {found}"
    );
    for part in parts {
        assert!(found.contains(part), "{part} is not in {found}");
    }
}

#[track_caller]
fn clean(sql: &str) {
    let (status, found) = findings_in(sql);
    assert_eq!((status, found.as_str()), (0, ""), "{sql}");
}

#[test]
fn a_folder_without_faults_ends_with_status_0_and_makes_nothing() {
    let folder = Folder::with(&[(FILE, &client("reports", "", "")), ("README.md", "Not SQL: 'it's")]);
    let outcome = folder.lint(&[]);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
    assert_eq!(outcome.stderr, "1 file: 0 errors, 0 warnings\n");
    let names: Vec<_> = fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["migrations"], "no database is made");
}

/// What the commands write themselves is read without a warning.
#[test]
fn what_client_new_rotate_secret_and_disable_write_is_clean() {
    let folder = Folder::new();
    let new = [
        "client",
        "new",
        "reports",
        "--name",
        "Ann's; -- \"reports\"",
        "--redirect-uri",
        "https://reports.example/cb",
        "--post-logout-redirect-uri",
        "https://reports.example/",
        "--backchannel-logout-uri",
        "https://reports.example/out",
        "--grant",
        "authorization_code",
        "--grant",
        "refresh_token",
        "--audience",
        "https://api.example",
    ];
    assert_eq!(run(folder.0.path(), &new).status, 0);
    for public in
        [["--application-type", "native", "http://127.0.0.1/cb"], ["--consent", "skip", "https://app.example/cb"]]
    {
        let id = public[1];
        let new = [
            "client",
            "new",
            id,
            "--public",
            public[0],
            public[1],
            "--redirect-uri",
            public[2],
            "--post-logout-redirect-uri",
            public[2],
            "--frontchannel-logout-uri",
            "https://app.example/out",
        ];
        assert_eq!(run(folder.0.path(), &new).status, 0);
    }
    assert_eq!(run(folder.0.path(), &["client", "new", "nightly", "--grant", "client_credentials"]).status, 0);
    assert_eq!(run(folder.0.path(), &["client", "new", "api", "--resource", "https://api.example"]).status, 0);
    assert_eq!(run(folder.0.path(), &["client", "rotate-secret", "reports", "--label", "it's new"]).status, 0);
    assert_eq!(run(folder.0.path(), &["client", "disable", "reports", "--migration"]).status, 0);
    let outcome = folder.lint(&["--strict"]);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
    assert_eq!(outcome.stderr, "7 files: 0 errors, 0 warnings\n");
}

#[test]
fn the_migrations_of_hallpass_itself_are_left_alone_and_an_edited_copy_is_not() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let outcome = run(Path::new(env!("CARGO_MANIFEST_DIR")), &["client", "lint", own.to_str().unwrap(), "--strict"]);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
    let text = fs::read_to_string(own.join("0001_clients.sql")).unwrap();
    let folder = Folder::with(&[("0001_clients.sql", &format!("{text}\n-- mine"))]);
    let outcome = folder.lint(&[]);
    assert_eq!(outcome.status, 1);
    assert!(outcome.stdout.contains("0001_clients.sql:1: number-is-ours: "), "{outcome:?}");
}

#[test]
fn every_file_must_have_a_number_that_is_a_date_and_its_own() {
    let good = client("reports", "", "");
    for (name, code) in [
        ("add_client.sql", "file-name"),
        ("draft.sql", "file-name"),
        ("20261201090000_a.SQL", "file-name"),
        ("20261201090000_a.up.sql", "file-name"),
        ("20261201090000_a.down.sql", "file-name"),
        ("0042_add_client_reports.sql", "number-is-ours"),
        ("20261201_add_client.sql", "file-date (warning)"),
        ("20261301090000_add_client.sql", "file-date (warning)"),
    ] {
        let outcome = Folder::with(&[(name, &good)]).lint(&[]);
        assert_eq!(outcome.status, i32::from(!code.ends_with("(warning)")), "{name}: {outcome:?}");
        let beginning = format!("migrations/{name}:1: {code}: ");
        assert!(outcome.stdout.starts_with(&beginning), "{beginning} is not the beginning of {}", outcome.stdout);
        assert_eq!(outcome.stdout.lines().count(), 1, "{outcome:?}");
    }
    let twice = Folder::with(&[(FILE, &good), ("20261201090000_other.sql", &client("other", "", ""))]).lint(&[]);
    assert_eq!(twice.status, 1);
    assert!(twice.stdout.contains("20261201090000_other.sql:1: number-twice: "), "{twice:?}");
}

#[test]
fn a_client_is_registered_once_unless_it_was_deleted_before() {
    let twice = client("reports", "", "") + "INSERT INTO clients (client_id) VALUES ('reports');";
    error(&twice, 5, "duplicate-client", &["reports", "from 1;", "UPDATE"]);
    clean(
        &(client("reports", "", "")
            + "DELETE FROM clients WHERE client_id = 'reports';\n"
            + &client("reports", "", "")),
    );
    clean(&(client("reports", "", "") + "INSERT INTO clients (client_id) VALUES ('reports') ON CONFLICT DO NOTHING;"));
    let uri =
        "INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('reports', 'https://reports.example/cb');";
    error(&(client("reports", "", "") + uri), 5, "duplicate-row", &["client_redirect_uris"]);
    // The second file of two is the one that fails.
    let folder = Folder::with(&[
        (FILE, &client("a", "", "")),
        ("20261202090000_again.sql", "\nINSERT INTO clients (client_id) VALUES ('a');"),
    ]);
    let outcome = folder.lint(&[]);
    assert!(outcome.stdout.contains("20261202090000_again.sql:2: duplicate-client: "), "{outcome:?}");
}

#[test]
fn a_secret_must_be_a_strong_argon2id_hash() {
    let with = |hash: &str| client("reports", "", "").replace(HASH, hash);
    error(&with("hp_cs_6Yo3KIyom7bTDhxD4zn4c3lZdbZVMSK3Pp7xtPvqg"), 2, "secret-plain", &["history", "rotate-secret"]);
    error(&with("correct horse battery staple"), 2, "secret-plain", &["plain text"]);
    error(&with("$2b$10$abcdefghijklmnopqrstuv"), 2, "secret-weak", &["PHC"]);
    error(&with(&HASH.replace("argon2id", "argon2i")), 2, "secret-weak", &["argon2id"]);
    error(&with(&HASH.replace("m=19456", "m=1024")), 2, "secret-weak", &["cost"]);
    error(&with(&HASH.replace("t=2", "t=1")), 2, "secret-weak", &["cost"]);
    for costly in ["m=99999999,t=2", "m=131073,t=2", "m=131072,t=9", "m=19456,t=17"] {
        error(&with(&HASH.replace("m=19456,t=2", costly)), 2, "secret-weak", &["stop the server"]);
    }
    error(&with(HASH.rsplit_once('$').unwrap().0), 2, "secret-weak", &["missing"]);
    clean(&with(&hash_of(CLIENT_SECRET)));
    // People's too.
    error(
        "INSERT INTO users (sub, password_hash) VALUES ('1', 'correct horse');",
        1,
        "secret-plain",
        &["password_hash"],
    );
    let user = |hash: &str| format!("INSERT INTO users (sub, password_hash) VALUES ('1', '{hash}');");
    let rest = "c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    // Those of other programs are made anew at the first sign-in; of a client there is none.
    for form in ["$pbkdf2-sha1$i=1000,l=32$", "$scrypt$ln=17,r=8,p=1$", "$argon2i$v=19$m=19456,t=2,p=1$"] {
        clean(&user(&format!("{form}{rest}")));
        error(&with(&format!("{form}{rest}")), 2, "secret-weak", &["argon2id"]);
    }
    clean(&user("$2b$12$VM9/fM5UTS7qkLKRAQo0oOfO4IZo66col4rwsbTB30Xz5vBK29dka"));
    error(&user(&format!("$scrypt$ln=18,r=8,p=1${rest}")), 1, "secret-weak", &["stop the server"]);
    let of_identity = "AH2M5GRoDQxHiK7+1N1Mk7glmPJERBMNK9Fx9IegbTRMmzxMewTVY4BrtSOMnQUNwA==";
    error(&user(of_identity), 1, "secret-weak", &["Identity", "hallpass user import"]);
    // By an UPDATE as well, also of what no file knows.
    let update = format!("UPDATE client_secrets SET secret_hash = 'plain' WHERE secret_hash = '{HASH}';");
    error(&update, 1, "secret-plain", &[]);
}

#[test]
fn a_secret_in_a_comment_or_elsewhere_is_found() {
    let good = client("reports", "", "");
    let secret = "hp_cs_6Yo3KIyom7bTDhxD4zn4c3lZdbZVMSK3Pp7xtPvqg";
    error(&format!("-- It is {secret}\n{good}"), 1, "secret-in-comment", &["rotate"]);
    error(&format!("/* two\n   lines: {secret} */\n{good}"), 2, "secret-in-comment", &[]);
    error(&format!("{good}-- client secret: Tr0ub4dor&3x\n"), 5, "secret-in-comment", &["secret or password"]);
    error(&format!("{good}-- password=\"Tr0ub4dor\"\n"), 5, "secret-in-comment", &[]);
    let named = client("reports", ", client_name", &format!(", 'Reports {secret}'"));
    error(&named, 1, "secret-in-file", &[]);
    error(&format!("-- {}", secret.replace("hp_cs", "hp_rt")), 1, "secret-in-comment", &[]);
    // The findings do not repeat it.
    assert!(!findings_in(&named).1.contains(secret));
    for harmless in [
        "-- argon2id; the secret itself is nowhere in this file.",
        "-- secret: see the vault",
        "-- hp_cs_ is our prefix",
        "-- password_hash = argon2id",
    ] {
        clean(&format!("{harmless}\n{good}"));
    }
}

#[test]
fn a_redirect_uri_must_be_exact_and_safe() {
    let with = |uri: &str| client("reports", "", "").replace("https://reports.example/cb", uri);
    for (uri, part) in [
        ("http://reports.example/cb", "https"),
        ("https://*.example/cb", "wildcard"),
        ("https://reports.example/cb#part", "fragment"),
        ("https://user:word@reports.example/cb", "password"),
        ("/cb", "absolute"),
        ("com.example.app:/cb", "native"),
        ("javascript:alert(1)", "scheme"),
        ("https://reports.example/c b", "space"),
    ] {
        error(&with(uri), 3, "redirect-uri", &[part]);
    }
    clean(&with("http://127.0.0.1:9001/cb"));
    clean(&client("app", ", application_type", ", 'native'").replace("https://app.example/cb", "com.example.app:/cb"));
    let logout = client("reports", "", "").replace("https://reports.example/'", "http://reports.example/'");
    error(&logout, 4, "logout-uri", &["http://reports.example/"]);
    error(
        &client("reports", "", "").replace("https://reports.example/logout", "http://reports.example/logout"),
        1,
        "logout-uri",
        &[],
    );
    error(&client("reports", ", tos_uri", ", 'http://reports.example/terms'"), 1, "other-uri", &[]);
    let changed = client("reports", "", "")
        + "UPDATE client_redirect_uris SET redirect_uri = 'https://*.example/' WHERE client_id = 'reports';";
    error(&changed, 5, "redirect-uri", &["wildcard"]);
}

#[test]
fn a_client_must_have_what_its_grants_need() {
    let without = |table: &str| -> String { without_lines(&client("reports", "", ""), table) };
    error(&without("client_redirect_uris"), 1, "no-redirect-uri", &["reports"]);
    warning(&without("client_secrets"), 1, "no-secret", &["rotate-secret"]);
    warning(&without("client_post_logout_redirect_uris"), 1, "no-logout-uri", &["client_post_logout_redirect_uris"]);
    let untold = client("reports", "", "")
        .replace(", backchannel_logout_uri", "")
        .replace(", 'https://reports.example/logout'", "");
    warning(&untold, 1, "no-logout-uri", &["backchannel_logout_uri"]);
    // A machine, an API and a disabled client need none of these.
    let secret = format!("INSERT INTO client_secrets (client_id, secret_hash) VALUES ('m', '{HASH}');");
    clean(&format!("INSERT INTO clients (client_id, grant_types) VALUES ('m', 'client_credentials');{secret}"));
    clean(&format!("INSERT INTO clients (client_id, resource) VALUES ('m', 'https://api.example');{secret}"));
    clean("INSERT INTO clients (client_id) VALUES ('m'); UPDATE clients SET disabled_at = 1 WHERE client_id = 'm';");
    warning(&client("a", ", scope", ", 'openid offline_access'"), 1, "refresh-token", &["grant_types"]);
    warning(
        &client("a", ", grant_types", ", 'authorization_code refresh_token'"),
        1,
        "refresh-token",
        &["offline_access"],
    );
}

#[test]
fn a_public_client_must_use_pkce_and_cannot_act_for_itself() {
    let public = |columns: &str, values: &str| -> String {
        let app = client("app", &format!(", token_endpoint_auth_method{columns}"), &format!(", 'none'{values}"));
        without_lines(&app, "client_secrets")
    };
    clean(&public("", ""));
    error(&public(", pkce", ", 'optional'"), 1, "public-without-pkce", &["9700"]);
    error(&public(", grant_types", ", 'authorization_code client_credentials'"), 1, "public-machine", &["6749"]);
    // What an UPDATE makes of it counts, on the line of the UPDATE.
    let changed = public("", "") + "UPDATE clients\nSET pkce = 'optional' WHERE client_id = 'app';";
    error(&changed, 5, "public-without-pkce", &[]);
    warning(&client("app", ", token_endpoint_auth_method", ", 'none'"), 1, "public-with-secret", &["never"]);
}

#[test]
fn tables_columns_and_words_must_be_registered_ones() {
    let reports = client("reports", "", "");
    error("INSERT INTO client (client_id) VALUES ('a');", 1, "unknown-table", &["did you mean clients?"]);
    error(&client("a", ", redirect_uris", ", 'x'"), 1, "unknown-column", &["clients has no column redirect_uris"]);
    error(&client("a", ", client_nmae", ", 'x'"), 1, "unknown-column", &["did you mean client_name?"]);
    error(
        &(reports.clone() + "UPDATE clients SET secret = 'x' WHERE client_id = 'reports';"),
        5,
        "unknown-column",
        &["secret"],
    );
    error(&(reports.clone() + "UPDATE clients SET pkce = 'required' WHERE id = 'x';"), 5, "unknown-column", &["id"]);
    for (column, word, choices) in [
        ("pkce", "off", "required, optional"),
        ("consent", "never", "ask, skip"),
        ("application_type", "spa", "web, native"),
        ("token_endpoint_auth_method", "basic", "client_secret_basic, client_secret_post, none"),
        ("id_token_signed_response_alg", "HS256", "RS256"),
        ("access_token_format", "JWT", "opaque, jwt"),
        ("subject_type", "private", "public, pairwise"),
        ("refresh_token_rotation", "sometimes", "always, never"),
        ("claims_in_id_token", "true", "yes, no"),
        ("token_endpoint_auth_method", "private_key_jwt", "client_secret_basic, client_secret_post, none"),
        ("response_types", "code id_token", "code, separated by commas"),
        ("response_types", "code, token", "code, separated by commas"),
        ("grant_types", "authorization_code,refresh_token", "client_credentials, separated by spaces"),
        ("origin", "registration", "migration"),
    ] {
        error(
            &client("a", &format!(", {column}"), &format!(", '{word}'")),
            1,
            "unknown-word",
            &[column, word.split(", ").last().unwrap(), choices],
        );
    }
    for (column, list) in [("response_types", "code"), ("response_types", " code , code "), ("response_types", "")] {
        clean(&client("a", &format!(", {column}"), &format!(", '{list}'")));
    }
    error(&client("a", ", pkce", ", 'Optonal'"), 1, "unknown-word", &["did you mean optional?"]);
    error(&client("a", ", response_types", ", 'token'"), 1, "unknown-word", &["token"]);
    let implicit = client("a", ", grant_types", ", 'authorization_code implicit'");
    error(&implicit, 1, "unknown-word", &["implicit", "authorization_code, refresh_token, client_credentials"]);
    error(&client("a", ", code_lifetime", ", 601"), 1, "out-of-range", &["BETWEEN 5 AND 600"]);
    error(&client("a", ", default_max_age", ", -1"), 1, "out-of-range", &["default_max_age >= 0"]);
    error(&client("a", ", code_lifetime", ", '60'"), 1, "wrong-type", &["number"]);
    error(&client("a", ", client_name", ", 7"), 1, "wrong-type", &["quotes"]);
    error(&client("a", ", pkce", ", NULL"), 1, "missing-value", &["pkce"]);
    error("INSERT INTO clients (client_name) VALUES ('x');", 1, "missing-value", &["client_id"]);
    error(&client("a", ", scope", ", 'openid \"x\"'"), 1, "scope", &[]);
}

/// The database takes any word, so the file that brought it is applied and can only be fixed by another.
#[test]
fn an_unknown_word_is_put_right_by_a_later_file() {
    let bad = client("reports", ", pkce", ", 'of'") + "UPDATE clients SET consent = 'never' WHERE client_id = 'other';";
    let (status, found) = findings_in(&bad);
    assert_eq!((status, found.matches("unknown-word: ").count()), (1, 2), "{found}");
    let good = "UPDATE clients SET pkce = 'required' WHERE client_id = 'reports';";
    let folder = Folder::with(&[(FILE, &client("reports", ", pkce", ", 'of'")), ("20261202090000_words.sql", good)]);
    let outcome = folder.lint(&["--strict"]);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
}

/// OIDC Core 8.1: several hosts need a registered sector; and with one in the row, no other address changes a `sub`.
#[test]
fn the_sector_of_a_pairwise_client_is_stored_in_its_row() {
    let pairwise = |columns: &str, values: &str| {
        client("a", &format!(", subject_type{columns}"), &format!(", 'pairwise'{values}"))
    };
    error(&pairwise("", ""), 1, "sector", &["no sector_identifier", "8.1", "write sector_identifier 'a.example'"]);
    clean(&pairwise(", sector_identifier", ", 'a.example'"));
    let another = "INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('a', 'https://b.example/cb');";
    let two = pairwise("", "") + another;
    error(&two, 1, "sector", &["several hosts (a.example, b.example)", "sector_identifier 'a.example'"]);
    clean(&(pairwise(", sector_identifier", ", 'b.example'") + another));
    clean(&(two + "\nUPDATE clients SET sector_identifier = 'a.example' WHERE client_id = 'a';"));
    for none in ["", "https://a.example/cb", "a example"] {
        error(&pairwise(", sector_identifier", &format!(", '{none}'")), 1, "sector", &["is no host"]);
    }
    clean(&(client("a", "", "") + another));
}

#[test]
fn rows_for_clients_of_no_file_and_rows_before_their_client_are_found() {
    let uri = "INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('reprots', 'https://a.example/');";
    warning(&(client("reports", "", "") + uri), 5, "unknown-client", &["reprots", "spelling"]);
    warning("UPDATE clients SET consent = 'skip' WHERE client_id = 'by-hand';", 1, "unknown-client", &["by-hand"]);
    let mut lines: Vec<String> = client("reports", "", "").lines().map(str::to_owned).collect();
    lines.rotate_left(1);
    let (status, found) = findings_in(&lines.join("\n"));
    assert_eq!((status, found.matches("client-later: ").count()), (1, 3), "{found}");
}

#[test]
fn a_change_of_every_row_is_asked_about() {
    let good = client("reports", "", "");
    warning(
        &(good.clone() + "UPDATE clients SET consent = 'skip';"),
        5,
        "every-row",
        &["changes every row of clients"],
    );
    let (_, found) = findings_in(&(good + "DELETE FROM client_secrets;"));
    assert!(found.contains("every-row (warning): without WHERE it deletes every row"), "{found}");
}

#[test]
fn what_is_no_sql_or_not_understood_is_said_and_never_passed_over() {
    let good = client("reports", "", "");
    error(&(good.clone() + "INSERT INTO clients (client_id) VALUES ('it's');"), 5, "syntax", &["never ends"]);
    error(&(good.clone() + "/* never closed"), 5, "syntax", &["/*"]);
    error(
        &(good.clone() + "INSERT INTO clients (client_id, pkce)\nVALUES ('a');"),
        6,
        "syntax",
        &["1 values for 2 columns"],
    );
    error(&format!("BEGIN;\n{good}"), 1, "transaction", &["COMMIT"]);
    warning(&format!("-- no-transaction\n{good}"), 1, "transaction", &["half applied"]);
    for (sql, part) in [
        ("INSERT OR IGNORE INTO clients (client_id) VALUES ('reports');", "SQLite"),
        ("INSERT INTO public.clients (client_id) VALUES ('a');", "schema"),
        ("CREATE TABLE mine (x TEXT);", "own"),
        ("CREATE INDEX mine ON clients (client_name);", "only INSERT, UPDATE and DELETE"),
        ("DROP TABLE clients;", "only INSERT, UPDATE and DELETE"),
        ("UPDATE clients SET client_name = strftime('%s') WHERE client_id = 'reports';", "strftime"),
        ("UPDATE clients SET disabled_at = EXTRACT(EPOCH FROM now()) WHERE client_id = 'reports';", "both databases"),
        ("UPDATE clients SET client_name = 'a'::text WHERE client_id = 'reports';", "both databases"),
        ("DELETE FROM clients USING users WHERE client_id = sub;", "SQLite"),
        ("SET search_path = x;", "only INSERT, UPDATE and DELETE"),
    ] {
        warning(&format!("{good}{sql}"), 5, "not-understood", &[part]);
    }
    error(&format!("{good}$$;"), 5, "syntax", &["both databases"]);
    error(&format!("{good}UPDATE clients SET pkce 'x';"), 5, "syntax", &["no SQL"]);
    // A table of the admin's own is known from then on.
    let (_, found) = findings_in(&format!("{good}CREATE TABLE mine (x TEXT);\nINSERT INTO mine (x) VALUES ('a');"));
    assert_eq!(found.lines().count(), 1, "{found}");
}

/// The database carries it out, so what it comes to is judged and not the way in which it is written.
#[test]
fn what_a_database_computes_is_judged_by_what_it_comes_to() {
    let good = client("reports", "", "");
    clean(&(good.clone() + "UPDATE clients SET client_name = UPPER(client_name) WHERE client_id = 'reports';"));
    clean(
        &(good.clone()
            + "INSERT INTO clients (client_id) VALUES ('reports') ON CONFLICT (client_id) DO UPDATE SET consent = 'skip';"),
    );
    error(
        &(good.clone()
            + "INSERT INTO clients (client_id) VALUES ('reports')\nON CONFLICT (client_id) DO UPDATE SET pkce = 'of' || 'f';"),
        5,
        "unknown-word",
        &["pkce has the unknown word \"off\""],
    );
    error(
        &(good.clone()
            + "INSERT INTO client_redirect_uris SELECT client_id, 'http://' || client_id || '.example.com/' FROM clients;"),
        5,
        "redirect-uri",
        &["http://reports.example.com/"],
    );
    // Only those that the condition meets.
    clean(&(good.clone() + "DELETE FROM client_secrets WHERE client_id = 'reports' AND client_secret_expires_at > 5;"));
    warning(
        &(good.clone() + "DELETE FROM client_secrets WHERE client_id = 'reports' AND client_secret_expires_at < 5;"),
        1,
        "no-secret",
        &[],
    );
    let (status, found) = findings_in(&(good + "INSERT INTO clients (client_id) SELECT 'a';"));
    assert_eq!((status, found.matches("5: no-").count()), (1, 3), "{found}");
}

/// The constraints are those of the schema, and one that fails does not hide what comes after it.
#[test]
fn what_the_schema_refuses_is_found_in_its_row_and_the_rest_is_judged() {
    let rows = "INSERT INTO client_redirect_uris VALUES\n('reports', 'https://reports.example/two'),\n\
                ('reports', 'https://reports.example/cb');\n";
    error(&(client("reports", "", "") + rows), 7, "duplicate-row", &["from 3;"]);
    let several = "INSERT INTO clients (client_id, backchannel_logout_uri, code_lifetime) VALUES\n('a', 'https://a.example/', 60),\n\
                   ('b', 'https://b.example/',\n 601);\n";
    let (status, found) = findings_in(several);
    assert_eq!((status, found.matches("out-of-range").count()), (1, 1), "{found}");
    assert!(found.contains("4: out-of-range: ") && found.contains("3: no-redirect-uri: b "), "{found}");
    let late = "INSERT INTO client_audiences (client_id, audience) VALUES ('reports', 'https://api.example');\n";
    error(&(late.to_owned() + &client("reports", "", "")), 1, "client-later", &["reports"]);
    error("INSERT INTO users (username) VALUES ('alice');", 1, "missing-value", &["users must have a sub"]);
    error(&client("a", ", client_name", ", \"x\""), 1, "unknown-column", &["no column x", "single quotes"]);
}

/// The machine of a reviewer must not be changed by a file.
#[test]
fn a_file_reaches_nothing_beyond_the_scratch_database() {
    let good = client("reports", "", "");
    for sql in [
        "ATTACH 'x.db' AS other; CREATE TABLE other.mine (a TEXT);",
        "attach database 'x.db' as other;",
        "DETACH main;",
        "PRAGMA journal_mode = DELETE;",
        "VACUUM INTO 'x.db';",
        "INSERT INTO clients (client_id) SELECT load_extension('x');",
        "INSERT INTO clients (client_id) SELECT name FROM pragma_database_list;",
        "SELECT $a$; ATTACH 'x.db' AS other; $a$;",
        "SELECT 1 /* /* */ ; ATTACH 'x.db' AS other; /* */ */;",
        "SELECT 'a\\'; ATTACH 'x.db' AS other; --';",
        "SELECT [a]; ATTACH 'x.db' AS other; SELECT [b];",
        "EXPLAIN ATTACH 'x.db' AS other;",
    ] {
        let folder = Folder::with(&[(FILE, &format!("{good}{sql}"))]);
        let outcome = folder.lint(&[]);
        let said = ["not-understood", "syntax"].iter().any(|code| outcome.stdout.contains(code));
        assert!(said && !outcome.stderr.contains("panicked"), "{sql}: {outcome:?}");
        let names: Vec<_> = fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["migrations"], "{sql}");
        assert_eq!(fs::read_dir(folder.0.path().join("migrations")).unwrap().count(), 1, "{sql}");
    }
    error(&format!("{good}ATTACH 'x.db' AS other;"), 5, "not-understood", &["reaches beyond"]);
}

/// A refusal tells the name of a CHECK, and a file chooses names.
#[test]
fn the_name_of_a_constraint_is_never_run() {
    let folder = Folder::with(&[(
        FILE,
        "CREATE TABLE mine (client_id TEXT REFERENCES clients (client_id) ON DELETE SET NULL,
         CONSTRAINT \"1); ATTACH 'file:y.db?mode=rwc' AS y; CREATE TABLE y.t (a TEXT); --\" CHECK (client_id IS NOT NULL));
         INSERT INTO clients (client_id) VALUES ('x');
         INSERT INTO mine VALUES ('x');
         DELETE FROM clients WHERE client_id = 'x';",
    )]);
    let outcome = folder.lint(&[]);
    assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
    let names: Vec<_> = fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["migrations"], "{outcome:?}");
}

/// What is tried cannot write the notes that the lint goes by.
#[test]
fn a_file_cannot_silence_what_is_found() {
    let bad = "INSERT INTO clients (client_id, token_endpoint_auth_method, pkce) VALUES ('bad', 'none', 'optional');\n\
               INSERT INTO client_redirect_uris VALUES ('bad', 'https://*.example/');\n";
    for forged in [
        "CREATE TABLE changes (kind TEXT, in_table TEXT, row BIGINT);\n\
         INSERT INTO changes (kind, in_table, row) VALUES ('deleted', 'clients', 1), ('deleted', 'client_redirect_uris', 1);",
        "INSERT INTO temp.changes (kind, in_table, row) VALUES ('deleted', 'clients', 1);",
        "DELETE FROM sqlite_temp_master;",
    ] {
        let (status, found) = findings_in(&format!("{bad}{forged}"));
        assert_eq!(status, 1, "{forged}: {found}");
        assert!(found.contains("redirect-uri: "), "{forged}: {found}");
    }
}

/// One step of SQLite that takes long comes to no end by itself: the lint does.
#[test]
fn a_statement_that_hangs_in_one_step_is_a_finding() {
    let asked = std::time::Duration::from_mins(1);
    let started = tokio::time::Instant::now();
    let hangs = "INSERT INTO clients (client_id, client_name) VALUES ('x', \
                 replace(hex(zeroblob(20000000)), hex(zeroblob(10000000)) || '1', ''));";
    let (status, _) = findings_in(hangs);
    assert!(status == 1 && started.elapsed() < asked, "{:?}", started.elapsed());
}

#[test]
fn a_statement_that_never_ends_or_takes_all_memory_is_a_finding() {
    let good = client("reports", "", "");
    let endless = "INSERT INTO client_audiences WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n)\n\
                   SELECT 'reports', 'x' FROM n WHERE a < 0;\n";
    let bad = "INSERT INTO client_redirect_uris VALUES ('reports', 'https://*.example/');";
    let (status, found) = findings_in(&format!("{good}{endless}{bad}"));
    assert_eq!((status, found.lines().count()), (1, 2), "{found}");
    assert!(found.contains("5: not-understood: it takes too long"), "{found}");
    assert!(found.contains("7: redirect-uri: "), "what comes after it is judged: {found}");
    let growing = "INSERT INTO client_audiences WITH RECURSIVE n (a) AS (SELECT 'x' UNION ALL SELECT a || a FROM n)\n\
                   SELECT 'reports', a FROM n;\n";
    let (status, found) = findings_in(&format!("{good}{growing}"));
    assert!(status == 1 && found.starts_with("5: not-understood: "), "{}", found.chars().take(500).collect::<String>());
}

#[test]
fn layout_does_not_matter() {
    clean(&client("reports", "", "").replace('\n', "\r\n"));
    clean(
        &client("reports", "", "")
            .replace("INSERT INTO clients", "insert /* of 'x' */ into\n  \"clients\"\n")
            .replace("VALUES", "values"),
    );
    let several = format!(
        "INSERT INTO clients (client_id, consent, backchannel_logout_uri) VALUES\n  ('a', 'skip', 'https://a.example/'), -- it's ours;\n  ('b', 'ask', 'https://b.example/');
         INSERT INTO client_secrets (secret_hash, client_id) VALUES ('{HASH}', 'a'), ('{HASH}', 'b');
         INSERT INTO client_redirect_uris VALUES ('a', 'https://a.example/cb'), ('b', 'https://b.example/' || 'cb');
         INSERT INTO client_post_logout_redirect_uris VALUES ('a', 'https://a.example/'), ('b', 'https://b.example/');"
    );
    clean(&several);
    error(&several.replace("'ask'", "'sometimes'"), 3, "unknown-word", &["consent"]);
}

/// What CI shows.
#[test]
fn the_output_is_a_line_for_each_finding_and_a_sum() {
    let folder = Folder::with(&[
        (
            FILE,
            "-- Reports, secret: hp_cs_6Yo3KIyom7bTDhxD4zn4c3lZdbZVMSK3Pp7xtPvqg
INSERT INTO clients (client_id, token_endpoint_auth_method, pkce)
VALUES ('reports', 'none', 'optional');
INSERT INTO client_redirect_uris (client_id, redirect_uri)
VALUES ('reports', 'http://reports.example.com/signin-oidc');
",
        ),
        ("notes.sql", "INSERT INTO client_secrets (client_id, secret_hash) VALUES ('reprots', 'hunter2');\n"),
    ]);
    let outcome = folder.lint(&[]);
    assert_eq!(outcome.status, 1);
    insta::assert_snapshot!(outcome.stdout, @r##"
migrations/20261201090000_add_client_reports.sql:1: secret-in-comment: the comment holds a secret or token as it is; take it out, and rotate that secret: it is in the history now
migrations/20261201090000_add_client_reports.sql:3: public-without-pkce: reports is public and may leave PKCE out, so that a code can be stolen on the way (RFC 9700 section 2.1.1); leave pkce at required
migrations/20261201090000_add_client_reports.sql:3: no-logout-uri (warning): reports is not told when a user signs out elsewhere (backchannel_logout_uri, frontchannel_logout_uri), and cannot send users through our sign-out and get them back (client_post_logout_redirect_uris); register them where it can use them
migrations/20261201090000_add_client_reports.sql:5: redirect-uri: http://reports.example.com/signin-oidc: it is plain http to another machine, where a code can be read on the way; use https; write the https address exactly as the service sends it (http only on a loopback address)
migrations/notes.sql:1: file-name: without NUMBER_ before its words, it is never applied; begin its name with a date, such as 20261201090000_add_client_reports.sql
migrations/notes.sql:1: secret-plain: secret_hash holds a plain text: it is not a PHC string ($argon2id$v=19$m=…,t=…,p=…$salt$hash); `hallpass client rotate-secret` makes a new one; this one is in the history now
migrations/notes.sql:1: unknown-client (warning): no file registers the client reprots; check the spelling; where it was registered by hand, put it into a file
"##);
    assert_eq!(outcome.stderr, "hallpass: 2 files: 5 errors, 2 warnings\n");
}

#[test]
fn json_has_every_finding_and_strict_makes_errors_of_warnings() {
    let folder = Folder::with(&[
        (FILE, &client("reports", "", "").replace("https://reports.example/cb", "http://reports.example/cb")),
        ("20261202090000_more.sql", "UPDATE clients SET consent = 'skip';"),
    ]);
    let outcome = folder.lint(&["--json"]);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (1, "hallpass: 2 files: 1 error, 1 warning\n"));
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&document["files"], &document["errors"], &document["warnings"]), (&2.into(), &1.into(), &1.into()));
    let findings = document["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 2);
    assert_eq!(
        (&findings[0]["code"], &findings[0]["line"], &findings[0]["level"]),
        (&"redirect-uri".into(), &3.into(), &"error".into())
    );
    assert_eq!(findings[0]["file"], format!("migrations/{FILE}"));
    assert!(findings.iter().all(|finding| finding["why"].is_string() && finding["fix"].is_string()), "{document}");
    assert_eq!(findings[1]["level"], "warning");

    let warned = Folder::with(&[(FILE, &(client("reports", "", "") + "UPDATE clients SET consent = 'skip';"))]);
    assert_eq!(warned.lint(&[]).status, 0);
    let strict = warned.lint(&["--strict"]);
    assert_eq!(strict.status, 1);
    assert!(strict.stdout.contains(": every-row: "), "{strict:?}");
}

/// Front-Channel Logout between sites: a frame there gets no cookie of the service's. It takes the issuer to tell.
#[test]
fn a_front_channel_on_another_site_than_the_issuers_asks_for_a_back_channel() {
    let only_front = |id: &str, uri: &str, more: &str| {
        client(id, ", frontchannel_logout_uri", &format!(", '{uri}'"))
            .replace(&format!("'https://{id}.example/logout'"), "NULL")
            + more
    };
    let found = |sql: &str, issuer: Option<&str>, arguments: &[&str]| {
        let folder = Folder::with(&[(FILE, sql)]);
        let variables: Vec<(&str, &str)> = issuer.iter().map(|issuer| ("HALLPASS_ISSUER", *issuer)).collect();
        let arguments: Vec<&str> = ["client", "lint"].iter().chain(arguments).copied().collect();
        let outcome = run_with(folder.0.path(), &arguments, &variables, "");
        (outcome.status, outcome.stdout.replace(&format!("migrations/{FILE}:"), ""))
    };
    for (issuer, uri) in [
        ("https://id.example.com", "https://reports.example.org/out"),
        ("https://one.github.io", "https://two.github.io/out"),
        ("https://one.co.uk", "https://two.co.uk/out"),
        ("https://id.intranet", "https://10.0.0.1/out"),
        ("http://localhost:9000", "http://127.0.0.1:9001/out"),
    ] {
        let sql = only_front("reports", uri, "");
        let (status, said) = found(&sql, Some(issuer), &[]);
        assert!(said.starts_with("1: logout-uri (warning): reports: frontchannel_logout_uri "), "{said}");
        for part in [uri, issuer, "another site", "; register a backchannel_logout_uri"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!((status, said.lines().count()), (0, 1), "{said}");
        assert_eq!(found(&sql, Some(issuer), &["--strict"]).0, 1);
        // What changes the row in the end counts.
        for fixed in [
            "UPDATE clients SET backchannel_logout_uri = 'https://reports.example/back' WHERE client_id = 'reports';",
            "UPDATE clients SET disabled_at = 1 WHERE client_id = 'reports';",
        ] {
            assert_eq!(found(&only_front("reports", uri, fixed), Some(issuer), &[]), (0, String::new()), "{fixed}");
        }
    }
    for (issuer, uri) in [
        (Some("https://id.example.com"), "https://reports.example.com/out"),
        (Some("https://id.example.com/auth"), "https://example.com:8443/out"),
        (Some("http://localhost:9000"), "http://localhost:9001/out"),
        // It was not said what the issuer is.
        (None, "https://reports.example.org/out"),
    ] {
        assert_eq!(found(&only_front("reports", uri, ""), issuer, &["--strict"]), (0, String::new()), "{uri}");
    }
    let both = client("reports", ", frontchannel_logout_uri", ", 'https://reports.example.org/out'");
    assert_eq!(found(&both, Some("https://id.example.com"), &["--strict"]), (0, String::new()));
}

#[test]
fn a_folder_that_is_not_there_is_refused_and_a_single_file_can_be_named() {
    let folder = Folder::new();
    let missing = folder.lint(&["nowhere"]);
    assert_eq!(missing.status, 1);
    assert!(missing.stderr.contains("nowhere") && missing.stderr.contains("Fix: "), "{missing:?}");
    fs::write(folder.0.path().join(FILE), client("reports", "", "")).unwrap();
    let one = folder.lint(&[FILE]);
    assert_eq!((one.status, one.stdout.as_str()), (0, ""), "{one:?}");
    // The setting names the folder where no argument does.
    let by_setting = run_with(folder.0.path(), &["client", "lint"], &[("HALLPASS_MIGRATIONS", ".")], "");
    assert_eq!((by_setting.status, by_setting.stderr.as_str()), (0, "1 file: 0 errors, 0 warnings\n"));
}

/// Whatever a file holds, the lint ends, and with a status that is meant.
#[test]
fn no_text_makes_it_fall_over() {
    let good = client("reports", ", consent", ", 'skip'");
    let mut texts: Vec<String> =
        (0..good.len()).step_by(7).filter(|at| good.is_char_boundary(*at)).map(|at| good[..at].to_owned()).collect();
    texts.extend(
        [
            "((((",
            "))))",
            "'",
            "--",
            "/*",
            ";;;",
            "INSERT",
            "INSERT INTO",
            "UPDATE clients SET",
            "\"",
            "WHERE",
            "||",
            "-",
            "INSERT INTO clients VALUES ()",
            "DELETE FROM clients WHERE (",
        ]
        .map(str::to_owned),
    );
    let files: Vec<(String, String)> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| (format!("{}_x.sql", 20_261_201_000_000_i64 + i64::try_from(at).unwrap() % 60), text.clone()))
        .collect();
    for (name, text) in files {
        let outcome = Folder::with(&[(&name, &text)]).lint(&[]);
        assert!(matches!(outcome.status, 0 | 1) && !outcome.stderr.contains("panicked"), "{text}\n{outcome:?}");
    }
}

// ---- Findings that a comment accepts, with the reason.

/// The statement that something is found in: its code, its level, and the SQL before, in and behind it.
fn acceptable() -> Vec<(&'static str, bool, String, String, String)> {
    let parts = |sql: String, table: &str| -> (String, String, String) {
        let at = sql.find(&format!("INSERT INTO {table} ")).unwrap();
        let end = at + sql[at..].find('\n').unwrap();
        (sql[..at].to_owned(), sql[at..end].to_owned(), sql[end + 1..].to_owned())
    };
    let native = |uri: &str| {
        without_lines(
            &client("app", ", application_type, token_endpoint_auth_method", ", 'native', 'none'")
                .replace("https://app.example/cb", uri),
            "client_secrets",
        )
    };
    let api = |audience: &str| {
        client("a", "", "")
            + &format!("INSERT INTO client_audiences (client_id, audience) VALUES ('a', '{audience}');\n")
    };
    let skipping = without_lines(
        &client("app", ", application_type, token_endpoint_auth_method, consent", ", 'native', 'none', 'skip'"),
        "client_secrets",
    );
    [
        (
            "plain-http",
            true,
            client("a", "", "").replace("https://a.example/cb", "http://printer.lan/cb"),
            "client_redirect_uris",
        ),
        ("plain-http", true, native("http://10.0.0.7/cb"), "client_redirect_uris"),
        (
            "plain-http",
            true,
            client("a", "", "").replace("https://a.example/'", "http://printer/'"),
            "client_post_logout_redirect_uris",
        ),
        (
            "plain-http",
            true,
            client("a", "", "").replace("https://a.example/logout", "http://nas.internal/out"),
            "clients",
        ),
        ("private-scheme", true, native("myapp:/callback"), "client_redirect_uris"),
        ("client-id", false, client("urn:a", "", "").replace("https://urn:a.example", "https://a.example"), "clients"),
        ("audience", false, api("rabbitmq"), "client_audiences"),
        ("audience", false, client("a", ", resource", ", 'rabbitmq'"), "clients"),
        ("consent-ignored", false, skipping, "clients"),
        ("no-secret", false, without_lines(&client("a", "", ""), "client_secrets"), "clients"),
    ]
    .into_iter()
    .map(|(code, is_error, sql, table)| {
        let (before, statement, behind) = parts(sql, table);
        (code, is_error, before, statement, behind)
    })
    .collect()
}

#[test]
fn a_finding_is_accepted_by_a_comment_of_its_statement_with_the_reason() {
    for (code, is_error, before, statement, behind) in acceptable() {
        let line = before.lines().count() + 1;
        let plain = format!("{before}{statement}\n{behind}");
        if is_error {
            error(&plain, line, code, &["-- hallpass: accept"]);
        } else {
            warning(&plain, line, code, &[]);
        }
        let comment = format!("-- hallpass: accept {code}: it's the device; -- nothing can be done");
        let in_the_middle = statement.replacen(" VALUES", &format!(" {comment}\nVALUES"), 1);
        for sql in [
            format!("{before}{comment}\n{statement}\n{behind}"),
            format!("{before}{comment}\n-- Further words.\n\n{statement}\n{behind}"),
            format!("{before}{statement} {comment}\n{behind}"),
            format!("{before}{in_the_middle}\n{behind}"),
            format!("{before}/* hallpass: accept {code}: a block */ {statement}\n{behind}"),
        ] {
            clean(&sql);
        }
        let folder = Folder::with(&[(FILE, &format!("{before}{comment}\n{statement}\n{behind}"))]);
        let outcome = folder.lint(&["--strict"]);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, "1 file: 0 errors, 0 warnings, 1 accepted\n"));
        let document: Value = serde_json::from_str(&folder.lint(&["--json"]).stdout).unwrap();
        assert_eq!(document["accepted"][0]["code"], code);
        assert_eq!(document["accepted"][0]["reason"], "it's the device; -- nothing can be done");
    }
}

#[test]
fn an_acceptance_covers_its_own_statement_and_code_and_nothing_else() {
    let uri =
        |uri: &str| format!("INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('a', '{uri}');\n");
    let good = client("a", "", "");
    let comment = "-- hallpass: accept plain-http: the printer cannot do TLS\n";
    // The next statement is another one, also on the same line.
    let two = format!("{good}{comment}{}{}", uri("http://printer.lan/"), uri("http://scanner.lan/"));
    error(&two, 7, "plain-http", &["scanner.lan"]);
    error(
        &two.replace(
            ";\nINSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('a', 'http://scanner",
            "; INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('a', 'http://scanner",
        ),
        6,
        "plain-http",
        &["scanner.lan"],
    );
    // Another code fits nothing.
    let (status, found) = findings_in(&format!(
        "{good}{}{}",
        comment.replace("plain-http", "private-scheme"),
        uri("http://printer.lan/")
    ));
    assert_eq!((status, found.lines().count()), (1, 2), "{found}");
    assert!(found.contains("5: acceptance (warning): ") && found.contains("6: plain-http: "), "{found}");
}

#[test]
fn an_acceptance_that_fits_nothing_is_a_warning_and_one_without_a_reason_an_error() {
    let good = client("a", "", "");
    warning(
        &format!("-- hallpass: accept plain-http: once there was a printer\n{good}"),
        1,
        "acceptance",
        &["plain-http"],
    );
    warning(&format!("{good}-- hallpass: accept plain-http: at the end of everything\n"), 5, "acceptance", &[]);
    warning(&format!("-- hallpass: accept no-such-code: really\n{good}"), 1, "acceptance", &["no-such-code"]);
    for bad in ["accept plain-http", "accept plain-http:", "accept", "accept : why", "acept plain-http: why"] {
        error(&format!("-- hallpass: {bad}\n{good}"), 1, "acceptance", &["CODE: REASON"]);
    }
    // It accepts nothing then.
    let http = good.replace("https://a.example/cb", "http://printer.lan/cb");
    let (_, found) = findings_in(&http.replace(
        "INSERT INTO client_redirect_uris",
        "-- hallpass: accept plain-http:\nINSERT INTO client_redirect_uris",
    ));
    assert!(found.contains("acceptance: ") && found.contains("plain-http: "), "{found}");
    // What people write to each other is none of it.
    clean(&format!("-- Hallpass: accept what it says.\n-- see hallpass: accept\n{good}"));
}

#[test]
fn what_would_not_work_or_not_be_safe_cannot_be_accepted() {
    let with = |uri: &str| client("a", "", "").replace("https://a.example/cb", uri);
    for (sql, code) in [
        (with("http://printer.example.com/cb"), "redirect-uri"),
        (with("http://8.8.8.8/cb"), "redirect-uri"),
        (with("https://*.lan/cb"), "redirect-uri"),
        (with("javascript:alert(1)"), "redirect-uri"),
        (client("a", "", "").replace(HASH, "plain"), "secret-plain"),
        (client("a", ", pkce", ", 'sometimes'"), "unknown-word"),
        (client("a b", "", "").replace("https://a b.example", "https://a.example"), "client-id"),
        (client("a", ", resource", ", ' '"), "audience"),
    ] {
        let accepted: String = sql
            .lines()
            .flat_map(|line| [format!("-- hallpass: accept {code}: please\n"), format!("{line}\n")])
            .collect();
        let (status, found) = findings_in(&accepted);
        assert_eq!(status, 1, "{found}");
        assert!(found.contains(&format!("acceptance (warning): this {code} cannot be accepted")), "{found}");
        assert!(found.contains(&format!(": {code}: ")), "{found}");
    }
}

/// RFC 9700 section 2.6: a code that others can read is worth nothing without its verifier.
#[test]
fn plain_http_demands_pkce_whatever_is_accepted() {
    let comment = "-- hallpass: accept plain-http: the printer cannot do TLS\n";
    let with = |columns: &str, values: &str| {
        let sql = client("a", columns, values).replace("https://a.example/cb", "http://printer.lan/cb");
        sql.lines()
            .map(|line| if line.contains("printer") { format!("{comment}{line}\n") } else { format!("{line}\n") })
            .collect::<String>()
    };
    clean(&with("", ""));
    error(&with(", pkce", ", 'optional'"), 1, "plain-http", &["PKCE"]);
    let later = with("", "") + comment + "UPDATE clients SET pkce = 'optional' WHERE client_id = 'a';";
    let (status, found) = findings_in(&later);
    assert_eq!(status, 1, "{found}");
    assert!(found.contains("7: plain-http: ") && found.contains("cannot be accepted"), "{found}");
}

/// Files that were applied are not edited: what a later file takes away does not make a fault of them.
#[test]
fn an_acceptance_of_what_a_later_statement_changed_is_left_alone() {
    let http = client("a", "", "").replace("https://a.example/cb", "http://printer.lan/cb").replace(
        "INSERT INTO client_redirect_uris",
        "-- hallpass: accept plain-http: the printer cannot do TLS\nINSERT INTO client_redirect_uris",
    );
    for later in [
        "UPDATE client_redirect_uris SET redirect_uri = 'https://printer.lan/cb' WHERE client_id = 'a';",
        "DELETE FROM client_redirect_uris WHERE redirect_uri = 'http://printer.lan/cb';\n\
         INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('a', 'https://printer.lan/cb');",
        "DELETE FROM clients WHERE client_id = 'a';",
    ] {
        let folder = Folder::with(&[(FILE, &http), ("20261202090000_later.sql", later)]);
        let outcome = folder.lint(&["--strict"]);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""), "{later}: {outcome:?}");
    }
    // What the later statement brings in is accepted there, by itself.
    let again = "UPDATE client_redirect_uris SET redirect_uri = 'http://scanner.lan/cb' WHERE client_id = 'a';";
    let outcome = Folder::with(&[(FILE, &http), ("20261202090000_later.sql", again)]).lint(&[]);
    assert!(outcome.stdout.contains("_later.sql:1: plain-http: "), "{outcome:?}");
}

#[test]
fn a_consent_that_will_be_ignored_is_found() {
    let native = |columns: &str, values: &str| {
        let sql =
            client("app", &format!(", application_type, consent{columns}"), &format!(", 'native', 'skip'{values}"));
        if columns.is_empty() { sql } else { without_lines(&sql, "client_secrets") }
    };
    warning(&native(", token_endpoint_auth_method", ", 'none'"), 1, "consent-ignored", &["8252", "ask"]);
    // One that proves who it is may skip.
    clean(&native("", ""));
    let later = native("", "")
        + "UPDATE clients SET token_endpoint_auth_method = 'none' WHERE client_id = 'app';\n\
        DELETE FROM client_secrets WHERE client_id = 'app';";
    warning(&later, 1, "consent-ignored", &[]);
}

#[test]
fn the_help_lists_the_codes_and_every_one_of_them_has_a_case_here() {
    let help = Folder::new().lint(&["--help"]).stdout;
    let listed: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Codes:"))
        .skip(1)
        .flat_map(|line| line.split("   ").next().unwrap().trim().split(','))
        .map(str::trim)
        .chain(["number-twice"])
        .filter(|code| !code.is_empty())
        .collect();
    let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec/client_lint.rs")).unwrap();
    assert!(listed.len() > 30, "{listed:?}");
    for code in &listed {
        let is_tested = own.contains(&format!("\"{code}\""))
            || own.contains(&format!("{code}: "))
            || own.contains(&format!("{code} (warning)"));
        assert!(is_tested, "{code} has no case");
    }
    // What the source can say is what the help lists.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands");
    for file in
        ["client/lint/files.rs", "client/lint/rows.rs", "client/lint/refused.rs", "judge.rs", "judge/telling.rs"]
    {
        let source = fs::read_to_string(folder.join(file)).unwrap();
        for text in source
            .split('"')
            .filter(|text| text.contains('-') && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        {
            assert!(listed.contains(&text), "{file} says {text}, which the help does not list");
        }
    }
}

/// Two statements that run into one are no SQL of any database, however each of them begins.
#[test]
fn a_missing_semicolon_is_an_error_on_the_line_of_the_next_statement() {
    let insert = |id: &str| format!("INSERT INTO clients (client_id) VALUES ('{id}')");
    for (sql, line) in [
        (format!("{}\n{};", insert("a"), insert("b")), 2),
        (format!("{};\nUPDATE clients SET client_name = 'C'\nWHERE client_id = 'a'\n{};", insert("a"), insert("b")), 4),
        (
            format!(
                "{};\nDELETE FROM clients WHERE client_id = 'a'\nDELETE FROM clients WHERE client_id = 'b';",
                insert("a")
            ),
            3,
        ),
        ("CREATE TABLE x (a TEXT)\nCREATE TABLE y (a TEXT);".to_owned(), 2),
        ("SELECT 1\nSELECT 2;".to_owned(), 2),
    ] {
        let folder = Folder::with(&[("20261201090000_a.sql", &sql)]);
        let outcome = folder.lint(&[]);
        assert_eq!(outcome.status, 1, "{sql}: {outcome:?}");
        let told = format!("20261201090000_a.sql:{line}: syntax: a semicolon is missing before this statement");
        assert!(outcome.stdout.contains(&told), "{sql}: {outcome:?}");
    }
    // The last one needs none.
    let folder = Folder::with(&[(
        "20261201090000_a.sql",
        &format!("{};\nDELETE FROM clients WHERE client_id = 'a'", insert("a")),
    )]);
    assert!(!folder.lint(&[]).stdout.contains("syntax"));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_does_not_silence_the_others() {
    let folder = Folder::with(&[("20261201090000_a.sql", "SELEC 1;"), ("20261201090004_e.sql", "SELEC 2;")]);
    let migrations = folder.0.path().join("migrations");
    fs::write(migrations.join("20261201090001_b.sql"), b"SELECT 1;\n-- \xff\n").unwrap();
    fs::write(migrations.join("20261201090002_c.sql"), b"SELECT 1;\0").unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", migrations.join("20261201090003_d.sql")).unwrap();
    let outcome = folder.lint(&[]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    for told in [
        "20261201090000_a.sql:1: syntax: ",
        "20261201090001_b.sql:2: unreadable: it is not UTF-8; save it as UTF-8",
        "20261201090002_c.sql:1: unreadable: it holds a NUL byte; ",
        "20261201090003_d.sql:1: unreadable: it cannot be read: there is no such file",
        "20261201090004_e.sql:1: syntax: ",
    ] {
        assert!(outcome.stdout.contains(told), "{told:?} is not in {outcome:?}");
    }
    assert!(outcome.stderr.contains("5 files: 5 errors"), "{outcome:?}");
}

/// Who may enter, what people are asked and what a service is told: rows that would have no effect, or another one than was meant.
#[test]
fn rows_that_close_open_or_tell_nothing_are_named() {
    let groups = "INSERT INTO groups (name) VALUES ('g'); INSERT INTO client_groups VALUES ('a', 'g');";
    warning(&client("a", ", access", ", 'groups'"), 1, "access-closed", &["no user can enter", "client_groups"]);
    warning(&(client("a", "", "") + groups), 1, "access-open", &["open to all users all the same"]);
    clean(&(client("a", ", access", ", 'groups'") + groups));
    error(&client("a", ", access", ", 'friends'"), 1, "unknown-word", &["access", "everybody, groups"]);
    error(&client("a", ", require_acr", ", 'gold'"), 1, "unknown-word", &["require_acr", "this version knows 2"]);
    let own = client("a", ", scope", ", 'openid hr'");
    error(&own, 1, "scope-undescribed", &["hr", "INSERT INTO scopes (scope, description) VALUES ('hr', "]);
    error(&format!("{own}INSERT INTO scopes (scope) VALUES ('hr');"), 1, "scope-undescribed", &["hr"]);
    clean(&format!("{own}INSERT INTO scopes VALUES ('hr', 'Where you work', 'department');"));
    let map = |columns: &str, values: &str| {
        client("a", "", "")
            + &format!("\nINSERT INTO client_claims (client_id, claim{columns}) VALUES ('a', {values});")
    };
    clean(&map(", source", "'groups', 'groups'"));
    clean(&map(", source", "'/realm_access/groups', 'groups'"));
    for (columns, values, part) in [
        (", source, scope", "'x', 'groups', 'hr'", "may not ask for"),
        (", source", "'x', 'roles'", "client_roles has none"),
        (", source, places", "'x', 'groups', 'access_token'", "opaque"),
        (", source, places", "'x', 'groups', ''", "no place"),
    ] {
        warning(&map(columns, values), 1, "claim-untold", &[part]);
    }
    for (columns, values, part) in [
        (", source", "'sub', 'groups'", "set by the protocol"),
        (", source", "'/aud/x', 'groups'", "set by the protocol"),
        (", source, value", "'email', 'constant', '\"x\"'", "standard claim"),
        (", source", "'groups', 'roles'", "group_members alone"),
        (", source, value", "'x', 'constant', 'y'", "no JSON"),
        (", source", "'x', 'grups'", "client_claims.source"),
        (", source, shape", "'x', 'groups', 'array'", "client_claims.shape"),
        (", source, places", "'x', 'groups', 'token'", "client_claims.places"),
    ] {
        let code = if part.starts_with("client_claims.") {
            "unknown-word"
        } else if part == "no JSON" {
            "claim-value"
        } else {
            "claim-name"
        };
        error(&map(columns, values), 6, code, &[part]);
    }
    let of_user = |claim: &str, value: &str| {
        format!("INSERT INTO users (sub) VALUES ('u'); INSERT INTO user_claims VALUES ('u', '{claim}', '{value}');")
    };
    clean(&of_user("department", "\"Sales\""));
    for claim in ["email", "sub", "groups", "a b", "username"] {
        error(&of_user(claim, "1"), 1, "claim-name", &[]);
    }
    error(&of_user("department", "Sales"), 1, "claim-value", &["Sales"]);
    error(&of_user("department", &format!("\"{}\"", "x".repeat(20_000))), 1, "claim-value", &["bytes"]);
    error("INSERT INTO scopes VALUES ('email', 'x', '');", 1, "scope-standard", &["email"]);
    error("INSERT INTO scopes VALUES ('hr', 'x', 'department active');", 1, "claim-name", &["active"]);
}
