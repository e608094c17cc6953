//! rfc9207_issuer.
