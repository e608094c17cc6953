//! The house rules that a compiler does not keep: the direction of imports, who may name which library, how a file
//! begins and how long it may be, that the README tells of every setting and command, and that each has a use.

use crate::support::program;
use hallpass::config::SETTINGS;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Longer is a question, and beyond this the answer is no.
const MOST_LINES: usize = 750;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file of `src`, by its path within, with its text.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let folder = root().join("src");
    let mut found = Vec::new();
    walk(&folder, &mut found);
    found.sort();
    assert!(found.len() > 40, "the source is not where it is looked for");
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The text without comments and documentation: lines that begin with `//`.
fn code_of(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word_at(text: &str) -> String {
    text.chars().take_while(|c| is_word(*c)).collect()
}

/// The modules of this crate that some code names, also several in braces: `crate::{logging, store::users}`.
fn modules_named_in(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `hallpass` is how the binary says `crate`; `$crate` and `pub(crate)` do not come with a colon before.
        let rest = &code[at + "crate::".len()..];
        let Some(inside) = rest.strip_prefix('{') else {
            named.insert(word_at(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, c) in inside.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && is_word(c) => {
                    named.insert(word_at(&inside[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    named
}

/// The floor of each module, as `docs/architecture.md` draws them: whoever names another stands above it.
fn floor_of(module: &str) -> u32 {
    match module {
        "main" => 13,
        "lib" | "commands" => 12,
        "startup" | "server" => 11,
        "endpoints" | "sign_ins" => 10,
        "caller" | "logout" => 9,
        "tokens" => 8,
        "allowance" => 7,
        "provider" => 6,
        "throttle" => 5,
        "audit" | "web" => 4,
        "store" => 3,
        "keys" | "passwords" => 2,
        "ambient" | "background" | "config" | "logging" => 1,
        "protocol" => 0,
        other => panic!("src/{other} is new: say here on which floor it is"),
    }
}

fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

#[test]
fn whoever_names_a_module_stands_above_it() {
    let mut arrows = 0;
    for (file, text) in sources() {
        let module = module_of(&file);
        for named in modules_named_in(&code_of(&text)).into_iter().filter(|named| named != module) {
            arrows += 1;
            assert!(floor_of(module) > floor_of(&named), "src/{file} names {named}, which does not lie below it");
        }
    }
    assert!(arrows > 300, "the imports are not where they are looked for: {arrows}");
}

/// The stores know nothing of the web and the web nothing of tables: `web` may name `store` for its error only.
#[test]
fn the_web_layer_names_the_stores_error_and_nothing_else_of_them() {
    for (file, text) in sources().into_iter().filter(|(file, _)| module_of(file) == "web") {
        let code = code_of(&text);
        for (at, _) in code.match_indices("store::") {
            let what = word_at(&code[at + "store::".len()..]);
            assert_eq!(what, "StoreError", "src/{file}");
        }
    }
    for (file, text) in sources().into_iter().filter(|(file, _)| module_of(file) == "store") {
        let named = modules_named_in(&code_of(&text));
        for above in ["web", "keys", "passwords"] {
            assert!(!named.contains(above), "src/{file} names {above}");
        }
    }
}

#[test]
fn the_reader_of_imports_reads_them() {
    let code = "use crate::store::users::{self, NewUser};\nuse crate::{logging, store::{a, b}, startup};\nfn f() { crate::keys::x() }";
    let named: Vec<String> = modules_named_in(code).into_iter().collect();
    assert_eq!(named, ["keys", "logging", "startup", "store"]);
}

/// Whether some code names the library: as a path, or as a whole word after `use`.
fn names_library(code: &str, library: &str) -> bool {
    code.match_indices(library).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + library.len()..];
        let is_own_module = code[..at].ends_with("store::") || code[..at].ends_with("self::");
        let is_whole = !before.is_some_and(|c| is_word(c) || c == '"' || c == '-');
        is_whole && !is_own_module && after.starts_with("::")
    })
}

/// House, section 4: each library in one place, so that it can be exchanged there.
#[test]
fn a_library_is_named_in_its_own_place_only() {
    for (library, places) in [
        ("sqlx", &["store/"][..]),
        ("sqlparser", &["store/statements.rs"]),
        ("redis", &["store/"]),
        ("josekit", &["keys.rs", "keys/"]),
        ("openssl", &["keys.rs", "keys/"]),
        ("argon2", &["passwords.rs"]),
        ("precis_profiles", &["protocol/text.rs"]),
        ("openidconnect", &["commands/demo", "commands/doctor"]),
    ] {
        let mut is_used = false;
        for (file, text) in sources() {
            if names_library(&code_of(&text), library) {
                let is_at_home = places.iter().any(|place| file.starts_with(place));
                assert!(is_at_home, "src/{file} names {library}, which belongs to {places:?}");
                is_used = true;
            }
        }
        assert!(is_used, "nobody uses {library}, or it is looked for in a wrong way");
    }
}

/// What an event says that is no number and no word of the code is either personal, and can be erased, or one of these, which
/// an operator set or Hallpass made. Any other text does not compile as one that tells of nobody.
#[test]
fn what_an_event_says_of_a_person_can_be_erased() {
    const IMPERSONAL: [&str; 8] = ["after_chain", "chain", "clients", "description", "hash", "issuer", "keys", "scope"];
    let mut named = BTreeSet::new();
    for (file, text) in sources().into_iter().filter(|(file, _)| file != "protocol/audit/personal.rs") {
        let code = code_of(&text);
        for (at, _) in code.match_indices("Impersonal::") {
            let name = code[..at].trim_end().strip_suffix("\",").and_then(|before| before.rsplit_once(".with(\""));
            let (_, name) =
                name.unwrap_or_else(|| panic!("src/{file}: `Impersonal::` is for `.with(\"NAME\", …)` alone"));
            assert!(IMPERSONAL.contains(&name), "src/{file}: is {name:?} known to tell of nobody?");
            named.insert(name.to_owned());
        }
    }
    assert_eq!(named.iter().map(String::as_str).collect::<Vec<_>>(), IMPERSONAL);
}

#[test]
fn every_file_opens_with_what_it_owns() {
    for (file, text) in sources() {
        assert!(text.starts_with("//! "), "src/{file} does not open with a line of `//!`");
    }
}

#[test]
fn no_file_is_too_long_to_be_read_in_one_go() {
    for (file, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "src/{file} has {lines} lines; {MOST_LINES} are the most");
    }
}

/// The words of the list of commands in a help text.
fn commands_in(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|word| word != "help")
        .collect()
}

/// Every command in full, as the binary itself lists them.
fn commands() -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let mut found = Vec::new();
    for command in commands_in(&program::run(folder.path(), &["--help"]).stdout) {
        let below = commands_in(&program::run(folder.path(), &[&command, "--help"]).stdout);
        if below.is_empty() {
            found.push(command);
        } else {
            found.extend(below.into_iter().map(|below| format!("{command} {below}")));
        }
    }
    found
}

#[test]
fn the_readme_names_every_setting_and_every_command() {
    let readme = fs::read_to_string(root().join("README.md")).expect("there is a README.md");
    for setting in SETTINGS {
        let variable = setting.variable();
        // Names that begin alike are listed as `HALLPASS_A` · `…_B`, but each has to stand there.
        let short = format!("…_{}", setting.name.to_uppercase());
        assert!(readme.contains(&variable) || readme.contains(&short), "README.md does not name {variable}");
    }
    let commands = commands();
    assert!(commands.contains(&"client new".to_owned()) && commands.contains(&"serve".to_owned()), "{commands:?}");
    for command in commands {
        assert!(readme.contains(&command), "README.md does not name `hallpass {command}`");
    }
}

/// A setting or a column that does nothing would be believed.
#[test]
fn every_setting_and_every_column_has_a_reader() {
    let sources = sources();
    let is_named = |word: &str, is_left_out: fn(&str) -> bool| {
        sources.iter().filter(|(file, _)| !is_left_out(file)).any(|(_, text)| {
            let code = code_of(text);
            code.match_indices(word).any(|(at, _)| {
                !code[..at].chars().next_back().is_some_and(is_word)
                    && !code[at + word.len()..].chars().next().is_some_and(is_word)
            })
        })
    };
    for setting in SETTINGS {
        let reader = format!("config.{}", setting.name);
        assert!(is_named(&reader, |file| file == "config.rs"), "nobody reads {}", setting.name);
    }
    for (_, name, text) in hallpass::store::migrations::built_in() {
        let columns = text.lines().filter_map(|line| {
            let (column, rest) = line.strip_prefix("    ")?.split_once(' ')?;
            let kind = rest.split_whitespace().next()?.trim_end_matches(',');
            ["TEXT", "BIGINT", "INTEGER"].contains(&kind).then_some(column)
        });
        for column in columns {
            // What the lint knows of a column is no use of it.
            let is_read =
                is_named(column, |file| file.starts_with("commands/client/lint") || file == "commands/judge.rs");
            assert!(is_read, "nobody reads {column} of {name}");
        }
    }
}

#[test]
fn no_file_names_a_folder_of_somebodys_machine() {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git is installed");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<PathBuf> = if listed.is_empty() {
        // Not a checkout: what was unpacked is what is shipped.
        sources().into_iter().map(|(file, _)| root().join("src").join(file)).collect()
    } else {
        listed.split('\0').filter(|name| !name.is_empty()).map(|name| root().join(name)).collect()
    };
    assert!(files.len() > 40, "{files:?}");
    for file in files {
        // Pictures are no text, and a file may be deleted and not yet committed.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for folder in [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")] {
            assert!(!text.contains(folder), "{} names {folder}", file.display());
        }
    }
}

/// How many tests a text names as `file::test`; each of them must be there.
fn tests_named_in(page: &str) -> usize {
    let mut count = 0;
    for name in page.split('`').filter(|word| word.contains("::") && word.chars().all(|c| is_word(c) || c == ':')) {
        let (file, test) = name.split_once("::").unwrap();
        let path = root().join("tests/spec").join(format!("{file}.rs"));
        let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(source.contains(&format!("fn {test}(")), "{name} is not there");
        count += 1;
    }
    count
}

/// The conformance page names tests.
#[test]
fn every_test_of_the_conformance_page_exists() {
    let named = tests_named_in(&fs::read_to_string(root().join("docs/conformance.md")).unwrap());
    assert!(named > 80, "{named}");
}

/// So does the page of what fails.
#[test]
fn every_test_of_the_page_of_failures_exists() {
    let named = tests_named_in(&fs::read_to_string(root().join("docs/failures.md")).unwrap());
    assert!(named > 30, "{named}");
}

/// So does the table of what went wrong at peers.
#[test]
fn every_test_that_a_table_names_exists() {
    let source = fs::read_to_string(root().join("tests/spec/lessons_of_peers.rs")).unwrap();
    let table: String = source.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
    assert!(tests_named_in(&table) > 30, "{table}");
}

/// A link of a document leads to a file that is there, pictures among them.
#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut checked = 0;
    let listed = Command::new("git").args(["ls-files", "-z", "*.md"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let path = root().join(name);
        let Ok(page) = fs::read_to_string(&path) else { continue };
        for target in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.contains(char::is_whitespace) {
                continue;
            }
            assert!(path.parent().unwrap().join(target).exists(), "{name} links to {target}, which is not there");
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
}
