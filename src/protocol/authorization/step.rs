//! What comes next: what happened in one browser so far, and the rule that decides by it.

use crate::protocol::authorization::AuthorizationRequest;
use crate::protocol::claims::{SecondFactorDemand, User};
use crate::protocol::client::Client;
use crate::protocol::error::Refusal;
use crate::protocol::factor;
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
    /// The password that was proven in it by a person whose second factor is still to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<ProvenPassword>,
    /// The ceremony that a passkey was proven by in it last: a page from before it is outdated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceremony: Option<Digest>,
    /// Whether a user who has signed in with the password is to be offered a passkey: the browser can make one, and they have not
    /// answered yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offers_passkey: bool,
    /// Whether the person was told in it that a second factor will be needed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told_of_demand: bool,
    /// When a person proved in it who they are: all of it, or what was missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved_at: Option<NumericDate>,
}

impl Interaction {
    /// Whether it is a sign-in at our own start page.
    #[must_use]
    pub const fn is_at_home(&self) -> bool {
        self.client_id.is_empty()
    }
}

/// A password that was proven inside an interaction: it starts no session, and opens nothing but the page that asks for the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenPassword {
    /// Its own name, by which a form says which one it continues.
    pub id: Handle,
    /// Whose it is.
    pub sub: String,
    /// Which password, as `User::credential` marks it.
    pub credential: String,
    /// When.
    pub at: NumericDate,
    /// Whether the person wants to stay signed in when the browser is closed.
    pub is_remembered: bool,
    /// What was counted for it, which is taken back when the sign-in is complete.
    pub attempt: PendingAttempt,
}

/// A counted attempt to sign in whose end is still open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAttempt {
    /// The account's digest.
    pub account: String,
    /// The record that it was counted in; `None`: no counter could be kept.
    pub record: Option<String>,
    /// The fields of the record.
    pub fields: Vec<String>,
    /// Whether the browser was known to the account.
    pub is_known: bool,
}

/// How long a proven password waits for the second factor, in seconds.
pub const PROVEN_FOR: i64 = 600;
/// How long at least, whatever `max_age` is: no code is typed in no time.
const LEAST_PROVEN_FOR: i64 = 60;

impl ProvenPassword {
    /// Its name as a text, for the form that continues it.
    #[must_use]
    pub fn name(&self) -> String {
        self.id.text()
    }

    /// Whether it still holds, as the person's record is now, for a request of that `max_age`: what is too old with the code is
    /// asked for again instead of the code. 0 asks for a new sign-in, of whatever length.
    #[must_use]
    pub fn holds(&self, user: &User, max_age: Option<i64>, now: NumericDate) -> bool {
        let age = now.since(self.at);
        user.sub == self.sub
            && max_age.is_none_or(|most| most == 0 || age <= most.max(LEAST_PROVEN_FOR))
            && user.has_second_factor()
            && user.may_sign_in(now)
            && user.credential == self.credential
            && user.tokens_valid_after.is_none_or(|after| self.at >= after)
            && !self.at.plus(PROVEN_FOR).is_past(now)
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
    /// The session's user.
    pub user: Option<&'a User>,
    /// Whether a person has proven their password in this interaction, and not yet their second factor.
    pub awaits_factor: bool,
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
    /// Whether the person has proven who they are too late for the service to take an answer, and it can start anew.
    pub is_stale: bool,
    /// The clock.
    pub now: NumericDate,
}

/// What the browser has to do next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Show the login page.
    SignIn,
    /// Ask for the second factor: of who has proven the password, or of the session's user.
    SecondFactor,
    /// Say that the client demands a second factor, which this user does not have.
    FactorMissing,
    /// Say until when this user has to set up a second factor.
    FactorDue(NumericDate),
    /// Offer this user a passkey.
    PasskeyOffer,
    /// Say that this user may not enter the service: on a page, or where none may be shown to the client at once.
    NoEntry,
    /// Let the service start anew, which single sign-on answers at once.
    StartAnew,
    /// Show the consent page.
    Consent,
    /// Issue a code for the request's scope.
    Issue,
    /// Send this refusal to the client.
    Refuse(Refusal),
}

/// Decides what comes next. Pure and total: asked again after every page.
///
/// `prompt=login`, `prompt=consent`, `prompt=select_account`, `prompt=create` and `max_age` are satisfied by what happened in
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

    // The person who typed the password last signs in, whatever session there is.
    if situation.awaits_factor && !silent {
        return Step::SecondFactor;
    }
    let Some(session) = session else {
        return if silent { Step::Refuse(Refusal::new(Reason::NotSignedIn)) } else { Step::SignIn };
    };
    let too_old = request.max_age.is_some_and(|max_age| now.since(session.sign_in.auth_time) > max_age || max_age == 0);
    let must_sign_in = too_old || request.prompt.has(Prompt::Login) || request.asks_for_account();
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
    if let Some(step) = further_factor(&situation, session, silent) {
        return step;
    }
    if let (true, Some(interaction), Some(user)) = (signed_in_here, interaction, situation.user)
        && let (false, SecondFactorDemand::Until(until)) = (interaction.told_of_demand, user.second_factor_demand(now))
    {
        return Step::FactorDue(until);
    }
    if let (true, Some(interaction), Some(user)) = (signed_in_here, interaction, situation.user)
        && (interaction.offers_passkey && !user.has_passkey() && user.passkey_offered_at.is_none())
        // It is added by who has proven all that the account has.
        && session.sign_in.has_all_factors_of(user)
    {
        return Step::PasskeyOffer;
    }

    if situation.is_stale && !silent {
        return Step::StartAnew;
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

/// What is missing of what the sign-in is to be worth: by the client's row, by an essential wish for `acr`, or by one that is
/// met where the person can. It is satisfied by the session itself, so that the loop ends by itself; one factor is proven
/// already, and only the other is asked for.
fn further_factor(situation: &Situation<'_>, session: &Session, silent: bool) -> Option<Step> {
    let Situation { client, request, user, .. } = *situation;
    let acr = &session.sign_in.acr;
    let is_demanded = client.require_acr.is_some_and(|least| !factor::meets(acr, least.as_str()));
    let is_essential = request.refuses_acr(acr);
    let is_preferred = request.prefers_second_factor() && !factor::meets(acr, factor::ACR_VALUES[1]);
    if !is_demanded && !is_essential && !is_preferred {
        return None;
    }
    if user.is_some_and(User::has_second_factor) {
        // OIDC Core 3.1.2.6: what is missing is authentication.
        return Some(if silent { Step::Refuse(Refusal::new(Reason::FactorNotProven)) } else { Step::SecondFactor });
    }
    match (is_demanded, is_essential) {
        (true, _) if !silent => Some(Step::FactorMissing),
        (false, false) => None,
        _ => Some(Step::Refuse(factor_missing(client, session))),
    }
}

/// The refusal of a user who has no second factor where one is demanded.
#[must_use]
pub fn factor_missing(client: &Client, session: &Session) -> Refusal {
    let by =
        if client.require_acr.is_some() { "acr 2, by clients.require_acr" } else { "acr 2, as an essential claim" };
    Refusal::new(Reason::FactorMissing).expecting(&format!("a sign-in of acr {}", session.sign_in.acr), [by])
}
