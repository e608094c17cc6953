//! Whole products that sign in with the settings which `hallpass client new --for` prints, as they are printed. They take
//! minutes to install, so `tests/run --services` runs them, and writes what came of it into `tests/services.md` where all do.

use crate::support::chromium::{Browser, Options};
use crate::support::party::{self, Party, Place, arrive};
use crate::support::postgres::{self, free_port};
use crate::support::program::done;
use crate::support::provider::PASSWORD;
use crate::support::{TestProvider, UserAgent};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

async fn ready() -> TestProvider {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider
}

fn printed(provider: &TestProvider, product: &str, more: &[&str]) -> String {
    let settings = done(provider.command(&[&["client", "new", product, "--for", product], more].concat(), "")).stdout;
    done(provider.command(&["migrate"], ""));
    settings
}

fn folder() -> PathBuf {
    TempDir::with_prefix("hallpass-test-").unwrap().keep()
}

/// Where programs are installed and results are noted: below the target folder.
fn workshop() -> PathBuf {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let folder = target.join("services");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A run of a version of a product, which failed unless it is noted to be done.
struct Trial(PathBuf);

impl Trial {
    fn of(product: &str, version: &str) -> Self {
        let file = workshop().join(format!("{product}.result"));
        fs::write(&file, format!("{version}\nfailed\n")).unwrap();
        Self(file)
    }

    fn signed_in(self) {
        let noted = fs::read_to_string(&self.0).unwrap();
        fs::write(&self.0, noted.replace("\nfailed\n", "\nsigned in\n")).unwrap();
    }
}

fn install(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A program of the Go proxy, made once for each version.
fn go_program(module: &str, version: &str, name: &str) -> PathBuf {
    let folder = workshop().join(format!("{name}-{version}"));
    let program = folder.join(name);
    if !program.exists() {
        install(Command::new("go").args(["install", &format!("{module}@{version}")]).env("GOBIN", &folder));
    }
    program
}

/// The folder of programs of an environment with the Python products.
fn python_programs() -> PathBuf {
    let requirements = party::source("services/requirements.txt");
    let folder = party::installed("services", std::slice::from_ref(&requirements), |folder| {
        install(Command::new("python3").args(["-m", "venv"]).arg(folder));
        let arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        install(Command::new(folder.join("bin/python")).args(arguments).arg(&requirements));
    });
    folder.join("bin")
}

/// The version of a Python product.
fn pinned(product: &str) -> String {
    let requirements = fs::read_to_string(party::source("services/requirements.txt")).unwrap();
    let line = requirements.lines().find(|line| line.starts_with(product)).unwrap();
    line.split_once("==").unwrap().1.to_owned()
}

/// A command with variables, in a folder.
fn server(folder: &Path, variables: &[String], command: &[&str]) -> Vec<OsString> {
    let words = ["env".into(), "-C".into(), folder.as_os_str().to_owned(), "NO_PROXY=*".into()];
    words.into_iter().chain(variables.iter().map(OsString::from)).chain(command.iter().map(OsString::from)).collect()
}

/// Signs alice in from an address of a service on; gives the page where that ends.
async fn sign_in(provider: &TestProvider, party: &Party, browser: &UserAgent, path: &str) -> crate::support::Page {
    let page = party.open(browser, path).await.page;
    assert!(page.url.as_str().starts_with(&provider.url("/login")), "{page}\n{}", party.log());
    arrive(browser, provider.type_in(browser, &page, "alice", PASSWORD).await).await.page
}

#[tokio::test]
#[ignore = "tests/run --services"]
async fn oauth2_proxy_signs_in_with_what_is_printed() {
    const VERSION: &str = "v7.15.6";
    let program = go_program("github.com/oauth2-proxy/oauth2-proxy/v7", VERSION, "oauth2-proxy");
    let trial = Trial::of("oauth2-proxy", VERSION);
    let provider = ready().await;
    let (place, folder) = (Place::of("oauth2-proxy"), folder());
    let settings = printed(&provider, "oauth2-proxy", &["--url", &place.base_url, "--consent", "skip"]);
    fs::write(folder.join("oauth2-proxy.cfg"), settings).unwrap();
    let address = format!("--http-address=127.0.0.1:{}", place.port);
    let command = [program.to_str().unwrap(), "--config=oauth2-proxy.cfg", &address, "--upstream=static://200"];
    let party = place.start_in(&folder, server(&folder, &[], &command)).await;
    let browser = UserAgent::new();
    let home = sign_in(&provider, &party, &browser, "/oauth2/start?rd=/").await;
    assert_eq!((home.status.as_u16(), home.url.as_str()), (200, party.at("/").as_str()), "{home}\n{}", party.log());
    let known = party.told(&party.open(&browser, "/oauth2/userinfo").await);
    assert_eq!(known["email"], "alice@example.com", "{known}");
    trial.signed_in();
}

#[tokio::test]
#[ignore = "tests/run --services"]
async fn miniflux_signs_in_with_what_is_printed() {
    const VERSION: &str = "v2.3.5";
    let program = go_program("miniflux.app/v2", VERSION, "miniflux.app");
    let trial = Trial::of("miniflux", VERSION);
    let provider = ready().await;
    let (place, folder) = (Place::of("miniflux"), folder());
    let settings = printed(&provider, "miniflux", &["--url", &place.base_url, "--consent", "skip"]);
    let mut variables: Vec<String> = settings.lines().skip(1).map(str::to_owned).collect();
    variables.extend([
        format!("DATABASE_URL={}?sslmode=disable", postgres::server().create_database()),
        format!("LISTEN_ADDR=127.0.0.1:{}", place.port),
        format!("BASE_URL={}", place.base_url),
        "RUN_MIGRATIONS=1".to_owned(),
    ]);
    let party = place.start_in(&folder, server(&folder, &variables, &[program.to_str().unwrap()])).await;
    let browser = UserAgent::new();
    let home = sign_in(&provider, &party, &browser, "/oauth2/oidc/redirect").await;
    assert_eq!(home.status.as_u16(), 200, "{home}\n{}", party.log());
    // It shows a user's name on no page, and logs it.
    let settings = party.open(&browser, "/settings").await.page;
    assert!(settings.text().contains("Logout"), "{settings}\n{}", party.log());
    assert!(party.log().contains("username=alice"), "{}", party.log());
    trial.signed_in();
}

#[tokio::test]
#[ignore = "tests/run --services"]
async fn jupyterhub_signs_in_with_what_is_printed() {
    let programs = python_programs();
    let modules = workshop().join("npm");
    fs::create_dir_all(&modules).unwrap();
    let prefix = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"];
    install(Command::new("npm").args(prefix).arg(&modules).arg("configurable-http-proxy@5.3.0"));
    let trial = Trial::of("jupyterhub", &pinned("oauthenticator"));
    let provider = ready().await;
    let (place, folder) = (Place::of("jupyterhub"), folder());
    let settings = printed(&provider, "jupyterhub", &["--url", &place.base_url, "--consent", "skip"]);
    let proxy = modules.join("node_modules/.bin/configurable-http-proxy");
    let own = format!(
        "c.JupyterHub.bind_url = 'http://127.0.0.1:{}'\nc.JupyterHub.hub_port = {}\nc.JupyterHub.default_url = '/hub/home'\n\
         c.ConfigurableHTTPProxy.api_url = 'http://127.0.0.1:{}'\nc.ConfigurableHTTPProxy.command = ['{}']\n\
         c.JupyterHub.spawner_class = 'simple'\n",
        place.port,
        free_port(),
        free_port(),
        proxy.display(),
    );
    fs::write(folder.join("jupyterhub_config.py"), settings + &own).unwrap();
    let program = programs.join("jupyterhub");
    let party = place.start_in(&folder, server(&folder, &[], &[program.to_str().unwrap()])).await;
    let browser = UserAgent::new();
    // The proxy takes connections before it knows of the hub.
    for _ in 0..150 {
        if party.open(&browser, "/hub/login").await.page.status.as_u16() == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let home = sign_in(&provider, &party, &browser, "/hub/oauth_login").await;
    assert_eq!((home.status.as_u16(), home.url.path()), (200, "/hub/home"), "{home}\n{}", party.log());
    assert!(home.body.contains("alice"), "{home}");
    trial.signed_in();
}

#[tokio::test]
#[ignore = "tests/run --services"]
async fn streamlit_signs_in_with_what_is_printed() {
    const APP: &str = "import streamlit as st\n\nif not st.user.is_logged_in:\n    st.button('Log in', on_click=st.login)\n    \
                       st.stop()\nst.header(f'Hello, {st.user.name}')\nst.button('Log out', on_click=st.logout)\n";
    let programs = python_programs();
    let trial = Trial::of("streamlit", &pinned("streamlit"));
    let provider = ready().await;
    let (place, folder) = (Place::of("streamlit"), folder());
    let url = format!("http://127.0.0.1:{}", place.port);
    let settings = printed(&provider, "streamlit", &["--url", &url, "--consent", "skip"]);
    fs::create_dir_all(folder.join(".streamlit")).unwrap();
    fs::write(folder.join(".streamlit/secrets.toml"), settings).unwrap();
    fs::write(folder.join("app.py"), APP).unwrap();
    let (program, port) = (programs.join("streamlit"), format!("--server.port={}", place.port));
    let quiet = ["--server.address=127.0.0.1", "--server.headless=true", "--browser.gatherUsageStats=false"];
    let command = [&[program.to_str().unwrap(), "run", "app.py", &port], &quiet[..]].concat();
    let party = place.start_in(&folder, server(&folder, &[], &command)).await;
    let browser = Browser::open(Options::default()).await;
    browser.goto(&url).await;
    browser.click(".stButton button").await;
    browser.wait_for_url_containing("/login").await;
    // It asks for `prompt=select_account`.
    browser.fill("#username", "alice").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("button[value=sign_in]").await;
    assert_eq!(browser.text("h2").await, "Hello, Alice Example", "{}", party.log());
    // Its sign-out names itself and no token, so users are asked here.
    browser.click(".stButton button").await;
    browser.wait_for_url_containing("/logout").await;
    browser.close().await;
    trial.signed_in();
}
