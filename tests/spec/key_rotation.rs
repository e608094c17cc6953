//! A change of keys under load, as services with a caching JWKS client live through it: none of them ever fails.

use crate::support::provider::NewClient;
use crate::support::verbs::{Api, http, send};
use crate::support::{Authorization, TestClient, TestProvider, UserAgent, claims_of, header_of};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use hallpass::keys::{LONGEST_TOKEN, PUBLISH_LEAD};
use openidconnect::JsonWebKey as _;
use openidconnect::core::{CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

/// A service's JWKS client of the stubborn kind: it keeps the list for all of its `max-age`, and an unknown kid moves
/// it to nothing.
struct CachingClient {
    jwks_uri: String,
    kept: Option<(CoreJsonWebKeySet, i64)>,
    fetched: usize,
}

impl CachingClient {
    fn new(jwks_uri: String) -> Self {
        Self { jwks_uri, kept: None, fetched: 0 }
    }

    async fn verify(&mut self, token: &str, now: i64) -> Result<(), String> {
        if self.kept.as_ref().is_none_or(|(_, until)| *until <= now) {
            let answer = send(http().get(&self.jwks_uri)).await.ok();
            let max_age = answer.header("cache-control").and_then(|value| value.split("max-age=").nth(1));
            let max_age: i64 = max_age.expect("a max-age").parse().unwrap();
            self.kept = Some((serde_json::from_str(&answer.body).unwrap(), now + max_age));
            self.fetched += 1;
        }
        let (jwks, _) = self.kept.as_ref().unwrap();
        let header = header_of(token);
        let (kid, alg) = (header["kid"].as_str().unwrap(), &header["alg"]);
        let algorithm: CoreJwsSigningAlgorithm = serde_json::from_value(alg.clone()).unwrap();
        let key = jwks.keys().iter().find(|key| key.key_id().is_some_and(|known| known.as_str() == kid));
        let key = key.ok_or_else(|| format!("the kid {kid} is not in the list"))?;
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        key.verify_signature(&algorithm, message.as_bytes(), &signature).map_err(|error| error.to_string())
    }
}

/// A person's sign-in at a service, kept up by refreshing.
struct SignIn {
    client: TestClient,
    refresh_token: String,
}

impl SignIn {
    async fn new(provider: &TestProvider, client: &TestClient) -> Self {
        let request = Authorization::of(client).with("scope", "openid offline_access");
        let answer = request.complete(provider, &UserAgent::new()).await;
        let tokens = provider.redeem(client, answer.code()).await.ok();
        Self { client: client.clone(), refresh_token: tokens.text("refresh_token") }
    }

    /// The next `id_token`.
    async fn refresh(&mut self, provider: &TestProvider) -> String {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", self.refresh_token.as_str())];
        let tokens: Api = provider.post("/token", self.client.auth(), &fields).await.ok();
        self.refresh_token = tokens.text("refresh_token");
        tokens.text("id_token")
    }
}

async fn provider_with_a_service() -> (TestProvider, TestClient) {
    // As long as any: an id_token that is shown at its very end must still be believed.
    let provider = TestProvider::with(&[("id_token_lifetime", &LONGEST_TOKEN.to_string())]).await;
    let client = NewClient::new("reports")
        .with("consent", "skip")
        .with("scope", "openid offline_access")
        .with("grant_types", "authorization_code refresh_token");
    let client = provider.add(client).await;
    provider.alice().await;
    (provider, client)
}

fn key(provider: &TestProvider, arguments: &[&str]) -> String {
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let arguments: Vec<&str> = std::iter::once("key").chain(arguments.iter().copied()).collect();
    let outcome = crate::support::program::run_with(provider.folder.path(), &arguments, &variables, "");
    assert_eq!(outcome.status, 0, "{outcome:?}");
    outcome.stdout.trim().to_owned()
}

/// Brings the same files to another node, as a deployment does.
fn copy_files(from: &TestProvider, to: &TestProvider) {
    let (from, to) = (from.folder.path().join("keys"), to.folder.path().join("keys"));
    let names = |folder: &Path| -> HashSet<std::ffi::OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    for gone in names(&to).difference(&names(&from)) {
        fs::remove_file(to.join(gone)).unwrap();
    }
    for name in names(&from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

/// Publish, sign, retire, unpublish: two days and a bit of load on one node, key lists from two, and eight services
/// that fetch the list at different times and only when they must.
#[tokio::test]
async fn no_service_with_a_caching_client_fails_while_keys_change_under_load() {
    let (provider, client) = provider_with_a_service().await;
    let second = provider.second_node().await;
    let jwks = |index: usize| {
        if index.is_multiple_of(2) { provider.url("/jwks") } else { format!("http://{}/jwks", second.address) }
    };
    let mut services: Vec<CachingClient> = (0..8).map(|index| CachingClient::new(jwks(index))).collect();
    let mut people = Vec::new();
    for _ in 0..2 {
        people.push(SignIn::new(&provider, &client).await);
    }
    let first = people[0].refresh(&provider).await;
    let old_kid = header_of(&first)["kid"].as_str().unwrap().to_owned();

    // The two commands of the page about rotating keys. The rest is the clock's.
    key(&provider, &["new", "--alg", "RS256"]);
    key(&provider, &["retire", "--yes", "--", &old_kid]);
    copy_files(&provider, &second);
    let started = provider.now();

    let mut kids = HashSet::new();
    let mut kept: Vec<String> = vec![first];
    let mut checked = 0;
    let mut step = 0;
    while provider.now() < started + PUBLISH_LEAD + LONGEST_TOKEN + HOUR {
        // Slowly where something changes, three times an hour elsewhere.
        let since = provider.now() - started;
        let is_near = |instant: i64| (since - instant).abs() < 10 * MINUTE;
        let stride =
            if is_near(PUBLISH_LEAD) || is_near(PUBLISH_LEAD + LONGEST_TOKEN) { 2 * MINUTE } else { 20 * MINUTE };
        provider.provider.keys.refresh(provider.provider.now()).unwrap();
        second.provider.keys.refresh(second.provider.now()).unwrap();
        // The clock moves while requests are in progress.
        let (tokens, ()) = tokio::join!(join_all(people.iter_mut().map(|person| person.refresh(&provider))), async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            provider.travel(stride);
        });
        kids.extend(tokens.iter().map(|token| header_of(token)["kid"].as_str().unwrap().to_owned()));
        let now = provider.now();
        kept.retain(|token| claims_of(token)["exp"].as_i64().unwrap() > now);
        // Services begin one after another, so their caches end at different times.
        let awake = services.len().min(step + 1);
        for (index, service) in services[..awake].iter_mut().enumerate() {
            // What was just issued, and what is about to end.
            for token in tokens.iter().chain(kept.first()).chain(kept.get(index)) {
                if let Err(why) = service.verify(token, now).await {
                    panic!("service {index}, {since} seconds after the change started: {why}");
                }
                checked += 1;
            }
        }
        kept.extend(tokens.into_iter().take(1));
        step += 1;
    }
    assert_eq!(kids.len(), 2, "the key was changed");
    assert!(checked > 3000, "{checked}");
    assert!(services.iter().all(|service| service.fetched > 40), "the lists were fetched again and again");
    for node in [provider.url("/jwks"), format!("http://{}/jwks", second.address)] {
        let published = send(http().get(node)).await.ok().body;
        assert!(!published.contains(&old_kid), "the old key is not published any more");
    }
}

/// RP-Initiated Logout 2: a hint may have expired, also by so much that the key behind it is not published any more. We go
/// by the key for as long as its file is there.
#[tokio::test]
async fn a_hint_is_believed_while_the_file_of_its_key_is_there_although_it_is_not_published() {
    let (provider, client) = provider_with_a_service().await;
    provider
        .sql("INSERT INTO client_post_logout_redirect_uris VALUES ('reports', 'https://reports.example/out')")
        .await;
    let browser = UserAgent::new();
    let hint = provider.tokens(&browser, &client).await.text("id_token");
    let kid = header_of(&hint)["kid"].as_str().unwrap().to_owned();
    let folder = provider.folder.path().join("keys");
    key(&provider, &["new", "--alg", "RS256"]);
    let retired = provider.folder.path().join(key(&provider, &["retire", "--yes", "--", &kid]));
    // Used now and then, a session lives for a week.
    for _ in 0..8 {
        provider.travel(11 * HOUR);
        let page = Authorization::of(&client).with("prompt", "none").open(&provider, &browser).await;
        assert!(page.query_parameter("code").is_some(), "{page}");
    }
    provider.provider.keys.refresh(provider.provider.now()).unwrap();
    assert!(!provider.get("/jwks", &[]).await.ok().body.contains(&kid), "it is not published any more");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "https://reports.example/out")])
        .finish();
    let silent = Authorization::of(&client).with("prompt", "none").with("id_token_hint", &hint);
    assert!(silent.open(&provider, &browser).await.query_parameter("code").is_some());
    let page = browser.cross_site_get(&format!("{}?{query}", provider.url("/logout"))).await;
    assert_eq!(page.location().unwrap().as_str(), "https://reports.example/out", "{page}");
    let page = Authorization::of(&client).with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(page.query_parameter("error").as_deref(), Some("login_required"));
    // With the file the belief goes.
    assert!(retired.starts_with(&folder), "{retired:?}");
    fs::remove_file(&retired).unwrap();
    provider.provider.keys.refresh(provider.provider.now()).unwrap();
    let page = browser.cross_site_get(&format!("{}?{query}", provider.url("/logout"))).await;
    assert_eq!(page.status, 200, "{page}");
    assert!(page.text().contains("a proof that is not good"), "{page}");
}

/// What the lead is for: a key that signs at once is refused by the same services, until their cache ends. (And so the
/// test above can fail.)
#[tokio::test]
async fn a_further_key_that_signs_at_once_is_refused_by_a_caching_client_until_its_cache_ends() {
    let (provider, client) = provider_with_a_service().await;
    let mut service = CachingClient::new(provider.url("/jwks"));
    let mut person = SignIn::new(&provider, &client).await;
    let before = person.refresh(&provider).await;
    service.verify(&before, provider.now()).await.unwrap();
    let kid = header_of(&before)["kid"].as_str().unwrap().to_owned();
    key(&provider, &["retire", "--leaked", "--yes", "--", &kid]);
    assert!(provider.provider.keys.refresh(provider.provider.now()).unwrap());
    let after = person.refresh(&provider).await;
    assert!(service.verify(&after, provider.now()).await.unwrap_err().contains("not in the list"));
    service.verify(&before, provider.now()).await.expect("a cache believes a leaked key on");
    provider.travel(HOUR);
    service.verify(&after, provider.now()).await.expect("the cost ends with the cache");
    assert!(service.verify(&before, provider.now()).await.is_err(), "and the leaked key with it");
}
