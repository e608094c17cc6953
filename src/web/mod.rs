//! What HTTP needs and the protocol does not know: reading requests, writing answers, cookies, headers, pages.

pub mod accept;
pub mod answer;
pub mod cookies;
pub mod fault;
pub mod headers;
pub mod network;
pub mod outbound;
pub mod pages;
pub mod probe;
pub mod problems;
pub mod remedies;
pub mod request;
pub mod user_agent;
