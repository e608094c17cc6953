//! Nothing leaks, watched through the whole suite: every answer that a test's agents see and every record that the provider
//! logs meanwhile is searched for what must not be there.
//!
//! Our secrets are marked by nature: each kind begins with a prefix of its own, and those that only tests have are the
//! constants of the harness. An answer with a leak is a panic where it is seen; a record with one is a panic of the
//! test that ends next, as the log belongs to all of them.

use super::provider::{CLIENT_SECRET, PASSWORD};
use super::verbs::VERIFIER;
use reqwest::header::HeaderMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Where an answer may carry which of the secrets.
const CODE: &str = "hp_ac_";
const ACCESS_TOKEN: &str = "hp_at_";
const REFRESH_TOKEN: &str = "hp_rt_";
const CLIENT: &str = "hp_cs_";
const SESSION: &str = "hp_si_";
const BROWSER: &str = "hp_br_";
const INTERACTION: &str = "hp_in_";
const JWT: &str = "eyJ";
const HASH: &str = "$argon2";
/// Hashes of other programs, which users may have.
const PBKDF2: &str = "$pbkdf2";
const SCRYPT: &str = "$scrypt$";
const BCRYPT: &str = "$2b$";

/// What is marked by a prefix; a JWT has two dots behind it.
const PREFIXES: [&str; 12] =
    [CODE, ACCESS_TOKEN, REFRESH_TOKEN, CLIENT, SESSION, BROWSER, INTERACTION, JWT, HASH, PBKDF2, SCRYPT, BCRYPT];

/// What tells a stranger how we are made.
const INTERNALS: [&str; 18] = [
    "sqlx",
    "SELECT ",
    "INSERT INTO",
    "ON CONFLICT",
    "no such table",
    "sqlite",
    "postgres",
    "redis://",
    "josekit",
    "openssl",
    "argon2",
    "hyper",
    "axum",
    "tokio",
    "panicked",
    ".rs:",
    "backtrace",
    "hallpass-test-",
];

/// The kinds of secrets that are in a text.
pub fn secrets_in(text: &str) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = PREFIXES.into_iter().filter(|prefix| has_secret(text, prefix)).collect();
    let in_form: String = url::form_urlencoded::byte_serialize(PASSWORD.as_bytes()).collect();
    if text.contains(PASSWORD) || text.contains(&in_form) || text.contains(&in_form.replace('+', "%20")) {
        found.push("the password");
    }
    for (secret, name) in [(VERIFIER, "the verifier"), (CLIENT_SECRET, "the client's secret")] {
        if text.contains(secret) {
            found.push(name);
        }
    }
    found
}

fn has_secret(text: &str, prefix: &str) -> bool {
    let is_of_base64 = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.match_indices(prefix).any(|(at, _)| {
        let rest = &text[at + prefix.len()..];
        match prefix {
            HASH => true,
            JWT => {
                let mut parts = rest.splitn(3, '.');
                let is_long =
                    |part: Option<&str>| part.is_some_and(|part| part.len() > 10 && part.chars().all(is_of_base64));
                is_long(parts.next()) && is_long(parts.next())
            }
            _ => rest.chars().take_while(|&c| is_of_base64(c)).count() >= 20,
        }
    })
}

/// Whether a word is in a text, and not by chance in the middle of random letters.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        word.starts_with('.') || !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    })
}

/// What is wrong with an answer of the provider; answers of others carry no reference and are not looked at.
pub fn complaints(headers: &HeaderMap, body: &str) -> Vec<String> {
    if !headers.contains_key("x-request-id") {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    let mut complain = |place: &str, text: &str, allowed: &[&str]| {
        let secrets = secrets_in(text).into_iter().filter(|kind| !allowed.contains(kind));
        complaints.extend(secrets.map(|kind| format!("{kind} in {place}")));
        complaints.extend(
            INTERNALS.into_iter().filter(|word| has_word(text, word)).map(|word| format!("{word:?} in {place}")),
        );
    };
    for (name, value) in headers {
        let allowed: &[&str] = match name.as_str() {
            "set-cookie" => &[SESSION, BROWSER],
            // To the client, or on to our own pages.
            "location" => &[CODE, INTERACTION],
            _ => &[],
        };
        complain(name.as_str(), &String::from_utf8_lossy(value.as_bytes()), allowed);
    }
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_refusal = body.contains("\"error\":");
    let allowed: &[&str] = match content_type {
        "application/json" if !is_refusal => &[ACCESS_TOKEN, REFRESH_TOKEN, JWT],
        _ if body.contains("id=\"form_post\"") => &[CODE],
        _ if content_type.starts_with("text/html") => &[INTERACTION],
        _ => &[],
    };
    if content_type.starts_with("text/html") || content_type.contains("json") {
        complain("the body", body, allowed);
    }
    complaints
}

/// Panics where an answer carries what it must not.
#[track_caller]
pub fn watch_answer(of: &str, headers: &HeaderMap, body: &str) {
    let complaints = complaints(headers, body);
    assert!(complaints.is_empty(), "the answer of {of} leaks: {complaints:?}\n{headers:?}\n{body}");
}

static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static RECORDS: AtomicUsize = AtomicUsize::new(0);

/// Takes records, keeps those that leak.
struct Keeper;

impl io::Write for Keeper {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        RECORDS.fetch_add(1, Ordering::Relaxed);
        let text = String::from_utf8_lossy(record);
        let secrets = secrets_in(&text);
        if !secrets.is_empty() {
            LEAKS.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{secrets:?} in {text}"));
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Watches the log of this process; who holds it asks at its end whether something leaked.
pub struct LogWatch;

impl LogWatch {
    /// Starts once: our own records at every level, others as far as `serve` would write them.
    pub fn begin() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let written =
                filter_fn(|metadata| metadata.target().starts_with("hallpass") || *metadata.level() <= Level::INFO);
            let layer = fmt::layer().with_ansi(false).with_writer(|| Keeper).with_filter(written);
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
                .expect("nothing else in the tests takes the log");
        });
        Self
    }

    /// How many records there were so far, of all tests.
    pub fn records() -> usize {
        RECORDS.load(Ordering::Relaxed)
    }
}

impl Drop for LogWatch {
    fn drop(&mut self) {
        let leaks = LEAKS.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(leaks.is_empty() || std::thread::panicking(), "the log leaks: {leaks:#?}");
    }
}
