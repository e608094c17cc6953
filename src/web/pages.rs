//! The pages, as askama reads their templates, and the assets they link to.
//!
//! Everything a page shows is escaped by the template; nothing is marked safe.

use crate::config::Config;
use crate::protocol::client::Client;
use crate::protocol::secret::Digest;
use crate::web::headers;
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::borrow::Cow;
use std::sync::LazyLock;

/// The stylesheet.
pub const STYLESHEET: &str = include_str!("../../templates/hallpass.css");
/// The icon.
pub const ICON: &str = include_str!("../../templates/icon.svg");
/// The script that submits a `form_post` page.
pub const FORM_POST_SCRIPT: &str = include_str!("../../templates/form_post.js");
/// The script that goes on from the page after a sign-out when every frame has loaded.
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
    /// BCP 47.
    pub language: String,
}

impl Chrome {
    /// The frame of a page with that title.
    #[must_use]
    pub fn new(config: &Config, title: impl Into<String>) -> Self {
        Self {
            base: config.base_path().to_owned(),
            version: VERSION.clone(),
            title: title.into(),
            language: "en".into(),
        }
    }
}

/// `/login`.
#[derive(Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    /// The frame.
    pub page: Chrome,
    /// Whom it is for.
    pub client_name: String,
    /// The interaction's id.
    pub interaction: String,
    /// The form's token.
    pub csrf: String,
    /// What stands in the field.
    pub username: String,
    /// What went wrong the last time.
    pub error: Option<String>,
    /// Who could go on without a password (`prompt=select_account`).
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

/// `/consent`.
#[derive(Template)]
#[template(path = "consent.html")]
pub struct ConsentPage {
    /// The frame.
    pub page: Chrome,
    /// Who asks.
    pub client_name: String,
    /// Its home page.
    pub client_uri: Option<String>,
    /// Its privacy policy.
    pub policy_uri: Option<String>,
    /// Its terms.
    pub tos_uri: Option<String>,
    /// Who is asked.
    pub user_name: String,
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
    /// A link that leads to a client.
    #[must_use]
    pub fn to(client: &Client, url: &str) -> Self {
        Self { url: url.to_owned(), label: format!("Go to {}", client.display_name()) }
    }
}

/// A refusal for a person.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// The frame.
    pub page: Chrome,
    /// What happened.
    pub heading: &'static str,
    /// In a sentence.
    pub message: Cow<'static, str>,
    /// What can be done.
    pub hint: &'static str,
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
    pub warning: Option<String>,
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
    pub heading: &'static str,
    /// The same in a sentence or two, where the heading does not say it all.
    pub text: Option<&'static str>,
    /// What was wrong with the service's request.
    pub warning: Option<String>,
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
    pub fn saying(config: &Config, heading: &'static str) -> Self {
        Self {
            page: Chrome::new(config, heading),
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
