//! `hallpass client …` and the habits of all commands, as a person at a terminal and as a script uses them.
//!
//! `commands.rs` has the rest of `client new`; `client_lint.rs` has the lint, `client_settings.rs` the settings as programs
//! take them.

use crate::support::program::{Outcome, command, done, every_command, run, run_at_terminal, run_with};
use crate::support::provider::{CLIENT_SECRET, PASSWORD, hash_of};
use crate::support::{Authorization, NewClient, TestClient, TestProvider, UserAgent, folder};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;

const URI: &str = "https://reports.example.com/signin-oidc";

#[track_caller]
fn json_of(outcome: &Outcome) -> Value {
    assert_eq!(outcome.status, 0, "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

fn beside(provider: &TestProvider) -> impl Fn(&[&str]) -> Outcome {
    |arguments| provider.command(arguments, "")
}

fn migrations(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("migrations")).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn newest(folder: &Path) -> String {
    let names = migrations(folder);
    fs::read_to_string(folder.join("migrations").join(names.last().unwrap())).unwrap()
}

/// The secret among the lines that a script reads.
fn secret_in(text: &str) -> String {
    text.lines()
        .find_map(|line| line.strip_prefix("OIDC_CLIENT_SECRET="))
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned()
}

/// A text in which everything that differs from run to run is dots.
fn without_chance(text: &str) -> String {
    let mut text = text.to_owned();
    for (beginning, is_of_it) in [
        ("hp_cs_", (|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) as fn(char) -> bool),
        ("$argon2id$", |c| c.is_ascii_graphic() && c != '\''),
        ("20", |c| c.is_ascii_digit() || matches!(c, '-' | ':' | 'T' | 'Z')),
        ("17", |c| c.is_ascii_digit()),
        ("18", |c| c.is_ascii_digit()),
        ("19", |c| c.is_ascii_digit()),
    ] {
        let mut from = 0;
        while let Some(at) = text[from..].find(beginning).map(|at| at + from) {
            let end = text[at + beginning.len()..]
                .find(|c| !is_of_it(c))
                .map_or(text.len(), |end| at + beginning.len() + end);
            if end - at >= 10 {
                text.replace_range(at + beginning.len()..end, "…");
            }
            from = at + beginning.len();
        }
    }
    text
}

#[test]
fn at_a_terminal_client_new_asks_for_what_is_missing_with_the_defaults_shown() {
    let folder = folder();
    let typed = "Reports\n\nmaybe\nyes\nhttp://reports.example.com/\nhttps://reports.example.com/signin-oidc\n\nhttps://reports.example.com/\n\n\n\n\n\n";
    let outcome = done(run_at_terminal(folder.path(), &["client", "new", "reports"], &[], typed));
    insta::assert_snapshot!(without_chance(&outcome.stdout), @r##"
Registering the client reports. Enter takes what is in brackets; Ctrl-C leaves nothing behind.

Name, as users read it [reports]: Where it runs: server, browser (no server behind it), native (on the user's own machine), machine (without users) [server]: One of your own services, so that users are not asked for consent (yes, no) [no]:   answer yes or no
One of your own services, so that users are not asked for consent (yes, no) [no]: Redirect URI, where answers are sent; compared exactly, such as https://reports.example.com/signin-oidc:   it is plain http to another machine, where a code can be read on the way; use https
Redirect URI, where answers are sent; compared exactly, such as https://reports.example.com/signin-oidc: Another redirect URI [none]: Post-logout redirect URI, where the browser may go after a sign-out [none]: Back-channel logout URI, where it is told that a user signed out elsewhere [none]: Login initiation URI, where it starts a sign-in by itself, for those who sat long at the login page [none]: Its library can do PKCE (S256), as nearly all can (yes, no) [yes]: Name and e-mail in the id_token too, where most libraries look for them (yes, no) [yes]: Settings to print (env, aspnetcore, fastapi, spring, oauth2-proxy, all) [env]: 
Wrote migrations/20…_add_client_reports.sql. Review it, commit it, and apply it with `hallpass migrate`; no restart is needed.
The secret is shown this once; it is not in the file.
OIDC_DISCOVERY_URL=http://localhost:8080/.well-known/openid-configuration
OIDC_CLIENT_ID=reports
OIDC_CLIENT_SECRET=hp_cs_…
"##);
    let sql = newest(folder.path());
    for part in [
        "'Reports'",
        "'skip'",
        "'required'",
        "'https://reports.example.com/signin-oidc'",
        "'https://reports.example.com/'",
        "'client_secret_basic'",
    ] {
        assert!(sql.contains(part), "{part}: {sql}");
    }
    assert!(!sql.contains(&secret_in(&outcome.stdout)));
}

#[test]
fn at_a_terminal_the_kind_of_a_client_decides_what_is_asked() {
    let folder = folder();
    let native = done(run_at_terminal(
        folder.path(),
        &["client", "new", "app"],
        &[],
        "\nnative\ncom.example.app:/cb\n\n\nno\n\n",
    ));
    for absent in ["PKCE", "OIDC_CLIENT_SECRET", "consent"] {
        assert!(!native.stdout.contains(absent), "{absent}: {native:?}");
    }
    let sql = newest(folder.path());
    assert!(sql.contains("'native'") && sql.contains("'none'") && !sql.contains("client_secrets"), "{sql}");
    assert!(sql.contains("'no',") && sql.contains("-- claims_in_id_token: "), "{sql}");

    let machine = done(run_at_terminal(
        folder.path(),
        &["client", "new", "nightly"],
        &[],
        "\nmachine\nhttps://api.example.com\nenv\n",
    ));
    assert!(!machine.stdout.contains("consent") && !machine.stdout.contains("Redirect"), "{machine:?}");
    let sql = newest(folder.path());
    assert!(sql.contains("'client_credentials'") && sql.contains("'https://api.example.com'"), "{sql}");
    assert!(!sql.contains("openid"), "{sql}");

    // What flags have said is not asked.
    let flags = ["client", "new", "reports", "--name", "Reports", "--consent", "skip", "--redirect-uri", URI];
    let told = done(run_at_terminal(folder.path(), &flags, &[], ""));
    assert!(!told.stdout.contains("[default") && !told.stdout.contains("Enter takes"), "{told:?}");
    let silent = ["client", "new", "silent", "--redirect-uri", URI, "--no-questions"];
    assert!(!done(run_at_terminal(folder.path(), &silent, &[], "")).stdout.contains("Enter takes"));
}

/// Front-Channel Logout between sites: the frame gets no cookie of the service's, so another way is asked for.
#[test]
fn client_new_says_that_a_front_channel_on_another_site_ends_nothing() {
    let folder = folder();
    let issuer = [("HALLPASS_ISSUER", "https://id.example.com")];
    for (id, more, is_told) in [
        ("other", &["--frontchannel-logout-uri", "https://reports.example.org/out"][..], true),
        ("scheme", &["--frontchannel-logout-uri", "http://localhost/out"], true),
        ("same", &["--frontchannel-logout-uri", "https://reports.example.com/out"], false),
        (
            "both",
            &[
                "--frontchannel-logout-uri",
                "https://reports.example.org/out",
                "--backchannel-logout-uri",
                "https://reports.example.org/back",
            ],
            false,
        ),
        ("none", &[], false),
    ] {
        let arguments = [&["client", "new", id, "--redirect-uri", URI][..], more].concat();
        let outcome = done(run_with(folder.path(), &arguments, &issuer, ""));
        let says = outcome.stderr.contains("is on another site than https://id.example.com")
            && outcome.stderr.contains("--backchannel-logout-uri");
        assert_eq!(says, is_told, "{id}: {outcome:?}");
        assert!(!outcome.stdout.contains("site"), "{outcome:?}");
    }
}

/// RFC 6749 section 3.3: scopes about people are nothing that a machine could be given.
#[test]
fn no_scope_about_users_is_written_for_a_machine() {
    let folder = folder();
    let machine = ["--grant", "client_credentials"];
    let signs_people_in = ["--grant", "client_credentials", "--grant", "authorization_code", "--redirect-uri", URI];
    for (id, grants, asked, written, left_out) in [
        ("bare", &machine[..], None, "''", ""),
        ("none", &machine, Some("openid profile offline_access"), "''", "openid profile offline_access"),
        ("some", &machine, Some("openid jobs:run email jobs:read"), "'jobs:run jobs:read'", "openid email"),
        ("apis", &machine, Some("jobs:run"), "'jobs:run'", ""),
        ("refresh", &["--grant", "client_credentials", "--grant", "refresh_token"], None, "''", ""),
        ("both", &signs_people_in, None, "'openid profile email'", ""),
        ("asks", &signs_people_in, Some("openid jobs:run"), "'openid jobs:run'", ""),
    ] {
        let asked: Vec<&str> = asked.iter().flat_map(|scope| ["--scope", scope]).collect();
        let outcome = done(run(folder.path(), &[&["client", "new", id][..], grants, &asked].concat()));
        let sql = newest(folder.path());
        let line = sql.lines().find(|line| line.contains(" -- scope: ")).unwrap_or_else(|| panic!("{sql}"));
        assert!(line.trim_start().starts_with(&format!("{written},")), "{id}: {line}");
        let told = format!("Left out of its scope: {left_out}.");
        assert_eq!(outcome.stderr.contains(&told), !left_out.is_empty(), "{id}: {outcome:?}");
        assert_eq!(outcome.stderr.contains("Left out"), !left_out.is_empty(), "{id}: {outcome:?}");
    }
}

/// What the generator writes for a machine works as it is, also where its library asks for `openid`.
#[tokio::test]
async fn a_machine_as_it_is_written_gets_a_token() {
    let provider = TestProvider::start().await;
    let registered = done(provider.command(&["client", "new", "nightly", "--grant", "client_credentials"], ""));
    done(provider.command(&["migrate"], ""));
    let secret = secret_in(&registered.stdout);
    let nightly = TestClient { client_id: "nightly".into(), secret: Some(secret), redirect_uri: String::new() };
    for more in [None, Some(("scope", "openid"))] {
        let fields: Vec<(&str, &str)> = [("grant_type", "client_credentials")].into_iter().chain(more).collect();
        let answer = provider.post("/token", nightly.auth(), &fields).await.ok().json();
        assert!(answer["access_token"].is_string() && answer.get("scope").is_none(), "{answer}");
    }
    let fields = [("grant_type", "client_credentials"), ("scope", "openid jobs:run")];
    assert_eq!(provider.post("/token", nightly.auth(), &fields).await.error(), (400, "invalid_scope".into()));
}

#[test]
fn answers_that_end_too_early_write_nothing() {
    let folder = folder();
    let outcome = run_at_terminal(folder.path(), &["client", "new", "reports"], &[], "Reports\n");
    assert_eq!(outcome.status, 1, "{outcome:?}");
    assert!(outcome.stdout.contains("nothing was changed"), "{outcome:?}");
    assert!(migrations(folder.path()).is_empty());
}

#[test]
fn a_script_is_never_asked_and_what_is_missing_is_wrong_usage() {
    let folder = folder();
    for (arguments, part) in [
        (&["client", "new", "reports"][..], "--redirect-uri"),
        (&["client", "new", "reports", "--json", "--output", "-", "--redirect-uri", URI], "--output -"),
        (&["client", "disable", "reports"], "--yes"),
        (&["client", "disable", "reports", "--yes", "--migration"], "--migration"),
        (&["client", "rotate-secret"], "<ID>"),
        (&["client", "rotate-secret", "reports", "--ends-in", "tomorrow"], "7d"),
        (&["client", "rotate-secret", "reports", "--ends-in", "1d", "--ends-at", "2031-01-01T00:00:00Z"], "--ends-at"),
        (&["client", "new", "reports", "--redirect-uri", URI, "--settings", "cobol"], "aspnetcore"),
        (&["user", "disable", "alice"], "--yes"),
        (&["completions"], "<SHELL>"),
    ] {
        let outcome = run(folder.path(), arguments);
        assert_eq!(outcome.status, 2, "{arguments:?}: {outcome:?}");
        assert!(outcome.stdout.is_empty() && outcome.stderr.contains(part), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains("Usage: ") || outcome.stderr.contains("--help"), "{arguments:?}: {outcome:?}");
    }
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "wrong usage makes nothing");
}

/// The file is what a colleague reviews.
#[test]
fn the_migration_says_what_each_choice_means() {
    let folder = folder();
    let new = [
        "client",
        "new",
        "reports",
        "--name",
        "Reports",
        "--consent",
        "skip",
        "--redirect-uri",
        URI,
        "--post-logout-redirect-uri",
        "https://reports.example.com/",
        "--grant",
        "authorization_code",
        "--grant",
        "refresh_token",
    ];
    done(run(folder.path(), &new));
    insta::assert_snapshot!(without_chance(&newest(folder.path())), @r##"
-- Registers the client reports (Reports).

INSERT INTO clients (
    client_id,
    client_name,
    application_type,
    token_endpoint_auth_method,
    grant_types,
    scope,
    access_token_format,
    pkce,
    consent,
    claims_in_id_token,
    client_id_issued_at
) VALUES (
    'reports',                             -- client_id: what it calls itself; never changes
    'Reports',                             -- client_name: what users read on the pages
    'web',                                 -- application_type: it runs on a server or in a browser
    'client_secret_basic',                 -- token_endpoint_auth_method: it proves itself by its secret, in the header
    'authorization_code refresh_token',    -- grant_types: users sign in; it stays signed in, where it asks for offline_access
    'openid profile email offline_access', -- scope: the most that it can be given
    'opaque',                              -- access_token_format: a random text; an API asks /introspect what it is worth
    'required',                            -- pkce: every sign-in must prove with S256 that it was not intercepted
    'skip',                                -- consent: one of our own services, users are not asked
    'yes',                                 -- claims_in_id_token: name and e-mail are in the id_token, where most libraries look for them
    17…                             -- client_id_issued_at: 20…
);

-- argon2id; the secret itself is nowhere in this file. Made 20…, ends never:
-- `hallpass client rotate-secret reports` writes the file that replaces it.
INSERT INTO client_secrets (client_id, secret_hash, created_at)
VALUES ('reports', '$argon2id$…', 17…);

-- Where answers are sent; compared byte for byte.
INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('reports', 'https://reports.example.com/signin-oidc');

-- Where the browser may go after a sign-out; compared byte for byte.
INSERT INTO client_post_logout_redirect_uris (client_id, post_logout_redirect_uri) VALUES ('reports', 'https://reports.example.com/');
"##);
}

#[test]
fn the_settings_fit_each_framework_and_hold_the_secret_where_it_belongs() {
    let folder = folder();
    let settings = |id: &str, stack: &str, more: &[&str]| {
        let arguments = [
            "client",
            "new",
            id,
            "--redirect-uri",
            URI,
            "--issuer",
            "https://id.example.com/auth",
            "--settings",
            stack,
        ];
        let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
        done(run(folder.path(), &arguments)).stdout
    };
    let discovery = "https://id.example.com/auth/.well-known/openid-configuration";

    let env = settings("a", "env", &[]);
    assert_eq!(env.lines().count(), 3);
    assert!(
        env.contains(&format!("OIDC_DISCOVERY_URL={discovery}\nOIDC_CLIENT_ID=a\nOIDC_CLIENT_SECRET=hp_cs_")),
        "{env}"
    );

    let aspnetcore =
        settings("b", "aspnetcore", &["--post-logout-redirect-uri", "https://reports.example.com/signed-out"]);
    let document = aspnetcore.split("// Program.cs").next().unwrap().trim_start_matches("// appsettings.json");
    let document: Value = serde_json::from_str(document).unwrap();
    assert_eq!(document["Oidc"]["Authority"], "https://id.example.com/auth");
    assert_eq!(document["Oidc"]["ClientId"], "b");
    assert!(document["Oidc"]["ClientSecret"].as_str().unwrap().starts_with("hp_cs_"));
    for part in [
        "CallbackPath = \"/signin-oidc\"",
        "SignedOutCallbackPath = \"/signed-out\"",
        "OpenIdConnectResponseType.Code",
        "UsePkce = true",
        "Scope.Add(\"email\")",
    ] {
        assert!(aspnetcore.contains(part), "{part}: {aspnetcore}");
    }
    assert!(!aspnetcore.contains("RequireHttpsMetadata"), "only for http: {aspnetcore}");

    let fastapi = settings("c", "fastapi", &[]);
    assert!(
        fastapi.contains("\nOIDC_CLIENT_SECRET=hp_cs_")
            && fastapi.contains("server_metadata_url")
            && fastapi.contains("\"S256\""),
        "{fastapi}"
    );

    let spring = settings("d", "spring", &[]);
    for part in [
        "client-id: \"d\"",
        "client-secret: \"hp_cs_",
        "issuer-uri: \"https://id.example.com/auth\"",
        "scope: openid,profile,email",
        URI,
    ] {
        assert!(spring.contains(part), "{part}: {spring}");
    }

    let proxy: toml::Table = settings("e", "oauth2-proxy", &[]).parse().unwrap();
    assert_eq!(proxy["oidc_issuer_url"].as_str(), Some("https://id.example.com/auth"));
    assert_eq!(proxy["client_id"].as_str(), Some("e"));
    assert_eq!(proxy["redirect_url"].as_str(), Some(URI));
    assert_eq!(proxy["code_challenge_method"].as_str(), Some("S256"));
    assert!(proxy["client_secret"].as_str().unwrap().starts_with("hp_cs_"));

    let all = settings("f", "all", &[]);
    for part in ["OIDC_CLIENT_ID=f", "AddOpenIdConnect", "oauth.register", "spring:", "oauth2-proxy.cfg"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    // A public client has none to show, and is told to send none.
    for stack in ["env", "aspnetcore", "fastapi", "spring", "oauth2-proxy"] {
        let public = settings(&format!("public-{stack}"), stack, &["--public"]);
        assert!(
            !public.to_lowercase().contains("secret:")
                && !public.contains("hp_cs_")
                && !public.contains("ClientSecret"),
            "{public}"
        );
    }
    for name in migrations(folder.path()) {
        let sql = fs::read_to_string(folder.path().join("migrations").join(&name)).unwrap();
        assert!(!sql.contains("hp_cs_"), "{name}: {sql}");
    }
}

#[tokio::test]
async fn client_new_prints_json_for_scripts() {
    let provider = TestProvider::start().await;
    let hallpass = beside(&provider);
    let made = json_of(&hallpass(&["client", "new", "reports", "--redirect-uri", URI, "--json"]));
    assert_eq!(made["client_id"], "reports");
    assert_eq!(made["discovery_url"], provider.url("/.well-known/openid-configuration"));
    assert!(fs::metadata(provider.folder.path().join(made["file"].as_str().unwrap())).unwrap().is_file());
    done(hallpass(&["migrate"]));
    let client = TestClient {
        client_id: "reports".into(),
        secret: Some(made["client_secret"].as_str().unwrap().to_owned()),
        redirect_uri: URI.into(),
    };
    assert_eq!(provider.redeem(&client, "hp_ac_x").await.text("error"), "invalid_grant");
    let hash = hash_of(CLIENT_SECRET);
    let by_hash =
        json_of(&hallpass(&["client", "new", "other", "--redirect-uri", URI, "--json", "--secret-hash", &hash]));
    assert_eq!(by_hash["client_secret"], Value::Null);
}

#[test]
fn client_new_refuses_an_api_that_could_not_be_named() {
    let folder = folder();
    for uri in ["api", "https://api.example/#part", "https://api.example/\nv1", "https://api.example /"] {
        for flag in ["--audience", "--resource"] {
            let refused = run(folder.path(), &["client", "new", "reports", "--redirect-uri", URI, flag, uri]);
            assert_eq!(refused.status, 1, "{refused:?}");
            assert!(refused.stderr.contains("RFC 8707"), "{refused:?}");
        }
    }
    assert!(migrations(folder.path()).is_empty());
}

#[test]
fn client_new_refuses_an_id_that_a_file_of_the_folder_registers() {
    let folder = folder();
    let new = ["client", "new", "reports", "--redirect-uri", URI];
    done(run(folder.path(), &new));
    let twice = run(folder.path(), &new);
    assert_eq!(twice.status, 1, "{twice:?}");
    assert!(twice.stderr.contains("reports already") && twice.stderr.contains("rotate-secret"), "{twice:?}");
    assert!(!twice.stdout.contains("hp_cs_") && !twice.stderr.contains("hp_cs_"), "{twice:?}");
    assert_eq!(migrations(folder.path()).len(), 1);
}

/// OIDC Core 11: without `offline_access` there is no refresh token to be had.
#[test]
fn the_grant_refresh_token_brings_the_scope_that_it_needs() {
    let folder = folder();
    let with = |id: &str, more: &[&str]| {
        let new = ["client", "new", id, "--redirect-uri", URI, "--grant", "authorization_code"];
        done(run(folder.path(), &new.iter().chain(more).copied().collect::<Vec<_>>()));
        newest(folder.path())
    };
    assert!(!with("a", &[]).contains("offline_access"));
    assert!(with("b", &["--grant", "refresh_token"]).contains("'openid profile email offline_access'"));
    assert!(!with("c", &["--grant", "refresh_token", "--scope", "openid"]).contains("'openid profile"));
}

/// What is changed by a file comes after what registers it, whatever dates an operator chose.
#[test]
fn a_new_file_comes_after_every_file_of_the_folder() {
    let folder = folder();
    done(run(folder.path(), &["client", "new", "reports", "--redirect-uri", URI]));
    let first = migrations(folder.path()).remove(0);
    let later = "20991231235959_add_client_reports.sql";
    fs::rename(folder.path().join("migrations").join(first), folder.path().join("migrations").join(later)).unwrap();
    done(run(folder.path(), &["client", "rotate-secret", "reports"]));
    assert_eq!(migrations(folder.path()), [later, "21000101000000_rotate_secret_reports.sql"]);
    let lint = run(folder.path(), &["client", "lint"]);
    assert_eq!(lint.status, 0, "{lint:?}");
}

#[tokio::test]
async fn a_secret_is_rotated_without_an_outage() {
    let provider = TestProvider::start().await;
    let hallpass = beside(&provider);
    let first = provider.client("reports").await;
    let with = |secret: &str| TestClient { secret: Some(secret.to_owned()), ..first.clone() };
    let word = async |client: &TestClient| provider.redeem(client, "hp_ac_x").await.text("error");
    assert_eq!(word(&first).await, "invalid_grant");

    let rotated = done(hallpass(&["client", "rotate-secret", "reports", "--ends-in", "2h", "--label", "second"]));
    let second = with(&secret_in(&rotated.stdout));
    assert_eq!((rotated.stdout.matches("hp_cs_").count(), rotated.stderr.matches("hp_cs_").count()), (1, 0));
    let name = migrations(provider.folder.path()).remove(0);
    assert!(name.ends_with("_rotate_secret_reports.sql") && name.starts_with("20"), "{name}");
    let sql = newest(provider.folder.path());
    assert!(!sql.contains("hp_cs_"), "{sql}");
    insta::assert_snapshot!(without_chance(&sql), @r##"
-- A new secret for the client reports, made 20….
--
-- The secrets from before end 20…; one that ends sooner keeps its end. Until then all are good, so that
-- the service can be changed in between. Should the review take longer, move both numbers of that instant.

UPDATE client_secrets SET client_secret_expires_at = 17… -- 20…
WHERE client_id = 'reports' AND (client_secret_expires_at = 0 OR client_secret_expires_at > 17…);

-- argon2id; the secret itself is nowhere in this file.
INSERT INTO client_secrets (client_id, secret_hash, label, created_at)
VALUES ('reports', '$argon2id$…', 'second', 17…);
"##);
    // It was registered by hand, so that no file knows it; that is said and hinders nothing.
    assert!(rotated.stderr.contains("no file of"), "{rotated:?}");
    assert_eq!(word(&second).await, "invalid_client", "it is not applied yet");

    done(hallpass(&["migrate"]));
    provider.travel(10);
    for client in [&first, &second] {
        assert_eq!(word(client).await, "invalid_grant", "both are good");
    }
    let shown = json_of(&hallpass(&["client", "show", "reports", "--json"]));
    assert_eq!(shown["secrets"][1]["label"], "second");
    assert_eq!(shown["secrets"][1]["client_secret_expires_at"], Value::Null);
    assert!(shown["secrets"][0]["client_secret_expires_at"].is_string(), "{shown}");
    provider.travel(2 * 3600);
    assert_eq!(word(&first).await, "invalid_client", "it has ended");
    assert_eq!(word(&second).await, "invalid_grant");

    // A leaked one ends at once, and what ended before keeps its end.
    let third = with(&secret_in(&done(hallpass(&["client", "rotate-secret", "reports", "--ends-in", "0"])).stdout));
    done(hallpass(&["migrate"]));
    provider.travel(10);
    assert_eq!(word(&second).await, "invalid_client");
    assert_eq!(word(&third).await, "invalid_grant");
}

#[tokio::test]
async fn a_secret_that_is_kept_elsewhere_is_rotated_by_its_hash_or_from_standard_input() {
    let provider = TestProvider::start().await;
    let first = provider.client("reports").await;
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let secret = "kept in a vault, with 32 characters";
    let by_input = ["client", "rotate-secret", "reports", "--secret-stdin", "--output", "-"];
    let outcome = done(run_with(provider.folder.path(), &by_input, &variables, &format!("{secret}\n")));
    assert!(!outcome.stdout.contains(secret) && !outcome.stderr.contains(secret), "{outcome:?}");
    assert!(migrations(provider.folder.path()).is_empty());
    provider.sql(&outcome.stdout).await;
    let hash = hash_of("another-secret");
    let by_hash = [
        "client",
        "rotate-secret",
        "reports",
        "--secret-hash",
        &hash,
        "--ends-at",
        "2099-01-01T00:00:00Z",
        "--output",
        "mine.sql",
    ];
    done(run_with(provider.folder.path(), &by_hash, &variables, ""));
    provider.sql(&fs::read_to_string(provider.folder.path().join("mine.sql")).unwrap()).await;
    provider.travel(10);
    for secret in [CLIENT_SECRET, secret, "another-secret"] {
        let client = TestClient { secret: Some(secret.to_owned()), ..first.clone() };
        assert_eq!(provider.redeem(&client, "hp_ac_x").await.text("error"), "invalid_grant", "{secret}");
    }
    for (more, part) in [
        (&["--secret-hash", "plain"][..], "Fix: "),
        (&["--secret-hash", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g"], "cost"),
        (&["--ends-at", "2020-01-01T00:00:00Z"], "past"),
        (&["--output", "mine.sql"], "mine.sql"),
    ] {
        let arguments: Vec<&str> = ["client", "rotate-secret", "reports"].iter().chain(more).copied().collect();
        let refused = run_with(provider.folder.path(), &arguments, &variables, "");
        assert_eq!(refused.status, 1, "{refused:?}");
        assert!(refused.stderr.contains(part) && !refused.stderr.contains("hp_cs_"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_disabled_client_is_refused_within_ten_seconds_by_a_provider_that_runs() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let hallpass = beside(&provider);
    let client = provider.client("reports").await;
    let browser = UserAgent::new();
    let tokens = provider.tokens(&browser, &client).await;

    let disabled = done(hallpass(&["client", "disable", "reports", "--yes"]));
    assert!(disabled.stdout.is_empty() && disabled.stderr.contains("ten seconds"), "{disabled:?}");
    provider.travel(10);
    let page = Authorization::of(&client).open(&provider, &browser).await;
    assert_eq!(page.status, 400, "{page}");
    assert_eq!(provider.redeem(&client, "hp_ac_x").await.text("error"), "invalid_client");
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.status, 401);
    assert!(hallpass(&["client", "list"]).stdout.contains("disabled 20"));
    let again = done(hallpass(&["client", "disable", "reports", "--yes"]));
    assert!(again.stderr.contains("nothing was changed"), "{again:?}");

    // As it says, that command brings it back.
    assert!(disabled.stderr.contains("`hallpass client enable reports` brings it back"), "{disabled:?}");
    let enabled = done(hallpass(&["client", "enable", "reports", "--yes", "--json"]));
    assert_eq!(
        json_of(&enabled),
        json!({"client_id": "reports", "change": "enable", "is_changed": true, "file": null, "version": 1})
    );
    provider.travel(10);
    let _ = provider.tokens(&browser, &client).await;
    let again = done(hallpass(&["client", "enable", "reports", "--yes"]));
    assert!(again.stderr.contains("is enabled; nothing was changed"), "{again:?}");

    let unknown = hallpass(&["client", "disable", "reprots", "--yes"]);
    assert_eq!(unknown.status, 1, "{unknown:?}");
    assert!(unknown.stderr.contains("reprots") && unknown.stderr.contains("client list"), "{unknown:?}");
}

#[tokio::test]
async fn at_a_terminal_disabling_asks_first_and_as_a_migration_it_waits_for_review() {
    let provider = TestProvider::start().await;
    let _ = provider.client("reports").await;
    let hallpass = beside(&provider);
    let is_active = async || {
        provider.travel(10);
        provider.provider.directory.client("reports", provider.provider.now()).await.unwrap().is_some()
    };
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let ask =
        |typed: &str| run_at_terminal(provider.folder.path(), &["client", "disable", "reports"], &variables, typed);
    for answer in ["no\n", "\n", "perhaps\nn\n", ""] {
        let outcome = ask(answer);
        assert_eq!(outcome.status, 1, "{outcome:?}");
        assert!(
            outcome.stdout.contains("Disable reports (The reports service)?")
                && outcome.stdout.contains("nothing was changed"),
            "{outcome:?}"
        );
        assert!(is_active().await, "{answer:?}");
    }
    done(hallpass(&["client", "disable", "reports", "--migration"]));
    assert!(is_active().await, "it is not applied yet");
    assert!(migrations(provider.folder.path())[0].ends_with("_disable_client_reports.sql"));
    done(hallpass(&["migrate"]));
    assert!(!is_active().await);
    provider.sql("UPDATE clients SET disabled_at = NULL").await;
    assert!(is_active().await);
    done(ask("yes\n"));
    assert!(!is_active().await);
}

#[tokio::test]
async fn list_and_show_tell_everything_but_secrets_and_hashes() {
    let provider = TestProvider::start().await;
    let hallpass = beside(&provider);
    assert_eq!(json_of(&hallpass(&["client", "list", "--json"])), json!({"version": 1, "clients": [], "next": null}));
    let empty = done(hallpass(&["client", "list"]));
    assert!(empty.stderr.contains("client new"), "{empty:?}");
    provider
        .add(
            NewClient::new("reports")
                .with("client_name", "Reports\u{1b}[31m")
                .with("consent", "skip")
                .with("client_id_issued_at", "1700000000")
                .leaving_to("https://reports.example/"),
        )
        .await;
    provider.add(NewClient::new("app").public()).await;
    provider
        .sql("UPDATE client_secrets SET created_at = 1700000000, client_secret_expires_at = 1700086400, label = 'old'")
        .await;
    let hash = hash_of("a second secret");
    provider
        .sql(&format!(
            "INSERT INTO client_secrets (client_id, secret_hash, created_at) VALUES ('reports', '{hash}', 1700086400)"
        ))
        .await;

    let list = done(hallpass(&["client", "list"]));
    insta::assert_snapshot!(list.stdout, @r##"
ID       NAME             AUTHENTICATION       SECRETS  CONSENT  ACCESS     STATE
app      The app service  none                 0        ask      everybody  active
reports  Reports [31m     client_secret_basic  1        skip     everybody  active
"##);
    let listed = json_of(&hallpass(&["client", "list", "--json"]))["clients"].take();
    assert_eq!(listed[0]["client_id"], "app");
    assert_eq!((&listed[1]["secrets"], &listed[1]["disabled_at"]), (&json!(1), &Value::Null));
    assert_eq!((&listed[1]["origin"], &listed[1]["fault"]), (&json!("migration"), &Value::Null));

    let show = done(hallpass(&["client", "show", "reports"]));
    insta::assert_snapshot!(show.stdout, @r##"
client_id                     reports
client_name                   Reports [31m
application_type              web
token_endpoint_auth_method    client_secret_basic
grant_types                   authorization_code
response_types                code
scope                         openid profile email
id_token_signed_response_alg  RS256
pkce                          required
consent                       skip
access_token_format           opaque
claims_in_id_token            yes
subject_type                  public
refresh_token_rotation        always
origin                        migration
client_id_issued_at           2023-11-14T22:13:20Z
access                        everybody
stale_after                   600
redirect_uri                  https://reports.example/callback
post_logout_redirect_uri      https://reports.example/
secret                        made 2023-11-14T22:13:20Z, ended 2023-11-15T22:13:20Z (old)
secret                        made 2023-11-15T22:13:20Z, ends never
"##);
    let shown = json_of(&hallpass(&["client", "show", "reports", "--json"]));
    assert_eq!(shown["redirect_uris"], json!(["https://reports.example/callback"]));
    assert_eq!(shown["client_id_issued_at"], "2023-11-14T22:13:20Z");
    assert_eq!(
        shown["secrets"][0],
        json!({"label": "old", "created_at": "2023-11-14T22:13:20Z", "client_secret_expires_at": "2023-11-15T22:13:20Z"})
    );
    for outcome in [&list, &show] {
        assert!(!outcome.stdout.contains("argon2") && !outcome.stdout.contains('\u{1b}'), "{outcome:?}");
    }
    assert!(!shown.to_string().contains("argon2"), "{shown}");

    let settings = done(hallpass(&["client", "show", "reports", "--settings", "spring"]));
    assert!(
        settings.stdout.contains("client-id: \"reports\"") && settings.stdout.contains("PUT THE SECRET HERE"),
        "{settings:?}"
    );
    let unknown = hallpass(&["client", "show", "reprots"]);
    assert_eq!((unknown.status, unknown.stdout.as_str()), (1, ""), "{unknown:?}");
    assert!(unknown.stderr.contains("client list"), "{unknown:?}");
}

#[test]
fn commands_that_look_make_no_database_and_apply_nothing() {
    let folder = folder();
    for arguments in [
        &["client", "list"][..],
        &["client", "show", "a"],
        &["client", "disable", "a", "--yes"],
        &["user", "list"],
        &["user", "disable", "a", "--yes"],
    ] {
        let outcome = run(folder.path(), arguments);
        assert_eq!(outcome.status, 1, "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains("no database yet") && outcome.stderr.contains("Fix: "), "{outcome:?}");
    }
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    fs::write(folder.path().join("hallpass.db"), "").unwrap();
    let outcome = run(folder.path(), &["client", "list"]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("pending") && outcome.stderr.contains("hallpass migrate"), "{outcome:?}");
}

#[tokio::test]
async fn migrate_says_in_json_what_is_pending_edited_or_missing_and_how_to_fix_it() {
    let provider = TestProvider::start().await;
    let hallpass = beside(&provider);
    let file = |name: &str| provider.folder.path().join("migrations").join(name);
    fs::write(file("20261201090000_one.sql"), "INSERT INTO clients (client_id) VALUES ('one');").unwrap();
    fs::write(file("20261202090000_two.sql"), "INSERT INTO clients (client_id) VALUES ('two');").unwrap();
    done(hallpass(&["migrate"]));
    let clean = json_of(&hallpass(&["migrate", "--check", "--json"]));
    assert_eq!((&clean["pending"], &clean["edited"], &clean["missing"]), (&json!([]), &json!([]), &json!([])));

    fs::write(file("20261203090000_three.sql"), "INSERT INTO clients (client_id) VALUES ('three');").unwrap();
    fs::remove_file(file("20261202090000_two.sql")).unwrap();
    let check = hallpass(&["migrate", "--check", "--json"]);
    assert_eq!(check.status, 1, "{check:?}");
    let found: Value = serde_json::from_str(&check.stdout).unwrap();
    assert_eq!(found["pending"], json!([{"version": 20_261_203_090_000_i64, "description": "three"}]));
    assert_eq!(found["missing"], json!([{"version": 20_261_202_090_000_i64}]));
    for part in ["1 pending", "1 missing", "Fix: ", "`hallpass migrate`", "migrations"] {
        assert!(check.stderr.contains(part), "{part}: {check:?}");
    }

    fs::write(file("20261201090000_one.sql"), "INSERT INTO clients (client_id) VALUES ('one'); -- edited").unwrap();
    let edited = hallpass(&["migrate", "--check"]);
    assert_eq!(edited.status, 1, "{edited:?}");
    assert_eq!(edited.stdout, "edited   20261201090000 one\nmissing  20261202090000\npending  20261203090000 three\n");
    assert!(
        edited.stderr.contains("20261201090000_one.sql") && edited.stderr.contains("into a new file"),
        "{edited:?}"
    );
    assert_eq!(hallpass(&["migrate"]).status, 1, "nor is anything applied");
    assert_eq!(provider.rows("SELECT client_id FROM clients WHERE client_id = 'three'").await.len(), 0);
}

/// Of every command, and of those that only hold others.
#[test]
fn every_help_teaches_by_an_example() {
    let folder = folder();
    let commands = every_command(folder.path());
    assert!(commands.len() > 30, "{commands:?}");
    let with_groups: BTreeSet<&[String]> =
        commands.iter().flat_map(|words| (1..=words.len()).map(|count| &words[..count])).collect();
    for words in with_groups {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = done(run(folder.path(), &arguments)).stdout;
        let example = help.split_once("Example").map(|(_, example)| example);
        let example = example.unwrap_or_else(|| panic!("{words:?} has no example: {help}"));
        assert!(example.contains(&format!("hallpass {}", words.join(" "))), "{words:?}: {help}");
    }
}

#[test]
fn completions_and_the_manual_come_from_the_same_source() {
    let folder = folder();
    let commands = every_command(folder.path());
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = done(run(folder.path(), &["completions", shell])).stdout;
        for words in &commands {
            assert!(text.contains(words.last().unwrap()), "{shell} does not know {words:?}");
        }
        assert!(text.contains("redirect-uri"), "{shell}");
    }
    // A shell takes it: what is completed after `client ` are its commands.
    let script = "source <(\"$0\" completions bash); COMP_WORDS=(hallpass client ''); COMP_CWORD=2; _hallpass hallpass '' client; echo \"${COMPREPLY[@]}\"";
    let output =
        std::process::Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_hallpass")]).output().unwrap();
    let reply = String::from_utf8(output.stdout).unwrap();
    assert!(
        reply.contains("rotate-secret") && reply.contains("lint"),
        "{reply} {}",
        String::from_utf8_lossy(&output.stderr)
    );

    let page = done(run(folder.path(), &["man"])).stdout;
    assert!(page.contains(".TH hallpass 1") && page.contains("hallpass\\-client(1)"), "{page}");
    done(run(folder.path(), &["man", "--output", "pages"]));
    for words in &commands {
        let name = format!("hallpass-{}.1", words.join("-"));
        let text = fs::read_to_string(folder.path().join("pages").join(&name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.contains(".SH NAME"), "{name}");
    }
}

#[tokio::test]
async fn a_reader_that_has_enough_is_no_fault() {
    let provider = TestProvider::start().await;
    let _ = provider.client("reports").await;
    for arguments in [
        &["client", "list"][..],
        &["client", "show", "reports", "--json"],
        &["user", "list", "--json"],
        &["migrate", "--check", "--json"],
        &["completions", "bash"],
        &["man"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(provider.folder.path())
            .args(arguments)
            .envs(provider.variables())
            .stdin(Stdio::null())
            .stdout(writer)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked") && stderr.is_empty(), "{arguments:?}: {stderr}");
        // As a shell says it of a process that SIGPIPE ended.
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
    }
}

#[test]
fn colors_are_for_terminals_and_no_color_takes_them_away() {
    let folder = folder();
    assert!(
        run_at_terminal(folder.path(), &["--help"], &[], "").stdout.contains('\u{1b}'),
        "at a terminal there are colors"
    );
    for arguments in [&["--help"][..], &["client", "new"], &["client", "list"]] {
        let plain = run_at_terminal(folder.path(), arguments, &[("NO_COLOR", "1")], "");
        assert!(!plain.stdout.contains('\u{1b}'), "{plain:?}");
        let piped = run(folder.path(), arguments);
        assert!(!piped.stdout.contains('\u{1b}') && !piped.stderr.contains('\u{1b}'), "{piped:?}");
    }
}

/// Any user who lists the processes of a machine sees their arguments.
#[test]
fn no_command_takes_a_secret_as_an_argument() {
    let folder = folder();
    for words in every_command(folder.path()) {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["-h"]).collect();
        let help = done(run(folder.path(), &arguments)).stdout;
        for line in help.lines().filter(|line| line.trim_start().starts_with("--")) {
            let flag = line.trim_start().split(['=', ' ']).next().unwrap();
            // A file of secrets may be named, and a hash is none.
            let names_secret = ["secret", "password", "token"].iter().any(|word| flag.ends_with(word));
            let is_taken = line.trim_start()[flag.len()..].trim_start().starts_with('<');
            // `<->` takes nothing but a dash: standard input.
            let is_taken = is_taken && !line.contains("<->");
            assert!(!names_secret || !is_taken, "hallpass {}: {line}", words.join(" "));
        }
    }
}

#[tokio::test]
async fn a_person_signs_in_to_a_service_whose_client_was_made_by_answers() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let typed = format!("Reports\nserver\nyes\n{URI}\nnone\nnone\nnone\nnone\nyes\nyes\nenv\n");
    let outcome = done(run_at_terminal(provider.folder.path(), &["client", "new", "reports"], &variables, &typed));
    done(beside(&provider)(&["migrate"]));
    let client =
        TestClient { client_id: "reports".into(), secret: Some(secret_in(&outcome.stdout)), redirect_uri: URI.into() };
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert!(page.query_parameter("code").is_some(), "one's own service asks no user for consent: {page}");
}

/// What is in the row, and what the command says of it.
fn registered(folder: &Path, arguments: &[&str]) -> (String, Outcome) {
    let arguments: Vec<&str> = ["client", "new"].iter().chain(arguments).copied().collect();
    let outcome = done(run(folder, &arguments));
    (newest(folder), outcome)
}

#[test]
fn client_new_has_a_flag_for_the_claims_in_the_id_token() {
    let folder = folder();
    for (id, word) in [("a", "yes"), ("b", "no")] {
        let (sql, _) = registered(folder.path(), &[id, "--redirect-uri", URI, "--claims-in-id-token", word]);
        assert!(
            sql.lines().any(|line| line.contains(&format!("'{word}'")) && line.contains("claims_in_id_token")),
            "{sql}"
        );
    }
    let wrong = run(folder.path(), &["client", "new", "c", "--redirect-uri", URI, "--claims-in-id-token", "true"]);
    assert_eq!(wrong.status, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("yes, no"), "{wrong:?}");
}

#[tokio::test]
async fn client_new_has_flags_for_the_pages_that_users_are_shown_and_checks_them_like_the_other_addresses() {
    let provider = TestProvider::start().await;
    let pages = [
        ("--client-uri", "client_uri", "https://reports.example.com/"),
        ("--policy-uri", "policy_uri", "https://reports.example.com/privacy"),
        ("--tos-uri", "tos_uri", "https://reports.example.com/terms"),
    ];
    let mut new = vec!["client", "new", "reports", "--redirect-uri", URI];
    new.extend(pages.iter().flat_map(|(flag, _, uri)| [*flag, *uri]));
    done(provider.command(&new, ""));
    done(provider.command(&["migrate"], ""));
    let row = provider.rows("SELECT client_uri, policy_uri, tos_uri FROM clients").await;
    assert_eq!(row, [pages.map(|(_, _, uri)| Some(uri.to_owned()))]);
    for (flag, _, _) in pages {
        for bad in ["http://reports.example.com/", "reports.example.com", "javascript:alert(1)", "myapp:/page"] {
            let refused = provider.command(&["client", "new", "other", "--redirect-uri", URI, flag, bad], "");
            assert_eq!(refused.status, 1, "{refused:?}");
            assert!(refused.stderr.contains(&format!("{flag} {bad}: ")), "{refused:?}");
        }
    }
}

/// RFC 8252 section 8.6. The file says what will happen, and the command why.
#[tokio::test]
async fn a_consent_that_will_be_ignored_is_told_by_the_generator_and_by_show_and_list() {
    let provider = TestProvider::start().await;
    let native = ["--public", "--application-type", "native", "--redirect-uri", "http://127.0.0.1/cb"];
    let new: Vec<&str> = ["client", "new", "app", "--consent", "skip"].iter().chain(&native).copied().collect();
    let outcome = done(provider.command(&new, ""));
    assert!(
        outcome.stderr.contains("--consent skip would be ignored") && outcome.stderr.contains("8252"),
        "{outcome:?}"
    );
    let sql = newest(provider.folder.path());
    assert!(sql.contains("'ask'") && !sql.contains("'skip'"), "{sql}");
    // One that can prove who it is, and one on the web, may skip.
    for more in [
        &["--application-type", "native", "--redirect-uri", "http://127.0.0.1/cb"][..],
        &["--public", "--redirect-uri", "https://app.example/cb"],
    ] {
        let id = format!("other-{}", more.len());
        let new: Vec<&str> = ["client", "new", &id, "--consent", "skip"].iter().chain(more).copied().collect();
        let outcome = done(provider.command(&new, ""));
        assert!(!outcome.stderr.contains("ignored"), "{outcome:?}");
        assert!(newest(provider.folder.path()).contains("'skip'"));
    }
    done(provider.command(&["migrate"], ""));
    provider.sql("UPDATE clients SET consent = 'skip' WHERE client_id = 'app'").await;
    let show = |id: &str| done(provider.command(&["client", "show", id], "")).stdout;
    let shown = show("app");
    let consent = shown.lines().find(|line| line.starts_with("consent")).unwrap();
    assert!(consent.contains("skip (ignored: ") && consent.contains("RFC 8252"), "{shown}");
    assert!(!show("other-4").contains("ignored") && !show("other-3").contains("ignored"));
    let list = done(provider.command(&["client", "list"], "")).stdout;
    assert_eq!(list.matches("skip (ignored)").count(), 1, "{list}");
    let listed = json_of(&provider.command(&["client", "list", "--json"], ""))["clients"].take();
    assert_eq!((&listed[0]["consent"], &listed[0]["consent_ignored"]), (&json!("skip"), &json!(true)));
    let shown = json_of(&provider.command(&["client", "show", "app", "--json"], ""));
    assert_eq!((&shown["consent"], &shown["always_asks"]), (&json!("skip"), &json!(true)));
}

// ---- What is refused at first and may be accepted with a reason.

const NATIVE: &[&str] = &["--public", "--application-type", "native"];

/// The code, how the command line has it, and the statement that the comment is before.
fn acceptable() -> Vec<(&'static str, Vec<&'static str>, &'static str)> {
    let native = |uri: &'static str| NATIVE.iter().copied().chain(["--redirect-uri", uri]).collect::<Vec<_>>();
    let web = |more: &[&'static str]| ["x", "--redirect-uri", URI].iter().chain(more).copied().collect::<Vec<_>>();
    let of = |id: &'static str, more: Vec<&'static str>| std::iter::once(id).chain(more).collect::<Vec<_>>();
    vec![
        ("plain-http", vec!["x", "--redirect-uri", "http://printer.lan/cb"], "INSERT INTO client_redirect_uris"),
        ("plain-http", vec!["x", "--redirect-uri", "http://192.168.1.20:8080/cb"], "INSERT INTO client_redirect_uris"),
        ("plain-http", of("x", native("http://[fd00::1]/cb")), "INSERT INTO client_redirect_uris"),
        (
            "plain-http",
            web(&["--post-logout-redirect-uri", "http://printer/out"]),
            "INSERT INTO client_post_logout_redirect_uris",
        ),
        ("plain-http", web(&["--backchannel-logout-uri", "http://nas.home.arpa/out"]), "INSERT INTO clients"),
        ("plain-http", web(&["--tos-uri", "http://nas.internal/terms"]), "INSERT INTO clients"),
        ("private-scheme", of("x", native("myapp:/callback")), "INSERT INTO client_redirect_uris"),
        ("client-id", vec!["urn:example:app", "--redirect-uri", URI], "INSERT INTO clients"),
        ("client-id", vec!["https://app.example/", "--redirect-uri", URI], "INSERT INTO clients"),
        ("audience", web(&["--audience", "rabbitmq"]), "INSERT INTO client_audiences"),
        ("audience", web(&["--resource", "rabbitmq"]), "INSERT INTO clients"),
    ]
}

#[tokio::test]
async fn what_the_runtime_can_do_is_registered_with_a_reason_and_refused_without() {
    for (code, arguments, before) in acceptable() {
        let provider = TestProvider::start().await;
        let new: Vec<&str> = ["client", "new"].iter().chain(&arguments).copied().collect();
        let refused = provider.command(&new, "");
        assert_eq!(refused.status, 1, "{refused:?}");
        assert!(refused.stderr.contains(&format!("--accept '{code}: REASON'")), "{refused:?}");
        assert!(migrations(provider.folder.path()).is_empty());
        let accept = format!("{code}: the device's firmware -- cannot; do otherwise");
        let accepted: Vec<&str> = new.iter().copied().chain(["--accept", &accept]).collect();
        done(provider.command(&accepted, ""));
        let sql = newest(provider.folder.path());
        let comment = format!("-- hallpass: accept {accept}\n{before} (");
        assert_eq!(sql.matches(&comment).count(), 1, "{comment} is not in {sql}");
        assert_eq!(sql.matches("hallpass: accept").count(), 1, "{sql}");
        let lint = provider.command(&["client", "lint"], "");
        assert!(!lint.stdout.contains(code) && !lint.stdout.contains("acceptance"), "{lint:?}");
        assert_eq!(lint.status, 0, "{lint:?}");
        assert!(lint.stderr.ends_with(", 1 accepted\n"), "{lint:?}");
        done(provider.command(&["migrate"], ""));
        // Other commands take the client as it is.
        done(provider.command(&["client", "show", arguments[0]], ""));
        done(provider.command(&["client", "disable", arguments[0], "--migration"], ""));
    }
}

#[test]
fn an_acceptance_needs_a_reason_a_known_code_and_something_that_it_fits() {
    let folder = folder();
    let with = |accept: &str| {
        run(folder.path(), &["client", "new", "x", "--redirect-uri", "http://printer.lan/cb", "--accept", accept])
    };
    for (accept, status, part) in [
        ("plain-http", 2, "REASON"),
        ("plain-http:  ", 2, "REASON"),
        ("no-secret: it has none", 2, "plain-http, private-scheme, client-id, audience"),
        ("private-scheme: wrong one", 1, "plain-http"),
    ] {
        let outcome = with(accept);
        assert_eq!(outcome.status, status, "{outcome:?}");
        assert!(outcome.stderr.contains(part), "{outcome:?}");
    }
    let idle = run(folder.path(), &["client", "new", "x", "--redirect-uri", URI, "--accept", "plain-http: why not"]);
    assert_eq!(idle.status, 1, "{idle:?}");
    assert!(idle.stderr.contains("nothing that is registered here needs it"), "{idle:?}");
    assert!(migrations(folder.path()).is_empty());
}

#[test]
fn what_would_not_work_or_not_be_safe_is_refused_whatever_is_accepted() {
    let folder = folder();
    let all = ["plain-http: x", "private-scheme: x", "client-id: x", "audience: x"];
    for arguments in [
        &["x", "--redirect-uri", "http://printer.example.com/cb"][..],
        &["x", "--redirect-uri", "http://8.8.8.8/cb"],
        &["x", "--redirect-uri", "http://printer.lan/cb#part"],
        &["x", "--redirect-uri", "http://printer.lan/cb", "--pkce", "optional"],
        &["x", "--redirect-uri", "myapp:/cb"],
        &["x", "--public", "--application-type", "native", "--redirect-uri", "javascript:alert(1)"],
        &["a b", "--redirect-uri", URI],
        &["x", "--redirect-uri", URI, "--audience", "a\nb"],
        &["x", "--redirect-uri", URI, "--audience", "a:b c"],
    ] {
        for accept in all {
            let new: Vec<&str> =
                ["client", "new"].iter().chain(arguments).copied().chain(["--accept", accept]).collect();
            let refused = run(folder.path(), &new);
            assert_eq!(refused.status, 1, "{refused:?}");
        }
    }
    assert!(migrations(folder.path()).is_empty());
}
