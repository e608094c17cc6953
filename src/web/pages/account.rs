//! The pages of a user's account, as askama reads their templates.

use super::{Chrome, ClaimLine, ScopeLine, Wait};
use crate::protocol::own_page::OwnPage;
use crate::protocol::time::NumericDate;
use crate::texts::{Text, text};
use crate::web::user_agent;
use askama::Template;

/// What each page of the account has: the links to the others, and what has just been done.
pub struct Tabs {
    /// Which page it is.
    pub here: OwnPage,
    /// What has just been done.
    pub done: Option<Text<'static>>,
}

impl Tabs {
    /// Whether it is the overview, or the page of the address, which is below it.
    #[must_use]
    pub fn is_account(&self) -> bool {
        matches!(self.here, OwnPage::Account | OwnPage::Email)
    }

    /// Whether it is the page of the password.
    #[must_use]
    pub fn is_password(&self) -> bool {
        self.here == OwnPage::Password
    }

    /// Whether it is the page of the second factor.
    #[must_use]
    pub fn is_second_factor(&self) -> bool {
        self.here == OwnPage::SecondFactor
    }

    /// Whether it is the page of the passkeys.
    #[must_use]
    pub fn is_passkeys(&self) -> bool {
        self.here == OwnPage::Passkeys
    }

    /// Whether it is the page of the sign-ins.
    #[must_use]
    pub fn is_sessions(&self) -> bool {
        self.here == OwnPage::Sessions
    }

    /// Whether it is the page of the services.
    #[must_use]
    pub fn is_services(&self) -> bool {
        self.here == OwnPage::Services
    }

    /// Whether it is the page of the events.
    #[must_use]
    pub fn is_events(&self) -> bool {
        self.here == OwnPage::Events
    }

    /// Whether it is the page of the data.
    #[must_use]
    pub fn is_data(&self) -> bool {
        self.here == OwnPage::Data
    }
}

/// An instant on a page.
#[derive(Clone, Debug)]
pub struct Moment {
    /// As `datetime` has it.
    pub instant: String,
    /// As people read it, in UTC.
    pub shown: String,
}

impl Moment {
    /// An instant, to the minute.
    #[must_use]
    pub fn of(at: NumericDate) -> Self {
        let instant = jiff::Timestamp::from_second(at.0).map_or_else(|_| String::new(), |it| it.to_string());
        // 2026-12-01T09:30:00Z: each part is where it always is.
        let shown = match (instant.get(..10), instant.get(11..16)) {
            (Some(date), Some(time)) => format!("{date} {time} UTC"),
            _ => instant.clone(),
        };
        Self { instant, shown }
    }
}

/// `/account`.
#[derive(Template)]
#[template(path = "account.html")]
pub struct AccountPage {
    /// The frame.
    pub page: Chrome,
    /// What all pages of the account have.
    pub tabs: Tabs,
    /// Who is signed in.
    pub user_name: String,
    /// The user name.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether it is verified.
    pub email_is_verified: bool,
    /// Whether the user can have another one, or have it verified: by a mail.
    pub has_mail: bool,
    /// The groups, by name.
    pub groups: Option<String>,
    /// What else is known.
    pub claims: Vec<ClaimLine>,
    /// The user's id.
    pub sub: String,
}

/// `/account/email`.
#[derive(Template)]
#[template(path = "account_email.html")]
pub struct EmailPage {
    /// The frame.
    pub page: Chrome,
    /// What all pages of the account have.
    pub tabs: Tabs,
    /// The address.
    pub email: Option<String>,
    /// Whether it is verified.
    pub is_verified: bool,
    /// What was typed, or the address.
    pub typed: String,
    /// Whether mails are sent at all.
    pub has_mail: bool,
    /// What is wrong with what was sent.
    pub error: Option<Text<'static>>,
    /// When to come again.
    pub wait: Option<Wait>,
    /// The form's token.
    pub csrf: String,
}

/// `/account/password`.
#[derive(Template)]
#[template(path = "account_password.html")]
pub struct PasswordPage {
    /// The frame.
    pub page: Chrome,
    /// What all pages of the account have.
    pub tabs: Tabs,
    /// Whose password it is, for the browser's own list of passwords.
    pub username: String,
    /// Whether there is one that can be changed.
    pub has_password: bool,
    /// The form's token.
    pub csrf: String,
    /// What is wrong with what was sent.
    pub error: Option<Text<'static>>,
    /// Too many attempts failed: when the next may be made.
    pub wait: Option<super::Wait>,
    /// What a password that was looked at is worth.
    pub strength: Option<Text<'static>>,
    /// What could be better about it.
    pub advice: Option<Text<'static>>,
}

/// A sign-in on the page.
pub struct SessionLine {
    /// Its name.
    pub session: String,
    /// The browser.
    pub browser: String,
    /// The network.
    pub network: String,
    /// Since when.
    pub since: Moment,
    /// When it was used last.
    pub last_used: Moment,
    /// Whether it is the one of this browser.
    pub is_here: bool,
}

impl SessionLine {
    /// The browser, in words.
    #[must_use]
    pub fn told(&self) -> Text<'_> {
        user_agent::told(&self.browser)
    }
}

/// Where a plain sign-in asks for no second factor.
pub struct TrustLine {
    /// Until when it is so in this browser; `None`: it is not.
    pub until: Option<Moment>,
    /// The token of the form that ends it in every browser.
    pub csrf: String,
}

/// `/account/sessions`.
#[derive(Template)]
#[template(path = "account_sessions.html")]
pub struct SessionsPage {
    /// The frame.
    pub page: Chrome,
    /// What all pages of the account have.
    pub tabs: Tabs,
    /// The sign-ins, this one first.
    pub sessions: Vec<SessionLine>,
    /// How many more there are.
    pub more: i64,
    /// The token of the forms that end one.
    pub csrf: String,
    /// The token of the form that ends all others.
    pub csrf_others: String,
    /// What the form that signs out everywhere sends instead of a service's request.
    pub request: String,
    /// Its token.
    pub csrf_everywhere: String,
    /// Browsers that the user trusts; `None`: none can be.
    pub trust: Option<TrustLine>,
}

impl SessionsPage {
    /// Whether there is another sign-in than this one.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.sessions.iter().any(|session| !session.is_here)
    }
}

/// A service on the page.
pub struct GrantLine {
    /// Its id.
    pub client_id: String,
    /// Its name.
    pub name: String,
    /// Its home page.
    pub url: Option<String>,
    /// Since when.
    pub since: Moment,
    /// What it is told.
    pub told: Option<String>,
    /// Whether it works while the user is away.
    pub is_connected: bool,
    /// Whether users are not asked: the organization has decided that.
    pub is_given_by_organization: bool,
}

impl GrantLine {
    /// What a service is told, by the titles of scopes; `None`: nothing.
    #[must_use]
    pub fn told(scopes: &[ScopeLine]) -> Option<String> {
        listed(scopes.iter().map(|scope| scope.title.as_str()))
    }
}

/// Names one after the other; `None`: there is none.
#[must_use]
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let all: Vec<&str> = names.collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// `/account/services`.
#[derive(Template)]
#[template(path = "account_services.html")]
pub struct ServicesPage {
    /// The frame.
    pub page: Chrome,
    /// What all pages of the account have.
    pub tabs: Tabs,
    /// The services.
    pub services: Vec<GrantLine>,
    /// The token of the forms.
    pub csrf: String,
}

/// An event on the page.
pub struct EventLine {
    /// When.
    pub at: Moment,
    /// What happened.
    pub what: Text<'static>,
    /// Whether it is one that a user may have to look into.
    pub is_warning: bool,
    /// By way of which service.
    pub service: Option<String>,
    /// From where.
    pub network: Option<String>,
}

/// `/account/events`.
#[derive(Template)]
#[template(path = "account_events.html")]
pub struct EventsPage {
    /// The frame.
    pub page: Chrome,
    /// What all pages of the account have.
    pub tabs: Tabs,
    /// For how many days events are shown.
    pub days: i64,
    /// The events, the newest first.
    pub events: Vec<EventLine>,
    /// The place before which there are older ones.
    pub older: Option<String>,
}

impl EventsPage {
    /// For how long events are shown.
    #[must_use]
    pub fn told(&self) -> Text<'static> {
        text("events-lede").counting("days", self.days)
    }
}

/// `/account/data`.
#[derive(Template)]
#[template(path = "account_data.html")]
pub struct DataPage {
    /// The frame.
    pub page: Chrome,
    /// What all pages of the account have.
    pub tabs: Tabs,
    /// The token of the form that gives the file.
    pub csrf_file: String,
    /// The token of the form that asks for the deletion, or takes that back.
    pub csrf_deletion: String,
    /// Since when the deletion is asked for.
    pub requested: Option<Moment>,
}
