//! What OpenSSL is asked beside keys: until when a server's certificate is good.

use crate::protocol::time::NumericDate;
use openssl::asn1::Asn1Time;
use openssl::x509::X509;

/// When a certificate in DER form ends; `None`: it cannot be read.
#[must_use]
pub fn certificate_ends_at(der: &[u8]) -> Option<NumericDate> {
    let certificate = X509::from_der(der).ok()?;
    let since_epoch = Asn1Time::from_unix(0).ok()?.diff(certificate.not_after()).ok()?;
    Some(NumericDate(i64::from(since_epoch.days) * 86_400 + i64::from(since_epoch.secs)))
}
