//! Front-channel addresses against the site of the issuer: what a frame there cannot end.

use super::Level;
use super::rows::{Place, Rows};
use super::rules::Fault;
use super::statements::Literal;
use crate::config::{Config, SETTINGS};
use crate::protocol::site::FrontChannel;

/// The issuer that people will see, if it is known here: a CI without the provider's settings has the default, and nothing can
/// be said about sites then.
pub(super) fn known_issuer(config: &Config) -> Option<&str> {
    let is_default = SETTINGS.iter().any(|setting| setting.name == "issuer" && setting.default == config.issuer);
    (!is_default).then_some(config.issuer.as_str())
}

/// The clients that are told of a sign-out by a frame alone, which lies on another site than the issuer.
pub(super) fn faults(rows: &Rows, issuer: &str) -> Vec<(Place, Fault)> {
    let clients = rows.all.iter().filter(|row| row.table == "clients");
    let found = clients.filter_map(|client| {
        let is_null = |column: &str| client.cells.get(column).is_none_or(|cell| cell.literal == Literal::Null);
        if !is_null("backchannel_logout_uri") || !is_null("disabled_at") {
            return None;
        }
        let doubt = FrontChannel::doubt(client.text("frontchannel_logout_uri")?, issuer)?;
        let place = client.cells.get("frontchannel_logout_uri")?.place.clone();
        let fault = Fault {
            level: Level::Warning,
            code: "logout-uri",
            why: format!("{}: frontchannel_logout_uri {doubt}", client.text("client_id").unwrap_or_default()),
            mend: "register a backchannel_logout_uri, which needs no cookie".to_owned(),
            is_acceptable: true,
        };
        Some((place, fault))
    });
    found.collect()
}
