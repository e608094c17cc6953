//! What the specifications say: the words, the rules and the decisions, as types and pure functions.
//!
//! Nothing here reads a clock, makes randomness, opens a connection or knows HTTP, so every rule can be
//! tested as a table. The direction is kept by `tests/spec/architecture.rs`.

pub mod address;
pub mod audit;
pub mod authorization;
pub mod claim_map;
pub mod claim_names;
pub mod claims;
pub mod claims_request;
pub mod client;
pub mod columns;
pub mod difference;
pub mod error;
pub mod factor;
pub mod factor_secret;
pub mod facts;
pub mod grant;
pub mod logout;
pub mod mail;
pub mod node_secrets;
pub mod own_page;
pub mod params;
pub mod pkce;
pub mod reason;
pub mod recovery_codes;
pub mod release;
pub mod remedy;
pub mod response;
pub mod scope;
pub mod secret;
pub mod shown;
pub mod site;
pub mod text;
pub mod time;
pub mod totp;
pub(crate) mod worded;
