//! The stores of our own set-up: whether they answer and let us do what we must, whether every migration is applied, and
//! rows that cannot work.

use super::report::{Report, check_skew};
use crate::ambient::{Clock, random};
use crate::commands::judge::{self, Fault};
use crate::commands::serve;
use crate::config::{Config, DatabaseUrl, EphemeralUrl};
use crate::failure::Failure;
use crate::keys::KeySet;
use crate::passwords;
use crate::protocol::client::Client;
use crate::protocol::secret::Handle;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::checkup::{self, OwnedHash};
use crate::store::db::Db;
use crate::store::ephemeral::{Ephemeral, Taken, Tally};
use crate::store::migrations::{self, Migrations};
use secrecy::ExposeSecret as _;

/// The oldest PostgreSQL that is still supported upstream and that we are tested with.
const LEAST_POSTGRES: i64 = 14;

pub(super) async fn database(report: &mut Report, config: &Config) -> Option<Db> {
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && !path.exists()
        && path.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir())
    {
        report.warning("database", format!("{}: not made yet", path.display()), "hallpass migrate, or hallpass serve");
        return None;
    }
    let db = match Db::open(&config.database_url).await {
        Ok(db) => db,
        Err(error) => {
            report.failure("database", error, "start it, or fix HALLPASS_DATABASE_URL");
            return None;
        }
    };
    let facts = match checkup::facts(&db).await {
        Ok(facts) => facts,
        Err(error) => {
            report.failure("database", error, "start it, or fix HALLPASS_DATABASE_URL");
            return None;
        }
    };
    if matches!(config.database_url, DatabaseUrl::Postgres(_)) {
        if facts.major < LEAST_POSTGRES {
            report.warning(
                "database",
                format!("PostgreSQL {} is no longer supported upstream", facts.version),
                format!("move to {LEAST_POSTGRES} or newer"),
            );
        } else {
            report.ok("database", format!("PostgreSQL {}", facts.version));
        }
    } else {
        report.ok("database", format!("SQLite {}", facts.version));
    }
    if let Some(clock) = facts.clock {
        check_skew(report, "database", "its clock", clock.since(Clock::System.now()));
    }
    let rights = "make the user of HALLPASS_DATABASE_URL the owner of the database";
    match checkup::may_migrate(&db).await {
        Ok(()) => report.ok("database", "migrations may make tables"),
        Err(error) => report.failure("database", Failure::from(error).about("migrations cannot make tables"), rights),
    }
    if migrations(report, config, &db).await {
        match checkup::may_write(&db).await {
            Ok(()) => report.ok("database", "the tables may be written"),
            Err(error) => {
                report.failure("database", Failure::from(error).about("a node cannot write its tables"), rights);
            }
        }
    }
    Some(db)
}

/// Whether every table of ours is there, and what is wrong with the admin's files. What is pending is tried and undone.
async fn migrations(report: &mut Report, config: &Config, db: &Db) -> bool {
    let looked_at = async {
        let migrations = Migrations::read(config.migrations.as_deref()).await?;
        let plan = migrations.plan(db).await?;
        let trial = migrations::trial(&migrations, db).await?;
        Ok::<_, StoreError>((plan, trial))
    };
    let (plan, trial) = match looked_at.await {
        Ok(found) => found,
        Err(error) => {
            report.failure("migrations", error, "hallpass migrate --check");
            return false;
        }
    };
    if let Some(failure) = plan.unreleased() {
        report.failure("migrations", failure, "name a new database");
        return false;
    }
    let faults: Vec<migrations::Fault> = plan.warnings().into_iter().chain(trial).collect();
    for fault in &faults {
        report.fault("migrations", fault.sentence(), &fault.fix);
    }
    if let Some(first) = plan.pending.first() {
        report.warning(
            "migrations",
            format!("{} not applied, the first is {}", plan.pending.len(), first.name),
            "hallpass migrate; `serve` does it at its start",
        );
    }
    if let Some(first) = plan.missing.first() {
        report.warning(
            "migrations",
            format!("{} applied that are not among the files here, the first is {}", plan.missing.len(), first.name),
            "bring the same files to every node",
        );
    }
    if faults.is_empty() && plan.pending.is_empty() && plan.missing.is_empty() {
        report.ok("migrations", format!("{} applied, nothing pending", plan.applied.len()));
    }
    !plan.lacks_built_in()
}

/// Rows that cannot be read, what the judge says of the others, and algorithms without a key; gives the clients that can be
/// read.
pub(super) async fn clients(report: &mut Report, config: &Config, db: &Db, now: NumericDate) -> Vec<Client> {
    // Where the tables are missing, the migrations said so.
    let Ok(found) = checkup::clients(db).await else { return Vec::new() };
    let mut sound = Vec::new();
    let mut faults = 0;
    let set = KeySet::load(&config.keys).unwrap_or_default();
    for client in found {
        match client {
            Err(StoreError::Inconsistent { key, why, fix, .. }) => {
                faults += 1;
                report.fault("clients", format!("{key}: {why}"), format!("{fix}; correct the row by a migration"));
            }
            Err(error) => {
                faults += 1;
                report.failure("clients", error, "correct the row by a migration");
            }
            Ok(client) => {
                judged(report, config, &client);
                let algorithm = client.id_token_signed_response_alg;
                if set.signing(algorithm, now).is_none() {
                    faults += 1;
                    report.fault(
                        "clients",
                        format!("{}: no key signs with {algorithm}, which its row asks for", client.client_id),
                        format!("hallpass key new --alg {algorithm}"),
                    );
                }
                sound.push(client);
            }
        }
    }
    if faults == 0 && sound.is_empty() {
        report.ok("clients", "there is none yet");
    } else if faults == 0 {
        report.ok("clients", format!("{} can be read, and have keys for their algorithms", sound.len()));
    }
    sound
}

/// What the judge says of a client that is served as it is: it concerns that client alone.
fn judged(report: &mut Report, config: &Config, client: &Client) {
    let of_values = judge::of_values(client).into_iter().map(|fault| {
        let why = format!("{}: {}", client.client_id, fault.why);
        Fault { why, ..fault }
    });
    for Fault { why, fix, .. } in of_values.chain(judge::of_client(client, Some(&config.issuer), true)) {
        report.warning("clients", why, format!("{fix}, by a migration"));
    }
}

/// Rows whose hash nothing proves, since it is none or costs more than a node computes.
pub(super) async fn hashes(report: &mut Report, db: &Db) {
    // Where the tables are missing, the migrations said so.
    let Ok(mut secrets) = checkup::secret_hashes(db).await else { return };
    let looked_at = secrets.len();
    secrets.retain(|secret| passwords::unusable_secret(&secret.hash).is_some());
    name_owners(
        report,
        ("client_secrets", passwords::unusable_secret),
        &secrets,
        "hallpass client rotate-secret, and delete the row",
    );
    let (mut people, mut unusable, mut after) = (0, Vec::new(), String::new());
    while let Ok(page) = checkup::password_hashes(db, &after).await
        && let Some(last) = page.last()
    {
        after.clone_from(&last.owner);
        people += page.len();
        unusable.extend(page.into_iter().filter(|person| passwords::unusable(&person.hash).is_some()));
    }
    name_owners(report, ("users", passwords::unusable), &unusable, "hallpass user set-password");
    if secrets.is_empty() && unusable.is_empty() {
        report.ok("hashes", format!("{people} of users and {looked_at} of clients can be checked at no great cost"));
    }
}

/// Names whose rows of a table they are: the first few, and how many there are.
fn name_owners(
    report: &mut Report,
    (table, unusable): (&str, fn(&str) -> Option<&'static str>),
    rows: &[OwnedHash],
    fix: &str,
) {
    const NAMED: usize = 10;
    let Some(why) = rows.first().and_then(|first| unusable(&first.hash)) else { return };
    let mut names: Vec<String> = rows.iter().take(NAMED).map(|row| format!("{:?}", row.name)).collect();
    if rows.len() > NAMED {
        names.push(format!("{} more", rows.len() - NAMED));
    }
    report.fault("hashes", format!("{table}: nothing proves the hash of {}: {why}", names.join(", ")), fix);
}

/// Whether it may be used; a store in the process of a node can.
pub(super) async fn redis(report: &mut Report, config: &Config) -> bool {
    let EphemeralUrl::Redis(url) = &config.redis_url else { return true };
    let place = url.expose_secret().split(',').map(serve::place).collect::<Vec<_>>().join(", ");
    let ephemeral = match Ephemeral::open(&config.redis_url, &config.issuer, Clock::System).await {
        Ok(ephemeral) => ephemeral,
        Err(error) => {
            report.failure("redis", error, "start it, or fix HALLPASS_REDIS_URL");
            return false;
        }
    };
    if let Some(facts) = ephemeral.facts().await {
        report
            .ok("redis", format!("{} at {place}", facts.version.as_deref().unwrap_or("of a version it does not tell")));
        if facts.tells_policy {
            report.ok("redis", "maxmemory-policy is noeviction");
        } else {
            report.warning(
                "redis",
                "it does not tell its maxmemory-policy",
                "make sure that it is noeviction: anything else loses sign-ins and forgets used codes",
            );
        }
        if facts.warnings.is_empty() {
            report.ok("redis", facts.cost_of_a_crash);
        }
        for warning in facts.warnings {
            report.warned("redis", warning);
        }
        match facts.clock {
            Some(clock) => check_skew(report, "redis", "its clock", clock.since(Clock::System.now())),
            None => {
                report.warning("redis", "it does not tell its time", "allow TIME to the user of HALLPASS_REDIS_URL");
            }
        }
    }
    match try_verbs(&ephemeral).await {
        Ok(()) => {
            report.ok("redis", "records may be written, taken and counted");
            true
        }
        Err(failure) => {
            report.failure(
                "redis",
                failure.about("a record cannot be written, taken or counted"),
                "allow SET, GET, DEL, EVAL on keys that begin with hallpass: to the user of HALLPASS_REDIS_URL",
            );
            false
        }
    }
}

/// Each kind of command once, on a key of its own that is gone afterwards.
async fn try_verbs(ephemeral: &Ephemeral) -> Result<(), Failure> {
    let key = format!("doctor:{}", Handle(random()).text());
    ephemeral.put(&key, &1_u8, 60).await?;
    let taken = ephemeral.spend::<u8>(&key, 60).await?;
    ephemeral.delete(&key).await?;
    let tally = Tally { field: "doctor", window: 60, most: 1, amount: 1 };
    ephemeral.tally(&key, &[tally]).await?;
    ephemeral.delete(&key).await?;
    if taken == Taken::Fresh(1) { Ok(()) } else { Err(Failure::new("what was written was not found again")) }
}
