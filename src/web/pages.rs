//! The pages, as askama reads their templates, and the assets they link to.
//!
//! Everything a page shows is escaped by the template; nothing is marked safe. What it says is in the catalog
//! (`src/texts.rs`): a field has what only this request knows, or which text it is.

use crate::config::Config;
use crate::protocol::client::Client;
use crate::protocol::secret::Digest;
use crate::texts::{self, Catalog, Text, text};
use crate::web::headers;
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;

/// The stylesheet.
pub const STYLESHEET: &str = include_str!("../../templates/hallpass.css");
/// The icon.
pub const ICON: &str = include_str!("../../templates/icon.svg");
/// The script that submits a `form_post` page.
pub const FORM_POST_SCRIPT: &str = include_str!("../../templates/form_post.js");
/// The script that continues from the page after a sign-out when every frame has loaded.
pub const SIGNED_OUT_SCRIPT: &str = include_str!("../../templates/signed_out.js");

/// Changes with the content of the assets, so that they can be kept for long.
static VERSION: LazyLock<String> =
    LazyLock::new(|| Digest::of(&[STYLESHEET, ICON, FORM_POST_SCRIPT, SIGNED_OUT_SCRIPT]).as_str()[..10].to_owned());

/// What every page needs.
#[derive(Debug)]
pub struct Chrome {
    /// The issuer's path.
    pub base: String,
    /// The version of the assets.
    pub version: String,
    /// The window's title.
    pub title: String,
    /// What the page says, in its language.
    pub texts: &'static Catalog,
}

impl Chrome {
    /// The frame of a page with that title.
    #[must_use]
    pub fn new(config: &Config, title: &Text<'_>) -> Self {
        Self {
            base: config.base_path().to_owned(),
            version: VERSION.clone(),
            title: title.to_string(),
            texts: texts::english(),
        }
    }

    /// A text of the page.
    #[must_use]
    pub fn text<'a>(&self, key: &'a str) -> Text<'a> {
        self.texts.text(key)
    }

    /// BCP 47.
    #[must_use]
    pub const fn language(&self) -> &'static str {
        self.texts.language()
    }
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
    /// What is in the field.
    pub username: String,
    /// What went wrong the last time.
    pub error: Option<Text<'static>>,
    /// Who could continue without a password (`prompt=select_account`).
    pub continue_as: Option<String>,
    /// Who has to prove themselves again.
    pub signed_in_as: Option<String>,
}

/// One line of what a client asks for.
pub struct ScopeLine {
    /// What.
    pub title: String,
    /// In a sentence.
    pub description: String,
}

impl ScopeLine {
    /// What a scope means to the person who is asked. One that is a service's own is shown as it is.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let known = match token {
            "profile" => text("scope-profile"),
            "email" => text("scope-email"),
            "address" => text("scope-address"),
            "phone" => text("scope-phone"),
            "offline_access" => text("scope-offline-access"),
            own => return Self { title: own.to_owned(), description: text("scope-of-a-service").to_string() },
        };
        Self { title: known.to_string(), description: known.attribute("description").to_string() }
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
    /// Where the answer goes.
    pub return_host: String,
}

/// A link on a page.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where to.
    pub url: String,
    /// What it says.
    pub label: String,
}

impl Link {
    /// A link that leads to our own start page.
    #[must_use]
    pub fn home(config: &Config) -> Self {
        Self { url: format!("{}/", config.base_path()), label: text("go-home").to_string() }
    }

    /// A link that leads to a client.
    #[must_use]
    pub fn to(client: &Client, url: &str) -> Self {
        Self { url: url.to_owned(), label: text("go-to-service").with("service", client.display_name()).to_string() }
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
    /// What completes the sentence of some pages: the mistake of a service, in English.
    pub mistake: String,
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
    /// For those who cannot see that it is nothing to see.
    pub title: String,
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

/// Renders a page with the headers of a page.
pub fn render(status: StatusCode, page: &impl Template, with_script: bool) -> Response {
    match page.render() {
        Ok(html) => {
            let mut response =
                (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], html)
                    .into_response();
            headers::page(response.headers_mut(), with_script);
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
