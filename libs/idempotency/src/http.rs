//! `Idempotency-Key` for HTTP requests.
//!
//! Follows draft-ietf-httpapi-idempotency-key-header-07: missing key 400, other request 422, still running 409.

mod fingerprint;
mod key;
mod local;
mod response;
mod retention;
mod store;

use actix_web::HttpRequest;
use api_error::ApiError;
use fingerprint::Fingerprint;
use pg::Migration;

pub use key::Key;
pub use local::{Answer, Effect, Stored, local};
pub use response::Response;
pub use retention::{Config, Retention};

/// The schema of this module, under the name `idempotency`.
///
/// The columns of V2 have no reader any more. They stay for the previous release and go in the next one.
pub const MIGRATIONS: &[Migration] = &[
    ("V1__create_idempotency_keys", include_str!("../migrations/http/V1__create_idempotency_keys.sql")),
    ("V2__add_remote_operations", include_str!("../migrations/http/V2__add_remote_operations.sql")),
    ("V3__say_where_bodies_differ", include_str!("../migrations/http/V3__say_where_bodies_differ.sql")),
];

/// A request with an idempotency key.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) tenant: String,
    pub(crate) key: Key,
    pub(crate) fingerprint: Fingerprint,
}

impl Request {
    /// Makes the identity of a request. Take `tenant` from the verified token.
    ///
    /// # Errors
    /// The body is not JSON, or is JSON that has a member twice, or a number beyond ±(2^53 - 1), where RFC 8785 would take
    /// different numbers for the same.
    pub fn new(
        tenant: impl Into<String>,
        key: Key,
        request: &HttpRequest,
        body: &[u8],
    ) -> Result<Self, ApiError> {
        Ok(Self { tenant: tenant.into(), key, fingerprint: Fingerprint::of(request, body)? })
    }
}
