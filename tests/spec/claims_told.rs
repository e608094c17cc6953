//! What a service is told of a user: groups, roles and further claims, by scope, by the `claims` parameter and by maps, in every
//! place. OIDC Core 5.4, 5.5, 5.6.2; RFC 7662 section 2.2; RFC 9068 section 2.2.

use crate::support::verbs::claims_of;
use crate::support::{Api, Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent};
use serde_json::{Value, json};

/// Where the same is told.
struct Told {
    id_token: Value,
    userinfo: Value,
    access_token: Value,
    introspection: Value,
}

const SCOPE: &str = "openid profile email groups hr offline_access";

/// A service that is spared the question, and alice, who is in two groups and has a claim of her own.
async fn stage() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = NewClient::new("reports")
        .with("consent", "skip")
        .with("scope", SCOPE)
        .with("grant_types", "authorization_code refresh_token")
        .with("access_token_format", "jwt");
    let client = provider.add(client).await;
    provider
        .sql(
            "INSERT INTO groups (name) VALUES ('app-admins'); INSERT INTO groups (name) VALUES ('staff');
             INSERT INTO group_members (group_name, sub) VALUES ('app-admins', 'alice-sub');
             INSERT INTO group_members (group_name, sub) VALUES ('staff', 'alice-sub');
             INSERT INTO user_claims VALUES ('alice-sub', 'department', '\"Sales\"');
             INSERT INTO group_claims VALUES ('staff', 'building', '{\"number\": 7}');
             INSERT INTO scopes VALUES ('hr', 'Where you work', 'department building')",
        )
        .await;
    (provider, client)
}

async fn told_with(provider: &TestProvider, client: &TestClient, request: Authorization) -> Told {
    let answer = request.complete(provider, &UserAgent::new()).await;
    told_by(provider, client, &provider.redeem(client, answer.code()).await.ok()).await
}

async fn told_by(provider: &TestProvider, client: &TestClient, tokens: &Api) -> Told {
    let access_token = tokens.text("access_token");
    let introspection = provider.post("/introspect", client.auth(), &[("token", &access_token)]).await.ok().json();
    Told {
        id_token: claims_of(&tokens.text("id_token")),
        userinfo: provider.userinfo(&access_token).await.ok().json(),
        access_token: if access_token.contains('.') { claims_of(&access_token) } else { Value::Null },
        introspection,
    }
}

async fn told(provider: &TestProvider, client: &TestClient, scope: &str) -> Told {
    told_with(provider, client, Authorization::of(client).with("scope", scope)).await
}

async fn map(provider: &TestProvider, columns: &str, values: &str) {
    provider.sql(&format!("INSERT INTO client_claims (client_id, {columns}) VALUES ('reports', {values})")).await;
    provider.travel(10);
}

#[tokio::test]
async fn the_scope_groups_opens_groups_at_userinfo_and_only_a_map_puts_them_into_an_id_token() {
    let (provider, client) = stage().await;
    let before = told(&provider, &client, "openid groups").await;
    assert_eq!(before.userinfo["groups"], json!(["app-admins", "staff"]));
    for place in [&before.id_token, &before.access_token, &before.introspection] {
        assert_eq!(place["groups"], Value::Null);
    }
    let without = told(&provider, &client, "openid profile").await;
    assert_eq!(without.userinfo["groups"], Value::Null, "the scope was not granted");
    map(&provider, "claim, source", "'groups', 'groups'").await;
    let after = told(&provider, &client, "openid").await;
    assert_eq!(after.id_token["groups"], json!(["app-admins", "staff"]));
    assert_eq!(after.userinfo["groups"], json!(["app-admins", "staff"]));
}

#[tokio::test]
async fn a_scope_of_the_organizations_own_opens_the_claims_of_its_row() {
    let (provider, client) = stage().await;
    let told_now = told(&provider, &client, "openid hr").await;
    for place in [&told_now.id_token, &told_now.userinfo] {
        assert_eq!((&place["department"], &place["building"]), (&json!("Sales"), &json!({"number": 7})));
    }
    let without = told(&provider, &client, "openid profile").await;
    assert_eq!(without.userinfo["department"], Value::Null);
    // The membership that brought the claim ends.
    provider.sql("DELETE FROM group_members WHERE group_name = 'staff'").await;
    provider.travel(10);
    assert_eq!(told(&provider, &client, "openid hr").await.userinfo["building"], Value::Null);
}

#[tokio::test]
async fn a_map_has_the_name_shape_prefix_filter_scope_and_places_of_its_row() {
    let (provider, client) = stage().await;
    provider
        .sql(
            "INSERT INTO client_roles VALUES ('reports', 'Viewer', 'staff', 30);
             INSERT INTO client_roles VALUES ('reports', 'Admin', 'app-admins', 10)",
        )
        .await;
    map(&provider, "claim, source, shape, places", "'role', 'roles', 'text', 'id_token userinfo access_token'").await;
    map(&provider, "claim, source, prefix, starts_with, places", "'groups', 'groups', 'oidc:', 'app-', 'id_token'")
        .await;
    map(&provider, "claim, source, places", "'/realm_access/roles', 'roles', 'access_token introspection'").await;
    map(&provider, "claim, source, value", "'tenant', 'constant', '\"acme\"'").await;
    map(&provider, "claim, source, value, shape, scope", "'team', 'claim', 'department', 'as_is', 'hr'").await;
    let all = told(&provider, &client, "openid hr").await;
    assert_eq!(all.id_token["role"], json!("Admin"), "the least rank, as Grafana wants one");
    assert_eq!(all.id_token["groups"], json!(["oidc:app-admins"]), "as Kubernetes wants them");
    assert_eq!(all.userinfo["groups"], json!(["oidc:app-admins"]), "what grows is at userinfo too");
    assert_eq!(all.id_token["tenant"], json!("acme"));
    assert_eq!(all.id_token["team"], json!("Sales"));
    assert_eq!(all.access_token["role"], json!("Admin"));
    assert_eq!(all.access_token["realm_access"], json!({"roles": ["Admin", "Viewer"]}), "as Keycloak has it");
    assert_eq!(all.introspection["realm_access"], json!({"roles": ["Admin", "Viewer"]}));
    for (place, absent) in
        [(&all.access_token, ["groups", "tenant", "team"]), (&all.introspection, ["groups", "tenant", "role"])]
    {
        assert!(absent.iter().all(|name| place[name].is_null()), "{place}");
    }
    let less = told(&provider, &client, "openid").await;
    assert_eq!((&less.id_token["team"], &less.userinfo["team"]), (&Value::Null, &Value::Null), "its scope opens it");
}

#[tokio::test]
async fn what_changed_is_in_every_token_that_is_issued_ten_seconds_later_on_every_node() {
    let (provider, client) = stage().await;
    map(&provider, "claim, source, places", "'groups', 'groups', 'id_token userinfo access_token introspection'").await;
    let request = Authorization::of(&client).with("scope", SCOPE);
    let answer = request.complete(&provider, &UserAgent::new()).await;
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    let until = provider.now() + 100;
    provider
        .sql(&format!(
            "DELETE FROM group_members WHERE group_name = 'staff'; INSERT INTO groups (name) VALUES ('guests');
             INSERT INTO group_members (group_name, sub, until) VALUES ('guests', 'alice-sub', {until})"
        ))
        .await;
    provider.travel(10);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &*tokens.text("refresh_token"))];
    let refreshed = provider.post("/token", client.auth(), &refresh).await.ok();
    let after = told_by(&provider, &client, &refreshed).await;
    let now = json!(["app-admins", "guests"]);
    for place in [&after.id_token, &after.userinfo, &after.access_token, &after.introspection] {
        assert_eq!(place["groups"], now);
    }
    // The first token's userinfo knows it as well, and what ends by its date ends at it without anything being written.
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.ok().json()["groups"], now);
    provider.travel(101);
    let ended = provider.userinfo(&refreshed.text("access_token")).await.ok().json();
    assert_eq!(ended["groups"], json!(["app-admins"]));
}

#[tokio::test]
async fn claims_of_user_and_groups_are_told_together_and_what_cannot_be_a_claim_is_passed_over() {
    let (provider, client) = stage().await;
    provider
        .sql(
            "INSERT INTO user_claims VALUES ('alice-sub', 'permission', '[\"read\"]');
             INSERT INTO group_claims VALUES ('staff', 'permission', '\"write\"');
             INSERT INTO user_claims VALUES ('alice-sub', 'sub', '\"mallory\"');
             INSERT INTO user_claims VALUES ('alice-sub', 'email', '\"admin@example.com\"');
             INSERT INTO user_claims VALUES ('alice-sub', 'groups', '[\"admins\"]');
             INSERT INTO user_claims VALUES ('alice-sub', 'broken', 'no json');
             UPDATE scopes SET claims = 'permission sub email groups broken'",
        )
        .await;
    provider.travel(10);
    let told_now = told(&provider, &client, "openid hr").await;
    assert_eq!(told_now.userinfo["permission"], json!(["read", "write"]));
    assert_eq!(told_now.userinfo["sub"], json!("alice-sub"));
    assert_eq!(told_now.id_token["sub"], json!("alice-sub"));
    assert_eq!(told_now.userinfo["email"], json!("alice@example.com"), "what the column says");
    assert_eq!(told_now.userinfo["groups"], json!(["app-admins", "staff"]), "what the memberships say");
    assert_eq!(told_now.id_token["groups"], Value::Null);
    assert_eq!(told_now.userinfo["broken"], Value::Null);
}

#[tokio::test]
async fn a_map_that_would_set_what_the_protocol_sets_makes_its_client_faulty_by_name() {
    let (provider, client) = stage().await;
    for (claim, source) in [
        ("sub", "constant"),
        ("/aud/x", "groups"),
        ("email", "constant"),
        ("groups", "roles"),
        ("scope", "roles"),
        ("/a/b c", "groups"),
    ] {
        provider
            .sql(&format!(
                "DELETE FROM client_claims; INSERT INTO client_claims (client_id, claim, source, value) \
                 VALUES ('reports', '{claim}', '{source}', '\"x\"')"
            ))
            .await;
        provider.travel(10);
        let page = Authorization::of(&client).open(&provider, &UserAgent::new()).await;
        assert_eq!(page.status.as_u16(), 500, "{claim}");
        let faults = provider.command(&["client", "list"], "");
        let faults = format!("{}{}", faults.stdout, faults.stderr);
        assert!(faults.contains(claim), "{claim}: {faults}");
    }
}

/// OIDC Core 5.5: within what the client's row opens, each of them can be asked for by its name.
#[tokio::test]
async fn the_claims_parameter_asks_for_what_the_row_opens() {
    let (provider, client) = stage().await;
    map(&provider, "claim, source, value, scope", "'team', 'claim', 'department', 'hr'").await;
    let asked = r#"{"userinfo": {"groups": null, "department": null, "team": null, "email": null, "salary": null},
        "id_token": {"department": null, "groups": null}}"#;
    provider.sql("INSERT INTO user_claims VALUES ('alice-sub', 'salary', '1')").await;
    let request = Authorization::of(&client).with("scope", "openid").with("claims", asked);
    let told_now = told_with(&provider, &client, request).await;
    assert_eq!(told_now.userinfo["groups"], json!(["app-admins", "staff"]));
    assert_eq!(told_now.userinfo["department"], json!("Sales"));
    assert_eq!(told_now.userinfo["team"], json!(["Sales"]));
    assert_eq!(told_now.userinfo["email"], json!("alice@example.com"));
    assert_eq!(told_now.userinfo["salary"], Value::Null, "no scope and no map opens it");
    assert_eq!(told_now.id_token["department"], json!("Sales"));
    assert_eq!(told_now.id_token["groups"], json!(["app-admins", "staff"]), "the request names the place");
    // What the row does not open stays closed, however it is asked for.
    provider.sql("UPDATE clients SET scope = 'openid profile'").await;
    provider.travel(10);
    let request = Authorization::of(&client).with("scope", "openid").with("claims", asked);
    let told_now = told_with(&provider, &client, request).await;
    for name in ["groups", "department", "team", "email"] {
        assert_eq!((&told_now.userinfo[name], &told_now.id_token[name]), (&Value::Null, &Value::Null), "{name}");
    }
}

/// Another map, opened later, asks again; until then nothing of it is told, also by a refresh.
#[tokio::test]
async fn where_consent_is_asked_only_what_was_shown_is_told() {
    let (provider, client) = stage().await;
    provider.sql("UPDATE clients SET consent = 'ask'").await;
    map(&provider, "claim, source, value", "'team', 'claim', 'department'").await;
    map(&provider, "claim, source, value", "'tenant', 'constant', '\"acme\"'").await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("scope", SCOPE);
    let page = request.open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", crate::support::provider::PASSWORD).await;
    let text = page.text();
    for shown in ["Where you work", "Sales", "team", "Your groups", "app-admins, staff"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(!text.contains("tenant"), "what tells nothing of the user is no question: {text}");
    let answer = request.complete(&provider, &browser).await;
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    let first = told_by(&provider, &client, &tokens).await;
    assert_eq!((&first.userinfo["team"], &first.userinfo["tenant"]), (&json!(["Sales"]), &json!("acme")));
    // Remembered: not asked again.
    assert!(request.open(&provider, &browser).await.status.is_redirection());

    map(&provider, "claim, source, value", "'floor', 'claim', 'building'").await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &*tokens.text("refresh_token"))];
    let refreshed = told_by(&provider, &client, &provider.post("/token", client.auth(), &refresh).await.ok()).await;
    assert_eq!((&refreshed.userinfo["team"], &refreshed.userinfo["floor"]), (&json!(["Sales"]), &Value::Null));
    let silent = request.clone().with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(silent.query_parameter("error").as_deref(), Some("consent_required"));
    let asked = request.open(&provider, &browser).await;
    assert!(asked.text().contains("floor") && asked.url.path().ends_with("/consent"), "{asked}");
    let answer = request.complete(&provider, &browser).await;
    let again = told_by(&provider, &client, &provider.redeem(&client, answer.code()).await.ok()).await;
    assert_eq!(again.userinfo["floor"], json!([{"number": 7}]));
    // The same name with another source is something else.
    provider.sql("UPDATE client_claims SET source = 'groups', value = NULL WHERE claim = 'team'").await;
    provider.travel(10);
    let silent = request.clone().with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(silent.query_parameter("error").as_deref(), Some("consent_required"));
    // And so is a scope whose row opens more than it did.
    provider.sql("DELETE FROM client_claims; UPDATE scopes SET claims = 'department building salary'").await;
    provider.travel(10);
    let silent = request.with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(silent.query_parameter("error").as_deref(), Some("consent_required"));
}

/// A single claim of a scope that is not asked for whole is on the page by itself, and the scope is not opened by it.
#[tokio::test]
async fn a_single_claim_of_a_scope_of_ones_own_is_shown_before_it_is_told() {
    let (provider, client) = stage().await;
    provider.sql("UPDATE clients SET consent = 'ask'").await;
    provider.travel(10);
    let browser = UserAgent::new();
    let asked = r#"{"userinfo": {"department": null}}"#;
    let request = Authorization::of(&client).with("scope", "openid").with("claims", asked);
    let page = request.open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", crate::support::provider::PASSWORD).await;
    let text = page.text();
    assert!(text.contains("Where you work") && text.contains("Sales"), "{text}");
    assert!(!text.contains("building"), "that was not asked for: {text}");
    let answer = request.complete(&provider, &browser).await;
    let told_now = told_by(&provider, &client, &provider.redeem(&client, answer.code()).await.ok()).await;
    assert_eq!((&told_now.userinfo["department"], &told_now.userinfo["building"]), (&json!("Sales"), &Value::Null));
    let whole = Authorization::of(&client).with("scope", "openid hr").with("prompt", "none");
    assert_eq!(whole.open(&provider, &browser).await.query_parameter("error").as_deref(), Some("consent_required"));
}

#[tokio::test]
async fn a_row_of_scopes_under_a_standard_name_changes_nothing() {
    let (provider, client) = stage().await;
    provider
        .sql(
            "UPDATE clients SET consent = 'ask'; INSERT INTO scopes VALUES ('email', 'Your building', 'building');
             INSERT INTO scopes VALUES ('openid', 'Nothing', 'department'); INSERT INTO scopes VALUES ('groups', 'None', '')",
        )
        .await;
    provider.travel(10);
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("scope", "openid email groups");
    let page = request.open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", crate::support::provider::PASSWORD).await;
    let text = page.text();
    assert!(text.contains("Your e-mail address") && text.contains("alice@example.com"), "{text}");
    assert!(text.contains("Your groups") && !text.contains("Your building"), "{text}");
    let answer = request.complete(&provider, &browser).await;
    let told_now = told_by(&provider, &client, &provider.redeem(&client, answer.code()).await.ok()).await;
    assert_eq!(told_now.userinfo["email"], json!("alice@example.com"));
    assert!(told_now.userinfo["building"].is_null() && told_now.userinfo["department"].is_null());
}

/// More of the same is something else: a filter that goes asks again.
#[tokio::test]
async fn a_filter_that_goes_asks_again() {
    let (provider, client) = stage().await;
    provider.sql("UPDATE clients SET consent = 'ask'").await;
    map(&provider, "claim, source, starts_with", "'groups', 'groups', 'app-'").await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("scope", "openid");
    let answer = request.complete(&provider, &browser).await;
    let first = told_by(&provider, &client, &provider.redeem(&client, answer.code()).await.ok()).await;
    assert_eq!(first.id_token["groups"], json!(["app-admins"]));
    provider.sql("UPDATE client_claims SET starts_with = ''").await;
    provider.travel(10);
    let silent = request.with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(silent.query_parameter("error").as_deref(), Some("consent_required"));
}

/// What a row has for APIs alone, the client cannot have by asking.
#[tokio::test]
async fn the_claims_parameter_opens_no_map_that_is_for_apis_alone() {
    let (provider, client) = stage().await;
    map(&provider, "claim, source, value, places", "'team', 'claim', 'department', 'introspection'").await;
    let asked = r#"{"userinfo": {"team": null}, "id_token": {"team": null}}"#;
    let request = Authorization::of(&client).with("scope", "openid").with("claims", asked);
    let told_now = told_with(&provider, &client, request).await;
    assert!(told_now.id_token["team"].is_null() && told_now.userinfo["team"].is_null());
    assert_eq!(told_now.introspection["team"], json!(["Sales"]));
}

/// A member that has no room is at userinfo whole, whatever rows it is made of, and so are claims that many groups bring.
#[tokio::test]
async fn what_has_no_room_in_a_token_is_whole_at_userinfo() {
    let (provider, client) = stage().await;
    map(&provider, "claim, source, places", "'/access/groups', 'groups', 'access_token'").await;
    map(&provider, "claim, source, value, places", "'/access/tenant', 'constant', '\"acme\"', 'access_token'").await;
    map(&provider, "claim, source, value", "'permissions', 'claim', 'permission'").await;
    let insert = |number: usize| {
        let name = format!("{number:04}-{}", "g".repeat(35));
        format!(
            "INSERT INTO groups (name) VALUES ('{name}'); INSERT INTO group_claims VALUES ('{name}', 'permission', '\"{name}\"'); \
             INSERT INTO group_members (group_name, sub) VALUES ('{name}', 'alice-sub');"
        )
    };
    let sql: String = (0..300).map(insert).collect();
    provider.sql(&sql).await;
    provider.travel(10);
    let tokens = provider.tokens(&UserAgent::new(), &client).await;
    assert!(tokens.text("id_token").len() < 8192 && tokens.text("access_token").len() < 8192);
    let many = told_by(&provider, &client, &tokens).await;
    assert_eq!(many.access_token["_claim_names"], json!({"access": "userinfo"}));
    assert!(many.access_token["access"].is_null());
    assert_eq!(many.userinfo["access"]["groups"].as_array().unwrap().len(), 302);
    assert_eq!(many.userinfo["access"]["tenant"], json!("acme"));
    assert_eq!(many.id_token["_claim_names"], json!({"permissions": "userinfo"}));
    assert_eq!(many.userinfo["permissions"].as_array().unwrap().len(), 300);
    assert_eq!(many.id_token["name"], json!("Alice Example"), "what is small stays");
}

/// What the row opened after the page was made was not on it.
#[tokio::test]
async fn a_map_that_is_opened_while_the_page_is_open_was_not_shown() {
    let (provider, client) = stage().await;
    provider.sql("UPDATE clients SET consent = 'ask'").await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("scope", "openid");
    let page = request.open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", crate::support::provider::PASSWORD).await;
    let form = page.form("form");
    map(&provider, "claim, source, value", "'team', 'claim', 'department'").await;
    let next = provider.settle(&browser, browser.submit(form, Some(("decision", "allow"))).await).await;
    assert!(next.url.path().ends_with("/consent") && next.text().contains("team"), "asked again: {next}");
}

/// RFC 7662 section 2.2: the API that a token is for is told the names by which it knows the user.
#[tokio::test]
async fn introspection_names_the_user_by_user_name_and_verified_address() {
    let (provider, client) = stage().await;
    provider.sql("UPDATE users SET preferred_username = 'root', email_verified_at = 5").await;
    let told_now = told(&provider, &client, "openid profile email").await;
    assert_eq!(told_now.introspection["username"], json!("alice"), "never what a user may choose");
    assert_eq!(told_now.introspection["email"], json!("alice@example.com"));
    let less = told(&provider, &client, "openid").await.introspection;
    assert_eq!((&less["username"], &less["email"]), (&Value::Null, &Value::Null));
    provider.sql("UPDATE users SET email_verified_at = NULL").await;
    provider.travel(10);
    assert_eq!(told(&provider, &client, "openid email").await.introspection["email"], Value::Null, "not verified");
    provider.sql("UPDATE users SET email_verified_at = 5").await;
    provider.add_user(NewUser::named("bob").with("email", "alice@example.com")).await;
    provider.travel(10);
    assert_eq!(told(&provider, &client, "openid email").await.introspection["email"], Value::Null, "another's too");
    provider.sql("UPDATE clients SET subject_type = 'pairwise'").await;
    provider.travel(10);
    assert_eq!(told(&provider, &client, "openid profile").await.introspection["username"], Value::Null);
}

/// OIDC Core 5.6.2: none of the groups instead of some of them, and where they are.
#[tokio::test]
async fn five_hundred_groups_are_whole_at_userinfo_and_none_of_them_is_in_a_large_id_token() {
    let (provider, client) = stage().await;
    map(&provider, "claim, source, places", "'groups', 'groups', 'id_token access_token introspection'").await;
    let insert = |number: usize| {
        let name = format!("{number:04}-{}", "g".repeat(35));
        format!(
            "INSERT INTO groups (name) VALUES ('{name}'); \
             INSERT INTO group_members (group_name, sub) VALUES ('{name}', 'alice-sub');"
        )
    };
    let sql: String = (0..500).map(insert).collect();
    provider.sql(&sql).await;
    provider.travel(10);
    let browser = UserAgent::new();
    let tokens = provider.tokens(&browser, &client).await;
    assert!(tokens.text("id_token").len() < 8192 && tokens.text("access_token").len() < 8192);
    let many = told_by(&provider, &client, &tokens).await;
    for token in [&many.id_token, &many.access_token] {
        assert_eq!(token["groups"], Value::Null);
        assert_eq!(token["_claim_names"], json!({"groups": "userinfo"}));
        assert_eq!(token["_claim_sources"], json!({"userinfo": {"endpoint": provider.url("/userinfo")}}));
    }
    assert_eq!(many.userinfo["groups"].as_array().unwrap().len(), 502);
    assert_eq!(many.introspection["groups"].as_array().unwrap().len(), 502);
    // A filter makes them few enough.
    provider.sql("UPDATE client_claims SET starts_with = '000'").await;
    provider.travel(10);
    let few = told(&provider, &client, "openid").await;
    assert_eq!(few.id_token["groups"].as_array().unwrap().len(), 10);
    assert_eq!(few.id_token["_claim_names"], Value::Null);
}

#[tokio::test]
async fn discovery_lists_scopes_and_claims_that_exist() {
    let (provider, _client) = stage().await;
    map(&provider, "claim, source", "'role', 'roles'").await;
    let metadata = provider.get("/.well-known/openid-configuration", &[]).await.ok().json();
    let lists = |member: &str, word: &str| metadata[member].as_array().unwrap().contains(&json!(word));
    for (member, word) in [
        ("scopes_supported", "groups"),
        ("scopes_supported", "hr"),
        ("claims_supported", "groups"),
        ("claims_supported", "department"),
        ("claims_supported", "building"),
        ("claims_supported", "role"),
        ("claim_types_supported", "distributed"),
    ] {
        assert!(lists(member, word), "{member} {word}");
    }
    assert!(!lists("claims_supported", "salary") && !lists("scopes_supported", "admin"));
}

/// A pairwise client's claims are told as any other's, and its subject stays its own.
#[tokio::test]
async fn a_pairwise_client_is_told_its_claims_beside_a_subject_of_its_own() {
    let (provider, client) = stage().await;
    provider.sql("UPDATE clients SET subject_type = 'pairwise'").await;
    map(&provider, "claim, source, places", "'groups', 'groups', 'id_token userinfo access_token introspection'").await;
    let told_now = told(&provider, &client, "openid hr").await;
    for place in [&told_now.id_token, &told_now.userinfo, &told_now.access_token, &told_now.introspection] {
        assert_eq!(place["groups"], json!(["app-admins", "staff"]));
        assert_ne!(place["sub"], json!("alice-sub"));
        assert_eq!(place["sub"], told_now.id_token["sub"]);
    }
}

/// A machine is told nothing of any user.
#[tokio::test]
async fn a_machines_token_has_no_claims_of_a_user() {
    let (provider, _client) = stage().await;
    let job = NewClient::new("job").with("grant_types", "client_credentials").with("scope", "jobs:run groups hr");
    let job = provider.add(job.with("access_token_format", "jwt")).await;
    provider.sql("INSERT INTO client_claims (client_id, claim, source, places) VALUES ('job', 'groups', 'groups', 'access_token introspection')").await;
    let tokens = provider.post("/token", job.auth(), &[("grant_type", "client_credentials")]).await.ok();
    let token = tokens.text("access_token");
    assert_eq!((claims_of(&token)["groups"].clone(), tokens.text("scope").as_str()), (Value::Null, "jobs:run"));
    let introspected = provider.post("/introspect", job.auth(), &[("token", &token)]).await.ok().json();
    assert_eq!(introspected["groups"], Value::Null);
}
