//! RFC 7636: Proof Key for Code Exchange.

use crate::support::verbs::Auth;
use crate::support::{Authorization, NewClient, TestProvider, UserAgent, VERIFIER};

/// Section 4.6; RFC 9700 section 2.1.1.
#[tokio::test]
async fn a_code_is_redeemed_with_its_verifier_only() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    for verifier in [Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXx"), None] {
        let answer = provider.sign_in(&browser, &client).await;
        let mut fields =
            vec![("grant_type", "authorization_code"), ("code", answer.code()), ("redirect_uri", &client.redirect_uri)];
        fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        let refused = provider.post("/token", client.auth(), &fields).await;
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()), "{verifier:?}");
    }
    let answer = provider.sign_in(&browser, &client).await;
    let _ = provider.redeem(&client, answer.code()).await.ok();
}
