//! The pages, as askama reads their templates, and the assets they link to.
//!
//! Everything a page shows is escaped by the template; nothing is marked safe. What it says is in the catalog
//! (`src/texts.rs`): a field has what only this request knows, or which text it is.

pub mod account;
pub mod factors;
pub mod links;
pub mod passkeys;

use crate::ambient::context;
use crate::config::{Config, Organization};
use crate::protocol::claim_map::OwnScope;
use crate::protocol::client::Client;
use crate::protocol::secret::Digest;
use crate::protocol::time::NumericDate;
use crate::texts::{AsText, Catalog, Part, Text, Words, pieces, text};
use crate::web::headers;
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use passkeys::PasskeyForm;
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// The stylesheet.
pub const STYLESHEET: &str = include_str!("../../templates/hallpass.css");
/// The icon.
pub const ICON: &str = include_str!("../../templates/icon.svg");
/// The script that submits a `form_post` page.
pub const FORM_POST_SCRIPT: &str = include_str!("../../templates/form_post.js");
/// The script that continues from the page after a sign-out when every frame has loaded.
pub const SIGNED_OUT_SCRIPT: &str = include_str!("../../templates/signed_out.js");

/// The script of the login and the consent page.
pub const PAGES_SCRIPT: &str = include_str!("../../templates/pages.js");
/// The script of the pages that ask for a passkey.
pub const PASSKEYS_SCRIPT: &str = include_str!("../../templates/passkeys.js");

/// Changes with the content of the assets, so that they can be kept for long.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    Digest::of(&[STYLESHEET, ICON, FORM_POST_SCRIPT, SIGNED_OUT_SCRIPT, PAGES_SCRIPT, PASSKEYS_SCRIPT]).as_str()[..10]
        .to_owned()
});

/// The address that the scripts of an issuer's pages are below.
#[must_use]
pub fn scripts_below(issuer: &str) -> String {
    format!("{issuer}/assets/")
}

/// What every page needs.
#[derive(Debug)]
pub struct Chrome {
    /// The issuer's path.
    pub base: String,
    /// The address that the page's scripts are below.
    pub scripts: String,
    /// The version of the assets.
    pub version: String,
    /// The window's title.
    pub title: String,
    /// What the page says, in its language.
    pub texts: Arc<Catalog>,
    /// The languages that the service asked for, which the next page is asked for as well.
    pub ui_locales: Option<String>,
    /// Whose page it is.
    pub organization: Arc<Organization>,
}

impl Chrome {
    /// The frame of a page with that title, in the language of the request that is being answered.
    #[must_use]
    pub fn new(config: &Config, title: &Text<'_>) -> Self {
        let texts = texts(config);
        Self {
            base: config.base_path().to_owned(),
            scripts: scripts_below(&config.issuer),
            version: VERSION.clone(),
            title: title.of(&texts).to_string(),
            texts,
            ui_locales: context(|context| context.ui_locales().map(str::to_owned)).flatten(),
            organization: config.organization.clone(),
        }
    }

    /// A text of the page.
    #[must_use]
    pub fn text<'a>(&'a self, key: &'a str) -> Words<'a> {
        self.texts.text(key)
    }

    /// A text that was chosen before, in the language of the page.
    #[must_use]
    pub fn say<'a>(&'a self, text: impl AsText<'a>) -> Words<'a> {
        text.as_text().of(&self.texts)
    }

    /// BCP 47.
    #[must_use]
    pub fn language(&self) -> &str {
        self.texts.language()
    }

    /// In which direction it is written: `ltr` or `rtl`.
    #[must_use]
    pub fn direction(&self) -> &'static str {
        self.texts.direction().as_str()
    }
}

/// The texts in the language of the request that is being answered; outside of any, in the default one.
fn texts(config: &Config) -> Arc<Catalog> {
    context(|context| config.languages.best(context.languages()))
        .unwrap_or_else(|| config.languages.best(std::iter::empty()))
}

/// `/login`.
#[derive(Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    /// The frame.
    pub page: Chrome,
    /// Whom it is for; `None`: our own start page.
    pub client_name: Option<String>,
    /// Its id, by which the form finds the way to it when the interaction is over; empty: our own start page.
    pub client_id: String,
    /// The interaction's id.
    pub interaction: String,
    /// The form's token.
    pub csrf: String,
    /// The name of the session that is there already; empty: none.
    pub session: String,
    /// What is in the field.
    pub username: String,
    /// What went wrong the last time.
    pub error: Option<Text<'static>>,
    /// Too many attempts failed: when the next may be made.
    pub wait: Option<Wait>,
    /// Who could continue without a password (`prompt=select_account`).
    pub continue_as: Option<String>,
    /// Who has to prove themselves again.
    pub signed_in_as: Option<String>,
    /// Which account of that name either is, where that says more.
    pub account: Option<String>,
    /// Our own host, which the address bar shows.
    pub host: String,
    /// The privacy policy of whom it is for.
    pub policy_uri: Option<String>,
    /// Its terms.
    pub tos_uri: Option<String>,
    /// Whether a link to set another password can be mailed.
    pub has_mail: bool,
    /// Whether one who has no account can make one.
    pub has_sign_up: bool,
    /// Whether the box to stay signed in is checked; `None`: there is none.
    pub remember: Option<bool>,
    /// What a passkey signs in by; `None`: none can be for this issuer.
    pub passkey: Option<PasskeyForm>,
    /// What was wrong with the passkey of the last time.
    pub passkey_error: Option<Text<'static>>,
}

/// When a user who was throttled may try again.
pub struct Wait {
    minutes: i64,
    time: String,
    /// As `datetime` has it.
    pub instant: String,
}

impl Wait {
    /// In so many seconds. Both are told to the minute, each rounded up once: the clock that the user looks at shows no more.
    #[must_use]
    pub fn until(now: NumericDate, seconds: i64) -> Self {
        let until = now.plus(seconds.max(1) + 59).0 / 60 * 60;
        let of_day = until.rem_euclid(86_400) / 60;
        Self {
            minutes: (seconds.max(1) + 59) / 60,
            time: format!("{:02}:{:02} UTC", of_day / 60, of_day % 60),
            instant: jiff::Timestamp::from_second(until).map_or_else(|_| String::new(), |it| it.to_string()),
        }
    }

    /// What the page says of it.
    #[must_use]
    pub fn told(&self) -> Text<'_> {
        text("login-wait").counting("minutes", self.minutes).with("time", &self.time)
    }
}

/// One line of what a client asks for.
#[derive(Default)]
pub struct ScopeLine {
    /// What.
    pub title: String,
    /// In a sentence.
    pub description: String,
    /// Whether it is a service's own, shown as it is.
    pub is_own: bool,
    /// Whether other things were allowed before, and this was not.
    pub is_new: bool,
    /// What will be sent.
    pub claims: Vec<ClaimLine>,
}

/// A value that a client will be sent.
pub struct ClaimLine {
    /// What it is.
    pub name: String,
    /// It.
    pub value: String,
}

/// The longest value that is shown, in characters.
const MOST_SHOWN: usize = 200;

impl ClaimLine {
    /// A claim as the user is shown it. `None`: one that says nothing to them, such as whether their address was verified.
    #[must_use]
    pub fn of(claim: &str, value: &Value, texts: &Catalog) -> Option<Self> {
        let name = match claim {
            "name" => text("claim-name"),
            "family_name" => text("claim-family-name"),
            "given_name" => text("claim-given-name"),
            "middle_name" => text("claim-middle-name"),
            "nickname" => text("claim-nickname"),
            "preferred_username" => text("claim-preferred-username"),
            "profile" => text("claim-profile"),
            "picture" => text("claim-picture"),
            "website" => text("claim-website"),
            "gender" => text("claim-gender"),
            "birthdate" => text("claim-birthdate"),
            "zoneinfo" => text("claim-zoneinfo"),
            "locale" => text("claim-locale"),
            "email" => text("claim-email"),
            "address" => text("claim-address"),
            "phone_number" => text("claim-phone-number"),
            "groups" => text("claim-groups"),
            _ => return None,
        };
        let value = match value {
            Value::String(text) => text.clone(),
            // OIDC Core 5.1.1: `formatted` is the whole of it.
            Value::Object(parts) => match parts.get("formatted").and_then(Value::as_str) {
                Some(whole) => whole.to_owned(),
                None => parts.values().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            },
            Value::Array(_) => in_words(value, texts),
            _ => return None,
        };
        Some(Self { name: name.of(texts).to_string(), value: shortened(value) })
    }

    /// A claim of the organization's own, by the name that the service knows it by.
    #[must_use]
    pub fn own(claim: &str, value: &Value, texts: &Catalog) -> Self {
        Self { name: shortened(claim.to_owned()), value: shortened(in_words(value, texts)) }
    }
}

/// A value as a person reads it.
fn in_words(value: &Value, texts: &Catalog) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => text("claim-none").of(texts).to_string(),
        Value::Array(items) if items.is_empty() => text("claim-none").of(texts).to_string(),
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            items.iter().map(|item| in_words(item, texts)).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn shortened(value: String) -> String {
    let shown: String = value.chars().take(MOST_SHOWN).collect();
    if shown.len() < value.len() { format!("{shown}…") } else { value }
}

impl ScopeLine {
    /// What a scope means to the person who is asked. One that is a service's own is shown as it is.
    #[must_use]
    pub fn of(token: &str, texts: &Catalog) -> Self {
        let known = match token {
            "profile" => text("scope-profile"),
            "email" => text("scope-email"),
            "address" => text("scope-address"),
            "phone" => text("scope-phone"),
            "groups" => text("scope-groups"),
            "offline_access" => text("scope-offline-access"),
            own => {
                let description = text("scope-of-a-service").of(texts).to_string();
                return Self { title: own.to_owned(), description, is_own: true, ..Self::default() };
            }
        };
        Self::known(known, texts)
    }

    fn known(text: Text<'_>, texts: &Catalog) -> Self {
        let description = text.attribute("description").of(texts).to_string();
        Self { title: text.of(texts).to_string(), description, ..Self::default() }
    }

    /// A scope of the organization's own, in the words of its row.
    #[must_use]
    pub fn of_own(own: &OwnScope, texts: &Catalog) -> Self {
        if own.description.is_empty() {
            return Self::of(&own.scope, texts);
        }
        Self { title: own.description.clone(), is_own: true, ..Self::default() }
    }

    /// What a client is told whatever the scope.
    #[must_use]
    pub fn beyond_scopes(texts: &Catalog) -> Self {
        Self::known(text("scope-beyond"), texts)
    }

    /// The title, of which words of ours stay in one line; a name that a service made up may be of any length.
    pub fn title_in_parts(&self) -> impl Iterator<Item = Part<'_>> {
        let own = self.is_own.then_some(Part { text: &self.title, is_value: true, is_whole: false });
        let ours = if self.is_own { "" } else { &self.title };
        own.into_iter().chain(pieces(ours))
    }

    /// The sentence, in the same way.
    pub fn description_in_parts(&self) -> impl Iterator<Item = Part<'_>> {
        pieces(&self.description)
    }
}

/// `/consent`.
#[derive(Template)]
#[template(path = "consent.html")]
pub struct ConsentPage {
    /// The frame.
    pub page: Chrome,
    /// Who asks.
    pub client_name: String,
    /// Its id.
    pub client_id: String,
    /// Its home page.
    pub client_uri: Option<String>,
    /// Its privacy policy.
    pub policy_uri: Option<String>,
    /// Its terms.
    pub tos_uri: Option<String>,
    /// Who is asked.
    pub user_name: String,
    /// Which account of that name, where that says more.
    pub account: Option<String>,
    /// The interaction's id.
    pub interaction: String,
    /// The form's token.
    pub csrf: String,
    /// What is asked for.
    pub scopes: Vec<ScopeLine>,
    /// What of it is beyond the scopes, as a consent remembers it: sent back with the answer.
    pub shown: String,
    /// Whether some of it was allowed before, and some was not.
    pub has_more_than_before: bool,
    /// Where the answer goes.
    pub return_host: String,
    /// Whether that is an app of the user's own machine, which leaves the browser on this page.
    pub returns_to_app: bool,
}

/// `/consent` for a user who may not enter the service.
#[derive(Template)]
#[template(path = "no_entry.html")]
pub struct NoEntryPage {
    /// The frame.
    pub page: Chrome,
    /// The service.
    pub client_name: String,
    /// Its id.
    pub client_id: String,
    /// Who is signed in.
    pub user_name: String,
    /// What tells them from others of that name.
    pub account: Option<String>,
    /// The interaction.
    pub interaction: String,
    /// The form's token.
    pub csrf: String,
    /// What the operator finds it by.
    pub reference: String,
}

/// `/second-factor`.
#[derive(Template)]
#[template(path = "second_factor.html")]
pub struct SecondFactorPage {
    /// The frame.
    pub page: Chrome,
    /// The service that asks for more than the session has; `None`: the sign-in is in progress.
    pub asking_client: Option<String>,
    /// The id of the service that is signed in to; empty: our own start page.
    pub client_id: String,
    /// Who is asked.
    pub user_name: String,
    /// Which account of that name, where that says more.
    pub account: Option<String>,
    /// The interaction's id.
    pub interaction: String,
    /// The form's token.
    pub csrf: String,
    /// Where the code is counted.
    pub counter: String,
    /// The token that says that we said so.
    pub counted: String,
    /// The name of the proven password that the form continues; empty: a running session.
    pub proven: String,
    /// The name of the session that is there already; empty: none.
    pub session: String,
    /// Whether a recovery code is asked for, and not one of an authenticator.
    pub is_recovery: bool,
    /// Whether a code is asked for at all.
    pub asks_for_code: bool,
    /// Whether there is an authenticator.
    pub has_authenticator: bool,
    /// What a passkey does it by; `None`: the user has none, or none can be for this issuer.
    pub passkey: Option<PasskeyForm>,
    /// What was wrong with the passkey of the last time.
    pub passkey_error: Option<Text<'static>>,
    /// What went wrong the last time.
    pub error: Option<Text<'static>>,
    /// Too many codes were wrong: when the next may be tried.
    pub wait: Option<Wait>,
    /// The offer to trust the browser; `None`: there is none.
    pub trust: Option<Text<'static>>,
    /// What the operator finds it by, where it is for the operator to fix.
    pub reference: Option<String>,
}

/// `/second-factor` for a person who has none.
#[derive(Template)]
#[template(path = "factor_needed.html")]
pub struct FactorNeededPage<'a> {
    /// The frame.
    pub page: Chrome,
    /// What it is about.
    pub heading: Text<'a>,
    /// In a sentence or two.
    pub message: Text<'a>,
    /// What the button does.
    pub action: &'static str,
    /// What it says.
    pub label: Text<'a>,
    /// The id of the service that is signed in to; empty: our own start page.
    pub client_id: String,
    /// Who is signed in.
    pub user_name: String,
    /// Which account of that name, where that says more.
    pub account: Option<String>,
    /// The interaction's id.
    pub interaction: String,
    /// The form's token.
    pub csrf: String,
    /// What the operator finds it by, where it is a refusal.
    pub reference: Option<String>,
}

/// A link on a page.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where to.
    pub url: String,
    /// What it leads to.
    leads: Leads,
}

/// What a link leads to, which is what it says.
#[derive(Clone, Debug)]
enum Leads {
    Home,
    Account,
    To(String),
    BackTo(String),
}

impl Link {
    /// A link that leads to our own start page.
    #[must_use]
    pub fn home(config: &Config) -> Self {
        Self { url: format!("{}/", config.base_path()), leads: Leads::Home }
    }

    /// A link that leads to the account page.
    #[must_use]
    pub fn account(config: &Config) -> Self {
        Self { url: format!("{}/account", config.base_path()), leads: Leads::Account }
    }

    /// A link that leads to a client.
    #[must_use]
    pub fn to(client: &Client, url: &str) -> Self {
        Self { url: url.to_owned(), leads: Leads::To(client.display_name().to_owned()) }
    }

    /// A link that leads back to the service of that name.
    #[must_use]
    pub fn back_to(service: &str, url: &str) -> Self {
        Self { url: url.to_owned(), leads: Leads::BackTo(service.to_owned()) }
    }

    /// What it says.
    #[must_use]
    pub fn label(&self) -> Text<'_> {
        match &self.leads {
            Leads::Home => text("go-home"),
            Leads::Account => text("go-account"),
            Leads::To(service) => text("go-to-service").with("service", service),
            Leads::BackTo(service) => text("go-back-to-service").with("service", service),
        }
    }
}

/// The start page.
#[derive(Template)]
#[template(path = "home.html")]
pub struct HomePage {
    /// The frame.
    pub page: Chrome,
    /// Who is signed in.
    pub signed_in: Option<SignedInHere>,
}

/// What the start page has for a user who is signed in.
pub struct SignedInHere {
    /// Who.
    pub user_name: String,
    /// Which account of that name, where that says more.
    pub account: Option<String>,
    /// The services that the user can open.
    pub services: Vec<Service>,
    /// What the form to sign out sends along instead of a service's request.
    pub request: String,
    /// The form's token.
    pub csrf: String,
}

/// A refusal for a person.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// The frame.
    pub page: Chrome,
    /// The key of what happened, in a sentence, and what can be done.
    pub text: &'static str,
    /// The mistake of a service, in English; empty: there is none.
    pub mistake: String,
    /// The service that a link which cannot be used is meant for.
    pub service: Option<String>,
    /// Under which the operator's log has it.
    pub reference: String,
    /// A way on.
    pub restart: Option<Link>,
}

/// A page that says something and asks nothing.
#[derive(Template)]
#[template(path = "message.html")]
pub struct MessagePage {
    /// The frame.
    pub page: Chrome,
    /// What it is about.
    pub heading: String,
    /// In a sentence.
    pub message: String,
}

/// `/logout`, asking.
#[derive(Template)]
#[template(path = "logout.html")]
pub struct LogoutPage {
    /// The frame.
    pub page: Chrome,
    /// Who is signed in.
    pub user_name: String,
    /// Which account of that name, where that says more.
    pub account: Option<String>,
    /// What was wrong with the service's request.
    pub warning: Option<Text<'static>>,
    /// The service that the browser goes back to afterwards.
    pub goes_back_to: Option<String>,
    /// Where the session was used.
    pub services: Vec<String>,
    /// The service's request, which the form sends along.
    pub request: String,
    /// The form's token.
    pub csrf: String,
}

/// A frame that tells a service.
pub struct Frame {
    /// The service's page.
    pub url: String,
    /// The service's name.
    pub service: String,
}

/// A service on the page after a sign-out.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its home page.
    pub url: Option<String>,
}

/// `/logout`, after it.
#[derive(Template)]
#[template(path = "signed_out.html")]
pub struct SignedOutPage {
    /// The frame.
    pub page: Chrome,
    /// What happened.
    pub heading: Text<'static>,
    /// The same in a sentence or two, where the heading does not say it all.
    pub text: Option<Text<'static>>,
    /// What was wrong with the service's request.
    pub warning: Option<Text<'static>>,
    /// Services that know.
    pub reached: Vec<Service>,
    /// Services that do not answer.
    pub not_reached: Vec<Service>,
    /// Services that have no address for it.
    pub cannot_be_told: Vec<Service>,
    /// What tells services by the browser.
    pub frames: Vec<Frame>,
    /// The way on.
    pub leave: Option<Link>,
    /// Whether the browser goes there by itself.
    pub goes_by_itself: bool,
    /// The form that ends the other sign-ins, where that has failed.
    pub again: Option<Again>,
}

/// A form that tries once more to sign out everywhere.
pub struct Again {
    /// What it sends along instead of a service's request.
    pub request: String,
    /// The form's token.
    pub csrf: String,
}

impl SignedOutPage {
    /// A page with that heading and nothing else.
    #[must_use]
    pub fn saying(config: &Config, heading: Text<'static>) -> Self {
        Self {
            page: Chrome::new(config, &heading),
            heading,
            text: None,
            warning: None,
            reached: Vec::new(),
            not_reached: Vec::new(),
            cannot_be_told: Vec::new(),
            frames: Vec::new(),
            leave: None,
            goes_by_itself: false,
            again: None,
        }
    }
}

/// An answer that travels as a form, [Form Post Response Mode 2](https://openid.net/specs/oauth-v2-form-post-response-mode-1_0.html).
#[derive(Template)]
#[template(path = "form_post.html")]
pub struct FormPostPage {
    /// The frame.
    pub page: Chrome,
    /// Whom it goes to.
    pub client_name: String,
    /// Its address.
    pub action: String,
    /// The answer's parameters.
    pub fields: Vec<(String, String)>,
}

/// Renders a page with the headers of a page; `scripts` as in `headers::page`.
pub fn render(status: StatusCode, page: &impl Template, scripts: Option<&str>) -> Response {
    match page.render() {
        Ok(html) => {
            let mut response =
                (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], html)
                    .into_response();
            headers::page(response.headers_mut(), scripts);
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
