//! What comes next: what happened in one browser so far, and the rule that decides by it.

use crate::protocol::authorization::AuthorizationRequest;
use crate::protocol::client::Client;
use crate::protocol::error::Refusal;
use crate::protocol::grant::Session;
use crate::protocol::own_page::OwnPage;
use crate::protocol::params::Params;
use crate::protocol::reason::Reason;
use crate::protocol::response::{ConsentPolicy, Prompt};
use crate::protocol::scope::Scope;
use crate::protocol::secret::{Digest, Handle};
use crate::protocol::time::NumericDate;
use serde::{Deserialize, Serialize};

/// One authorization request in progress in one browser, on the server: nothing of it is re-read from the browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interaction {
    /// The request as it came, as far as it is read.
    pub params: Params,
    /// Whose it is; empty for a sign-in at our own start page.
    pub client_id: String,
    /// The digest of the browser's cookie: without it the interaction cannot be continued. A POST from another
    /// site brings no cookie; it is bound to the first browser that continues it.
    pub browser: Option<Digest>,
    /// Until when it can be continued.
    pub expires_at: NumericDate,
    /// The page that a sign-in at our own start page returns to; `None`: the start page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns_to: Option<OwnPage>,
    /// The sign-in that happened in it.
    pub signed_in: Option<SignedIn>,
    /// The consent that was given in it.
    pub consented: Option<Consented>,
}

impl Interaction {
    /// Whether it is a sign-in at our own start page.
    #[must_use]
    pub const fn is_at_home(&self) -> bool {
        self.client_id.is_empty()
    }
}

/// A sign-in that happened inside an interaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Who.
    pub sub: String,
    /// In which session.
    pub session: Handle,
}

/// What a user allowed a client: scopes, and what was shown beside the claims of the scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The scopes.
    pub scope: Scope,
    /// What was shown beside them, as `release::opened_beyond_scopes` has it.
    pub claims: Vec<String>,
}

impl Allowed {
    /// Whether everything of this is in `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.scope.is_within(&other.scope) && self.claims.iter().all(|claim| other.claims.contains(claim))
    }

    /// This and what `other` has beyond it.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut claims = self.claims.clone();
        claims.extend(other.claims.iter().filter(|claim| !self.claims.contains(claim)).cloned());
        Self { scope: self.scope.union(&other.scope), claims }
    }
}

/// A consent that was given inside an interaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consented {
    /// By whom.
    pub sub: String,
    /// To what.
    pub scope: Scope,
    /// What was shown beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
}

impl Consented {
    /// What was allowed.
    #[must_use]
    pub fn allowed(&self) -> Allowed {
        Allowed { scope: self.scope.clone(), claims: self.claims.clone() }
    }
}

/// What is known when the next step is decided.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// The client.
    pub client: &'a Client,
    /// Its request.
    pub request: &'a AuthorizationRequest,
    /// The session, if it is live and its user may sign in.
    pub session: Option<&'a Session>,
    /// The session's user as the client sees them.
    pub subject: Option<&'a str>,
    /// Whom a verified `id_token_hint` names, as the client sees them.
    pub hinted_subject: Option<&'a str>,
    /// What happened in this interaction so far.
    pub interaction: Option<&'a Interaction>,
    /// What this user allowed this client before.
    pub remembered: Option<&'a Allowed>,
    /// Whether this user may enter this service.
    pub may_enter: bool,
    /// The clock.
    pub now: NumericDate,
}

/// What the browser has to do next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Show the login page.
    SignIn,
    /// Say that this user may not enter the service: on a page, or where none may be shown to the client at once.
    NoEntry,
    /// Show the consent page.
    Consent,
    /// Issue a code for the request's scope.
    Issue,
    /// Send this refusal to the client.
    Refuse(Refusal),
}

/// Decides what comes next. Pure and total: asked again after every page.
///
/// `prompt=login`, `prompt=consent`, `prompt=select_account` and `max_age` are satisfied by what happened in
/// this interaction, never by comparing seconds, so that the loop ends by itself.
#[must_use]
pub fn next_step(situation: Situation<'_>) -> Step {
    let Situation { client, request, session, subject, hinted_subject, interaction, remembered, .. } = situation;
    let now = situation.now;
    let silent = request.prompt.has(Prompt::None);
    let signed_in_here = session.is_some_and(|session| {
        interaction
            .and_then(|interaction| interaction.signed_in.as_ref())
            .is_some_and(|here| here.sub == session.sign_in.sub && here.session == session.sign_in.session)
    });

    let Some(session) = session else {
        return if silent { Step::Refuse(Refusal::new(Reason::NotSignedIn)) } else { Step::SignIn };
    };
    let too_old = request.max_age.is_some_and(|max_age| now.since(session.sign_in.auth_time) > max_age || max_age == 0);
    let must_sign_in = too_old || request.prompt.has(Prompt::Login) || request.prompt.has(Prompt::SelectAccount);
    if must_sign_in && !signed_in_here {
        return if silent { Step::Refuse(Refusal::new(Reason::SignInTooOld)) } else { Step::SignIn };
    }
    if (hinted_subject.is_some() && hinted_subject != subject) || !request.claims.wants(subject) {
        return if silent || signed_in_here {
            let refusal = Refusal::new(Reason::AnotherUserSignedIn);
            Step::Refuse(if silent { refusal.as_expected() } else { refusal })
        } else {
            Step::SignIn
        };
    }

    if !situation.may_enter {
        return Step::NoEntry;
    }

    let asked = request.to_consent(client);
    let consented_here = interaction
        .and_then(|interaction| interaction.consented.as_ref())
        .is_some_and(|here| here.sub == session.sign_in.sub && asked.is_within(&here.allowed()));
    if consented_here {
        return Step::Issue;
    }
    let asked_for = request.prompt.has(Prompt::Consent);
    let allowed_before = match client.consent {
        ConsentPolicy::Skip => !client.always_asks(),
        ConsentPolicy::Ask => !client.always_asks() && remembered.is_some_and(|allowed| asked.is_within(allowed)),
    };
    if allowed_before && !asked_for {
        Step::Issue
    } else if silent {
        Step::Refuse(Refusal::new(Reason::NotConsented))
    } else {
        Step::Consent
    }
}
