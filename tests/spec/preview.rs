//! `hallpass preview CLIENT USER`: the claims a pair would get are the claims it gets, and no token is among them.

use crate::support::program::{Outcome, done, refused, run};
use crate::support::{
    Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent, claims_of, folder, header_of,
};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

fn preview(provider: &TestProvider, arguments: &[&str]) -> Outcome {
    let arguments: Vec<&str> = std::iter::once("preview").chain(arguments.iter().copied()).collect();
    provider.command(&arguments, "")
}

fn json_of(provider: &TestProvider, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&done(preview(provider, &arguments)).stdout).unwrap()
}

/// Members whose values differ between any two tokens are compared by their kind, `exp` by its distance to `iat`.
fn comparable(claims: &Value) -> Map<String, Value> {
    let claims = claims.as_object().unwrap();
    let kind = |value: &Value| if value.is_number() { "a number" } else { "a text" };
    claims
        .iter()
        .map(|(name, value)| match name.as_str() {
            "exp" => (name.clone(), (value.as_i64().unwrap() - claims["iat"].as_i64().unwrap()).into()),
            "iat" | "auth_time" | "jti" | "at_hash" | "sid" | "nonce" => (name.clone(), kind(value).into()),
            _ => (name.clone(), value.clone()),
        })
        .collect()
}

/// Signs alice in with that scope and compares everything with what was foretold.
async fn is_as_foretold(provider: &TestProvider, client: &TestClient, scope: &str) {
    is_foretold_with_claims(provider, client, scope, None).await;
}

/// The same with a `claims` parameter.
async fn is_foretold_with_claims(provider: &TestProvider, client: &TestClient, scope: &str, claims: Option<&str>) {
    let mut arguments = vec![&*client.client_id, "alice", "--scope", scope];
    arguments.extend(claims.iter().flat_map(|claims| ["--claims", claims]));
    let foretold = json_of(provider, &arguments);
    let mut request = Authorization::of(client).with("scope", scope);
    if let Some(claims) = claims {
        request = request.with("claims", claims);
    }
    let scope = &format!("{scope} {}", claims.unwrap_or_default());
    let answer = request.complete(provider, &UserAgent::new()).await;
    let tokens = provider.redeem(client, answer.code()).await.ok();
    let access_token = tokens.text("access_token");

    let mut response = tokens.json();
    for token in ["access_token", "id_token", "refresh_token"] {
        let was_there = response.as_object_mut().unwrap().remove(token).is_some();
        if token == "refresh_token" {
            assert_eq!(foretold["refresh_token"], was_there, "{scope}");
        }
    }
    assert_eq!(foretold["response"], response, "{scope}");

    if let Some(id_token) = tokens.json()["id_token"].as_str() {
        assert_eq!(foretold["id_token"]["header"], header_of(id_token), "{scope}");
        assert_eq!(comparable(&foretold["id_token"]["claims"]), comparable(&claims_of(id_token)), "{scope}");
        assert_eq!(foretold["userinfo"], provider.userinfo(&access_token).await.ok().json(), "{scope}");
    } else {
        assert_eq!((&foretold["id_token"], &foretold["userinfo"]), (&Value::Null, &Value::Null));
    }

    if foretold["access_token"]["format"] == "jwt" {
        assert_eq!(foretold["access_token"]["header"], header_of(&access_token));
        assert_eq!(comparable(&foretold["access_token"]["claims"]), comparable(&claims_of(&access_token)), "{scope}");
    } else {
        assert!(access_token.starts_with("hp_at_"));
    }
    let introspected = provider.post("/introspect", client.auth(), &[("token", &access_token)]).await.ok().json();
    assert_eq!(comparable(&foretold["access_token"]["introspection"]), comparable(&introspected), "{scope}");
}

#[tokio::test]
async fn what_is_foretold_is_what_is_issued() {
    let provider = TestProvider::start().await;
    provider.add_user(NewUser::alice().with("address_locality", "Berlin").with("phone_number", "+49 30 1")).await;
    let plain = provider.client("plain").await;
    let rich = NewClient::new("rich")
        .with("consent", "skip")
        .with("scope", "openid profile email address phone offline_access reports.read")
        .with("grant_types", "authorization_code refresh_token")
        .with("id_token_signed_response_alg", "ES256")
        .with("access_token_format", "jwt")
        .with("claims_in_id_token", "yes")
        .with("subject_type", "pairwise")
        .with("access_token_lifetime", "120")
        .with("id_token_lifetime", "240");
    let rich = provider.add(rich).await;
    provider.sql("INSERT INTO client_audiences VALUES ('rich', 'https://api.example/')").await;
    for scope in ["openid", "openid profile email", "email", "openid offline_access unknown"] {
        is_as_foretold(&provider, &plain, scope).await;
    }
    for scope in ["openid profile email address phone offline_access reports.read", "openid", "reports.read"] {
        is_as_foretold(&provider, &rich, scope).await;
    }
    let claims = json!({
        "userinfo": {"phone_number": {"essential": true}, "email": null, "shoe_size": null},
        "id_token": {"acr": {"essential": true, "values": ["urn:none", hallpass::protocol::factor::ACR_VALUES[0]]}, "email": null},
    });
    for client in [&plain, &rich] {
        is_foretold_with_claims(&provider, client, "openid", Some(&claims.to_string())).await;
    }
}

/// Any rows of claims, groups, roles, scopes and maps: what is foretold is what is issued, for every client of them.
#[tokio::test]
async fn whatever_the_rows_are_what_is_foretold_is_what_is_issued() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let seed = u64::from_be_bytes(hallpass::ambient::random());
    let mut picks = Picks(seed);
    let mut sql = String::from(
        "INSERT INTO scopes VALUES ('work', 'Where you work', 'department level groups'); \
         INSERT INTO scopes VALUES ('api', 'An API', ''); ",
    );
    for group in ["admins", "staff", "guests"] {
        write!(sql, "INSERT INTO groups (name) VALUES ('{group}'); ").unwrap();
        if picks.number(3) > 0 {
            write!(sql, "INSERT INTO group_members (group_name, sub) VALUES ('{group}', 'alice-sub'); ").unwrap();
        }
        if picks.number(2) > 0 {
            let value = picks.one_of(&["7", "\"seven\"", "[1, \"two\"]", "{\"a\": null}", "true"]);
            write!(sql, "INSERT INTO group_claims VALUES ('{group}', 'level', '{value}'); ").unwrap();
        }
    }
    sql.push_str("INSERT INTO user_claims VALUES ('alice-sub', 'department', '\"Sales\"'); ");
    let mut clients = Vec::new();
    for number in 0..12 {
        let id = format!("client{number}");
        let client = NewClient::new(&id)
            .with("consent", picks.one_of(&["skip", "ask"]))
            .with("scope", "openid profile email groups work api")
            .with("claims_in_id_token", picks.one_of(&["yes", "no"]))
            .with("access_token_format", picks.one_of(&["opaque", "jwt"]))
            .with("subject_type", picks.one_of(&["public", "pairwise"]));
        clients.push(provider.add(client).await);
        for role in ["Admin", "Viewer"] {
            let (group, rank) = (picks.one_of(&["admins", "staff", "guests"]), picks.number(3));
            write!(sql, "INSERT INTO client_roles VALUES ('{id}', '{role}', '{group}', {rank}); ").unwrap();
        }
        for (claim, source) in [
            ("groups", "groups"),
            ("role", "roles"),
            ("/realm_access/roles", "roles"),
            ("team", "claim"),
            ("tenant", "constant"),
        ] {
            if picks.number(3) == 0 {
                continue;
            }
            let value = match source {
                "claim" => picks.one_of(&["'department'", "'level'", "'email'", "'missing'"]),
                "constant" => picks.one_of(&["'\"acme\"'", "'[1]'", "'null'"]),
                _ => "NULL",
            };
            let shape = picks.one_of(&["list", "text", "as_is"]);
            let scope = picks.one_of(&["NULL", "NULL", "'work'", "'never'"]);
            let places = picks.one_of(&["id_token userinfo", "userinfo", "access_token introspection", "id_token"]);
            let (starts_with, prefix) = (picks.one_of(&["", "", "s"]), picks.one_of(&["", "oidc:"]));
            write!(
                sql,
                "INSERT INTO client_claims VALUES ('{id}', '{claim}', '{source}', {value}, '{shape}', {scope}, \
                 '{places}', '{starts_with}', '{prefix}'); "
            )
            .unwrap();
        }
    }
    provider.sql(&sql).await;
    println!("seed {seed}: {sql}");
    for client in &clients {
        for scope in ["openid", "openid profile groups work api", "openid email groups"] {
            let mut named = |most| -> Map<String, Value> {
                let names = [
                    "email",
                    "name",
                    "groups",
                    "department",
                    "level",
                    "role",
                    "realm_access",
                    "team",
                    "tenant",
                    "acr",
                    "none",
                ];
                (0..picks.number(most)).map(|_| (picks.one_of(&names).to_owned(), Value::Null)).collect()
            };
            let claims = json!({"userinfo": named(6), "id_token": named(6)}).to_string();
            let claims = (claims.len() > 30).then_some(&*claims);
            is_foretold_with_claims(&provider, client, scope, claims).await;
        }
    }
}

/// `--claims` is read as `/authorize` reads the parameter.
#[tokio::test]
async fn claims_that_are_asked_for_by_name_are_foretold_or_said_to_be_untold() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.add(NewClient::new("reports").with("scope", "openid email")).await;
    let asked = r#"{"userinfo": {"name": null}, "id_token": {"email": null, "acr": null}}"#;
    let outcome = done(preview(&provider, &["reports", "alice", "--scope", "openid", "--claims", asked, "--json"]));
    let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(told["id_token"]["claims"]["email"], "alice@example.com");
    assert_eq!(told["id_token"]["claims"]["acr"], hallpass::protocol::factor::ACR_VALUES[0]);
    assert_eq!(told["sources"]["id_token"]["email"], "the claims parameter");
    assert!(told["userinfo"].get("name").is_none(), "its scope is not the client's: {told}");
    assert!(outcome.stderr.contains("asked for by --claims and not told: userinfo.name\n"), "{outcome:?}");
    let with = |claims: &str| preview(&provider, &["reports", "alice", "--claims", claims]);
    for malformed in ["email", "[]", r#"{"userinfo": ["email"]}"#] {
        refused(&with(malformed), &["--claims: claims is not the JSON object", "Fix: "]);
    }
    refused(
        &with(r#"{"id_token": {"acr": {"essential": true, "value": "gold"}}}"#),
        &["--claims: none of the acr values"],
    );
    refused(&with(r#"{"id_token": {"sub": {"value": "bob-sub"}}}"#), &["another sub than alice-sub"]);
    done(with(r#"{"id_token": {"sub": {"value": "alice-sub"}}}"#));
    refused(&preview(&provider, &["page", "login", "--claims", "{}"]), &["no client \"page\""]);
}

/// Numbers that follow from a seed, which a failure prints.
struct Picks(u64);

impl Picks {
    fn number(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[usize::try_from(self.number(choices.len() as u64)).unwrap()]
    }
}

#[tokio::test]
async fn a_preview_reads_well_and_holds_no_token() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.client("reports").await;
    let outcome = done(preview(&provider, &["reports", "alice@example.com", "--scope", "openid email"]));
    assert!(!outcome.stdout.contains("hp_at_") && !outcome.stdout.contains("eyJ"), "{outcome:?}");
    // Times and random values differ from run to run; so does the issuer's port.
    let text: Vec<String> = outcome
        .stdout
        .replace(&provider.issuer, "ISSUER")
        .lines()
        .map(|line| {
            let name = line.trim().split('"').nth(1).unwrap_or_default();
            let differs = ["iat", "exp", "auth_time", "at_hash", "sid"].contains(&name);
            if differs { format!("{} …", line.split(':').next().unwrap()) } else { line.to_owned() }
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    token response, without the tokens
    {
      "token_type": "Bearer",
      "expires_in": 600,
      "scope": "openid email"
    }

    id_token, signed with RS256
    {
      "email": "alice@example.com",
      "email_verified": true,
      "iss": "ISSUER",
      "sub": "alice-sub",
      "aud": "reports",
      "exp" …
      "iat" …
      "auth_time" …
      "amr": [
        "pwd"
      ],
      "nonce": "the nonce of the request, unchanged",
      "sid" …
      "at_hash" …
    }

    userinfo
    {
      "email": "alice@example.com",
      "email_verified": true,
      "sub": "alice-sub"
    }

    access token, opaque; introspection says
    {
      "active": true,
      "token_type": "Bearer",
      "client_id": "reports",
      "sub": "alice-sub",
      "aud": "ISSUER",
      "iss": "ISSUER",
      "iat" …
      "exp" …
      "scope": "openid email",
      "auth_time" …
      "acr": "1",
      "amr": [
        "pwd"
      ],
      "email": "alice@example.com"
    }

    where each claim comes from
    {
      "id_token": {
        "email": "scope email",
        "email_verified": "scope email"
      },
      "userinfo": {
        "email": "scope email",
        "email_verified": "scope email"
      },
      "introspection": {
        "email": "scope email"
      }
    }

    without a refresh token
    "#);
    let all = json_of(&provider, &["reports", "alice-sub"]);
    assert_eq!(all["response"]["scope"], "openid profile email", "by default all that the client may have");
}

#[tokio::test]
async fn a_preview_stores_nothing() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.client("reports").await;
    let rows = async || {
        let mut counts = Vec::new();
        for table in ["clients", "users", "consents", "refresh_families", "provider_values", "logout_outbox"] {
            counts.push(provider.rows(&format!("SELECT COUNT(*) FROM {table}")).await);
        }
        counts
    };
    let before = rows().await;
    done(preview(&provider, &["reports", "alice"]));
    assert_eq!(rows().await, before);

    let empty = folder();
    refused(&run(empty.path(), &["preview", "reports", "alice"]), &["no database yet", "Fix: `hallpass migrate`"]);
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn who_would_get_nothing_is_told_why() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob").with("disabled_at", "1")).await;
    provider.client("reports").await;
    provider.add(NewClient::new("ended").with("disabled_at", "1")).await;
    provider.add(NewClient::new("machine").with("grant_types", "client_credentials")).await;
    refused(&preview(&provider, &["nobody", "alice"]), &["no client \"nobody\""]);
    refused(&preview(&provider, &["reports", "nobody"]), &["no user \"nobody\""]);
    refused(&preview(&provider, &["reports", "bob"]), &["bob cannot sign in", "disabled"]);
    refused(&preview(&provider, &["ended", "alice"]), &["ended is disabled"]);
    refused(&preview(&provider, &["machine", "alice"]), &["does not sign users in"]);
    refused(&preview(&provider, &["reports", "alice", "--scope", "admin"]), &["none of the scopes"]);
    refused(&preview(&provider, &["reports", "alice", "--scope", "a\"b"]), &["--scope"]);
    assert!(preview(&provider, &["reports", "alice", "--scope", "openid admin"]).stderr.contains("not granted: admin"));
    assert_eq!(preview(&provider, &["reports"]).status, 2);
    provider.sql("UPDATE clients SET scope = 'openid crm' WHERE client_id = 'reports'").await;
    assert!(preview(&provider, &["reports", "alice"]).stderr.contains("opens neither a claim nor an API"), "crm");
    provider.sql("INSERT INTO scopes VALUES ('crm', 'Customers', 'department')").await;
    assert!(!preview(&provider, &["reports", "alice"]).stderr.contains("opens neither"), "crm");
}

#[tokio::test]
async fn a_difference_to_a_saved_preview_is_shown_member_by_member() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.add(NewClient::new("reports").with("consent", "skip").with("claims_in_id_token", "no")).await;
    let saved = provider.folder.path().join("saved.json");
    std::fs::write(&saved, done(preview(&provider, &["reports", "alice", "--json"])).stdout).unwrap();
    let diff = ["reports", "alice", "--diff", "saved.json"];
    let same = done(preview(&provider, &diff));
    assert_eq!((same.stdout.as_str(), same.stderr.as_str()), ("", "no difference\n"));

    provider
        .sql("UPDATE users SET name = NULL, nickname = 'Al', email = 'alice@example.org' WHERE sub = 'alice-sub'")
        .await;
    provider.sql("UPDATE clients SET id_token_lifetime = 60 WHERE client_id = 'reports'").await;
    let changed = preview(&provider, &diff);
    assert_eq!((changed.status, changed.stderr.as_str()), (1, "hallpass: 5 differences\n"), "{changed:?}");
    insta::assert_snapshot!(changed.stdout, @r#"
    ~ access_token.introspection.email: "alice@example.com" is now "alice@example.org"
    ~ id_token.claims.exp - iat: 600 is now 60
    ~ userinfo.email: "alice@example.com" is now "alice@example.org"
    - userinfo.name: "Alice Example" is gone
    + userinfo.nickname: "Al" is new
    "#);
    let as_json: Value =
        serde_json::from_str(&preview(&provider, &["reports", "alice", "--diff", "saved.json", "--json"]).stdout)
            .unwrap();
    assert_eq!(as_json["differences"][3], json!({"path": "userinfo.name", "saved": "Alice Example", "now": null}));

    refused(&preview(&provider, &["reports", "alice", "--diff", "missing.json"]), &["missing.json"]);
    std::fs::write(&saved, "not JSON").unwrap();
    refused(&preview(&provider, &diff), &["that is not what this version of", "Fix: save what"]);
}
