//! What an operator is told: what happened, how it is fixed and the error behind it, each for itself, until the code that
//! prints it decides how. `told` is the one place where they become a text.

use std::error::Error;
use std::fmt::{self, Write as _};

/// The error behind a failure, of a library or of our own.
pub type Source = Box<dyn Error + Send + Sync>;

/// Why something that an operator wants cannot be done.
#[derive(Debug)]
pub struct Failure(Box<Parts>);

#[derive(Debug)]
struct Parts {
    what: String,
    fix: Option<String>,
    notes: Vec<(&'static str, String)>,
    source: Option<Source>,
    further: Vec<Failure>,
}

impl Failure {
    /// What happened, in one sentence without a full stop, and without what to do about it.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        let parts = Parts { what: what.into(), fix: None, notes: Vec::new(), source: None, further: Vec::new() };
        Self(Box::new(parts))
    }

    /// An error of a file, a folder or a stream: its name, and what is behind it.
    #[must_use]
    pub fn at(place: impl fmt::Display, source: impl Into<Source>) -> Self {
        Self::new(place.to_string()).with_source(source)
    }

    /// Several at once, which a terminal shows one below the other. `None`: there is none.
    #[must_use]
    pub fn all(failures: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut failures = failures.into_iter();
        let mut first = failures.next()?;
        first.0.further.extend(failures);
        Some(first)
    }

    /// What the operator can do about it.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.0.fix = Some(fix.into());
        self
    }

    /// The error behind it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// A further line under the fix, with its label, such as an example.
    #[must_use]
    pub fn with_note(mut self, label: &'static str, text: impl Into<String>) -> Self {
        self.0.notes.push((label, text.into()));
        self
    }

    /// The same, with what it is about before what happened.
    #[must_use]
    pub fn about(mut self, subject: impl fmt::Display) -> Self {
        self.0.what = format!("{subject}: {}", self.0.what);
        self
    }

    /// What happened, without the error behind it.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// What the operator can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<&str> {
        self.0.fix.as_deref()
    }

    /// As a terminal shows it.
    #[must_use]
    pub fn told(&self) -> String {
        let fix = self.0.fix.iter().map(|fix| (FIX, fix));
        let mut text = told(self, fix.chain(self.0.notes.iter().map(|(label, text)| (*label, text))));
        for further in &self.0.further {
            let _ = write!(text, "\n{}", further.told());
        }
        text
    }
}

/// What happened, and the error behind it.
impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.source {
            Some(source) => write!(formatter, "{}: {source}", self.0.what),
            None => formatter.write_str(&self.0.what),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source: &(dyn Error + 'static) = self.0.source.as_deref()?;
        Some(source)
    }
}

/// What works, and had better be otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What is so, in one sentence without a full stop.
    pub what: String,
    /// What the operator can do about it.
    pub fix: String,
}

impl Warning {
    /// What is so, and what to do about it.
    #[must_use]
    pub fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }

    /// As a terminal shows it.
    #[must_use]
    pub fn told(&self) -> String {
        told(&self.what, [(FIX, &self.fix)])
    }
}

/// How a line begins that says what to do.
const FIX: &str = "Fix";

/// The line that says what to do, without its indentation.
#[must_use]
pub fn fix_line(fix: &str) -> String {
    labeled(FIX, fix)
}

fn labeled(label: &str, text: &str) -> String {
    format!("{label}: {text}")
}

/// What happened, and below it a line for each that has a label.
fn told<'a>(what: &dyn fmt::Display, lines: impl IntoIterator<Item = (&'static str, &'a String)>) -> String {
    let mut text = what.to_string();
    for (label, line) in lines {
        let _ = write!(text, "\n  {}", labeled(label, line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_the_fix_and_the_error_behind_it_are_fields_and_become_one_text_at_the_end() {
        let io = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let failure = Failure::at("hallpass.db", io()).with_fix("chmod 600 hallpass.db");
        assert_eq!((failure.what(), failure.fix()), ("hallpass.db", Some("chmod 600 hallpass.db")));
        assert_eq!(failure.source().unwrap().to_string(), io().to_string());
        assert_eq!(failure.to_string(), "hallpass.db: permission denied");
        assert_eq!(failure.told(), "hallpass.db: permission denied\n  Fix: chmod 600 hallpass.db");
    }

    #[test]
    fn notes_follow_the_fix_and_several_failures_one_another() {
        let first = Failure::new("a is wrong").with_note("Example", "a=1").with_fix("correct it");
        let second = Failure::new("wrong").about("b");
        assert_eq!(
            Failure::all([first, second]).unwrap().told(),
            "a is wrong\n  Fix: correct it\n  Example: a=1\nb: wrong"
        );
        assert!(Failure::all([]).is_none());
    }

    #[test]
    fn a_warning_is_told_like_a_failure() {
        assert_eq!(Warning::new("it is slow", "wait").told(), "it is slow\n  Fix: wait");
        assert_eq!(fix_line("wait"), "Fix: wait");
    }
}
