//! The end of a session: everything it issued is dead, and every service that holds it is told.
//!
//! Back-Channel Logout 1.0: a message for each service is written before the user is told that it is over, tried at
//! once, and then again in the background, also after a restart, until it arrives or a day has passed.

use crate::allowance::{self, Kept, Owner};
use crate::ambient::{random, uncanceled};
use crate::failure::Failure;
use crate::protocol::audit::{Event, EventKind, Impersonal};
use crate::protocol::client::Client;
use crate::protocol::grant::Session;
use crate::protocol::logout::{LOGOUT_TOKEN_TYPE, logout_token};
use crate::protocol::secret::{Digest, Handle};
use crate::protocol::site::FrontChannel;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::logout_outbox::{self, Message, Sender, Written};
use crate::store::{StoreError, sessions, timely, user_sessions};
use crate::tokens::LONGEST_ACCESS_TOKEN;
use futures_util::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;

/// How many messages are delivered at once.
const AT_ONCE: usize = 16;
/// How long a person waits for the first tries, at most.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How often messages that are due are looked for.
const ROUND: Duration = Duration::from_secs(5);
/// Seconds until the next try, by how often it was tried.
const PAUSES: [i64; 6] = [5, 15, 60, 300, 900, 3600];
/// How long a row that could not be written is tried again, by pauses in seconds.
const ROW_PAUSES: [u64; 6] = [1, 5, 15, 60, 300, 900];
/// After so many seconds a message is given up.
const GIVE_UP: i64 = 86_400;

/// A service that held the session, and what became of telling it.
#[derive(Clone)]
pub struct LogoutResult {
    /// The service.
    pub client: Arc<Client>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of telling a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It knows.
    Reached,
    /// It does not answer; it is tried again in the background.
    NotReached,
    /// It has no address for that.
    CannotBeTold,
    /// The browser tells it, by a frame of the page.
    ByFrame,
    /// The browser loads a frame of it, which lies on another site than ours and so cannot be seen to end anything.
    ByFrameElsewhere,
}

impl Outcome {
    /// What remains for a client that no message of ours reaches.
    fn without_back_channel(client: &Client, issuer: &str) -> Self {
        match FrontChannel::of(client, issuer) {
            FrontChannel::Works => Self::ByFrame,
            FrontChannel::OnAnotherSite => Self::ByFrameElsewhere,
            FrontChannel::Nothing => Self::CannotBeTold,
        }
    }
}

/// Why a session ends, as the audit has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The person signed out.
    Person,
    /// Another person signed in with the browser.
    AnotherPerson,
    /// A service asked for it from its own server.
    Service,
    /// Its row was ended, or the account was.
    Row,
    /// It had ended before, and not to the end.
    Before,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::AnotherPerson => "another person",
            Self::Service => "service",
            Self::Row => "row or account",
            Self::Before => "an end that broke off",
        }
    }
}

/// A session that was ended: the services that held it, and the messages that are on their way to them.
#[derive(Default)]
pub struct Ended {
    told: Vec<LogoutResult>,
    messages: Vec<(usize, Written)>,
    /// Clients whose message could not be written.
    unwritten: Vec<String>,
}

impl Ended {
    /// Writes a message for each of these clients that has an address for it. What fails is said, tried again in the background,
    /// and does not stop the others from being told.
    async fn announce(&mut self, provider: &Arc<Provider>, session: &Session, clients: &[String], now: NumericDate) {
        let (sub, handle) = (&session.sign_in.sub, session.sign_in.session);
        let written = futures_util::stream::iter(clients.to_vec()).map(|client_id| {
            let (provider, sub) = (provider.clone(), sub.clone());
            async move { write(&provider, &client_id, &sub, handle, now).await }
        });
        let written: Vec<_> = written.buffered(AT_ONCE).collect().await;
        for (client, message) in written.into_iter().flatten() {
            let mut outcome = Outcome::without_back_channel(&client, &provider.config.issuer);
            match message {
                None => {}
                Some(Ok(message)) => {
                    self.messages.push((self.told.len(), message));
                    outcome = Outcome::NotReached;
                }
                Some(Err(error)) => {
                    let client_id = &client.client_id;
                    tracing::error!(%error, client_id, "a service is told late of a sign-out: the message cannot be written yet");
                    self.unwritten.push(client_id.clone());
                }
            }
            self.told.push(LogoutResult { client, outcome });
        }
    }

    /// Notes that the session was this request's to end: messages of an end that broke off before are sent once more, and what
    /// could not be written is tried again.
    async fn confirm(&self, provider: &Arc<Provider>, session: &Session, now: NumericDate) {
        for (_, message) in self.messages.iter().filter(|(_, message)| message.is_known) {
            if let Err(error) = timely(logout_outbox::repeat(&provider.db, &message.id, now)).await {
                tracing::error!(%error, message = message.id, "a logout message could not be sent once more");
            }
        }
        if self.unwritten.is_empty() {
            return;
        }
        let (sub, handle, clients) = (session.sign_in.sub.clone(), session.sign_in.session, self.unwritten.clone());
        // What is written once is not written twice, so all of it can be tried again.
        let write = move |provider: Arc<Provider>| {
            let (sub, clients) = (sub.clone(), clients.clone());
            async move {
                let mut outcome = Ok(());
                for client_id in &clients {
                    let written = logout_outbox::add(&provider.db, client_id, &sub, handle, provider.now()).await;
                    outcome = outcome.and(written.map(drop));
                }
                outcome
            }
        };
        try_later(provider, handle, "services are not told of a sign-out: no message could be written", write);
    }

    /// Sends the messages once and waits for a while; gives what became of each service.
    pub async fn told(self, provider: &Arc<Provider>) -> Vec<LogoutResult> {
        let Self { mut told, messages, .. } = self;
        if messages.is_empty() {
            return told;
        }
        let mut receiver = deliver_all(provider, messages);
        let _ = tokio::time::timeout(PATIENCE, async {
            while let Some(at) = receiver.recv().await {
                if let Some(told) = told.get_mut(at) {
                    told.outcome = Outcome::Reached;
                }
            }
        })
        .await;
        told
    }

    /// Sends the messages; no request waits for them.
    pub fn in_background(self, provider: &Arc<Provider>) {
        drop(deliver_all(provider, self.messages));
    }
}

/// Writes the message for a client, if it has an address for it. `None`: there is no such client any more.
async fn write(
    provider: &Provider,
    client_id: &str,
    sub: &str,
    session: Handle,
    now: NumericDate,
) -> Option<(Arc<Client>, Option<Result<Written, StoreError>>)> {
    let client = match provider.directory.client(client_id, now).await {
        Ok(client) => client?,
        Err(error) => {
            tracing::error!(%error, client_id, "a service is not told of a sign-out: its row cannot be read");
            return None;
        }
    };
    if client.backchannel_logout_uri.is_none() {
        return Some((client, None));
    }
    let written = timely(logout_outbox::add(&provider.db, client_id, sub, session, now)).await;
    Some((client, Some(written)))
}

/// Tries messages once each, also when the request has gone; gives the places of those that arrived.
fn deliver_all(
    provider: &Arc<Provider>,
    messages: Vec<(usize, Written)>,
) -> tokio::sync::mpsc::UnboundedReceiver<usize> {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let provider = provider.clone();
    tokio::spawn(async move {
        futures_util::stream::iter(messages)
            .for_each_concurrent(AT_ONCE, |(at, message)| {
                let (provider, sender) = (provider.clone(), sender.clone());
                async move {
                    if deliver(&provider, &message.id, Sender::Writer).await {
                        let _ = sender.send(at);
                    }
                }
            })
            .await;
    });
    receiver
}

/// Ends a session: its cookie, its tokens, and what services remember. `None`: it had ended before.
///
/// It continues when the request has gone: once the record is taken, nothing else knows which services to tell.
///
/// # Errors
/// A store failed.
pub async fn end_session(
    provider: &Arc<Provider>,
    record: &Digest,
    session: &Session,
    cause: Cause,
    now: NumericDate,
) -> Result<Option<Ended>, StoreError> {
    let (provider, record, session) = (provider.clone(), record.clone(), session.clone());
    uncanceled(async move { end_at_once(&provider, &record, &session, cause, now).await })
        .await
        .unwrap_or(Err(StoreError::Late))
}

async fn end_at_once(
    provider: &Arc<Provider>,
    record: &Digest,
    session: &Session,
    cause: Cause,
    now: NumericDate,
) -> Result<Option<Ended>, StoreError> {
    let handle = session.sign_in.session;
    // The marker first: if the store fails between the two, the session is still there and can be ended again.
    sessions::end(&provider.ephemeral, handle, LONGEST_ACCESS_TOKEN).await?;
    // Then the messages, which nothing else could write once the record is taken.
    let mut ended = Ended::default();
    ended.announce(provider, session, &session.clients, now).await;
    // The request that takes it sends them first, and no other does.
    let Some((record, current)) = take(provider, record, handle).await? else { return Ok(None) };
    // What another tab has signed in to since the session was read.
    let further: Vec<String> = current.clients.iter().filter(|it| !session.clients.contains(it)).cloned().collect();
    ended.announce(provider, session, &further, now).await;
    ended.confirm(provider, session, now).await;
    let kept = Kept::session(&current, provider.config.session_lifetime);
    let sub = &current.sign_in.sub;
    allowance::give_back(provider, Owner::Person(sub), vec![kept]).await;
    let event = Event::new(EventKind::SignOut, now).of(sub).with("by", cause.as_str());
    provider.audit.record(event.with("clients", Impersonal::configured(&current.clients.join(" "))));
    settle_row(provider, handle, record, now).await;
    Ok(Some(ended))
}

/// Takes away what is left of a session that is over: its cookie is about to be ended. Where an operator ended it, its services
/// are told; where its time was over, no service is told, as no user signed out.
///
/// # Errors
/// A store failed.
pub async fn clear(
    provider: &Arc<Provider>,
    record: &Digest,
    session: &Session,
    now: NumericDate,
) -> Result<(), StoreError> {
    if session.is_live(now, provider.config.session_idle_lifetime) {
        if let Some(ended) = end_session(provider, record, session, Cause::Row, now).await? {
            ended.in_background(provider);
        }
        return Ok(());
    }
    let (provider, record) = (provider.clone(), record.clone());
    let cleared = uncanceled(async move {
        let Some(taken) = sessions::take(&provider.ephemeral, &record).await? else { return Ok(()) };
        let kept = Kept::session(&taken, provider.config.session_lifetime);
        allowance::give_back(&provider, Owner::Person(&taken.sign_in.sub), vec![kept]).await;
        settle_row(&provider, taken.sign_in.session, record, now).await;
        Ok(())
    });
    cleared.await.unwrap_or(Err(StoreError::Late))
}

/// Takes the record of a session: the one that was read, or where the person signed in once more meanwhile, the one that the
/// session continues in.
async fn take(provider: &Provider, record: &Digest, session: Handle) -> Result<Option<(Digest, Session)>, StoreError> {
    if let Some(taken) = sessions::take(&provider.ephemeral, record).await? {
        return Ok(Some((record.clone(), taken)));
    }
    // Signing out works without the database.
    let Ok(Some(other)) = timely(user_sessions::record_of(&provider.db, session)).await else { return Ok(None) };
    if other.matches(record) {
        return Ok(None);
    }
    Ok(sessions::take(&provider.ephemeral, &other).await?.map(|taken| (other, taken)))
}

/// Notes in its row that a sign-in is over. Signing out works without the database: what cannot be written now is tried
/// again in the background, and until then the sign-in is listed although it has ended.
async fn settle_row(provider: &Arc<Provider>, session: Handle, record: Digest, now: NumericDate) {
    if timely(user_sessions::settled(&provider.db, session, &record, now)).await.is_ok() {
        return;
    }
    let settle = move |provider: Arc<Provider>| {
        let record = record.clone();
        async move { user_sessions::settled(&provider.db, session, &record, now).await }
    };
    try_later(provider, session, "a sign-in that ended is still listed: its row could not be written", settle);
}

/// Tries to write something about a session in the background, with growing pauses; where it comes to nothing, `failure` is said.
fn try_later<F>(
    provider: &Arc<Provider>,
    session: Handle,
    failure: &'static str,
    write: impl Fn(Arc<Provider>) -> F + Send + 'static,
) where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    let provider = provider.clone();
    tokio::spawn(async move {
        for pause in ROW_PAUSES {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            if write(provider.clone()).await.is_ok() {
                return;
            }
        }
        tracing::error!(session = session.text(), "{failure}");
    });
}

/// Tries a message once, if no other node does. Says whether it arrived.
async fn deliver(provider: &Provider, id: &str, sender: Sender) -> bool {
    let now = provider.now();
    let outcome = async {
        let Some(message) = logout_outbox::lease(&provider.db, id, sender, now).await? else {
            // Another node may have been first.
            return logout_outbox::is_delivered(&provider.db, id).await;
        };
        attempt(provider, &message, now).await
    }
    .await;
    outcome.unwrap_or_else(|error: StoreError| {
        tracing::error!(%error, message = id, "a logout message could not be worked on; it is tried again");
        false
    })
}

async fn attempt(provider: &Provider, message: &Message, now: NumericDate) -> Result<bool, StoreError> {
    let Message { id, client_id, tries, .. } = message;
    let client = provider.directory.client(client_id, now).await?;
    let Some((client, uri)) = client.and_then(|client| client.backchannel_logout_uri.clone().map(|uri| (client, uri)))
    else {
        let why = "the client is gone or has no backchannel_logout_uri";
        logout_outbox::given_up(&provider.db, id, why, now).await?;
        provider.audit.record(audit_event(EventKind::LogoutGivenUp, message, why, now));
        return Ok(false);
    };
    let claims = logout_token(
        &provider.config.issuer,
        &client,
        &provider.secrets.subject_for(&client, &message.sub),
        &provider.secrets.session_for(&client, message.session),
        &Handle(random()).text(),
        now,
    );
    let sent = match provider.keys.sign(client.id_token_signed_response_alg, LOGOUT_TOKEN_TYPE, &claims, now) {
        Ok(token) => {
            provider.outbound.post_form(&uri, &[("logout_token", &token)]).await.map_err(|why| why.to_string())
        }
        Err(error) => {
            let failure = Failure::from(error);
            tracing::error!(client_id, fix = failure.fix(), "a logout token could not be signed: {failure}");
            Err(failure.to_string())
        }
    };
    let result = match sent {
        // Section 2.8: 200, and 204 for frameworks that answer so.
        Ok(status @ (200 | 204)) => {
            logout_outbox::delivered(&provider.db, id, &status.to_string(), now).await?;
            provider.audit.record(audit_event(EventKind::LogoutDelivered, message, &status.to_string(), now));
            tracing::info!(client_id, tries, status, "a service was told of a sign-out");
            return Ok(true);
        }
        Ok(status) => format!("it answered {status}"),
        Err(reason) => reason,
    };
    if now.since(message.created_at) >= GIVE_UP {
        tracing::error!(client_id, tries, result, "a service could not be told of a sign-out; given up");
        logout_outbox::given_up(&provider.db, id, &result, now).await?;
        provider.audit.record(audit_event(EventKind::LogoutGivenUp, message, &result, now));
    } else {
        let pause = usize::try_from(tries - 1).ok().and_then(|at| PAUSES.get(at)).unwrap_or(&PAUSES[PAUSES.len() - 1]);
        tracing::warn!(client_id, tries, result, again_in = pause, "a service could not be told of a sign-out");
        logout_outbox::failed(&provider.db, id, &result, now.plus(*pause)).await?;
        provider.audit.record(audit_event(EventKind::LogoutFailed, message, &result, now));
    }
    Ok(false)
}

/// What became of a message, for the audit.
fn audit_event(kind: EventKind, message: &Message, result: &str, now: NumericDate) -> Event {
    let event = Event::new(kind, now).of(&message.sub).by(&message.client_id);
    // It may be what another server answered.
    event.with("tries", message.tries).personal("result", result)
}

/// Delivers what is due, for as long as the provider runs.
pub async fn keep_delivering(provider: Arc<Provider>) {
    let mut interval = tokio::time::interval(ROUND);
    loop {
        interval.tick().await;
        deliver_due(&provider).await;
    }
}

/// One round of it.
pub async fn deliver_due(provider: &Arc<Provider>) {
    let now = provider.now();
    match logout_outbox::due(&provider.db, now).await {
        Ok(due) => {
            futures_util::stream::iter(due)
                .for_each_concurrent(AT_ONCE, |id| async move {
                    deliver(provider, &id, Sender::Round).await;
                })
                .await;
        }
        Err(error) => tracing::warn!(%error, "logout messages could not be looked for; it is tried again"),
    }
}
