//! The rules that a compiler does not keep: the direction of imports, who may name which library, how a file
//! begins and how long it may be, that the README tells of every setting and command, and that each has a use; and that
//! what documents and comments refer to is there.

use crate::support::program;
use hallpass::config::SETTINGS;
use std::collections::{BTreeMap, BTreeSet};
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
        // The build script is no part of the crate.
        .filter(|(name, _)| name != "build.rs")
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

/// The floor of each module, as `docs/architecture.md` draws them: a module that names another is above it.
fn floor_of(module: &str) -> u32 {
    match module {
        "main" => 13,
        "lib" | "commands" => 12,
        "startup" | "server" => 11,
        "endpoints" | "sign_ins" => 10,
        "caller" | "logout" => 9,
        "tokens" => 8,
        "allowance" | "mailing" | "passkeys" | "second_factor" => 7,
        "provider" => 6,
        "throttle" => 5,
        "audit" | "web" => 4,
        "store" => 3,
        "keys" | "mail" | "passwords" | "webauthn" => 2,
        "ambient" | "background" | "config" | "logging" => 1,
        "failure" | "protocol" | "texts" => 0,
        other => panic!("src/{other} is new: say here on which floor it is"),
    }
}

fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

#[test]
fn a_module_that_names_another_is_above_it() {
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

/// Each library in one place, so that it can be exchanged there.
#[test]
fn a_library_is_named_in_its_own_place_only() {
    for (library, places) in [
        ("sqlx", &["store/"][..]),
        ("sqlparser", &["store/statements.rs"]),
        ("redis", &["store/"]),
        ("josekit", &["keys.rs", "keys/"]),
        ("lettre", &["mail.rs"]),
        ("minijinja", &["mailing/layout.rs"]),
        ("openssl", &["keys.rs", "keys/", "passwords/foreign.rs"]),
        ("argon2", &["passwords/argon2id.rs"]),
        ("bcrypt", &["passwords/foreign.rs"]),
        ("precis_profiles", &["protocol/text.rs"]),
        ("fluent_bundle", &["texts.rs", "texts/"]),
        ("fluent_langneg", &["texts/languages.rs"]),
        ("fluent_syntax", &["texts.rs", "texts/"]),
        ("unic_langid", &["texts.rs", "texts/"]),
        ("roxmltree", &["config/"]),
        ("totp_rs", &["protocol/totp.rs"]),
        ("qrcode", &["second_factor/qr.rs"]),
        ("zxcvbn", &["passwords/strength.rs"]),
        ("webauthn_rs", &["webauthn.rs"]),
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
        assert!(is_used, "no file uses {library}, or it is looked for in a wrong way");
    }
}

/// What an event says that is no number and no word of the code is either personal, and can be erased, or one of these, which
/// an operator set or Hallpass made. Any other text does not compile as one that identifies no user.
#[test]
fn what_an_event_says_of_a_person_can_be_erased() {
    const IMPERSONAL: [&str; 13] = [
        "after_chain",
        "chain",
        "changed",
        "claim",
        "clients",
        "description",
        "group",
        "groups",
        "hash",
        "issuer",
        "keys",
        "scope",
        "source",
    ];
    let mut named = BTreeSet::new();
    for (file, text) in sources().into_iter().filter(|(file, _)| file != "protocol/audit/personal.rs") {
        let code = code_of(&text);
        for (at, _) in code.match_indices("Impersonal::") {
            let name = code[..at].trim_end().strip_suffix("\",").and_then(|before| before.rsplit_once(".with(\""));
            let (_, name) =
                name.unwrap_or_else(|| panic!("src/{file}: `Impersonal::` is for `.with(\"NAME\", …)` alone"));
            assert!(IMPERSONAL.contains(&name), "src/{file}: is {name:?} known to identify no user?");
            named.insert(name.to_owned());
        }
    }
    assert_eq!(named.iter().map(String::as_str).collect::<Vec<_>>(), IMPERSONAL);
}

/// The code that ships: without comments and without the tests beside it.
fn shipped_code_of(text: &str) -> String {
    code_of(text.split("#[cfg(test)]\nmod tests").next().unwrap())
}

/// Code that prints a failure takes its fix from a field; none writes one into a text, and none parses it back out.
#[test]
fn what_happened_and_its_fix_become_one_text_in_one_place() {
    for (file, text) in sources() {
        let code = shipped_code_of(&text);
        assert!(!code.contains("Fix:"), "src/{file} writes a fix into a text; `Failure::with_fix` takes it");
        assert_eq!(code.matches("= \"Fix\";").count(), usize::from(file == "failure.rs"), "src/{file}");
    }
}

/// What is between the brackets that open here, and the last of its parts at the top.
fn last_argument(code: &str) -> &str {
    let (mut depth, mut begins) = (0_i32, 0);
    for (at, c) in code.char_indices() {
        match c {
            // `->` closes nothing.
            '>' if code[..at].ends_with('-') => {}
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 1 => begins = at + 1,
            _ => {}
        }
        if depth == 0 {
            return code[begins..at].trim();
        }
    }
    ""
}

/// The functions of a text whose error is a bare text, each by its name.
fn failing_with_texts(code: &str) -> Vec<String> {
    let results = code.match_indices("Result<").map(|(at, _)| at);
    let failing = results.filter(|at| last_argument(&code[at + "Result".len()..]) == "String");
    failing.map(|at| word_at(code[..at].rsplit_once("fn ").map_or("", |(_, rest)| rest))).collect()
}

/// A parser of the command line may say what it wants in a text: clap makes wrong usage of it. The parsers of `config.rs`
/// and `config/urls.rs` are the same for settings, whose name and example `ConfigError` adds.
#[test]
fn only_the_parser_of_a_value_fails_with_a_text() {
    let sources = sources();
    let parsers: BTreeSet<String> = sources
        .iter()
        .flat_map(|(_, text)| text.split("value_parser = ").skip(1).map(str::to_owned).collect::<Vec<_>>())
        // `module::name`, and `name::<Type>()`.
        .map(|rest| {
            rest.split([',', ')', '('])
                .next()
                .unwrap()
                .split("::<")
                .next()
                .unwrap()
                .rsplit("::")
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(parsers.contains("parse_span") && parsers.contains("word"), "{parsers:?}");
    for (file, text) in sources.iter().filter(|(file, _)| {
        !matches!(file.as_str(), "config.rs" | "config/mail.rs" | "config/sign_up.rs" | "config/urls.rs")
    }) {
        for name in failing_with_texts(&shipped_code_of(text)) {
            assert!(parsers.contains(&name), "src/{file}: the error of {name} is a text; return a `Failure`");
        }
    }
}

/// What an enum or a struct of errors is called, with what it holds.
fn errors_of(code: &str) -> Vec<(String, String)> {
    code.split("thiserror::Error")
        .skip(1)
        .map(|rest| {
            let declared = ["enum ", "struct "]
                .into_iter()
                .filter_map(|word| rest.split_once(word))
                .max_by_key(|(before, _)| std::cmp::Reverse(before.len()));
            let (_, declared) = declared.expect("an error is an enum or a struct");
            (word_at(declared), declared.split("\n}").next().unwrap().to_owned())
        })
        .collect()
}

/// An error says what broke by its kind and its fields.
#[test]
fn no_error_is_a_finished_text() {
    let mut errors = BTreeSet::from(["Failure".to_owned(), "Fault".to_owned()]);
    for (file, text) in sources() {
        for (name, inside) in errors_of(&shipped_code_of(&text)) {
            for (at, _) in inside.match_indices('(') {
                let held = inside[at + 1..].split(')').next().unwrap().rsplit([']', ' ']).next().unwrap();
                assert!(held != "String", "src/{file}: a variant of {name} is a text");
            }
            errors.insert(name);
        }
    }
    assert!(errors.contains("StoreError") && errors.contains("KeyError") && errors.len() > 6, "{errors:?}");
    for (file, text) in sources() {
        let code = code_of(&text);
        for made in code.split("impl From<").skip(1) {
            let (from, rest) = made.split_once("> for ").unwrap();
            let is_text = from == "String" || from.ends_with("str");
            assert!(!(is_text && errors.contains(&word_at(rest))), "src/{file}: {} is made of a text", word_at(rest));
        }
    }
}

#[test]
fn the_reader_of_errors_reads_them() {
    let code = "fn a(b: &str) -> Result<Option<(u8, String)>, String> {}\nfn c() -> Result<String, Failure> {}\n\
                fn d(read: impl Fn(&str) -> Result<u8, String>) {}";
    assert_eq!(failing_with_texts(code), ["a", "d"]);
    let code = "#[derive(Debug, thiserror::Error)]\npub enum E {\n    A(String),\n}\nstruct F(String);";
    assert_eq!(errors_of(code), [("E".to_owned(), "E {\n    A(String),".to_owned())]);
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
        // Names that begin alike are listed as `HALLPASS_A` · `…_B`, but each has to be there.
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
    let frame = ["base.html", "marks.html"]
        .map(|file| fs::read_to_string(root().join("templates").join(file)).unwrap())
        .concat();
    for setting in SETTINGS {
        let reader = format!("config.{}", setting.name);
        // What every page shows is read by its frame.
        let of_frame = format!("page.organization.{}", setting.name);
        let is_read = is_named(&reader, |file| file == "config.rs") || frame.contains(&of_frame);
        assert!(is_read, "no code reads {}", setting.name);
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
            assert!(is_read, "no code reads {column} of {name}");
        }
    }
}

/// The files under version control that a pattern of git matches, by their paths; none where this is no checkout.
fn tracked(patterns: &[&str]) -> Vec<String> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"];
    let listed = Command::new("git").args(arguments).args(patterns).current_dir(root()).output();
    let listed = String::from_utf8(listed.expect("git is installed").stdout).unwrap();
    listed.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn no_file_names_a_folder_of_a_developers_machine() {
    let mut files = tracked(&["."]);
    if files.is_empty() {
        // Not a checkout: what was unpacked is what is shipped.
        files = sources().into_iter().map(|(file, _)| format!("src/{file}")).collect();
    }
    assert!(files.len() > 40, "{files:?}");
    for file in files {
        // Pictures are no text, and a file may be deleted and not yet committed.
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        for folder in [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")] {
            assert!(!text.contains(folder), "{file} names {folder}");
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
    for name in tracked(&["*.md"]) {
        let path = root().join(&name);
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

/// A file that a document names in backticks is there, where it is named by its path from the top. A place where a reader
/// puts their own name says so in capitals.
#[test]
fn every_file_that_the_documents_for_developers_name_exists() {
    let is_path = |word: &&str| {
        let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
        is_plain && word.contains('/') && !word.starts_with('/') && !word.contains("NAME")
    };
    for (document, least) in [("docs/architecture.md", 80), ("CONTRIBUTING.md", 10)] {
        let page = fs::read_to_string(root().join(document)).unwrap();
        let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_path).collect();
        for path in &named {
            assert!(root().join(path).exists(), "{document} names {path}, which is not there");
        }
        assert!(named.len() >= least, "{document}: {named:?}");
    }
}

#[test]
fn the_readme_leads_to_every_document() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let documents = tracked(&["docs/*.md", "CONTRIBUTING.md", "CHANGELOG.md"]);
    for document in &documents {
        assert!(readme.contains(&format!("]({document})")), "README.md does not link {document}");
    }
}

/// The picture of the floors in `docs/architecture.md`: the floor of each module, and the arrows.
fn picture() -> (BTreeMap<String, u32>, BTreeSet<(String, String)>) {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let rest = page.split_once("```mermaid\nflowchart").expect("the page has a picture").1;
    let (mut modules, mut arrows, mut floor) = (BTreeMap::new(), BTreeSet::new(), 0);
    for line in rest.split("```").next().unwrap().lines().skip(1).map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix("subgraph ") {
            floor = title.split('"').nth(1).and_then(|number| number.parse().ok()).expect("a floor has a number");
        } else if let Some((from, to)) = line.split_once(" --> ") {
            arrows.extend(to.split(" & ").map(|to| (from.to_owned(), to.to_owned())));
        } else if line != "end" {
            assert!(line.chars().all(is_word), "what is {line:?} in the picture?");
            assert_eq!(modules.insert(line.to_owned(), floor), None, "{line} is there twice");
        }
    }
    (modules, arrows)
}

/// Who names whom; the binary says `hallpass` instead of `crate`.
fn imports() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (file, text) in sources() {
        let module = module_of(&file);
        let named = modules_named_in(&code_of(&text).replace("hallpass::", "crate::"));
        found.extend(named.into_iter().filter(|named| named != module).map(|named| (module.to_owned(), named)));
    }
    found
}

#[test]
fn the_picture_of_the_floors_has_every_module_on_its_own() {
    let expected: BTreeMap<String, u32> =
        sources().iter().map(|(file, _)| module_of(file)).map(|module| (module.to_owned(), floor_of(module))).collect();
    assert_eq!(picture().0, expected);
}

/// The picture leaves out what follows from its other arrows, and nothing else.
#[test]
fn an_arrow_of_the_picture_goes_down_and_is_an_import_and_every_import_has_a_way_along_them() {
    let (arrows, imports) = (picture().1, imports());
    for arrow in &arrows {
        let (from, to) = arrow;
        assert!(floor_of(from) > floor_of(to), "{from} --> {to} does not go down");
        assert!(imports.contains(arrow), "{from} names nothing of {to}");
    }
    for (from, to) in imports {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = open.pop() {
            let next = arrows.iter().filter(|(from, _)| *from == module).map(|(_, to)| to.clone());
            open.extend(next.filter(|to| reached.insert(to.clone())));
        }
        assert!(reached.contains(&to), "{from} names {to}, and no arrow leads there");
    }
}

/// The keys that a file makes for the short-lived store, by how they begin: `"code:{…}"`.
fn keys_made_in(code: &str) -> BTreeSet<String> {
    let texts = code.split('"').skip(1).step_by(2);
    let beginnings = texts.filter_map(|text| text.split_once(":{")).map(|(beginning, _)| beginning.to_owned());
    beginnings.filter(|it| !it.is_empty() && it.chars().all(|c| c.is_ascii_lowercase() || c == '-')).collect()
}

#[test]
fn a_file_that_keeps_something_for_a_while_says_at_its_head_under_which_key() {
    let mut told = BTreeSet::new();
    for (file, text) in sources() {
        let heads = text.lines().filter_map(|line| line.strip_prefix("//! Key: "));
        let heads: BTreeSet<String> = heads
            .flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|key| Some(key.split_once(":{")?.0.to_owned()))
            .collect();
        let is_kept_there =
            ["src/store", "src/throttle", "src/allowance"].iter().any(|place| format!("src/{file}").starts_with(place));
        if is_kept_there && code_of(&text).contains("phemeral") && !file.starts_with("store/ephemeral") {
            for made in keys_made_in(&code_of(&text)) {
                assert!(heads.contains(&made), "src/{file} makes the key {made}: and does not say so at its head");
            }
        }
        for head in &heads {
            assert!(
                code_of(&text).contains(&format!("\"{head}")),
                "src/{file} tells of a key {head}: that it does not make"
            );
        }
        told.extend(heads);
    }
    assert!(told.len() >= 8, "{told:?}");
}

/// What in a comment says that the reason is in some other place, which its reader does not have.
const CITATIONS: [&str; 10] = [
    "House,",
    "house, section",
    "Design,",
    "design, section",
    "design:",
    "the design",
    "The design",
    "Issue \"",
    "issue \"",
    "commitment ",
];

/// Why a comment sends its reader to something that is not in the repository, if it does.
fn stray_citation(file: &str, comment: &str) -> Option<String> {
    if let Some(citation) = CITATIONS.iter().find(|citation| comment.contains(*citation)) {
        return Some(format!("it cites {citation:?}"));
    }
    let words = comment.split(|c: char| c.is_whitespace() || "`()[]<>,;\"'".contains(c));
    let is_document = |word: &&str| Path::new(word).extension().is_some_and(|extension| extension == "md");
    let documents = words.map(|word| word.trim_end_matches(['.', ':'])).filter(is_document);
    let beside = root().join(file).parent().unwrap().to_owned();
    documents
        .filter(|word| !word.contains("://"))
        .find(|word| !root().join(word).exists() && !beside.join(word).exists())
        .map(|word| format!("there is no {word}"))
}

#[test]
fn no_comment_cites_a_document_that_is_not_in_the_repository() {
    let mut comments = 0;
    for file in tracked(&["src", "tests", "benches", "examples", "migrations", ".ci", "*.toml"]) {
        // Pictures are no text, and documents have a test of their own.
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        let begins = |line: &&str| ["//", "#", "--", "/*", "*", "\"\"\""].iter().any(|sign| line.starts_with(sign));
        for comment in text.lines().map(str::trim).filter(begins) {
            comments += 1;
            let stray = stray_citation(&file, comment);
            assert_eq!(stray, None, "{file}: {comment}");
        }
    }
    assert!(comments > 3000, "the comments are not where they are looked for: {comments}");
}

#[test]
fn the_reader_of_citations_reads_them() {
    let stray = |comment| stray_citation("src/lib.rs", comment).is_some();
    for bad in
        ["//! As it is. Issue \"What is wanted\".", "/// House, section 4.", "// See `docs/wishes.md`.", "# the design"]
    {
        assert!(stray(bad), "{bad}");
    }
    for good in
        ["/// Issues a code.", "// See `docs/failures.md`.", "/// RFC 6749 section 3.3", "// https://a.example/b.md"]
    {
        assert!(!stray(good), "{good}");
    }
}

/// One voice, the field's: these words were replaced, and do not come back.
const REPLACED: &[(&str, &str)] = &[
    ("mend", "fix"),
    ("mends", "fixes"),
    ("door", "endpoint"),
    ("doors", "endpoints"),
    ("paper", "specification"),
    ("papers", "specifications"),
    ("dice", "randomness"),
    ("farewell", "sign-out"),
    ("goodbye", "sign-out"),
    ("keep_house", "sweep_expired"),
    ("patiently", "retry_until_ready"),
    ("is_away", "is_unreachable"),
    ("afterlife", "TOMBSTONE_TTL"),
    ("go_on", "redirect_to_authorize"),
    ("is_about", "set_client"),
    ("of_message", "audit_event"),
    ("not_like_this", "method_not_allowed"),
    ("nothing_here", "not_found"),
    ("doubt", "warning"),
    ("doubts", "warnings"),
    ("complaint", "error"),
    ("under way", "in progress"),
    ("whoever", "the user, operator, client, relying party, caller or attacker"),
    ("somebody", "a user, an operator, a client, another"),
    ("anybody", "any client, any caller, a user"),
    ("begun", "started"),
    ("began", "started"),
    ("becomes of", "the outcome of"),
    ("found wanting", "failed checks"),
    ("goes on", "continues"),
    ("kept by its makers", "supported upstream"),
    ("leads on and on", "redirects in a loop"),
    ("letter by letter", "byte for byte"),
    ("rests", "is stored"),
    ("takes part", "supports"),
    ("to the letter", "exactly, byte for byte"),
    ("whichever hand", "however it is changed"),
];

/// Words that are left as data of tests only; the number can only shrink.
const FEW: &[(&str, &str, usize)] = &[("nobody", "no user, no client, no request", 61)];

/// Where a word is in a text as a whole, in lower case.
fn whole_words(text: &str, word: &str) -> usize {
    let is_whole = |at: usize| {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        [before, after].iter().flatten().all(|c| !is_word(*c))
    };
    text.match_indices(&word.to_lowercase()).filter(|(at, _)| is_whole(*at)).count()
}

#[test]
fn replaced_words_do_not_come_back() {
    let files =
        tracked(&["*.rs", "*.html", "*.md", "*.ftl", "*.js", "*.mjs", "*.py", "*.cs", "*.snap", "templates/*.txt"]);
    assert!(files.is_empty() || files.len() > 100, "{files:?}");
    let mut few = vec![0; FEW.len()];
    for file in files.into_iter().filter(|file| file != "tests/spec/architecture.rs") {
        let text = fs::read_to_string(root().join(&file)).unwrap().to_lowercase();
        for (word, better) in REPLACED {
            assert_eq!(whole_words(&text, word), 0, "{file}: {word:?}; say {better:?}");
        }
        for (count, (word, ..)) in few.iter_mut().zip(FEW) {
            *count += whole_words(&text, word);
        }
    }
    for (count, (word, better, most)) in few.into_iter().zip(FEW) {
        assert!(count <= *most, "{word:?} is there {count} times, more than {most}; say {better:?}");
    }
}

/// Parts of names that were replaced, and the names that stay: in stored events, and as the word of `clients.access`.
const REPLACED_IN_NAMES: [&str; 8] =
    ["anybody", "began", "begun", "everybody", "nobody", "somebody", "stands", "whoever"];
const STORED_NAMES: [&str; 2] = ["chain_begun", "everybody"];

#[test]
fn replaced_words_do_not_come_back_in_names() {
    for file in tracked(&["*.rs"]).into_iter().filter(|file| file != "tests/spec/architecture.rs") {
        let code = code_of(&fs::read_to_string(root().join(&file)).unwrap());
        for name in code.split(|c| !is_word(c)).filter(|name| !STORED_NAMES.contains(name)) {
            // A user of a test may be called nobody.
            let is_replaced =
                |part: &str| REPLACED_IN_NAMES.contains(&part) && (part != "nobody" || name.contains('_'));
            assert!(!name.split('_').any(is_replaced), "{file}: {name}");
        }
    }
}
