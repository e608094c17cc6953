//! RFC 9207: the issuer in every authorization response.

use crate::support::{Authorization, NewClient, TestProvider, UserAgent};

/// Section 2: in success and error, in either response mode, and equal to discovery's `issuer`.
#[tokio::test]
async fn iss_is_in_every_answer() {
    for path in [None, Some("/auth")] {
        let settings: Vec<(&str, &str)> = path.map(|path| ("issuer", path)).into_iter().collect();
        let provider = TestProvider::with(&settings).await;
        let client = provider.client("reports").await;
        provider.alice().await;
        let browser = UserAgent::new();
        let discovery = provider.get("/.well-known/openid-configuration", &[]).await.ok().json();
        assert_eq!(discovery["authorization_response_iss_parameter_supported"], true);
        for mode in ["query", "form_post"] {
            let request = Authorization::of(&client).with("response_mode", mode);
            let refused = request.clone().with("prompt", "none").complete(&provider, &UserAgent::new()).await;
            assert_eq!(refused.error(), "login_required");
            assert_eq!(refused.get("iss"), discovery["issuer"].as_str());
            assert_eq!(request.complete(&provider, &browser).await.get("iss"), discovery["issuer"].as_str());
        }
        let asking = provider.add(NewClient::new("asking")).await;
        let page = Authorization::of(&asking).open(&provider, &browser).await;
        let page = browser.submit(page.form("form"), Some(("decision", "deny"))).await;
        let denied = crate::support::Answer::of(&provider.settle(&browser, page).await, &asking.redirect_uri);
        assert_eq!((denied.error(), denied.get("iss")), ("access_denied", Some(provider.issuer.as_str())));
    }
}
