//! Who is asking: the extractors, which turn a request into what a handler needs. They look up what has to be looked up.
//!
//! `BrowserRequest` at the endpoints for browsers, `ClientRequest` where clients authenticate, `TokenRequest` where an access
//! token is shown.

mod browser;
mod client;
mod token;

pub use browser::{BrowserRequest, check_form, check_origin, own_form, session_of, speak, speak_to, user_of};
pub use client::{ClientRequest, of_disabled};
pub use token::{Parties, Presented, Standing, TokenRequest, access_grant, bearer, parties, read_access_token};
