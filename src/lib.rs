//! Hallpass: an OpenID Connect provider. One binary that gives an organization's services one sign-in.
//!
//! | endpoint | file | specification |
//! | --- | --- | --- |
//! | `/authorize` GET, POST | [`endpoints::authorize`] | RFC 6749 section 4.1.1-2; OIDC Core 3.1.2; RFC 9207 |
//! | `/login`, `/consent` | [`endpoints::login`], [`endpoints::consent`] | OIDC Core 3.1.2.3-4 |
//! | `/token` POST | [`endpoints::token`] | RFC 6749 section 4.1.3, 4.4, 5, 6; RFC 7636 section 4.5-6; RFC 8707; OIDC Core 3.1.3, 12 |
//! | `/userinfo` GET, POST | [`endpoints::userinfo`] | OIDC Core 5.3; RFC 6750 |
//! | `/.well-known/…` | [`endpoints::discovery`] | OIDC Discovery 3-4; RFC 8414 |
//! | `/introspect` POST | [`endpoints::introspect`] | RFC 7662 |
//! | `/revoke` POST | [`endpoints::revoke`] | RFC 7009 |
//! | `/logout` GET, POST | [`endpoints::logout`] | RP-Initiated, Back-Channel and Front-Channel Logout 1.0 |
//! | `/jwks` | [`endpoints::jwks`] | RFC 7517 |
//! | `/health/…` (management) | [`endpoints::health`] | |
//!
//! What is seen and what is lost when a store, a node or a file fails is in `docs/failures.md`, with the tests that show it.
//!
//! Imports go downward only, as `docs/architecture.md` draws it. Each module has a floor, and names only modules that lie below it:
//! `commands → startup, server → endpoints, sign_ins → caller, logout → tokens → allowance → provider → throttle → audit, web →
//! store → keys, passwords → ambient, background, config → protocol`. `tests/spec/architecture.rs` has the numbers, without exceptions.

pub mod allowance;
pub mod ambient;
pub mod audit;
pub mod background;
pub mod caller;
pub mod commands;
pub mod config;
pub mod endpoints;
pub mod keys;
pub mod logging;
pub mod logout;
pub mod passwords;
pub mod protocol;
pub mod provider;
pub mod server;
pub mod sign_ins;
pub mod startup;
pub mod store;
pub mod throttle;
pub mod tokens;
pub mod web;
