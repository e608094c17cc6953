//! When mails are sent: those with a link that users ask for, and notices, which the store queues with what they tell of. What a mail
//! says is `letters`, how an operator lays it out `layout`; `mail` hands it over.
//!
//! Who forgot a password or asks for an account is looked into after the answer, so that neither form nor time of it says what came of
//! it. The queue has no link: it is made when the mail is handed over, and forgotten where that fails. A mail is handed over at least once.

pub mod layout;
pub mod letters;

use crate::ambient::random;
use crate::failure::{Failure, in_words};
use crate::mail::{Mailer, NotTaken};
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::claims::User;
use crate::protocol::mail::{Circumstances, MailKind};
use crate::protocol::secret::LinkSecret;
use crate::protocol::text::fold_email;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::mail_outbox::{self, Asked, Mail};
use crate::store::user_links::{self, NewLink, Purpose, Wanted};
use crate::store::users::{self, ByLogin};
use crate::store::{StoreError, timely};
use crate::throttle;
use futures_util::StreamExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many mails are handed over at once.
const AT_ONCE: usize = 4;
/// How often mails that are due are looked for: commands and other nodes queue them, too.
const ROUND: Duration = Duration::from_secs(5);
/// How often a node says that it sends mails, in seconds.
const HERE: i64 = 3600;
/// Seconds until the next try, by how often it was tried.
const PAUSES: [i64; 6] = [5, 15, 60, 300, 900, 3600];
/// The longest of them for a mail with a link.
const LONGEST_OF_LINK: i64 = 60;
/// How often a server that took nothing is asked whether it does again, in seconds.
const LOOK: i64 = 60;
/// How much of what a server answered is told, in bytes.
const MOST_CAUSE: usize = 300;
/// The name in the readiness of what keeps mails back.
const DEGRADED: &str = "mail";

/// Why a link that was asked for is not mailed, as the audit has it.
#[derive(Clone, Copy)]
enum NotMailed {
    Disabled,
    NoAddress,
    Open,
    NotAnyMore,
}

impl NotMailed {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::NoAddress => "no verified address of their own",
            Self::Open => "as many links are open as may be",
            Self::NotAnyMore => "it would not have worked any more",
        }
    }
}

/// The address that links go to: verified, and of no other user.
fn address_of(user: &User) -> Option<&str> {
    user.email().filter(|_| user.email_is_verified())
}

/// Whether the links for a second factor of a user are made by an operator's own hand (`by-link`): with a mailed one, who has the mailbox
/// would have both password and factor.
fn is_by_hand(user: &User, now: NumericDate) -> bool {
    user.demanded_days(now) == Some(0)
}

/// Looks after the answer whose password was forgotten, and queues the mail with the link.
pub fn password_was_forgotten(provider: &Arc<Provider>, login: &str, circumstances: Circumstances) {
    let login = login.to_owned();
    after_the_answer(provider, async move |provider| {
        match timely(users::find_by_login(&provider.db, &login)).await? {
            ByLogin::One(user) => ask(&provider, Purpose::Password, &user, &circumstances).await,
            ByLogin::Several | ByLogin::NoUser => Ok(()),
        }
    });
}

/// Looks after the answer who asked for an account, and queues the mail with the link; to who has one, a mail that says so. The address
/// is folded, and in a domain that may.
pub fn account_was_asked_for(provider: &Arc<Provider>, address: String, circumstances: Circumstances) {
    after_the_answer(provider, async move |provider| {
        let (db, now) = (&provider.db, NumericDate(circumstances.at));
        match timely(users::find_by_login(db, &address)).await? {
            // Strangers could ask for it as often as they like, and who has an account can do without.
            ByLogin::One(user) if has_address(&user, &address) => {
                if throttle::mail_of_sign_up(&provider.ephemeral, &address).await? {
                    timely(mail_outbox::tell_of_account(db, &user.sub, &address, &circumstances, now)).await?;
                }
            }
            ByLogin::One(_) | ByLogin::Several => tracing::info!("an account is asked for with a name that is taken"),
            ByLogin::NoUser => {
                if let Some(plain) = without_tag(&address)
                    && !may_have_tags(&provider, &plain).await?
                {
                    tracing::info!("an account is asked for with a tag of an address that gets no more of them");
                    return Ok(());
                }
                if let Err(full) = timely(mail_outbox::ask_to_sign_up(db, &address, &circumstances, now)).await? {
                    tracing::warn!(?full, "as many sign-ups are open as may be; no link is mailed");
                }
            }
        }
        provider.outgoing.queued.notify_one();
        Ok(())
    });
}

/// Whether a user can sign in, and has an address that is verified and no other user's; it is folded.
fn has_address(user: &User, folded: &str) -> bool {
    user.disabled_at.is_none() && address_of(user).is_some_and(|address| fold_email(address) == folded)
}

/// Whether there may be accounts with tags of a mailbox: not where it is a disabled user's, who would be in again; and one mailbox
/// has as many of them as are made up.
async fn may_have_tags(provider: &Provider, mailbox: &str) -> Result<bool, StoreError> {
    let is_kept_out = match timely(users::find_by_login(&provider.db, mailbox)).await? {
        ByLogin::One(user) => user.disabled_at.is_some(),
        ByLogin::Several | ByLogin::NoUser => false,
    };
    Ok(!is_kept_out && throttle::mail_of_sign_up(&provider.ephemeral, mailbox).await?)
}

/// The address of the mailbox, where many providers take what is after a plus sign for a tag; `None`: there is none.
fn without_tag(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let (mailbox, _) = local.split_once('+')?;
    Some(format!("{mailbox}@{domain}"))
}

/// Does what is not to be told by the answer or its time.
fn after_the_answer<W>(provider: &Arc<Provider>, work: impl FnOnce(Arc<Provider>) -> W)
where
    W: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    // What has no place is dropped, as a mail may be at any step: who waits for it asks again.
    let Ok(place) = provider.outgoing.places.clone().try_acquire_owned() else {
        tracing::warn!("more links are asked for at once than can be looked into; one is dropped");
        return;
    };
    let work = work(provider.clone());
    tokio::spawn(async move {
        let _place = place;
        if let Err(error) = work.await {
            let failure = Failure::from(error);
            tracing::error!(fix = failure.fix(), "a link was asked for and its mail is not queued: {failure}");
        }
    });
}

/// Queues the mail with a link to set up a second factor, for a user who has proven the password. `false`: none is on its way.
///
/// # Errors
/// The database failed.
pub async fn factor_is_overdue(
    provider: &Provider,
    user: &User,
    circumstances: &Circumstances,
) -> Result<bool, StoreError> {
    let is_by_hand = is_by_hand(user, NumericDate(circumstances.at));
    if is_by_hand || provider.outgoing.mailer.is_none() || address_of(user).is_none() {
        return Ok(false);
    }
    // Where as many are open, the user has one.
    ask(provider, Purpose::Factor, user, circumstances).await?;
    Ok(true)
}

/// Queues a mail with a link, unless there is a reason not to, which the audit is told.
async fn ask(
    provider: &Provider,
    purpose: Purpose,
    user: &User,
    circumstances: &Circumstances,
) -> Result<(), StoreError> {
    let now = NumericDate(circumstances.at);
    let why_not = match address_of(user) {
        _ if user.disabled_at.is_some() => Some(NotMailed::Disabled),
        Some(address) => {
            let asked = Asked { purpose, sub: &user.sub, address, circumstances, now };
            let is_queued = timely(mail_outbox::ask_for_link(&provider.db, &asked)).await?;
            (!is_queued).then_some(NotMailed::Open)
        }
        None => Some(NotMailed::NoAddress),
    };
    match why_not {
        Some(why) => not_mailed(provider, Some(&user.sub), purpose.mail(), why, now),
        None => provider.outgoing.queued.notify_one(),
    }
    Ok(())
}

/// Whether only the log is told of a mail, as its user reads the audit: of the link for another address, where it would say whether that
/// is another's; and that someone asked for an account with theirs, which is not what happened to the account.
const fn is_for_the_log(kind: MailKind) -> bool {
    matches!(kind, MailKind::EmailLink | MailKind::HasAccount)
}

/// Tells the audit why no link is mailed.
fn not_mailed(provider: &Provider, sub: Option<&str>, kind: MailKind, why: NotMailed, now: NumericDate) {
    let (Some(sub), false) = (sub, is_for_the_log(kind)) else {
        tracing::info!(sub, kind = kind.as_str(), why = why.as_str(), "a link is not mailed");
        return;
    };
    let event = Event::new(EventKind::LinkNotMailed, now).of(sub).with("kind", kind.as_str());
    provider.audit.record(event.with("reason", why.as_str()));
}

/// Queues the mail with the link by which an address becomes the user's. Whether it can be is decided when the mail is handed over:
/// the address of another user is answered alike. Where `is_over`, too many were asked for to that address.
///
/// # Errors
/// The database failed.
pub async fn address_was_typed(
    provider: &Provider,
    user: &User,
    address: &str,
    circumstances: &Circumstances,
    is_over: bool,
) -> Result<(), StoreError> {
    let now = NumericDate(circumstances.at);
    if is_over {
        tracing::warn!(sub = user.sub, "more mails are asked for to one address than it may get; none is sent");
    }
    let asked = Asked { purpose: Purpose::Email, sub: &user.sub, address, circumstances, now };
    timely(mail_outbox::ask_for_address(&provider.db, &asked, is_over)).await?;
    provider.outgoing.queued.notify_one();
    Ok(())
}

/// Hands over what is due, for as long as the provider runs.
pub async fn keep_sending(provider: Arc<Provider>) {
    let (mut said_at, mut looked_at): (Option<NumericDate>, Option<NumericDate>) = (None, None);
    loop {
        let now = provider.now();
        if said_at.is_none_or(|at| now.since(at) >= HERE || now < at) {
            match mail_outbox::sender_is_here(&provider.db, now).await {
                Ok(()) => said_at = Some(now),
                Err(error) => {
                    tracing::warn!(%error, "that this node sends mails could not be noted; it is tried again");
                }
            }
        }
        send_due(&provider).await;
        if looked_at.is_none_or(|at| now.since(at) >= LOOK || now < at) {
            looked_at = Some(now);
            look_again(&provider).await;
        }
        let _ = tokio::time::timeout(ROUND, provider.outgoing.queued.notified()).await;
    }
}

/// One round of it, which ends where the server takes nothing: it would hold up the next ones as well.
pub async fn send_due(provider: &Arc<Provider>) {
    let Some(mailer) = &provider.outgoing.mailer else { return };
    let is_unreachable = &AtomicBool::new(false);
    match mail_outbox::due(&provider.db, provider.now()).await {
        Ok(due) => {
            let sending = futures_util::stream::iter(due).for_each_concurrent(AT_ONCE, |id| async move {
                if is_unreachable.load(Ordering::Relaxed) {
                    return;
                }
                match send(provider, mailer, &id).await {
                    Ok(Server::Well) => {}
                    Ok(Server::Away) => is_unreachable.store(true, Ordering::Relaxed),
                    Err(error) => {
                        tracing::warn!(%error, mail = id, "a mail could not be looked after; it is tried again");
                    }
                }
            });
            sending.await;
        }
        Err(error) => tracing::warn!(%error, "mails could not be looked for; it is tried again"),
    }
}

/// How the mail server is, by what it did with a mail.
enum Server {
    Well,
    Away,
}

/// Asks the server whether it is well again, where it was not the last time: another node may have sent what waited.
async fn look_again(provider: &Provider) {
    let Some(mailer) = &provider.outgoing.mailer else { return };
    if provider.degraded.members().contains_key(DEGRADED) && mailer.probe().await.is_ok() {
        is_well(provider);
    }
}

fn is_well(provider: &Provider) {
    if provider.degraded.set(DEGRADED, None) {
        tracing::info!("the mail server takes mails again");
    }
}

/// Hands a mail over, if no other node has it.
async fn send(provider: &Provider, mailer: &Mailer, id: &str) -> Result<Server, StoreError> {
    let (db, now) = (&provider.db, provider.now());
    let Some(mail) = mail_outbox::lease(db, id, now).await? else { return Ok(Server::Well) };
    let Some(kind) = mail.kind else {
        // A node of the version that queued it sends it.
        mail_outbox::failed(db, id, "this version does not know what it is about", now.plus(LONGEST_OF_LINK)).await?;
        return Ok(Server::Well);
    };
    // Where no node was here for a while: who asked for a link then asks again, or has.
    if now.since(mail.created_at) >= kind.patience() {
        give_up(provider, &mail, kind, "it waited for too long", now).await?;
        return Ok(Server::Well);
    }
    let user = match &mail.sub {
        Some(sub) => users::find(db, sub).await?,
        None => None,
    };
    // A user who is gone is told nothing; who is none yet can be sent a link to become one.
    if user.is_none() && kind != MailKind::SignUpLink {
        mail_outbox::done(db, id).await?;
        return Ok(Server::Well);
    }
    if let (MailKind::HasAccount, Some(user)) = (kind, &user)
        && !has_address(user, &mail.address)
    {
        mail_outbox::done(db, id).await?;
        return Ok(Server::Well);
    }
    if kind == MailKind::SignUpLink && !provider.config.sign_up.admits(&mail.address) {
        // The setting was changed, or is on its way from node to node.
        mail_outbox::failed(db, id, "HALLPASS_SIGN_UP does not admit it here", now.plus(LONGEST_OF_LINK)).await?;
        return Ok(Server::Well);
    }
    let link = if kind.has_link() {
        let Some(link) = made(provider, &mail, kind, user.as_ref(), now).await? else {
            not_mailed(provider, mail.sub.as_deref(), kind, NotMailed::NotAnyMore, now);
            mail_outbox::done(db, id).await?;
            return Ok(Server::Well);
        };
        Some(link)
    } else {
        None
    };
    let letter = letters::written(provider, &mail, kind, user.as_ref(), link.as_ref());
    let refused = match (mailer.send(&letter, now).await, &link) {
        (Ok(()), _) => {
            is_well(provider);
            mail_outbox::done(db, id).await?;
            taken(provider, mail.sub.as_deref(), kind, now);
            return Ok(Server::Well);
        }
        // The link may be in the mailbox: it stays good, and who has none asks again.
        (Err(NotTaken::Perhaps(failure)), Some(_)) => {
            tracing::warn!(
                sub = mail.sub,
                kind = kind.as_str(),
                "a mail may have been taken or not: {}",
                failure.what()
            );
            mail_outbox::done(db, id).await?;
            return Ok(Server::Away);
        }
        (Err(refused), _) => refused,
    };
    if let Some(link) = &link
        && let Err(error) = user_links::withdraw(db, link).await
    {
        tracing::warn!(%error, "a link that was not mailed could not be forgotten; it ends by itself");
    }
    refused_by_server(provider, &mail, kind, refused).await
}

/// The link of a mail; `None`: it would not work, or is the operator's own to make.
async fn made(
    provider: &Provider,
    mail: &Mail,
    kind: MailKind,
    user: Option<&User>,
    now: NumericDate,
) -> Result<Option<LinkSecret>, StoreError> {
    let link = LinkSecret::from_random(&random::<32>());
    let (Some(purpose), Some(user)) = (Purpose::of_mail(kind), user) else {
        let is_wanted = user_links::make_sign_up(&provider.db, &link, (&mail.id, &mail.address), now).await?;
        return Ok(is_wanted.then_some(link));
    };
    if purpose == Purpose::Factor && is_by_hand(user, now) {
        return Ok(None);
    }
    let new = NewLink { link: &link, sub: &user.sub, credential: &user.credential, purpose, now };
    let wanted = Wanted { new, mail_id: &mail.id, address: &mail.address };
    Ok(user_links::make_mailed(&provider.db, &wanted).await?.then_some(link))
}

/// Tells the audit of a mail that was taken.
fn taken(provider: &Provider, sub: Option<&str>, kind: MailKind, now: NumericDate) {
    let (Some(sub), false) = (sub, is_for_the_log(kind)) else {
        tracing::info!(sub, kind = kind.as_str(), "a mail was taken");
        return;
    };
    provider.audit.record(Event::new(EventKind::MailSent, now).of(sub).with("kind", kind.as_str()));
    if let Some(purpose) = Purpose::of_mail(kind) {
        let event = Event::new(EventKind::UserLinkMade, now).of(sub).with("purpose", purpose.as_str());
        provider.audit.record(event.with("mailed", true));
    }
}

/// Forgets a mail that comes to nothing.
async fn give_up(
    provider: &Provider,
    mail: &Mail,
    kind: MailKind,
    why: &str,
    now: NumericDate,
) -> Result<(), StoreError> {
    let (sub, word, tries) = (&mail.sub, kind.as_str(), mail.tries);
    if kind.is_to_typed_address() {
        tracing::warn!(sub, kind = word, tries, why, "a mail to an address that was typed was given up");
    } else {
        tracing::error!(sub, kind = word, tries, why, "a mail was given up");
    }
    mail_outbox::done(&provider.db, &mail.id).await?;
    if let (Some(sub), false) = (sub, is_for_the_log(kind)) {
        let event = Event::new(EventKind::MailGivenUp, now).of(sub).with("kind", word).with("tries", tries);
        // The server may say the address.
        provider.audit.record(event.personal("result", why));
    }
    Ok(())
}

async fn refused_by_server(
    provider: &Provider,
    mail: &Mail,
    kind: MailKind,
    refused: NotTaken,
) -> Result<Server, StoreError> {
    let (failure, is_for_good, server) = match refused {
        NotTaken::Ever(failure) => (failure, true, Server::Well),
        NotTaken::Busy(failure) => (failure, false, Server::Well),
        NotTaken::Yet(failure) | NotTaken::Perhaps(failure) => (failure, false, Server::Away),
    };
    match server {
        Server::Well => is_well(provider),
        Server::Away => {
            provider.degraded.set(DEGRADED, Some(failure.what().to_owned()));
        }
    }
    let mut cause = in_words(&failure);
    cause.truncate(cause.floor_char_boundary(MOST_CAUSE));
    // The server may have taken its time.
    let now = provider.now();
    if is_for_good {
        give_up(provider, mail, kind, &cause, now).await?;
        return Ok(server);
    }
    let (sub, word, tries, again_in) = (&mail.sub, kind.as_str(), mail.tries, pause(mail, kind));
    tracing::warn!(sub, kind = word, tries, cause, fix = failure.fix(), again_in, "a mail waits: {}", failure.what());
    mail_outbox::failed(&provider.db, &mail.id, failure.what(), now.plus(again_in)).await?;
    Ok(server)
}

/// Seconds until the next try. Who waits for a link waits at the screen.
fn pause(mail: &Mail, kind: MailKind) -> i64 {
    let at = usize::try_from(mail.tries - 1).unwrap_or_default().min(PAUSES.len() - 1);
    if kind.has_link() { PAUSES[at].min(LONGEST_OF_LINK) } else { PAUSES[at] }
}
