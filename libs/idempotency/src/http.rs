//! `Idempotency-Key` for requests whose whole effect is in the database.
//!
//! Follows draft-ietf-httpapi-idempotency-key-header-07: missing key 400, other request 422, still running 409.

mod fingerprint;
mod key;
mod response;
mod store;

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use api_error::{ApiError, Code};
use pg::{Migration, Pool, Tx, TxError, TxFuture};

pub use fingerprint::Fingerprint;
pub use key::Key;
pub use response::Response;

use crate::metrics;
use store::Claim;

/// The schema of this module, under the name `idempotency`.
pub const MIGRATIONS: &[Migration] =
    &[("V1__create_idempotency_keys", include_str!("../migrations/http/V1__create_idempotency_keys.sql"))];

/// How long a response can be had again, unless a route says otherwise: longer than a weekend, so that a client that
/// broke on Friday is repaired on Monday.
pub const RETENTION: Duration = Duration::from_hours(72);

/// How long a client should wait before it asks again for a request that is still running.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A request that may be a repetition.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) tenant: String,
    pub(crate) key: Key,
    pub(crate) fingerprint: Fingerprint,
}

impl Request {
    /// Takes what identifies a request. `tenant` comes from the verified token, never from the client's word.
    ///
    /// # Errors
    /// The body is not JSON.
    pub fn new(
        tenant: impl Into<String>,
        key: Key,
        request: &HttpRequest,
        body: &[u8],
    ) -> Result<Self, ApiError> {
        Ok(Self { tenant: tenant.into(), key, fingerprint: Fingerprint::of(request, body)? })
    }
}

/// What became of a request.
enum Outcome {
    Done(Response),
    Replayed(Response),
    Refused(ApiError),
}

/// Runs `effect` once for this request: claim, effect and stored response are one transaction.
///
/// `name` is the transaction's; `context` is what `effect` needs, as for [`pg::run_tx`]. Whatever `effect` returns as `Ok`
/// is stored and replayed; an `Err` rolls everything back and leaves no record.
///
/// # Errors
/// The effect's own; 409 while the same key is in use; 422 when it was used for another request.
pub async fn local<C, E, F>(
    pool: &Pool,
    name: &'static str,
    request: &Request,
    retention: Duration,
    context: &C,
    effect: F,
) -> Result<HttpResponse, ApiError>
where
    C: Sync + ?Sized,
    E: TxError + Into<ApiError> + Send,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, Response, E> + Sync,
{
    let claim = (request, retention, context, effect);
    let outcome = pg::run_tx(pool, name, &claim, |tx, (request, retention, context, effect)| {
        Box::pin(async move {
            match store::claim(tx, request).await? {
                Claim::Free => {
                    let response = effect(tx, context).await?;
                    fail_point::hit("idempotency.before_store");
                    store::complete(tx, request, *retention, &response).await?;
                    fail_point::hit("idempotency.before_commit");
                    Ok::<_, E>(Outcome::Done(response))
                }
                Claim::Completed(response) => Ok(Outcome::Replayed(response)),
                Claim::InProgress => Ok(Outcome::Refused(in_progress())),
                Claim::Mismatch(differences) => Ok(Outcome::Refused(mismatch(&differences))),
            }
        })
    })
    .await
    .map_err(Into::into)?;
    answer(outcome)
}

fn answer(outcome: Outcome) -> Result<HttpResponse, ApiError> {
    let (label, result) = match outcome {
        Outcome::Done(response) => ("claimed", Ok(response.into_http(false))),
        Outcome::Replayed(response) => ("replayed", Ok(response.into_http(true))),
        Outcome::Refused(error) if error.code() == Code::RequestInProgress => ("in_progress", Err(error)),
        Outcome::Refused(error) => ("mismatch", Err(error)),
    };
    metrics::REQUESTS.with_label_values(&[label]).inc();
    fail_point::hit("idempotency.committed");
    result
}

fn in_progress() -> ApiError {
    ApiError::new(
        Code::RequestInProgress,
        "A request with this Idempotency-Key is being processed; repeat it after the time in Retry-After.",
    )
    .with_retry_after(RETRY_AFTER)
}

fn mismatch(differences: &[&'static str]) -> ApiError {
    let message = format!(
        "This Idempotency-Key was used for a request with another {}; use a new key for a new request.",
        differences.join(" and ")
    );
    ApiError::new(Code::IdempotencyKeyReused, message)
}
