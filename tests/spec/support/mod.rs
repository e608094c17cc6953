//! What the tests stand on: servers, a provider of their own, a browser, and verbs for what people and clients do.

pub mod apache;
pub mod chromium;
pub mod documents;
pub mod dotnet;
pub mod factors;
pub mod folder;
pub mod installation;
pub mod leaks;
pub mod listener;
pub mod party;
pub mod passkeys;
pub mod postgres;
pub mod program;
pub mod provider;
pub mod python;
pub mod receiver;
pub mod redis;
pub mod remote;
pub mod smtp;
pub mod tls_front;
pub mod totp;
pub mod user_agent;
pub mod verbs;
pub mod webdriver;

pub use folder::folder;
pub use provider::{NewClient, NewUser, Stores, TestClient, TestProvider, again_while_busy, stores};
pub use receiver::Receiver;
pub use user_agent::{Page, UserAgent};
pub use verbs::{Answer, Api, Authorization, VERIFIER, claims_of, header_of};
