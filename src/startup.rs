//! From settings to a running provider: stores opened and waited for, migrations applied, keys loaded.

use crate::ambient::{Clock, random};
use crate::audit::pruning::{self, Pruner};
use crate::audit::{self, Audit};
use crate::background::Background;
use crate::config::{Config, EphemeralUrl};
use crate::failure::Failure;
use crate::keys::factors::FactorKeys;
use crate::keys::{KeyError, Keys};
use crate::mail::Outgoing;
use crate::passwords::Passwords;
use crate::protocol::audit::{Event, EventKind, Flaw, Impersonal};
use crate::protocol::node_secrets::NodeSecrets;
use crate::protocol::secret::Password;
use crate::provider::{Degraded, Outdated, Provider};
use crate::store::cache::Directory;
use crate::store::db::{Db, Kind};
use crate::store::ephemeral::Ephemeral;
use crate::store::migrations::{Applied, Fault, Migrations, Watch, least_version};
use crate::store::user_sessions::Seen;
use crate::store::{StoreError, timely};
use crate::store::{
    logout_outbox, mail_outbox, password_forms, refresh_families, refusals, unthrottled, user_factors, user_links,
    user_passkeys, user_sessions, users,
};
use crate::throttle::Throttle;
use crate::web::fault::FaultCounts;
use crate::web::outbound::Outbound;
use crate::web::remedies;
use crate::webauthn::RelyingParty;
use std::sync::Arc;
use std::time::Duration;

/// How long a database or Redis that is not there yet is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the keys folder is looked at.
const KEYS_INTERVAL: Duration = Duration::from_secs(5);

/// Under which name the readiness tells of files of factor keys.
const FACTOR_KEY_FILES: &str = "factor_key_files";

/// How often the migration files are looked at.
const MIGRATIONS_INTERVAL: Duration = Duration::from_secs(5);

/// The lasting store, as an operator knows it.
const DATABASE: &str = "the database (HALLPASS_DATABASE_URL)";

/// How often names that were written by hand are looked for: every node has seen a change within ten seconds.
const NAMES_INTERVAL: Duration = Duration::from_secs(5);

/// How often the forms of password hashes are looked for.
const FORMS_INTERVAL: Duration = Duration::from_secs(30);

/// How often what has ended is forgotten.
const HOUSE_INTERVAL: Duration = Duration::from_mins(1);

/// How many batches of old audit events are removed at most each time, so that the first day of a retention stalls no
/// request.
const PRUNING_STEPS: usize = 100;

/// Why a start failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A store that did not come up in time.
    #[error("{what} was waited for in vain for {} seconds: {cause}", PATIENCE.as_secs())]
    Unreachable {
        /// Which.
        what: &'static str,
        /// The last answer.
        #[source]
        cause: StoreError,
    },
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Failure),
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => error.into(),
            StartError::Keys(error) => error.into(),
            StartError::Unreachable { what, cause } => {
                Self::from(cause).about(format!("{what} was waited for in vain for {} seconds", PATIENCE.as_secs()))
            }
            StartError::Other(failure) => failure,
        }
    }
}

/// Opens the lasting store and applies what is pending. A file of the admin's that fails is told in the log and stops nothing
/// here.
///
/// # Errors
/// It cannot be reached, or a built-in migration is not applied and cannot be.
pub async fn open_database(config: &Config) -> Result<Db, StartError> {
    let db = retry_until_ready(DATABASE, || Db::open(&config.database_url)).await?;
    let watch = migrate(config, &db).await?;
    tell(&watch.look(&db).await?);
    Ok(db)
}

/// Applies what is pending; gives what is to be looked at again.
async fn migrate(config: &Config, db: &Db) -> Result<Watch, StartError> {
    let migrations = Migrations::read(config.migrations.as_deref()).await?;
    let plan = retry_until_ready(DATABASE, || migrations.plan(db)).await?;
    if let Some(failure) = plan.unreleased() {
        return Err(failure.into());
    }
    for file in &plan.missing {
        tracing::warn!(
            version = file.version,
            file = file.name,
            "a migration that the database has is not among this node's files; another node or a newer version may have it"
        );
    }
    let applied = if plan.pending.is_empty() {
        Some(Applied::default())
    } else {
        match retry_until_ready(DATABASE, || migrations.apply(db)).await {
            Ok(applied) => Some(applied),
            Err(StartError::Store(StoreError::MigrationsLocked)) if !plan.lacks_built_in() => None,
            Err(error) => return Err(error),
        }
    };
    if let Some(applied) = &applied {
        retry_until_ready(DATABASE, || audit::note_migrations(db, &applied.files, Clock::System.now())).await?;
    }
    Ok(Watch::new(config.migrations.clone(), applied, &plan))
}

/// Tells in the log what is wrong with the admin's migration files.
fn tell(faults: &[Fault]) {
    for fault in faults {
        tracing::error!(
            file = fault.file,
            line = fault.line,
            why = fault.why,
            fix = fault.fix,
            "something is wrong with a migration file; everything else continues without it"
        );
    }
}

/// Looks at the migration files every few seconds, so that the readiness tells of one that was edited, and is well again once
/// one that failed has been fixed and applied; and whether this version may still serve on its database.
pub async fn watch_migrations(provider: Arc<Provider>) {
    let mut interval = tokio::time::interval(MIGRATIONS_INTERVAL);
    loop {
        interval.tick().await;
        watch_version(&provider).await;
        match provider.migrations.look(&provider.db).await {
            Ok(faults) => note_faults(&provider.degraded, &faults),
            // Whether it answers is the readiness's own question.
            Err(error) => tracing::debug!(%error, "the migrations could not be looked at"),
        }
    }
}

/// Looks whether this version may still serve. While the database does not answer, what it said last holds.
pub async fn watch_version(provider: &Provider) {
    match timely(least_version(&provider.db)).await {
        Ok(least) => provider.outdated.note(least),
        Err(error) => tracing::debug!(%error, "the least version that may serve could not be read"),
    }
}

/// Tells what is new about the migration files, in the log and for the readiness.
fn note_faults(degraded: &Degraded, faults: &[Fault]) {
    let sentences: Vec<String> = faults.iter().map(Fault::sentence).collect();
    let sentence = (!sentences.is_empty()).then(|| sentences.join("; "));
    if degraded.set("migrations", sentence) {
        tell(faults);
        if faults.is_empty() {
            tracing::info!("nothing is wrong with the migration files any more");
        }
    }
}

/// Opens everything.
///
/// # Errors
/// Whatever keeps the provider from serving, with the fix where we know one.
pub async fn open(config: Config, clock: Clock) -> Result<Arc<Provider>, StartError> {
    let now = clock.now();
    let db = retry_until_ready(DATABASE, || Db::open_for_requests(&config.database_url)).await?;
    let migrations = migrate(&config, &db).await?;
    let degraded = Degraded::default();
    note_faults(&degraded, &migrations.look(&db).await?);
    let outdated = Outdated::default();
    outdated.note(retry_until_ready(DATABASE, || least_version(&db)).await?);
    let ephemeral = retry_until_ready("Redis (HALLPASS_REDIS_URL)", || {
        Ephemeral::open(&config.redis_url, &config.issuer, clock.clone())
    })
    .await?;
    // Several nodes that each made keys of their own would refuse one another's tokens.
    let is_embedded = matches!(db.kind(), Kind::Sqlite(_)) && matches!(config.redis_url, EphemeralUrl::Memory);
    let keys = Keys::open(&config.keys, is_embedded, now)?;
    // What is sealed already has a key somewhere: another would hide that it is not here.
    let is_unsealed = retry_until_ready(DATABASE, || user_factors::by_key(&db)).await?.is_empty();
    let factor_keys = FactorKeys::open(&config.keys, is_embedded && is_unsealed, now)?;
    let (salt, secret) = (Password::from_random(&random::<32>()), Password::from_random(&random::<32>()));
    let pairwise_salt = retry_until_ready(DATABASE, || db.shared_value("pairwise_salt", salt.expose())).await?;
    let root = retry_until_ready(DATABASE, || db.shared_value("root_secret", secret.expose())).await?;
    let secrets = NodeSecrets::new(&root, &pairwise_salt);
    let passwords = Passwords::new()
        .map_err(|error| Failure::new("passwords cannot be checked on this machine").with_source(error))?;
    let outbound = Outbound::new(config.outbound_ca.as_deref())?;
    let outgoing = Outgoing::of(&config)?;
    let directory = Directory::new(db.clone());
    // So that the first to ask for the metadata does not wait for the database.
    if let Err(error) = timely(directory.offered(now)).await {
        tracing::debug!(%error, "the scopes of the organization's own could not be read");
    }
    // Before the first sign-in; where it fails, it is tried again.
    learn_forms(&db, &passwords).await;
    let background = Background::default();
    let audit = Audit::start(db.clone(), clock.clone(), &background);
    let relying_party = RelyingParty::of(&config);
    match user_passkeys::elsewhere(&db, relying_party.as_ref().map(RelyingParty::id)).await {
        Ok(0) => {}
        Ok(passkeys) => {
            let fix = remedies::PASSKEYS_ELSEWHERE;
            tracing::warn!(
                passkeys,
                fix,
                "there are passkeys for another host than the issuer's, which no browser finds here"
            );
        }
        Err(error) => tracing::warn!(%error, "whether there are passkeys for another host could not be looked up"),
    }
    Ok(Arc::new(Provider {
        config,
        clock,
        db,
        ephemeral,
        directory,
        keys,
        factor_keys,
        relying_party,
        passwords,
        outbound,
        outgoing,
        seen: Seen::default(),
        throttle: Throttle::default(),
        background,
        audit,
        secrets,
        faults: FaultCounts::default(),
        degraded,
        outdated,
        migrations,
    }))
}

/// Looks at the keys folder every few seconds, so that a new file works without a restart. A faulty one is
/// reported and changes nothing.
pub async fn watch_keys(provider: Arc<Provider>) {
    let mut interval = tokio::time::interval(KEYS_INTERVAL);
    let mut last_fault = String::new();
    loop {
        interval.tick().await;
        watch_factor_keys(&provider).await;
        let watched = provider.clone();
        match tokio::task::spawn_blocking({
            let watched = watched.clone();
            move || watched.keys.refresh(watched.now())
        })
        .await
        {
            Ok(Ok(changed)) => {
                last_fault.clear();
                watched.degraded.set("keys", None);
                if changed {
                    tracing::info!("the signing keys were read again");
                    let kids = watched.keys.current().kids();
                    watched.audit.record(
                        Event::new(EventKind::KeysChanged, watched.now())
                            .with("keys", Impersonal::configured_list(&kids)),
                    );
                }
            }
            Ok(Err(error)) => {
                let failure = Failure::from(error);
                let fault = failure.to_string();
                if fault != last_fault {
                    watched.degraded.set("keys", Some(format!("{fault}; the keys from before stay in use")));
                    let fix = failure.fix();
                    tracing::error!(
                        fault,
                        fix,
                        "the signing keys could not be read again; the ones from before stay in use"
                    );
                    last_fault = fault;
                }
            }
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return,
            },
        }
    }
}

/// Looks at the factor keys. A faulty file is told and changes nothing.
async fn watch_factor_keys(provider: &Arc<Provider>) {
    let watched = provider.clone();
    // Where it panicked, the watch of the keys does next, and is started again.
    let Ok(refreshed) = tokio::task::spawn_blocking(move || watched.factor_keys.refresh()).await else { return };
    match refreshed {
        Ok(changed) => {
            provider.degraded.set(FACTOR_KEY_FILES, None);
            if changed {
                tracing::info!("the factor keys were read again");
            }
        }
        Err(error) => {
            let failure = Failure::from(error);
            let (fault, fix) = (failure.to_string(), failure.fix());
            if provider.degraded.set(FACTOR_KEY_FILES, Some(format!("{fault}; the keys from before stay in use"))) {
                tracing::error!(
                    fault,
                    fix,
                    "the factor keys could not be read again; the ones from before stay in use"
                );
            }
        }
    }
}

/// Folds the names of users who were added or renamed by hand, as many as they are: a sign-in waits for a few only.
pub async fn watch_names(provider: Arc<Provider>) {
    let mut interval = tokio::time::interval(NAMES_INTERVAL);
    loop {
        interval.tick().await;
        if let Err(error) = users::fold_names(&provider.db).await {
            tracing::debug!(%error, "names of users could not be folded; it is tried again");
        }
    }
}

/// Learns now and then which forms the hashes of passwords have, so that no failed sign-in tells by its time whose name was
/// typed; users who are imported while nodes run bring theirs.
pub async fn watch_forms(provider: Arc<Provider>) {
    let mut interval = tokio::time::interval(FORMS_INTERVAL);
    loop {
        interval.tick().await;
        learn_forms(&provider.db, &provider.passwords).await;
    }
}

/// Learns which forms the hashes of passwords have, and what the dearest of them costs on this machine.
pub async fn learn_forms(db: &Db, passwords: &Passwords) {
    match timely(password_forms::list(db)).await {
        // Where many wait at the gate, it is tried again.
        Ok(forms) => drop(passwords.learn_forms(forms).await),
        Err(error) => tracing::debug!(%error, "the forms of password hashes could not be read; it is tried again"),
    }
}

/// Learns every few seconds whom operators free from the throttle.
pub async fn watch_throttle(provider: Arc<Provider>) {
    let mut interval = tokio::time::interval(NAMES_INTERVAL);
    loop {
        interval.tick().await;
        learn_freed(&provider).await;
    }
}

/// Learns whom operators have freed from the throttle.
pub async fn learn_freed(provider: &Provider) {
    match timely(unthrottled::list(&provider.db)).await {
        Ok(freed) => provider.throttle.learn(freed),
        Err(error) => tracing::debug!(%error, "who was freed from the throttle could not be read; it is tried again"),
    }
}

/// Forgets from time to time what has ended: salts whose window is over, families of long ago, events past their retention.
pub async fn sweep_expired(provider: Arc<Provider>) {
    let mut interval = tokio::time::interval(HOUSE_INTERVAL);
    let mut pruner = Pruner::default();
    loop {
        interval.tick().await;
        let (db, now) = (&provider.db, provider.now());
        let families = refresh_families::sweep(db, provider.config.refresh_reuse_window, now).await;
        let swept = families
            .and(logout_outbox::sweep(db, now).await)
            .and(refusals::sweep(db, now).await)
            .and(user_sessions::sweep(db, now).await)
            .and(user_links::sweep(db, now).await)
            .and(mail_outbox::sweep(db, now).await);
        let swept = swept.and(prune_audit(&provider, &mut pruner).await);
        provider.seen.write(db).await;
        if let Err(error) = swept {
            tracing::warn!(%error, "what has ended could not be forgotten; it is tried again");
        }
    }
}

/// Removes audit events that are older than the operator wants them, if the operator said so.
async fn prune_audit(provider: &Provider, pruner: &mut Pruner) -> Result<(), StoreError> {
    let Some(days) = provider.config.audit_retention else { return Ok(()) };
    let now = provider.now();
    let removed = pruner.prune(&provider.db, pruning::cut(days, now), PRUNING_STEPS, now).await?;
    if removed.events > 0 {
        tracing::info!(
            events = removed.events,
            chains = removed.chains,
            "audit events past their retention were removed"
        );
    }
    for Flaw { chain, sequence, why } in pruner.take_flaws() {
        tracing::error!(chain, sequence, why, "a chain of the audit is not whole, so nothing of it is removed");
    }
    Ok(())
}

/// Tries until it works, or until waiting is pointless.
async fn retry_until_ready<T, F: Future<Output = Result<T, StoreError>>>(
    what: &'static str,
    open: impl Fn() -> F,
) -> Result<T, StartError> {
    let give_up = tokio::time::Instant::now() + PATIENCE;
    let mut waited = false;
    loop {
        match open().await {
            Ok(value) => return Ok(value),
            Err(error) if !error.may_pass() => return Err(error.into()),
            Err(cause) if tokio::time::Instant::now() >= give_up => {
                return Err(StartError::Unreachable { what, cause });
            }
            Err(cause) => {
                if !waited {
                    let seconds = PATIENCE.as_secs();
                    let failure = Failure::from(cause);
                    let fix = failure.fix();
                    tracing::warn!(cause = %failure, fix, "{what} does not answer; waiting for it, {seconds} seconds at most");
                    waited = true;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
