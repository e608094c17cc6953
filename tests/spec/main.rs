//! The specification as tests: a file per specification, a name per requirement.
//!
//! `docs/conformance.md` is the table that leads from each requirement to its tests, `lessons_of_peers.rs` has one for what
//! went wrong elsewhere.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that is surprised ends")]

mod support;

mod admin_sql;
mod architecture;
mod audit;
mod audit_erasing;
mod audit_pruning;
mod background;
mod bad_input;
mod browser;
mod budgets;
mod caches;
mod client_commands;
mod client_lint;
mod client_settings;
mod client_words;
mod commands;
mod credentials;
mod docs_adding_a_service;
mod docs_finding_out_why;
mod docs_from_a_bridge;
mod doctor;
mod example_aspnetcore;
mod example_fastapi_api;
mod explain;
mod failures;
mod floods;
mod form_post;
mod key_commands;
mod key_rotation;
mod lessons_of_peers;
mod logs;
mod oidc_backchannel_logout;
mod oidc_core_3_1_2_authorization;
mod oidc_core_3_1_3_id_token;
mod oidc_core_5_5_claims;
mod oidc_core_5_userinfo;
mod oidc_discovery;
mod oidc_discovery_exercised;
mod oidc_rp_initiated_logout;
mod outages;
mod pages;
mod parties;
mod parties_browser;
mod parties_habits;
mod preview;
mod promises;
mod properties;
mod relying_parties;
mod rfc6749_code_grant;
mod rfc6749_refresh;
mod rfc6750_bearer;
mod rfc7009_revocation;
mod rfc7517_jwks;
mod rfc7636_pkce;
mod rfc7662_introspection;
mod rfc8265_names;
mod rfc9068_machines;
mod rfc9207_issuer;
mod rolling_upgrade;
mod services;
mod services_run;
mod services_sign_in;
mod store_contract;
mod store_shares;
mod texts;
mod throttling;
mod user_commands;
mod user_sessions;
mod versions;
