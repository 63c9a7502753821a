//! Errors of other libraries as [`ApiError`]s: of actix, of a cursor, of the database.

use actix_web::{Error, http::StatusCode};

use crate::{ApiError, Code};

/// The message for an unknown path.
pub(crate) const UNKNOWN_PATH: &str = "This path does not exist. Check the path and its version.";

/// Returns the error for a response that has a status and no body.
pub(crate) fn from_status(status: StatusCode) -> ApiError {
    let (code, message) = match status.as_u16() {
        401 => (Code::Unauthenticated, "Send a bearer token in the Authorization header."),
        403 => (Code::Forbidden, "The caller is not allowed to do this."),
        404 => (Code::NotFound, UNKNOWN_PATH),
        405 => (Code::MethodNotAllowed, "This path does not support this method. See the Allow header."),
        408 => (Code::RequestTimeout, "The request did not arrive in time. Send it again."),
        409 => (Code::Conflict, "The request conflicts with the current state of the resource."),
        413 => (Code::PayloadTooLarge, "The request body is too large. Send less."),
        414 => (Code::UriTooLong, "The URL is too long. Shorten it."),
        415 => (Code::UnsupportedMediaType, "Send the body as application/json, without a content encoding."),
        429 => (
            Code::QuotaExceeded,
            "The quota is used up. Send the same request again after the time in Retry-After.",
        ),
        431 => (Code::HeadersTooLarge, "The request has too many or too large headers. Send fewer."),
        503 => (Code::Unavailable, "the service is unavailable"),
        500..=599 => (Code::Internal, "the request failed"),
        _ => (Code::InvalidRequest, "The request is invalid. Check its path, query, headers and body."),
    };
    ApiError::new(code, message)
}

/// Returns the error for an error of actix or of another extractor; its text goes to the log.
pub(crate) fn from_actix(error: &Error) -> ApiError {
    from_status(error.as_response_error().status_code()).with_source(error.to_string())
}

/// A cursor that cannot be opened is a 400, with a code for each reason.
#[cfg(feature = "cursor")]
impl From<cursor::CursorError> for ApiError {
    fn from(error: cursor::CursorError) -> Self {
        use cursor::CursorError;
        let (code, message) = match error {
            CursorError::Invalid => (
                Code::InvalidCursor,
                "This is not a valid cursor. Send next or prev of a response, or no cursor for the first page.",
            ),
            CursorError::Foreign => (
                Code::CursorForeign,
                "This cursor belongs to another tenant or another list. Request the first page, without a cursor.",
            ),
            CursorError::Expired => (
                Code::CursorExpired,
                "This cursor has expired. Begin again without one; in a long list, from the time of your last row.",
            ),
            CursorError::Mismatch => (
                Code::CursorMismatch,
                "This cursor was made for other filters or another order. Send those again, or begin without a cursor.",
            ),
        };
        Self::new(code, message).with_detail("/query/cursor", error.to_string())
    }
}

/// A failure of the database is a 503 when a retry can succeed, else a 500.
#[cfg(feature = "pg")]
impl From<pg::Error> for ApiError {
    fn from(error: pg::Error) -> Self {
        if matches!(error, pg::Error::DeadlineExceeded(_)) {
            Self::new(Code::DeadlineExceeded, "no time was left in the database").with_source(error)
        } else if error.is_pool_exhausted() {
            Self::unavailable("PostgreSQL").with_source(error).with_overload()
        } else if error.is_transient() {
            Self::unavailable("PostgreSQL").with_source(error)
        } else {
            Self::internal(error)
        }
    }
}

#[cfg(feature = "pg")]
impl pg::TxError for ApiError {
    fn database(&self) -> Option<&pg::Error> {
        std::error::Error::source(self)?.downcast_ref()
    }
}
