//! The passkeys of our own set-up: whether browsers find those that there are.

use super::report::Report;
use crate::config::Config;
use crate::store::db::Db;
use crate::store::user_passkeys;
use crate::web::remedies::PASSKEYS_ELSEWHERE;
use crate::webauthn::RelyingParty;

pub(super) async fn check(report: &mut Report, config: &Config, db: Option<&Db>) {
    let Some(db) = db else { return };
    let ours = RelyingParty::of(config);
    // Where the table is missing, the migrations said so.
    let Ok(elsewhere) = user_passkeys::elsewhere(db, ours.as_ref().map(RelyingParty::id)).await else { return };
    if elsewhere == 0 {
        return;
    }
    let passkeys = if elsewhere == 1 { "a passkey is".to_owned() } else { format!("{elsewhere} passkeys are") };
    let why = match ours {
        Some(ours) => format!("{passkeys} for another host than {}, and no browser finds them here", ours.id()),
        None => format!("{passkeys} of no use: the issuer's host is an address"),
    };
    report.warning("passkeys", why, PASSKEYS_ELSEWHERE);
}
