//! The independent parties of `tests/parties/`: services that others' libraries make, each a process of its own, on a
//! port of its own.
//!
//! What they are made of is installed into the target folder, once for each version of their lists. Knows how they are
//! started and what all of them answer; how a provider sees them is each test's own affair.

use super::postgres::{Watchdog, free_port, temporary_folder};
use super::provider::{NewClient, PASSWORD, TestProvider};
use super::user_agent::{Page, UserAgent};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;
use url::Url;

/// A party that runs; ended when dropped, or with this process.
pub struct Party {
    /// Its client's id, and the first label of its host.
    pub id: String,
    /// Where browsers find it: on a host of its own, as another site than the provider and the other parties.
    pub base_url: String,
    log: PathBuf,
    _watchdog: Watchdog,
}

/// Where a party will be, for a client that is registered before it runs.
pub struct Place {
    id: String,
    pub port: u16,
    /// As browsers see it.
    pub base_url: String,
}

impl Place {
    /// A place of its own for the client of this id.
    pub fn of(id: &str) -> Self {
        let port = free_port();
        Self { id: id.to_owned(), port, base_url: format!("http://{id}.localhost:{port}") }
    }

    /// The client that asks no user, with the addresses that the parties here have in common.
    pub fn client(&self) -> NewClient {
        NewClient::new(&self.id)
            .with("consent", "skip")
            .at(&[&format!("{}/callback", self.base_url)])
            .leaving_to(&format!("{}/signed-out", self.base_url))
            // The provider looks names up as any program does, and not every system knows names below localhost.
            .with("backchannel_logout_uri", &format!("http://127.0.0.1:{}/backchannel", self.port))
    }

    /// Runs the server and waits until it takes connections.
    pub async fn start(self, server: Vec<OsString>) -> Party {
        let folder = temporary_folder("hallpass-party-", None).keep();
        self.start_in(&folder, server).await
    }

    /// The same, in a folder that it may have filled; the folder goes with the party.
    pub async fn start_in(self, folder: &Path, server: Vec<OsString>) -> Party {
        let watchdog = Watchdog::start(folder, None, "TERM", &server);
        let log = folder.join("log");
        let party = Party { id: self.id, base_url: self.base_url, log, _watchdog: watchdog };
        // The provider of the test lives on the same thread, so nothing here may hold that up.
        // Whole products take a minute on a busy machine.
        for _ in 0..6000 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return party;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} takes no connections: {}", party.id, party.log());
    }
}

impl Party {
    /// The service on openid-client, for the client of this place; `settings` are more than it gets anyhow.
    pub async fn node(place: Place, provider: &TestProvider, settings: &[(&str, &str)]) -> Self {
        let mut server = environment(&place, provider, settings);
        server.push("node".into());
        server.push(node_modules().parent().unwrap().join("party.mjs").into());
        place.start(server).await
    }

    /// The service on Authlib and joserfc.
    pub async fn python(place: Place, provider: &TestProvider, settings: &[(&str, &str)]) -> Self {
        let mut server = environment(&place, provider, settings);
        server.extend([python().into(), source("python/service.py").into()]);
        place.start(server).await
    }

    /// The service on requests-oauthlib, which leaves out what it may.
    pub async fn with_habits(place: Place, provider: &TestProvider, settings: &[(&str, &str)]) -> Self {
        let mut server = environment(&place, provider, settings);
        server.extend([python().into(), source("python/habits.py").into()]);
        place.start(server).await
    }

    /// An address of it.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Opens an address of it in a browser, and follows wherever that leads, up to a page.
    pub async fn open(&self, browser: &UserAgent, path: &str) -> Arrival {
        arrive(browser, browser.get(&self.at(path)).await).await
    }

    /// Its JSON at an address, without any redirect.
    #[track_caller]
    pub fn told(&self, arrival: &Arrival) -> Value {
        let page = &arrival.page;
        assert!(page.url.as_str().starts_with(&self.base_url), "{page}\n{}", self.log());
        assert_eq!(page.status, 200, "{page}\n{}", self.log());
        serde_json::from_str(&page.body).unwrap_or_else(|error| panic!("{error}: {page}\n{}", self.log()))
    }

    /// Signs alice in by way of the login page; gives what the party knows of her then.
    pub async fn sign_in(&self, provider: &TestProvider, browser: &UserAgent) -> Value {
        let Arrival { page, .. } = self.open(browser, "/login").await;
        assert!(page.url.as_str().starts_with(&provider.url("/login")), "{page}\n{}", self.log());
        let mut form = page.form("form");
        form.set("username", "alice").set("password", PASSWORD);
        let arrival = arrive(browser, browser.submit(form, Some(("action", "sign_in"))).await).await;
        self.told(&arrival)
    }

    /// Enters as a user whom the provider knows: by way of it, but without any page of it.
    pub async fn enter(&self, provider: &TestProvider, browser: &UserAgent) -> Value {
        let arrival = self.open(browser, "/login").await;
        assert_eq!(arrival.at(&provider.issuer), ["/authorize"], "{}\n{}", arrival.page, self.log());
        self.told(&arrival)
    }

    /// Whether the party itself takes this browser for a user's.
    pub async fn is_in(&self, browser: &UserAgent) -> bool {
        let arrival = self.open(browser, "/").await;
        assert_eq!(arrival.visited.len(), 1, "it asks no other: {:?}", arrival.visited);
        self.told(&arrival)["signed_in"].as_bool().unwrap()
    }
}

/// The end of a chain of redirects, and every address on the way there.
pub struct Arrival {
    pub page: Page,
    pub visited: Vec<Url>,
}

impl Arrival {
    /// The paths that were visited there, in their order.
    pub fn at(&self, origin: &str) -> Vec<&str> {
        self.visited.iter().filter(|url| url.as_str().starts_with(origin)).map(Url::path).collect()
    }
}

/// Follows redirects wherever they lead.
pub async fn arrive(browser: &UserAgent, mut page: Page) -> Arrival {
    let mut visited = vec![page.url.clone()];
    while page.location().is_some() {
        page = browser.follow(page).await;
        visited.push(page.url.clone());
        assert!(visited.len() < 20, "{visited:?}");
    }
    Arrival { page, visited }
}

/// `env` with what every party is told; a command follows.
pub fn environment(place: &Place, provider: &TestProvider, settings: &[(&str, &str)]) -> Vec<OsString> {
    let discovery = provider.url("/.well-known/openid-configuration");
    let always = [
        ("OIDC_DISCOVERY_URL", discovery.as_str()),
        ("OIDC_CLIENT_ID", &place.id),
        ("OIDC_CLIENT_SECRET", super::provider::CLIENT_SECRET),
        ("BASE_URL", &place.base_url),
        ("NO_PROXY", "*"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    let pairs = always.iter().chain(settings).map(|(name, value)| OsString::from(format!("{name}={value}")));
    std::iter::once("env".into()).chain(pairs).collect()
}

pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parties").join(name)
}

/// A folder beside those of cargo's profiles, named after what is to be installed there; made anew when that changes.
///
/// `install` fills the folder it is given.
pub fn installed(kind: &str, lists: &[PathBuf], install: impl FnOnce(&Path)) -> PathBuf {
    let mut digest = Sha256::new();
    for list in lists {
        digest.update(fs::read(list).unwrap_or_else(|error| panic!("{}: {error}", list.display())));
    }
    let name = URL_SAFE_NO_PAD.encode(&digest.finalize()[..6]);
    // Beside the folder of the test binary: target/debug/deps.
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let folder = target.join(format!("parties-{kind}-{name}"));
    let complete = folder.join("complete");
    if !complete.exists() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        install(&folder);
        fs::write(complete, "").unwrap();
    }
    folder
}

/// The JavaScript libraries, with the parties that are made of them beside the folder, where Node looks for it.
pub fn node_modules() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let names = ["package.json", "package-lock.json", "party.mjs", "authjs.mjs"];
        let files = names.map(|name| source("node").join(name));
        let folder = installed("node", &files, |folder| {
            for file in &files {
                fs::copy(file, folder.join(file.file_name().unwrap())).unwrap();
            }
            let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"];
            run(Command::new("npm").args(arguments).current_dir(folder));
        });
        folder.join("node_modules")
    })
}

/// The interpreter of an environment with the Python libraries.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| interpreter("python"))
}

/// The interpreter of another one, with Django and what signs users in there.
pub fn django() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| interpreter("django"))
}

/// The interpreter of another one, with the mail server.
pub fn smtp() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| interpreter("smtp"))
}

/// That of an environment with what a folder's list names.
fn interpreter(kind: &str) -> PathBuf {
    let requirements = source(kind).join("requirements.txt");
    let folder = installed(kind, std::slice::from_ref(&requirements), |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder));
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"];
        run(Command::new(folder.join("bin/python")).args(install).arg(&requirements));
    });
    folder.join("bin/python")
}

fn run(command: &mut Command) {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `tests/run` installs what is needed"));
    let said = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {said}");
}
