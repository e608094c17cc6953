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
//! Key: `fail:{/24 or /48}`, counts by network and account for an hour.
//!
//! Key: `fail:{account}` and `fail:{account}:{browser}`, a count for its window.
//!
//! Key: `client:{network}`, counts by client for their window.

use crate::protocol::secret::{BrowserId, Digest};
use crate::store::StoreError;
use crate::store::ephemeral::{Ephemeral, STARTED_SHARE, Tallied, Tally};
use crate::web::answer::ApiError;
use crate::web::network::Network;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
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

/// Seconds in which failed client authentications are counted.
pub const CLIENT_WINDOW: i64 = 300;
/// Failed authentications of one client from one network.
pub const PER_CLIENT_AND_NETWORK: i64 = 20;
/// Failed client authentications from one network, of whatever clients.
pub const CLIENTS_PER_NETWORK: i64 = 200;

/// The most bytes that the sign-ins and sign-outs which one network has started and not completed may store.
pub const STARTED_PER_NETWORK: i64 = 8 * 1024 * 1024;

/// Too many failures: come again in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    /// Seconds.
    pub seconds: i64,
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

/// What the throttle itself holds: how many are being delayed, at which account.
#[derive(Default)]
pub struct Throttle {
    waiting: Mutex<HashMap<String, usize>>,
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
        let Some(_place) = Place::take(self, &attempt.account) else { return Err(Later { seconds: 10 }) };
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

/// What an attempt has counted: a record and its fields, or nothing where no counter could be kept.
struct Count {
    key: String,
    fields: Vec<String>,
}

impl Count {
    /// Counts one more in each field, or in none of them.
    async fn one(ephemeral: &Ephemeral, key: String, fields: Vec<(String, i64, i64)>) -> Result<Self, Stopped> {
        let tallies: Vec<Tally<'_>> = fields
            .iter()
            .map(|(field, window, most)| Tally { field, window: *window, most: *most, amount: 1 })
            .collect();
        match ephemeral.tally(&key, &tallies).await? {
            Tallied::Counted(_) => Ok(Self { key, fields: fields.into_iter().map(|(field, ..)| field).collect() }),
            Tallied::Over { ends_in, .. } => Err(Stopped::Later(Later { seconds: ends_in })),
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
    ephemeral: &Ephemeral,
    account: &str,
    network: Network,
    known: Option<&BrowserId>,
) -> Result<Attempt, Stopped> {
    let attempt = |counted, delay| Attempt { account: account.to_owned(), counted, is_known: known.is_some(), delay };
    if let Some(browser) = known {
        let key = format!("fail:{account}:{}", &browser.digest().as_str()[..22]);
        let fields = vec![("browser".to_owned(), SIGN_IN_WINDOW, PER_ACCOUNT_AND_NETWORK)];
        return Ok(attempt(or_nothing(Count::one(ephemeral, key, fields).await)?, None));
    }
    let mut fields = vec![
        (network.to_string(), SIGN_IN_WINDOW, PER_NETWORK),
        (format!("{network} {account}"), SIGN_IN_WINDOW, PER_ACCOUNT_AND_NETWORK),
    ];
    // What many share belongs to no customer.
    if !network.is_shared() {
        fields.push(("all".to_owned(), WIDE_WINDOW, PER_WIDE_NETWORK));
    }
    let over_all = over_all_networks(account);
    let (counted, failures) = tokio::join!(
        Count::one(ephemeral, format!("fail:{}", network.wide()), fields),
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
pub async fn client(ephemeral: &Ephemeral, client_id: &str, network: Network) -> Result<ClientAttempt, Stopped> {
    let name = Digest::of(&["client", client_id]);
    let mut fields = vec![(name.as_str()[..22].to_owned(), CLIENT_WINDOW, PER_CLIENT_AND_NETWORK)];
    if !network.is_shared() {
        fields.push(("all".to_owned(), CLIENT_WINDOW, CLIENTS_PER_NETWORK));
    }
    Ok(ClientAttempt(or_nothing(Count::one(ephemeral, format!("client:{network}"), fields).await)?))
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

impl Attempt {
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
