//! What surrounds every piece of work: the clock, chance, and the request that is being answered.
//!
//! The clock is read once per request and handed down; randomness comes from here only, so that tests can move the one
//! and nothing random is made in passing. Everything may use this file, and it uses the protocol's words alone.

use crate::protocol::time::NumericDate;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// The machine's clock moved by so many seconds; tests move it.
    Moved(Arc<AtomicI64>),
}

impl Clock {
    /// The current second.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now(&self) -> NumericDate {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
        match self {
            Self::System => NumericDate(seconds),
            Self::Moved(by) => NumericDate(seconds.saturating_add(by.load(Ordering::SeqCst))),
        }
    }
}

/// Random bytes of the operating system.
///
/// # Panics
/// When the operating system has none, which leaves nothing safe to do.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "the one place that makes randomness; without it nothing may continue"
)]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// How long a request waits for the lasting store, in milliseconds.
pub const DATABASE_PATIENCE: u64 = 1500;

/// How much of `ui_locales` is looked at, in bytes.
const MOST_UI_LOCALES: usize = 200;
/// How many languages a mail can be wished in, and how long the name of one may be, in bytes.
const MOST_WISHES_OF_MAIL: usize = 3;
const MOST_WISH_OF_MAIL: usize = 35;

/// What becomes known of a request while it is answered, for its log record, for the audit, and for the language of its page; nothing else
/// is decided by it.
#[derive(Debug)]
pub struct Context {
    /// The request's reference.
    pub reference: String,
    client_id: OnceLock<String>,
    /// The languages that the browser asks for, the most wanted first.
    accepted_languages: Vec<String>,
    /// Those that the service asked for (`ui_locales`).
    ui_locales: OnceLock<String>,
    /// That of the user (`locale`).
    locale: OnceLock<String>,
    /// How long it may still wait for the lasting store, in milliseconds: all its statements together.
    database_patience: AtomicU64,
}

impl Context {
    /// Of a request with that reference, whose browser asks for these languages.
    #[must_use]
    pub const fn new(reference: String, accepted_languages: Vec<String>) -> Self {
        Self {
            reference,
            client_id: OnceLock::new(),
            accepted_languages,
            ui_locales: OnceLock::new(),
            locale: OnceLock::new(),
            database_patience: AtomicU64::new(DATABASE_PATIENCE),
        }
    }

    /// Notes in which languages a service wants its user to be spoken to (`ui_locales`); the first word holds.
    pub fn set_ui_locales(&self, ui_locales: &str) {
        let kept = &ui_locales[..ui_locales.floor_char_boundary(MOST_UI_LOCALES)];
        if !kept.is_empty() {
            let _ = self.ui_locales.set(kept.to_owned());
        }
    }

    /// Notes the language of the user that the page is for; the first word holds.
    pub fn set_locale(&self, locale: &str) {
        let _ = self.locale.set(locale.to_owned());
    }

    /// Those that the service asked for, to be asked for on the next page as well.
    #[must_use]
    pub fn ui_locales(&self) -> Option<&str> {
        self.ui_locales.get().map(String::as_str)
    }

    /// The languages that are wished for, the most wanted first: of the service, of the browser, of the user.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        let of_service = self.ui_locales.get().into_iter().flat_map(|list| list.split(' '));
        let of_browser = self.accepted_languages.iter().map(String::as_str);
        of_service.chain(of_browser).chain(self.locale.get().map(String::as_str))
    }

    /// How long it may still wait for the lasting store.
    #[must_use]
    pub fn database_patience(&self) -> Duration {
        Duration::from_millis(self.database_patience.load(Ordering::Relaxed))
    }

    /// Notes that it has waited so long.
    pub fn has_waited(&self, waited: Duration) {
        let waited = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        let _ = self
            .database_patience
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(waited)));
    }

    /// Notes which client it is about; the first word holds.
    pub fn set_client(&self, client_id: &str) {
        let _ = self.client_id.set(client_id.to_owned());
    }

    /// Which client it is about, if that is known.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.get().map(String::as_str)
    }
}

tokio::task_local! {
    /// Of the request that this task answers.
    pub static CONTEXT: Arc<Context>;
}

/// Asks the context of the request that is being answered; `None` outside of any.
pub fn context<T>(ask: impl FnOnce(&Context) -> T) -> Option<T> {
    CONTEXT.try_with(|context| ask(context)).ok()
}

/// The languages that the request which is being answered wishes for, as a mail that it queues keeps them.
#[must_use]
pub fn wishes_of_mail() -> Vec<String> {
    let kept = |context: &Context| {
        let wishes = context.languages().filter(|wish| !wish.is_empty() && wish.len() <= MOST_WISH_OF_MAIL);
        wishes.take(MOST_WISHES_OF_MAIL).map(str::to_owned).collect()
    };
    context(kept).unwrap_or_default()
}

/// Does something to its end, also when its caller goes away, in the context of the request that is being answered.
/// `None`: it panicked, or the process is ending.
pub async fn uncanceled<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let task = match CONTEXT.try_with(Arc::clone) {
        Ok(context) => tokio::spawn(CONTEXT.scope(context, work)),
        Err(_) => tokio::spawn(work),
    };
    task.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_asks_for_is_cut_short_whatever_its_letters_are() {
        for (asked, kept) in
            [("de en", 5), (&"a".repeat(1000), 200), (&"\u{e4}".repeat(1000), 200), (&"\u{20ac}".repeat(1000), 198)]
        {
            let context = Context::new(String::new(), Vec::new());
            context.set_ui_locales(asked);
            assert_eq!(context.ui_locales().map(str::len), Some(kept));
        }
    }

    #[test]
    fn a_service_comes_before_the_browser_and_that_before_the_user() {
        let context = Context::new(String::new(), vec!["it".to_owned(), "es".to_owned()]);
        context.set_locale("pt");
        assert_eq!(context.languages().collect::<Vec<_>>(), ["it", "es", "pt"]);
        context.set_ui_locales("");
        context.set_ui_locales("fr de");
        context.set_ui_locales("en");
        assert_eq!(context.languages().collect::<Vec<_>>(), ["fr", "de", "it", "es", "pt"]);
    }
}
