//! How a refusal reaches whom it is for: JSON for machines, a page for people, a redirect for clients whose
//! address is proven. `problems.rs` has the table of the pages.
//!
//! Handlers return `ApiError` (API endpoints) or `PageError` (endpoints for browsers). Either leaves a `Note` for the
//! log, which `edge.rs` writes once, under the reference that the page shows.

use crate::ambient::context;
use crate::passwords::Busy;
use crate::protocol::authorization::AuthorizationResponse;
use crate::protocol::client::{Client, with_query};
use crate::protocol::error::{Explanation, Refusal};
use crate::protocol::reason::Reason;
use crate::protocol::remedy::Remedy;
use crate::protocol::response::ResponseMode;
use crate::protocol::shown::shown;
use crate::texts;
use crate::web::fault::{Fault, FaultKind};
use crate::web::headers;
use crate::web::pages::{self, Chrome, FormPostPage, Link};
use crate::web::problems::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// What the log says about an answer that refuses.
#[derive(Clone, Debug)]
pub struct Note {
    /// The OAuth code, or what kind of page it was.
    pub code: &'static str,
    /// What the client or the person was told.
    pub description: String,
    /// What only the operator is told.
    pub detail: Option<String>,
    /// What was sent, what was expected, and the fix.
    pub explanation: Explanation,
    /// What broke, where it is a fault of ours.
    pub fault: Option<FaultKind>,
    /// Whether it is an answer that a sound client expects.
    pub is_expected: bool,
}

impl Note {
    /// A refusal that is no OAuth error: its code, which is its reason too, and what can be done about it.
    #[must_use]
    pub fn of(code: &'static str, description: impl Into<String>, fix: &str) -> Self {
        let explanation =
            Explanation { reason: Some(code.to_owned()), fix: Some(fix.to_owned()), ..Explanation::default() };
        Self { code, description: description.into(), detail: None, explanation, fault: None, is_expected: false }
    }

    /// With another reason, and what was found out about it.
    #[must_use]
    pub fn because(mut self, reason: &'static str, detail: impl Into<String>) -> Self {
        self.explanation.reason = Some(reason.to_owned());
        self.detail = Some(detail.into());
        self
    }

    /// With what was sent and what would have been right.
    #[must_use]
    pub fn expecting(mut self, sent: &str, expected: &str) -> Self {
        self.explanation.sent = Some(shown(sent));
        self.explanation.expected = vec![expected.to_owned()];
        self
    }

    /// Of that user.
    #[must_use]
    pub fn of_user(mut self, sub: Option<&str>) -> Self {
        self.explanation.sub = sub.map(str::to_owned);
        self
    }

    /// A fault of ours, with its cause.
    fn of_fault(fault: &Fault) -> Self {
        let (kind, cause) = (fault.kind, fault.cause());
        let fix = fault.fix.as_deref().unwrap_or(kind.fix());
        let note = Self::of(kind.error_code().as_str(), kind.as_str(), fix).because(kind.as_str(), cause);
        Self { fault: Some(kind), ..note }
    }

    /// Whether it is kept for `hallpass explain`: paths that are not even nearly ours are the noise of the world, and what is
    /// expected needs no explanation.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        (self.code != "not_found" || self.explanation.sent.is_some()) && !self.is_expected
    }

    /// With what to do about it in this very case.
    #[must_use]
    pub fn with_remedy(mut self, remedy: &Remedy) -> Self {
        if remedy.is_fit() {
            self.explanation.fix = Some(remedy.words());
        }
        self
    }
}

impl From<Refusal> for Note {
    fn from(refusal: Refusal) -> Self {
        let description = refusal.description().into_owned();
        let mut explanation = refusal.explanation.map(|explanation| *explanation).unwrap_or_default();
        explanation.reason = Some(refusal.reason.as_str().to_owned());
        explanation.fix = Some(match &refusal.remedy {
            Some(remedy) if remedy.is_fit() => remedy.words(),
            _ => refusal.reason.fix().to_owned(),
        });
        Self {
            code: refusal.reason.code().as_str(),
            description,
            detail: refusal.detail.map(String::from),
            explanation,
            fault: None,
            is_expected: refusal.is_expected,
        }
    }
}

impl From<Problem> for Note {
    fn from(problem: Problem) -> Self {
        let row = problem.row();
        // The log is English, whatever language the page has.
        Self::of(row.code, texts::english().text(row.text).attribute("heading").to_string(), row.fix)
    }
}

/// The content of an error page; `edge.rs` adds the reference and renders it.
#[derive(Clone, Debug)]
pub struct PageContent {
    /// What happened, and what the page says of it.
    pub problem: Problem,
    /// The mistake of a service, in English.
    pub mistake: Option<String>,
    /// The service that a link which cannot be used is meant for.
    pub service: Option<String>,
    /// A way on.
    pub restart: Option<Link>,
}

impl From<Problem> for PageContent {
    fn from(problem: Problem) -> Self {
        Self { problem, mistake: None, service: None, restart: None }
    }
}

/// How soon a client may come again after a fault that may pass, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// How a 401 says what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// At `/token` and its like.
    Basic,
    /// At `/userinfo`.
    Bearer,
}

/// A refusal at an API endpoint.
#[derive(Debug)]
pub enum ApiError {
    /// The client is told why.
    Refusal(Refusal, Challenge),
    /// No token at all: a bare challenge, [RFC 6750 section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1).
    NoToken,
    /// Too much to do; come again.
    Busy,
    /// Too many failures; come again in so many seconds.
    TooMany(i64),
    /// A fault of ours.
    Fault(Fault),
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal, Challenge::Basic)
    }
}

impl From<Busy> for ApiError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl<T: Into<Fault>> From<T> for ApiError {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = match self {
            Self::NoToken => {
                let mut response = StatusCode::UNAUTHORIZED.into_response();
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hallpass\""));
                response
            }
            Self::Refusal(refusal, challenge) => refuse(refusal, challenge),
            Self::TooMany(seconds) => {
                let mut response = refuse(Refusal::new(Reason::AttemptsTooMany), Challenge::Basic);
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
            Self::Busy => {
                let mut response = refuse(Refusal::new(Reason::Busy), Challenge::Basic);
                response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
                response
            }
            Self::Fault(fault) => {
                let mut response = refuse(fault.refusal(), Challenge::Basic);
                if fault.kind.may_pass() {
                    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
                }
                response.extensions_mut().insert(Note::of_fault(&fault));
                response
            }
        };
        headers::no_store(response.headers_mut());
        response
    }
}

fn refuse(refusal: Refusal, challenge: Challenge) -> Response {
    let (code, description) = (refusal.code(), refusal.description());
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = json_body(status, &json!({"error": code.as_str(), "error_description": description}));
    let is_bearer = challenge == Challenge::Bearer;
    if status == StatusCode::UNAUTHORIZED || is_bearer {
        let value = if is_bearer {
            format!("Bearer realm=\"hallpass\", error=\"{}\", error_description=\"{}\"", code.as_str(), description)
        } else {
            "Basic realm=\"hallpass\"".to_owned()
        };
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
    }
    response.extensions_mut().insert(Note::from(refusal));
    response
}

/// Says in words what a bare 405 means, beside its `Allow`.
#[must_use]
pub fn method_not_allowed(bare: Response, wants_a_page: bool) -> Response {
    let refusal = Refusal::new(Reason::MethodWrong);
    let mut response = if wants_a_page {
        PageError::page(Problem::WrongMethod, refusal).into_response()
    } else {
        let mut response = refuse(refusal, Challenge::Basic);
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response
    };
    let (parts, _) = bare.into_parts();
    for (name, value) in &parts.headers {
        if !matches!(*name, header::CONTENT_LENGTH | header::CONTENT_TYPE) {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

/// A JSON answer.
#[must_use]
pub fn json_body(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body.to_string()).into_response()
}

/// The page that carries an answer by `form_post`: made for that alone, as most answers are redirects.
#[derive(Debug)]
pub struct Carrier {
    /// Its frame.
    pub page: Chrome,
    /// Where it goes, as people call it.
    pub client_name: String,
}

/// A refusal at an endpoint for browsers.
#[derive(Debug)]
pub enum PageError {
    /// There is no address to redirect to: a page with a reference.
    Page {
        /// What it says.
        content: Box<PageContent>,
        /// What the log says.
        note: Box<Note>,
    },
    /// The client is told, at its own address.
    Redirect {
        /// The answer.
        response: Box<AuthorizationResponse>,
        /// The page that carries it, where it travels by one.
        carrier: Option<Box<Carrier>>,
        /// Where the refusal is a fault of ours.
        fault: Option<Fault>,
    },
    /// A fault of ours.
    Fault(Fault),
}

impl PageError {
    /// A request that cannot be answered at any client's address.
    #[must_use]
    pub fn bad_request(refusal: Refusal) -> Self {
        let mistake = Some(refusal.description().into_owned());
        let content = PageContent { mistake, ..Problem::BadRequest.into() };
        Self::Page { content: Box::new(content), note: Box::new(refusal.into()) }
    }

    /// With the service that a bad request is meant for, where it is known.
    #[must_use]
    pub fn meant_for(mut self, client: Option<&Client>, issuer: &str) -> Self {
        if let Self::Page { content, .. } = &mut self {
            content.service = client.map(|client| client.display_name().to_owned());
        }
        self.back_to(client, issuer)
    }

    fn page(problem: Problem, note: impl Into<Note>) -> Self {
        Self::Page { content: Box::new(problem.into()), note: Box::new(note.into()) }
    }

    /// With a way back to the service, where there is one; it is told at which issuer to start.
    #[must_use]
    pub fn back_to(mut self, client: Option<&Client>, issuer: &str) -> Self {
        if let Self::Page { content, .. } = &mut self {
            content.restart = client.and_then(|client| Some(Link::to(client, &client.start_page(issuer)?)));
        }
        self
    }

    /// Of a form of the account, where the way on is known, and a token that does not fit is one from before as a rule.
    #[must_use]
    pub fn of_own_form(mut self, way_on: Link) -> Self {
        if let Self::Page { content, .. } = &mut self {
            content.restart = Some(way_on);
            if content.problem == Problem::FormOfAnotherBrowser {
                content.problem = Problem::FormOutdated;
            }
        }
        self
    }

    /// With what the operator can do about it.
    #[must_use]
    pub fn with_remedy(self, remedy: &Remedy) -> Self {
        match self {
            Self::Page { content, note } => Self::Page { content, note: Box::new(note.with_remedy(remedy)) },
            other => other,
        }
    }

    /// A fault of ours once the client's address is proven: the client is told there
    /// ([RFC 6749 section 4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1)); anything else as it is.
    #[must_use]
    pub fn or_at(self, redirect: impl FnOnce(Refusal) -> Self) -> Self {
        let Self::Fault(fault) = self else { return self };
        match redirect(fault.refusal()) {
            Self::Redirect { response, carrier, .. } => Self::Redirect { response, carrier, fault: Some(fault) },
            other => other,
        }
    }
}

impl From<Problem> for PageError {
    fn from(problem: Problem) -> Self {
        Self::page(problem, problem)
    }
}

impl<T: Into<Fault>> From<T> for PageError {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        match self {
            Self::Page { content, note } => {
                let status = content.problem.row().status;
                let mut response = status.into_response();
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
                }
                response.extensions_mut().insert(*note);
                response.extensions_mut().insert(*content);
                response
            }
            Self::Redirect { response, carrier, fault } => {
                let mut response = authorization_response(*response, carrier.map(|carrier| *carrier));
                if let Some(fault) = fault {
                    response.extensions_mut().insert(Note::of_fault(&fault));
                }
                response
            }
            Self::Fault(fault) => {
                let problem = if fault.kind.may_pass() { Problem::StoreFailed } else { Problem::Failed };
                Self::page(problem, Note::of_fault(&fault)).into_response()
            }
        }
    }
}

/// A redirect by GET, whatever the request was (RFC 9700 section 4.12).
///
/// # Errors
/// The address cannot be a header.
pub fn see_other(location: &str) -> Result<Response, Fault> {
    let value = HeaderValue::try_from(location).map_err(|_| Fault::bug("an address cannot be a Location header"))?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, value);
    headers::no_store(response.headers_mut());
    Ok(response)
}

/// Sends an answer to a client's address in the way it asked for.
#[must_use]
pub fn authorization_response(response: AuthorizationResponse, carrier: Option<Carrier>) -> Response {
    let mut response = response;
    let noted = response.refusal.take().map(Note::from);
    if noted.is_some() {
        // The client's developers have no other way to the reference than what the redirect carries.
        let reference = context(|context| format!(" (reference {})", context.reference)).unwrap_or_default();
        for (_, value) in response.parameters.iter_mut().filter(|(name, _)| *name == "error_description") {
            value.push_str(&reference);
        }
    }
    let mut answer = match response.response_mode {
        ResponseMode::Query if response.parameters.is_empty() => match see_other(&response.redirect_uri) {
            Ok(answer) => answer,
            Err(fault) => return PageError::Fault(fault).into_response(),
        },
        ResponseMode::Query => {
            let parameters: Vec<(&str, &str)> =
                response.parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
            match see_other(&with_query(&response.redirect_uri, &parameters)) {
                Ok(answer) => answer,
                Err(fault) => return PageError::Fault(fault).into_response(),
            }
        }
        ResponseMode::FormPost => {
            let Some(Carrier { page, client_name }) = carrier else {
                return PageError::Fault(Fault::bug("an answer by form_post has no page to carry it")).into_response();
            };
            let page = FormPostPage {
                page,
                client_name,
                action: response.redirect_uri,
                fields: response.parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            };
            pages::render(StatusCode::OK, &page, Some(&page.page.scripts))
        }
    };
    if let Some(noted) = noted {
        answer.extensions_mut().insert(noted);
    }
    answer
}
