//! The products that `hallpass client new --for` knows: each row is written, applied and found faultless, an authorization
//! request as the product sends it is taken to the login page, and `docs/services.md` and a part of `docs/conformance.md`
//! are what the table gives. `services_sign_in.rs` lets some of them sign in with what is printed.

use crate::support::program::{Outcome, done, refused, run, run_at_terminal};
use crate::support::verbs::CHALLENGE;
use crate::support::{TestProvider, UserAgent, documents, folder, party};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use url::form_urlencoded;

/// The table, by the names that `--for` takes.
fn table() -> BTreeMap<String, Value> {
    let text = done(run(folder().path(), &["client", "products", "--json"])).stdout;
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let products = document["products"].as_array_mut().unwrap().drain(..);
    products.map(|product| (word(&product, "product").to_owned(), product)).collect()
}

fn word<'a>(product: &'a Value, name: &str) -> &'a str {
    product[name].as_str().unwrap_or_default()
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|item| item.as_str().unwrap()).collect()
}

fn url_of(product: &str) -> String {
    format!("https://{product}.example.com")
}

/// What `client new` prints for a product, with the issuer of the documents.
fn new_in(folder: &Path, product: &str, more: &[&str]) -> Outcome {
    let url = url_of(product);
    let issuer = ["--issuer", "https://id.example.com/auth"];
    let new = ["client", "new", product, "--for", product, "--url", &url];
    run(folder, &[&new[..], &issuer, more].concat())
}

// ---- The row.

#[tokio::test]
async fn every_products_row_is_applied_and_faultless_and_its_request_comes_to_the_login_page() {
    let provider = TestProvider::start().await;
    let table = table();
    for product in table.keys() {
        let url = url_of(product);
        done(provider.command(&["client", "new", product, "--for", product, "--url", &url], ""));
    }
    let lint = done(provider.command(&["client", "lint", "--strict"], ""));
    assert_eq!(lint.stdout, "", "a finding");
    assert!(lint.stderr.contains(": 0 errors, 0 warnings, "), "{}", lint.stderr);
    done(provider.command(&["migrate"], ""));
    let listed = done(provider.command(&["client", "list"], ""));
    assert!(!listed.stdout.contains("faulty"), "{listed:?}");
    for (id, product) in &table {
        for redirect_uri in redirect_uris(id, product) {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(request(id, product, &redirect_uri));
            let browser = UserAgent::new();
            let page = browser.cross_site_get(&format!("{}?{}", provider.url("/authorize"), query.finish())).await;
            let page = provider.settle(&browser, page).await;
            assert_eq!((page.status.as_u16(), page.url.path()), (200, "/login"), "{id}: {page}");
        }
    }
}

fn redirect_uris(id: &str, product: &Value) -> Vec<String> {
    let whole = |path: &&str| if path.contains("://") { (*path).to_owned() } else { format!("{}{path}", url_of(id)) };
    words(&product["callback"]["paths"]).iter().map(whole).collect()
}

/// The parameters that the product sends, as far as the table tells.
fn request(id: &str, product: &Value, redirect_uri: &str) -> Vec<(String, String)> {
    let more = if product["refresh"].is_object() { " offline_access" } else { "" };
    let scope = format!("{}{more}", product["scope"]["asks"].as_str().unwrap());
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", id),
        ("redirect_uri", redirect_uri),
        ("scope", &scope),
        ("state", "the state"),
    ];
    if product["pkce"]["does"] != "never" {
        parameters.extend([("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]);
    }
    let sends = &product["sends"];
    if sends["nonce"] == true {
        parameters.push(("nonce", "the nonce"));
    }
    let more = sends["more"].as_object().into_iter().flatten();
    parameters.extend(more.map(|(name, value)| (name.as_str(), value.as_str().unwrap())));
    parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The file that `client new` writes.
fn migration(arguments: &[&str]) -> String {
    let folder = folder();
    let outcome = done(run(folder.path(), &[&["client", "new"], arguments].concat()));
    let file = fs::read_dir(folder.path().join("migrations")).unwrap().next().unwrap().unwrap();
    let sql = fs::read_to_string(file.path()).unwrap();
    let secret = outcome.stdout.find("hp_cs_").map(|at| &outcome.stdout[at..at + 49]);
    assert!(secret.is_none_or(|secret| !sql.contains(secret)), "the secret is in the file");
    sql
}

#[test]
fn a_row_has_what_the_product_needs_and_what_an_operator_says_comes_first() {
    let of = |product: &str| migration(&["service", "--for", product, "--url", "https://x.example.com/"]);
    // No PKCE, and both places where claims may be.
    let gitea = of("gitea");
    assert!(gitea.contains("'https://x.example.com/user/oauth2/hallpass/callback'"), "{gitea}");
    assert!(gitea.contains("'optional',") && gitea.contains("'yes',"), "{gitea}");
    // Userinfo only, the secret in the body.
    let jupyterhub = of("jupyterhub");
    assert!(jupyterhub.contains("'client_secret_post',") && jupyterhub.contains("'no',"), "{jupyterhub}");
    // Back channel, sign-out, both forms of its addresses.
    let nextcloud = of("nextcloud");
    for uri in [
        "/apps/user_oidc/code",
        "/index.php/apps/user_oidc/code",
        "/index.php/apps/user_oidc/backchannel-logout/hallpass",
        "/",
    ] {
        assert!(nextcloud.contains(&format!("'https://x.example.com{uri}'")), "{uri}: {nextcloud}");
    }
    // Public, on the user's machine, with refresh tokens and without a base address.
    let kubernetes = migration(&["k8s", "--for", "kubernetes"]);
    for value in
        ["'native',", "'none',", "'authorization_code refresh_token',", "'openid profile email offline_access',"]
    {
        assert!(kubernetes.contains(value), "{value}: {kubernetes}");
    }
    assert!(kubernetes.contains("'http://localhost:8000'") && !kubernetes.contains("client_secrets"), "{kubernetes}");
    // What is said is not replaced.
    let said = migration(&[
        "service",
        "--for",
        "gitea",
        "--url",
        "https://x.example.com",
        "--name",
        "Sources",
        "--scope",
        "openid",
        "--pkce",
        "required",
        "--post-logout-redirect-uri",
        "https://x.example.com/bye",
    ]);
    for value in ["'Sources',", "'openid',", "'required',", "'https://x.example.com/bye'"] {
        assert!(said.contains(value), "{value}: {said}");
    }
}

#[test]
fn the_base_address_follows_from_a_redirect_uri_as_well() {
    let sql = migration(&["g", "--for", "grafana", "--redirect-uri", "https://x.example.com/g/login/generic_oauth"]);
    assert!(sql.contains("'https://x.example.com/g/login'") && sql.contains("'https://x.example.com/g'"), "{sql}");
}

/// What `client new` prints on standard error.
fn told(arguments: &[&str]) -> String {
    let folder = folder();
    done(run(folder.path(), &[&["client", "new", "x"], arguments].concat())).stderr
}

#[test]
fn a_redirect_uri_that_does_not_fit_is_taken_and_told() {
    let misfit = "Grafana does not listen at the --redirect-uri https://x.example.com/callback\n  Fix: ";
    let uri = ["--for", "grafana", "--redirect-uri", "https://x.example.com/callback"];
    assert!(told(&uri).contains(misfit));
    assert!(told(&[&uri[..], &["--url", "https://x.example.com"]].concat()).contains(misfit));
    // The second one as well as the first.
    let right = ["--redirect-uri", "https://x.example.com/login/generic_oauth"];
    assert!(told(&[&["--for", "grafana"], &right[..], &uri[2..]].concat()).contains(misfit));
    assert!(!told(&[&["--for", "grafana", "--url", "https://x.example.com"], &right[..]].concat()).contains("Fix: "));
    assert!(!told(&["--for", "kubernetes", "--redirect-uri", "http://localhost:8000"]).contains("does not listen"));
    // One that the operator chooses is to be of the same service.
    let own = |url: &str| told(&["--for", "quarkus", "--redirect-uri", "https://x.example.com/a/cb", "--url", url]);
    for url in ["https://y.example.com", "https://x.example.com/ab", "https://x.example.com/b"] {
        assert!(own(url).contains(&format!("https://x.example.com/a/cb is not below {url}\n  Fix: ")), "{url}");
    }
    for url in ["https://x.example.com", "https://x.example.com/a"] {
        assert!(!own(url).contains("Fix: "), "{url}");
    }
}

#[test]
fn the_addresses_beside_an_own_callback_follow_from_it() {
    let uri = ["--redirect-uri", "https://x.example.com/app/cb"];
    let apache = [&["x", "--for", "mod-auth-openidc"], &uri[..]].concat();
    let sql = migration(&apache);
    for value in ["/app/cb", "/app/cb?logout=backchannel", "/app/", "/app"] {
        assert!(sql.contains(&format!("'https://x.example.com{value}'")), "{value}: {sql}");
    }
    assert!(!sql.contains("/oidc/callback"), "{sql}");
    assert!(told(&apache[1..]).contains("is taken to be at https://x.example.com/app, "));
    // The service may be elsewhere; its module still listens at its callback.
    let sql = migration(&[&apache[..], &["--url", "https://x.example.com"]].concat());
    for value in ["/app/cb?logout=backchannel", "/", ""] {
        assert!(sql.contains(&format!("'https://x.example.com{value}'")), "{value}: {sql}");
    }
    let sql = migration(&["x", "--for", "mod-auth-openidc", "--redirect-uri", "https://x.example.com/cb?a=b"]);
    assert!(sql.contains("'https://x.example.com/cb?a=b&logout=backchannel'"), "{sql}");
    let sql = migration(&[&["x", "--for", "quarkus"], &uri[..]].concat());
    assert!(sql.contains("'https://x.example.com/app/back-channel-logout'"), "{sql}");
    let sql = migration(&["x", "--for", "mod-auth-openidc", "--url", "https://x.example.com/a"]);
    assert!(sql.contains("'https://x.example.com/a/oidc/callback?logout=backchannel'"), "{sql}");
}

#[test]
fn where_neither_pkce_nor_nonce_is_sent_it_is_said_that_nothing_binds_a_code_to_its_browser() {
    let unbound = "nothing binds a code to the browser that asked for it";
    for (id, product) in table() {
        let nonce = product["sends"]["nonce"].as_bool();
        let url = url_of(&id);
        let mut cases = vec![(vec![], product["pkce"]["does"] == "never"), (vec!["--pkce", "required"], false)];
        if product["secret"]["sent"] != "none" {
            cases.push((vec!["--pkce", "optional"], true));
        }
        for (more, is_optional) in cases {
            let arguments = [&["x", "--for", &id, "--url", &url], &more[..]].concat();
            let (sql, told) = (migration(&arguments), told(&arguments[1..]));
            let is_unbound = is_optional && nonce == Some(false);
            assert_eq!(told.contains(unbound) && told.contains("RFC 9700"), is_unbound, "{id} {more:?}: {told}");
            assert_eq!(sql.contains(unbound), is_unbound, "{id} {more:?}: {sql}");
            assert_eq!(sql.contains("it must use nonce"), is_optional && !is_unbound, "{id} {more:?}: {sql}");
        }
        let habit = product["habits"].as_array().unwrap().iter().find(|habit| habit["habit"] == "PKCE").unwrap();
        let is_unbound = product["pkce"]["does"] == "never" && nonce == Some(false);
        assert_eq!(word(habit, "says").contains(unbound), is_unbound, "{habit}");
    }
}

#[test]
fn a_product_that_is_not_known_or_not_found_is_told_with_the_way_on() {
    let folder = folder();
    let wrong = |arguments: &[&str], texts: &[&str]| {
        let outcome = run(folder.path(), &[&["client", "new", "x"], arguments].concat());
        assert_eq!((outcome.status, outcome.stdout.as_str()), (2, ""), "{outcome:?}");
        for text in texts {
            assert!(outcome.stderr.contains(text), "{text:?} is not in {outcome:?}");
        }
    };
    wrong(&["--for", "grafna"], &["invalid value 'grafna'", "a similar value exists: 'grafana'", "nextcloud"]);
    wrong(&["--for", "grafana"], &["--url <URL>", "Grafana"]);
    wrong(&["--url", "https://x.example.com"], &["--for <PRODUCT>"]);
    for bad in ["grafana.example.com", "ftp://grafana.example.com", "https://grafana.example.com/?a=b"] {
        let outcome = run(folder.path(), &["client", "new", "x", "--for", "grafana", "--url", bad]);
        refused(&outcome, &["--url", "Fix: ", "https://grafana.example.com"]);
    }
    assert!(!folder.path().join("migrations").exists());
    let list = done(run(folder.path(), &["client", "products"])).stdout;
    assert!(list.contains("kubernetes") && list.contains("/login/generic_oauth"), "{list}");
    let one = done(run(folder.path(), &["client", "products", "kubelogin"])).stdout;
    assert!(one.starts_with("Kubernetes with kubelogin\n") && one.contains("https://github.com/int128/"), "{one}");
}

#[test]
fn at_a_terminal_a_product_is_asked_for_its_address_and_nothing_that_the_table_knows() {
    let folder = folder();
    let typed = "yes\nnot an address\nhttps://g.example.com\nyes\n";
    let outcome = done(run_at_terminal(folder.path(), &["client", "new", "grafana"], &[], typed));
    for text in [
        "It is Grafana, whose addresses and settings are known (yes, no) [yes]: ",
        "Where browsers find Grafana, such as https://grafana.example.com: ",
        "it is no address by https or http",
        "One of your own services",
        "[auth.generic_oauth]",
    ] {
        assert!(outcome.stdout.contains(text), "{text} is not in {}", outcome.stdout);
    }
    for absent in ["Redirect URI", "PKCE (S256)", "Settings to print", "Where it runs"] {
        assert!(!outcome.stdout.contains(absent), "{absent}: {}", outcome.stdout);
    }
    // Another service may have that name.
    let other = run_at_terminal(folder.path(), &["client", "new", "miniflux"], &[], "no\n");
    assert!(other.stdout.contains("Name, as users read it"), "{}", other.stdout);
    let named = ["client", "new", "wiki", "--for", "outline", "--consent", "skip"];
    let named = done(run_at_terminal(folder.path(), &named, &[], "https://wiki.example.com\n")).stdout;
    assert!(named.contains("OIDC_ISSUER_URL=") && !named.contains("One of your own"), "{named}");
}

#[test]
fn a_public_client_loses_its_secret_and_nothing_else_of_its_settings() {
    for (id, product) in table() {
        let folder = folder();
        let outcome = new_in(folder.path(), &id, &["--public"]);
        if product["pkce"]["does"] == "never" {
            refused(&outcome, &["--public", "sends no PKCE", "Fix: leave --public out"]);
            continue;
        }
        let settings = done(outcome);
        let is_known = product["secret"]["sent"] == "none";
        let warning = format!("{} is not known to work without a secret\n  Fix: ", word(&product, "name"));
        assert_ne!(settings.stderr.contains(&warning), is_known, "{id}: {settings:?}");
        assert!(
            !settings.stdout.contains("PUT THE SECRET") && !settings.stdout.contains("hp_cs_"),
            "{id}: {settings:?}"
        );
        if !product["stack"].is_null() {
            continue;
        }
        assert!(!settings.stdout.contains("@[") && !settings.stdout.contains("@]"), "{id}: {settings:?}");
        let files: Vec<&Value> =
            product["files"].as_array().unwrap().iter().filter(|file| file["is_secret"] != true).collect();
        let lines = files.iter().flat_map(|file| word(file, "text").lines());
        for line in lines.filter(|line| line.contains("@client_id@")) {
            let before = line.split("@client_id@").next().unwrap();
            let with = |quote: &str| settings.stdout.contains(&format!("{before}{quote}{id}"));
            assert!(["", "\"", "'"].into_iter().any(with), "{id}: {line}");
        }
        for (language, text) in files_of(&files, &settings.stdout) {
            parse(&id, &language, &text);
        }
    }
}

// ---- The settings.

/// The texts of the files of a product's settings, each without the line that says where it belongs.
fn files_of(files: &[&Value], settings: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = settings;
    for (index, file) in files.iter().enumerate() {
        let (heading, behind) = rest.split_once('\n').unwrap();
        assert!(heading.ends_with(word(file, "name")), "{heading}");
        let next = files.get(index + 1).map(|next| word(next, "name"));
        let end = next.map_or(behind.len(), |name| behind[..behind.find(name).unwrap()].rfind('\n').unwrap());
        found.push((word(file, "language").to_owned(), behind[..end].to_owned()));
        rest = behind[end..].trim_start_matches('\n');
    }
    found
}

#[test]
fn every_products_settings_have_its_values_and_no_place_that_is_not_filled() {
    for (id, product) in table() {
        let folder = folder();
        let settings = done(new_in(folder.path(), &id, &[])).stdout;
        assert!(settings.contains("https://id.example.com/auth") && settings.contains(&id), "{id}: {settings}");
        let is_public = product["secret"]["sent"] == "none";
        assert_eq!(settings.contains("hp_cs_"), !is_public, "{id}: {settings}");
        assert!(settings.ends_with('\n') && !settings.ends_with("\n\n"), "{id}: {settings:?}");
        let is_place = |word: &str| {
            let name = word.trim_start_matches('=');
            !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        if product["stack"].is_null() {
            let odd = settings.split('@').skip(1).find(|word| is_place(word));
            assert_eq!(odd, None, "{id}: {settings}");
            let files: Vec<&Value> = product["files"].as_array().unwrap().iter().collect();
            for (language, text) in files_of(&files, &settings) {
                parse(&id, &language, &text);
            }
        }
    }
}

/// Reads a text by a parser of its language, as far as there is one here.
fn parse(id: &str, language: &str, text: &str) {
    let script = match language {
        "yaml" => "import sys, yaml; assert yaml.safe_load(sys.stdin.read())",
        "python" => "import sys; compile(sys.stdin.read(), 'settings', 'exec')",
        "json" => "import json, sys; assert json.load(sys.stdin)",
        "ini" => {
            "import configparser, sys; configparser.ConfigParser(interpolation=None).read_string(sys.stdin.read())"
        }
        "toml" => return assert!(text.parse::<toml::Table>().is_ok(), "{id}: {text}"),
        "json-in-env" => {
            let json = text.split_once("='").unwrap().1.trim_end().trim_end_matches('\'');
            return assert!(serde_json::from_str::<Value>(json).is_ok(), "{id}: {json}");
        }
        "env" => {
            let is_line = |line: &str| line.split_once('=').is_some_and(|(name, _)| !name.contains(char::is_lowercase));
            return assert!(text.lines().all(is_line), "{id}: {text}");
        }
        _ => return,
    };
    let folder = folder();
    fs::write(folder.path().join("text"), text).unwrap();
    let input = fs::File::open(folder.path().join("text")).unwrap();
    let output = Command::new(party::python()).args(["-c", script]).stdin(input).output().unwrap();
    assert!(output.status.success(), "{id}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Others see the arguments of a process, and a shell keeps what was typed.
#[test]
fn a_command_reads_the_secret_from_the_terminal() {
    let mut commands = 0;
    for (id, product) in table() {
        let folder = folder();
        let settings = done(new_in(folder.path(), &id, &[])).stdout;
        let files: Vec<&Value> = product["files"].as_array().into_iter().flatten().collect();
        for (_, text) in files_of(&files, &settings).into_iter().filter(|(language, _)| language == "shell") {
            assert!(!text.contains("hp_cs_"), "{id}: {text}");
            if product["secret"]["sent"] == "none" {
                continue;
            }
            commands += 1;
            let program = text.lines().next().unwrap().rsplit("&& ").next().unwrap().split(' ').next().unwrap();
            let fake = format!("{program}() {{ printf '%s\\n' \"$@\"; printenv CLIENT_SECRET || true; }}\n{text}");
            fs::write(folder.path().join("typed"), "the secret\n").unwrap();
            let input = fs::File::open(folder.path().join("typed")).unwrap();
            let output = Command::new("bash").args(["-c", &fake]).stdin(input).output().unwrap();
            let got = String::from_utf8(output.stdout).unwrap();
            assert!(got.contains("\nthe secret\n") && got.contains(&format!("{id}\n")), "{id}: {text}\n{got}");
        }
    }
    assert!(commands >= 2, "{commands}");
}

#[test]
fn the_secret_of_argo_cd_is_in_its_kubernetes_secret() {
    let folder = folder();
    let settings = done(new_in(folder.path(), "argocd", &[])).stdout;
    let (secret, map) = settings.split_once("\n# argocd-cm").unwrap();
    assert!(secret.contains("kind: Secret") && secret.contains("oidc.hallpass.clientSecret: \"hp_cs_"), "{settings}");
    assert!(map.contains("clientSecret: $oidc.hallpass.clientSecret\n") && !map.contains("hp_cs_"), "{settings}");
    assert!(map.contains("# From Argo CD 3.1 on"), "{settings}");
}

/// A `client_id` with characters that mean something to a shell, to YAML, to PHP and to Apache.
#[test]
fn a_value_that_needs_quoting_is_quoted_in_each_language() {
    let id = "urn:example:${HOME}'#&*~\\\"";
    for (product, quoted) in [
        ("roundcube", "$config['oauth_client_id'] = 'urn:example:${HOME}\\'#&*~\\\\\"';"),
        ("gitlab", "identifier: 'urn:example:${HOME}\\'#&*~\\\\\"',"),
        ("grafana", "client_id = \"\"\"urn:example:${HOME}'#&*~\\\"\"\"\""),
        ("mod-auth-openidc", "OIDCClientID \"urn:example:${HOME}'#&*~\\\\\\\"\""),
        ("quarkus", "quarkus.oidc.client-id=urn:example:\\\\${HOME}'#&*~\\\\\""),
        ("synapse", "client_id: \"urn:example:${HOME}'#&*~\\\\\\\"\""),
        ("miniflux", "OAUTH2_CLIENT_ID='urn:example:${HOME}'\\''#&*~\\\"'"),
        ("paperless-ngx", "\"client_id\": \"urn:example:${HOME}\\u0027#&*~\\\\\\\"\""),
    ] {
        let folder = folder();
        let accept = ["--accept", "client-id: the product fixes it", "--url", "https://x.example.com"];
        let new = [&["client", "new", id, "--for", product][..], &accept].concat();
        let settings = done(run(folder.path(), &new)).stdout;
        assert!(settings.contains(quoted), "{product}: {quoted} is not in {settings}");
    }
}

#[tokio::test]
async fn the_settings_are_shown_later_with_a_place_for_the_secret() {
    let provider = TestProvider::start().await;
    let url = "https://x.example.com/g";
    done(provider.command(&["client", "new", "graphs", "--for", "grafana", "--url", url], ""));
    done(provider.command(&["migrate"], ""));
    let shown = done(provider.command(&["client", "show", "graphs", "--for", "grafana"], "")).stdout;
    assert!(shown.contains("root_url = https://x.example.com/g\n"), "{shown}");
    assert!(
        shown.contains("client_secret = PUT THE SECRET HERE\n") && shown.contains("client_id = graphs\n"),
        "{shown}"
    );
}

// ---- What was run.

/// What `tests/run --services` puts behind what it ran: the products that it does not run, each with the reason.
const OTHERS: &str = "tests/parties/services/others.md";

#[test]
fn every_product_was_run_or_is_named_with_the_reason_why_not() {
    let ran = documents::read("tests/services.md");
    let (ran, _) = ran.split_once("\n## ").expect("the page has what was not run");
    let page = format!("{ran}{}", documents::read(OTHERS));
    compare("tests/services.md", &page);
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let rows: Vec<(&str, &str)> = rows.filter(|(product, _)| !["product", "---"].contains(product)).collect();
    let named: BTreeSet<&str> = rows.iter().map(|(product, _)| *product).collect();
    assert_eq!(named.len(), rows.len(), "a product is there twice: {rows:?}");
    let table = table();
    assert_eq!(named, table.keys().map(String::as_str).collect());
    assert!(rows.iter().all(|(_, why)| why.trim_end_matches(['|', ' ']).len() > 3), "{rows:?}");
    let run = documents::read("tests/spec/services_run.rs");
    for (product, result) in rows.iter().filter(|(_, result)| result.contains(" | 20")) {
        assert!(run.contains(&format!("Trial::of(\"{product}\"")), "{product} is not run");
        assert!(result.contains(" | signed in | "), "{product}: {result}");
    }
    let tried = run.split("Trial::of(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let not_noted: Vec<&str> = tried.filter(|product| !page.contains(&format!("\n| {product} | "))).collect();
    assert_eq!(not_noted, [""; 0], "`tests/run --services` notes them");
}

/// Runs the part of `tests/run` that notes the products, in a folder, with a `cargo` of these lines.
fn note_products(folder: &Path, cargo: &str) -> (bool, String) {
    let script = documents::read("tests/run");
    let (_, rest) = script.split_once("\nservices() {").unwrap();
    let (functions, _) = rest.split_once("\nif [[").unwrap();
    let fake =
        format!("set -euo pipefail\nhas() {{ :; }}\ncargo() {{\n{cargo}\n}}\nservices() {{{functions}\nservices");
    let output = Command::new("bash").args(["-c", &fake]).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn the_page_of_what_was_run_has_new_rows_for_what_was_tried_and_stays_as_it_is_after_a_failure() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("tests/parties/services")).unwrap();
    fs::create_dir_all(folder.path().join("target/services")).unwrap();
    let page = documents::read("tests/services.md");
    fs::write(folder.path().join(OTHERS), documents::read(OTHERS)).unwrap();
    let written = || fs::read_to_string(folder.path().join("tests/services.md")).unwrap();
    fs::write(folder.path().join("tests/services.md"), &page).unwrap();
    let miniflux = "printf 'v9\\nsigned in\\n' >target/services/miniflux.result";
    let (is_done, text) = note_products(folder.path(), &format!("{miniflux}; return 3"));
    assert!(!is_done && text.contains("| miniflux | v9 | signed in |"), "{text}");
    assert_eq!(written(), page, "a failure");
    let (is_done, text) = note_products(folder.path(), "true");
    assert!(is_done, "{text}");
    assert_eq!(written(), page, "nothing was tried");
    let (is_done, text) = note_products(folder.path(), miniflux);
    assert!(is_done, "{text}");
    let is_other = |line: &&str| !line.starts_with("| miniflux ");
    let found = written();
    assert_eq!(found.lines().filter(is_other).collect::<Vec<_>>(), page.lines().filter(is_other).collect::<Vec<_>>());
    let rows: Vec<&str> = found.lines().filter(|line| !is_other(line)).collect();
    assert!(rows.len() == 1 && rows[0].starts_with("| miniflux | v9 | signed in | 20"), "{found}");
}

// ---- The pages that are made of the table.

/// How they are written again.
const AGAIN: &str = "UPDATE_DOCUMENTS=1 cargo test services::";

/// Compares a document with what it has to be, or writes it.
fn compare(path: &str, expected: &str) {
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(documents::root().join(path), expected).unwrap();
    }
    let found = documents::read(path);
    let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(found == expected, "{path} is not what it is made of: {differs:?}; `{AGAIN}` writes it");
}

/// An address of a source as a link of few words: the file, and where it is from.
fn link(source: &str) -> String {
    let (from, file) = source.trim_start_matches("https://").rsplit_once('/').unwrap();
    let from = from.trim_start_matches("github.com/").split('/').take(if from.contains("github.com") { 2 } else { 1 });
    format!("[{}: {file}]({source})", from.collect::<Vec<_>>().join("/"))
}

/// What stays the same from one run to the next.
fn without_chance(settings: &str) -> String {
    let mut text = String::new();
    for line in settings.lines() {
        let made_anew = ["AUTH_SECRET=", "SESSION_SECRET=", "cookie_secret = ", "OIDCCryptoPassphrase "];
        let line = match made_anew.iter().find(|name| line.starts_with(*name)) {
            Some(name) => format!("{name}…"),
            None => line.to_owned(),
        };
        let _ = match line.split_once("hp_cs_") {
            Some((before, secret)) => {
                let behind = secret.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_".contains(c));
                writeln!(text, "{before}hp_cs_…{behind}")
            }
            None => writeln!(text, "{line}"),
        };
    }
    text
}

const PAGE: &str = "# Services people run

Products that sign users in by OpenID Connect: what each of them does, where that is written, and its settings. `client new
--for` writes the row that a product needs and prints the settings, filled in:

```sh
hallpass client new grafana --for grafana --url https://grafana.example.com
hallpass migrate
```

`--url` is the address that browsers see; the addresses of the row follow from it. What else is said, such as `--consent skip`
for one of your own services or `--name`, comes first. `hallpass client products` lists the products, `client products NAME`
says what is known of one, and `client show ID --for NAME` prints the settings again, with a place for the secret. What needs
groups or claims of your own is left out of the settings.

A `--redirect-uri` may be said as well, or instead: what hangs on it follows from it, and one that does not fit is warned about.
With `--public` the secret is left out of the settings; a product that sends no PKCE cannot be public. Where a product sends
neither PKCE nor `nonce`, nothing binds a code to the browser that asked for it, so that a stolen code signs its thief in
([RFC 9700 section 2.1.1](https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1)): `client new` warns, and its row says so.

This page is made of the table of the products, `src/commands/client/products.toml`. Each habit was read in the source that is
named with it, in November 2026; look at the version that you have, and at [Adding a service](adding-a-service.md) for a product
that is not here. Which of them were signed in to with the settings as they are printed, in which version and when, is in
[tests/services.md](../tests/services.md).
";

#[test]
fn the_page_of_the_services_is_made_from_the_table() {
    let mut page = PAGE.to_owned();
    let table = table();
    let names = table.iter().map(|(id, product)| format!("[{}](#{id})", word(product, "name")));
    let _ = writeln!(page, "\n{}", names.collect::<Vec<_>>().join(" · "));
    for (id, product) in &table {
        let _ = writeln!(page, "\n<a id=\"{id}\"></a>\n\n## {}\n", word(product, "name"));
        let _ = writeln!(page, "`--for {id}`\n\n| habit | | source |\n| --- | --- | --- |");
        for habit in product["habits"].as_array().unwrap() {
            let says = match word(habit, "habit") {
                "callback" => {
                    words(&product["callback"]["paths"]).iter().map(|path| code(path)).collect::<Vec<_>>().join(", ")
                }
                "scope" => code(word(habit, "says")),
                _ => word(habit, "says").to_owned(),
            };
            let _ = writeln!(page, "| {} | {says} | {} |", word(habit, "habit"), link(word(habit, "source")));
        }
        let folder = folder();
        let settings = without_chance(&done(new_in(folder.path(), id, &[])).stdout);
        if product["stack"].is_null() {
            let _ = write!(page, "\n```text\n{settings}```\n");
        } else {
            let stack = word(product, "stack");
            let _ = writeln!(
                page,
                "\nThe settings are those of `--settings {stack}`: [Adding a service](adding-a-service.md#configure-the-service)."
            );
        }
    }
    compare("docs/services.md", &page);
}

fn code(path: &str) -> String {
    if path.is_empty() { "its address".to_owned() } else { format!("`{path}`") }
}

const BEGIN: &str = "<!-- Made of the table of the products. -->\n";
const END: &str = "<!-- Until here. -->\n";

#[test]
fn the_habits_of_products_in_the_conformance_page_are_made_from_the_table() {
    let page = documents::read("docs/conformance.md");
    let (before, rest) = page.split_once(BEGIN).expect("the page has the beginning of the table");
    let (_, after) = rest.split_once(END).expect("the page has the end of the table");
    let mut table_text = String::from(
        "| product | PKCE | secret | claims are read from | groups | refresh token | signs users out here | hears of sign-outs |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let or_unknown = |text: &str| if text.is_empty() { "not known".to_owned() } else { text.to_owned() };
    for (id, product) in table() {
        let pkce = match product["pkce"]["does"].as_str().unwrap() {
            "setting" => format!("by `{}`", product["pkce"]["setting"].as_str().unwrap()),
            does => does.to_owned(),
        };
        let claims = product["claims"]["from"].as_str().unwrap_or_default().replace("id_token", "`id_token`");
        let yes = |name: &str| if product[name].is_object() { "yes" } else { "" };
        let _ = writeln!(
            table_text,
            "| [{}](services.md#{id}) | {pkce} | {} | {} | {} | {} | {} | {} |",
            word(&product, "name"),
            or_unknown(product["secret"]["sent"].as_str().unwrap_or_default()),
            or_unknown(&claims),
            product["groups"]["claim"].as_str().map(|claim| format!("`{claim}`")).unwrap_or_default(),
            yes("refresh"),
            yes("sign_out"),
            yes("back_channel"),
        );
    }
    compare("docs/conformance.md", &format!("{before}{BEGIN}\n{table_text}\n{END}{after}"));
}
