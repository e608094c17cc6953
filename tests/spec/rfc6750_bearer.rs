//! rfc6750_bearer.
