//! rfc6749_code_grant.
