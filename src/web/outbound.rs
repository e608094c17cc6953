//! Requests of our own to services: bounded in time, never redirected, by addresses that an admin registered.

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use std::path::Path;
use std::time::Duration;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The one client for outgoing requests.
#[derive(Clone)]
pub struct Outbound(Client);

impl Outbound {
    /// A client that trusts the system's authorities and those of a PEM file (`HALLPASS_OUTBOUND_CA`).
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate; for the operator.
    pub fn new(authorities: Option<&Path>) -> Result<Self, String> {
        let mut builder = Client::builder()
            // Whoever is redirected can be sent anywhere.
            .redirect(Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .user_agent(concat!("hallpass/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = authorities {
            let fault = |why: &dyn std::fmt::Display| format!("HALLPASS_OUTBOUND_CA: {}: {why}", path.display());
            let pem = std::fs::read(path).map_err(|error| fault(&error))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| fault(&error))?;
            if certificates.is_empty() {
                return Err(fault(&"it holds no certificate in PEM form"));
            }
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        builder.build().map(Self).map_err(|error| error.to_string())
    }

    /// Posts a form and gives the status; the body of the answer is not read.
    ///
    /// # Errors
    /// Why there is no answer, in words for the operator.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Result<u16, String> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .0
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cache-control", "no-store")
            .body(body);
        match request.send().await {
            Ok(response) => Ok(response.status().as_u16()),
            Err(error) if error.is_timeout() => Err(format!("no answer within {} seconds", PATIENCE.as_secs())),
            Err(error) => {
                // The innermost cause says what happened; the outer ones only that it did.
                let error = error.without_url();
                let mut cause: &dyn std::error::Error = &error;
                while let Some(inner) = cause.source() {
                    cause = inner;
                }
                Err(cause.to_string())
            }
        }
    }
}
