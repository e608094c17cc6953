//! Throttling: how often somebody may be wrong. Every door that checks a password or a secret asks here first.
//!
//! An attempt is counted when its turn has come and before its hash is computed, on the account that was found or on
//! the canonical name, and taken back when it succeeds: however many people sign in at once, few are counted at a time. Account and network together have a hard limit, and so has a network over all
//! accounts; an account over all networks is only slowed, so that nobody can lock its owner out. A browser that has
//! signed in to the account before answers for itself alone.

use crate::protocol::client::Client;
use crate::protocol::secret::{BrowserId, Digest};
use crate::provider::Provider;
use crate::store::StoreError;
use crate::store::ephemeral::Ephemeral;
use crate::web::answer::ApiError;
use crate::web::network::Network;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Seconds in which failed sign-ins are counted.
pub const SIGN_IN_WINDOW: i64 = 900;
/// Failed sign-ins to one account from one network, or from one browser that is known to it.
pub const PER_ACCOUNT_AND_NETWORK: i64 = 10;
/// Failed sign-ins from one network, to whatever accounts.
pub const PER_NETWORK: i64 = 100;
/// Failed sign-ins to one account after which further ones are slowed.
pub const PER_ACCOUNT: i64 = 30;
/// How long a slowed sign-in waits.
const SLOWNESS: Duration = Duration::from_secs(3);
/// How many may wait so at once.
const MOST_WAITING: usize = 256;

/// Seconds in which failed client authentications are counted.
pub const CLIENT_WINDOW: i64 = 300;
/// Failed authentications of one client from one network.
pub const PER_CLIENT_AND_NETWORK: i64 = 20;

/// Seconds in which begun sign-ins are counted.
pub const BEGUN_WINDOW: i64 = 900;
/// Sign-ins and sign-outs that one network may begin without having proven anything: each is kept until it is
/// completed or forgotten, so a stranger could fill the store that everybody needs.
pub const BEGUN_PER_NETWORK: i64 = 5000;

/// Names that no account has share so many counters, so that inventing names cannot fill the store.
const UNKNOWN_NAMES: u16 = 4096;

/// Too many failures: come again in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    /// Seconds.
    pub seconds: i64,
}

/// Why an attempt may not go on.
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

/// What the throttle itself holds.
pub struct Throttle {
    waiting: Semaphore,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { waiting: Semaphore::new(MOST_WAITING) }
    }
}

impl Throttle {
    /// Lets a sign-in wait that the account's counter slows. It must not hold a turn at the gate meanwhile.
    ///
    /// # Errors
    /// `Later` when too many wait already.
    pub async fn slow(&self) -> Result<(), Later> {
        let Ok(_place) = self.waiting.try_acquire() else { return Err(Later { seconds: 10 }) };
        tokio::time::sleep(SLOWNESS).await;
        Ok(())
    }
}

/// An attempt that was counted.
pub struct Attempt {
    own: String,
    shared: Vec<String>,
    /// Whether it has to wait first (`Throttle::slow`): its account is attacked from many networks.
    pub is_slowed: bool,
}

/// The account an attempt is counted on: the one that was found, or one of a few for names nobody has.
#[must_use]
pub fn account(found: Option<&str>, typed: &str) -> String {
    if let Some(sub) = found {
        return Digest::of(&["account", sub]).as_str()[..22].to_owned();
    }
    let digest = Digest::of(&["nobody", &typed.to_lowercase()]);
    let number = digest.as_str().bytes().fold(0_u16, |number, byte| number.wrapping_mul(31).wrapping_add(byte.into()));
    format!("nobody-{}", number % UNKNOWN_NAMES)
}

/// Counts a sign-in that is about to be checked; one trip. `is_known`: the browser has proven that somebody signed in to
/// this account with it before.
///
/// # Errors
/// `Later` at a hard limit.
pub async fn sign_in(
    provider: &Provider,
    account: &str,
    network: Network,
    browser: &BrowserId,
    is_known: bool,
) -> Result<Attempt, Stopped> {
    let ephemeral = &provider.ephemeral;
    let browser = browser.digest();
    let with_browser = format!("fail:b:{account}:{}", &browser.as_str()[..22]);
    let with_network = format!("fail:an:{account}:{network}");
    let (of_network, of_account) = (format!("fail:n:{network}"), format!("fail:a:{account}"));
    let (by_browser, by_both, by_network, by_account) = tokio::try_join!(
        ephemeral.count(&with_browser, SIGN_IN_WINDOW),
        ephemeral.count(&with_network, SIGN_IN_WINDOW),
        ephemeral.count(&of_network, SIGN_IN_WINDOW),
        ephemeral.count(&of_account, SIGN_IN_WINDOW),
    )?;
    let attempt = Attempt {
        own: with_browser,
        // The owner's success must not clear what others in the same network did.
        shared: vec![with_network, of_network, of_account],
        is_slowed: !is_known && by_account.count > PER_ACCOUNT,
    };
    let hard = if is_known {
        [Some((by_browser, PER_ACCOUNT_AND_NETWORK)), None]
    } else {
        [Some((by_both, PER_ACCOUNT_AND_NETWORK)), Some((by_network, PER_NETWORK))]
    };
    let over = hard.into_iter().flatten().filter(|(counted, most)| counted.count > *most);
    if let Some(seconds) = over.map(|(counted, _)| counted.ends_in.max(1)).max() {
        return Err(Stopped::Later(Later { seconds }));
    }
    if attempt.is_slowed {
        tracing::warn!(account, %network, "an account is attacked from many networks; its sign-ins are slowed");
    }
    Ok(attempt)
}

/// Counts a sign-in or sign-out that is about to be kept until somebody completes it; one trip. This machine itself is
/// no network: who asks from there is a proxy that nobody has named, and stands for everybody.
///
/// # Errors
/// `Later` at the limit.
pub async fn begin(provider: &Provider, network: Network) -> Result<(), Stopped> {
    if network.is_this_machine() {
        return Ok(());
    }
    let counted = provider.ephemeral.count(&format!("begun:{network}"), BEGUN_WINDOW).await?;
    if counted.count > BEGUN_PER_NETWORK {
        return Err(Stopped::Later(Later { seconds: counted.ends_in.max(1) }));
    }
    Ok(())
}

/// Counts a client authentication that is about to be checked; one trip.
///
/// # Errors
/// `Later` at the limit.
pub async fn client(provider: &Provider, client: &Client, network: Network) -> Result<Attempt, Stopped> {
    let name = Digest::of(&["client", &client.client_id]);
    let own = format!("fail:c:{}:{network}", &name.as_str()[..22]);
    let counted = provider.ephemeral.count(&own, CLIENT_WINDOW).await?;
    if counted.count > PER_CLIENT_AND_NETWORK {
        return Err(Stopped::Later(Later { seconds: counted.ends_in.max(1) }));
    }
    Ok(Attempt { own, shared: Vec::new(), is_slowed: false })
}

impl Attempt {
    /// Takes the count back: it was no failure.
    ///
    /// # Errors
    /// A store failed.
    pub async fn succeeded(self, ephemeral: &Ephemeral) -> Result<(), StoreError> {
        let shared = futures_util::future::try_join_all(self.shared.iter().map(|key| ephemeral.uncount(key)));
        tokio::try_join!(ephemeral.delete(&self.own), shared)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_names_share_few_counters_and_spelling_does_not_matter() {
        assert_eq!(account(None, "Nobody"), account(None, "nOBODY"));
        let names: std::collections::HashSet<String> = (0..20_000).map(|i| account(None, &i.to_string())).collect();
        assert!((2000..=usize::from(UNKNOWN_NAMES)).contains(&names.len()), "{}", names.len());
        assert_eq!(account(Some("u"), "alice"), account(Some("u"), "ALICE@example.com"));
    }
}
