//! What `hallpass client new --settings` prints works as it is pasted: each text in the hands of the program that it is for,
//! or of one that reads the same language, with values that need quoting.

use crate::support::chromium::{Browser, Options};
use crate::support::dotnet::{self, Project};
use crate::support::postgres::free_port;
use crate::support::program::{done, run};
use crate::support::provider::PASSWORD;
use crate::support::python::FastApi;
use crate::support::{Page, TestProvider, UserAgent, folder, party};
use base64::Engine as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const STACKS: [&str; 5] = ["env", "aspnetcore", "fastapi", "spring", "oauth2-proxy"];
/// A `client_id` with characters that mean something to a shell, to YAML and to Spring.
const HARD_ID: &str = "urn:example:${HOME}'#&*~";
const HARD_URI: &str = "https://reports.example.com/caf%C3%A9/callback?a=$HOME&b='${x}'";
const HARD_SCOPE: &str = "openid profile email a:b,c $x {y} it's";

fn settings(id: &str, stack: &str, more: &[&str]) -> String {
    let folder = folder();
    let new = ["client", "new", id, "--settings", stack, "--issuer", "https://id.example.com/auth"];
    let arguments: Vec<&str> = new.iter().chain(more).copied().collect();
    done(run(folder.path(), &arguments)).stdout
}

fn hard(stack: &str) -> String {
    let accept = "client-id: the product fixes it";
    settings(HARD_ID, stack, &["--redirect-uri", HARD_URI, "--scope", HARD_SCOPE, "--accept", accept])
}

/// The lines of a text from the one that begins like this, to the one that begins like that.
fn part<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let at = text.find(from).unwrap_or_else(|| panic!("{from} is not in {text}"));
    let end = if to.is_empty() { text.len() } else { at + text[at..].find(to).unwrap() };
    &text[at..end]
}

/// Follows redirects to the end.
async fn arrive(browser: &UserAgent, mut page: Page) -> Page {
    for _ in 0..20 {
        if page.location().is_none() {
            return page;
        }
        page = browser.follow(page).await;
    }
    panic!("redirects without an end: {page}");
}

#[test]
fn env_is_sourced_by_a_shell() {
    let folder = folder();
    for (id, text) in [("reports", settings("reports", "env", &["--redirect-uri", HARD_URI])), (HARD_ID, hard("env"))] {
        fs::write(folder.path().join("service.env"), text).unwrap();
        let script = "set -eu; . ./service.env; printf '%s\\n' \"$OIDC_DISCOVERY_URL\" \"$OIDC_CLIENT_ID\" \"$OIDC_CLIENT_SECRET\"";
        let output = Command::new("sh").args(["-c", script]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[..2], ["https://id.example.com/auth/.well-known/openid-configuration", id]);
        assert!(lines[2].starts_with("hp_cs_"), "{told}");
    }
    // Where nothing needs quoting, docker and systemd read the same lines.
    assert!(!settings("reports", "env", &["--redirect-uri", HARD_URI]).contains(['\'', '"']));
}

/// The service of the two files that `client new` prints, with Authlib as it comes.
fn fastapi(provider: &TestProvider, base_url: &str, new: &[&str]) -> (TempDir, FastApi) {
    let text = done(provider.command(new, "")).stdout;
    done(provider.command(&["migrate"], ""));
    let app = folder();
    fs::write(app.path().join(".env"), part(&text, "# .env", "\n# main.py")).unwrap();
    fs::write(app.path().join("main.py"), part(&text, "# main.py", "")).unwrap();
    let service = FastApi::of(base_url, app.path());
    (app, service)
}

async fn fastapi_signs_in(id: &str, path: &str, more: &[&str]) {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let base_url = FastApi::base_url();
    let redirect_uri = format!("{base_url}{path}");
    let new = ["client", "new", id, "--consent", "skip", "--settings", "fastapi", "--redirect-uri", &redirect_uri];
    let arguments: Vec<&str> = new.iter().chain(more).copied().collect();
    let (_app, service) = fastapi(&provider, &base_url, &arguments);
    let browser = UserAgent::new();
    let login = arrive(&browser, browser.get(&format!("{base_url}/")).await).await;
    assert!(login.url.path().ends_with("/login") && login.url.as_str().starts_with(&provider.issuer), "{login}");
    let page = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    let home = arrive(&browser, page).await;
    assert!(home.body.contains("Hello, Alice Example"), "{home}\n{}", service.log());
    // The session is the service's own.
    let again = browser.get(home.url.as_ref()).await;
    assert!(again.body.contains("Hello, Alice Example"), "{again}");
    assert!(!service.log().contains("Traceback"), "{}", service.log());
}

#[tokio::test]
async fn fastapi_signs_a_person_in() {
    fastapi_signs_in("reports", "/auth/callback", &[]).await;
}

#[tokio::test]
async fn fastapi_signs_a_person_in_with_values_that_need_quoting() {
    let accept = "client-id: the product fixes it";
    fastapi_signs_in("urn:example:$HOME{x}", "/caf%C3%A9?a=$HOME", &["--accept", accept]).await;
}

#[tokio::test]
async fn fastapi_signs_a_person_in_as_a_public_client_that_listens_at_the_root() {
    // The home page gives way.
    let provider_path = "/";
    let text = settings("app", "fastapi", &["--public", "--redirect-uri", "http://127.0.0.1:8000/"]);
    assert!(text.contains("@app.get(\"/home\")") && !text.contains("client_secret"), "{text}");
    let provider = TestProvider::start().await;
    provider.alice().await;
    let base_url = FastApi::base_url();
    let redirect_uri = format!("{base_url}{provider_path}");
    let client = ["client", "new", "app", "--public", "--consent", "skip"];
    let new = [&client[..], &["--settings", "fastapi", "--redirect-uri", &redirect_uri]].concat();
    let (_app, service) = fastapi(&provider, &base_url, &new);
    let browser = UserAgent::new();
    let login = arrive(&browser, browser.get(&format!("{base_url}/home")).await).await;
    let home = arrive(&browser, provider.type_in(&browser, &login, "alice", PASSWORD).await).await;
    assert!(home.body.contains("Hello, Alice Example"), "{home}\n{}", service.log());
}

/// The YAML as a parser of another make reads it.
fn yaml(text: &str) -> Value {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin.read()), sys.stdout)";
    let folder = folder();
    fs::write(folder.path().join("application.yml"), text).unwrap();
    let input = fs::File::open(folder.path().join("application.yml")).unwrap();
    let output = Command::new(party::python()).args(["-c", script]).stdin(input).output().unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// [Spring Boot's own names](https://docs.spring.io/spring-security/reference/servlet/oauth2/login/core.html).
#[test]
fn spring_is_yaml_with_the_properties_that_spring_boot_knows() {
    const REGISTRATION: [&str; 8] = [
        "authorization-grant-type",
        "client-authentication-method",
        "client-id",
        "client-name",
        "client-secret",
        "provider",
        "redirect-uri",
        "scope",
    ];
    for (text, id, uri, scope, is_public) in [
        (
            settings("reports", "spring", &["--redirect-uri", "https://r.example/cb"]),
            "reports",
            "https://r.example/cb",
            "openid,profile,email",
            false,
        ),
        (
            settings("app", "spring", &["--public", "--redirect-uri", "https://r.example/cb"]),
            "app",
            "https://r.example/cb",
            "openid,profile,email",
            true,
        ),
        (hard("spring"), HARD_ID, HARD_URI, HARD_SCOPE, false),
    ] {
        let document = yaml(&text);
        let client = &document["spring"]["security"]["oauth2"]["client"];
        let parts: BTreeSet<&str> = client.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(parts, BTreeSet::from(["provider", "registration"]));
        let registration = client["registration"]["hallpass"].as_object().unwrap();
        for name in registration.keys() {
            assert!(REGISTRATION.contains(&name.as_str()), "{name}");
        }
        // What Spring resolves as a placeholder is escaped for it.
        let plain = |text: &str| text.replace("\\${", "${");
        assert_eq!(plain(registration["client-id"].as_str().unwrap()), id);
        assert_eq!(plain(registration["redirect-uri"].as_str().unwrap()), uri);
        for value in registration.values().filter_map(Value::as_str) {
            assert!(!value.replace("\\${", "").contains("${"), "{value} would be resolved");
        }
        let scopes = match &registration["scope"] {
            Value::String(text) => text.clone(),
            list => list.as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect::<Vec<_>>().join(" "),
        };
        assert_eq!(scopes, scope);
        assert_eq!(registration["authorization-grant-type"], "authorization_code");
        assert_eq!(registration.contains_key("client-secret"), !is_public);
        let method = if is_public { "none" } else { "client_secret_basic" };
        assert_eq!(registration["client-authentication-method"], method);
        assert_eq!(client["provider"]["hallpass"], serde_json::json!({"issuer-uri": "https://id.example.com/auth"}));
    }
}

/// The options that its configuration file may have, of those that a registration decides
/// ([its list](https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview)).
#[test]
fn oauth2_proxy_is_toml_with_options_that_it_knows() {
    const OPTIONS: [&str; 11] = [
        "client_id",
        "client_secret",
        "code_challenge_method",
        "cookie_secret",
        "cookie_secure",
        "email_domains",
        "oidc_issuer_url",
        "provider",
        "proxy_prefix",
        "redirect_url",
        "scope",
    ];
    for (text, id, uri, prefix) in [
        (
            settings("a", "oauth2-proxy", &["--redirect-uri", "https://r.example/oauth2/callback"]),
            "a",
            "https://r.example/oauth2/callback",
            None,
        ),
        (
            settings("a", "oauth2-proxy", &["--redirect-uri", "https://r.example/in/callback"]),
            "a",
            "https://r.example/in/callback",
            Some("/in"),
        ),
        (
            settings("a", "oauth2-proxy", &["--redirect-uri", "https://r.example/callback"]),
            "a",
            "https://r.example/callback",
            None,
        ),
        (
            settings("a", "oauth2-proxy", &["--redirect-uri", "http://127.0.0.1:4180/oauth2/callback"]),
            "a",
            "http://127.0.0.1:4180/oauth2/callback",
            None,
        ),
        (hard("oauth2-proxy"), HARD_ID, HARD_URI, Some("/café")),
    ] {
        let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
        for name in table.keys() {
            assert!(OPTIONS.contains(&name.as_str()), "{name}");
        }
        let word = |name: &str| table.get(name).and_then(toml::Value::as_str);
        assert_eq!((word("client_id"), word("redirect_url"), word("proxy_prefix")), (Some(id), Some(uri), prefix));
        assert_eq!((word("provider"), word("code_challenge_method")), (Some("oidc"), Some("S256")));
        assert!(word("client_secret").unwrap().starts_with("hp_cs_"));
        assert_eq!(table.contains_key("cookie_secure"), uri.starts_with("http:"));
        // It takes 16, 24 or 32 bytes, encoded; a text that is publicly known would be as good as none.
        let secret = base64::engine::general_purpose::URL_SAFE.decode(word("cookie_secret").unwrap()).unwrap();
        assert_eq!(secret.len(), 32);
    }
    let two = [(), ()].map(|()| settings("a", "oauth2-proxy", &["--redirect-uri", HARD_URI]));
    assert_ne!(two[0], two[1], "its own secrets are made anew");
    // It has no way to be a public client, and says so.
    let public = settings("app", "oauth2-proxy", &["--public", "--redirect-uri", HARD_URI]);
    assert!(public.parse::<toml::Table>().unwrap().is_empty() && public.contains("without --public"), "{public}");
}

/// Where each name that Program.cs may use comes from: a namespace that a web project imports by itself (`ImplicitUsings`),
/// one that needs its line, or the text itself.
const OF_CSHARP: &[(&str, &str)] = &[
    ("WebUtility", "System.Net"),
    ("AuthenticationProperties", "Microsoft.AspNetCore.Authentication"),
    ("CookieAuthenticationDefaults", "Microsoft.AspNetCore.Authentication.Cookies"),
    ("OpenIdConnectDefaults", "Microsoft.AspNetCore.Authentication.OpenIdConnect"),
    ("OpenIdConnectResponseType", "Microsoft.IdentityModel.Protocols.OpenIdConnect"),
    ("OpenIdConnectResponseMode", "Microsoft.IdentityModel.Protocols.OpenIdConnect"),
    ("WebApplication", "implicit: Microsoft.AspNetCore.Builder"),
    ("HttpContext", "implicit: Microsoft.AspNetCore.Http"),
    ("Results", "implicit: Microsoft.AspNetCore.Http"),
    ("SameSiteMode", "implicit: Microsoft.AspNetCore.Http"),
    ("CookieSecurePolicy", "implicit: Microsoft.AspNetCore.Http"),
];

/// The C# without comments, texts in quotes and `using` lines.
fn code_of(program: &str) -> String {
    let mut code = String::new();
    for line in program.lines().filter(|line| !line.starts_with("using ")) {
        let (mut in_text, mut escaped) = (false, false);
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '/' if !in_text && chars.peek() == Some(&'/') => break,
                _ if escaped => escaped = false,
                '\\' if in_text => escaped = true,
                '"' => in_text = !in_text,
                c if !in_text => code.push(c),
                _ => {}
            }
        }
        assert!(!in_text, "a text is not closed: {line}");
        code.push('\n');
    }
    code
}

/// Every type of the code, by where it is: a capital letter that no dot is before.
fn types_of(code: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let chars: Vec<char> = code.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map_or(' ', |at| chars[at]);
        // A member of an object that is initialized is none.
        let word: String = chars[at..].iter().take_while(|c| is_word(**c)).collect();
        let behind: String = chars[at + word.chars().count()..].iter().take(2).collect();
        if c.is_uppercase() && !is_word(before) && before != '.' && behind != " =" {
            found.push(word);
        }
    }
    found
}

#[test]
fn aspnetcore_has_every_using_that_its_identifiers_need_and_no_other() {
    let http = [
        "--redirect-uri",
        "http://127.0.0.1:5000/signin-oidc",
        "--post-logout-redirect-uri",
        "http://127.0.0.1:5000/out",
    ];
    for text in [
        settings("reports", "aspnetcore", &["--redirect-uri", URI]),
        settings("reports", "aspnetcore", &http),
        hard("aspnetcore"),
    ] {
        let document: Value = serde_json::from_str(part(&text, "{", "// Program.cs")).unwrap();
        assert_eq!(document["Oidc"]["Authority"], "https://id.example.com/auth");
        assert!(document["Oidc"]["ClientSecret"].as_str().unwrap().starts_with("hp_cs_"));
        assert!(
            text.contains("dotnet add package Microsoft.AspNetCore.Authentication.OpenIdConnect --version 10.0.*\n")
        );
        let program = part(&text, "// Program.cs", "");
        let usings: Vec<&str> =
            program.lines().filter_map(|line| line.strip_prefix("using ")?.strip_suffix(';')).collect();
        let code = code_of(program);
        let used = types_of(&code);
        assert!(used.len() > 8, "{used:?}");
        let mut needed: Vec<&str> = Vec::new();
        for name in &used {
            let (_, from) = OF_CSHARP
                .iter()
                .find(|(known, _)| known == name)
                .unwrap_or_else(|| panic!("it is not known where {name} comes from:\n{code}"));
            if !from.starts_with("implicit: ") {
                assert!(usings.contains(from), "{name} needs using {from};");
                needed.push(from);
            }
        }
        for using in &usings {
            assert!(needed.contains(using), "using {using}; is for nothing");
        }
        for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
            assert_eq!(code.matches(open).count(), code.matches(close).count(), "{open}{close}: {program}");
        }
        // A whole program, from its builder to its run.
        for line in [
            "WebApplication.CreateBuilder(args);",
            "builder.Build();",
            "app.UseAuthentication();",
            "app.UseAuthorization();",
            "app.Run();",
        ] {
            assert_eq!(program.matches(line).count(), 1, "{line}");
        }
    }
}

const URI: &str = "https://reports.example.com/signin-oidc";

#[test]
fn aspnetcore_has_values_as_csharp_has_them() {
    let text = hard("aspnetcore");
    let document: Value = serde_json::from_str(part(&text, "{", "// Program.cs")).unwrap();
    assert_eq!(document["Oidc"]["ClientId"], HARD_ID);
    // The handler compares the path decoded.
    assert!(text.contains("options.CallbackPath = \"/café/callback\";"), "{text}");
    for scope in HARD_SCOPE.split(' ') {
        assert!(text.contains(&format!("options.Scope.Add(\"{scope}\");")), "{scope}: {text}");
    }
    assert!(!text.contains("\\u{"), "that is an escape of Rust");
}

/// The text without what is made anew each time.
fn without_chance(text: &str) -> String {
    let made_anew = |line: &str| {
        let named = ["SESSION_SECRET=", "cookie_secret = "].into_iter().find(|name| line.starts_with(name));
        if let Some(name) = named {
            return format!("{name}…");
        }
        match line.split_once("hp_cs_") {
            Some((before, secret)) => {
                let behind = secret.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_".contains(c));
                format!("{before}hp_cs_…{behind}")
            }
            None => line.to_owned(),
        }
    };
    text.lines().map(|line| made_anew(line) + "\n").collect()
}

/// As a reviewer reads it: a confidential client, a public one on plain http, and one whose values need quoting.
#[test]
fn every_stack_prints_what_was_reviewed() {
    let address = ["--redirect-uri", URI];
    let root = ["--public", "--redirect-uri", "http://127.0.0.1:5000/"];
    let public = [&root[..], &["--post-logout-redirect-uri", "http://127.0.0.1:5000/out"]].concat();
    for stack in STACKS {
        let texts = [settings("reports", stack, &address), settings("app", stack, &public), hard(stack)];
        let text = texts.iter().map(|text| without_chance(text)).collect::<Vec<_>>().join("\n======\n\n");
        insta::assert_snapshot!(format!("settings_{stack}"), text);
    }
    let names =
        ["Environment variables", "ASP.NET Core", "FastAPI or Starlette with Authlib", "Spring Boot", "oauth2-proxy"];
    let parts = STACKS.iter().zip(names).map(|(stack, name)| {
        let text = without_chance(&settings("reports", stack, &address));
        format!("## {name}\n\n{text}")
    });
    let all = without_chance(&settings("reports", "all", &address));
    assert_eq!(all, parts.collect::<Vec<_>>().join("\n"));
}

#[test]
fn no_stack_prints_a_value_that_is_publicly_known() {
    for stack in STACKS {
        for more in [&["--redirect-uri", URI][..], &["--public", "--redirect-uri", URI]] {
            let text = settings("reports", stack, more);
            assert!(!text.contains("PUT "), "{text}");
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text:?}");
        }
    }
}

/// As a reader of the text does it: a new project, the package, the two files.
#[tokio::test]
async fn aspnetcore_builds_in_a_new_web_project_and_signs_a_person_in_and_out() {
    let Some(dotnet) = dotnet::found("client_settings::aspnetcore_builds_in_a_new_web_project") else { return };
    let provider = TestProvider::start().await;
    provider.alice().await;
    let base_url = format!("http://127.0.0.1:{}", free_port());
    let at = |path: &str| format!("{base_url}{path}");
    let new = ["client", "new", "reports", "--consent", "skip", "--settings", "aspnetcore"];
    let (redirect_uri, leaving) = (at("/signin-oidc"), at("/signout-callback-oidc"));
    let addresses = ["--redirect-uri", &redirect_uri, "--post-logout-redirect-uri", &leaving];
    let arguments: Vec<&str> = new.iter().chain(&addresses).copied().collect();
    let text = done(provider.command(&arguments, "")).stdout;
    done(provider.command(&["migrate"], ""));

    let folder = folder();
    dotnet::run(&dotnet, folder.path(), &["new", "web", "--output", "service"]);
    let project = folder.path().join("service");
    let add = text.lines().find_map(|line| line.strip_prefix("//   dotnet add ")).unwrap();
    let add: Vec<&str> = std::iter::once("add").chain(add.split(' ')).collect();
    dotnet::run(&dotnet, &project, &add);
    fs::write(project.join("appsettings.json"), part(&text, "// appsettings.json", "// Program.cs")).unwrap();
    fs::write(project.join("Program.cs"), part(&text, "// Program.cs", "")).unwrap();
    dotnet::run(&dotnet, &project, &["build", "-warnaserror"]);
    let service = Project::start(&dotnet, &project, &base_url, &[]);

    let browser = Browser::open(Options::default()).await;
    browser.goto(&at("/")).await;
    browser.fill("#username", "alice").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("button[value=sign_in]").await;
    assert_eq!(browser.text("p").await, "Hello, Alice Example", "{}", service.log());
    browser.click("button").await;
    browser.wait_for_url_containing("/login").await;
    browser.close().await;
}

/// Every stack, so that a sixth comes with a test of its own.
#[test]
fn every_stack_has_a_test_here() {
    let folder = folder();
    let help = done(run(folder.path(), &["client", "show", "--help"])).stdout;
    let mut tested: BTreeMap<&str, bool> = BTreeMap::new();
    let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec/client_settings.rs")).unwrap();
    for line in part(&help, "--settings", "--json").lines().filter_map(|line| line.trim_start().strip_prefix("- ")) {
        let stack = line.split(':').next().unwrap();
        tested.insert(stack, stack == "all" || own.contains(&format!("fn {}_", stack.replace('-', "_"))));
    }
    assert_eq!(tested.len(), STACKS.len() + 1, "{help}");
    assert!(tested.values().all(|is_tested| *is_tested), "{tested:?}");
}
