//! OAuth 2.0 Form Post Response Mode.

use crate::support::{Answer, Authorization, NewClient, TestProvider, UserAgent};

/// Section 2: a form that posts every parameter of the answer to the address, submitted by itself or by a button.
#[tokio::test]
async fn the_answer_is_a_form_that_submits_itself_and_has_a_button() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let state = "\"><script>alert(1)</script>&amp;ä";
    let request = Authorization::of(&client).with("response_mode", "form_post").with("state", state);
    let answer = request.complete(&provider, &browser).await;
    assert_eq!(answer.get("state"), Some(state));
    let names: Vec<&str> = answer.parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["code", "state", "iss"]);
    let _ = provider.redeem(&client, answer.code()).await.ok();

    let page = request.open(&provider, &browser).await;
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let policy = page.header("content-security-policy").unwrap();
    let scripts = format!("script-src {}", provider.url("/assets/"));
    assert!(policy.ends_with(&scripts) && !policy.contains("unsafe"), "{policy}");
    // RFC: no form-action, which browsers would apply to the client's own redirects.
    assert!(!policy.contains("form-action"), "{policy}");
    assert_eq!(page.texts("form#form_post button"), ["Continue to The reports service"]);
    assert!(page.location().is_none());
    let scripts: Vec<&str> = page.body.split("<script").skip(1).collect();
    assert_eq!(scripts.len(), 1);
    assert!(scripts[0].trim_start().starts_with("src="));
    let script = browser.get(&provider.url("/assets/form_post.js")).await;
    assert!(script.body.contains("submit"), "{}", script.body);
}

/// Section 2: errors travel the same way.
#[tokio::test]
async fn a_refusal_travels_as_a_form_too() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    let browser = UserAgent::new();
    for (name, value, error) in [("prompt", "none", "login_required"), ("scope", "nothing", "invalid_scope")] {
        let request = Authorization::of(&client).with("response_mode", "form_post").with(name, value);
        let page = request.open(&provider, &browser).await;
        let answer = Answer::of(&page, &client.redirect_uri);
        assert_eq!((answer.error(), answer.get("state")), (error, Some("the state")));
    }
}

/// RFC 6749 section 3.1.2: an address with a query is posted to as it is registered.
#[tokio::test]
async fn the_query_of_the_address_stays() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = NewClient::new("query").with("consent", "skip").at(&["https://query.example/cb?a=b&c=%20"]);
    let client = provider.add(client).await;
    let request = Authorization::of(&client).with("response_mode", "form_post");
    assert!(!request.complete(&provider, &UserAgent::new()).await.code().is_empty());
}
