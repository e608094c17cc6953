//! The factor keys of our own set-up: whether each secret of a second factor has its key, and new ones can be sealed.

use super::report::Report;
use crate::commands::key::factors::{findings, rows};
use crate::commands::terminal;
use crate::config::Config;
use crate::keys::factors::{FactorKeySet, NEW, plan};
use crate::protocol::time::NumericDate;
use crate::second_factor::resealing::Unopened;

/// What it is called in the report.
const CHECK: &str = "factors";

pub(super) async fn check(report: &mut Report, config: &Config, now: NumericDate) {
    let set = match FactorKeySet::load(&config.keys) {
        Ok(set) => set,
        Err(error) => return report.failure(CHECK, error, NEW),
    };
    // Where the database does not answer, its own check says so.
    let rows = rows(config).await;
    let plan = plan(&set, rows.as_ref(), now);
    let findings = findings(&set, &plan, now);
    let unopened = unopened(config, &set, now).await.and_then(|unopened| unopened.sentence());
    let is_sound = findings.is_empty() && unopened.is_none();
    if let Some(why) = unopened {
        report.fault(CHECK, why, Unopened::FIX);
    }
    for finding in findings {
        if finding.is_fault {
            report.fault(CHECK, finding.why, finding.fix);
        } else {
            report.warning(CHECK, finding.why, finding.fix);
        }
    }
    if !is_sound {
        return;
    }
    let secrets = rows.map(|rows| rows.values().sum::<u64>());
    report.ok(
        CHECK,
        match secrets {
            _ if set.all().is_empty() => {
                format!("there is no factor key; `{NEW}` makes one before the first authenticator is added")
            }
            Some(secrets) => format!("a key seals new secrets, and all {secrets} that there are open by theirs"),
            None => {
                "a key seals new secrets; whether those that there are have theirs is not known without the database"
                    .to_owned()
            }
        },
    );
}

/// The rows that do not open; `None` where the database cannot be asked.
async fn unopened(config: &Config, set: &FactorKeySet, now: NumericDate) -> Option<Unopened> {
    terminal::must_exist(config).ok()?;
    let db = terminal::open_database(config).await.ok()?;
    let unopened = Unopened::find(&db, set, now).await.ok();
    db.close().await;
    unopened
}
