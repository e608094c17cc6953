//! Our own set-up: settings, files, keys, and ourselves as others see us through the proxy.

use super::report::{Report, check_certificate, check_date};
use super::{factors, lately, mail, passkeys, stores};
use crate::ambient::{Clock, random};
use crate::commands::{key, serve};
use crate::config::{Config, DatabaseUrl};
use crate::endpoints::path;
use crate::failure::Warning;
use crate::keys::KeySet;
use crate::protocol::client::Client;
use crate::protocol::node_secrets::NodeSecrets;
use crate::protocol::response::GrantType;
use crate::protocol::secret::{BrowserId, Handle, InteractionId};
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::web::cookies;
use crate::web::network::is_private;
use crate::web::outbound::{Fetched, Outbound};
use crate::web::probe::{self, Arrived};
use ipnet::IpNet;
use serde_json::Value;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(super) async fn check(
    report: &mut Report,
    outbound: &Outbound,
    config: &Config,
    file: Option<PathBuf>,
    now: NumericDate,
) {
    settings(report, config);
    files(report, config, file);
    keys(report, config, now).await;
    let db = stores::database(report, config).await;
    factors::check(report, config, db.as_ref(), now).await;
    passkeys::check(report, config, db.as_ref()).await;
    mail::check(report, config, db.as_ref(), now).await;
    let clients = match &db {
        Some(db) => {
            stores::hashes(report, db).await;
            lately::secrets(report, db, now).await;
            lately::throttled(report, db, now).await;
            lately::deletions(report, db, now).await;
            stores::clients(report, config, db, now).await
        }
        None => Vec::new(),
    };
    let has_redis = stores::redis(report, config).await;
    let secrets = match &db {
        Some(db) => secrets(db).await,
        None => None,
    };
    let node = Node { outbound, config, has_redis };
    public(report, &node, secrets.as_ref(), &clients).await;
    management(report, &node).await;
    if let Some(db) = db {
        db.close().await;
    }
}

/// The node that is looked at from outside, and whether its Redis may be used from here.
struct Node<'a> {
    outbound: &'a Outbound,
    config: &'a Config,
    has_redis: bool,
}

/// From here on an IPv4 or an IPv6 network is no group of proxies any more.
const NARROW: [u8; 2] = [24, 64];

/// What `serve` says at its start, too; and networks that are trusted without need.
fn settings(report: &mut Report, config: &Config) {
    let mut warnings = serve::warnings(config);
    let is_wide = |network: &&IpNet| network.prefix_len() < NARROW[usize::from(matches!(network, IpNet::V6(_)))];
    let of_others = config.trusted_proxies.iter().filter(|network| !network.addr().is_loopback());
    for network in of_others.filter(is_wide) {
        warnings.push(Warning::new(
            format!(
                "any machine of {network} is trusted to say where users come from, so it can pass by the limits for failed \
                 sign-ins, and write any address into the audit"
            ),
            "name the proxies alone in HALLPASS_TRUSTED_PROXIES: single addresses, a /24 of IPv4 or a /64 of IPv6 at most",
        ));
    }
    if warnings.is_empty() {
        report.ok("settings", "fit for production");
    }
    for warning in warnings {
        report.warned("settings", warning);
    }
}

fn mode_of(path: &Path) -> Option<u32> {
    Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o777)
}

/// Files that only we may read, or write.
fn files(report: &mut Report, config: &Config, file: Option<PathBuf>) {
    let mut sound = Vec::new();
    let mut check = |path: &Path, forbidden: u32, what: &str, fix: &str| {
        let Some(mode) = mode_of(path) else { return };
        let shown = path.display();
        if mode & forbidden == 0 {
            sound.push(shown.to_string());
        } else {
            report.fault("files", format!("{shown}: {what} (mode {mode:o})"), format!("{fix} {shown}"));
        }
    };
    check(&config.keys, 0o002, "every user of this machine may add a signing key", "chmod 700");
    if let DatabaseUrl::Sqlite(path) = &config.database_url {
        check(path, 0o007, "every user of this machine may read or change clients and users", "chmod 600");
    }
    let settings = file.unwrap_or_else(|| PathBuf::from("hallpass.toml"));
    let holds_secret = std::fs::read_to_string(&settings).is_ok_and(|text| {
        text.lines().any(|line| line.trim_start().contains("_url") && line.contains("://") && line.contains('@'))
    });
    if holds_secret {
        check(&settings, 0o007, "every user of this machine may read the password in it", "chmod 640");
    }
    if !sound.is_empty() {
        report.ok("files", format!("not open to every user of this machine: {}", sound.join(", ")));
    }
}

/// The timetable, as `key plan` has it.
async fn keys(report: &mut Report, config: &Config, now: NumericDate) {
    let set = match KeySet::load(&config.keys) {
        Ok(set) => set,
        Err(error) => return report.failure("keys", error, "hallpass key new --alg RS256"),
    };
    // Where the database does not answer, its own check says so.
    let (hints, _) = key::hints(config, &set).await;
    let plan = key::plan_of(&set, &hints, now);
    for finding in &plan.findings {
        let what = format!("{}: {}", finding.algorithm, finding.why);
        if finding.is_fault {
            report.fault("keys", what, &finding.fix);
        } else {
            report.warning("keys", what, &finding.fix);
        }
    }
    if plan.findings.is_empty() {
        let words: Vec<&str> = set.algorithms(now).iter().map(|algorithm| algorithm.as_str()).collect();
        report.ok("keys", format!("{} sign, and every successor is known in time", words.join(", ")));
    }
}

/// The secrets that prove to a node that its operator asks.
async fn secrets(db: &Db) -> Option<NodeSecrets> {
    let root = db.known_value("root_secret").await.ok()??;
    Some(NodeSecrets::new(&root, ""))
}

/// Ourselves, as services see us.
async fn public(report: &mut Report, node: &Node<'_>, secrets: Option<&NodeSecrets>, clients: &[Client]) {
    let Node { outbound, config, .. } = *node;
    let url = format!("{}{}", config.issuer, path::OPENID_CONFIGURATION);
    let nonce = Handle(random()).text();
    let question = secrets.map(|secrets| probe::question(&secrets.probe, &nonce));
    let companions = probe::companions(&nonce);
    let mut headers: Vec<(&str, &str)> = question.iter().map(|question| (probe::HEADER, question.as_str())).collect();
    if question.is_some() {
        headers.extend(companions.iter().map(|(name, value)| (*name, value.as_str())));
    }
    let answer = match outbound.get(&url, &headers).await {
        Ok(answer) => answer,
        Err(why) => {
            let runs = local(outbound, config).await;
            let fix = if runs {
                "`serve` runs here: look at DNS, the proxy and its certificate"
            } else {
                "start `hallpass serve`, and the proxy in front of it"
            };
            return report.fault("issuer", format!("{url}: {why}"), fix);
        }
    };
    if answer.status != 200 {
        return report.fault(
            "issuer",
            format!("{url} answers {}{}", answer.status, leads_to(&answer)),
            format!(
                "let the proxy pass every path below {} on to {}, unchanged",
                if config.base_path().is_empty() { "/" } else { config.base_path() },
                config.listen
            ),
        );
    }
    discovery(report, config, &url, &answer);
    check_certificate(report, &answer, Clock::System.now());
    check_date(report, &answer, Clock::System.now());
    proxy(report, config, &answer, question.is_some());
    cookies(report, node, clients).await;
    for hidden in ["/health/ready", "/metrics"] {
        let url = format!("{}{hidden}", config.origin());
        if outbound.get(&url, &[]).await.is_ok_and(|answer| answer.status == 200) {
            report.fault(
                "management",
                format!("{url} is publicly reachable"),
                "the proxy must not lead to HALLPASS_MANAGEMENT_LISTEN",
            );
        }
    }
}

fn leads_to(answer: &Fetched) -> String {
    answer.header("location").map(|to| format!(" and leads to {to}")).unwrap_or_default()
}

/// Whether a node answers on this machine, whatever the world sees.
async fn local(outbound: &Outbound, config: &Config) -> bool {
    let url = format!("http://{}{}{}", reachable(config.listen), config.base_path(), path::OPENID_CONFIGURATION);
    outbound.get(&url, &[]).await.is_ok_and(|answer| answer.status == 200)
}

/// An address to connect to, for one to listen on.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(if listen.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    address
}

fn discovery(report: &mut Report, config: &Config, url: &str, answer: &Fetched) {
    let Ok(Value::Object(document)) = serde_json::from_str(&answer.body) else {
        return report.fault(
            "issuer",
            format!("{url} answers something else than JSON"),
            "let the proxy pass it on to us",
        );
    };
    let issuer = document.get("issuer").and_then(Value::as_str).unwrap_or_default();
    if issuer != config.issuer {
        return report.fault(
            "issuer",
            format!("{url} says that the issuer is {issuer:?}; the setting here is {:?}", config.issuer),
            "give every node the same HALLPASS_ISSUER; or another provider answers there",
        );
    }
    let strange: Vec<&str> = document
        .iter()
        .filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri")
        .filter_map(|(_, value)| value.as_str())
        .filter(|value| !value.starts_with(&config.issuer))
        .collect();
    if strange.is_empty() {
        report.ok("issuer", format!("{issuer} answers with its own name, and so do its endpoints"));
    } else {
        report.fault(
            "issuer",
            format!("endpoints lie elsewhere: {}", strange.join(", ")),
            "the proxy must not rewrite what we answer",
        );
    }
}

/// What reached the node of what we sent.
fn proxy(report: &mut Report, config: &Config, answer: &Fetched, was_asked: bool) {
    let arrived = answer.header(probe::HEADER).and_then(|text| serde_json::from_str::<Arrived>(text).ok());
    let Some(arrived) = arrived else {
        if was_asked {
            report.warning(
                "proxy",
                "the node does not tell what reaches it",
                "let the proxy pass the header Hallpass-Doctor in both directions, and give every node the same database",
            );
        }
        return;
    };
    let peer = arrived.peer.map(|peer| peer.to_string()).unwrap_or_default();
    let authority = config.origin().split_once("://").map_or("", |(_, authority)| authority);
    let scheme = config.origin().split("://").next().unwrap_or_default();
    let mut differs = Vec::new();
    for (name, value, expected) in [
        ("Host", &arrived.host, authority),
        ("X-Forwarded-Host", &arrived.forwarded_host, authority),
        ("X-Forwarded-Proto", &arrived.forwarded_proto, scheme),
    ] {
        if let Some(value) = value.as_deref().filter(|value| *value != expected) {
            differs.push(format!("{name} is {value:?}"));
        }
    }
    if differs.is_empty() {
        report.ok("proxy", "Host and X-Forwarded headers arrive as the issuer has them");
    } else {
        report.ok(
            "proxy",
            format!(
                "{}, the issuer has {scheme}://{authority}; we use neither, so nothing depends on it",
                differs.join(", ")
            ),
        );
    }
    dropped(report, &arrived);
    let is_public = arrived.peer.is_some_and(|peer| !is_private(peer));
    match (arrived.is_forwarded || config.is_https(), arrived.is_trusted) {
        (true, false) if is_public => report.warning(
            "proxy",
            format!(
                "requests come through {peer}, a public address that is no trusted proxy, so what it forwards is not believed: it counts \
                 as one network, and all users behind it share the limits of one"
            ),
            format!("if it is your proxy, HALLPASS_TRUSTED_PROXIES={peer}"),
        ),
        (true, false) => report.warning(
            "proxy",
            format!("requests come through {peer}, whose X-Forwarded-For is not believed: all users share the limits for failed sign-ins"),
            format!("HALLPASS_TRUSTED_PROXIES={peer}"),
        ),
        (_, true) if arrived.forwarded_for.is_none() => report.warning(
            "proxy",
            format!("{peer} is trusted, but sends no X-Forwarded-For: all users share the limits for failed sign-ins"),
            "let the proxy append the client's address to X-Forwarded-For",
        ),
        (true, true) => report.ok("proxy", format!("{peer} is trusted and says who asks")),
        (false, _) => report.ok("proxy", "requests come without a proxy"),
    }
}

/// Headers that a sign-in, a service or an API needs, and that a proxy took away.
fn dropped(report: &mut Report, arrived: &Arrived) {
    let (cookie, authorization) = (arrived.has_cookie, arrived.has_authorization);
    if cookie == Some(false) {
        report.fault(
            "proxy",
            "Cookie does not arrive: no user can sign in",
            "let the proxy pass Cookie on, and no cache answer for us (nginx: no proxy_set_header Cookie; CDN: forward all cookies)",
        );
    }
    if authorization == Some(false) {
        report.fault(
            "proxy",
            "Authorization does not arrive: no access token is seen at /userinfo, and no client_secret_basic at /token",
            "let the proxy pass Authorization on, and not demand a password of its own \
             (nginx: no proxy_set_header Authorization, no auth_basic; Apache with CGI: CGIPassAuth On)",
        );
    }
    if (cookie, authorization) == (Some(true), Some(true)) {
        report.ok("proxy", "Cookie and Authorization arrive");
    }
}

/// The cookie that starts a sign-in, as it arrives.
async fn cookies(report: &mut Report, node: &Node<'_>, clients: &[Client]) {
    let Node { outbound, config, has_redis } = *node;
    let begin = clients.iter().find_map(|client| {
        let redirect_uri = client.redirect_uris.first()?;
        client.grant_types.contains(&GrantType::AuthorizationCode).then_some((client, redirect_uri))
    });
    let Some((client, redirect_uri)) = begin else {
        return report.ok("cookies", "not looked at: no client signs users in yet");
    };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &client.client_id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("scope", "openid")
        .append_pair("state", "doctor")
        .append_pair("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
        .append_pair("code_challenge_method", "S256")
        .finish();
    let url = format!("{}{}?{query}", config.issuer, path::AUTHORIZE);
    let answer = match outbound.get(&url, &[]).await {
        Ok(answer) => answer,
        Err(why) => return report.fault("cookies", format!("{}: {why}", path::AUTHORIZE), "look at the proxy"),
    };
    let led_to = answer.header("location").and_then(|location| url::Url::parse(location).ok());
    let said = |name: &str| {
        led_to.as_ref()?.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
    };
    let error = said("error").filter(|error| matches!(error.as_str(), "server_error" | "temporarily_unavailable"));
    if error.is_some() || answer.status >= 500 {
        let (what, fix) = if has_redis {
            let answered = error.unwrap_or_else(|| answer.status.to_string());
            (
                format!("not looked at: a sign-in for {} is answered {answered}", client.client_id),
                "`hallpass explain --latest` and the log of the node say why",
            )
        } else {
            (
                "not looked at: no sign-in starts without Redis, which cannot be used".to_owned(),
                "what the check redis says; the proxy and the database are not the cause",
            )
        };
        return report.fault("cookies", what, fix);
    }
    // Everything but the value, which is random.
    let shape = |text: &str| -> (String, Vec<String>) {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().and_then(|pair| pair.split('=').next()).unwrap_or_default().to_owned();
        let mut attributes: Vec<String> = parts.map(str::to_lowercase).collect();
        attributes.sort();
        (name, attributes)
    };
    // Its name goes by the interaction, which is in the address of the login page.
    let interaction = said("interaction");
    let interaction = InteractionId::received(interaction.unwrap_or_default());
    let expected = cookies::set_started(config, &BrowserId::from_random(&random::<32>()), &interaction);
    let expected = shape(expected.to_str().unwrap_or_default());
    let found: Vec<(String, Vec<String>)> =
        answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()).map(shape).collect();
    match found.iter().find(|(name, _)| *name == expected.0) {
        Some((_, attributes)) if *attributes == expected.1 => {
            report.ok("cookies", format!("{} arrives as it is set", expected.0));
        }
        Some((_, attributes)) => report.fault(
            "cookies",
            format!("{} arrives with {:?} instead of {:?}", expected.0, attributes.join("; "), expected.1.join("; ")),
            "the proxy must not rewrite cookies (nginx: proxy_cookie_path, proxy_cookie_domain, proxy_cookie_flags)",
        ),
        None => report.fault(
            "cookies",
            format!(
                "a sign-in for {} starts with {} and without the cookie {}",
                client.client_id, answer.status, expected.0
            ),
            "the proxy must not drop Set-Cookie; `hallpass doctor` must run with the settings of `serve`",
        ),
    }
}

/// A node that answers, and what it says is not as it should be.
fn ready(report: &mut Report, url: &str, answer: &Fetched) {
    report.ok("management", format!("{url}: ready"));
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    for (name, sentence) in body["degraded"].as_object().into_iter().flatten() {
        let sentence = sentence.as_str().unwrap_or_default();
        report.warning("management", format!("the node is degraded, {name}: {sentence}"), "fix what it names");
    }
}

/// What to do about a node that is not ready, by what it says it misses.
fn fix_of(missing: &Value) -> &'static str {
    let misses = |name: &str| missing.as_array().into_iter().flatten().any(|one| one == name);
    match (misses("redis"), misses("database")) {
        (true, false) => "start Redis, or correct HALLPASS_REDIS_URL of the node; the database is well",
        (false, true) => "start the database, or correct HALLPASS_DATABASE_URL of the node",
        _ => "fix what it names",
    }
}

async fn management(report: &mut Report, node: &Node<'_>) {
    let Node { outbound, config, .. } = *node;
    let url = format!("http://{}/health/ready", reachable(config.management_listen));
    match outbound.get(&url, &[]).await {
        Ok(answer) if answer.status == 200 => ready(report, &url, &answer),
        Ok(answer) => {
            let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            report.fault(
                "management",
                format!("{url} answers {}: {}", answer.status, answer.body.trim()),
                fix_of(&body["missing"]),
            );
        }
        Err(why) => report.warning(
            "management",
            format!("{url}: {why}"),
            "run `hallpass doctor` where `serve` runs, with the same settings",
        ),
    }
    let ip = config.management_listen.ip();
    let is_inside = match ip {
        std::net::IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    };
    if !is_inside {
        report.warning(
            "management",
            format!("it listens on {ip}, which others may reach"),
            "HALLPASS_MANAGEMENT_LISTEN=127.0.0.1:8081, or an address of a private network",
        );
    }
}
