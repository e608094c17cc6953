//! The session that a browser has already where a sign-in is completed: whether it was ended meanwhile, in another tab, so that its
//! name cannot be used again.
//!
//! A form names the session that its page was shown beside. So that is looked up in the round trip that reads what the form is for;
//! where it is another by then, it takes one more.

use crate::caller::BrowserRequest;
use crate::endpoints::flow::Flow;
use crate::protocol::secret::Handle;
use crate::provider::Provider;
use crate::store::{StoreError, sessions};

/// The field of the form.
pub(in crate::endpoints) fn field(flow: &Flow) -> String {
    flow.signed_in.as_ref().map(|(session, _)| session.sign_in.session.text()).unwrap_or_default()
}

/// The session that a form names, which may be any until it is compared with the one that is there.
pub(in crate::endpoints) fn named(asked: &BrowserRequest) -> Option<Handle> {
    asked.params.get("session").filter(|name| name.len() < 100).and_then(Handle::parse)
}

/// Whether a session has ended; none has not.
///
/// # Errors
/// The store failed.
pub(in crate::endpoints) async fn has_ended(provider: &Provider, session: Option<Handle>) -> Result<bool, StoreError> {
    match session {
        Some(session) => sessions::has_ended(&provider.ephemeral, session).await,
        None => Ok(false),
    }
}

/// What is known of the session that a form names.
pub(in crate::endpoints) struct Beside {
    named: Option<Handle>,
    has_ended: Result<bool, StoreError>,
}

impl Beside {
    /// Looks it up.
    pub async fn of(provider: &Provider, named: Option<Handle>) -> Self {
        Self { named, has_ended: has_ended(provider, named).await }
    }

    /// Whether the session that is there has ended.
    ///
    /// # Errors
    /// The store failed.
    pub async fn has_ended(self, provider: &Provider, flow: &Flow) -> Result<bool, StoreError> {
        let there = flow.signed_in.as_ref().map(|(session, _)| session.sign_in.session);
        if self.named == there { self.has_ended } else { has_ended(provider, there).await }
    }
}
