//! The table of error codes: code, status, title, and whether a retry can succeed.
//!
//! The enum, the names on the wire, the metric's label, the OpenAPI responses and the check for a page of each code come from it.
//! A code is a contract with clients: its name and its status never change.

use actix_web::http::StatusCode;
use derive_more::Display;
use serde::Serialize;

/// Declares one row per code: variant, wire name, status, whether a retry can help, title.
macro_rules! codes {
    ($($variant:ident, $name:literal, $status:literal, retryable: $retryable:literal, $title:literal;)+) => {
        /// An error code: what a client program sees.
        #[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[display("{}", self.as_str())]
        pub enum Code {
            $(
                #[doc = concat!($title, " (`", $name, "`, status ", stringify!($status), ").")]
                #[serde(rename = $name)]
                $variant,
            )+
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Returns the status of the response that carries this code.
            pub fn status(self) -> StatusCode {
                let status = match self {
                    $(Self::$variant => const { error_status($status) },)+
                };
                StatusCode::from_u16(status).expect("error_status admits valid statuses only")
            }

            /// Returns whether a retry of the same request can succeed.
            pub const fn retryable(self) -> bool {
                match self {
                    $(Self::$variant => $retryable,)+
                }
            }

            /// Returns a short summary that is the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)+
                }
            }

            /// Returns the page of the code in `docs/errors`, as Markdown. A code without a page does not compile.
            pub const fn page(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!("../../../docs/errors/", $name, ".md")),)+
                }
            }
        }
    };
}

codes! {
    InvalidRequest, "invalid_request", 400, retryable: false, "Invalid request";
    MalformedJson, "malformed_json", 400, retryable: false, "Malformed JSON";
    InvalidDeadline, "invalid_deadline", 400, retryable: false, "Invalid deadline";
    MissingVersion, "missing_version", 400, retryable: false, "Missing version";
    MissingIdempotencyKey, "missing_idempotency_key", 400, retryable: false, "Missing idempotency key";
    InvalidIdempotencyKey, "invalid_idempotency_key", 400, retryable: false, "Invalid idempotency key";
    InvalidCursor, "invalid_cursor", 400, retryable: false, "Invalid cursor";
    CursorForeign, "cursor_foreign", 400, retryable: false, "Cursor of another tenant or list";
    CursorExpired, "cursor_expired", 400, retryable: false, "Expired cursor";
    CursorMismatch, "cursor_mismatch", 400, retryable: false, "Cursor of other filters or another order";
    Unauthenticated, "unauthenticated", 401, retryable: false, "Authentication required";
    Forbidden, "forbidden", 403, retryable: false, "Not allowed";
    NotFound, "not_found", 404, retryable: false, "Not found";
    UnknownVersion, "unknown_version", 404, retryable: false, "Unknown version";
    MethodNotAllowed, "method_not_allowed", 405, retryable: false, "Method not allowed";
    RequestTimeout, "request_timeout", 408, retryable: true, "Request body too slow";
    Conflict, "conflict", 409, retryable: false, "Conflict";
    InsufficientFunds, "insufficient_funds", 409, retryable: false, "Insufficient funds";
    AccountFrozen, "account_frozen", 409, retryable: false, "Account frozen";
    AccountClosed, "account_closed", 409, retryable: false, "Account closed";
    AccountInUse, "account_in_use", 409, retryable: false, "Account in use";
    BalanceLimit, "balance_limit", 409, retryable: false, "Balance limit exceeded";
    NotReversible, "not_reversible", 409, retryable: false, "Transfer not reversible";
    AlreadyReversed, "already_reversed", 409, retryable: false, "Transfer already reversed";
    RequestInProgress, "request_in_progress", 409, retryable: true, "Request in progress";
    PreconditionFailed, "precondition_failed", 412, retryable: false, "Precondition failed";
    PayloadTooLarge, "payload_too_large", 413, retryable: false, "Request body too large";
    UriTooLong, "uri_too_long", 414, retryable: false, "URL too long";
    UnsupportedMediaType, "unsupported_media_type", 415, retryable: false, "Unsupported media type";
    IdempotencyKeyReused, "idempotency_key_reused", 422, retryable: false, "Idempotency key reused";
    UnknownSku, "unknown_sku", 422, retryable: false, "Unknown SKU";
    UnknownAccount, "unknown_account", 422, retryable: false, "Unknown account";
    CurrencyMismatch, "currency_mismatch", 422, retryable: false, "Currency mismatch";
    QuotaExceeded, "quota_exceeded", 429, retryable: true, "Quota exceeded";
    HeadersTooLarge, "headers_too_large", 431, retryable: false, "Request headers too large";
    Internal, "internal", 500, retryable: false, "Internal error";
    Unavailable, "unavailable", 503, retryable: true, "Temporarily unavailable";
    Overloaded, "overloaded", 503, retryable: true, "Overloaded";
    BacklogFull, "backlog_full", 503, retryable: true, "Backlog full";
    DeadlineExceeded, "deadline_exceeded", 503, retryable: true, "Deadline exceeded";
}

/// Refuses, at compile time, a row whose status is not an error.
const fn error_status(status: u16) -> u16 {
    assert!(status >= 400 && status <= 599, "an error code needs a 4xx or 5xx status");
    status
}

impl Code {
    /// Returns the code with this name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// Returns the message of every 5xx response with this code; the cause goes to the log only.
    pub(crate) fn server_message(self) -> &'static str {
        if self.retryable() {
            "The service cannot answer now. Send the same request again after the time in Retry-After."
        } else {
            "The service failed to handle this request. Report the request_id; a retry may fail again."
        }
    }
}

#[cfg(test)]
mod tests;
