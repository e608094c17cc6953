//! What the source says of a member, what it said last and what is here: which of them counts.

use crate::protocol::secret::Digest;
use std::collections::BTreeMap;

/// Digests by the names of members; nothing is in it of a member that has no value.
pub(super) type Digests = BTreeMap<String, String>;

/// What is kept of a value: 22 characters, of this user's alone, so that two who have the same do not look alike.
pub(super) fn digest(whose: &str, member: &str, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    Digest::of(&["user source", whose, member, value]).as_str()[..22].to_owned()
}

/// Which of them counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Here it is as the source has it.
    Same,
    /// The source changed it, and here it is as it was brought over.
    Take,
    /// It was changed here, and the source says what it said.
    ChangedHere,
    /// It was changed on both sides; what is here stays.
    ChangedOnBoth,
}

/// Compares digests; the empty one is that of no value.
pub(super) fn decide(last: &str, source: &str, here: &str) -> Verdict {
    if source == here {
        Verdict::Same
    } else if here == last {
        Verdict::Take
    } else if source == last {
        Verdict::ChangedHere
    } else {
        Verdict::ChangedOnBoth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_taken_only_where_the_source_alone_changed_it() {
        for (last, source, here, verdict) in [
            ("a", "a", "a", Verdict::Same),
            ("a", "b", "a", Verdict::Take),
            ("a", "", "a", Verdict::Take),
            ("", "b", "", Verdict::Take),
            ("a", "a", "b", Verdict::ChangedHere),
            ("a", "a", "", Verdict::ChangedHere),
            ("a", "b", "c", Verdict::ChangedOnBoth),
            ("a", "", "c", Verdict::ChangedOnBoth),
            ("", "b", "c", Verdict::ChangedOnBoth),
            ("a", "b", "b", Verdict::Same),
        ] {
            assert_eq!(decide(last, source, here), verdict, "{last:?} {source:?} {here:?}");
        }
    }

    #[test]
    fn no_value_has_no_digest_and_equal_values_of_two_users_look_unlike() {
        assert_eq!(digest("1", "email", ""), "");
        assert_ne!(digest("1", "email", "a"), digest("2", "email", "a"));
        assert_ne!(digest("1", "email", "a"), digest("1", "name", "a"));
    }
}
