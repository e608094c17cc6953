//! What an import finds out, told as it is found: a line each, or all at once as JSON.

use crate::commands::Outcome;
use crate::commands::terminal::{Report, is_there, one_line};
use crate::store::imports::run::{Listener, Options, Tally};
use crate::store::imports::{Finding, Weight};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// How often the bar is drawn, in users.
const DRAWN_EVERY: u64 = 2000;
const WIDTH: u64 = 30;

/// What is told.
pub(super) struct Told {
    file: String,
    report: Report,
    /// What is found out is told already.
    is_hushed: bool,
    has_bar: bool,
    faults: u64,
    documents: [Vec<Value>; 4],
}

impl Told {
    pub(super) fn new(file: &Path, report: Report) -> Self {
        let file = one_line(&file.display().to_string());
        Self { file, report, is_hushed: false, has_bar: is_there(), faults: 0, documents: Default::default() }
    }

    /// From now on findings are those of before.
    pub(super) const fn hush(&mut self) {
        self.is_hushed = true;
    }

    /// Faults that were found while the source was read.
    pub(super) const fn faults(&self) -> u64 {
        self.faults
    }

    /// Something was found out while the source was read.
    pub(super) fn found_by_reader(&mut self, finding: &Finding) {
        self.faults += u64::from(finding.weight == Weight::Fault);
        self.tell(finding);
    }

    fn tell(&mut self, finding: &Finding) {
        if self.is_hushed {
            return;
        }
        if self.report.is_json() {
            let at = match finding.weight {
                Weight::Fault => 0,
                Weight::LeftOut => 1,
                Weight::SharedAddress => 2,
                Weight::Note => 3,
            };
            self.documents[at].push(json!({
                "table": finding.place.table,
                "key": finding.place.key,
                "line": finding.place.line,
                "member": finding.member,
                "why": one_line(&finding.why),
                "fix": finding.fix,
            }));
            return;
        }
        self.clear_bar();
        println!("{}", self.line(finding));
    }

    fn line(&self, finding: &Finding) -> String {
        let Finding { weight, place, member, why, fix } = finding;
        let mut text = match (&place.table, place.line) {
            (None, Some(line)) => format!("{}:{line}: ", self.file),
            (Some(table), _) if place.key.is_empty() && member.is_empty() => format!("{table}: "),
            (Some(table), Some(line)) => format!("{table} {} (line {line}): {member}: ", place.key),
            (Some(table), None) => format!("{table} {}: {member}: ", place.key),
            (None, None) if place.key.is_empty() => String::new(),
            (None, None) => format!("{}: ", place.key),
        };
        if *weight == Weight::LeftOut {
            text.push_str("not taken: ");
        }
        text.push_str(why);
        if let Some(fix) = fix {
            let _ = write!(text, "; {fix}");
        }
        one_line(&text)
    }

    fn clear_bar(&self) {
        if self.has_bar {
            eprint!("\r\u{1b}[K");
        }
    }

    /// Prints the document, where one is wanted.
    pub(super) fn finish(&mut self, options: &Options, tally: &Tally, is_applied: bool) -> Outcome {
        self.clear_bar();
        let [faults, left_out, shared_addresses, notes] = std::mem::take(&mut self.documents);
        let document = json!({
            "source": options.source,
            "users": tally.added,
            "without_password": tally.without_password,
            "changed": tally.changed,
            "unchanged": tally.unchanged,
            "groups": tally.groups,
            "group_claims": tally.group_claims,
            "missing": tally.missing,
            "disabled": tally.disabled,
            "is_changed": is_applied && tally.is_change(),
            "faults": faults,
            "left_out": left_out,
            "shared_addresses": shared_addresses,
            "notes": notes,
        });
        self.report.print(&document, None)
    }
}

impl Listener for Told {
    fn found(&mut self, finding: Finding) {
        self.tell(&finding);
    }

    fn reached(&mut self, number: u64, of: u64) {
        let is_drawn = number == of || number / DRAWN_EVERY != number.saturating_sub(500) / DRAWN_EVERY;
        if !self.has_bar || !is_drawn || of == 0 {
            return;
        }
        let full = usize::try_from(number * WIDTH / of).unwrap_or_default();
        let empty = usize::try_from(WIDTH).unwrap_or_default().saturating_sub(full);
        eprint!("\r[{}{}] {number} of {of} users", "#".repeat(full), ".".repeat(empty));
    }
}

/// What would be done.
pub(super) fn summary(tally: &Tally) -> String {
    let mut text = format!("{} to add, {} of them without a password", tally.added, tally.without_password);
    for (number, what) in [
        (tally.changed, "to change"),
        (tally.unchanged, "as the source has them"),
        (tally.left_out, "left out"),
        (tally.groups, "groups to make"),
        (tally.missing, "gone from the source"),
        (tally.disabled, "of these to disable"),
    ] {
        if number > 0 {
            let _ = write!(text, "; {number} {what}");
        }
    }
    let _ = write!(text, "; {} with faults", tally.faults);
    if tally.shared > 0 {
        let _ = write!(text, "; {} with an address that another user has too", tally.shared);
    }
    text
}

/// What was done.
pub(super) fn done(tally: &Tally) -> String {
    let mut text = format!("added {} users", tally.added);
    for (number, what) in [
        (tally.changed, "changed"),
        (tally.unchanged, "left as they were"),
        (tally.left_out, "left out"),
        (tally.disabled, "disabled"),
    ] {
        if number > 0 {
            let _ = write!(text, ", {what} {number}");
        }
    }
    text
}
