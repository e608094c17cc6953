//! A fault of ours while a request is answered: what broke, as a kind that can be counted, with its cause. No client is
//! told more than whether it may pass.

use crate::failure::Failure;
use crate::keys::KeyError;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::reason::Reason;
use crate::protocol::worded::worded;
use crate::store::StoreError;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

worded! {
    /// What broke. The codes are stable; `docs/failures.md` lists them.
    FaultKind {
        /// The database does not answer, or not now.
        DatabaseUnavailable = "database_unavailable",
        /// The database did not answer in time.
        DatabaseLate = "database_late",
        /// The database refuses what it was asked.
        DatabaseFailed = "database_failed",
        /// A migration could not be applied.
        MigrationFailed = "migration_failed",
        /// A row says something that cannot be acted on.
        RowFaulty = "row_faulty",
        /// Redis does not answer, or refuses.
        RedisFailed = "redis_failed",
        /// A record in the short-lived store cannot be read.
        RecordUnreadable = "record_unreadable",
        /// The short-lived store is full.
        StoreFull = "store_full",
        /// A file of a store, or how it is set up.
        StoreFile = "store_file",
        /// No key signs with the algorithm of the client.
        KeyMissing = "key_missing",
        /// A key could not sign.
        SigningFailed = "signing_failed",
        /// What should be impossible.
        Bug = "bug",
        /// A handler panicked.
        Panic = "panic",
    }
}

impl FaultKind {
    /// Whether the same request may work in a moment.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::DatabaseUnavailable | Self::DatabaseLate | Self::RedisFailed | Self::StoreFull)
    }

    /// What can be done about it, where the cause itself does not say.
    #[must_use]
    pub const fn fix(self) -> &'static str {
        match self {
            Self::DatabaseUnavailable | Self::DatabaseLate => {
                "is the database up, and can this machine reach it? `hallpass doctor` tells; nothing needs a restart once it answers"
            }
            Self::DatabaseFailed => {
                "does the user of HALLPASS_DATABASE_URL own the tables, and are all migrations applied? `hallpass migrate --check`"
            }
            Self::MigrationFailed => "`hallpass migrate` says which file, and why",
            Self::RowFaulty => "`hallpass client lint` and `hallpass doctor` name row, column and what to write",
            Self::RedisFailed => {
                "is Redis up, and can this machine reach it? `hallpass doctor` tells; nothing needs a restart once it answers"
            }
            Self::RecordUnreadable => {
                "is another program, or another version, using the same Redis database? Records live for minutes; the user signs in again"
            }
            Self::StoreFull => "give Redis more memory (maxmemory), or without HALLPASS_REDIS_URL use one",
            Self::StoreFile => "the cause names the file; is the disk full, or the folder not ours to write?",
            Self::KeyMissing => "`hallpass key plan` shows which key signs when",
            Self::SigningFailed => {
                "`hallpass key plan` reads every key; restore the file, or make another with `hallpass key new`"
            }
            Self::Bug | Self::Panic => "please report it, with this log record; it is our mistake",
        }
    }

    /// The OAuth code it is told by.
    #[must_use]
    pub const fn error_code(self) -> ErrorCode {
        if self.may_pass() { ErrorCode::TemporarilyUnavailable } else { ErrorCode::ServerError }
    }
}

/// How many faults of each kind there were.
#[derive(Debug, Default)]
pub struct FaultCounts([AtomicU64; FaultKind::ALL.len()]);

impl FaultCounts {
    /// Counts one.
    pub fn count(&self, kind: FaultKind) {
        if let Some(count) = self.0.get(kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were of a kind.
    #[must_use]
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.0.get(kind as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

/// A sentence that says what should have been impossible.
#[derive(Debug)]
struct Sentence(String);

impl fmt::Display for Sentence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Error for Sentence {}

/// A fault of ours.
#[derive(Debug)]
pub struct Fault {
    /// What broke.
    pub kind: FaultKind,
    /// What the operator can do, where that is known.
    pub fix: Option<String>,
    source: Box<dyn Error + Send + Sync>,
}

impl Fault {
    fn new(kind: FaultKind, source: impl Error + Send + Sync + 'static) -> Self {
        Self { kind, fix: None, source: Box::new(source) }
    }

    /// What an operator would be told of at the command line, too.
    fn of(kind: FaultKind, failure: Failure) -> Self {
        Self { fix: failure.fix().map(str::to_owned), ..Self::new(kind, failure) }
    }

    /// What should be impossible.
    #[must_use]
    pub fn bug(what: &'static str) -> Self {
        Self::new(FaultKind::Bug, Sentence(what.to_owned()))
    }

    /// A handler panicked.
    #[must_use]
    pub fn panic(message: String) -> Self {
        Self::new(FaultKind::Panic, Sentence(message))
    }

    /// The cause, and the causes behind it that it does not tell itself.
    #[must_use]
    pub fn cause(&self) -> String {
        let mut text = self.source.to_string();
        let mut next = self.source.source();
        while let Some(cause) = next {
            let more = cause.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            next = cause.source();
        }
        text
    }

    /// What the client is told.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        Refusal::new(if self.kind.may_pass() { Reason::StoreUnreachable } else { Reason::Failed })
    }
}

fn kind_of(error: &StoreError) -> FaultKind {
    match error {
        StoreError::Shared(error) => kind_of(error),
        StoreError::Late => FaultKind::DatabaseLate,
        StoreError::Redis(_) => FaultKind::RedisFailed,
        StoreError::Full => FaultKind::StoreFull,
        StoreError::Record(_) => FaultKind::RecordUnreadable,
        StoreError::Inconsistent { .. } => FaultKind::RowFaulty,
        StoreError::Setup(_) => FaultKind::StoreFile,
        StoreError::Unusable { .. } => FaultKind::DatabaseUnavailable,
        StoreError::Database(_) | StoreError::Migration(_) | StoreError::MigrationsLocked if error.may_pass() => {
            FaultKind::DatabaseUnavailable
        }
        StoreError::Database(_) => FaultKind::DatabaseFailed,
        StoreError::Migration(_) | StoreError::MigrationsLocked => FaultKind::MigrationFailed,
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let kind = kind_of(&error);
        match error {
            StoreError::Inconsistent { table, key, why, fix } => {
                Self { fix: Some(fix), ..Self::new(kind, Sentence(format!("table {table}, {key:?}: {why}"))) }
            }
            StoreError::Setup(failure) => Self::of(kind, failure),
            error => Self::new(kind, error),
        }
    }
}

impl From<KeyError> for Fault {
    fn from(error: KeyError) -> Self {
        let kind = match &error {
            KeyError::NoRs256 { .. } | KeyError::Missing { .. } => FaultKind::KeyMissing,
            _ => FaultKind::SigningFailed,
        };
        Self::of(kind, error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_a_code_of_its_own_that_the_page_of_failures_lists() {
        let page = include_str!("../../docs/failures.md");
        let codes: HashSet<_> = FaultKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(codes.len(), FaultKind::ALL.len());
        for code in codes {
            assert!(page.contains(&format!("| `{code}` |")), "{code}");
        }
    }

    #[test]
    fn faults_are_counted_by_their_kind() {
        let counts = FaultCounts::default();
        counts.count(FaultKind::Panic);
        counts.count(FaultKind::Panic);
        counts.count(FaultKind::DatabaseUnavailable);
        assert_eq!((counts.of(FaultKind::Panic), counts.of(FaultKind::DatabaseUnavailable)), (2, 1));
        assert_eq!(counts.of(FaultKind::Bug), 0);
    }

    #[test]
    fn the_cause_tells_what_is_behind_it_once() {
        let unreadable = serde_json::from_str::<i64>("x").unwrap_err();
        let fault = Fault::from(StoreError::Record(unreadable));
        assert_eq!((fault.kind, fault.refusal().code()), (FaultKind::RecordUnreadable, ErrorCode::ServerError));
        let cause = fault.cause();
        assert!(
            cause.ends_with("expected value at line 1 column 1") && cause.matches("line 1").count() == 1,
            "{cause}"
        );
        assert_eq!(Fault::from(StoreError::Late).refusal().code(), ErrorCode::TemporarilyUnavailable);
        let fault = Fault::from(StoreError::Inconsistent {
            table: "clients",
            key: "a".into(),
            why: "x".into(),
            fix: "y".into(),
        });
        assert_eq!((fault.kind, fault.cause().as_str()), (FaultKind::RowFaulty, "table clients, \"a\": x"));
        assert_eq!((fault.refusal().code(), fault.fix.as_deref()), (ErrorCode::ServerError, Some("y")));
    }
}
