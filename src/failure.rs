//! What an operator is told: what happened, how it is fixed and the error behind it, each for itself, until the code that
//! prints it decides how. `told` is the one place where they become a text.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;

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
    /// Whether `what` says in plain words what the source says in its own.
    is_said: bool,
    further: Vec<Failure>,
}

impl Failure {
    /// What happened, in one sentence without a full stop, and without what to do about it.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        let parts = Parts {
            what: what.into(),
            fix: None,
            notes: Vec::new(),
            source: None,
            is_said: false,
            further: Vec::new(),
        };
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

    /// The error behind it, which `what` says in plain words: it is kept and not shown.
    #[must_use]
    pub fn behind(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self.0.is_said = true;
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
        let of_system = || Some(of_system(self.shown_source()?.downcast_ref()?)?.1);
        self.0.fix.as_deref().or_else(of_system)
    }

    fn shown_source(&self) -> Option<&Source> {
        self.0.source.as_ref().filter(|_| !self.0.is_said)
    }

    /// As a terminal shows it.
    #[must_use]
    pub fn told(&self) -> String {
        let fix = self.fix().into_iter().map(|fix| (FIX, fix));
        let mut text = told(self, fix.chain(self.0.notes.iter().map(|(label, text)| (*label, text.as_str()))));
        for further in &self.0.further {
            let _ = write!(text, "\n{}", further.told());
        }
        text
    }
}

/// What happened, and the error behind it.
impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shown_source() {
            Some(source) => write!(formatter, "{}: {}", self.0.what, in_words(source.as_ref())),
            None => formatter.write_str(&self.0.what),
        }
    }
}

/// What a file, a folder or an address cannot be used for, and what to do; `None`: the system's own words are best.
fn of_system(error: &io::Error) -> Option<(&'static str, &'static str)> {
    use io::ErrorKind as Kind;
    Some(match error.kind() {
        Kind::NotFound => ("there is no such file or folder", "make it, or name the right one"),
        Kind::PermissionDenied => (
            "permission denied: the user that runs `hallpass` may not do this with it",
            "give that user the right with chown or chmod, or name another place",
        ),
        Kind::IsADirectory => ("it is a folder, not a file", "name a file"),
        Kind::NotADirectory => ("it, or a part of its path, is a file and not a folder", "name the right place"),
        Kind::AlreadyExists => ("it is there already", "move it elsewhere, or name another place"),
        Kind::ReadOnlyFilesystem => ("its file system is read-only", "name a place that can be written"),
        Kind::StorageFull => ("the disk is full", "make room on it"),
        Kind::QuotaExceeded => ("the quota of the disk is used up", "make room on it"),
        Kind::InvalidData if error.to_string().contains("UTF-8") => ("it is not UTF-8 text", "save it as UTF-8"),
        _ => return None,
    })
}

/// What an error says, without numbers of the system's.
#[must_use]
pub fn in_words(error: &(dyn Error + 'static)) -> String {
    let of_system = error.downcast_ref().and_then(of_system);
    of_system.map_or_else(|| without_number(&error.to_string()), |(words, _)| words.to_owned())
}

/// `Connection refused (os error 111)` as people say it.
fn without_number(text: &str) -> String {
    match text.split_once(" (os error ") {
        Some((words, rest)) if rest.ends_with(')') => {
            let mut words = words.to_owned();
            if let Some(first) = words.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            words
        }
        _ => text.to_owned(),
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
        told(&self.what, [(FIX, self.fix.as_str())])
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
fn told<'a>(what: &dyn fmt::Display, lines: impl IntoIterator<Item = (&'static str, &'a str)>) -> String {
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
        let said = "hallpass.db: permission denied: the user that runs `hallpass` may not do this with it";
        assert_eq!(failure.to_string(), said);
        assert_eq!(failure.told(), format!("{said}\n  Fix: chmod 600 hallpass.db"));
        let said = Failure::new("hallpass.db is read-only").behind(io());
        assert_eq!((said.to_string().as_str(), said.fix()), ("hallpass.db is read-only", None));
        assert_eq!(Error::source(&said).unwrap().to_string(), io().to_string());
    }

    #[test]
    fn what_the_system_says_of_a_file_is_said_in_plain_words_and_with_a_fix() {
        let missing = Failure::at("x.pem", std::fs::read("/nowhere/x.pem").unwrap_err());
        assert_eq!(missing.told(), "x.pem: there is no such file or folder\n  Fix: make it, or name the right one");
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(in_words(&refused), "connection refused");
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
