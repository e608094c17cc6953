//! What is known of a user beyond the columns of their row: groups, and claims of their own or of their groups.

use crate::protocol::time::NumericDate;
use serde_json::Value;
use std::collections::BTreeSet;

/// A membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group's name.
    pub group: String,
    /// The instant it ends; `None`: not by itself.
    pub until: Option<NumericDate>,
}

impl Membership {
    /// Whether it lasts.
    #[must_use]
    pub fn is_live(&self, now: NumericDate) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// A claim beyond the standard ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Its name.
    pub claim: String,
    /// Its value, any JSON.
    pub value: Value,
    /// The membership that it comes with; `None`: the user's own.
    pub of: Option<Membership>,
}

/// Groups and further claims of one user, by their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Every membership, also one that has ended, in the order of the groups' names.
    pub memberships: Vec<Membership>,
    /// Every claim, in the order of the names.
    pub claims: Vec<Fact>,
}

/// Of a user of whom nothing is known, and of a machine.
pub static NO_FACTS: Facts = Facts { memberships: Vec::new(), claims: Vec::new() };

impl Facts {
    /// The groups that the user is a member of now, by name.
    pub fn groups(&self, now: NumericDate) -> impl Iterator<Item = &str> {
        self.memberships.iter().filter(move |membership| membership.is_live(now)).map(|it| it.group.as_str())
    }

    /// Whether the user is a member of a group now.
    #[must_use]
    pub fn is_in(&self, group: &str, now: NumericDate) -> bool {
        self.groups(now).any(|name| name == group)
    }

    /// The value of a claim: the user's own and those of their groups. Several that differ are one list, the user's own first.
    #[must_use]
    pub fn claim(&self, name: &str, now: NumericDate) -> Option<Value> {
        let is_live = |fact: &&Fact| fact.claim == name && fact.of.as_ref().is_none_or(|of| of.is_live(now));
        let mut found: Vec<&Value> = self.claims.iter().filter(is_live).map(|fact| &fact.value).collect();
        found.dedup();
        match found.as_slice() {
            [] => None,
            [only] => Some((*only).clone()),
            several => {
                let (mut all, mut seen): (Vec<Value>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
                for value in several {
                    let items = match value {
                        Value::Array(items) => items.as_slice(),
                        one => std::slice::from_ref(*one),
                    };
                    for item in items {
                        if seen.insert(item.to_string()) {
                            all.push(item.clone());
                        }
                    }
                }
                Some(Value::Array(all))
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A member of those groups.
    pub(crate) fn member_of(groups: &[&str]) -> Facts {
        let membership = |group: &&str| Membership { group: (*group).to_owned(), until: None };
        Facts { memberships: groups.iter().map(membership).collect(), claims: Vec::new() }
    }

    #[test]
    fn a_membership_lasts_until_its_instant_and_not_at_it() {
        let mut facts = member_of(&["admins", "staff"]);
        facts.memberships[0].until = Some(NumericDate(100));
        assert_eq!(facts.groups(NumericDate(99)).collect::<Vec<_>>(), ["admins", "staff"]);
        assert_eq!(facts.groups(NumericDate(100)).collect::<Vec<_>>(), ["staff"]);
        assert!(!facts.is_in("admins", NumericDate(100)) && !facts.is_in("Staff", NumericDate(1)));
    }

    #[test]
    fn claims_of_user_and_groups_are_one_list_without_repetition() {
        let of = |group: &str, until| Membership { group: group.to_owned(), until };
        let fact = |value: Value, of| Fact { claim: "permission".to_owned(), value, of };
        let facts = Facts {
            memberships: Vec::new(),
            claims: vec![
                fact(json!("read"), None),
                fact(json!(["write", "read"]), Some(of("editors", None))),
                fact(json!("erase"), Some(of("admins", Some(NumericDate(50))))),
            ],
        };
        assert_eq!(facts.claim("permission", NumericDate(49)), Some(json!(["read", "write", "erase"])));
        assert_eq!(facts.claim("permission", NumericDate(50)), Some(json!(["read", "write"])));
        assert_eq!(facts.claim("other", NumericDate(1)), None);
        let one = Facts { claims: vec![fact(json!({"a": 1}), None)], ..Facts::default() };
        assert_eq!(one.claim("permission", NumericDate(1)), Some(json!({"a": 1})));
        let same =
            Facts { claims: vec![fact(json!("x"), None), fact(json!("x"), Some(of("g", None)))], ..Facts::default() };
        assert_eq!(same.claim("permission", NumericDate(1)), Some(json!("x")));
    }
}
