//! A service from outside: whether its addresses answer, where they lead, and what its cookies are like.
//!
//! A redirect is reported and not followed, unless it stays on the same host.

use super::report::{Report, is_open_on_the_way};
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::protocol::address::is_private_host;
use crate::protocol::client::{Client, is_loopback_host};
use crate::protocol::response::{ApplicationType, ConsentPolicy};
use crate::protocol::site::FrontChannel;
use crate::protocol::time::NumericDate;
use crate::store::clients;
use crate::store::db::Db;
use crate::web::outbound::{Fetched, Outbound};
use url::Url;

/// What to do about a frame that ends nothing.
const BACK_CHANNEL: &str = "set clients.backchannel_logout_uri, which needs no cookie";

/// How many redirects on the same host are followed.
const MOST_HOPS: usize = 5;

/// An address that users' browsers are sent to.
pub(super) async fn check_address(report: &mut Report, outbound: &Outbound, name: &str, url: &Url) {
    if is_open_on_the_way(url) {
        let what = format!("{url} is plain http: what is sent there can be read on the way");
        if is_private_host(url) {
            report.warning(name, what, "use https, unless it is a network of your own and the service cannot do it");
        } else {
            report.fault(name, what, "use https");
        }
    }
    let mut here = url.clone();
    for hop in 0..=MOST_HOPS {
        let answer = match outbound.get(here.as_str(), &[]).await {
            Ok(answer) => answer,
            Err(why) => {
                return report.fault(name, format!("{here}: {why}"), "start it, or look at DNS, proxy and certificate");
            }
        };
        let target = answer.header("location").and_then(|to| here.join(to).ok());
        let Some(target) = target.filter(|_| (300..400).contains(&answer.status)) else {
            return stays(report, name, &here, &answer);
        };
        check_cookies(report, name, &answer, &target);
        if target.query_pairs().any(|(parameter, _)| parameter == "response_type") {
            return starts_a_sign_in(report, name, &here, &target);
        }
        if target.origin() != here.origin() {
            if target.host_str() == here.host_str() && target.scheme() == "https" {
                report.ok(name, format!("{here} leads to https"));
            } else {
                return report.ok(name, format!("{here} answers {} and leads to {}", answer.status, bare(&target)));
            }
        }
        if hop == MOST_HOPS {
            return report.fault(
                name,
                format!("{url} redirects in a loop, lastly to {}", bare(&target)),
                "fix the redirect loop",
            );
        }
        here = target;
    }
}

/// An address without its query, which may be long and may hold a state.
fn bare(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

fn stays(report: &mut Report, name: &str, url: &Url, answer: &Fetched) {
    check_cookies(report, name, answer, url);
    let url = bare(url);
    match answer.status {
        404 | 410 => report.fault(
            name,
            format!("{url} answers {}: there is nothing there", answer.status),
            "compare it with the address in the service's settings, byte for byte",
        ),
        // An address for form_post only.
        405 => report.ok(name, format!("{url} answers 405 to GET; it takes POST only (response_mode=form_post)")),
        status if status >= 500 => report.warning(
            name,
            format!("{url} answers {status} when it is opened without parameters"),
            "it should refuse kindly; look into the service's log whether it fails for another reason",
        ),
        status => report.ok(name, format!("{url} answers {status}")),
    }
}

/// What a sign-in that a service begins asks for.
fn starts_a_sign_in(report: &mut Report, name: &str, from: &Url, target: &Url) {
    let value = |wanted: &str| {
        target.query_pairs().find(|(parameter, _)| parameter == wanted).map(|(_, value)| value.into_owned())
    };
    report.ok(
        name,
        format!("{} starts a sign-in at {} as {}", bare(from), bare(target), value("client_id").unwrap_or_default()),
    );
    if let Some(uri) = value("redirect_uri").and_then(|uri| Url::parse(&uri).ok()) {
        if is_open_on_the_way(&uri) || (uri.scheme() == "http" && from.scheme() == "https") {
            report.fault(
                name,
                format!("its redirect_uri is {uri}: it does not know that a proxy speaks https for it"),
                "let the service believe X-Forwarded-Proto and X-Forwarded-Host of its proxy, or set its public address",
            );
        } else {
            report.ok(name, format!("its redirect_uri is {uri}"));
        }
    }
    if value("state").is_none() {
        report.fault(name, "it sends no state: another site can sign users in to it", "turn state on in its library");
    }
    if value("code_challenge_method").as_deref() == Some("S256") {
        report.ok(name, "it uses PKCE with S256");
    } else {
        report.warning(
            name,
            "it sends no PKCE challenge (S256)",
            "turn PKCE on in its library; a client registered here with pkce 'required' is refused without",
        );
    }
    let is_openid = value("scope").is_some_and(|scope| scope.split(' ').any(|token| token == "openid"));
    if !is_openid {
        report.warning(name, "its scope lacks openid, so it gets no id_token", "ask for openid");
    } else if value("nonce").is_none() {
        report.warning(name, "it sends no nonce", "turn it on in its library; with PKCE it is a second safety only");
    }
}

/// Cookies that are to be there when the answer of a sign-in comes back.
fn check_cookies(report: &mut Report, name: &str, answer: &Fetched, target: &Url) {
    let is_form_post =
        target.query_pairs().any(|(parameter, value)| parameter == "response_mode" && value == "form_post");
    let begins = target.query_pairs().any(|(parameter, _)| parameter == "response_type");
    for cookie in answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()) {
        let Ok(cookie) = cookie::Cookie::parse(cookie.to_owned()) else { continue };
        let (called, same_site) = (cookie.name().to_owned(), cookie.same_site());
        let is_secure = cookie.secure() == Some(true);
        if begins && is_form_post && (same_site != Some(cookie::SameSite::None) || !is_secure) {
            report.fault(
                name,
                format!("the cookie {called} does not come back with a form_post: it is not SameSite=None; Secure"),
                "set SameSite=None and Secure on it, or use response_mode=query",
            );
        } else if begins && same_site == Some(cookie::SameSite::Strict) {
            report.fault(
                name,
                format!("the cookie {called} is SameSite=Strict: it does not come back with the answer of the sign-in"),
                "use SameSite=Lax",
            );
        } else if same_site == Some(cookie::SameSite::None) && !is_secure {
            report.fault(
                name,
                format!("the cookie {called} is SameSite=None without Secure: browsers drop it"),
                "add Secure",
            );
        } else if !is_secure && target.scheme() == "https" && !is_loopback_host(target) {
            report.warning(name, format!("the cookie {called} is not Secure"), "add Secure");
        } else if begins {
            report.ok(name, format!("the cookie {called} comes back with the answer"));
        }
        if begins && cookie.http_only() != Some(true) {
            report.warning(name, format!("the cookie {called} can be read by scripts"), "add HttpOnly");
        }
    }
}

/// Every address of a client, as its row has them.
pub(super) async fn check_client(
    report: &mut Report,
    outbound: &Outbound,
    config: &Config,
    client_id: &str,
    now: NumericDate,
) -> Outcome {
    terminal::must_exist(config)?;
    let db = Db::open(&config.database_url).await?;
    let client = clients::find(&db, client_id).await;
    db.close().await;
    let client = client?.ok_or_else(|| Failure::new(format!("there is no client {client_id:?}")))?;
    if client.disabled_at.is_some_and(|at| at <= now) {
        report.warning("client", format!("{client_id} is disabled"), "it gets no tokens until that is undone");
    } else {
        report.ok("client", format!("{client_id} is registered"));
    }
    let is_native = client.application_type == ApplicationType::Native;
    if client.consent == ConsentPolicy::Skip && client.always_asks() {
        report.warning(
            "consent",
            "'skip' is ignored: a native client without a secret always asks (RFC 8252 section 8.6)",
            "write 'ask' by a migration, or give it a secret if it can keep one",
        );
    }
    let by_browser = [
        ("redirect_uri", client.redirect_uris.as_slice()),
        ("post_logout_redirect_uri", client.post_logout_redirect_uris.as_slice()),
        ("frontchannel_logout_uri", client.frontchannel_logout_uri.as_slice()),
        ("initiate_login_uri", client.initiate_login_uri.as_slice()),
    ];
    for (name, uris) in by_browser {
        for uri in uris {
            match Url::parse(uri) {
                // What runs on the user's machine, when it runs, is not on this one.
                Ok(url) if is_native && is_loopback_host(&url) => {
                    report.ok(name, format!("{uri} is on the user's own machine; it cannot be looked at from here"));
                }
                Ok(url) if matches!(url.scheme(), "http" | "https") => {
                    check_address(report, outbound, name, &url).await;
                }
                Ok(_) => report.ok(name, format!("{uri} is opened by an app; it cannot be looked at from here")),
                Err(_) => report.fault(name, format!("{uri:?} is no address"), "correct the row by a migration"),
            }
        }
    }
    if client.post_logout_redirect_uris.is_empty() && !client.redirect_uris.is_empty() {
        report.warning(
            "post_logout_redirect_uri",
            "there is none: users end at our page after a sign-out",
            "add one by a migration (client_post_logout_redirect_uris)",
        );
    }
    front_channel(report, config, &client);
    match &client.backchannel_logout_uri {
        Some(uri) => backchannel(report, outbound, uri).await,
        None if client.frontchannel_logout_uri.is_none() && !client.redirect_uris.is_empty() => report.warning(
            "backchannel_logout_uri",
            "there is none: the service does not hear of a sign-out elsewhere",
            "set clients.backchannel_logout_uri, if the service can end its sessions by it",
        ),
        None => {}
    }
    Ok(())
}

/// Front-Channel Logout 1.0 is of use on one site only.
fn front_channel(report: &mut Report, config: &Config, client: &Client) {
    let name = "frontchannel_logout_uri";
    let Some(uri) = client.frontchannel_logout_uri.as_deref() else { return };
    match FrontChannel::warning(uri, &config.issuer) {
        None => {}
        Some(warning) if client.backchannel_logout_uri.is_none() => report.warning(name, warning, BACK_CHANNEL),
        Some(warning) => report.ok(name, format!("{warning}; its back channel tells it")),
    }
}

/// Back-Channel Logout 1.0, section 2.6 and 2.8: a token that is none must be answered 400.
async fn backchannel(report: &mut Report, outbound: &Outbound, uri: &str) {
    let name = "backchannel_logout_uri";
    if Url::parse(uri).is_ok_and(|url| is_open_on_the_way(&url)) {
        report.warning(name, format!("{uri} is plain http"), "use https, unless it is a network of your own");
    }
    match outbound.post_form(uri, &[("logout_token", "hallpass-doctor.is-no.logout-token")]).await {
        Ok(400) => report.ok(name, format!("{uri} refuses what is no logout token, with 400")),
        Ok(status @ 200..300) => report.fault(
            name,
            format!("{uri} answers {status} to what is no logout token: any site could sign users out, or no user is signed out"),
            "let the service check the token (Back-Channel Logout 1.0, section 2.6)",
        ),
        Ok(404 | 410) => {
            report.fault(name, format!("{uri}: there is nothing there"), "compare it with the service's settings");
        }
        Ok(status) => report.warning(
            name,
            format!("{uri} answers {status} to what is no logout token"),
            "400 is the answer of Back-Channel Logout 1.0, section 2.8; 401, 403 and redirects often mean that a sign-in is demanded there",
        ),
        Err(why) => report.fault(name, format!("{uri}: {why}"), "this machine must reach it; look at DNS and firewalls"),
    }
}
