//! Whole products that sign in with the settings which `hallpass client new --for` prints, as they are printed. They take
//! minutes to install, so `tests/run --services` runs them, and writes what came of it into `tests/services.md` where all do.

use crate::support::chromium::{Browser, Options};
use crate::support::party::{self, Party, Place};
use crate::support::postgres::{self, free_port};
use crate::support::program::done;
use crate::support::provider::PASSWORD;
use crate::support::{Page, TestProvider, UserAgent};
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
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
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

/// The folder of programs of an environment with what a list of Python products names.
fn python_programs(list: &str) -> PathBuf {
    let requirements = party::source("services").join(list).join("requirements.txt");
    let folder = party::installed(&format!("services-{list}"), std::slice::from_ref(&requirements), |folder| {
        install(Command::new("python3").args(["-m", "venv"]).arg(folder));
        let arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        install(Command::new(folder.join("bin/python")).args(arguments).arg(&requirements));
    });
    folder.join("bin")
}

/// The version of a package in such a list.
fn pinned(list: &str, package: &str) -> String {
    let requirements = fs::read_to_string(party::source("services").join(list).join("requirements.txt")).unwrap();
    let line = requirements.lines().find(|line| line.starts_with(package)).unwrap();
    line.split_once("==").unwrap().1.to_owned()
}

/// Builds a service of `tests/parties/services` by Maven, in a folder, with the settings among its resources.
fn maven_service(folder: &Path, name: &str, [file, settings]: [&str; 2]) {
    install(Command::new("cp").arg("-r").arg(party::source("services").join(name)).arg(folder.join("source")));
    let resources = folder.join("source/src/main/resources");
    fs::create_dir_all(&resources).unwrap();
    fs::write(resources.join(file), settings).unwrap();
    install(Command::new("mvn").args(["--quiet", "--batch-mode", "package"]).current_dir(folder.join("source")));
}

/// The version that a `pom.xml` has in the first element of this name.
fn version_in(name: &str, element: &str) -> String {
    let pom = fs::read_to_string(party::source("services").join(name).join("pom.xml")).unwrap();
    let behind = pom.split_once(&format!("<{element}>")).unwrap().1;
    behind.split_once('<').unwrap().0.to_owned()
}

/// A command with variables, in a folder.
fn server(folder: &Path, variables: &[String], command: &[&str]) -> Vec<OsString> {
    let words = ["env".into(), "-C".into(), folder.as_os_str().to_owned(), "NO_PROXY=*".into()];
    words.into_iter().chain(variables.iter().map(OsString::from)).chain(command.iter().map(OsString::from)).collect()
}

/// Signs alice in from an address of a service on; gives the page where that ends.
async fn sign_in(provider: &TestProvider, party: &Party, browser: &UserAgent, path: &str) -> Page {
    let login = end_of(browser, browser.get(&party.at(path)).await).await;
    assert!(login.url.as_str().starts_with(&provider.url("/login")), "{login}\n{}", party.log());
    end_of(browser, provider.type_in(browser, &login, "alice", PASSWORD).await).await
}

/// Where a chain of redirects ends. Some products send a 307, which no other party here may: where it answers a GET, as all
/// of theirs do, it is followed like a 302.
async fn end_of(browser: &UserAgent, mut page: Page) -> Page {
    for _ in 0..20 {
        let Some(location) = page.location() else { return page };
        page =
            if page.status.as_u16() == 307 { browser.get(location.as_str()).await } else { browser.follow(page).await };
    }
    panic!("{page}");
}

/// Signs alice in at the login page, to which a browser is on its way.
async fn type_in(browser: &Browser) {
    browser.wait_for_url_containing("/login?").await;
    browser.fill("#username", "alice").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("button[value=sign_in]").await;
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
    // As many groups as a user of a large organization has.
    let insert = |number: usize| {
        let name = format!("{number:03}-{:036x}", u128::from_be_bytes(hallpass::ambient::random()));
        format!(
            "INSERT INTO groups (name) VALUES ('{name}'); \
             INSERT INTO group_members (group_name, sub) VALUES ('{name}', 'alice-sub');"
        )
    };
    provider.sql(&(0..500).map(insert).collect::<String>()).await;
    provider.travel(10);
    let browser = UserAgent::new();
    let home = sign_in(&provider, &party, &browser, "/oauth2/start?rd=/").await;
    assert_eq!((home.status.as_u16(), home.url.as_str()), (200, party.at("/").as_str()), "{home}\n{}", party.log());
    let known = party.told(&party.open(&browser, "/oauth2/userinfo").await);
    assert_eq!(known["email"], "alice@example.com", "{known}");
    assert_eq!(known["groups"].as_array().map(Vec::len), Some(500), "{known}");
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
    let programs = python_programs("small");
    let modules = workshop().join("npm");
    fs::create_dir_all(&modules).unwrap();
    let prefix = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"];
    install(Command::new("npm").args(prefix).arg(&modules).arg("configurable-http-proxy@5.3.0"));
    let trial = Trial::of("jupyterhub", &pinned("small", "oauthenticator"));
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
    let programs = python_programs("small");
    let trial = Trial::of("streamlit", &pinned("small", "streamlit"));
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
    // It asks for `prompt=select_account`.
    type_in(&browser).await;
    assert_eq!(browser.text("h2").await, "Hello, Alice Example", "{}", party.log());
    // Its sign-out names itself and no token, so users are asked here.
    browser.click(".stButton button").await;
    browser.wait_for_url_containing("/logout").await;
    browser.close().await;
    trial.signed_in();
}

#[tokio::test]
#[ignore = "tests/run --services"]
async fn spring_signs_in_with_what_is_printed() {
    let trial = Trial::of("spring", &version_in("spring", "version"));
    let provider = ready().await;
    let (place, folder) = (Place::of("spring"), folder());
    let settings = printed(&provider, "spring", &["--url", &place.base_url, "--consent", "skip"]);
    maven_service(&folder, "spring", ["application.yml", &settings]);
    let port = format!("--server.port={}", place.port);
    let command = ["java", "-jar", "source/target/service.jar", &port, "--server.address=127.0.0.1"];
    let party = place.start_in(&folder, server(&folder, &[], &command)).await;
    let home = sign_in(&provider, &party, &UserAgent::new(), "/").await;
    assert_eq!((home.status.as_u16(), home.body.as_str()), (200, "Hello, Alice Example"), "{home}\n{}", party.log());
    trial.signed_in();
}

#[tokio::test]
#[ignore = "tests/run --services"]
async fn quarkus_signs_in_and_out_with_what_is_printed() {
    let trial = Trial::of("quarkus", &version_in("quarkus", "quarkus.version"));
    let provider = ready().await;
    let (place, folder) = (Place::of("quarkus"), folder());
    let settings = printed(&provider, "quarkus", &["--url", &place.base_url, "--consent", "skip"]);
    maven_service(&folder, "quarkus", ["application.properties", &settings]);
    let port = format!("-Dquarkus.http.port={}", place.port);
    let jar = "source/target/quarkus-app/quarkus-run.jar";
    let command = ["java", &port, "-Dquarkus.http.host=127.0.0.1", "-jar", jar];
    let party = place.start_in(&folder, server(&folder, &[], &command)).await;
    let browser = UserAgent::new();
    let home = sign_in(&provider, &party, &browser, "/").await;
    assert_eq!((home.status.as_u16(), home.body.as_str()), (200, "Hello, Alice Example"), "{home}\n{}", party.log());
    // Through the provider and back to its page, where she is asked to sign in.
    let left = party.open(&browser, "/logout").await;
    assert!(left.at(&provider.issuer).contains(&"/logout"), "{:?}\n{}", left.visited, party.log());
    assert!(left.page.url.as_str().starts_with(&provider.url("/login")), "{}\n{}", left.page, party.log());
    trial.signed_in();
}

#[tokio::test]
#[ignore = "tests/run --services"]
async fn synapse_signs_in_with_what_is_printed() {
    let programs = python_programs("synapse");
    let trial = Trial::of("synapse", &pinned("synapse", "matrix-synapse"));
    let provider = ready().await;
    let (place, folder) = (Place::of("synapse"), folder());
    let settings = printed(&provider, "synapse", &["--url", &place.base_url, "--consent", "skip"]);
    let own = format!(
        "server_name: example.com\npublic_baseurl: {}\nlisteners:\n  - port: {}\n    bind_addresses: [127.0.0.1]\n    \
         type: http\n    resources: [{{names: [client]}}]\ndatabase:\n  name: sqlite3\n  args: {{database: synapse.db}}\n\
         media_store_path: media\nsigning_key_path: signing.key\nreport_stats: false\ntrusted_key_servers: []\n\
         macaroon_secret_key: of this run\n",
        place.base_url, place.port,
    );
    fs::write(folder.join("homeserver.yaml"), settings + &own).unwrap();
    let program = programs.join("synapse_homeserver");
    // Its library takes an issuer by http only where this says so.
    let variables = ["AUTHLIB_INSECURE_TRANSPORT=1".to_owned()];
    let keys = [program.to_str().unwrap(), "-c", "homeserver.yaml", "--generate-keys"];
    install(Command::new(keys[0]).args(&keys[1..]).current_dir(&folder));
    let (api, port) = (format!("http://127.0.0.1:{}/_matrix/client/v3", place.port), place.port);
    let party = place.start_in(&folder, server(&folder, &variables, &keys[..3])).await;
    let browser = UserAgent::new();
    let start =
        format!("/_matrix/client/v3/login/sso/redirect/oidc-hallpass?redirectUrl=http%3A%2F%2F127.0.0.1%3A{port}%2F");
    let page = sign_in(&provider, &party, &browser, &start).await;
    assert!(page.body.contains("@alice:example.com"), "{page}\n{}", party.log());
    // The link of that page takes a token to an app, which is let in by it.
    let token = page.body.split("loginToken=").nth(1).unwrap().split(['"', '&']).next().unwrap();
    let body = serde_json::json!({"type": "m.login.token", "token": token}).to_string();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let login = client.post(format!("{api}/login")).body(body).send().await.unwrap().text().await.unwrap();
    assert!(login.contains("\"@alice:example.com\""), "{login}\n{}", party.log());
    let profile = client.get(format!("{api}/profile/@alice:example.com")).send().await.unwrap().text().await.unwrap();
    assert!(profile.contains("\"Alice Example\""), "{profile}\n{}", party.log());
    trial.signed_in();
}

#[tokio::test]
#[ignore = "tests/run --services"]
async fn pgadmin_signs_in_with_what_is_printed() {
    let programs = python_programs("pgadmin");
    let trial = Trial::of("pgadmin", &pinned("pgadmin", "pgadmin4"));
    let provider = ready().await;
    let (place, folder) = (Place::of("pgadmin"), folder());
    let settings = printed(&provider, "pgadmin", &["--url", &place.base_url, "--consent", "skip"]);
    let own = format!("DATA_DIR = '{}'\nDEFAULT_SERVER_PORT = {}\n", folder.join("data").display(), place.port);
    fs::write(folder.join("config_local.py"), settings + &own).unwrap();
    let variables = [
        format!("PYTHONPATH={}", folder.display()),
        "PGADMIN_SETUP_EMAIL=operator@example.com".to_owned(),
        "PGADMIN_SETUP_PASSWORD=of this run".to_owned(),
    ];
    let url = place.base_url.clone();
    let party =
        place.start_in(&folder, server(&folder, &variables, &[programs.join("pgadmin4").to_str().unwrap()])).await;
    let browser = Browser::open(Options::default()).await;
    browser.goto(&url).await;
    browser.click("button[name=oauth2_button]").await;
    type_in(&browser).await;
    let menu = browser.text("[data-test=loggedin-username]").await;
    browser.screenshot("pgadmin").await;
    assert!(menu.contains("alice"), "{menu}\n{}", party.log());
    browser.close().await;
    trial.signed_in();
}

/// Gitea's own folder in the module cache has its templates; its program is built once, in a module that replaces what
/// Gitea's own does. What its pages have scripts for is not built: they work without.
fn gitea(version: &str) -> (PathBuf, PathBuf) {
    const MODULE: &str = "code.gitea.io/gitea";
    let folder = workshop().join(format!("gitea-{version}"));
    let program = folder.join("gitea");
    let go = |arguments: &[&str]| {
        let output = Command::new("go").args(arguments).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    fs::create_dir_all(&folder).unwrap();
    if !folder.join("go.mod").exists() {
        let download = go(&["mod", "download", "-json", &format!("{MODULE}@{version}")]);
        let found: serde_json::Value = serde_json::from_str(&download).unwrap();
        let own = fs::read_to_string(found["GoMod"].as_str().unwrap()).unwrap();
        fs::write(folder.join("go.mod"), own.replacen(&format!("module {MODULE}"), "module services", 1)).unwrap();
        go(&["mod", "edit", &format!("-require={MODULE}@{version}")]);
        let sums = Path::new(found["Dir"].as_str().unwrap()).join("go.sum");
        fs::write(folder.join("go.sum"), fs::read(sums).unwrap()).unwrap();
    }
    if !program.exists() {
        go(&["build", "-mod=mod", "-o", "gitea", MODULE]);
    }
    (program, go(&["list", "-mod=mod", "-m", "-f", "{{.Dir}}", MODULE]).into())
}

#[tokio::test]
#[ignore = "tests/run --services"]
async fn gitea_signs_in_with_what_is_printed() {
    // The proxy did not serve modules that newer ones need.
    const VERSION: &str = "v1.26.0";
    let (program, resources) = gitea(VERSION);
    let trial = Trial::of("gitea", VERSION);
    let provider = ready().await;
    let (place, folder) = (Place::of("gitea"), folder());
    let settings = printed(&provider, "gitea", &["--url", &place.base_url, "--consent", "skip"]);
    let (printed_ini, rest) = settings.split_once("\n\n").unwrap();
    let (typed, command) = rest.split_once("\n\n").unwrap();
    let database = url::Url::parse(&postgres::server().create_database()).unwrap();
    let (host, name) = (database.host_str().unwrap(), &database.path()[1..]);
    let password = database.password().unwrap_or_default();
    let own = format!(
        "WORK_PATH = {}\n[server]\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = {}\nROOT_URL = {}/\nSTATIC_ROOT_PATH = {}\n\
         OFFLINE_MODE = true\nDISABLE_SSH = true\n[database]\nDB_TYPE = postgres\nHOST = {host}:{}\nNAME = {name}\n\
         USER = {}\nPASSWD = `{password}`\n[security]\nINSTALL_LOCK = true\n",
        folder.display(),
        place.port,
        place.base_url,
        resources.display(),
        database.port().unwrap(),
        database.username(),
    );
    fs::create_dir_all(folder.join("custom/conf")).unwrap();
    fs::write(folder.join("custom/conf/app.ini"), own + printed_ini).unwrap();
    // It does not start as root without this.
    let variables = ["GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT=true".to_owned()];
    let gitea = |arguments: &[&str]| {
        server(
            &folder,
            &variables,
            &[&[program.to_str().unwrap(), "--work-path", folder.to_str().unwrap()], arguments].concat(),
        )
    };
    let run = |words: Vec<OsString>| install(Command::new(&words[0]).args(&words[1..]));
    run(gitea(&["migrate"]));
    // The command as it is printed, with the secret as it is typed, by a shell that finds the program on its path.
    let secret = typed.split_once("Client secret:").unwrap().1.trim();
    let typing = "gitea() { command gitea --work-path \"$PWD\" \"$@\"; }\n".to_owned() + command;
    let path = format!("PATH={}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    fs::write(folder.join("typed"), format!("{secret}\n")).unwrap();
    let words = server(&folder, &[path, variables[0].clone()], &["bash", "-c", &typing]);
    install(Command::new(&words[0]).args(&words[1..]).stdin(fs::File::open(folder.join("typed")).unwrap()));
    let party = place.start_in(&folder, gitea(&["web"])).await;
    let browser = UserAgent::new();
    let home = sign_in(&provider, &party, &browser, "/user/oauth2/hallpass").await;
    assert_eq!((home.status.as_u16(), home.url.path()), (200, "/"), "{home}\n{}", party.log());
    let settings = party.open(&browser, "/user/settings").await.page;
    let form = settings.form("form[action*='/user/settings']");
    assert_eq!(form.value("full_name"), Some("Alice Example"), "{settings}\n{}", party.log());
    assert!(settings.body.contains("href=\"/alice\""), "{settings}\n{}", party.log());
    trial.signed_in();
}

#[tokio::test]
#[ignore = "tests/run --services"]
async fn open_webui_signs_in_with_what_is_printed() {
    let programs = python_programs("open-webui");
    let trial = Trial::of("open-webui", &pinned("open-webui", "open-webui"));
    let provider = ready().await;
    let (place, folder) = (Place::of("open-webui"), folder());
    let settings = printed(&provider, "open-webui", &["--url", &place.base_url, "--consent", "skip"]);
    let mut variables: Vec<String> = settings.lines().skip(1).map(str::to_owned).collect();
    // No model is fetched from elsewhere.
    let own = ["OFFLINE_MODE=true", "HF_HUB_OFFLINE=1", "RAG_EMBEDDING_ENGINE=openai", "WEBUI_SECRET_KEY=of this run"];
    variables.extend(own.map(str::to_owned));
    variables.push(format!("DATA_DIR={}", folder.join("data").display()));
    let (program, port) = (programs.join("open-webui"), place.port.to_string());
    let command = [program.to_str().unwrap(), "serve", "--host", "127.0.0.1", "--port", &port];
    let party = place.start_in(&folder, server(&folder, &variables, &command)).await;
    let browser = UserAgent::new();
    let home = sign_in(&provider, &party, &browser, "/oauth/oidc/login").await;
    assert_eq!((home.status.as_u16(), home.url.path()), (200, "/auth"), "{home}\n{}", party.log());
    // That page is made by its scripts, of this.
    let known = party.told(&party.open(&browser, "/api/v1/auths/").await);
    assert_eq!((&known["name"], &known["email"]), (&"Alice Example".into(), &"alice@example.com".into()), "{known}");
    trial.signed_in();
}
