//! oidc_discovery.
