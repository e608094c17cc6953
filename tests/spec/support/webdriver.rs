//! The few verbs that three engines share: Chromium, Firefox and `WebKitGTK`, each as the system's packages have it.
//!
//! Chromium and `WebKitGTK` are driven by [WebDriver](https://www.w3.org/TR/webdriver2/), through the drivers that come with
//! them. Debian has no such driver for Firefox, which itself speaks
//! [WebDriver BiDi](https://www.w3.org/TR/webdriver-bidi/) on a port. What only Chromium is asked is in `chromium.rs`.
//! Every browser has a new profile; a folder for it, and its processes, end with it, by the watchdog in `postgres.rs`.

use super::chromium::{self, MISSING, on_path};
use super::postgres::{Watchdog, free_port, temporary_folder};
use fantoccini::{Client, ClientBuilder, Locator};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

/// The longest that a browser may take for an answer or a page, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser, by what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Chromium,
    Firefox,
    WebKit,
}

/// A browser of any engine, with one tab.
pub struct AnyBrowser {
    engine: Engine,
    session: Session,
    _watchdog: Option<Watchdog>,
}

/// The protocol that leads it.
enum Session {
    Classic(Client),
    BiDi(Box<BiDi>),
}

/// A cookie, as scripts of its page would not all see it.
#[derive(Debug)]
pub struct Cookie {
    pub name: String,
    pub is_secure: bool,
    pub is_http_only: bool,
    pub same_site: String,
}

impl AnyBrowser {
    /// Opens a new one; it takes every certificate.
    pub async fn open(engine: Engine) -> Self {
        let (session, watchdog) = match engine {
            Engine::Chromium => {
                let browser = chromium::Browser::open(chromium::Options::default()).await;
                (Session::Classic(browser.client().clone()), None)
            }
            Engine::Firefox => {
                let (bidi, watchdog) = firefox().await;
                (Session::BiDi(Box::new(bidi)), Some(watchdog))
            }
            Engine::WebKit => {
                let (client, watchdog) = webkit().await;
                (Session::Classic(client), Some(watchdog))
            }
        };
        Self { engine, session, _watchdog: watchdog }
    }

    /// Opens `url`, as if it had been typed, and waits until it is loaded.
    pub async fn goto(&self, url: &str) {
        let opened = match &self.session {
            Session::Classic(client) => client.goto(url).await.map_err(|error| error.to_string()),
            Session::BiDi(bidi) => {
                let to = json!({ "context": bidi.context, "url": url, "wait": "complete" });
                bidi.command("browsingContext.navigate", to).await.map(|_| ())
            }
        };
        opened.unwrap_or_else(|error| panic!("{url} does not open in {:?}: {error}", self.engine));
    }

    /// Leaves for `url` from the page that is open, as its links do, so that cookies cross sites by their rules.
    pub async fn leave_for(&self, url: &str) {
        self.lead_on(url, self.try_ask(&format!("location.assign({})", json!(url)))).await;
    }

    /// Replaces the text in a field, key by key.
    pub async fn fill(&self, css: &str, text: &str) {
        self.wait_for(css).await;
        self.ask(&format!("document.querySelector({css:?}).value = ''")).await;
        let typed = match &self.session {
            Session::Classic(client) => match client.find(Locator::Css(css)).await {
                Ok(field) => field.send_keys(text).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
            Session::BiDi(bidi) => bidi.type_in(css, text).await,
        };
        typed.unwrap_or_else(|error| panic!("{css} takes no text in {:?}: {error}", self.engine));
    }

    /// Clicks something that leads to a new document, and waits until that is loaded.
    pub async fn click(&self, css: &str) {
        self.wait_for(css).await;
        let click = async {
            match &self.session {
                Session::Classic(client) => match client.find(Locator::Css(css)).await {
                    Ok(element) => element.click().await.map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                },
                Session::BiDi(bidi) => bidi.click(css).await,
            }
        };
        self.lead_on(css, click).await;
    }

    /// The visible text of the first element the CSS selector finds.
    pub async fn text(&self, css: &str) -> String {
        self.wait_for(css).await;
        let text = self.ask(&format!("return document.querySelector({css:?}).innerText")).await;
        text.as_str().expect("an element has a text").trim().to_owned()
    }

    /// Where it is.
    pub async fn url(&self) -> Url {
        let url = self.ask("return location.href").await;
        Url::parse(url.as_str().expect("the address is a text")).expect("the address is a URL")
    }

    /// Waits until the URL contains `part`, and gives the URL.
    pub async fn wait_for_url_containing(&self, part: &str) -> Url {
        let has = format!("return document.readyState === 'complete' && location.href.includes({})", json!(part));
        self.wait(&format!("the URL contains {part:?}"), &has).await;
        self.url().await
    }

    /// The cookies that the page that is open gets.
    pub async fn cookies(&self) -> Vec<Cookie> {
        match &self.session {
            Session::Classic(client) => {
                let cookies = client.get_all_cookies().await.expect("the driver knows the cookies");
                let told = cookies.into_iter().map(|cookie| Cookie {
                    name: cookie.name().to_owned(),
                    is_secure: cookie.secure() == Some(true),
                    is_http_only: cookie.http_only() == Some(true),
                    same_site: cookie.same_site().map_or_else(String::new, |same_site| same_site.to_string()),
                });
                told.collect()
            }
            Session::BiDi(bidi) => {
                let of = json!({ "partition": { "type": "context", "context": bidi.context } });
                let told = bidi.command("storage.getCookies", of).await.expect("Firefox knows the cookies");
                let host = self.url().await.host_str().expect("a page is on a host").to_owned();
                let cookies = told["cookies"].as_array().expect("cookies are a list").iter();
                let of_host = cookies.filter(|cookie| cookie["domain"] == host.as_str());
                let cookie = |told: &Value| Cookie {
                    name: told["name"].as_str().expect("a cookie has a name").to_owned(),
                    is_secure: told["secure"] == true,
                    is_http_only: told["httpOnly"] == true,
                    same_site: told["sameSite"].as_str().unwrap_or_default().to_owned(),
                };
                of_host.map(cookie).collect()
            }
        }
    }

    /// Runs script in the page, also where the page itself may not, and gives what it returns.
    pub async fn ask(&self, script: &str) -> Value {
        self.try_ask(script).await.unwrap_or_else(|error| panic!("{script} in {:?}: {error}", self.engine))
    }

    /// Closes the browser. One that is not closed, since its test has failed, ends with its watchdog or the process.
    pub async fn close(self) {
        match self.session {
            Session::Classic(client) => client.close().await.expect("the browser is open"),
            Session::BiDi(bidi) => bidi.command("browser.close", json!({})).await.map(|_| ()).expect("it is open"),
        }
    }

    async fn try_ask(&self, script: &str) -> Result<Value, String> {
        match &self.session {
            Session::Classic(client) => client.execute(script, vec![]).await.map_err(|error| error.to_string()),
            Session::BiDi(bidi) => bidi.ask(script).await,
        }
    }

    async fn wait_for(&self, css: &str) {
        self.wait(&format!("there is {css}"), &format!("return document.querySelector({css:?}) !== null")).await;
    }

    /// Does what leads to a new document, and waits until that is loaded.
    async fn lead_on<T>(&self, what: &str, act: impl Future<Output = Result<T, String>>) {
        self.ask("window.isLeft = true").await;
        let done = act.await;
        if let Err(error) = done {
            panic!("{what} leads nowhere in {:?}: {error}", self.engine);
        }
        // On the way to another site, a new process shows an empty page first.
        let is_new = "return document.readyState === 'complete' && window.isLeft === undefined
                      && location.protocol !== 'about:'";
        self.wait(&format!("{what} leads to a new document"), is_new).await;
    }

    /// Asks a script over and over until it returns true, also while documents come and go.
    pub async fn wait(&self, what: &str, script: &str) {
        let mut last = Ok(Value::Null);
        let asking = async {
            while last != Ok(Value::Bool(true)) {
                tokio::time::sleep(Duration::from_millis(25)).await;
                last = self.try_ask(script).await;
            }
        };
        if tokio::time::timeout(PATIENCE, asking).await.is_ok() {
            return;
        }
        let at = self.try_ask("return location.href + ' ' + document.body.innerText").await;
        panic!("waited in vain in {:?} until {what}: {last:?}, at {at:?}", self.engine);
    }
}

// ---- How they are started.

/// A folder for all that a browser writes, and the start of its command line, which leads it there.
fn at_home(prefix: &str) -> (PathBuf, Vec<OsString>) {
    let folder = temporary_folder(prefix, None).keep();
    let mut command = vec![OsString::from("env")];
    for name in ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"] {
        let mut variable = OsString::from(name);
        variable.push("=");
        variable.push(&folder);
        command.push(variable);
    }
    (folder, command)
}

/// Waits for a port without holding up what else runs on this thread: the services that the browser is about to see.
async fn connection(what: &str, port: u16, folder: &Path) -> TcpStream {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for _ in 0..1500 {
        if let Ok(socket) = TcpStream::connect(address).await {
            return socket;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    panic!("{what} takes no connections:\n{log}");
}

/// `MiniBrowser`, the browser that `WebKitWebDriver` starts by itself.
async fn webkit() -> (Client, Watchdog) {
    let driver = on_path(&["WebKitWebDriver"]).unwrap_or_else(|| panic!("WebKitWebDriver {MISSING}"));
    // It has no mode without a window, and so gets a screen in memory.
    let screen = on_path(&["xvfb-run"]).unwrap_or_else(|| panic!("xvfb-run {MISSING}"));
    let port = free_port();
    let (folder, mut command) = at_home("hallpass-webkit-");
    command.extend([screen.into(), "--auto-servernum".into(), driver.into(), format!("--port={port}").into()]);
    let watchdog = Watchdog::start(&folder, None, "TERM", &command);
    drop(connection("WebKitWebDriver", port, &folder).await);
    let capabilities = json!({ "acceptInsecureCerts": true });
    let Value::Object(capabilities) = capabilities else { unreachable!("it is written as an object") };
    let client = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities)
        .connect(&format!("http://127.0.0.1:{port}"))
        .await
        .unwrap_or_else(|error| panic!("WebKitGTK did not start: {error}; see {}", folder.display()));
    (client, watchdog)
}

async fn firefox() -> (BiDi, Watchdog) {
    let program = on_path(&["firefox-esr", "firefox"]).unwrap_or_else(|| panic!("Firefox {MISSING}"));
    let port = free_port();
    let (folder, mut command) = at_home("hallpass-firefox-");
    command.extend([program.into(), "--headless".into(), "--no-remote".into(), "--profile".into()]);
    command.push(folder.join("profile").into());
    fs::create_dir(folder.join("profile")).expect("the folder was just made");
    command.extend([format!("--remote-debugging-port={port}").into(), "about:blank".into()]);
    let watchdog = Watchdog::start(&folder, None, "TERM", &command);
    let socket = connection("Firefox", port, &folder).await;
    let (socket, _) = tokio_tungstenite::client_async(format!("ws://127.0.0.1:{port}/session"), socket)
        .await
        .unwrap_or_else(|error| panic!("Firefox speaks no BiDi: {error}; see {}", folder.display()));
    let mut bidi = BiDi { socket: Mutex::new((socket, 0)), context: String::new() };
    let capabilities = json!({ "capabilities": { "alwaysMatch": { "acceptInsecureCerts": true } } });
    bidi.command("session.new", capabilities).await.expect("Firefox starts a session");
    let tree = bidi.command("browsingContext.getTree", json!({})).await.expect("Firefox knows its tabs");
    tree["contexts"][0]["context"].as_str().expect("a tab is open").clone_into(&mut bidi.context);
    (bidi, watchdog)
}

// ---- WebDriver BiDi.

/// A session with one tab.
struct BiDi {
    /// The connection, with the number of its last command.
    socket: Mutex<(WebSocketStream<TcpStream>, u64)>,
    context: String,
}

impl BiDi {
    /// Sends a command and waits for what comes of it: the result, or the kind of error with its message.
    async fn command(&self, method: &str, parameters: Value) -> Result<Value, String> {
        let (socket, id) = &mut *self.socket.lock().await;
        *id += 1;
        let command = json!({ "id": *id, "method": method, "params": parameters });
        socket.send(Message::text(command.to_string())).await.map_err(|error| error.to_string())?;
        let answered = async {
            while let Some(message) = socket.next().await {
                let Message::Text(text) = message.map_err(|error| error.to_string())? else { continue };
                let mut answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                // Other messages are events.
                if answer["id"] == *id {
                    let is_done = answer["type"] == "success";
                    return if is_done { Ok(answer["result"].take()) } else { Err(answer.to_string()) };
                }
            }
            Err("the connection has ended".to_owned())
        };
        tokio::time::timeout(PATIENCE, answered).await.unwrap_or_else(|_| Err(format!("no answer to {method}")))
    }

    async fn ask(&self, script: &str) -> Result<Value, String> {
        // By JSON, which is what WebDriver gives; BiDi's own way to tell values would have to be read.
        let function = format!("() => JSON.stringify((() => {{ {script} }})() ?? null)");
        let call = json!({
            "functionDeclaration": function,
            "awaitPromise": false,
            "target": { "context": self.context },
        });
        let told = self.command("script.callFunction", call).await?;
        match told["result"]["value"].as_str() {
            Some(text) => serde_json::from_str(text).map_err(|error| error.to_string()),
            None => Err(told.to_string()),
        }
    }

    /// With the mouse, where the element is.
    async fn click(&self, css: &str) -> Result<(), String> {
        self.ask(&format!("document.querySelector({css:?}).scrollIntoView({{ block: 'center' }})")).await?;
        let find = json!({ "context": self.context, "locator": { "type": "css", "value": css }, "maxNodeCount": 1 });
        let found = self.command("browsingContext.locateNodes", find).await?;
        let origin = json!({ "type": "element", "element": { "sharedId": found["nodes"][0]["sharedId"] } });
        let actions = json!([
            { "type": "pointerMove", "x": 0, "y": 0, "origin": origin },
            { "type": "pointerDown", "button": 0 },
            { "type": "pointerUp", "button": 0 },
        ]);
        self.perform(json!({ "type": "pointer", "id": "mouse", "actions": actions })).await
    }

    /// With the keyboard, each key pressed and let go.
    async fn type_in(&self, css: &str, text: &str) -> Result<(), String> {
        self.ask(&format!("document.querySelector({css:?}).focus()")).await?;
        let keys = text.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })));
        self.perform(json!({ "type": "key", "id": "keyboard", "actions": keys.collect::<Vec<_>>() })).await
    }

    async fn perform(&self, source: Value) -> Result<(), String> {
        let actions = json!({ "context": self.context, "actions": [source] });
        self.command("input.performActions", actions).await.map(|_| ())
    }
}
