//! What a request is answered, whichever mode its route has.

use std::time::Duration;

use actix_web::HttpResponse;
use api_error::{ApiError, Code};

use super::{Request, Response, fingerprint::Differences};
use crate::metrics;

/// What became of a request.
pub(super) enum Outcome {
    /// It took effect now.
    Done(Response),
    /// It had taken effect before.
    Replayed(Response),
    /// It is being worked on; the client should come back after this time.
    InProgress(Duration),
    /// Its key belongs to a request that differs in this.
    Mismatch(Differences),
}

impl Outcome {
    /// Counts the outcome, and makes the answer of it.
    pub(super) fn answer(self, request: &Request) -> Result<HttpResponse, ApiError> {
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
