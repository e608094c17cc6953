//! relying_parties.
