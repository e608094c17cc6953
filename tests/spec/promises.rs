//! What `docs/promises.md` promises is what runs, and what is stored in databases does not change: the built-in migrations.

use crate::support::program::{done, every_command, files_in, run_with};
use crate::support::{NewUser, TestProvider, folder};
use hallpass::config::SETTINGS;
use hallpass::store::migrations::built_in;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/promises.md")).unwrap()
}

/// The part of the page under a heading.
fn section(heading: &str) -> String {
    let page = page();
    let rest = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}")).1;
    rest.split("\n## ").next().unwrap().to_owned()
}

/// What is between backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows of a table: what the first cell quotes, and the rest of the row.
fn rows(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| line.starts_with("| `"));
    lines
        .map(|line| {
            let (first, rest) = line[3..].split_once("` |").unwrap();
            (first.to_owned(), rest.to_owned())
        })
        .collect()
}

/// From this landing on a file that a database may have had applied is not touched any more.
#[test]
fn the_built_in_migrations_are_frozen() {
    let hex = |digest: &[u8]| {
        digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let found: Vec<String> = built_in()
        .map(|(version, description, sql)| format!("{version} {description} {}", hex(&Sha256::digest(sql))))
        .collect();
    let frozen = [
        "1 clients 15e024f853cf655fc0f86f24f1bf48b68e6d864ef95e1a6a04ac1b98a2786479",
        "2 users 1de09b2147cb611f1aeab20917681530e1ec209c98302517eabee6d2f28e41a2",
        "3 consents 0579f0a7a4ee041e46a3c52731f20fc8d66ac3e1cb31b54224dd50fe0129900b",
        "4 refresh families 236323702abfcba59f460f58a12211e4b4f13ddddf167522d3c63d184a86d35e",
        "5 logout outbox 8bb987b40634d6f4d297c88bd64987f34eadc12c8ea8e9fc90ec085f53365eac",
        "6 audit 8e106dba4b887d766de862ecadf162540a30029dfa59f0ac85474e0a019a81db",
        "7 user sessions 88f4360d8e3368be611df67c9fe589f9cdeb18bdc285eadd6ad3a07ec7f300ba",
        "8 groups and access 69d478a7f51eb1070dcc541536668cd3156bb1381e16ea3375c48286bb3888ff",
        "9 tombstones e52163860d4990a6bccf357e542279158cecddf0f78ca35cd5574774a2c71d02",
        "10 user sources b747d7d50a63f93d1096857c87857540239a9382bcd90564fdd5167fb6fe4dd6",
        "11 password forms 53d9dd45d3415f01efecbc83c45cf051c2ab71711c11296d1aa4cd15e0bfa659",
        "12 account 764a9a812d715d120bb83f17e0025f51a8b702d08f337f65a9df8b35fa880f57",
        "13 user factors d2e76fcd28c88b5924c0eb69aefdceffaa021e6101513b07a67cec8e91e21da2",
        "14 second factor demand 7ec97d6dc1c1485850212947dc709f475fc92e425ab2cd35e8894c78d0860423",
        "15 user links aaa883efa3bbb1f21676f57558bbf1667cd6dbe867049dc37be837d147763f52",
        "16 mail 5695bdd39b4e4977ce27f5d1da4b18f146a88117ae529d3b36905a1747919ed2",
        "17 sign up 5bfe19071aefaeff0f0d0e1f04b522f44aca59973ef0a0395d9c87eafc536722",
        "18 user passkeys 3909073b90ec65a0a34522e945ab1f21ae6e741dcefa3d080d0d9590b3af30a6",
        "19 stale sign ins 95d875662f4c82a800a9cc0b116fa056f918ce8036f8b68eb422442b5612d656",
    ];
    assert!(
        found.len() >= frozen.len() && found[..frozen.len()] == frozen,
        "put the change into a further file: {found:#?}"
    );
}

/// The first file behind the frozen ones that every database has.
const FIRST_FURTHER: i64 = 8;

/// Why a statement would stop the version before from running on the new schema.
fn fault_of(statement: &str) -> Option<&'static str> {
    let words = statement.to_uppercase();
    let words: Vec<&str> = words.split_whitespace().collect();
    let has = |word: &str| words.contains(&word);
    match words.first().copied()? {
        "CREATE" if has("UNIQUE") => Some("a unique index refuses what the version before writes"),
        "CREATE" if has("TRIGGER") || has("VIEW") => Some("portable SQL only"),
        "ALTER" if !has("ADD") || has("CONSTRAINT") => Some("it does not only add"),
        "ALTER" if has("NOT") && !has("DEFAULT") => Some("the version before does not give the new column a value"),
        "ALTER" if has("CHECK") => Some("SQLite cannot change a CHECK afterwards"),
        "CREATE" | "ALTER" => None,
        _ => Some("it changes or removes what the version before relies on"),
    }
}

fn statements(sql: &str) -> Vec<String> {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split(';').map(|statement| statement.trim().to_owned()).filter(|statement| !statement.is_empty()).collect()
}

/// The tables that a file makes.
fn created(sql: &str) -> Vec<String> {
    let table =
        |statement: String| Some(statement.strip_prefix("CREATE TABLE ")?.split_whitespace().next()?.to_owned());
    statements(sql).into_iter().filter_map(table).collect()
}

#[test]
fn a_further_built_in_migration_only_adds() {
    for (version, description, sql) in built_in().filter(|(version, ..)| *version >= FIRST_FURTHER) {
        let is_of_own_table = |statement: &str| {
            let is_of = |table: &str| statement.contains(&format!(" ON {table} "));
            statement.starts_with("CREATE UNIQUE INDEX ") && created(sql).iter().any(|table| is_of(table))
        };
        // Into a table that the version before does not know it writes nothing.
        for statement in statements(sql).into_iter().filter(|statement| !is_of_own_table(statement)) {
            assert_eq!(fault_of(&statement), None, "{version} {description}: {statement}");
        }
    }
    for good in [
        "CREATE TABLE groups (name TEXT PRIMARY KEY)",
        "CREATE INDEX x ON users (sub)",
        "ALTER TABLE clients ADD COLUMN access TEXT",
        "ALTER TABLE clients ADD COLUMN access TEXT NOT NULL DEFAULT 'all'",
    ] {
        assert_eq!(fault_of(good), None, "{good}");
    }
    for bad in [
        "DROP TABLE users",
        "DELETE FROM users",
        "UPDATE users SET sub = 'x'",
        "ALTER TABLE users RENAME TO people",
        "ALTER TABLE users DROP COLUMN name",
        "ALTER TABLE users ADD COLUMN x TEXT NOT NULL",
        "ALTER TABLE users ADD COLUMN x TEXT CHECK (x IN ('a'))",
        "create unique index x on users (name)",
        "INSERT INTO users (sub) VALUES ('x')",
    ] {
        assert!(fault_of(bad).is_some(), "{bad}");
    }
}

/// A CHECK on a list of words could never be changed on SQLite.
#[test]
fn no_built_in_migration_checks_a_list_of_words() {
    for (version, _, sql) in built_in() {
        for statement in statements(sql) {
            let text = statement.to_uppercase().replace(char::is_whitespace, "");
            assert!(!text.contains("IN('"), "{version}: {statement}");
        }
    }
}

#[test]
fn the_settings_are_those_of_the_page() {
    let promised: BTreeSet<String> =
        quoted(&section("Settings")).into_iter().filter(|word| word.starts_with("HALLPASS_")).collect();
    let found: BTreeSet<String> = SETTINGS.iter().map(hallpass::config::Setting::variable).collect();
    assert_eq!(promised, found);
}

#[tokio::test]
async fn the_tables_have_the_columns_of_the_page() {
    let provider = TestProvider::start().await;
    let text = section("Tables");
    let tables = rows(&text);
    assert!(tables.len() >= 7);
    for (table, columns) in tables {
        for column in quoted(&columns) {
            provider.sql(&format!("SELECT {column} FROM {table}")).await;
        }
    }
    let read = text.rsplit_once("`logout_outbox` (").unwrap().1;
    let read = Vec::from_iter(quoted(read)).join(", ");
    assert!(read.contains("last_result"));
    provider.sql(&format!("SELECT {read} FROM logout_outbox")).await;
}

#[test]
fn the_commands_are_those_of_the_page() {
    let folder = folder();
    let found: BTreeSet<String> = every_command(folder.path()).iter().map(|words| words.join(" ")).collect();
    let text = section("Commands");
    let promised = quoted(text.split("| status |").next().unwrap());
    assert_eq!(promised, found);
}

#[test]
fn the_endpoints_are_those_of_the_page() {
    // One of them is known to the tokens as well, and those of links to the mails.
    let source = concat!(
        include_str!("../../src/endpoints/mod.rs"),
        "    ",
        include_str!("../../src/tokens.rs"),
        include_str!("../../src/mailing/letters.rs")
    );
    let of_constants =
        source.lines().filter(|line| line.trim().starts_with("pub const ") && line.contains(": &str = \"/"));
    let of_health = source.lines().filter(|line| line.contains(".route(\"/health/"));
    let served: BTreeSet<String> =
        of_constants.chain(of_health).filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect();
    let promised: BTreeSet<String> =
        quoted(&section("Endpoints")).into_iter().filter(|text| text.starts_with('/')).collect();
    assert_eq!(promised, served);
    assert!(served.len() > 10, "{served:?}");
}

/// The paths of the members of a document; of lists, those of the first item.
fn members(document: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    found.insert(path.clone());
                    walk(value, &path, found);
                }
            }
            Value::Array(items) => items.iter().take(1).for_each(|item| walk(item, &format!("{path}[]"), found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(document, "", &mut found);
    found
}

/// A command that prints the document of a row of the page.
fn words_of(command: &str) -> String {
    let more = match command.trim_end_matches(" --json") {
        "init" => "--client first --redirect-uri https://first.example.com/cb",
        "client new" => "other --name Other --redirect-uri https://o.example.com/cb",
        "client rotate-secret" | "client show" | "client claim list" | "client role list" | "unthrottle client" => {
            "reports"
        }
        "client disable" | "client enable" | "client delete" => "second --yes",
        "client edit" => "second --set client_name=Second --yes",
        "user add" => "erin --email erin@example.com --password-stdin",
        "user set-password" => "bob --password-stdin",
        "user disable" => "bob --yes",
        "user enable" | "user reset-link" | "user factor link" => "bob",
        "user edit" => "bob --nickname Bobby",
        "user delete" | "user erase" => "erin --yes",
        "user show" | "user sessions list" | "user factor list" | "user claim list" | "unthrottle user" => "alice",
        "user sessions end" | "user factor remove" => "alice --all --yes",
        "user invite" => "ivy@example.com",
        "user import" => "people.jsonl",
        "group new" | "group show" | "group claim list" => "staff",
        "group edit" => "staff --second-factor 14",
        "group add" => "staff alice",
        "group remove" => "finance alice",
        "group delete" => "finance --yes",
        "group sync" => "groups.toml --yes",
        "group claim set" => "staff level 5",
        "group claim unset" => "staff level",
        "user claim set" => "alice level 5",
        "user claim unset" => "alice level",
        "client claim set" => "reports team --from claim:level --yes",
        "client claim unset" => "reports team --yes",
        "client role set" | "client role unset" => "reports Admin staff --yes",
        "scope new" => "jobs:run --description Jobs",
        "scope delete" => "jobs:run --yes",
        "access CLIENT USER" => return "access reports alice --json".to_owned(),
        "access CLIENT" => return "access reports --json".to_owned(),
        "access --user USER" => return "access --user alice --json".to_owned(),
        "key new --for factors" => return "key new --for factors --keys made --json".to_owned(),
        "key new" => "--alg EdDSA --signs-from 2026-01-01T00:00:00Z --keys made",
        "key plan" => "--keys ended",
        "key retire" => "eddsa.2026-01-01T000000Z.pem --without-successor --yes --keys made",
        "unthrottle network" => "203.0.113.7",
        "preview" => "reports alice",
        "preview --diff FILE" => return "preview reports alice --diff saved.json --json".to_owned(),
        "texts show" => "en",
        "texts mail" => "password_link",
        "texts check" => "--texts own --languages en,it",
        "texts missing" => "it --texts own --languages en,it",
        "audit prune" => "--older-than 365d --yes",
        "audit erase" => "--sub alice-sub --yes",
        "explain --user NAME" => return "explain --user alice --json".to_owned(),
        _ => return command.to_owned(),
    };
    format!("{command} {more}")
}

/// A command without `--json` is one that the page says to have none; every other has its row there.
#[test]
fn every_command_prints_json_or_is_one_that_the_page_leaves_out() {
    let folder = folder();
    let text = section("JSON");
    let left_out = text.lines().find_map(|line| line.strip_prefix("Without `--json`: ")).unwrap();
    let left_out: BTreeSet<String> = quoted(left_out);
    // What begins with a capital letter or a dash is an argument.
    let is_word = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let of_row = |(row, _): &(String, String)| row.split(' ').take_while(is_word).collect::<Vec<_>>().join(" ");
    let with_row: BTreeSet<String> = rows(&text).iter().map(of_row).collect();
    let all = every_command(folder.path());
    assert!(all.len() > 30);
    let mut without = BTreeSet::new();
    for words in all {
        let command = words.join(" ");
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = done(run_with(folder.path(), &arguments, &[], "")).stdout;
        let has_json = help.lines().any(|line| line.trim_start().starts_with("--json"));
        assert_eq!(has_json, with_row.contains(&command), "{command}: --json and a row of the page belong together");
        if !has_json {
            without.insert(command);
        }
    }
    assert_eq!(without, left_out);
}

#[tokio::test]
async fn every_json_document_has_its_version_and_the_members_of_the_page() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.add_user(NewUser::alice()).await;
    let _ = provider.tokens(&crate::support::UserAgent::new(), &client).await;
    let refused = crate::support::UserAgent::new()
        .get(&provider.url("/authorize?client_id=reports&redirect_uri=https://reports.example/other"))
        .await;
    let reference = refused.header("x-request-id").unwrap().to_owned();
    provider.provider.audit.flush().await;
    let folder = provider.folder.path();
    let faulty = folder.join("migrations/20300101000000_faulty.sql");
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    provider.client("second").await;
    provider.add_user(NewUser::named("bob")).await;
    let _ = crate::second_factors::enrolled(&provider, "alice-sub").await;
    let _ = crate::second_factors::recovery_codes(&provider, "alice-sub").await;
    let lines = "{\"username\": \"carl\", \"email\": \"alice@example.com\"}\n{\"username\": \"dora\"}\n";
    fs::write(folder.join("people.jsonl"), lines).unwrap();
    fs::write(folder.join("groups.toml"), "[finance]\nmembers = [\"alice\"]\n").unwrap();
    fs::create_dir(folder.join("own")).unwrap();
    fs::write(folder.join("own/it.ftl"), "").unwrap();
    let (saved, ended) = (folder.join("saved.json"), folder.join("ended"));
    let preview = ["preview", "reports", "alice", "--json"];
    fs::write(&saved, done(run_with(folder, &preview, &variables, "")).stdout).unwrap();
    let table = rows(&section("JSON"));
    assert!(table.len() >= 35);
    for (command, listed) in table {
        // A finding and a difference to look at.
        match command.as_str() {
            "migrate --check --json" | "client lint --json" => {
                fs::write(&faulty, "INSERT INTO nothing VALUES (1);").unwrap();
            }
            "preview --diff FILE --json" => provider.sql("UPDATE users SET name = 'Another'").await,
            "key plan --json" => {
                fs::create_dir(&ended).unwrap();
                for file in files_in(&folder.join("keys")) {
                    let copy = match file.split('.').next().unwrap() {
                        "rs256" => "rs256.2025-01-01T000000Z.retired-2025-06-01T000000Z.pem",
                        "factors" => "factors.2025-01-01T000000Z.key",
                        _ => continue,
                    };
                    fs::copy(folder.join("keys").join(&file), ended.join(copy)).unwrap();
                }
                provider.sql("UPDATE user_factors SET key_id = 'lost' WHERE kind = 'recovery_codes'").await;
            }
            _ => {}
        }
        let words = words_of(&command).replace("REFERENCE", &reference);
        let arguments: Vec<&str> = words.split(' ').collect();
        let outcome = run_with(folder, &arguments, &variables, "a password of bob\n");
        let _ = fs::remove_file(folder.join("hallpass.toml"));
        let text = if command == "audit list --json" {
            outcome.stdout.lines().next().unwrap_or_default()
        } else {
            &outcome.stdout
        };
        let document: Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{command}: {error}: {outcome:?}"));
        assert_eq!(document["version"], 1, "{command}");
        let (found, promised) = (members(&document), quoted(&listed));
        for path in promised
            .iter()
            .filter(|path| *path != "clients" || !command.starts_with("client ") || command.starts_with("client list"))
        {
            assert!(found.contains(path), "{command} has no {path}: {found:?}");
        }
        let _ = fs::remove_file(&faulty);
        if listed.contains("every column") {
            continue;
        }
        let top: BTreeSet<&String> = found.iter().filter(|path| !path.contains(['.', '['])).collect();
        for path in top.into_iter().filter(|path| *path != "version") {
            assert!(promised.contains(path), "{command}: the page does not tell of {path}");
        }
    }
}

/// What another version printed is not taken for what this one understands.
#[tokio::test]
async fn a_document_of_another_form_is_refused_by_its_reader() {
    let provider = TestProvider::start().await;
    provider.client("reports").await;
    provider.add_user(NewUser::alice()).await;
    let file = provider.folder.path().join("kept");
    let path = file.display().to_string();
    let kept = |text: &str| {
        fs::write(&file, text.replace("\"version\": 1", "\"version\": 2").replace("\"version\":1", "\"version\":2"))
    };
    for (print, read) in [
        (vec!["preview", "reports", "alice", "--json"], vec!["preview", "reports", "alice", "--diff", &path]),
        (vec!["audit", "verify", "--json"], vec!["audit", "verify", "--heads", &path]),
        (vec!["audit", "export"], vec!["audit", "verify", "--file", &path]),
    ] {
        let printed = done(provider.command(&print, "")).stdout;
        fs::write(&file, &printed).unwrap();
        done(provider.command(&read, ""));
        kept(&printed).unwrap();
        let refused = provider.command(&read, "");
        assert_eq!(refused.status, 1, "{read:?}");
        assert!(refused.stderr.contains("this version"), "{refused:?}");
    }
}
