//! Limits of the head of a request: sizes, and the deadline in `x-request-deadline-ms`.
//!
//! The sizes are below those of actix's parser (96 headers, 128 KiB of head, 64 KiB of URL), which answers before any middleware runs, with a
//! bare status. A request between the two limits gets an error in the envelope.

use std::time::Duration;

use actix_web::{
    dev::ServiceRequest,
    http::header::{HeaderMap, HeaderName},
};

use crate::{ApiError, Code};

/// The longest path and query, in bytes.
const MAX_URL_BYTES: usize = 4_096;
/// The longest query, in bytes.
const MAX_QUERY_BYTES: usize = 2_048;
/// The most parameters of a query.
const MAX_QUERY_PARAMETERS: usize = 32;
/// The most header fields, repeated ones included.
const MAX_HEADERS: usize = 64;
/// The size of all header fields together, in bytes on the wire.
const MAX_HEADER_BYTES: usize = 16 * 1_024;

/// The bytes of a header field on the wire besides its name and value: a colon, a space and a line end.
const HEADER_OVERHEAD: usize = 4;

/// The remaining time of the client, in milliseconds: work after it would be wasted.
const DEADLINE_HEADER: HeaderName = HeaderName::from_static("x-request-deadline-ms");
/// The longest time that a client can state: a day. The service's own limit applies then.
const MAX_DEADLINE_MS: u64 = 86_400_000;

/// Refuses a head that exceeds a limit.
pub(crate) fn check_head(request: &ServiceRequest) -> Result<(), ApiError> {
    let uri = request.uri();
    let query = uri.query().unwrap_or_default();
    if query.len() > MAX_QUERY_BYTES {
        return Err(too_long("query", MAX_QUERY_BYTES));
    }
    if uri.path().len() + query.len() > MAX_URL_BYTES {
        return Err(too_long("URL", MAX_URL_BYTES));
    }
    if query.split('&').count() > MAX_QUERY_PARAMETERS {
        let message = format!("The query has more than {MAX_QUERY_PARAMETERS} parameters. Send fewer.");
        return Err(ApiError::new(Code::InvalidRequest, message)
            .with_detail("/query", format!("must have at most {MAX_QUERY_PARAMETERS} parameters")));
    }
    check_headers(request.headers())
}

fn check_headers(headers: &HeaderMap) -> Result<(), ApiError> {
    let bytes: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum();
    let message = if headers.len() > MAX_HEADERS {
        format!("The request has more than {MAX_HEADERS} header fields. Send fewer.")
    } else if bytes > MAX_HEADER_BYTES {
        format!("The header fields are larger than {MAX_HEADER_BYTES} bytes together. Send less.")
    } else {
        return Ok(());
    };
    Err(ApiError::new(Code::HeadersTooLarge, message))
}

fn too_long(part: &str, max_bytes: usize) -> ApiError {
    ApiError::new(Code::UriTooLong, format!("The {part} is longer than {max_bytes} bytes. Shorten it."))
}

/// Returns the time limit of this request: the client's remaining time, and at most the service's own limit.
///
/// # Errors
/// The header is invalid. A guess would end requests too early or too late.
pub(crate) fn deadline(headers: &HeaderMap, own_limit: Duration) -> Result<Duration, ApiError> {
    let mut values = headers.get_all(DEADLINE_HEADER);
    let Some(value) = values.next() else { return Ok(own_limit) };
    if values.next().is_some() {
        return Err(invalid_deadline("must be sent once".to_owned()));
    }
    let digits =
        value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    let Some(digits) = digits else {
        return Err(invalid_deadline("must be a whole number of milliseconds, in digits".to_owned()));
    };
    match digits.parse() {
        Ok(milliseconds @ 1..=MAX_DEADLINE_MS) => Ok(Duration::from_millis(milliseconds).min(own_limit)),
        _ => Err(invalid_deadline(format!("must be 1 to {MAX_DEADLINE_MS} milliseconds"))),
    }
}

fn invalid_deadline(fault: String) -> ApiError {
    ApiError::new(Code::InvalidDeadline, format!("The header {DEADLINE_HEADER} is invalid: it {fault}."))
        .with_detail(format!("/header/{DEADLINE_HEADER}"), fault)
}
