//! `x-request-deadline-ms`: how long the caller still waits, so that nobody works for a caller who has left.

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName};

use crate::{ApiError, Code};

/// The header that carries the caller's remaining time.
const HEADER: HeaderName = HeaderName::from_static("x-request-deadline-ms");

/// The longest time that can be stated: a day. It is the service's own limit that holds then.
const MAX_MS: u64 = 86_400_000;

/// Returns how long this request may take: what the caller has left, and never more than the service's own limit.
///
/// # Errors
/// The caller states a time that is none. Guessing one would end its requests too early, or too late.
pub(crate) fn of(headers: &HeaderMap, own_limit: Duration) -> Result<Duration, ApiError> {
    let mut stated = headers.get_all(HEADER);
    let Some(value) = stated.next() else { return Ok(own_limit) };
    let milliseconds = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let milliseconds = milliseconds.and_then(|text| text.parse().ok()).filter(|ms| (1..=MAX_MS).contains(ms));
    match (milliseconds, stated.next()) {
        (Some(milliseconds), None) => Ok(Duration::from_millis(milliseconds).min(own_limit)),
        _ => Err(invalid()),
    }
}

fn invalid() -> ApiError {
    let expected = format!("must be there once, as a whole number of milliseconds from 1 to {MAX_MS}");
    ApiError::new(Code::InvalidDeadline, format!("The header {HEADER} cannot be used: it {expected}."))
        .with_detail(format!("/header/{HEADER}"), expected)
}
