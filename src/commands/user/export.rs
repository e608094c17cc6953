//! `hallpass user export`: all that is kept of one person as one document, for a request under the General Data Protection
//! Regulation (article 15). Of passwords and tokens it has no hash, no digest and no salt.

use super::end::{Whom, whom};
use crate::ambient::Clock;
use crate::commands::terminal::instant;
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::protocol::time::NumericDate;
use crate::store::users::export::{self, Asked};

pub(super) const HELP: &str =
    "It has the row without the hash of the password, groups, claims, sign-ins, consents, refresh tokens, second factors without \
their secrets, one-time links without what opens them, sign-outs that services were told of, events of the audit, and refused sign-ins. Of a user who was deleted it has what is left.

Examples:
  hallpass user export alice > alice.json
  hallpass user export alice | jq '.sessions'";

#[derive(clap::Args)]
pub(in crate::commands) struct Export {
    /// User name, e-mail address or sub
    #[arg(value_name = "NAME")]
    user: String,
}

pub(super) async fn run(config: Config, arguments: &Export) -> Outcome {
    let db = terminal::open_database(&config).await?;
    let whom = whom(&db, &arguments.user).await?;
    let asked = Asked {
        sub: whom.sub(),
        family_idle_lifetime: config.refresh_token_idle_lifetime,
        most_events: i64::MAX,
        now: Clock::System.now(),
    };
    let mut document = export::document_of(&db, asked).await?;
    if let Whom::Gone(gone) = &whom {
        document["deleted_at"] = instant(NumericDate(gone.deleted_at)).into();
    }
    db.close().await;
    terminal::print_json(&document)
}
