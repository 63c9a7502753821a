//! Bounds on the head of a request.
//!
//! They are below those of actix's parser (96 headers, 128 KiB of head, 64 KiB of URL), which refuses before any middleware
//! runs and without a word. Whatever is between the two is refused here, with one.

use actix_web::{dev::ServiceRequest, http::header::HeaderMap};

use crate::{ApiError, Code};

/// The longest path and query, in bytes.
const MAX_URL_BYTES: usize = 4_096;
/// The longest query, in bytes.
const MAX_QUERY_BYTES: usize = 2_048;
/// Parameters of a query.
const MAX_QUERY_PARAMETERS: usize = 32;
/// Header fields, repeated ones included.
const MAX_HEADERS: usize = 64;
/// All header fields together, in bytes, as they are on the wire.
const MAX_HEADER_BYTES: usize = 16 * 1_024;

/// What a header field has on the wire beside its name and value: a colon, a space and a line end.
const HEADER_OVERHEAD: usize = 4;

/// Refuses a head that is larger than any request of an API has to be.
pub(crate) fn check(request: &ServiceRequest) -> Result<(), ApiError> {
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
    if headers.len() > MAX_HEADERS {
        return Err(ApiError::new(
            Code::HeadersTooLarge,
            format!("The request has more than {MAX_HEADERS} header fields. Send fewer."),
        ));
    }
    let bytes: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum();
    if bytes > MAX_HEADER_BYTES {
        return Err(ApiError::new(
            Code::HeadersTooLarge,
            format!("The header fields are larger than {MAX_HEADER_BYTES} bytes together. Send less."),
        ));
    }
    Ok(())
}

fn too_long(part: &str, max_bytes: usize) -> ApiError {
    ApiError::new(Code::UriTooLong, format!("The {part} is longer than {max_bytes} bytes. Shorten it."))
}
