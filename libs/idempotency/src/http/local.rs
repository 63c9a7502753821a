//! Requests whose effect is in the database: claim, effect and response are one transaction.

use actix_web::HttpResponse;
use api_error::ApiError;
use futures::try_join;
use pg::{Pool, Tx, TxError, TxFuture};

use super::{
    Request, Response, Retention,
    response::Outcome,
    store::{self, run_settled},
};

/// The effect of a request in the database.
///
/// A conflict runs it again, so it must have no effect but SQL.
pub trait Effect: Sync {
    /// The error of the effect.
    type Error: TxError + Into<ApiError> + Send;
    /// The result of [`read`](Self::read).
    type Found: Send;

    /// Reads what the effect needs, in the same round trip as the lookup of the key. Also runs for a replay, so it must
    /// change nothing.
    fn read<'t>(&'t self, tx: &'t Tx<'_>) -> TxFuture<'t, Self::Found, Self::Error>;

    /// Runs the effect once and stores the response; both can share a round trip. An error rolls everything back and leaves
    /// no record.
    fn run<'t>(
        &'t self,
        tx: &'t Tx<'_>,
        found: Self::Found,
        answer: Answer<'t>,
    ) -> TxFuture<'t, Stored, Self::Error>;
}

/// The right to store the response of a request, once.
pub struct Answer<'t> {
    request: &'t Request,
    retention: Retention,
}

/// Proof of a stored response.
pub struct Stored(Response);

impl Answer<'_> {
    /// Stores the response for replays.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn store(self, tx: &Tx<'_>, response: Response) -> Result<Stored, pg::Error> {
        fail_point::hit("idempotency.before_store");
        store::insert_finished(tx, self.request, self.retention, &response).await?;
        Ok(Stored(response))
    }
}

/// Runs an effect once for this request, or replays its response. Claim, effect and response are one transaction, named `name`.
///
/// After a COMMIT with an unknown outcome the transaction runs again: it gets the lock of the key only after the lost
/// transaction has ended, and then finds its response or none.
///
/// # Errors
/// Errors of the effect; 409 while the key is in use; 422 when it was used for another request.
pub async fn local<E: Effect>(
    pool: &Pool,
    name: &'static str,
    request: &Request,
    retention: Retention,
    effect: &E,
) -> Result<HttpResponse, ApiError> {
    let claim = (request, retention, effect);
    let outcome = run_settled(pool, name, &claim, |tx, (request, retention, effect)| {
        Box::pin(claim_and_run(tx, request, *retention, *effect))
    })
    .await
    .map_err(Into::into)?;
    let response = outcome.respond(request);
    fail_point::hit("idempotency.committed");
    response
}

async fn claim_and_run<E: Effect>(
    tx: &Tx<'_>,
    request: &Request,
    retention: Retention,
    effect: &E,
) -> Result<Outcome, E::Error> {
    let lock = async {
        let locked = store::try_lock(tx, request).await?;
        fail_point::hit("idempotency.locked");
        Ok(locked)
    };
    let find = async { Ok(store::find(tx, request).await?) };
    let (locked, record, found) = try_join!(lock, find, effect.read(tx))?;
    // A record does not change, even while another request has the lock.
    if let Some(record) = record {
        let differences = record.fingerprint.differences(&request.fingerprint);
        return Ok(if differences.is_empty() {
            Outcome::Replayed(record.response)
        } else {
            Outcome::Mismatch(differences)
        });
    }
    if !locked {
        return Ok(Outcome::InProgress);
    }
    fail_point::hit("idempotency.claimed");
    let Stored(response) = effect.run(tx, found, Answer { request, retention }).await?;
    fail_point::hit("idempotency.before_commit");
    Ok(Outcome::Done(response))
}
