//! Products that sign in with the settings which `hallpass client new --for` prints, as they are printed:
//! `tests/parties/README.md` says what each service is.

use crate::support::party::{Arrival, Party, Place, arrive, django, node_modules};
use crate::support::program::done;
use crate::support::provider::PASSWORD;
use crate::support::python::FastApi;
use crate::support::{TestProvider, UserAgent, apache};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

async fn ready() -> TestProvider {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider
}

/// Registers the product at an address; gives its settings.
fn printed(provider: &TestProvider, product: &str, url: &str) -> String {
    let new = ["client", "new", product, "--for", product, "--url", url, "--consent", "skip"];
    let settings = done(provider.command(&new, "")).stdout;
    done(provider.command(&["migrate"], ""));
    settings
}

/// The lines from the one that begins like this on, up to an empty one before `to`.
fn part<'a>(settings: &'a str, from: &str, to: &str) -> &'a str {
    let rest = &settings[settings.find(from).unwrap_or_else(|| panic!("{from}: {settings}"))..];
    rest.split(&format!("\n\n{to}")).next().unwrap()
}

/// Goes from a page with a form that starts a sign-in through the login page to the service; gives its JSON.
async fn sign_in(provider: &TestProvider, party: &Party, start: &str) -> Value {
    let browser = UserAgent::new();
    let first = party.open(&browser, "/").await;
    assert_eq!(party.told(&first), json!({"signed_in": false}));
    let page = party.open(&browser, start).await.page;
    assert_eq!(page.status, 200, "{page}\n{}", party.log());
    let Arrival { page, .. } = arrive(&browser, browser.submit(page.form("form"), None).await).await;
    assert!(page.url.as_str().starts_with(&provider.url("/login")), "{page}\n{}", party.log());
    let arrival = arrive(&browser, provider.type_in(&browser, &page, "alice", PASSWORD).await).await;
    party.told(&arrival)
}

fn server(place: &Place, folder: &Path, more: &[String], program: [&Path; 2]) -> Vec<OsString> {
    let mut server: Vec<OsString> = vec!["env".into(), "-C".into(), folder.into()];
    let own = [
        format!("PORT={}", place.port),
        format!("BASE_URL={}", place.base_url),
        "NO_PROXY=*".to_owned(),
        "PYTHONDONTWRITEBYTECODE=1".to_owned(),
    ];
    server.extend(own.iter().chain(more).map(OsString::from));
    server.extend(program.map(OsString::from));
    server
}

async fn django_service(provider: &TestProvider, product: &str) -> Party {
    let place = Place::of(product);
    let folder = TempDir::with_prefix("hallpass-test-").unwrap().keep();
    fs::write(folder.join("printed.py"), printed(provider, product, &place.base_url)).unwrap();
    let service = crate::support::party::source("django/service.py");
    let server = server(&place, &folder, &[], [django(), &service]);
    place.start_in(&folder, server).await
}

#[tokio::test]
async fn django_allauth_signs_in_with_what_is_printed() {
    let provider = ready().await;
    let party = django_service(&provider, "django-allauth").await;
    let known = sign_in(&provider, &party, "/start").await;
    assert_eq!(known, json!({"signed_in": true, "username": "alice", "email": "alice@example.com"}), "{}", party.log());
}

#[tokio::test]
async fn social_auth_signs_in_with_what_is_printed() {
    let provider = ready().await;
    let party = django_service(&provider, "social-auth").await;
    let known = sign_in(&provider, &party, "/start").await;
    assert_eq!(known, json!({"signed_in": true, "username": "alice", "email": "alice@example.com"}), "{}", party.log());
}

#[tokio::test]
async fn auth_js_signs_in_with_what_is_printed() {
    let provider = ready().await;
    let place = Place::of("authjs");
    let folder = TempDir::with_prefix("hallpass-test-").unwrap().keep();
    let settings = printed(&provider, "authjs", &place.base_url);
    let variables: Vec<String> = part(&settings, "# .env.local", "//").lines().skip(1).map(str::to_owned).collect();
    let provider_of = part(&settings, "// among the providers", "#");
    fs::write(folder.join("provider.mjs"), format!("export default\n{provider_of}")).unwrap();
    let service = node_modules().parent().unwrap().join("authjs.mjs");
    let server = server(&place, &folder, &variables, [Path::new("node"), &service]);
    let party = place.start_in(&folder, server).await;
    let known = sign_in(&provider, &party, "/api/auth/signin").await;
    let expected = json!({"signed_in": true, "name": "Alice Example", "email": "alice@example.com"});
    assert_eq!(known, expected, "{}", party.log());
}

#[tokio::test]
async fn fastapi_signs_in_with_what_is_printed() {
    let provider = ready().await;
    let base_url = FastApi::base_url();
    let settings = printed(&provider, "fastapi", &base_url);
    let app = TempDir::with_prefix("hallpass-test-").unwrap();
    fs::write(app.path().join(".env"), part(&settings, "# .env", "# main.py")).unwrap();
    fs::write(app.path().join("main.py"), &settings[settings.find("# main.py").unwrap()..]).unwrap();
    let service = FastApi::of(&base_url, app.path());
    let browser = UserAgent::new();
    let login = arrive(&browser, browser.get(&format!("{base_url}/")).await).await.page;
    let page = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    let home = arrive(&browser, page).await.page;
    assert!(home.body.contains("Hello, Alice Example"), "{home}\n{}", service.log());
}

#[tokio::test]
async fn mod_auth_openidc_signs_in_with_what_is_printed_and_hears_of_a_sign_out() {
    let provider = ready().await;
    let place = Place::of("mod-auth-openidc");
    // The provider looks names up as any program does, and not every system knows names below localhost.
    let channel = format!("http://127.0.0.1:{}/oidc/callback?logout=backchannel", place.port);
    let new = ["client", "new", "mod-auth-openidc", "--for", "mod-auth-openidc", "--url", &place.base_url];
    let more = ["--consent", "skip", "--backchannel-logout-uri", &channel];
    let settings = done(provider.command(&[&new[..], &more].concat(), "")).stdout;
    done(provider.command(&["migrate"], ""));
    let party = apache::start_with(&settings, place, &provider).await;
    let browser = UserAgent::new();
    let known = party.sign_in(&provider, &browser).await;
    let told = [&known["sub"], &known["name"], &known["email"]];
    assert_eq!(told, ["alice-sub", "Alice Example", "alice@example.com"], "{known}\n{}", party.log());
    let page = browser.get(&provider.url("/logout")).await;
    let page = browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
    assert!(page.text().contains("You were signed out of these services too"), "{page}\n{}", party.log());
    assert!(!party.is_in(&browser).await, "{}", party.log());
}
