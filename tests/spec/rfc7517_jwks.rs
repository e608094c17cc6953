//! rfc7517_jwks.
