//! Requests of our own to services: bounded in time, never redirected, by addresses that an admin registered.

use crate::failure::{Failure, in_words};
use axum::http::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::tls::TlsInfo;
use reqwest::{Certificate, Client, RequestBuilder};
use std::path::Path;
use std::time::Duration;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much of an answer is read, in bytes.
const MOST_BYTES: usize = 1024 * 1024;

/// What to do where the file of authorities is of no use.
const NAME_A_CERTIFICATE: &str =
    "name a file with the certificates of your authority, each from -----BEGIN CERTIFICATE----- on";

/// What the other server answered.
#[derive(Debug)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; what is not UTF-8 is replaced.
    pub body: String,
    /// The server's certificate, DER.
    pub certificate: Option<Vec<u8>>,
}

impl Fetched {
    /// The first header of that name, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The one client for outgoing requests.
#[derive(Clone)]
pub struct Outbound(Client);

impl Outbound {
    /// A client that trusts the system's authorities and those of a PEM file (`HALLPASS_OUTBOUND_CA`).
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate.
    pub fn new(authorities: Option<&Path>) -> Result<Self, Failure> {
        let mut builder = Client::builder()
            // A redirect could lead anywhere.
            .redirect(Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .tls_info(true)
            .user_agent(concat!("hallpass/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = authorities {
            let place = || format!("HALLPASS_OUTBOUND_CA: {}", path.display());
            let pem = std::fs::read(path).map_err(|error| Failure::at(place(), error))?;
            let none = |why| Failure::new(why).about(place()).with_fix(NAME_A_CERTIFICATE);
            let certificates = Certificate::from_pem_bundle(&pem)
                .map_err(|error| none("a certificate in it cannot be read").behind(error))?;
            if certificates.is_empty() {
                return Err(none("it holds no certificate in PEM form"));
            }
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        builder
            .build()
            .map(Self)
            .map_err(|error| Failure::new("requests of our own cannot be sent from this machine").with_source(error))
    }

    /// Posts a form and gives the status; the body of the answer is not read.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Result<u16, NoAnswer> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .0
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cache-control", "no-store")
            .body(body);
        Ok(request.send().await?.status().as_u16())
    }

    /// Gets an address, with further headers; at most a mebibyte of the answer is read.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Fetched, NoAnswer> {
        fetch(headers.iter().fold(self.0.get(url), |request, (name, value)| request.header(*name, *value))).await
    }
}

async fn fetch(request: RequestBuilder) -> Result<Fetched, NoAnswer> {
    let mut response = request.send().await?;
    let certificate = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate).map(<[u8]>::to_vec);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_BYTES {
            return Err(NoAnswer::TooLarge);
        }
    }
    Ok(Fetched {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: String::from_utf8_lossy(&body).into_owned(),
        certificate,
    })
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It did not come in time.
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    Late,
    /// It has more than is read.
    #[error("the answer is larger than a mebibyte")]
    TooLarge,
    /// The request could not be sent, or the answer broke off.
    #[error("{}", innermost(.0))]
    Failed(#[source] reqwest::Error),
}

impl From<reqwest::Error> for NoAnswer {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::Late } else { Self::Failed(error.without_url()) }
    }
}

/// The innermost cause says what happened; the outer ones only that it did.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    in_words(cause)
}
