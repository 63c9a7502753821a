//! Advice for a failed TLS handshake, for the operator of the service.

use std::{error::Error as StdError, io};

use rustls::{CertificateError, Error as TlsError};

/// A failed TLS handshake with advice.
#[derive(Debug, thiserror::Error)]
#[error("no secure connection: {advice}")]
pub struct Failure {
    /// The advice.
    pub advice: &'static str,
    /// The error of the client.
    #[source]
    pub source: Box<dyn StdError + Send + Sync>,
}

impl Failure {
    /// Wraps an error that a failed handshake caused; returns any other error unchanged.
    pub fn explained(error: Box<dyn StdError + Send + Sync>) -> Box<dyn StdError + Send + Sync> {
        match explain(&*error) {
            Some(advice) => Box::new(Self { advice, source: error }),
            None => error,
        }
    }
}

/// Returns the advice for `error`, if a failed handshake caused it.
pub fn explain(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<TlsError>() {
            return Some(advice(error));
        }
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // `source` of an I/O error skips the error inside it.
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn advice(error: &TlsError) -> &'static str {
    match error {
        TlsError::InvalidCertificate(error) => certificate_advice(error),
        TlsError::InvalidMessage(_) => {
            "the server does not speak TLS on this port; correct the port, or ask for plaintext in the setting"
        }
        TlsError::AlertReceived(_) => {
            "the server broke the handshake off; it may want a client certificate, or neither TLS 1.2 nor 1.3"
        }
        _ => "the handshake failed; the cause says why",
    }
}

fn certificate_advice(error: &CertificateError) -> &'static str {
    match error {
        // A renewed authority keeps its name and has another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "an authority that is not trusted here signed the server's certificate; if it is the right server, add the \
             authority's certificate to TLS_EXTRA_CA_FILE"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another host; use a host name that is in the certificate"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired, or the clock here is wrong; renew the certificate"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; compare the clocks of both machines"
        }
        _ => "the server's certificate is not acceptable; the cause says why",
    }
}
