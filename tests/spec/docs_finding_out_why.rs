//! `docs/finding-out-why.md`, run from its own text.

use crate::support::documents::{Block, blocks, read, shell};
use crate::support::{Authorization, TestProvider, UserAgent};

const PAGE: &str = "docs/finding-out-why.md";

#[tokio::test]
async fn finding_out_why_does_what_it_says() {
    let blocks = blocks(&read(PAGE));
    let of = |kind: &str| blocks.iter().filter(|block| block.kind == kind).collect::<Vec<&Block>>();
    let provider = TestProvider::start().await;
    let mut client = provider.client("reports").await;
    provider.sql("UPDATE client_redirect_uris SET redirect_uri = 'https://reports.example.com/signin-oidc'").await;
    provider.alice().await;
    client.redirect_uri = "https://reports.example.com/signin-oidc/".to_owned();
    let page = Authorization::of(&client).open(&provider, &UserAgent::new()).await;
    let reference = page.headers["x-request-id"].to_str().unwrap().to_owned();
    client.redirect_uri = "https://reports.example.com/signin-oidc".to_owned();
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    assert_eq!(provider.type_in(&browser, &page, "alice", "a typing error").await.status, 422);
    provider.provider.audit.flush().await;

    let variables =
        [provider.variables(), vec![("REFERENCE", reference.clone()), ("SUB", "alice-sub".to_owned())]].concat();
    let variables: Vec<(String, String)> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut scripts = of("sh").into_iter();
    let mut run = || shell(provider.folder.path(), &variables, &scripts.next().unwrap().text);
    let list = run();
    assert!(list.lines().any(|line| line.starts_with(&reference)), "{list}");
    // The answer in the text is this one, but for the reference and the time.
    let told = run();
    let promised = &of("text")[1].text;
    for line in
        promised.lines().filter(|line| !line.is_empty() && !line.starts_with("Reference") && !line.starts_with("When"))
    {
        let line = line.trim_end_matches(" …");
        assert!(told.lines().any(|told| told.starts_with(line)), "{line:?} is not in:\n{told}");
    }
    assert!(run().contains("\"sent\": \"https://reports.example.com/signin-oidc/\""));
    assert!(run().contains("it is another password"));
    assert!(run().contains("sign_in_failed"));
    assert!(run().lines().count() >= 2, "the audit, and whether its export is whole");
    let _ = run();
    assert!(provider.folder.path().join("heads.json").exists());
    let left = "SELECT COUNT(*) FROM audit_events WHERE sub IS NOT NULL";
    assert_eq!(provider.rows(left).await[0][0].as_deref(), Some("1"), "the failed sign-in");
    let _ = (run(), run());
    assert_eq!(provider.rows(left).await[0][0].as_deref(), Some("0"), "pruned in vain, and erased");
}
