//! Errors that are not ours, put into the table: actix's own, and responses that carry nothing but a status.

use actix_web::{Error, http::StatusCode};

use crate::{ApiError, Code};

/// What is said about a path that leads nowhere.
pub(crate) const NOTHING_HERE: &str = "There is nothing at this path. Check the path and the version in it.";

/// Makes the [`ApiError`] for a bare status.
pub(crate) fn from_status(status: StatusCode) -> ApiError {
    let (code, message) = match status.as_u16() {
        401 => (Code::Unauthenticated, "Send a bearer token in the Authorization header."),
        403 => (Code::Forbidden, "The caller may not do this."),
        404 => (Code::NotFound, NOTHING_HERE),
        405 => (Code::MethodNotAllowed, "This path does not take this method. See the Allow header."),
        408 => (Code::RequestTimeout, "The request did not arrive in time. Send it again."),
        409 => (Code::Conflict, "The request conflicts with the current state of the resource."),
        413 => (Code::PayloadTooLarge, "The request body is too large. Send less."),
        414 => (Code::UriTooLong, "The URL is too long. Shorten it."),
        415 => (Code::UnsupportedMediaType, "Send the body as application/json, without a content encoding."),
        429 => (
            Code::QuotaExceeded,
            "The quota is used up. Send the same request again after the time in Retry-After.",
        ),
        431 => (Code::HeadersTooLarge, "The request has too many headers, or too large ones. Send fewer."),
        503 => (Code::Unavailable, "the service is unavailable"),
        500..=599 => (Code::Internal, "the request failed"),
        _ => (Code::InvalidRequest, "The request cannot be read. Check its path, query, headers and body."),
    };
    ApiError::new(code, message)
}

/// Makes the [`ApiError`] for an error of actix or of a foreign extractor; its text is kept for the log.
pub(crate) fn from_actix(error: &Error) -> ApiError {
    from_status(error.as_response_error().status_code()).with_source(error.to_string())
}
