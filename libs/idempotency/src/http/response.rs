//! Responses that can be stored and replayed, and the outcome of a request.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
};
use api_error::{ApiError, Code, Detail};
use serde::{Deserialize, Serialize};

use super::{Request, fingerprint::Differences};
use crate::metrics;

/// Headers that a replay repeats. Others (`Date`, `x-request-id`, trace headers, `Retry-After`) belong to one exchange.
const REPLAYED_HEADERS: &[&str] = &["content-type", "location", "etag"];

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const TRUE: HeaderValue = HeaderValue::from_static("true");

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

    /// A final refusal: it is stored, and a replay repeats its code, message and details, with a new request id.
    ///
    /// # Errors
    /// The error itself, when it is not final: a server error, or one that a retry can solve.
    pub fn refusal(error: ApiError) -> Result<Self, ApiError> {
        let code = error.code();
        if !code.status().is_client_error() || code.retryable() {
            return Err(error);
        }
        Ok(Self { status: code.status().as_u16(), headers: Vec::new(), body: to_bytes(&error) })
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

    /// Makes the HTTP response. A refusal becomes an error again, so that it is rendered like any other.
    pub(crate) fn into_http(self, replayed: bool) -> Result<HttpResponse, ApiError> {
        if let Some(error) = from_bytes(self.status, &self.body) {
            return Err(if replayed { error.with_header(REPLAYED, TRUE) } else { error });
        }
        Ok(self.into_success(replayed))
    }

    fn into_success(self, replayed: bool) -> HttpResponse {
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
    /// It is in progress; the client retries after this time.
    InProgress(Duration),
    /// Its key was used for a request with these differences.
    Mismatch(Differences),
}

impl Outcome {
    /// Counts the outcome and makes the HTTP response.
    pub(super) fn respond(self, request: &Request) -> Result<HttpResponse, ApiError> {
        let (label, result) = match self {
            Self::Done(response) => ("claimed", response.into_http(false)),
            Self::Replayed(response) => ("replayed", response.into_http(true)),
            Self::InProgress(retry_after) => ("in_progress", Err(in_progress(retry_after))),
            Self::Mismatch(differences) => ("mismatch", Err(mismatch(differences))),
        };
        metrics::REQUESTS.with_label_values(&[request.fingerprint.route.as_str(), label]).inc();
        result
    }
}

fn in_progress(retry_after: Duration) -> ApiError {
    ApiError::new(
        Code::RequestInProgress,
        "A request with this Idempotency-Key is being processed; repeat it after the time in Retry-After.",
    )
    .with_retry_after(retry_after)
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    code: String,
    message: String,
    details: Vec<Detail>,
}

fn to_bytes(error: &ApiError) -> Vec<u8> {
    let refusal = Refusal {
        code: error.code().as_str().to_owned(),
        message: error.public_message().to_owned(),
        details: error.details().to_vec(),
    };
    serde_json::to_vec(&refusal).expect("strings and lists of them always serialise")
}

/// Returns the stored error, if the bytes are one.
fn from_bytes(status: u16, bytes: &[u8]) -> Option<ApiError> {
    if status < 400 {
        return None;
    }
    let refusal: Refusal = serde_json::from_slice(bytes).ok()?;
    let error = ApiError::new(Code::from_name(&refusal.code)?, refusal.message);
    let details = refusal.details.into_iter();
    Some(details.fold(error, |error, Detail { pointer, message }| error.with_detail(pointer, message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_stored_refusal_is_replayed_as_the_same_error() {
        let error =
            ApiError::new(Code::Conflict, "The card was declined.").with_detail("/card", "is expired");
        let stored = Response::refusal(error).unwrap();
        assert_eq!(stored.status, 409);

        let again = stored.into_http(true).unwrap_err();
        assert_eq!((again.code(), again.public_message()), (Code::Conflict, "The card was declined."));
        assert_eq!(again.details()[0].pointer, "/card");
    }

    #[test]
    fn a_retryable_error_is_not_stored() {
        for code in [Code::Unavailable, Code::Internal, Code::RequestInProgress] {
            assert_eq!(Response::refusal(ApiError::new(code, "later")).unwrap_err().code(), code);
        }
    }
}
