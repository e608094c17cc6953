//! Hallpass: an OpenID Connect provider. One binary that gives an organization's services one sign-in.
//!
//! [`endpoints::path`] lists the endpoints with file and specification.
//!
//! What is seen and what is lost when a store, a node or a file fails is in `docs/failures.md`, with the tests that show it.
//!
//! Imports go downward only, as `docs/architecture.md` draws it. Each module has a floor, and names only modules that lie below it:
//! `commands → startup, server → endpoints, sign_ins → caller, logout → tokens → allowance, mailing, passkeys, second_factor → provider → throttle → audit, web →
//! store → keys, mail, passwords, webauthn → ambient, background, config → protocol, failure, texts`. `tests/spec/architecture.rs` has the numbers, without exceptions.

pub mod allowance;
pub mod ambient;
pub mod audit;
pub mod background;
pub mod caller;
pub mod commands;
pub mod config;
pub mod endpoints;
pub mod failure;
pub mod keys;
pub mod logging;
pub mod logout;
pub mod mail;
pub mod mailing;
pub mod passkeys;
pub mod passwords;
pub mod protocol;
pub mod provider;
pub mod second_factor;
pub mod server;
pub mod sign_ins;
pub mod startup;
pub mod store;
pub mod texts;
pub mod throttle;
pub mod tokens;
pub mod web;
pub mod webauthn;
