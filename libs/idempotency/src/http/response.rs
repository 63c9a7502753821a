//! Responses that can be stored and replayed, and the outcome of a request.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
};
use api_error::{ApiError, Code};
use serde::Serialize;

use super::{Request, fingerprint::Differences};
use crate::metrics;

/// Headers that a replay repeats. Others (`Date`, `x-request-id`, trace headers, `Retry-After`) belong to one exchange.
const REPLAYED_HEADERS: &[&str] = &["content-type", "location", "etag"];

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// `Retry-After` of a request in progress: its transaction is short.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Status, headers and body as they are stored and replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A JSON response.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        let body =
            serde_json::to_vec(body).expect("response types have string keys and no failing serializer");
        Self { status, headers: vec![("content-type".to_owned(), "application/json".to_owned())], body }
    }

    /// Adds a header that a replay repeats; ignores others.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let repeated = REPLAYED_HEADERS.contains(&name);
        debug_assert!(repeated, "{name} is not a header that a replay repeats");
        if repeated {
            self.headers.push((name.to_owned(), value.into()));
        }
        self
    }

    fn into_http(self, replayed: bool) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                response.insert_header((name, value));
            }
        }
        if replayed {
            response.insert_header((REPLAYED, TRUE));
        }
        response.body(self.body)
    }
}

pub(super) enum Outcome {
    /// It took effect now.
    Done(Response),
    /// It took effect before.
    Replayed(Response),
    /// It is in progress.
    InProgress,
    /// Its key was used for a request with these differences.
    Mismatch(Differences),
}

impl Outcome {
    /// Counts the outcome and makes the HTTP response.
    pub(super) fn respond(self, request: &Request) -> Result<HttpResponse, ApiError> {
        let (label, result) = match self {
            Self::Done(response) => ("claimed", Ok(response.into_http(false))),
            Self::Replayed(response) => ("replayed", Ok(response.into_http(true))),
            Self::InProgress => ("in_progress", Err(in_progress())),
            Self::Mismatch(differences) => ("mismatch", Err(mismatch(differences))),
        };
        metrics::REQUESTS.with_label_values(&[request.fingerprint.route.as_str(), label]).inc();
        result
    }
}

fn in_progress() -> ApiError {
    ApiError::new(
        Code::RequestInProgress,
        "A request with this Idempotency-Key is being processed; repeat it after the time in Retry-After.",
    )
    .with_retry_after(RETRY_AFTER)
}

fn mismatch(Differences { parts, places }: Differences) -> ApiError {
    let message = format!(
        "This Idempotency-Key was used for a request with another {}; use a new key for a new request.",
        parts.join(" and ")
    );
    places.into_iter().fold(ApiError::new(Code::IdempotencyKeyReused, message), |error, place| {
        error.with_detail(place, "differs from the first request with this key")
    })
}
