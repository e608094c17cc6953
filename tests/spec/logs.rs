//! What the log says, and what it must never say: at the highest level, on the stores of this run, through a whole
//! sign-in with all that can go wrong in it: a reference in each record, and no secret, code, token, cookie or password
//! at any level.

use crate::support::leaks::{self, LogWatch};
use crate::support::postgres::free_port;
use crate::support::program::Serve;
use crate::support::provider::{copy_keys, run_sql};
use crate::support::remote::{Remote, until};
use crate::support::verbs::{VERIFIER, http, send};
use crate::support::{
    Api, Authorization, NewClient, NewUser, Page, Stores, TestClient, TestProvider, UserAgent, folder, postgres, redis,
    stores,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::collections::BTreeSet;
use tempfile::TempDir;
use url::form_urlencoded;

const DATABASE_PASSWORD: &str = "marked-database-password";
const REDIS_PASSWORD: &str = "marked-redis-password";
const PASSWORD: &str = "a marked+pass/word & söme more";
const WRONG_PASSWORD: &str = "a marked wrong password = worse";
const CLIENT_SECRET: &str = "hp_cs_a-marked-secret-of-the-client/+&";
const WRONG_SECRET: &str = "hp_cs_a-marked-wrong-secret-of-the-client";

/// A provider as a process that logs all it can, with passwords in the addresses of its stores.
struct Logging {
    serve: Serve,
    provider: Remote,
    database_url: String,
    own_redis: Option<redis::Server>,
    _folder: TempDir,
}

impl Logging {
    fn start() -> Self {
        let folder = folder();
        copy_keys(&folder.path().join("keys"));
        let (database_url, redis_url, own_redis) = match stores() {
            Stores::Embedded => {
                (format!("sqlite:{}", folder.path().join("hallpass.db").display()), String::new(), None)
            }
            Stores::Servers => {
                let database = postgres::server().create_database();
                let own = redis::Server::start();
                assert!(own.ask(&format!("CONFIG SET requirepass {REDIS_PASSWORD}")).starts_with("+OK"));
                (
                    database.replace("postgres@", &format!("postgres:{DATABASE_PASSWORD}@")),
                    own.url().replace("redis://", &format!("redis://:{REDIS_PASSWORD}@")),
                    Some(own),
                )
            }
        };
        let port = free_port();
        let variables = [
            ("HALLPASS_ISSUER", format!("http://localhost:{port}")),
            ("HALLPASS_LISTEN", format!("127.0.0.1:{port}")),
            ("HALLPASS_MANAGEMENT_LISTEN", format!("127.0.0.1:{}", free_port())),
            ("HALLPASS_DATABASE_URL", database_url.clone()),
            ("HALLPASS_REDIS_URL", redis_url),
            ("RUST_LOG", "trace".to_owned()),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let serve = Serve::again(folder.path(), variables);
        let provider = Remote::new(&serve.issuer);
        Self { serve, provider, database_url, own_redis, _folder: folder }
    }

    /// Registers the client and alice, with the marked secrets.
    async fn populate(&self) -> TestClient {
        let (sql, client) = NewClient::new("reports").with("consent", "skip").secret(CLIENT_SECRET).sql();
        let alice = NewUser::alice().password(PASSWORD).sql();
        run_sql(&self.database_url, &format!("{sql}{alice}")).await.unwrap();
        client
    }

    /// All that was written, on either output.
    fn text(&self) -> String {
        let (stdout, stderr) = self.serve.running.output();
        stdout + &stderr
    }

    /// The records, each of which must be one JSON object.
    fn records(&self) -> Vec<Value> {
        let (_, stderr) = self.serve.running.output();
        let whole = stderr.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// The record under that reference that tells of the answer, once it is written.
    async fn answer_of(&self, reference: &str) -> Value {
        let found = || self.records().into_iter().find(|record| is_answer(record) && reference_of(record) == reference);
        until(&format!("{reference} is in the log"), async || found().is_some()).await;
        found().unwrap()
    }
}

fn is_answer(record: &Value) -> bool {
    record.get("milliseconds").is_some()
}

fn reference_of(record: &Value) -> &str {
    record["span"]["reference"].as_str().unwrap_or_default()
}

fn reference_in(headers: &HeaderMap) -> String {
    headers.get("x-request-id").expect("every answer has a reference").to_str().unwrap().to_owned()
}

/// The forms in which a text might be in a log: as it is, in URLs, in JSON, in base64 wherever it begins there,
/// and in hexadecimal digits.
fn forms_of(secret: &str) -> BTreeSet<String> {
    let in_form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut forms = BTreeSet::from([
        secret.to_owned(),
        in_form.replace('+', "%20"),
        in_form,
        serde_json::to_string(secret).unwrap().trim_matches('"').to_owned(),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat(),
        // As Rust prints bytes.
        secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", "),
    ]);
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for shift in 0..3 {
            let encoded = engine.encode([&vec![b' '; shift], secret.as_bytes()].concat());
            // The first and the last letters carry bits of the neighbors.
            let inner = &encoded[if shift == 0 { 0 } else { 4 }..encoded.len() - 4];
            forms.insert(inner.to_owned());
        }
    }
    forms
}

#[test]
fn the_forms_of_a_secret_are_found_in_what_contains_them() {
    let secret = "pass/word & more";
    let forms = forms_of(secret);
    for text in [
        format!("a {secret} b"),
        STANDARD.encode(format!("reports:{secret}")),
        STANDARD.encode(format!("xx:{secret}!")),
        "password=pass%2Fword+%26+more".to_owned(),
        format!("{:?}", secret.as_bytes()),
    ] {
        assert!(forms.iter().any(|form| text.contains(form)), "{text}");
    }
}

/// What a visit came upon.
#[derive(Default)]
struct Seen {
    secrets: Vec<String>,
    references: Vec<String>,
}

impl Seen {
    fn page(&mut self, page: &Page) {
        self.references.push(reference_in(&page.headers));
        for form in page.forms() {
            let hidden = form.fields.into_iter().filter(|(name, _)| name == "interaction" || name == "csrf");
            self.secrets.extend(hidden.map(|(_, value)| value));
        }
    }

    fn answer(&mut self, answer: &Api) {
        self.references.push(reference_in(&answer.headers));
    }
}

/// Through everything in which a secret travels, also where it should not.
async fn live_through_all(logging: &Logging, client: &TestClient) -> Seen {
    let provider = &logging.provider;
    let browser = UserAgent::new();
    let mut seen = Seen::default();
    let given = [DATABASE_PASSWORD, REDIS_PASSWORD, PASSWORD, WRONG_PASSWORD, CLIENT_SECRET, WRONG_SECRET, VERIFIER];
    seen.secrets.extend(given.map(str::to_owned));

    let request = Authorization::of(client).with("state", "the-marked-state").with("nonce", "the-marked-nonce");
    seen.secrets.extend(["the-marked-state", "the-marked-nonce"].map(str::to_owned));
    let page = provider.open(&request, &browser).await;
    seen.page(&page);
    let page = provider.type_in(&browser, &page, "alice", WRONG_PASSWORD).await;
    seen.page(&page);
    let page = provider.type_in(&browser, &page, "nobody", WRONG_PASSWORD).await;
    seen.page(&page);
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    seen.page(&page);
    let code = page.query_parameter("code").unwrap_or_else(|| panic!("{page}"));
    seen.secrets.push(code.clone());
    seen.secrets.extend(browser.cookies().into_iter().map(|cookie| cookie.value));

    let wrong = TestClient { secret: Some(WRONG_SECRET.to_owned()), ..client.clone() };
    let refused = provider.redeem(&wrong, &code).await;
    assert_eq!(refused.error(), (401, "invalid_client".to_owned()));
    let tokens = provider.redeem(client, &code).await.ok();
    let (access_token, id_token) = (tokens.text("access_token"), tokens.text("id_token"));
    seen.secrets.extend([access_token.clone(), id_token.clone()]);
    let claims = provider.userinfo(&access_token).await.ok();
    let replayed = provider.redeem(client, &code).await;
    assert_eq!(replayed.error(), (400, "invalid_grant".to_owned()));
    let revoked = provider.userinfo(&access_token).await;
    for answer in [&refused, &tokens, &claims, &replayed, &revoked] {
        seen.answer(answer);
    }

    // Where people and bad clients put them: in queries, in paths, in broken headers, in requests that fail.
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("password", PASSWORD)
        .append_pair("client_secret", CLIENT_SECRET)
        .append_pair("access_token", &access_token)
        .append_pair("code", &code)
        .append_pair("id_token_hint", &id_token)
        .finish();
    for path in ["/token", "/userinfo", "/login", "/authorize", "/consent", "/nothing/here", "/jwks"] {
        let answer = send(http().get(format!("{}{path}?{query}", provider.issuer))).await;
        seen.answer(&answer);
        let answer = send(http().post(format!("{}{path}?{query}", provider.issuer)).body(query.clone())).await;
        seen.answer(&answer);
    }
    let answer = send(http().get(format!("{}/no/{access_token}/{code}", provider.issuer))).await;
    seen.answer(&answer);
    let answer = send(http().post(format!("{}/token", provider.issuer)).bearer_auth(&access_token)).await;
    seen.answer(&answer);
    for request in [
        request.clone().with("id_token_hint", &id_token).with("prompt", "none"),
        request.clone().with("redirect_uri", "https://elsewhere.example/"),
        request.clone().and("state", "the-marked-state"),
        request.with("scope", "openid\u{7f}"),
    ] {
        seen.page(&provider.open(&request, &browser).await);
    }
    seen
}

#[tokio::test]
async fn no_secret_is_in_the_log_at_any_level_in_any_form() {
    let logging = Logging::start();
    let client = logging.populate().await;
    let Seen { secrets, references } = live_through_all(&logging, &client).await;
    assert!(secrets.len() > 12 && secrets.iter().all(|secret| secret.len() > 10), "{secrets:?}");
    if let Some(own) = &logging.own_redis {
        // What a fault says of its cause is no exception.
        own.stop();
        let failed = logging.provider.open(&Authorization::of(&client), &UserAgent::new()).await;
        assert!(failed.location().unwrap().as_str().contains("error=temporarily_unavailable"), "{failed}");
        let _ = logging.answer_of(&reference_in(&failed.headers)).await;
    }
    let _ = logging.answer_of(references.last().unwrap()).await;

    let text = logging.text();
    let found: Vec<&String> =
        secrets.iter().filter(|secret| forms_of(secret).iter().any(|form| text.contains(form.as_str()))).collect();
    assert!(found.is_empty(), "in the log: {found:?}\n{text}");
    // The last part of a JWT and the record's digests would be enough for a thief or a guesser.
    for secret in &secrets {
        for part in secret.split('.').filter(|part| part.len() > 20) {
            assert!(!text.contains(part), "a part of a secret is in the log: {part}");
        }
    }
    assert!(!text.contains("$argon2id$"), "a hash is in the log");
    // And it was written at all.
    assert!(text.contains("\"level\":\"WARN\"") && text.contains("invalid_client"), "{text}");
}

#[tokio::test]
async fn every_answer_has_one_record_under_the_reference_it_carries() {
    let logging = Logging::start();
    let client = logging.populate().await;
    let Seen { references, .. } = live_through_all(&logging, &client).await;
    assert!(references.len() > 20);
    for reference in &references {
        let record = logging.answer_of(reference).await;
        for (name, value) in [("method", &record["span"]["method"]), ("path", &record["span"]["path"])] {
            assert!(value.is_string(), "{name}: {record}");
        }
        assert!(record["status"].is_u64() && record["timestamp"].is_string(), "{record}");
    }
    let records = logging.records();
    let mut seen = BTreeSet::new();
    for record in records.iter().filter(|record| is_answer(record)) {
        assert!(seen.insert(reference_of(record)), "two records for one answer: {record}");
        let path = record["span"]["path"].as_str().unwrap();
        assert!(path.starts_with('/') && !path.contains('?') || path == "(unknown path)", "{record}");
    }
    for level in ["INFO", "WARN"] {
        assert!(records.iter().any(|record| record["level"] == level), "{level}");
    }
}

#[tokio::test]
async fn the_reference_on_an_error_page_leads_to_the_cause_in_the_log() {
    let logging = Logging::start();
    let client = logging.populate().await;
    let request = Authorization::of(&client).with("redirect_uri", "https://elsewhere.example/");
    let page = logging.provider.open(&request, &UserAgent::new()).await;
    let reference = reference_in(&page.headers);
    assert!(page.text().contains(&reference), "{page}");
    let record = logging.answer_of(&reference).await;
    assert_eq!((&record["level"], &record["status"]), (&"WARN".into(), &400.into()), "{record}");
    let told = format!("{} {}", record["description"], record["detail"]);
    assert!(told.contains("redirect_uri"), "{record}");

    // A fault of ours says no more than that to the person, and all to the operator.
    run_sql(&logging.database_url, "ALTER TABLE users RENAME TO hidden").await.unwrap();
    let browser = UserAgent::new();
    let page = logging.provider.open(&Authorization::of(&client), &browser).await;
    let page = logging.provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert_eq!(page.status, 500, "{page}");
    let reference = reference_in(&page.headers);
    assert!(page.text().contains(&reference) && !page.text().contains("users"), "{page}");
    let record = logging.answer_of(&reference).await;
    assert_eq!(record["level"], "ERROR", "{record}");
    assert!(record["detail"].as_str().unwrap().contains("users"), "{record}");
}

/// The watch over the whole suite (`support/leaks.rs`) sees what it is for, in answers and in the log.
#[tokio::test]
async fn the_watch_over_the_whole_suite_sees_what_leaks() {
    let token = format!("hp_at_{}", "a".repeat(86));
    let jwt = format!("eyJ{0}.eyJ{0}.{0}", "a".repeat(20));
    let with = |pairs: &[(&'static str, &str)]| {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", "AAAAA-AAAAA".parse().unwrap());
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    };
    let json = ("content-type", "application/json");
    let html = ("content-type", "text/html; charset=utf-8");
    let session = format!("x=hp_si_{}", "s".repeat(43));
    let to_client = format!("https://a.example/?code=hp_ac_{}", "c".repeat(43));
    let interaction = format!("<input value=hp_in_{}>", "i".repeat(22));
    for (headers, body) in [
        (with(&[json]), format!("{{\"access_token\":\"{token}\",\"id_token\":\"{jwt}\"}}")),
        (with(&[html, ("set-cookie", &session)]), interaction.clone()),
        (with(&[("location", &to_client)]), String::new()),
        (HeaderMap::new(), token.clone()),
    ] {
        assert_eq!(leaks::complaints(&headers, &body), Vec::<String>::new());
    }
    for (headers, body) in [
        (with(&[json]), format!("{{\"error\":\"x\",\"error_description\":\"{token}\"}}")),
        (with(&[html]), format!("<p>{token}</p>")),
        (with(&[html]), format!("<p>{to_client}</p>")),
        (with(&[html]), format!("<p>{session}</p>")),
        (with(&[html]), format!("<p>{jwt}</p>")),
        (with(&[html]), "<p>correct horse battery staple</p>".to_owned()),
        (with(&[html]), "<p>error returned from database: no such table: users</p>".to_owned()),
        (with(&[("location", &format!("https://a.example/?token={token}"))]), String::new()),
        (with(&[("location", "https://a.example/?x=correct+horse+battery+staple")]), String::new()),
        (with(&[("x-odd", &session)]), String::new()),
        (with(&[("www-authenticate", VERIFIER)]), String::new()),
        (with(&[json]), "{\"hash\":\"$argon2id$v=19$\"}".to_owned()),
    ] {
        assert!(!leaks::complaints(&headers, &body).is_empty(), "{headers:?} {body}");
    }

    let before = LogWatch::records();
    let provider = TestProvider::start().await;
    let _ = provider.get("/jwks", &[]).await.ok();
    until("a record of the answer", async || LogWatch::records() > before).await;
}
