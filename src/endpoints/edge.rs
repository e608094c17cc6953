//! The edge: what every request passes first and every answer last.
//!
//! It gives the request its reference, keeps a panic inside, adds the headers of every answer, renders error
//! pages with the reference on them, and writes one log record for each answer. Only the path is logged:
//! queries, bodies and headers carry codes, tokens and passwords.

use crate::ambient::{CONTEXT, Context};
use crate::protocol::audit::RefusalRecord;
use crate::provider::Provider;
use crate::texts::text;
use crate::web::accept;
use crate::web::answer::{self, Note, PageContent};
use crate::web::headers;
use crate::web::network::Network;
use crate::web::pages::{self, Chrome, ErrorPage, Link};
use crate::web::problems::Problem;
use crate::web::request;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;

/// The header that carries the reference.
const REFERENCE_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A reference that can be read out on the telephone: 50 random bits without I, L, O and U.
#[must_use]
pub fn reference() -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bytes = crate::ambient::random::<10>();
    let mut text: String = bytes.iter().map(|byte| ALPHABET[usize::from(byte & 31)] as char).collect();
    text.insert(5, '-');
    text
}

/// Whether a page leads on to our start page where it knows of no service: nothing is lost, or there was nothing.
const fn leads_home(problem: Problem) -> bool {
    matches!(
        problem,
        Problem::NothingToContinue
            | Problem::Expired
            | Problem::AlreadyAnswered
            | Problem::NothingHere
            | Problem::WrongMethod
    )
}

/// The outermost layer of the public router.
#[expect(clippy::disallowed_methods, reason = "the duration is logged and decides nothing")]
pub async fn edge(State(provider): State<Arc<Provider>>, request: Request, next: Next) -> Response {
    let reference = reference();
    let started = Instant::now();
    let method = request.method().clone();
    let wants_a_page = request::wants_a_page(&request);
    let network = Network::of(&request, &provider.config);
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "(unknown path)".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", %reference, %method, %path);
    let context = Arc::new(Context::new(reference.clone(), accept::languages(request.headers())));
    let mut response = CONTEXT.scope(context.clone(), next.run(request)).instrument(span.clone()).await;
    let _entered = span.enter();

    // The router answers another method with `Allow` and nothing else.
    if response.status() == StatusCode::METHOD_NOT_ALLOWED && response.extensions().get::<Note>().is_none() {
        response = answer::method_not_allowed(response, wants_a_page);
    }
    if let Some(content) = response.extensions_mut().remove::<PageContent>() {
        let row = content.problem.row();
        let home = || leads_home(content.problem).then(|| Link::home(&provider.config));
        let heading = text(row.text).attribute("heading");
        let page = ErrorPage {
            page: CONTEXT.sync_scope(context.clone(), || Chrome::new(&provider.config, &heading)),
            text: row.text,
            mistake: content.mistake.unwrap_or_default(),
            service: content.service,
            reference: reference.clone(),
            restart: content.restart.or_else(home),
        };
        let mut rendered = pages::render(row.status, &page, None);
        // What the handler set (cookies, Retry-After, the note) stays.
        for (name, value) in response.headers() {
            if name != axum::http::header::CONTENT_LENGTH {
                rendered.headers_mut().append(name, value.clone());
            }
        }
        *rendered.extensions_mut() = response.extensions().clone();
        response = rendered;
    }
    headers::every(response.headers_mut(), &provider.config);
    if let Ok(value) = HeaderValue::try_from(&reference) {
        response.headers_mut().insert(REFERENCE_HEADER, value);
    }
    let status = response.status().as_u16();
    let milliseconds = started.elapsed().as_millis();
    let client_id = context.client_id();
    match response.extensions().get::<Note>() {
        Some(note @ Note { fault: Some(kind), .. }) => {
            provider.faults.count(*kind);
            let (kind, detail) = (kind.as_str(), note.detail.as_deref().unwrap_or_default());
            let fix = note.explanation.fix.as_deref();
            tracing::error!(status, milliseconds, kind, code = note.code, client_id, detail, fix, "fault");
        }
        Some(note) if note.is_expected => {
            let description = note.description.as_str();
            tracing::info!(status, milliseconds, code = note.code, client_id, description, "answered");
        }
        Some(note) => tracing::warn!(
            status,
            milliseconds,
            code = note.code,
            reason = note.explanation.reason,
            client_id,
            sub = note.explanation.sub,
            description = note.description,
            detail = note.detail,
            sent = note.explanation.sent,
            expected = (!note.explanation.expected.is_empty()).then(|| note.explanation.expected.join(" or ")),
            fix = note.explanation.fix,
            "refused"
        ),
        None => tracing::info!(status, milliseconds, client_id, "answered"),
    }
    if let Some(note) = response.extensions().get::<Note>().filter(|note| note.is_kept()) {
        let record = RefusalRecord {
            reference,
            at: provider.now().0,
            status: status.into(),
            code: note.code.to_owned(),
            method: method.as_str().chars().take(16).collect(),
            path,
            client_id: client_id.map(str::to_owned),
            description: note.description.clone(),
            detail: note.detail.clone(),
            explanation: note.explanation.clone(),
        };
        let network = (!network.is_shared()).then(|| network.wide().to_string());
        provider.audit.refused(record, network.as_deref());
    }
    response
}
