//! What needs an operator's eye before a service or a user calls: secrets that end, whom the throttle refused within the last
//! day, by which of its limits, and who asked for the account to be deleted.

use super::report::Report;
use crate::commands::terminal::{one_line, shell};
use crate::protocol::audit::Record;
use crate::protocol::time::NumericDate;
use crate::store::audit_events::{self, Wanted};
use crate::store::checkup;
use crate::store::db::Db;
use crate::store::users::{self, deletion};
use crate::throttle::{
    CLIENT_WINDOW, CLIENTS_PER_NETWORK, PER_ACCOUNT_AND_NETWORK, PER_CLIENT_AND_NETWORK, PER_CODE_WINDOW, PER_NETWORK,
    PER_WIDE_NETWORK, SIGN_IN_WINDOW, WIDE_WINDOW,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// How long before its end a secret is told of, in seconds.
const SOON: i64 = 30 * DAY;
const DAY: i64 = 86_400;
/// How many who were refused are named.
const NAMED: usize = 10;
/// How many events are looked at.
const MOST_EVENTS: i64 = 2000;

/// Clients whose last good secret ends soon, or has ended.
pub(super) async fn secrets(report: &mut Report, db: &Db, now: NumericDate) {
    // Where the tables are missing, the migrations said so.
    let Ok(ends) = checkup::secret_ends(db).await else { return };
    // The last end of each; the later one replaces it where a new secret was made in time.
    let mut last: BTreeMap<String, Option<NumericDate>> = BTreeMap::new();
    for (client_id, end) in ends {
        let known = last.entry(client_id).or_insert(end);
        *known = known.zip(end).map(|(one, other)| one.max(other));
    }
    let mut sound = 0;
    for (client_id, end) in last {
        let fix = format!("hallpass client rotate-secret {}", shell(&client_id));
        match end {
            Some(end) if end.is_past(now) => {
                let what = format!(
                    "the last secret of {client_id} ended {} ago; it cannot authenticate",
                    span(now.since(end))
                );
                report.fault("secrets", what, fix);
            }
            Some(end) if end.since(now) <= SOON => {
                let what =
                    format!("the last secret of {client_id} ends in {}, and none follows it", span(end.since(now)));
                report.warning("secrets", what, fix);
            }
            _ => sound += 1,
        }
    }
    if sound > 0 {
        report.ok(
            "secrets",
            format!("{sound} client{} with one that is good for another month", if sound == 1 { "" } else { "s" }),
        );
    }
}

pub(super) fn span(seconds: i64) -> String {
    let (number, unit) = match seconds {
        ..3600 => (seconds / 60, "minute"),
        3600..DAY => (seconds / 3600, "hour"),
        _ => (seconds / DAY, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// Users who asked for the account to be deleted, and have not been.
pub(super) async fn deletions(report: &mut Report, db: &Db, now: NumericDate) {
    // Where the column is missing, the migrations said so.
    let Ok(found) = deletion::all_requested(db).await else { return };
    let more = found.len().saturating_sub(NAMED);
    for user in found.into_iter().take(NAMED) {
        let name = user.username.as_deref().unwrap_or(&user.sub);
        let asked = span(now.since(NumericDate(user.deletion_requested_at)));
        let what = format!("{} asked {asked} ago for the account to be deleted", one_line(name));
        let fix = format!("hallpass user delete {0}, or hallpass user erase {0}", shell(name));
        report.warning("deletions", what, fix);
    }
    if more > 0 {
        let what = format!("{more} more asked for their accounts to be deleted");
        report.warning("deletions", what, "hallpass user list --json names them: deletion_requested_at");
    }
}

/// One who was refused, and by which limit.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Refused {
    is_client: bool,
    name: String,
    network: String,
    budget: String,
}

/// Whom the throttle refused within the last day.
pub(super) async fn throttled(report: &mut Report, db: &Db, now: NumericDate) {
    let mut counted: BTreeMap<Refused, (usize, i64)> = BTreeMap::new();
    for event in ["sign_in_throttled", "client_throttled"] {
        let wanted = Wanted { event: Some(event.to_owned()), ..Wanted::default() };
        // Where the tables are missing, the migrations said so.
        let Ok(found) = audit_events::latest(db, &wanted, now.plus(-DAY), MOST_EVENTS).await else { return };
        for record in found {
            let (at, refused) = (record.at, refused(record));
            let (times, last) = counted.entry(refused).or_insert((0, at));
            (*times, *last) = (*times + 1, at.max(*last));
        }
    }
    if counted.is_empty() {
        return report.ok("throttle", "refused no sign-in and no client within the last day");
    }
    let mut counted: Vec<_> = counted.into_iter().collect();
    counted.sort_by_key(|(_, (_, last))| std::cmp::Reverse(*last));
    let more = counted.len().saturating_sub(NAMED);
    for (refused, (times, last)) in counted.into_iter().take(NAMED) {
        tell(report, db, &refused, times, now.since(NumericDate(last))).await;
    }
    if more > 0 {
        let fix = "hallpass audit list --event sign_in_throttled --since 24h, and --event client_throttled";
        report.warning("throttle", format!("{more} more were refused within the last day"), fix);
    }
}

fn refused(record: Record) -> Refused {
    let detail: Value = record.detail.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let is_client = record.event == "client_throttled";
    let name = if is_client { record.client_id } else { record.sub };
    Refused {
        is_client,
        name: name.unwrap_or_default(),
        network: record.network.unwrap_or_default(),
        budget: detail["budget"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Whether it is an address that a proxy in front has, and no user's own.
fn is_shared(network: &str) -> bool {
    network.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn tell(report: &mut Report, db: &Db, refused: &Refused, times: usize, ago: i64) {
    let Refused { is_client, name, network, budget } = refused;
    let minutes = |seconds: i64| format!("{} minutes", seconds / 60);
    let limit = match (budget.as_str(), is_client) {
        ("account", _) => {
            format!("{PER_ACCOUNT_AND_NETWORK} failures at one account from one network in {}", minutes(SIGN_IN_WINDOW))
        }
        ("code", _) => format!(
            "{} wrong codes of one second factor in an hour, or {} in a day",
            PER_CODE_WINDOW[0], PER_CODE_WINDOW[1]
        ),
        ("browser", _) => format!("{PER_ACCOUNT_AND_NETWORK} failures from one browser in {}", minutes(SIGN_IN_WINDOW)),
        ("network", false) => format!("{PER_NETWORK} failed sign-ins from one network in {}", minutes(SIGN_IN_WINDOW)),
        ("network", true) => {
            format!("{CLIENTS_PER_NETWORK} failed authentications from one network in {}", minutes(CLIENT_WINDOW))
        }
        ("wide_network", _) => {
            format!("{PER_WIDE_NETWORK} failed sign-ins from one /24 or /48 in {}", minutes(WIDE_WINDOW))
        }
        ("client", _) => {
            format!("{PER_CLIENT_AND_NETWORK} failures of one client from one network in {}", minutes(CLIENT_WINDOW))
        }
        ("waiting", _) => "as many as may wait at an account that is attacked".to_owned(),
        _ => "a limit that the event does not tell".to_owned(),
    };
    let user = if *is_client || name.is_empty() { None } else { users::find(db, name).await.ok().flatten() };
    let username = user.and_then(|user| user.username);
    let named = match (is_client, &username) {
        (true, _) => format!("the client {}", one_line(name)),
        (false, Some(username)) => format!("the user {}", one_line(username)),
        (false, None) => "a name that no user has".to_owned(),
    };
    let by_network = matches!(budget.as_str(), "network" | "wide_network");
    let fix = match (by_network, is_client, username) {
        (true, ..) if is_shared(network) => {
            "name the proxy in HALLPASS_TRUSTED_PROXIES: all who come through it count as one network".to_owned()
        }
        (true, ..) => format!("hallpass unthrottle network {}", shell(network)),
        (_, true, _) => {
            format!("correct the secret that the service has; then hallpass unthrottle client {}", shell(name))
        }
        (_, false, Some(username)) => format!("hallpass unthrottle user {}", shell(&username)),
        (_, false, None) => "nothing, unless a user says so: the name was mistyped, or an attacker guesses".to_owned(),
    };
    let times = if times == 1 { "once".to_owned() } else { format!("{times} times") };
    let what = format!("{named} from {network} was refused {times}, {} ago at last: more than {limit}", span(ago));
    report.warning("throttle", what, fix);
}
