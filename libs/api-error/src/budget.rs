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
    if stated.next().is_some() {
        return Err(invalid("must be there once only".to_owned()));
    }
    let digits =
        value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    let Some(digits) = digits else {
        return Err(invalid("must be a whole number of milliseconds, in digits".to_owned()));
    };
    match digits.parse() {
        Ok(milliseconds @ 1..=MAX_MS) => Ok(Duration::from_millis(milliseconds).min(own_limit)),
        _ => Err(invalid(format!("must be 1 to {MAX_MS} milliseconds"))),
    }
}

fn invalid(fault: String) -> ApiError {
    ApiError::new(Code::InvalidDeadline, format!("The header {HEADER} cannot be used: it {fault}."))
        .with_detail(format!("/header/{HEADER}"), fault)
}
