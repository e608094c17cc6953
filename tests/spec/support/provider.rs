//! A provider of a test's own: fresh stores, a moved clock, a port of its own.

use super::leaks::LogWatch;
use super::program::{Outcome, run_with};
use super::{postgres, redis};
use crate::support::folder;
use hallpass::ambient::Clock;
use hallpass::config::RawConfig;
use hallpass::endpoints;
use hallpass::keys;
use hallpass::protocol::response::SigningAlgorithm;
use hallpass::protocol::time::NumericDate;
use hallpass::provider::Provider;
use hallpass::server::{self, Places, Stopper};
use hallpass::startup;
use hallpass::store::StoreError;
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _, Executor as _, Row as _};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Which pair of stores a run of the suite is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stores {
    /// SQLite and in-process.
    Embedded,
    /// PostgreSQL and Redis.
    Servers,
}

/// Does what many do at once, and again where the slow disk of a SQLite file was too busy to be written to in time. No server's
/// fault passes: two that wait for each other there are one of ours.
pub async fn again_while_busy<T>(work: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let mut tries = 0;
    loop {
        match work().await {
            Err(error) if stores() == Stores::Embedded && error.may_pass() && tries < 100 => tries += 1,
            done => return done.unwrap(),
        }
    }
}

/// What `TEST_STORES` says: `embedded` (the default) or `servers`.
pub fn stores() -> Stores {
    match std::env::var("TEST_STORES").as_deref() {
        Err(_) | Ok("embedded") => Stores::Embedded,
        Ok("servers") => Stores::Servers,
        Ok(other) => panic!("TEST_STORES={other}: use embedded or servers"),
    }
}

/// A database and a short-lived store of its own, as settings name them.
pub fn fresh_stores(folder: &Path) -> (String, String) {
    match stores() {
        Stores::Embedded => (format!("sqlite:{}", folder.join("hallpass.db").display()), String::new()),
        Stores::Servers => (postgres::server().create_database(), redis::server().url()),
    }
}

/// A folder with one signing key of each kind and a factor key, made once: an RSA key takes a while.
pub fn keys_folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = TempDir::with_prefix("hallpass-test-keys-").unwrap();
            for algorithm in SigningAlgorithm::SUPPORTED {
                keys::create(folder.path(), *algorithm, NumericDate(1_700_000_000)).unwrap();
            }
            keys::factors::create(folder.path(), NumericDate(1_700_000_000)).unwrap();
            folder
        })
        .path()
}

/// Copies the keys of every test into a folder of this one.
pub fn copy_keys(to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(keys_folder()).unwrap() {
        let from = entry.unwrap().path();
        let file = to.join(from.file_name().unwrap());
        fs::copy(&from, &file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// The argon2 hash of a secret, computed once for the common ones.
pub fn hash_of(secret: &str) -> String {
    static COMMON: OnceLock<[(&str, String); 2]> = OnceLock::new();
    let common =
        COMMON.get_or_init(|| [CLIENT_SECRET, PASSWORD].map(|text| (text, hallpass::passwords::hash(text).unwrap())));
    match common.iter().find(|(text, _)| *text == secret) {
        Some((_, hash)) => hash.clone(),
        None => hallpass::passwords::hash(secret).unwrap(),
    }
}

/// The secret of a client that a test says nothing about.
pub const CLIENT_SECRET: &str = "hp_cs_a-secret-that-only-tests-use-0123456789abcdef";
/// The password of a person that a test says nothing about.
pub const PASSWORD: &str = "correct horse battery staple";

/// The runtime of every provider of the tests: what a provider does in the background continues while its test waits for a
/// command to end, which might wait for that in turn.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap())
}

/// A running provider.
pub struct TestProvider {
    pub provider: Arc<Provider>,
    pub issuer: String,
    /// Where it listens, whatever its issuer says: a TLS proxy would forward to it.
    pub address: SocketAddr,
    pub folder: TempDir,
    pub database_url: String,
    pub redis_url: String,
    moved: Arc<AtomicI64>,
    _stopper: Stopper,
    _log: LogWatch,
}

impl TestProvider {
    /// On the stores of this run, with every default.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With settings by their names; an `issuer` that begins with a slash is a path behind the test's own host, one that begins with
    /// two is another name of it.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = folder();
        let (database_url, redis_url) = fresh_stores(folder.path());
        copy_keys(&folder.path().join("keys"));
        Self::on(folder, database_url, redis_url, Arc::default(), settings).await
    }

    /// On a Redis of the test's own, which it may stop or fill, whatever the stores of this run.
    pub async fn with_redis(redis_url: &str) -> Self {
        let folder = folder();
        let (database_url, _) = fresh_stores(folder.path());
        copy_keys(&folder.path().join("keys"));
        Self::on(folder, database_url, redis_url.to_owned(), Arc::default(), &[]).await
    }

    /// A second node beside this one: the same stores, keys and issuer, a port of its own.
    pub async fn second_node(&self) -> Self {
        self.node_with(&[("issuer", &self.issuer)]).await
    }

    /// A node on the same stores and keys with settings of its own, the issuer among them.
    pub async fn node_with(&self, settings: &[(&str, &str)]) -> Self {
        let folder = folder();
        copy_keys(&folder.path().join("keys"));
        let (database_url, redis_url) = (self.database_url.clone(), self.redis_url.clone());
        Self::on(folder, database_url, redis_url, self.moved.clone(), settings).await
    }

    async fn on(
        folder: TempDir,
        database_url: String,
        redis_url: String,
        moved: Arc<AtomicI64>,
        settings: &[(&str, &str)],
    ) -> Self {
        let log = LogWatch::begin();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let host = format!("http://{address}");
        let migrations = folder.path().join("migrations");
        fs::create_dir_all(&migrations).unwrap();
        let text = |path: PathBuf| path.display().to_string();
        let config = RawConfig::gather(
            |setting| {
                let given =
                    settings.iter().find(|(name, _)| *name == setting.name).map(|(_, value)| (*value).to_owned());
                match (setting.name, given) {
                    ("issuer", Some(name)) if name.starts_with("//") => Some(format!("http:{name}:{}", address.port())),
                    ("issuer", Some(path)) if path.starts_with('/') => Some(format!("{host}{path}")),
                    ("issuer", None) => Some(host.clone()),
                    (_, Some(value)) => Some(value),
                    ("database_url", _) => Some(database_url.clone()),
                    ("redis_url", _) => Some(redis_url.clone()),
                    ("keys", _) => Some(text(folder.path().join("keys"))),
                    ("migrations", _) => Some(text(migrations.clone())),
                    _ => None,
                }
            },
            std::iter::empty(),
            None,
        )
        .and_then(|raw| raw.check())
        .unwrap();
        let (stopper, stop) = server::stop_sign();
        let clock = Clock::Moved(moved.clone());
        let serving = async move {
            let provider = startup::open(config, clock).await.unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            let places = Places::public(server::raise_descriptors(), &provider.config.trusted_proxies);
            tokio::spawn(server::serve(listener, endpoints::public(provider.clone()), places, stop));
            provider
        };
        let provider = runtime().spawn(serving).await.unwrap();
        let issuer = provider.config.issuer.clone();
        Self { provider, issuer, folder, database_url, redis_url, address, moved, _stopper: stopper, _log: log }
    }

    /// A URL under the issuer.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Moves the provider's clock.
    pub fn travel(&self, seconds: i64) {
        self.moved.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The provider's clock.
    pub fn now(&self) -> i64 {
        self.provider.now().0
    }

    /// Runs SQL as an admin would, by hand, on a connection of its own.
    pub async fn sql(&self, sql: &str) {
        run_sql(&self.database_url, sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// The settings by which a command finds the same stores, folder and issuer.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("HALLPASS_ISSUER", self.issuer.clone()),
            ("HALLPASS_DATABASE_URL", self.database_url.clone()),
            ("HALLPASS_REDIS_URL", self.redis_url.clone()),
            ("HALLPASS_KEYS", self.folder.path().join("keys").display().to_string()),
            ("HALLPASS_MIGRATIONS", self.folder.path().join("migrations").display().to_string()),
        ]
    }

    /// Runs a command of the binary beside it, on the same stores, keys and issuer.
    pub fn command(&self, arguments: &[&str], input: &str) -> Outcome {
        let variables = self.variables();
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        run_with(self.folder.path(), arguments, &variables, input)
    }

    /// What a query finds, every column as text.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&self.database_url).await.unwrap();
        let found = connection.fetch_all(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))).await.unwrap();
        let text = |row: &sqlx::any::AnyRow, at: usize| {
            row.try_get::<Option<String>, _>(at)
                .unwrap_or_else(|_| row.try_get::<Option<i64>, _>(at).unwrap().map(|n| n.to_string()))
        };
        found.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect()
    }

    /// Registers a client by SQL.
    pub async fn add(&self, client: NewClient) -> TestClient {
        let (sql, added) = client.sql();
        self.sql(&sql).await;
        added
    }

    /// A confidential client that asks no user for consent, at `https://{id}.example/callback`.
    pub async fn client(&self, id: &str) -> TestClient {
        self.add(NewClient::new(id).with("consent", "skip")).await
    }

    /// Adds a person by SQL.
    pub async fn add_user(&self, user: NewUser) {
        self.sql(&user.sql()).await;
    }

    /// Alice, whose password is `PASSWORD`.
    pub async fn alice(&self) {
        self.add_user(NewUser::alice()).await;
    }
}

/// Runs statements on a connection of their own, which does not outlive them.
pub async fn run_sql(database_url: &str, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::any::install_default_drivers();
    // On a busy machine a statement is slow, and would be logged with the hashes that it writes.
    let mut connection = AnyConnectOptions::from_str(database_url)?.disable_statement_logging().connect().await?;
    let result = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))).await;
    connection.close().await?;
    result.map(|_| ())
}

/// What a query that gives one number gives.
pub async fn number_of(database_url: &str, sql: &str) -> i64 {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(database_url).await.unwrap();
    let number = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await;
    connection.close().await.unwrap();
    number.unwrap_or_else(|error| panic!("{error}: {sql}"))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A client about to be registered by SQL.
pub struct NewClient {
    id: String,
    columns: Vec<(String, String)>,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    secret: Option<String>,
}

impl NewClient {
    /// With every default, the secret `CLIENT_SECRET`, at `https://{id}.example/callback`.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            columns: Vec::new(),
            redirect_uris: vec![format!("https://{id}.example/callback")],
            post_logout_redirect_uris: Vec::new(),
            secret: Some(CLIENT_SECRET.to_owned()),
        }
    }

    /// Sets a column.
    #[must_use]
    pub fn with(mut self, column: &str, value: &str) -> Self {
        self.columns.push((column.to_owned(), value.to_owned()));
        self
    }

    /// Takes these addresses instead.
    #[must_use]
    pub fn at(mut self, redirect_uris: &[&str]) -> Self {
        self.redirect_uris = redirect_uris.iter().map(|&uri| uri.to_owned()).collect();
        self
    }

    /// Adds a `post_logout_redirect_uri`.
    #[must_use]
    pub fn leaving_to(mut self, uri: &str) -> Self {
        self.post_logout_redirect_uris.push(uri.to_owned());
        self
    }

    /// Takes this secret instead.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self
    }

    /// Makes it a public client.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.secret = None;
        self.with("token_endpoint_auth_method", "none")
    }

    /// The SQL an admin would write.
    pub fn sql(&self) -> (String, TestClient) {
        let mut names = vec!["client_id".to_owned(), "client_name".to_owned()];
        let mut values = vec![quoted(&self.id), quoted(&format!("The {} service", self.id))];
        for (name, value) in &self.columns {
            let is_number = name.ends_with("_lifetime")
                || name.ends_with("_age")
                || name.ends_with("_at")
                || name.ends_with("_after");
            let value = if is_number { value.clone() } else { quoted(value) };
            if let Some(at) = names.iter().position(|n| n == name) {
                values[at] = value;
            } else {
                names.push(name.clone());
                values.push(value);
            }
        }
        let id = quoted(&self.id);
        let mut sql = format!("INSERT INTO clients ({}) VALUES ({});\n", names.join(", "), values.join(", "));
        if let Some(secret) = &self.secret {
            let hash = quoted(&hash_of(secret));
            writeln!(sql, "INSERT INTO client_secrets (client_id, secret_hash) VALUES ({id}, {hash});").unwrap();
        }
        for uri in &self.redirect_uris {
            writeln!(sql, "INSERT INTO client_redirect_uris VALUES ({id}, {});", quoted(uri)).unwrap();
        }
        for uri in &self.post_logout_redirect_uris {
            writeln!(sql, "INSERT INTO client_post_logout_redirect_uris VALUES ({id}, {});", quoted(uri)).unwrap();
        }
        let added = TestClient {
            client_id: self.id.clone(),
            secret: self.secret.clone(),
            redirect_uri: self.redirect_uris.first().cloned().unwrap_or_default(),
        };
        (sql, added)
    }
}

/// A registered client, as its own developers know it.
#[derive(Clone, Debug)]
pub struct TestClient {
    pub client_id: String,
    pub secret: Option<String>,
    pub redirect_uri: String,
}

/// A person about to be added by SQL.
pub struct NewUser {
    sub: String,
    columns: Vec<(String, String)>,
}

impl NewUser {
    /// `alice`, with name, e-mail and `PASSWORD`.
    pub fn alice() -> Self {
        Self::named("alice").with("name", "Alice Example").with("given_name", "Alice").with("family_name", "Example")
    }

    /// A user with that user name, `{name}@example.com`, and `PASSWORD`; `sub` is `{name}-sub`.
    pub fn named(username: &str) -> Self {
        Self { sub: format!("{username}-sub"), columns: Vec::new() }
            .with("username", username)
            .with("email", &format!("{username}@example.com"))
            .with("email_verified_at", "1700000000")
            .with("updated_at", "1700000001")
            .password(PASSWORD)
    }

    /// Sets a column.
    #[must_use]
    pub fn with(mut self, column: &str, value: &str) -> Self {
        self.columns.retain(|(name, _)| name != column);
        self.columns.push((column.to_owned(), value.to_owned()));
        self
    }

    /// Takes this password instead.
    #[must_use]
    pub fn password(self, password: &str) -> Self {
        let hash = hash_of(password);
        self.with("password_hash", &hash)
    }

    /// The SQL an admin would write.
    pub fn sql(&self) -> String {
        let is_number = |name: &str| name.ends_with("_at") || name.ends_with("_after");
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let values: Vec<String> = self
            .columns
            .iter()
            .map(|(name, value)| if is_number(name) { value.clone() } else { quoted(value) })
            .collect();
        format!("INSERT INTO users (sub, {}) VALUES ({}, {});", names.join(", "), quoted(&self.sub), values.join(", "))
    }
}
