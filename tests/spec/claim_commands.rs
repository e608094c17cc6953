//! What is known of users and groups beyond the standard claims, what clients are told of it, and who may enter them, by
//! command: at once or as a migration that the lint passes.

use crate::audit::{detail, events, of_kind, only};
use crate::support::program::{Outcome, done, refused, run};
use crate::support::{Authorization, NewClient, TestClient, TestProvider, UserAgent, folder};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

fn json(provider: &TestProvider, arguments: &[&str]) -> Value {
    let outcome = done(provider.command(&[arguments, &["--json"]].concat(), ""));
    serde_json::from_str(&outcome.stdout).unwrap()
}

async fn stage() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip")).await;
    done(provider.command(&["group", "new", "finance"], ""));
    done(provider.command(&["group", "add", "finance", "alice"], ""));
    (provider, client)
}

async fn told(provider: &TestProvider, client: &TestClient, scope: &str) -> Value {
    provider.travel(10);
    let browser = UserAgent::new();
    let code = Authorization::of(client).with("scope", scope).complete(provider, &browser).await.code().to_owned();
    let tokens = provider.redeem(client, &code).await.ok();
    provider.userinfo(&tokens.text("access_token")).await.ok().json()
}

// ---- Users and groups.

#[tokio::test]
async fn claims_of_users_are_set_listed_and_unset_and_a_second_time_changes_nothing() {
    let (provider, _client) = stage().await;
    let set = |value: &str| json(&provider, &["user", "claim", "set", "alice", "level", value]);
    let first = set("5");
    assert_eq!((&first["sub"], &first["username"]), (&json!("alice-sub"), &json!("alice")));
    assert_eq!((&first["change"], &first["is_changed"], &first["value"]), (&json!("set"), &json!(true), &json!(5)));
    assert_eq!(set("5")["is_changed"], json!(false));
    assert_eq!(set("-6")["value"], json!(-6), "a value may begin with a dash");
    let unset =
        |claim: &str| json(&provider, &["user", "claim", "unset", "alice@example.com", claim])["is_changed"].clone();
    assert_eq!((unset("level"), unset("level")), (json!(true), json!(false)));
    let stored = "SELECT claim, value FROM user_claims ORDER BY claim";
    assert!(provider.rows(stored).await.is_empty());
    let bare = done(provider.command(&["user", "claim", "set", "alice", "department", "Sales & more"], ""));
    assert!(bare.stderr.contains("taken as the text \"Sales & more\""), "{bare:?}");
    let quoted = done(provider.command(&["user", "claim", "set", "alice", "team", " {\"name\" : \"A\"} "], ""));
    assert!(!quoted.stderr.contains("taken as the text"), "{quoted:?}");
    let rows = provider.rows(stored).await;
    assert_eq!(rows[0][1].as_deref(), Some("\"Sales & more\""));
    assert_eq!(rows[1][1].as_deref(), Some("{\"name\":\"A\"}"));
    let events = events(&provider).await;
    assert_eq!((of_kind(&events, "user_claim_set").len(), of_kind(&events, "user_claim_unset").len()), (4, 1));
    let unset = only(&events, "user_claim_unset");
    assert_eq!((unset["sub"].as_str(), detail(unset)), (Some("alice-sub"), json!({"claim": "level"})));
    assert!(!json!(events).to_string().contains("Sales"), "the value is in no event");
}

#[tokio::test]
async fn what_can_be_no_claim_of_a_user_is_refused_and_nothing_is_changed() {
    let (provider, _client) = stage().await;
    let long = format!("\"{}\"", "x".repeat(9000));
    for (claim, value, word) in [
        ("email", "a@example.com", "standard claim"),
        ("groups", "[\"admins\"]", "group_members"),
        ("sub", "x", "protocol"),
        ("a b", "x", "space"),
        ("", "x", "needs a name"),
        ("level", "[1, 2", "no JSON"),
        ("level", "null", "claim unset"),
        ("level", &long, "8192"),
    ] {
        for whose in [["user", "alice"], ["group", "finance"]] {
            let outcome = provider.command(&[whose[0], "claim", "set", whose[1], claim, value], "");
            refused(&outcome, &[word, "Fix: "]);
        }
    }
    refused(&provider.command(&["user", "claim", "set", "mallory", "level", "5"], ""), &["mallory"]);
    refused(&provider.command(&["group", "claim", "set", "finanze", "level", "5"], ""), &["did you mean finance"]);
    assert!(provider.rows("SELECT claim FROM user_claims UNION SELECT claim FROM group_claims").await.is_empty());
}

#[tokio::test]
async fn the_list_of_a_users_claims_says_where_each_comes_from() {
    let (provider, _client) = stage().await;
    let until = json(&provider, &["group", "new", "guests"]);
    assert_eq!(until["changes"][0]["change"], json!("new"));
    done(provider.command(&["group", "add", "guests", "alice", "--until", "2099-01-01T00:00:00Z"], ""));
    done(provider.command(&["user", "claim", "set", "alice", "level", "5"], ""));
    assert_eq!(
        json(&provider, &["group", "claim", "set", "finance", "cost_center", "4711"])["is_changed"],
        json!(true)
    );
    assert_eq!(
        json(&provider, &["group", "claim", "set", "finance", "cost_center", "4711"])["is_changed"],
        json!(false)
    );
    done(provider.command(&["group", "claim", "set", "guests", "level", "1"], ""));
    // By hand, so that it is told to no service.
    provider.sql("INSERT INTO user_claims (sub, claim, value) VALUES ('alice-sub', 'broken', 'no JSON')").await;
    let listed = json(&provider, &["user", "claim", "list", "alice"]);
    let of = |claim: &str, value: Value, group: Value, until: Value, fault: Value| json!({"claim": claim, "value": value, "group": group, "until": until, "fault": fault});
    let null = Value::Null;
    assert_eq!(
        listed["claims"],
        json!([
            of("broken", null.clone(), null.clone(), null.clone(), json!("its value is no JSON")),
            of("cost_center", json!(4711), json!("finance"), null.clone(), null.clone()),
            of("level", json!(5), null.clone(), null.clone(), null.clone()),
            of("level", json!(1), json!("guests"), json!("2099-01-01T00:00:00Z"), null.clone()),
        ])
    );
    let text = done(provider.command(&["user", "claim", "list", "alice"], ""));
    assert!(text.stdout.contains("group guests, until 2099") && text.stdout.contains("their own"), "{text:?}");
    assert!(text.stderr.contains("broken is told to no service"), "{text:?}");
    let of_group = json(&provider, &["group", "claim", "list", "finance"]);
    assert_eq!((&of_group["group"], &of_group["claims"][0]["value"]), (&json!("finance"), &json!(4711)));
    let unset = |claim: &str| json(&provider, &["group", "claim", "unset", "finance", claim])["is_changed"].clone();
    assert_eq!((unset("cost_center"), unset("cost_center")), (json!(true), json!(false)));
    let events = events(&provider).await;
    assert_eq!(detail(only(&events, "group_claim_unset")), json!({"claim": "cost_center", "group": "finance"}));
    assert_eq!(of_kind(&events, "group_claim_set").len(), 2);
}

// ---- What a client is told.

#[tokio::test]
async fn a_client_is_told_what_the_command_says_and_a_second_time_changes_nothing() {
    let (provider, client) = stage().await;
    done(provider.command(&["user", "claim", "set", "alice", "department", "Sales"], ""));
    let set = |words: &[&str]| {
        json(&provider, &[&["client", "claim", "set", "reports"], words, &["--yes"]].concat())["is_changed"].clone()
    };
    for words in [
        &["groups", "--from", "groups", "--prefix", "oidc:"][..],
        &["/realm_access/roles", "--from", "roles"],
        &["team", "--from", "claim:department"],
        &["tenant", "--from", "constant:{\"id\": 7}"],
        &["area", "--from", "constant:North"],
        &["role", "--from", "roles", "--shape", "text", "--in", "userinfo"],
    ] {
        assert_eq!((set(words), set(words)), (json!(true), json!(false)), "{words:?}");
    }
    let role =
        |words: &[&str]| json(&provider, &[&["client", "role"], words, &["--yes"]].concat())["is_changed"].clone();
    for words in [
        &["set", "reports", "Viewer", "finance", "--rank", "9"][..],
        &["set", "reports", "Viewer", "finance", "--rank", "10"],
        &["set", "reports", "Admin", "finance"],
        &["set", "reports", "Gone", "finance"],
        &["unset", "reports", "Gone", "finance"],
    ] {
        assert_eq!((role(words), role(words)), (json!(true), json!(false)), "{words:?}");
    }
    let told = told(&provider, &client, "openid").await;
    assert_eq!(told["groups"], json!(["oidc:finance"]));
    assert_eq!(told["realm_access"], json!({"roles": ["Admin", "Viewer"]}));
    assert_eq!((&told["team"], &told["tenant"], &told["area"]), (&json!("Sales"), &json!({"id": 7}), &json!("North")));
    assert_eq!(told["role"], json!("Admin"));
    let listed = json(&provider, &["client", "claim", "list", "reports"]);
    assert_eq!(listed["claims"].as_array().unwrap().len(), 6, "{listed}");
    let roles = json(&provider, &["client", "role", "list", "reports"]);
    assert_eq!(
        roles["roles"],
        json!([{"role": "Admin", "group": "finance", "rank": 0}, {"role": "Viewer", "group": "finance", "rank": 10}])
    );
    let unset =
        |claim: &str| json(&provider, &["client", "claim", "unset", "reports", claim, "--yes"])["is_changed"].clone();
    assert_eq!((unset("team"), unset("team")), (json!(true), json!(false)));
    let shown = json(&provider, &["client", "show", "reports"]);
    let claims: Vec<&str> =
        shown["claims"].as_array().unwrap().iter().map(|it| it["claim"].as_str().unwrap()).collect();
    assert_eq!(claims, ["/realm_access/roles", "area", "groups", "role", "tenant"]);
    assert_eq!(shown["roles"].as_array().unwrap().len(), 2);
    let text = done(provider.command(&["client", "show", "reports"], "")).stdout;
    for line in
        ["groups: groups as list in id_token userinfo, with the prefix oidc:", "Admin for members of finance, rank 0"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let listed = done(provider.command(&["client", "role", "list", "reports"], "")).stdout;
    assert!(listed.contains("Viewer  finance  10"), "{listed}");
    let events = events(&provider).await;
    assert!(of_kind(&events, "client_edited").iter().all(|event| event["client_id"] == "reports"));
    assert_eq!(of_kind(&events, "client_edited").len(), 6 + 5 + 1);
}

#[tokio::test]
async fn what_no_client_can_be_told_is_refused_and_nothing_is_changed() {
    let (provider, _client) = stage().await;
    let set = |words: &[&str]| provider.command(&[&["client", "claim", "set"], words, &["--yes"]].concat(), "");
    for (words, word) in [
        (&["reports", "sub", "--from", "groups"][..], "protocol"),
        (&["reports", "email", "--from", "groups"], "standard claim"),
        (&["reports", "groups", "--from", "roles"], "group_members"),
        (&["reports", "x", "--from", "grups"], "--from grups"),
        (&["reports", "x", "--from", "groups:admins"], "groups, roles, claim"),
        (&["reports", "x", "--from", "constant"], "constant:JSON"),
        (&["reports", "x", "--from", "constant:[1"], "no JSON"),
        (&["reports", "x", "--from", "groups", "--scope", "a b"], "one scope"),
        (&["nowhere", "x", "--from", "groups"], "nowhere"),
    ] {
        refused(&set(words), &[word]);
    }
    for words in [&["reports", "x", "--from", "groups", "--in", "nowhere"][..], &["reports", "x"]] {
        assert_eq!(set(words).status, 2, "{words:?}");
    }
    let role = provider.command(&["client", "role", "set", "reports", "Admin", "finanze", "--yes"], "");
    refused(&role, &["finanze", "did you mean finance"]);
    let entry = provider.command(&["client", "edit", "reports", "--add-group", "finanze", "--yes"], "");
    refused(&entry, &["finanze", "did you mean finance"]);
    assert!(provider.rows("SELECT claim FROM client_claims UNION SELECT role FROM client_roles").await.is_empty());
    let unsure = provider.command(&["client", "claim", "set", "reports", "x", "--from", "groups"], "");
    assert_eq!(unsure.status, 2, "a script must say --yes");
    // What would have no effect is said, and done.
    let untold = done(set(&["reports", "role", "--from", "roles"]));
    assert!(untold.stderr.contains("client_roles has none"), "{untold:?}");
}

#[tokio::test]
async fn the_same_is_written_as_a_migration_that_the_lint_passes_and_that_does_it() {
    let (provider, client) = stage().await;
    let (sql, _) = NewClient::new("reports").with("consent", "skip").sql();
    fs::create_dir_all(provider.folder.path().join("migrations")).unwrap();
    for words in [
        &["client", "role", "set", "reports", "It's \"Admin\"", "finance", "--migration"][..],
        &["client", "claim", "set", "reports", "role", "--from", "roles", "--shape", "text", "--migration"],
        &["client", "claim", "set", "reports", "area", "--from", "constant:It's", "--migration"],
        &["client", "claim", "set", "reports", "gone", "--from", "groups", "--migration"],
        &["client", "claim", "unset", "reports", "gone", "--migration"],
        &["scope", "new", "crm", "--description", "What's theirs", "--claim", "department", "--migration"],
        &["scope", "new", "old", "--description", "Old", "--migration"],
        &["scope", "delete", "old", "--migration"],
    ] {
        let written = json(&provider, words);
        assert_eq!(written["is_changed"], json!(false), "{words:?}: {written}");
        assert!(written["file"].is_string(), "{written}");
    }
    assert!(provider.rows("SELECT claim FROM client_claims").await.is_empty(), "not yet");
    done(provider.command(&["migrate"], ""));
    assert_eq!(
        provider.rows("SELECT scope, claims FROM scopes").await,
        [[Some("crm".to_owned()), Some("department".to_owned())]]
    );
    let told = told(&provider, &client, "openid").await;
    assert_eq!((&told["role"], &told["area"], &told["gone"]), (&json!("It's \"Admin\""), &json!("It's"), &Value::Null));
    // The client was registered by hand in this test, which is what the lint misses.
    fs::write(provider.folder.path().join("migrations/20200101000000_reports.sql"), sql).unwrap();
    let lint = provider.command(&["client", "lint"], "");
    let findings: Vec<&str> = lint.stdout.lines().filter(|line| !line.contains("20200101000000")).collect();
    assert!(findings.is_empty(), "{lint:?}");
    let output = ["client", "claim", "set", "reports", "x", "--from", "groups", "--output", "-"];
    let printed = done(provider.command(&output, ""));
    assert!(printed.stdout.contains("INSERT INTO client_claims"), "{printed:?}");
    assert_eq!(provider.command(&[&output[..], &["--json"]].concat(), "").status, 2);
}

// ---- Scopes.

#[tokio::test]
async fn scopes_of_ones_own_are_described_listed_and_deleted() {
    let (provider, client) = stage().await;
    done(provider.command(&["user", "claim", "set", "alice", "department", "Sales"], ""));
    let new = |description: &str| {
        let words = ["scope", "new", "crm", "--description", description, "--claim", "department"];
        json(&provider, &words)["is_changed"].clone()
    };
    assert_eq!((new("Customers"), new("Customers"), new("Your customers")), (json!(true), json!(false), json!(true)));
    done(provider.command(&["client", "edit", "reports", "--set", "scope=openid crm", "--yes"], ""));
    let listed = json(&provider, &["scope", "list"]);
    let own =
        json!({"scope": "crm", "description": "Your customers", "claims": ["department"], "clients": ["reports"]});
    assert_eq!(listed["scopes"], json!([own]));
    assert_eq!(told(&provider, &client, "openid crm").await["department"], json!("Sales"));
    let shown = json(&provider, &["client", "show", "reports"]);
    assert_eq!(shown["own_scopes"][0]["description"], json!("Your customers"));
    for (words, word) in [
        (&["scope", "new", "email", "--description", "x"][..], "standard scope"),
        (&["scope", "new", "a b", "--description", "x"], "not one scope"),
        (&["scope", "new", "", "--description", "x"], "not one scope"),
        (&["scope", "new", "crm", "--description", " "], "what users read"),
        (&["scope", "new", "crm", "--description", "x", "--claim", "sub"], "protocol"),
        (&["scope", "delete", "openid", "--yes"], "standard scope"),
    ] {
        refused(&provider.command(words, ""), &[word, "Fix: "]);
    }
    assert_eq!(provider.command(&["scope", "delete", "crm"], "").status, 2, "a script must say --yes");
    let deleted = done(provider.command(&["scope", "delete", "crm", "--yes"], ""));
    assert!(deleted.stderr.contains("reports may ask for it"), "{deleted:?}");
    assert_eq!(json(&provider, &["scope", "delete", "crm", "--yes"])["is_changed"], json!(false));
    assert_eq!(told(&provider, &client, "openid crm").await["department"], Value::Null);
    let events = events(&provider).await;
    let edited: Vec<Value> = of_kind(&events, "scope_edited").into_iter().map(detail).collect();
    assert_eq!(edited.len(), 3);
    // Of one second, in whatever order.
    assert!(edited.contains(&json!({"is_deleted": true, "scope": "crm"})), "{edited:?}");
}

// ---- A new client.

fn new_in(folder: &TempDir, more: &[&str]) -> Outcome {
    let new = ["client", "new", "ledger", "--redirect-uri", "https://ledger.example.com/cb", "--output", "-"];
    run(folder.path(), &[&new[..], more].concat())
}

#[test]
fn a_new_client_says_who_may_enter_and_what_its_scopes_are() {
    let folder = folder();
    let open = done(new_in(&folder, &[]));
    assert!(!open.stdout.contains("access,") && !open.stdout.contains("client_groups"), "{open:?}");
    let closed = done(new_in(&folder, &["--group", "finance", "--group", "it's"]));
    for text in ["'groups' ", "VALUES ('ledger', 'finance');", "VALUES ('ledger', 'it''s');"] {
        assert!(closed.stdout.contains(text), "{text}: {closed:?}");
    }
    let empty = done(new_in(&folder, &["--access", "groups"]));
    assert!(empty.stdout.contains("'groups' ") && empty.stderr.contains("no user can enter"), "{empty:?}");
    let scope = ["--scope", "openid crm jobs:run"];
    let undescribed = done(new_in(&folder, &scope));
    for token in ["crm", "jobs:run"] {
        assert!(
            undescribed.stderr.contains(&format!("--scope-description '{token}=WHAT USERS READ'")),
            "{undescribed:?}"
        );
    }
    let both = ["--scope-description", "crm=Your customers", "--scope-description", "jobs:run=It's = x"];
    let described = done(new_in(&folder, &[&scope[..], &both].concat()));
    assert!(!described.stderr.contains("--scope-description"), "{described:?}");
    for text in ["VALUES ('crm', 'Your customers') ON CONFLICT DO NOTHING;", "('jobs:run', 'It''s = x')"] {
        assert!(described.stdout.contains(text), "{text}: {described:?}");
    }
    for (words, word) in [
        (&["--access", "everybody", "--group", "finance"][..], "leave one of the two out"),
        (&["--group", ""], "--group"),
        (&["--scope-description", "crm"], "SCOPE=TEXT"),
        (&["--scope-description", "crm=Customers"], "may not ask"),
        (&["--scope-description", "email=Mail"], "standard scope"),
    ] {
        refused(&new_in(&folder, words), &[word]);
    }
}

#[tokio::test]
async fn a_migration_that_names_a_group_passes_the_lint_and_needs_the_group() {
    let (provider, _client) = stage().await;
    let new = ["client", "new", "ledger", "--redirect-uri", "https://ledger.example.com/cb", "--scope", "openid crm"];
    let more =
        ["--post-logout-redirect-uri", "https://ledger.example.com/", "--scope-description", "crm=Your customers"];
    let told = ["--backchannel-logout-uri", "https://ledger.example.com/out", "--group", "staff"];
    done(provider.command(&[&new[..], &more, &told].concat(), ""));
    let lint = done(provider.command(&["client", "lint", "--strict"], ""));
    assert_eq!(lint.stdout, "", "groups are made by command: that no file makes one is no fault");
    let failed = provider.command(&["migrate"], "");
    assert_eq!(failed.status, 1, "{failed:?}");
    assert!(failed.stderr.contains("hallpass group new"), "{failed:?}");
    done(provider.command(&["group", "new", "staff"], ""));
    done(provider.command(&["migrate"], ""));
    let shown = json(&provider, &["client", "show", "ledger"]);
    assert_eq!((&shown["access"], &shown["groups"]), (&json!("groups"), &json!(["staff"])));
    let listed = json(&provider, &["client", "list"]);
    let access: Vec<&Value> = listed["clients"].as_array().unwrap().iter().map(|client| &client["access"]).collect();
    assert_eq!(access, [&json!("groups"), &json!("everybody")]);
    done(provider.command(&["client", "edit", "ledger", "--remove-group", "staff", "--yes"], ""));
    let text = done(provider.command(&["client", "list"], "")).stdout;
    assert!(text.lines().any(|line| line.starts_with("ledger") && line.contains("closed")), "{text}");
}

#[tokio::test]
async fn a_command_that_keeps_users_out_raises_the_least_version_that_may_serve() {
    let (provider, _client) = stage().await;
    let least = "SELECT value FROM provider_values WHERE name = 'least_schema_version'";
    assert!(provider.rows(least).await.is_empty(), "not before");
    let edit = ["client", "edit", "reports", "--set", "access=groups", "--add-group", "finance", "--yes"];
    done(provider.command(&edit, ""));
    assert_eq!(provider.rows(least).await[0][0].as_deref(), Some("8"));
}

// ---- Products.

/// What a product takes rights from is in its row, and its settings read that.
#[tokio::test]
async fn a_product_that_takes_rights_from_groups_is_told_them_where_it_reads_them() {
    let (provider, _client) = stage().await;
    let products = json(&provider, &["client", "products"]);
    let of_groups: Vec<&Value> =
        products["products"].as_array().unwrap().iter().filter(|product| product["groups"].is_object()).collect();
    assert!(of_groups.len() >= 15, "{}", of_groups.len());
    for (id, setting) in [
        ("grafana", "role_attribute_path = contains(groups[*], 'grafana-admins')"),
        ("argocd", "scopes: \"[groups]\""),
        ("kubernetes", "--oidc-groups-claim=groups"),
        ("gitea", "--group-claim-name groups"),
        ("nextcloud", "--mapping-groups=groups"),
        ("aspnetcore", "RoleClaimType = \"roles\""),
        ("jupyterhub", "\"oauth_user.groups\""),
    ] {
        let url = format!("https://{id}.example.com");
        let settings = done(provider.command(&["client", "new", id, "--for", id, "--url", &url], "")).stdout;
        assert!(settings.contains(setting), "{setting}: {settings}");
    }
    done(provider.command(&["migrate"], ""));
    let of = |id: &str| json(&provider, &["client", "claim", "list", id])["claims"].clone();
    let row = |claim: &str, places: Value| {
        json!([{"claim": claim, "source": "groups", "value": null, "shape": "list", "scope": null, "places": places,
            "starts_with": "", "prefix": ""}])
    };
    assert_eq!(of("grafana"), row("groups", json!(["id_token", "userinfo"])));
    assert_eq!(of("kubernetes"), row("groups", json!(["id_token"])));
    assert_eq!(of("aspnetcore"), row("roles", json!(["id_token", "userinfo"])));
    provider.travel(10);
    let preview = json(&provider, &["preview", "grafana", "alice"]);
    assert_eq!(preview["id_token"]["claims"]["groups"], json!(["finance"]));
}
