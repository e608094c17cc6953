//! A real browser, Chromium without a window, for what the scripted `user_agent.rs` cannot show: that pages work with
//! and without JavaScript, that the Content-Security-Policy stops nothing they need, and how they look.
//!
//! chromedriver is started once per test process and ended by the watchdog in `postgres.rs`, its browsers with it.
//! Every host name leads to 127.0.0.1, so that no test leaves this machine.

use std::ffi::OsString;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs};

use fantoccini::elements::Element;
use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

use super::postgres::{Watchdog, free_port, temporary_folder, wait_until};

pub const MISSING: &str = "is not installed; `tests/run` installs what the tests need";

/// What kind of browser a test wants; `Options::default()` is a desktop's, with JavaScript, in the light.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub javascript: bool,
    /// What the pages find in `prefers-color-scheme`.
    pub dark: bool,
    /// Of the window, in CSS pixels. Below 600 it is the screen of a phone, which shows nothing but the page.
    pub width: u32,
    pub height: u32,
    /// For `Accept-Language`, such as `en` or `cs`.
    pub language: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { javascript: true, dark: false, width: 1280, height: 800, language: "en" }
    }
}

/// What a virtual authenticator of the browser is like; by default what a computer has built in.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a member of the protocol")]
pub struct VirtualAuthenticator {
    /// Keeps passkeys on itself, to be found without their id.
    pub has_resident_key: bool,
    pub has_user_verification: bool,
    /// Whether the user passes when they are verified.
    pub is_user_verified: bool,
    /// `internal` or `usb`, among others.
    pub transport: &'static str,
    /// Whether its passkeys can be backed up, and whether they are.
    pub default_backup_eligibility: bool,
    pub default_backup_state: bool,
}

impl Default for VirtualAuthenticator {
    fn default() -> Self {
        Self {
            has_resident_key: true,
            has_user_verification: true,
            is_user_verified: true,
            transport: "internal",
            default_backup_eligibility: false,
            default_backup_state: false,
        }
    }
}

/// A browser with an empty profile, and one tab at a time in hand.
pub struct Browser {
    client: Client,
}

/// A tab, to come back to.
#[derive(Clone, Debug, PartialEq)]
pub struct Tab(WindowHandle);

impl Browser {
    /// Opens a new browser: about a second.
    pub async fn open(options: Options) -> Self {
        let capabilities = capabilities(options);
        let Value::Object(capabilities) = capabilities else { unreachable!("it is written as an object") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", driver().port))
            .await
            .unwrap_or_else(|error| panic!("Chromium did not start: {error}; see {}", driver().folder.display()));
        Self { client }
    }

    /// Makes what is in view of a desktop's window this large: the window itself has a frame.
    pub async fn fit(&self, width: u32, height: u32) {
        let frame = self.ask("return [outerWidth - innerWidth, outerHeight - innerHeight]").await;
        let frame = |at: usize| u32::try_from(frame[at].as_i64().unwrap()).unwrap();
        self.client.set_window_size(width + frame(0), height + frame(1)).await.expect("the window can be resized");
        assert_eq!(self.ask("return [innerWidth, innerHeight]").await, json!([width, height]));
    }

    /// For whatever else fantoccini can do.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens `url` and waits until it is loaded.
    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url} does not open: {error}"));
    }

    /// Where the tab is, even if nothing answers there.
    pub async fn url(&self) -> Url {
        self.client.current_url().await.expect("the tab is open")
    }

    /// Replaces the text in a field.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap_or_else(|error| panic!("{css} cannot be cleared: {error}"));
        field.send_keys(text).await.unwrap_or_else(|error| panic!("{css} takes no text: {error}"));
    }

    /// Clicks something that leads to a new document, and waits until that is loaded.
    pub async fn click(&self, css: &str) {
        let element = self.find(css).await;
        let before = self.find("html").await;
        element.click().await.unwrap_or_else(|error| panic!("{css} cannot be clicked: {error}"));
        // Once the new document is there, the old one's element is not to be found any more.
        self.wait(&format!("the click on {css} leads to a new document"), async || before.tag_name().await.is_err())
            .await;
        self.wait("the new document is loaded", async || {
            self.client.execute("return document.readyState", vec![]).await.is_ok_and(|state| state == "complete")
        })
        .await;
    }

    /// The visible text of the first element the CSS selector finds.
    pub async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.unwrap_or_else(|error| panic!("{css} has no text: {error}"))
    }

    /// Waits until the URL contains `part`, and gives the URL.
    pub async fn wait_for_url_containing(&self, part: &str) -> Url {
        self.wait(&format!("the URL contains {part:?}"), async || self.url().await.as_str().contains(part)).await;
        self.url().await
    }

    /// The tab in hand.
    pub async fn tab(&self) -> Tab {
        Tab(self.client.window().await.expect("the tab is open"))
    }

    /// Opens another tab and takes it in hand.
    pub async fn new_tab(&self) -> Tab {
        let tab = Tab(self.client.new_window(true).await.expect("Chromium opens a tab").handle);
        self.switch(&tab).await;
        tab
    }

    /// Takes another tab in hand.
    pub async fn switch(&self, tab: &Tab) {
        self.client.switch_to_window(tab.0.clone()).await.expect("the tab is open");
    }

    /// What the console has shown as errors since the last call: violated policies, missing files, failed scripts.
    pub async fn console_errors(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        let errors = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        errors.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The documents this tab has asked for since the last call, redirects among them, in their order.
    pub async fn visited(&self) -> Vec<Url> {
        let entries = self.log("performance").await;
        let events = entries.iter().map(|entry| {
            let text = entry["message"].as_str().expect("an entry has a message");
            serde_json::from_str::<Value>(text).expect("the message is JSON")["message"].take()
        });
        events
            .filter(|event| event["method"] == "Network.requestWillBeSent" && event["params"]["type"] == "Document")
            .map(|event| Url::parse(event["params"]["request"]["url"].as_str().unwrap_or_default()))
            .collect::<Result<_, _>>()
            .expect("what is asked for has a URL")
    }

    async fn log(&self, kind: &'static str) -> Vec<Value> {
        match self.client.issue_cmd(Log(kind)).await.expect("chromedriver keeps the log") {
            Value::Array(entries) => entries,
            other => panic!("the log is no list: {other}"),
        }
    }

    /// Gives this tab, and no other, an authenticator whose user consents to everything; gives its id.
    pub async fn add_authenticator(&self, like: VirtualAuthenticator) -> String {
        let wanted = json!({
            "protocol": "ctap2",
            "transport": like.transport,
            "hasResidentKey": like.has_resident_key,
            "hasUserVerification": like.has_user_verification,
            "isUserConsenting": true,
            "isUserVerified": like.is_user_verified,
            "defaultBackupEligibility": like.default_backup_eligibility,
            "defaultBackupState": like.default_backup_state,
        });
        let id = self.authenticators(Method::POST, String::new(), Some(wanted)).await;
        id.as_str().expect("an authenticator has an id").to_owned()
    }

    /// The passkeys of an authenticator of this tab, with their private keys and the `signCount` told last.
    pub async fn passkeys_of(&self, authenticator: &str) -> Vec<Value> {
        match self.authenticators(Method::GET, format!("/{authenticator}/credentials"), None).await {
            Value::Array(passkeys) => passkeys,
            other => panic!("the passkeys are no list: {other}"),
        }
    }

    /// Puts in a passkey as [`Self::passkeys_of`] gives them: a copy, if its `signCount` is older. No other of its id
    /// may be there.
    pub async fn put_passkey(&self, authenticator: &str, credential: &Value) {
        self.authenticators(Method::POST, format!("/{authenticator}/credential"), Some(credential.clone())).await;
    }

    /// Removes every passkey of an authenticator.
    pub async fn remove_passkeys(&self, authenticator: &str) {
        self.authenticators(Method::DELETE, format!("/{authenticator}/credentials"), None).await;
    }

    /// Whether the user passes from now on when an authenticator verifies them.
    pub async fn verify_user(&self, authenticator: &str, is_verified: bool) {
        let wanted = json!({ "isUserVerified": is_verified });
        self.authenticators(Method::POST, format!("/{authenticator}/uv"), Some(wanted)).await;
    }

    /// Runs script in each document of this tab before the document's own.
    pub async fn before_each_page(&self, script: &str) {
        let command = Devtools { cmd: "Page.addScriptToEvaluateOnNewDocument", params: json!({ "source": script }) };
        self.client.issue_cmd(command).await.expect("Chromium takes a script");
    }

    async fn authenticators(&self, method: Method, path: String, body: Option<Value>) -> Value {
        let command = Authenticators { method, path, body };
        self.client.issue_cmd(command).await.unwrap_or_else(|error| panic!("no authenticator does that: {error}"))
    }

    /// Types into whatever has the focus; Tab and Enter are fantoccini's `Key`.
    pub async fn press(&self, keys: &str) {
        let focused = self.client.active_element().await.expect("something has the focus");
        focused.send_keys(keys).await.unwrap_or_else(|error| panic!("the focus takes no {keys:?}: {error}"));
    }

    /// Runs script in the page, also where the page itself may not, and gives what it returns.
    pub async fn ask(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Writes what is in view to `target/screenshots/`; `name` ends with `.png`.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        // A relative CARGO_TARGET_DIR is meant from where cargo was started: here, the top of the package.
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = package.join(target.as_deref().unwrap_or(Path::new("target"))).join("screenshots");
        fs::create_dir_all(&folder).expect("the target folder is writable");
        let file = folder.join(name);
        let picture = self.client.screenshot().await.expect("Chromium takes pictures");
        fs::write(&file, picture).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        file
    }

    /// Closes the browser. One that is not closed, since its test has failed, ends with the test process.
    pub async fn close(self) {
        self.client.close().await.expect("the browser is open");
    }

    async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(Duration::from_secs(10)).for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("there is no {css} at {}: {error}", self.url().await),
        }
    }

    async fn wait(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        for _ in 0..400 {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("waited in vain until {what}, at {}", self.url().await);
    }
}

/// What Chromium is told when it starts, beyond what chromedriver tells it itself.
fn capabilities(options: Options) -> Value {
    static PROFILES: AtomicU32 = AtomicU32::new(0);
    let Options { javascript, dark, width, height, language } = options;
    let profile = driver().folder.join(format!("profile-{}", PROFILES.fetch_add(1, Ordering::Relaxed)));
    let arguments = [
        "--headless=new".to_owned(),
        // Root has no sandbox, and the tests open no page but their own.
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-quic".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        // Containers have little of it.
        "--disable-dev-shm-usage".to_owned(),
        "--host-resolver-rules=MAP * 127.0.0.1".to_owned(),
        "--no-proxy-server".to_owned(),
        format!("--window-size={width},{height}"),
        // 0 is dark and 1 is light.
        format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)),
        format!("--lang={language}"),
        format!("--accept-lang={language}"),
        format!("--user-data-dir={}", profile.display()),
    ];
    let mut chromium = json!({
        "binary": driver().chromium,
        "args": arguments,
        "prefs": {
            // 1 allows and 2 blocks.
            "profile.managed_default_content_settings.javascript": if javascript { 1 } else { 2 },
            "intl.accept_languages": language,
            "credentials_enable_service": false,
        },
    });
    if width < 600 {
        // A window cannot be so narrow; the screen of an emulated phone can.
        chromium["mobileEmulation"] = json!({
            // chromedriver waits forever for the answer to a touch where the page may run no script.
            "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2, "touch": javascript, "mobile": true },
        });
    }
    // A service on this machine may have made its own certificate.
    json!({ "acceptInsecureCerts": true, "goog:chromeOptions": chromium, "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" } })
}

/// chromedriver, shared by every test of this process.
struct Driver {
    folder: PathBuf,
    port: u16,
    chromium: PathBuf,
    _watchdog: Watchdog,
}

fn driver() -> &'static Driver {
    static SHARED: OnceLock<Driver> = OnceLock::new();
    SHARED.get_or_init(|| {
        let chromedriver = on_path(&["chromedriver"]).unwrap_or_else(|| panic!("chromedriver {MISSING}"));
        let names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
        let chromium = on_path(&names).unwrap_or_else(|| panic!("Chromium {MISSING}"));
        let folder = temporary_folder("hallpass-chromium-", None).keep();
        let port = free_port();
        // Chromium writes to more places than its profile, all of them below HOME, and its own temporary files.
        let set = |name: &str| {
            let mut variable = OsString::from(name);
            variable.push("=");
            variable.push(&folder);
            variable
        };
        let mut server = vec!["env".into(), set("HOME"), set("TMPDIR"), set("XDG_CONFIG_HOME"), set("XDG_CACHE_HOME")];
        server.extend([chromedriver.into_os_string(), format!("--port={port}").into()]);
        // Its browsers, left behind, are ended as the rest of the watchdog's process group.
        let watchdog = Watchdog::start(&folder, None, "KILL", &server);
        wait_until("chromedriver takes connections", &folder, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Driver { folder, port, chromium, _watchdog: watchdog }
    })
}

pub fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// chromedriver's own command, which the standard does not have, for the new entries of a log.
#[derive(Debug)]
struct Log(&'static str);

impl WebDriverCompatibleCommand for Log {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, ParseError> {
        base_url.join(&format!("session/{}/se/log", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _request_url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": self.0 }).to_string()))
    }
}

/// A command of the browser's own protocol, which its developer tools speak.
#[derive(Debug)]
struct Devtools {
    cmd: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, ParseError> {
        base_url.join(&format!("session/{}/goog/cdp/execute", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _request_url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "cmd": self.cmd, "params": self.params }).to_string()))
    }
}

/// A command to the [virtual authenticators](https://www.w3.org/TR/webauthn-3/#sctn-automation) of a tab.
#[derive(Debug)]
struct Authenticators {
    method: Method,
    /// Behind the address of all authenticators.
    path: String,
    body: Option<Value>,
}

impl WebDriverCompatibleCommand for Authenticators {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, ParseError> {
        base_url.join(&format!("session/{}/webauthn/authenticator{}", session_id.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _request_url: &Url) -> (Method, Option<String>) {
        (self.method.clone(), self.body.as_ref().map(Value::to_string))
    }
}
