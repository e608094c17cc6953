//! Rows that this version cannot serve: a word that it does not know, a pairwise client without a sector. They are refused
//! by name, and concern their client alone. `client_lint.rs` has what the lint says of them.

use crate::store_contract::lasting;
use crate::support::verbs::Auth;
use crate::support::{Authorization, NewClient, TestProvider, UserAgent, claims_of};
use hallpass::protocol::response::{GrantType, ResponseType};
use hallpass::store::{StoreError, clients};
use serde_json::Value;
use std::fs;

/// What is said of the row of a client that cannot be served.
#[track_caller]
fn fault_of(found: Result<Option<hallpass::protocol::client::Client>, StoreError>) -> (String, String) {
    match found {
        Err(StoreError::Inconsistent { table: "clients", key, why, fix }) => {
            assert_eq!(key, "reports");
            (why, fix)
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the row was read"),
    }
}

/// The schema takes any word, and the reader of the row only those that it knows.
#[tokio::test]
async fn an_unknown_word_makes_the_row_faulty_by_name_in_every_column_of_words() {
    for store in lasting().await {
        for column in clients::WORDS {
            store.sql("DELETE FROM clients").await;
            store.sql(&NewClient::new("reports").sql().0).await;
            let name = column.name();
            for word in column.words() {
                store.sql(&format!("UPDATE clients SET {name} = '{word}'")).await;
                assert!(clients::find(&store.db, "reports").await.is_ok(), "{name} = {word}, {}", store.name);
            }
            for word in ["private_key_jwt", "tls_client_auth", "document", "YES"] {
                store.sql(&format!("UPDATE clients SET {name} = '{word}'")).await;
                let (why, fix) = fault_of(clients::find(&store.db, "reports").await);
                assert_eq!(why, format!("{name} has the unknown word {word:?}"), "{}", store.name);
                assert!(column.words().iter().all(|word| fix.contains(word)), "{fix}");
            }
        }
        store.sql("DELETE FROM clients").await;
        store.sql(&NewClient::new("reports").sql().0).await;
        assert!(clients::find(&store.db, "reports").await.is_ok(), "{}", store.name);
        store.sql("UPDATE clients SET scope = 'openid \"x\"'").await;
        assert!(fault_of(clients::find(&store.db, "reports").await).0.starts_with("scope has a character"));
    }
}

/// The items of `response_types` have spaces in them (OAuth 2.0 Multiple Response Types 3).
#[tokio::test]
async fn response_types_are_a_list_with_commas_and_grant_types_one_with_spaces() {
    for store in lasting().await {
        store.sql(&NewClient::new("reports").sql().0).await;
        for (text, expected) in [("code", 1), (" code ", 1), ("code,", 1), ("", 0)] {
            store.sql(&format!("UPDATE clients SET response_types = '{text}'")).await;
            let found = clients::find(&store.db, "reports").await.unwrap().unwrap();
            assert_eq!(found.response_types, vec![ResponseType::Code; expected], "{text:?}, {}", store.name);
        }
        store.sql("UPDATE clients SET response_types = 'code, code id_token'").await;
        let (why, _) = fault_of(clients::find(&store.db, "reports").await);
        assert_eq!(why, "response_types has the unknown word \"code id_token\"");
        store.sql("UPDATE clients SET response_types = 'code', grant_types = 'authorization_code refresh_token'").await;
        let found = clients::find(&store.db, "reports").await.unwrap().unwrap();
        assert_eq!(found.grant_types, [GrantType::AuthorizationCode, GrantType::RefreshToken]);
        store.sql("UPDATE clients SET grant_types = 'authorization_code implicit'").await;
        let (why, _) = fault_of(clients::find(&store.db, "reports").await);
        assert_eq!(why, "grant_types has the unknown word \"implicit\"", "a word that is left out would be silence");
    }
}

/// OIDC Core 8.1.
#[tokio::test]
async fn a_pairwise_client_with_several_hosts_and_no_sector_is_faulty_by_name() {
    for store in lasting().await {
        let client = NewClient::new("reports").with("subject_type", "pairwise");
        store
            .sql(&client.at(&["https://a.example/cb", "https://a.example:8443/cb", "com.example.a:/cb"]).sql().0)
            .await;
        let found = clients::find(&store.db, "reports").await.unwrap().unwrap();
        assert_eq!(found.sector(), "a.example", "{}", store.name);
        store.sql("INSERT INTO client_redirect_uris VALUES ('reports', 'https://0.example/cb')").await;
        let (why, fix) = fault_of(clients::find(&store.db, "reports").await);
        assert!(why.contains("several hosts (0.example, a.example)"), "{why}");
        assert!(fix.contains("sector_identifier '0.example'"), "{fix}");
        store.sql("UPDATE clients SET sector_identifier = 'a.example'").await;
        assert_eq!(clients::find(&store.db, "reports").await.unwrap().unwrap().sector(), "a.example");
        store.sql("UPDATE clients SET sector_identifier = ''").await;
        assert!(fault_of(clients::find(&store.db, "reports").await).0.contains("is no host"));
    }
}

#[tokio::test]
async fn another_address_does_not_change_the_sub_of_a_pairwise_client_whose_row_has_its_sector() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = NewClient::new("reports").with("consent", "skip").with("subject_type", "pairwise");
    let client = provider.add(client.with("sector_identifier", "reports.example")).await;
    let sub = async || claims_of(&provider.tokens(&UserAgent::new(), &client).await.text("id_token"))["sub"].clone();
    let before = sub().await;
    provider.sql("INSERT INTO client_redirect_uris VALUES ('reports', 'https://0.example/cb')").await;
    provider.travel(10);
    assert_eq!(sub().await, before);
}

/// What was known of the row before is not served on: it is not what the row says.
#[tokio::test]
async fn a_row_with_an_unknown_word_concerns_its_client_alone_and_is_named_wherever_one_looks() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let (faulty, sound) = (provider.client("reports").await, provider.client("wiki").await);
    let browser = UserAgent::new();
    for client in [&faulty, &sound] {
        let _ = provider.tokens(&browser, client).await;
    }
    provider.sql("UPDATE clients SET pkce = 'optonal' WHERE client_id = 'reports'").await;
    provider.travel(10);
    let page = Authorization::of(&faulty).open(&provider, &browser).await;
    assert_eq!(page.status.as_u16(), 500, "{page}");
    assert!(!page.body.contains("optonal") && !page.body.contains("pkce"), "people are told nothing of it: {page}");
    let answer = provider.post("/token", faulty.auth(), &[("grant_type", "refresh_token")]).await;
    assert_eq!(answer.error(), (500, "server_error".to_owned()));
    assert!(!answer.body.contains("pkce"), "{answer:?}");
    let _ = provider.tokens(&browser, &sound).await;
    let other = provider.post("/introspect", sound.auth(), &[("token", "x")]).await.ok();
    assert_eq!(other.json()["active"], false);

    let (why, fix) =
        ("pkce has the unknown word \"optonal\"", "did you mean optional? this version knows one of required");
    provider.provider.audit.flush().await;
    let reference = page.headers.get("x-request-id").unwrap().to_str().unwrap().to_owned();
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let explained = flat(&provider.command(&["explain", &reference], "").stdout);
    assert!(explained.contains(&format!("Cause table clients, \"reports\": {why} Fix {fix}")), "{explained}");

    let list = provider.command(&["client", "list"], "");
    assert!(list.stdout.lines().any(|line| line.starts_with("reports ") && line.ends_with(" faulty")), "{list:?}");
    assert!(list.stdout.lines().any(|line| line.starts_with("wiki ") && line.ends_with(" active")), "{list:?}");
    assert!(list.stderr.contains(&format!("reports is not served: {why}; {fix}")), "{list:?}");
    let listed: Value = serde_json::from_str(&provider.command(&["client", "list", "--json"], "").stdout).unwrap();
    let listed = &listed["clients"];
    assert!(listed[0]["fault"].as_str().unwrap().starts_with(why) && listed[1]["fault"].is_null(), "{listed}");
    let show = provider.command(&["client", "show", "reports"], "");
    assert_eq!(show.status, 0, "{show:?}");
    assert!(show.stderr.contains(why) && show.stdout.contains("optonal"), "{show:?}");
    assert!(show.stdout.contains("https://reports.example/callback"), "its addresses too: {show:?}");

    let disable = provider.command(&["client", "disable", "reports", "--yes"], "");
    assert_eq!(disable.status, 0, "a faulty client can be disabled: {disable:?}");
    provider.sql("UPDATE clients SET pkce = 'optional', disabled_at = NULL WHERE client_id = 'reports'").await;
    provider.travel(10);
    let _ = provider.tokens(&browser, &faulty).await;
}

#[tokio::test]
async fn migrate_names_the_rows_that_the_schema_takes_and_no_node_serves() {
    let provider = TestProvider::start().await;
    let file = provider.folder.path().join("migrations").join("20261201090000_add_client_reports.sql");
    fs::write(file, NewClient::new("reports").with("token_endpoint_auth_method", "private_key_jwt").sql().0).unwrap();
    let outcome = provider.command(&["migrate"], "");
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let named = "reports is not served: token_endpoint_auth_method has the unknown word \"private_key_jwt\"; this version \
                 knows one of client_secret_basic, client_secret_post, none";
    assert!(outcome.stderr.contains(named), "{outcome:?}");
    let answer = provider.post("/token", Auth::Name("reports"), &[("grant_type", "refresh_token")]).await;
    assert_eq!(answer.error(), (500, "server_error".to_owned()));
    let lint = provider.command(&["client", "lint"], "");
    assert!(lint.status == 1 && lint.stdout.contains("unknown-word: token_endpoint_auth_method"), "{lint:?}");
}
