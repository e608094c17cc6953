//! A user's second factor, as they hold it in their hand.

use super::provider::TestProvider;
use super::totp;
use super::user_agent::{Page, UserAgent};
use hallpass::second_factor::enrolment::{Completion, Made, begin_enrolment, complete_enrolment, new_recovery_codes};
use hallpass::store::user_sessions::By;
use hallpass::store::users;

/// A code that no authenticator of the tests shows.
pub const WRONG: &str = "000000";

/// An authenticator and its recovery codes.
pub struct Authenticator {
    secret: String,
    recovery: Vec<String>,
}

impl Authenticator {
    /// The code that it shows now; after half a minute (`TestProvider::travel`) it is another one.
    pub fn code(&self, now: i64) -> &'static str {
        totp::code(&self.secret, now).leak()
    }

    /// One of the recovery codes.
    pub fn recovery(&self, at: usize) -> &str {
        &self.recovery[at]
    }
}

impl TestProvider {
    /// Gives a user an authenticator with ten recovery codes; a running node knows it ten seconds later.
    pub async fn enroll(&self, sub: &str) -> Authenticator {
        let (provider, by) = (&self.provider, By::Operator);
        let now = provider.now();
        let user = users::find(&provider.db, sub).await.unwrap().unwrap();
        let enrolment = begin_enrolment(provider, &user, None, now).unwrap();
        let secret = enrolment.typed().expose().to_owned();
        let first = totp::code(&secret, now.0);
        let completion = Completion { token: enrolment.token(), typed: &first, name: "", link: None };
        complete_enrolment(provider, &user, completion, by, now).await.unwrap();
        let Made::Codes(codes) = new_recovery_codes(provider, sub, by, now).await.unwrap() else {
            panic!("no recovery codes were made");
        };
        // As if that had been a while ago: the code of this half minute was not used.
        self.sql(&format!("UPDATE user_factors SET last_step = 0 WHERE sub = '{sub}'")).await;
        Authenticator { secret, recovery: codes.iter().map(|code| code.expose().to_owned()).collect() }
    }

    /// Makes a user's second factor one that no key opens.
    pub async fn lose_factor_key(&self, sub: &str) {
        self.sql(&format!("UPDATE user_factors SET key_id = 'lost' WHERE sub = '{sub}'")).await;
    }

    /// Types a code into the page that asks for one, and continues to the next page or the client.
    pub async fn type_code(&self, browser: &UserAgent, page: &Page, code: &str) -> Page {
        assert!(page.url.path().ends_with("/second-factor"), "{page}");
        let mut form = page.form("form");
        form.set("code", code);
        let answered = browser.submit(form, Some(("action", "continue"))).await;
        self.settle(browser, answered).await
    }
}
