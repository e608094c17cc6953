//! `docs/from-a-bridge.md`, run from its own text: its commands and its SQL, in its order, on PostgreSQL and Redis, with
//! a stand-in for the bridge that it begins with. Both ways in work during the change; the old one is gone after it.

use crate::support::documents::{Block, blocks, read, shell};
use crate::support::postgres::free_port;
use crate::support::program::Serve;
use crate::support::provider::{PASSWORD, TestClient, number_of, run_sql};
use crate::support::remote::{Remote, until};
use crate::support::verbs::{http, send};
use crate::support::{Answer, Authorization, Page, UserAgent, claims_of, folder, postgres, redis};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use hallpass::ambient::random;
use hallpass::protocol::secret::Handle;
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::form_urlencoded;

// ---- The world before: a monolith and a service with a bridge between them.

/// The monolith with its bridge, and Reports with its end of it.
struct OldWorld {
    monolith: String,
    reports: String,
    /// The bridge was removed.
    is_removed: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Bridge {
    monolith: String,
    is_removed: Arc<AtomicBool>,
}

impl OldWorld {
    async fn start() -> Self {
        // Other hosts than the provider's, as they are in the document.
        let (listener, monolith) = listen("www.localhost").await;
        let (of_reports, reports) = listen("reports.localhost").await;
        let is_removed = Arc::<AtomicBool>::default();
        let bridge = Bridge { monolith: monolith.clone(), is_removed: is_removed.clone() };
        let router = Router::new()
            .route("/auth/authorize", get(old_authorize))
            .route("/auth/token", post(old_token))
            .with_state(bridge.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let router = Router::new().route("/bridge", get(come_by_bridge)).with_state(bridge);
        tokio::spawn(async move { axum::serve(of_reports, router).await.unwrap() });
        Self { monolith, reports, is_removed }
    }

    /// The monolith's session begins, however it came about.
    fn signed_in(&self, browser: &UserAgent, id: &str) {
        browser.set_cookie(&self.monolith, &format!("monolith_session={id}; path=/; httponly; samesite=lax"));
    }

    /// The link to Reports over the bridge; gives the page at its end.
    async fn cross(&self, browser: &UserAgent) -> Page {
        let mut page =
            browser.get(&format!("{}/auth/authorize?redirect_uri={}/bridge", self.monolith, self.reports)).await;
        while page.location().is_some() {
            page = browser.follow(page).await;
        }
        page
    }

    async fn assert_crossed_as(&self, browser: &UserAgent, id: &str) {
        let page = self.cross(browser).await;
        assert_eq!((page.status.as_u16(), page.body.as_str()), (200, format!("Reports: {id}").as_str()), "{page}");
    }
}

async fn listen(host: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{host}:{}", listener.local_addr().unwrap().port());
    (listener, url)
}

fn fields(text: &str) -> HashMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// Step 2 of the document's first list: `auth_code:{code} → user_id` for 60 seconds.
async fn old_authorize(State(bridge): State<Bridge>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = fields(&query.unwrap_or_default());
    if bridge.is_removed.load(Ordering::SeqCst) {
        return StatusCode::GONE.into_response();
    }
    let cookies = headers.get(header::COOKIE).map_or("", |value| value.to_str().unwrap());
    let Some(id) = cookies.split("; ").find_map(|pair| pair.strip_prefix("monolith_session=")) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let code = Handle(random()).text();
    assert_eq!(redis::server().ask(&format!("SET auth_code:{code} {id} EX 60")), "+OK\r\n");
    Redirect::to(&format!("{}?code={code}", query["redirect_uri"])).into_response()
}

/// Step 3: read and deleted in two steps, as it was.
async fn old_token(State(bridge): State<Bridge>, body: String) -> Response {
    if bridge.is_removed.load(Ordering::SeqCst) {
        return StatusCode::GONE.into_response();
    }
    let key = format!("auth_code:{}", fields(&body)["code"]);
    let found = redis::server().ask(&format!("GET {key}"));
    redis::server().ask(&format!("DEL {key}"));
    match found.lines().nth(1) {
        Some(id) => json!({"user_id": id}).to_string().into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn come_by_bridge(State(bridge): State<Bridge>, RawQuery(query): RawQuery) -> Response {
    let query = fields(&query.unwrap_or_default());
    let request = http().post(format!("{}/auth/token", bridge.monolith.replace("www.localhost", "127.0.0.1")));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = send(request.body(format!("code={}", query["code"]))).await;
    if answer.status.is_success() {
        format!("Reports: {}", answer.text("user_id")).into_response()
    } else {
        (StatusCode::BAD_GATEWAY, "The bridge does not know this code.").into_response()
    }
}

// ---- The document.

const STEPS: [&str; 6] = [
    "1. Start Hallpass beside the bridge",
    "2. Bring the users over, under their old ids",
    "3. Register both sides",
    "4. Move Reports first",
    "5. Move the monolith",
    "6. Remove the bridge",
];

/// A reader who follows the document word for word, but for the addresses of their own machines.
struct Reader {
    blocks: Vec<Block>,
    folder: TempDir,
    variables: Vec<(String, String)>,
    /// What the document calls it, and what it is here.
    own: Vec<(String, String)>,
    serve: Option<Serve>,
    database_url: String,
}

impl Reader {
    fn new(old: &OldWorld) -> Self {
        let text = read("docs/from-a-bridge.md");
        let (port, database_url) = (free_port(), postgres::server().create_database());
        let own: Vec<(String, String)> = [
            ("https://id.example.com", format!("http://localhost:{port}")),
            ("https://www.example.com", old.monolith.clone()),
            ("https://reports.example.com", old.reports.clone()),
            ("postgres://hallpass@db.example.com/hallpass", database_url.clone()),
            ("redis://redis.example.com:6379/0", redis::server().url()),
        ]
        .map(|(theirs, ours)| (theirs.to_owned(), ours))
        .into();
        for (theirs, _) in &own {
            assert!(text.contains(theirs), "the document does not name {theirs}");
        }
        let variables = [
            ("HALLPASS_LISTEN", format!("127.0.0.1:{port}")),
            ("HALLPASS_MANAGEMENT_LISTEN", format!("127.0.0.1:{}", free_port())),
            ("PASSWORD", PASSWORD.to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
        let folder = folder();
        Self { blocks: blocks(&text), folder, variables, own, serve: None, database_url }
    }

    fn issuer(&self) -> String {
        self.serve.as_ref().unwrap().issuer.clone()
    }

    /// Runs what is under a heading, in its order, but for ways back; gives what each block printed.
    async fn follow(&mut self, heading: &str) -> Vec<String> {
        self.follow_only(heading, &["sh", "sql"]).await
    }

    async fn follow_only(&mut self, heading: &str, kinds: &[&str]) -> Vec<String> {
        let of_heading: Vec<Block> = self.blocks.iter().filter(|block| block.heading == heading).cloned().collect();
        let mut printed = Vec::new();
        for block in of_heading.into_iter().filter(|block| kinds.contains(&block.kind.as_str())) {
            printed.push(self.run(&block).await);
        }
        assert!(!printed.is_empty(), "there is nothing to run under {heading:?}");
        printed
    }

    async fn run(&mut self, block: &Block) -> String {
        let text = self.own.iter().fold(block.text.clone(), |text, (theirs, ours)| text.replace(theirs, ours));
        assert!(!text.contains("https://"), "an address that is not ours would be asked: {text}");
        if block.kind.starts_with("sql") {
            run_sql(&self.database_url, &text).await.unwrap_or_else(|error| panic!("{error}: {text}"));
            return String::new();
        }
        assert!(block.kind.starts_with("sh"), "what is to be done with {}?", block.kind);
        if text == "hallpass serve\n" {
            self.serve = Some(Serve::again(self.folder.path(), self.variables.clone()));
            return String::new();
        }
        if text.starts_with("export ") {
            let settings = text.lines().map(|line| line.strip_prefix("export ").unwrap().split_once('=').unwrap());
            self.variables.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
            return String::new();
        }
        // The services answer meanwhile, so this thread must not wait for the shell.
        let (folder, variables) = (self.folder.path().to_owned(), self.variables.clone());
        tokio::task::spawn_blocking(move || shell(&folder, &variables, &text)).await.unwrap()
    }

    /// What `client new` printed into a file, as the service reads it.
    fn settings(&self, file: &str, redirect_uri: &str) -> TestClient {
        let text = fs::read_to_string(self.folder.path().join(file)).unwrap();
        let of = |name: &str| {
            let start = format!("{name}=");
            text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{name}: {text}"))
        };
        assert_eq!(of("OIDC_DISCOVERY_URL"), format!("{}/.well-known/openid-configuration", self.issuer()));
        TestClient {
            client_id: of("OIDC_CLIENT_ID").to_owned(),
            secret: Some(of("OIDC_CLIENT_SECRET").to_owned()),
            redirect_uri: redirect_uri.to_owned(),
        }
    }

    async fn count(&self, of: &str) -> i64 {
        number_of(&self.database_url, &format!("SELECT COUNT(*) FROM {of}")).await
    }
}

/// The monolith's own people, as the document describes their table.
const PEOPLE: &str = "
CREATE SCHEMA monolith;
CREATE TABLE monolith.people (
    id BIGINT PRIMARY KEY, user_name TEXT, email TEXT, email_confirmed BOOLEAN, full_name TEXT, active BOOLEAN,
    created_at TIMESTAMPTZ DEFAULT '2020-01-02T03:04:05Z'
);
INSERT INTO monolith.people VALUES
    (1001, 'alice', 'alice@example.com', TRUE, 'Alice Example'),
    (1002, 'bob', 'bob@example.com', FALSE, 'Bob Example'),
    (1003, 'mallory', 'mallory@example.com', TRUE, 'Mallory Example');
UPDATE monolith.people SET active = id <> 1003;";

/// Signs in by OpenID Connect; gives the `id_token`'s `sub`, of which userinfo says the same.
async fn sub_by_openid_connect(provider: &Remote, browser: &UserAgent, client: &TestClient, username: &str) -> String {
    let answer = provider.sign_in(browser, client, username, PASSWORD).await;
    let tokens = provider.redeem(client, answer.code()).await.ok();
    let sub = claims_of(&tokens.text("id_token"))["sub"].as_str().unwrap().to_owned();
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.ok().text("sub"), sub);
    sub
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_in_work_during_the_change_and_the_old_one_is_gone_after_it() {
    let old = OldWorld::start().await;
    let mut reader = Reader::new(&old);
    run_sql(&reader.database_url, PEOPLE).await.unwrap();
    let alice = UserAgent::new();
    old.signed_in(&alice, "1001");
    old.assert_crossed_as(&alice, "1001").await;
    assert_eq!(old.cross(&UserAgent::new()).await.status.as_u16(), 401, "the bridge asks for a session");

    // 1: Hallpass beside it.
    reader.follow("Where it begins").await;
    let printed = reader.follow(STEPS[0]).await;
    assert!(printed.last().unwrap().contains(&format!("{}/token", reader.issuer())), "{printed:?}");
    assert!(reader.issuer().ends_with("/auth"), "the old paths, under the new host");
    old.assert_crossed_as(&alice, "1001").await;

    // 2: the people, and back, and again; the one who was shut out in between stays so.
    let printed = reader.follow(STEPS[1]).await;
    assert_eq!(printed.last().unwrap(), "1|2\n", "one of the two who are active is ready");
    assert_eq!(
        reader.count("users WHERE sub = '1002' AND email_verified_at IS NULL AND name = 'Bob Example'").await,
        1
    );
    let imported = "users WHERE sub = '1001' AND email_verified_at = 1577934245 AND created_at = 1577934245";
    assert_eq!(reader.count(imported).await, 1);
    assert_eq!(reader.count("users WHERE sub = '1003'").await, 0);
    reader.follow_only(STEPS[1], &["sql rollback"]).await;
    assert_eq!(reader.count("users").await, 0);
    run_sql(&reader.database_url, "UPDATE monolith.people SET active = TRUE WHERE id = 1003").await.unwrap();
    reader.follow(STEPS[1]).await;
    let changed = "UPDATE monolith.people SET active = FALSE WHERE id = 1003;
        UPDATE monolith.people SET email = 'alice@example.org' WHERE id = 1001;";
    run_sql(&reader.database_url, changed).await.unwrap();
    reader.follow(STEPS[1]).await;
    assert_eq!(reader.count("users WHERE sub = '1003' AND disabled_at IS NOT NULL").await, 1);
    assert_eq!(reader.count("users WHERE email = 'alice@example.org' AND password_hash IS NOT NULL").await, 1);
    old.assert_crossed_as(&alice, "1001").await;

    // 3: both sides, and back, and forward again.
    reader.follow(STEPS[2]).await;
    let reports = reader.settings("reports.env", &format!("{}/auth/callback", old.reports));
    let monolith = reader.settings("monolith.env", &format!("{}/signin-oidc", old.monolith));
    for file in ["reports.env", "monolith.env"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(reader.folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "only the reader can read {file}");
    }
    let provider = Remote::new(&reader.issuer());
    let may_begin = async |is_so: bool| {
        until("the row is seen", async || {
            let page = provider.open(&Authorization::of(&reports), &UserAgent::new()).await;
            page.url.path().ends_with("/login") == is_so
        })
        .await;
    };
    may_begin(true).await;
    reader.follow_only(STEPS[2], &["sql rollback"]).await;
    may_begin(false).await;
    reader.follow_only(STEPS[2], &["sql forward"]).await;
    may_begin(true).await;
    old.assert_crossed_as(&alice, "1001").await;

    // 4: Reports can be entered both ways, as the same person.
    assert_eq!(sub_by_openid_connect(&provider, &UserAgent::new(), &reports, "alice").await, "1001");
    old.assert_crossed_as(&alice, "1001").await;
    // Who was shut out, or never came by with a password, does not get in.
    for username in ["mallory", "bob"] {
        let browser = UserAgent::new();
        let page = provider.open(&Authorization::of(&reports), &browser).await;
        let page = provider.type_in(&browser, &page, username, PASSWORD).await;
        assert!(page.location().is_none() && page.url.path().ends_with("/login"), "{username}: {page}");
    }

    // 5: the monolith is a client. One sign-in for both, and the bridge still works with its session.
    let printed = reader.follow(STEPS[4]).await;
    let browser = UserAgent::new();
    let sub = sub_by_openid_connect(&provider, &browser, &monolith, "alice").await;
    old.signed_in(&browser, &sub);
    old.assert_crossed_as(&browser, "1001").await;
    let page = provider.open(&Authorization::of(&reports), &browser).await;
    let answer = Answer::of(&page, &reports.redirect_uri);
    let tokens = provider.redeem(&reports, answer.code()).await.ok();
    let id_token = tokens.text("id_token");
    assert_eq!(claims_of(&id_token)["sub"], "1001", "in at once, without a page between");
    let dora = sub_by_openid_connect(&provider, &UserAgent::new(), &reports, "dora").await;
    assert_eq!(printed[0], format!("{dora}\n"), "the command printed her sub");

    // A sign-out at one side is a sign-out at both.
    let _ = browser.cross_site_get(&format!("{}/logout?id_token_hint={id_token}", reader.issuer())).await;
    let page = provider.open(&Authorization::of(&monolith), &browser).await;
    assert!(page.url.path().ends_with("/login"), "{page}");

    // 6: the bridge is gone, and everything else continues.
    old.is_removed.store(true, Ordering::SeqCst);
    let printed = reader.follow(STEPS[5]).await;
    assert_eq!(printed, ["", "410\n"]);
    assert_eq!(old.cross(&browser).await.status.as_u16(), 410);
    assert_eq!(sub_by_openid_connect(&provider, &UserAgent::new(), &monolith, "alice").await, "1001");
    assert_eq!(sub_by_openid_connect(&provider, &browser, &reports, "alice").await, "1001");

    // Nothing of the document was left out.
    let headings: BTreeSet<&str> = reader.blocks.iter().map(|block| block.heading.as_str()).collect();
    assert!(headings.iter().all(|heading| STEPS.contains(heading) || *heading == "Where it begins"), "{headings:?}");
    let kinds: BTreeSet<&str> = reader.blocks.iter().map(|block| block.kind.as_str()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["sh", "sql", "sql forward", "sql rollback"]);
}
