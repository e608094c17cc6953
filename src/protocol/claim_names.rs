//! Names of claims: which the specifications define, which scope opens them, and which can be no user's own and no map's.
//!
//! OIDC Core 5.1 (standard claims), 5.4 (scopes), 2 (`id_token`), RFC 7519 section 4.1, RFC 7662 section 2.2, RFC 9068 section 2.2.

use serde_json::Value;

/// The claims each scope asks for, [OIDC Core 5.4](https://openid.net/specs/openid-connect-core-1_0.html#ScopeClaims), and
/// `groups`, as relying parties ask for them.
pub const CLAIMS_OF_SCOPES: &[(&str, &[&str])] = &[
    (
        "profile",
        &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("address", &["address"]),
    ("phone", &["phone_number", "phone_number_verified"]),
    (GROUPS, &[GROUPS]),
];

/// The claim of the groups a user is a member of, and the scope that opens it.
pub const GROUPS: &str = "groups";

/// Claims of the `id_token` itself that discovery lists beside those of the scopes.
pub const ID_TOKEN_CLAIMS: &[&str] =
    &["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "amr", "acr"];

/// What tokens and introspection say about themselves: a claim of that name would be believed to be theirs.
pub const RESERVED: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "auth_time",
    "acr",
    "amr",
    "azp",
    "sid",
    "at_hash",
    "c_hash",
    "cnf",
    "client_id",
    "scope",
    "active",
    "token_type",
    "username",
    "_claim_names",
    "_claim_sources",
];

/// The longest value of a claim of a user or a group, in bytes of JSON.
pub const LONGEST_VALUE: usize = 16 * 1024;

/// The longest name, in bytes.
const LONGEST: usize = 255;

/// The scope that opens a claim, for the standard ones and `groups`.
#[must_use]
pub fn scope_of(claim: &str) -> Option<&'static str> {
    CLAIMS_OF_SCOPES.iter().find(|(_, claims)| claims.contains(&claim)).map(|(scope, _)| *scope)
}

/// Why a name can be no claim that a user or a group has in `user_claims` and `group_claims`; `None` when it can.
#[must_use]
pub fn user_claim_fault(name: &str) -> Option<String> {
    form_fault(name).or_else(|| reserved_fault(name)).or_else(|| standard_fault(name))
}

/// What a row of `user_claims` or `group_claims` tells.
///
/// # Errors
/// Why it tells nothing: its name can be no claim, or its value is too long or no JSON.
pub fn told_of_row(claim: &str, value: &str) -> Result<Value, UntoldRow> {
    if let Some(why) = user_claim_fault(claim) {
        return Err(UntoldRow(why));
    }
    if value.len() > LONGEST_VALUE {
        return Err(UntoldRow(format!("its value has {} bytes, and {LONGEST_VALUE} are the most", value.len())));
    }
    serde_json::from_str(value).map_err(|_| UntoldRow("its value is no JSON".to_owned()))
}

/// Why a row that was written by hand tells nothing, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntoldRow(pub String);

/// Why a name can be no output of a map; `None` when it can. `groups` can, where it is made of the groups: `is_groups`.
#[must_use]
pub fn output_fault(name: &str, is_groups: bool) -> Option<String> {
    if name == GROUPS && is_groups {
        return None;
    }
    form_fault(name).or_else(|| reserved_fault(name)).or_else(|| standard_fault(name))
}

/// Why a text can be the name of no claim and no member, whatever it means.
#[must_use]
pub fn form_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("a claim needs a name".to_owned())
    } else if name.len() > LONGEST {
        Some(format!("a name of {} bytes is too long; {LONGEST} are the most", name.len()))
    } else if name.chars().any(|character| character.is_whitespace() || character.is_control()) {
        Some(format!("the name {name:?} has a space or a control character"))
    } else {
        None
    }
}

fn reserved_fault(name: &str) -> Option<String> {
    RESERVED.contains(&name).then(|| format!("{name} is set by the protocol itself"))
}

fn standard_fault(name: &str) -> Option<String> {
    if name == GROUPS {
        return Some("groups come from group_members alone".to_owned());
    }
    scope_of(name).map(|_| format!("{name} is a standard claim, which comes from the columns of users alone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_protocol_or_of_a_column_is_no_users_claim() {
        for name in ["department", "https://example.com/claims/level", "roles", "entitlements", "ünïcode"] {
            assert_eq!(user_claim_fault(name), None, "{name}");
            assert_eq!(output_fault(name, false), None, "{name}");
        }
        let long = "x".repeat(256);
        for name in ["", " ", "a b", "a\tb", "a\u{0}", &long, "email", "email_verified", "address", "updated_at"] {
            assert!(user_claim_fault(name).is_some() && output_fault(name, false).is_some(), "{name:?}");
        }
        for name in RESERVED {
            assert!(user_claim_fault(name).is_some() && output_fault(name, true).is_some(), "{name}");
        }
        assert!(user_claim_fault(GROUPS).is_some() && output_fault(GROUPS, false).is_some());
        assert_eq!(output_fault(GROUPS, true), None);
    }
}
