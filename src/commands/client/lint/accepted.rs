//! Findings that a comment accepts, and comments that accept nothing.

use super::{Finding, Level, Place};
use crate::commands::acceptance::Acceptance;

/// A comment of a file that accepts something.
pub(super) struct Order {
    pub(super) place: Place,
    pub(super) acceptance: Acceptance,
    /// Whether later statements changed what its statement wrote, so that it may have fitted then: applied files are not
    /// edited for that.
    pub(super) is_past: bool,
}

/// Splits findings into those that stand and those that are accepted, with the reason; says which comments fit nothing.
pub(super) fn sort_out(findings: Vec<Finding>, orders: &[Order]) -> (Vec<Finding>, Vec<(Finding, String)>) {
    let fits = |order: &Order, finding: &Finding| {
        order.place.statement != 0
            && order.place.statement == finding.place.statement
            && order.acceptance.code == finding.code
    };
    let mut standing = Vec::new();
    for order in orders {
        let mut meant = findings.iter().filter(|finding| fits(order, finding)).peekable();
        let code = &order.acceptance.code;
        let why = if meant.peek().is_none() {
            if order.is_past {
                continue;
            }
            format!("no finding {code} of this statement is there to be accepted")
        } else if meant.any(|finding| finding.is_acceptable) {
            continue;
        } else {
            format!("this {code} cannot be accepted")
        };
        standing.push(Finding {
            place: Place { statement: 0, ..order.place.clone() },
            level: Level::Warning,
            code: "acceptance",
            why,
            fix: "take the comment out, or put it before the statement that it is about".to_owned(),
            is_acceptable: false,
        });
    }
    let mut accepted = Vec::new();
    for finding in findings {
        let order = orders.iter().find(|order| finding.is_acceptable && fits(order, &finding));
        match order {
            Some(order) => accepted.push((finding, order.acceptance.reason.clone())),
            None => standing.push(finding),
        }
    }
    (standing, accepted)
}
