//! The factor keys of our own set-up: whether each secret of a second factor has its key, and new ones can be sealed.

use super::report::Report;
use crate::commands::key::factors::findings;
use crate::config::Config;
use crate::keys::factors::{FactorKeySet, NEW, plan};
use crate::protocol::time::NumericDate;
use crate::second_factor::resealing::Unopened;
use crate::store::db::Db;
use crate::store::user_factors;

/// What it is called in the report.
const CHECK: &str = "factors";

/// Where the database does not answer, `db` is `None`, and its own check has said so.
pub(super) async fn check(report: &mut Report, config: &Config, db: Option<&Db>, now: NumericDate) {
    let set = match FactorKeySet::load(&config.keys) {
        Ok(set) => set,
        Err(error) => return report.failure(CHECK, error, NEW),
    };
    let rows = match db {
        Some(db) => user_factors::by_key(db).await.ok(),
        None => None,
    };
    let plan = plan(&set, rows.as_ref(), now);
    let findings = findings(&set, &plan, now);
    let unopened = match db {
        Some(db) => Unopened::find(db, &set, now).await.ok().and_then(|unopened| unopened.sentence()),
        None => None,
    };
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
