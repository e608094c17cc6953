//! Apache with `mod_auth_openidc`, by `tests/parties/apache/httpd.conf`, and the service behind it, which knows nothing of
//! OpenID Connect.

use super::party::{Party, Place, environment, source};
use super::postgres::temporary_folder;
use super::provider::TestProvider;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::routing::get;
use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use url::form_urlencoded;

/// Settings that `httpd.conf` must find in the environment.
const DEFAULTS: [(&str, &str); 3] =
    [("OIDC_AUTH_METHOD", "client_secret_basic"), ("OIDC_ALGORITHM", "RS256"), ("OIDC_SCOPE", "openid profile email")];

/// Starts it for the client of this place; `settings` replace the defaults, `defines` switch parts of the file on.
pub async fn start(place: Place, provider: &TestProvider, settings: &[(&str, &str)], defines: &[&str]) -> Party {
    let folder = temporary_folder("hallpass-apache-", None).keep();
    start_in(&folder, place, provider, settings, defines).await
}

/// Starts it with what is printed for it, instead of the part of the file that is about the provider.
pub async fn start_with(printed: &str, place: Place, provider: &TestProvider) -> Party {
    let folder = temporary_folder("hallpass-apache-", None).keep();
    fs::write(folder.join("printed.conf"), printed).unwrap();
    start_in(&folder, place, provider, &[], &["PRINTED"]).await
}

async fn start_in(
    folder: &Path,
    place: Place,
    provider: &TestProvider,
    settings: &[(&str, &str)],
    defines: &[&str],
) -> Party {
    let service_port = serve_behind(place.base_url.clone()).await.to_string();
    let port = place.port.to_string();
    let modules = modules().display().to_string();
    let mut all: Vec<(&str, &str)> = DEFAULTS.to_vec();
    all.extend_from_slice(settings);
    all.extend([
        ("PORT", port.as_str()),
        ("SERVICE_PORT", &service_port),
        ("FOLDER", folder.to_str().unwrap()),
        ("MODULES", &modules),
        ("RUN_AS", run_as()),
    ]);
    let mut server = environment(&place, provider, &all);
    server.extend([program().into(), "-DFOREGROUND".into(), "-f".into(), source("apache/httpd.conf").into()]);
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let defines = defines.iter().chain(is_root.then_some(&"ROOT"));
    server.extend(defines.map(|name| OsString::from(format!("-D{name}"))));
    place.start_in(folder, server).await
}

/// The address under which the back channel reaches `mod_auth_openidc`.
pub fn backchannel_logout_uri(place: &Place) -> String {
    format!("http://127.0.0.1:{}/callback?logout=backchannel", place.port)
}

/// The service behind Apache, with the addresses that every party has; gives its port.
async fn serve_behind(base_url: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new()
        .route("/", get(home))
        .route("/login", get(async || Redirect::to("/")))
        .route("/logout", get(logout))
        .route("/signed-out", get(async || json!({"signed_in": false, "by": "this service"}).to_string()))
        .with_state(base_url);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

async fn home(headers: HeaderMap) -> String {
    let claim = |name: &str| headers.get(format!("oidc_claim_{name}")).map(|value| value.to_str().unwrap());
    let known = match claim("sub") {
        Some(sub) => json!({
            "signed_in": true,
            "sub": sub,
            "name": claim("name"),
            "email": claim("email"),
            "has_access_token": headers.contains_key("oidc_access_token"),
        }),
        None => json!({"signed_in": false}),
    };
    known.to_string()
}

async fn logout(State(base_url): State<String>) -> Redirect {
    let to: String = form_urlencoded::byte_serialize(format!("{base_url}/signed-out").as_bytes()).collect();
    Redirect::to(&format!("/callback?logout={to}"))
}

fn program() -> &'static str {
    let names = ["/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/bin/httpd"];
    names
        .into_iter()
        .find(|name| fs::exists(name).unwrap())
        .expect("Apache is not installed; `tests/run` installs what the tests need")
}

fn modules() -> PathBuf {
    ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules", "/usr/lib/apache2"]
        .map(PathBuf::from)
        .into_iter()
        .find(|folder| folder.join("mod_auth_openidc.so").is_file())
        .expect("mod_auth_openidc is not installed; `tests/run` installs what the tests need")
}

/// Whom root lets Apache's workers be.
fn run_as() -> &'static str {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let is_there = |name: &&str| users.lines().any(|line| line.starts_with(&format!("{name}:")));
    ["www-data", "apache", "http", "nobody"].into_iter().find(is_there).unwrap_or("nobody")
}
