//! Addresses that are nearly ours: which endpoint is meant by a path that leads nowhere, for log and `hallpass explain`.
//!
//! The answer stays 404. What is served under two addresses is compared by clients, caches and proxies, and mistaken.

use crate::endpoints::path;

/// What other providers, and people, call an endpoint: the last part of its path, in small letters.
const OTHER_NAMES: &[(&str, &[&str])] = &[
    (path::AUTHORIZE, &["authorize", "authorization", "auth", "authorise", "authorization.oauth2"]),
    (path::TOKEN, &["token", "tokens", "access_token", "token.oauth2"]),
    (path::USERINFO, &["userinfo", "user_info", "user-info", "userinfo.openid"]),
    (path::JWKS, &["jwks", "jwks.json", "certs", "jwk", "jwks_uri", "discovery_keys"]),
    (path::INTROSPECT, &["introspect", "introspection", "token_info", "tokeninfo"]),
    (path::REVOKE, &["revoke", "revocation"]),
    (path::LOGOUT, &["logout", "endsession", "end_session", "end-session", "signout", "sign_out", "logoff"]),
    (path::OPENID_CONFIGURATION, &["openid-configuration", "openid_configuration", "openid-configuration.json"]),
    (path::OAUTH_AUTHORIZATION_SERVER, &["oauth-authorization-server"]),
];

/// What other providers put in front: without one of these, only the name itself is nearly ours.
const OTHER_FOLDERS: &[&str] = &[
    "connect",
    "protocol/openid-connect",
    "protocol/openid-connect/token",
    "oauth",
    "oauth2",
    "oauth2/v1",
    "oauth2/v2.0",
    "oauth2/default/v1",
    "oidc",
    "openid",
    "openid-connect",
    "as",
    "idp",
    "application/o",
    "api/oidc",
    "v1",
    "v2",
    ".well-known",
    "login/oauth",
];

/// The longest path that is looked at, in bytes.
const LONGEST: usize = 300;

/// The endpoint that a path probably means, under an issuer whose own path is `base`.
#[must_use]
pub fn meant(requested: &str, base: &str) -> Option<&'static str> {
    if requested.len() > LONGEST {
        return None;
    }
    let lower = requested.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split('/').map(str::trim).filter(|part| !part.is_empty() && *part != "%20").collect();
    let base = base.to_ascii_lowercase();
    let own: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    // The issuer's own path may be there, be missing, or be there twice.
    let mut inside = parts.as_slice();
    while let (false, Some(rest)) = (own.is_empty(), inside.strip_prefix(own.as_slice())) {
        inside = rest;
    }
    // RFC 8414 section 3.1 inserts the name before the issuer's path; some clients do that with the other name, too.
    if let [".well-known", name, _, ..] = parts.as_slice()
        && let Some((endpoint, _)) =
            OTHER_NAMES.iter().find(|(endpoint, names)| endpoint.starts_with("/.well-known/") && names.contains(name))
    {
        return Some(endpoint);
    }
    let (name, folders) = inside.split_last()?;
    let (endpoint, _) = OTHER_NAMES.iter().find(|(_, names)| names.contains(name))?;
    let folder = folders.join("/");
    // Keycloak has a realm in front, Okta and Azure a tenant.
    let is_known = folder.is_empty()
        || OTHER_FOLDERS.contains(&folder.as_str())
        || OTHER_FOLDERS.iter().any(|known| folder.starts_with("realms/") && folder.ends_with(known))
        || OTHER_FOLDERS.iter().any(|known| folder.split_once('/').is_some_and(|(_, rest)| rest == *known))
        || endpoint.starts_with("/.well-known/");
    is_known.then_some(*endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_mistakes_and_the_addresses_of_other_providers_are_known() {
        for (requested, endpoint) in [
            ("//authorize", "/authorize"),
            ("/authorize/", "/authorize"),
            ("/Authorize", "/authorize"),
            ("/token/", "/token"),
            ("/connect/token", "/token"),
            ("/connect/authorize", "/authorize"),
            ("/connect/endsession", "/logout"),
            ("/protocol/openid-connect/auth", "/authorize"),
            ("/realms/main/protocol/openid-connect/certs", "/jwks"),
            ("/realms/main/protocol/openid-connect/token/introspect", "/introspect"),
            ("/oauth2/v1/userinfo", "/userinfo"),
            ("/tenant/oauth2/v2.0/token", "/token"),
            ("/.well-known/jwks.json", "/jwks"),
            ("/realms/main/.well-known/openid-configuration", "/.well-known/openid-configuration"),
            ("/application/o/authorize/", "/authorize"),
            ("/oauth/revoke", "/revoke"),
            ("/.well-known/openid-configuration/mcp", "/.well-known/openid-configuration"),
            ("/.well-known/oauth-authorization-server/mcp", "/.well-known/oauth-authorization-server"),
        ] {
            assert_eq!(meant(requested, ""), Some(endpoint), "{requested}");
        }
    }

    #[test]
    fn the_path_of_the_issuer_may_be_missing_or_doubled() {
        for requested in ["/token", "/id/id/token", "/id/token/", "/ID/token", "/id//token"] {
            assert_eq!(meant(requested, "/id"), Some("/token"), "{requested}");
        }
        assert_eq!(meant("/.well-known/openid-configuration", "/id"), Some("/.well-known/openid-configuration"));
    }

    #[test]
    fn what_strangers_try_is_not_nearly_ours() {
        for requested in [
            "/",
            "",
            "/wp-login.php",
            "/admin/token",
            "/api/v3/user/login",
            "/.env",
            "/.well-known/security.txt",
            "/robots.txt",
        ] {
            assert_eq!(meant(requested, ""), None, "{requested}");
        }
        assert_eq!(meant(&format!("{}/token", "/a".repeat(500)), ""), None);
    }
}
