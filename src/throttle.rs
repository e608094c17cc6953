//! Throttling: how often a user or client may be wrong. Every endpoint that checks a password or a secret asks here first.
//!
//! An attempt is counted when its turn has come and before its hash is computed, on the account that was found or on the
//! name that was typed, and taken back when it succeeds: however many users sign in at once, few are counted at a time.
//! Account and network together have a hard limit, and so have a network and the wider one it belongs to over all accounts;
//! an account over all networks is only slowed, more and more, so that no attacker can lock its owner out. A browser that has
//! signed in to the account before answers for itself alone.
//!
//! A name that no user has is counted as an account is, under a keyed digest, so that neither counters nor delays tell which
//! names there are. Only what cost a hash leaves a counter for a name, and one wide network leaves few.
//!
//! Each name below has the instant behind it at which an operator last freed it (`store::unthrottled`), so that what was
//! counted before is not looked at any more.
//!
//! Key: `fail:{/24 or /48}`, counts by network and account for an hour.
//!
//! Key: `fail:{account}` and `fail:{account}:{browser}`, a count for its window.
//!
//! Key: `code:{account}` and `code:{account}:{browser}`, counts of wrong codes for an hour and for a day.
//!
//! Key: `mail:{/24 or /48}`, counts of mails that were asked for by network.
//!
//! Key: `mail:{account}`, a count of mails to addresses that one user typed.
//!
//! Key: `mail:to:{digest of the address}`, a count of mails to an address that users typed, for a day.
//!
//! Key: `mail:new:{digest of the address}`, the same of what those asked for who want an account.
//!
//! Key: `client:{network}`, counts by client for their window.

use crate::protocol::authorization::PendingAttempt;
use crate::protocol::secret::{BrowserId, Digest};
use crate::store::ephemeral::{Ephemeral, STARTED_SHARE, Tallied, Tally};
use crate::store::{StoreError, unthrottled};
use crate::web::answer::ApiError;
use crate::web::network::Network;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Seconds in which failed sign-ins are counted.
pub const SIGN_IN_WINDOW: i64 = 900;
/// Failed sign-ins to one account from one network, or from one browser that is known to it.
pub const PER_ACCOUNT_AND_NETWORK: i64 = 10;
/// Failed sign-ins from one network, to whatever accounts.
pub const PER_NETWORK: i64 = 100;
/// Seconds in which the failed sign-ins of a wide network are counted.
pub const WIDE_WINDOW: i64 = 3600;
/// Failed sign-ins from one wide network (a /24 of IPv4, a /48 of IPv6), to whatever accounts.
pub const PER_WIDE_NETWORK: i64 = 1000;
/// Failed sign-ins to one account after which further ones are slowed, and after as many more twice as much.
pub const PER_ACCOUNT: i64 = 30;
/// The first delay, in seconds.
const FIRST_DELAY: u64 = 3;
/// The longest delay, in seconds.
const LONGEST_DELAY: u64 = 60;
/// How many may be delayed at once, and how many of them at one account.
const MOST_WAITING: usize = 256;
const MOST_WAITING_AT_ONE: usize = 32;

/// Passkeys from one network that did not hold, in the window of failed sign-ins.
pub const PASSKEYS_PER_NETWORK: i64 = 200;
/// The same from one wide network.
pub const PASSKEYS_PER_WIDE_NETWORK: i64 = 2000;

/// Seconds in which failed client authentications are counted.
pub const CLIENT_WINDOW: i64 = 300;
/// Failed authentications of one client from one network.
pub const PER_CLIENT_AND_NETWORK: i64 = 20;
/// Failed client authentications from one network, of whatever clients.
pub const CLIENTS_PER_NETWORK: i64 = 200;

/// Seconds in which wrong codes of a second factor are counted: an hour, and a day.
pub const CODE_WINDOWS: [i64; 2] = [3600, 86_400];
/// Wrong codes of one user in each of them, over all networks; a browser that is known to the account counts for itself. Who has
/// the password finds the code of a moment with a chance of three in a million each.
pub const PER_CODE_WINDOW: [i64; 2] = [10, 30];

/// Seconds in which mails are counted that are asked for.
pub const MAIL_WINDOW: i64 = 3600;
/// Mails that are asked for from one network, for whatever accounts.
pub const MAILS_PER_NETWORK: i64 = 20;
/// Sign-ups that are asked for from one network: an office of newcomers may be behind it.
pub const SIGN_UPS_PER_NETWORK: i64 = 100;
/// Mails that are asked for from one wide network.
pub const MAILS_PER_WIDE_NETWORK: i64 = 200;
/// The same from one that many share, and so is no single one.
pub const MAILS_PER_SHARED_NETWORK: i64 = 1000;
/// Mails to addresses that one user typed.
pub const MAILS_PER_USER: i64 = 5;
/// Mails to one address that users typed, in a day.
pub const MAILS_PER_ADDRESS: i64 = 5;

/// The most bytes that the sign-ins and sign-outs which one network has started and not completed may store.
pub const STARTED_PER_NETWORK: i64 = 8 * 1024 * 1024;

/// Too many failures: come again in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    /// Seconds.
    pub seconds: i64,
    /// What is used up.
    pub budget: Budget,
}

/// What a mail is asked for by who is not signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailBudget {
    /// A forgotten password.
    Reset,
    /// An account.
    SignUp,
}

/// What can be used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Failed sign-ins to one account from one network.
    Account,
    /// Failed sign-ins to one account from a browser that is known to it.
    Browser,
    /// Failures from one network.
    Network,
    /// Failures from one wide network.
    WideNetwork,
    /// Failed authentications of one client from one network.
    Client,
    /// Wrong codes of one user's second factor.
    Code,
    /// Places to wait at an account that is slowed.
    Waiting,
    /// What is kept for one user or client.
    Kept,
}

impl Budget {
    /// The word in `budget` of an event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Browser => "browser",
            Self::Network => "network",
            Self::WideNetwork => "wide_network",
            Self::Client => "client",
            Self::Code => "code",
            Self::Waiting => "waiting",
            Self::Kept => "kept",
        }
    }
}

/// Why an attempt may not continue.
#[derive(Debug)]
pub enum Stopped {
    /// Too many failures.
    Later(Later),
    /// A store failed.
    Fault(StoreError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Fault(error)
    }
}

impl From<Stopped> for ApiError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Later(later) => Self::TooMany(later.seconds),
            Stopped::Fault(error) => Self::Fault(error.into()),
        }
    }
}

/// What the throttle itself holds: how many are being delayed, at which account, and whom an operator has freed when.
#[derive(Default)]
pub struct Throttle {
    waiting: Mutex<HashMap<String, usize>>,
    freed: RwLock<HashMap<String, String>>,
}

/// A place among those that are delayed, given back when it is dropped.
struct Place<'a> {
    throttle: &'a Throttle,
    account: &'a str,
}

impl<'a> Place<'a> {
    fn take(throttle: &'a Throttle, account: &'a str) -> Option<Self> {
        let mut waiting = throttle.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let here = waiting.get(account).copied().unwrap_or(0);
        if here >= MOST_WAITING_AT_ONE || waiting.values().sum::<usize>() >= MOST_WAITING {
            return None;
        }
        waiting.insert(account.to_owned(), here + 1);
        Some(Self { throttle, account })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.throttle.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = waiting.get_mut(self.account) {
            *here -= 1;
            if *here == 0 {
                waiting.remove(self.account);
            }
        }
    }
}

impl Throttle {
    /// Lets a sign-in wait that its account's counter slows. It must not hold a turn at the gate meanwhile.
    ///
    /// # Errors
    /// `Later` when too many wait already.
    pub async fn slow(&self, attempt: &Attempt) -> Result<(), Later> {
        let Some(delay) = attempt.delay else { return Ok(()) };
        let Some(_place) = Place::take(self, &attempt.account) else {
            return Err(Later { seconds: 10, budget: Budget::Waiting });
        };
        tokio::time::sleep(delay).await;
        Ok(())
    }

    /// Learns whom operators have freed, by name, with the instant.
    pub fn learn(&self, freed: Vec<(String, String)>) {
        *self.freed.write().unwrap_or_else(PoisonError::into_inner) = freed.into_iter().collect();
    }

    /// A counter's name, as it has been since it was freed.
    fn since_freed(&self, counter: &str, freed: &str) -> String {
        match self.freed.read().unwrap_or_else(PoisonError::into_inner).get(freed) {
            Some(at) => format!("{counter}~{at}"),
            None => counter.to_owned(),
        }
    }

    fn account(&self, account: &str) -> String {
        self.since_freed(account, &unthrottled::account(account))
    }

    fn in_network(&self, counter: &str, network: Network) -> String {
        self.since_freed(counter, &unthrottled::network(network.wide()))
    }
}

/// A field that is counted up, with its window, its most and what it is to the one who is refused.
type Field = (String, i64, i64, Budget);

/// What an attempt has counted: a record and its fields, or nothing where no counter could be kept.
struct Count {
    key: String,
    fields: Vec<String>,
}

impl Count {
    /// Counts one more in each field, or in none of them.
    async fn one(ephemeral: &Ephemeral, key: String, fields: Vec<Field>) -> Result<Self, Stopped> {
        let tallies: Vec<Tally<'_>> = fields
            .iter()
            .map(|(field, window, most, _)| Tally { field, window: *window, most: *most, amount: 1 })
            .collect();
        match ephemeral.tally(&key, &tallies).await? {
            Tallied::Counted(_) => Ok(Self { key, fields: fields.into_iter().map(|(field, ..)| field).collect() }),
            Tallied::Over { index, ends_in } => {
                let budget = fields.get(index).map_or(Budget::Network, |(.., budget)| *budget);
                Err(Stopped::Later(Later { seconds: ends_in, budget }))
            }
        }
    }

    async fn take_back(self, ephemeral: &Ephemeral) -> Result<(), StoreError> {
        let back = |field| Tally { field, window: 1, most: i64::MAX, amount: -1 };
        let tallies: Vec<Tally<'_>> = self.fields.iter().map(|field| back(field)).collect();
        ephemeral.tally(&self.key, &tallies).await.map(drop)
    }
}

/// An attempt to sign in that was counted.
pub struct Attempt {
    /// The account's digest.
    account: String,
    counted: Option<Count>,
    is_known: bool,
    /// How long it has to wait first (`Throttle::slow`): its account is attacked from many networks.
    delay: Option<Duration>,
}

/// The record of failures at an account over all networks.
fn over_all_networks(account: &str) -> String {
    format!("fail:{account}")
}

/// How long an attempt at an account has to wait that has failed so often lately.
fn delay_after(failures: i64) -> Option<Duration> {
    let times = u32::try_from(failures / PER_ACCOUNT).unwrap_or(u32::MAX);
    let doubled = times.checked_sub(1)?.min(16);
    Some(Duration::from_secs((FIRST_DELAY << doubled).min(LONGEST_DELAY)))
}

/// Counts a sign-in that is about to be checked; one trip. `known` is the browser that has proven that a user signed in to
/// this account with it before.
///
/// # Errors
/// `Later` at a hard limit.
pub async fn sign_in(
    throttle: &Throttle,
    ephemeral: &Ephemeral,
    account: &str,
    network: Network,
    known: Option<&BrowserId>,
) -> Result<Attempt, Stopped> {
    let account = &throttle.account(account);
    let attempt = |counted, delay| Attempt { account: account.to_owned(), counted, is_known: known.is_some(), delay };
    if let Some(browser) = known {
        let key = format!("fail:{account}:{}", &browser.digest().as_str()[..22]);
        let fields = vec![("browser".to_owned(), SIGN_IN_WINDOW, PER_ACCOUNT_AND_NETWORK, Budget::Browser)];
        return Ok(attempt(or_nothing(Count::one(ephemeral, key, fields).await)?, None));
    }
    let mut fields = vec![
        (network.to_string(), SIGN_IN_WINDOW, PER_NETWORK, Budget::Network),
        (format!("{network} {account}"), SIGN_IN_WINDOW, PER_ACCOUNT_AND_NETWORK, Budget::Account),
    ];
    // What many share belongs to no customer.
    if !network.is_shared() {
        fields.push(("all".to_owned(), WIDE_WINDOW, PER_WIDE_NETWORK, Budget::WideNetwork));
    }
    let over_all = over_all_networks(account);
    let (counted, failures) = tokio::join!(
        Count::one(ephemeral, throttle.in_network(&format!("fail:{}", network.wide()), network), fields),
        ephemeral.tallied(&over_all, "all")
    );
    let counted = or_nothing(counted)?;
    let delay = match delay_after(failures?) {
        // Where no counter can be kept, all names are slowed alike.
        None if counted.is_none() => Some(Duration::from_secs(FIRST_DELAY)),
        delay => delay,
    };
    if let Some(delay) = delay {
        let seconds = delay.as_secs();
        tracing::warn!(account, %network, seconds, "an account is attacked from many networks; its sign-ins are slowed");
    }
    Ok(attempt(counted, delay))
}

/// Counters have a budget; what cannot be counted is told apart from what failed.
fn or_nothing(counted: Result<Count, Stopped>) -> Result<Option<Count>, Stopped> {
    match counted {
        Ok(count) => Ok(Some(count)),
        Err(Stopped::Fault(StoreError::Full)) => Ok(None),
        Err(stopped) => Err(stopped),
    }
}

/// The budget of a network for what it starts without having proven anything. One that many share has the whole
/// share, and no more.
#[must_use]
pub const fn started_budget(network: Network) -> i64 {
    if network.is_shared() { STARTED_SHARE } else { STARTED_PER_NETWORK }
}

/// An attempt to authenticate a client that was counted.
pub struct ClientAttempt(Option<Count>);

/// Counts a client authentication that is about to be checked, of a client that is registered or not; one trip.
///
/// # Errors
/// `Later` at the limit.
pub async fn client(
    throttle: &Throttle,
    ephemeral: &Ephemeral,
    client_id: &str,
    network: Network,
) -> Result<ClientAttempt, Stopped> {
    let name = Digest::of(&["client", client_id]);
    let name = throttle.since_freed(&name.as_str()[..22], &unthrottled::client(client_id));
    let mut fields = vec![(name, CLIENT_WINDOW, PER_CLIENT_AND_NETWORK, Budget::Client)];
    if !network.is_shared() {
        fields.push(("all".to_owned(), CLIENT_WINDOW, CLIENTS_PER_NETWORK, Budget::Network));
    }
    let key = throttle.in_network(&format!("client:{network}"), network);
    Ok(ClientAttempt(or_nothing(Count::one(ephemeral, key, fields).await)?))
}

impl ClientAttempt {
    /// Takes the count back: it was no failure.
    ///
    /// # Errors
    /// A store failed.
    pub async fn succeeded(self, ephemeral: &Ephemeral) -> Result<(), StoreError> {
        match self.0 {
            Some(count) => count.take_back(ephemeral).await,
            None => Ok(()),
        }
    }
}

/// Counts a mail that a stranger asks for; one trip. `false`: at the limit, and where no counter can be kept: what a stranger has sent is
/// never without a bound.
///
/// # Errors
/// A store failed.
pub async fn mail_from(
    throttle: &Throttle,
    ephemeral: &Ephemeral,
    network: Network,
    budget: MailBudget,
) -> Result<bool, StoreError> {
    // Each has fields of its own: those who sign up in an office at once keep no one from a forgotten password.
    let (narrow, wide, most) = match budget {
        MailBudget::Reset => (network.to_string(), "all", MAILS_PER_NETWORK),
        MailBudget::SignUp => (format!("{network} new"), "new", SIGN_UPS_PER_NETWORK),
    };
    let fields = if network.is_shared() {
        vec![(wide.to_owned(), MAIL_WINDOW, MAILS_PER_SHARED_NETWORK, Budget::WideNetwork)]
    } else {
        vec![
            (narrow, MAIL_WINDOW, most, Budget::Network),
            (wide.to_owned(), MAIL_WINDOW, MAILS_PER_WIDE_NETWORK, Budget::WideNetwork),
        ]
    };
    let key = throttle.in_network(&format!("mail:{}", network.wide()), network);
    is_within(Count::one(ephemeral, key, fields).await)
}

/// Whether what was counted is within its limit, where the caller tells no one until when it is not.
fn is_within(counted: Result<Count, Stopped>) -> Result<bool, StoreError> {
    match counted {
        Ok(_) => Ok(true),
        Err(Stopped::Later(_)) => Ok(false),
        Err(Stopped::Fault(error)) => Err(error),
    }
}

/// Counts a mail to an address that a user typed; one trip.
///
/// # Errors
/// `Later` at the limit.
pub async fn mail_by(throttle: &Throttle, ephemeral: &Ephemeral, account: &str) -> Result<(), Stopped> {
    let account = throttle.account(account);
    let fields = vec![("typed".to_owned(), MAIL_WINDOW, MAILS_PER_USER, Budget::Account)];
    Count::one(ephemeral, format!("mail:{account}"), fields).await.map(drop)
}

/// Counts a mail to an address that a user typed, of any user; one trip. `false`: at the limit.
///
/// # Errors
/// A store failed.
pub async fn mail_to(ephemeral: &Ephemeral, address: &str) -> Result<bool, StoreError> {
    mail_in_day(ephemeral, "mail:to", address).await
}

/// Counts a mail to an address, or its tags, that is sent as someone asked for an account with it; one trip. What strangers use up is no
/// one's to miss. `false`: at the limit.
///
/// # Errors
/// A store failed.
pub async fn mail_of_sign_up(ephemeral: &Ephemeral, address: &str) -> Result<bool, StoreError> {
    mail_in_day(ephemeral, "mail:new", address).await
}

async fn mail_in_day(ephemeral: &Ephemeral, counter: &str, address: &str) -> Result<bool, StoreError> {
    let digest = Digest::of(&["mail to", address]);
    let fields = vec![("day".to_owned(), CODE_WINDOWS[1], MAILS_PER_ADDRESS, Budget::Account)];
    let key = format!("{counter}:{}", &digest.as_str()[..22]);
    is_within(Count::one(ephemeral, key, fields).await)
}

/// A code of a second factor, or a passkey, that is about to be checked, and was counted.
pub struct FactorAttempt(Vec<Count>);

/// Counts a code that is about to be checked, at its user over all networks and in its network; one trip. Unlike passwords, wrong
/// codes of a user are stopped wherever they come from, as only who has the password gets here. `known` is the digest (22
/// characters) of a browser that is known to the account.
///
/// # Errors
/// `Later` at a limit.
pub async fn code(
    throttle: &Throttle,
    ephemeral: &Ephemeral,
    account: &str,
    network: Network,
    known: Option<&str>,
) -> Result<FactorAttempt, Stopped> {
    let account = &throttle.account(account);
    let key = match known {
        Some(browser) => format!("code:{account}:{browser}"),
        None => format!("code:{account}"),
    };
    let windows = ["hour", "day"].into_iter().zip(CODE_WINDOWS).zip(PER_CODE_WINDOW);
    let of_user = windows.map(|((field, window), most)| (field.to_owned(), window, most, Budget::Code)).collect();
    let of_network = vec![(network.to_string(), SIGN_IN_WINDOW, PER_NETWORK, Budget::Network)];
    let in_network = throttle.in_network(&format!("fail:{}", network.wide()), network);
    let in_network = async { or_nothing(Count::one(ephemeral, in_network, of_network).await) };
    let (user, network) = tokio::join!(Count::one(ephemeral, key, of_user), in_network);
    match (or_nothing(user), network) {
        // Where no counter can be kept no code is looked at: a code is short.
        (Ok(None), _) => Err(Stopped::Fault(StoreError::Full)),
        (Ok(user), Ok(network)) => Ok(FactorAttempt(user.into_iter().chain(network).collect())),
        (Ok(counted), Err(stopped)) | (Err(stopped), Ok(counted)) => {
            if let Some(count) = counted {
                count.take_back(ephemeral).await?;
            }
            Err(stopped)
        }
        (Err(stopped), Err(_)) => Err(stopped),
    }
}

/// Counts a passkey that is about to be checked, in its network; one trip. None is guessed, so that it is bounded what strangers make us
/// do and write down, and no user is slowed by it.
///
/// # Errors
/// `Later` at a limit.
pub async fn passkey(throttle: &Throttle, ephemeral: &Ephemeral, network: Network) -> Result<FactorAttempt, Stopped> {
    // Apart from passwords: a user who mistypes those in an office or behind a carrier keeps no passkey out.
    let mut fields = vec![(format!("{network} passkeys"), SIGN_IN_WINDOW, PASSKEYS_PER_NETWORK, Budget::Network)];
    if !network.is_shared() {
        fields.push(("passkeys".to_owned(), WIDE_WINDOW, PASSKEYS_PER_WIDE_NETWORK, Budget::WideNetwork));
    }
    let key = throttle.in_network(&format!("fail:{}", network.wide()), network);
    let counted = or_nothing(Count::one(ephemeral, key, fields).await)?;
    Ok(FactorAttempt(counted.into_iter().collect()))
}

impl FactorAttempt {
    /// Takes the count back: it was no failure.
    ///
    /// # Errors
    /// A store failed.
    pub async fn succeeded(self, ephemeral: &Ephemeral) -> Result<(), StoreError> {
        let taken_back = self.0.into_iter().map(|count| count.take_back(ephemeral));
        futures_util::future::try_join_all(taken_back).await.map(drop)
    }
}

impl Attempt {
    /// The attempt as it is kept while its end is open: the password was right, and the second factor is still to come.
    #[must_use]
    pub fn pending(self) -> PendingAttempt {
        let (record, fields) = self.counted.map(|count| (count.key, count.fields)).unzip();
        PendingAttempt { account: self.account, record, fields: fields.unwrap_or_default(), is_known: self.is_known }
    }

    /// An attempt whose end was open.
    #[must_use]
    pub fn resumed(pending: PendingAttempt) -> Self {
        let PendingAttempt { account, record, fields, is_known } = pending;
        Self { account, counted: record.map(|key| Count { key, fields }), is_known, delay: None }
    }

    /// Whether it has to wait first.
    #[must_use]
    pub const fn is_slowed(&self) -> bool {
        self.delay.is_some()
    }

    /// Takes the count back: it was no failure. What others in the same network or at the same account did stays counted,
    /// unless the browser is known to the account.
    ///
    /// # Errors
    /// A store failed.
    pub async fn succeeded(self, ephemeral: &Ephemeral) -> Result<(), StoreError> {
        let over_all = over_all_networks(&self.account);
        let taken_back = async {
            match self.counted {
                Some(count) if self.is_known => ephemeral.clear_tally(&count.key).await,
                Some(count) => count.take_back(ephemeral).await,
                None => Ok(()),
            }
        };
        let cleared = async { if self.is_known { ephemeral.clear_tally(&over_all).await } else { Ok(()) } };
        tokio::try_join!(taken_back, cleared).map(drop)
    }

    /// Counts the failure at the account over all networks, once its hash has been computed.
    ///
    /// # Errors
    /// A store failed.
    pub async fn failed(self, ephemeral: &Ephemeral) -> Result<(), StoreError> {
        let tally = Tally { field: "all", window: SIGN_IN_WINDOW, most: i64::MAX, amount: 1 };
        match ephemeral.tally(&over_all_networks(&self.account), &[tally]).await {
            // Where no counter can be kept, all are slowed.
            Ok(_) | Err(StoreError::Full) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_a_minute() {
        let seconds = |failures| delay_after(failures).map(|delay| delay.as_secs());
        let found = [0, 29, 30, 59, 60, 90, 120, 150, 180, 100_000, i64::MAX].map(seconds);
        let three = Some(3);
        assert_eq!(
            found,
            [None, None, three, three, Some(6), Some(12), Some(24), Some(48), Some(60), Some(60), Some(60)]
        );
    }

    #[tokio::test]
    async fn those_who_wait_at_one_account_leave_room_for_others() {
        let throttle = Throttle::default();
        let places: Vec<_> = (0..MOST_WAITING_AT_ONE).map(|_| Place::take(&throttle, "one").unwrap()).collect();
        assert!(Place::take(&throttle, "one").is_none());
        assert!(Place::take(&throttle, "another").is_some());
        drop(places);
        assert!(Place::take(&throttle, "one").is_some());
        assert!(throttle.waiting.lock().unwrap().is_empty());
    }
}
