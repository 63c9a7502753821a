//! Requests whose whole effect is in the database: claim, effect and response are one transaction.

use std::time::Duration;

use actix_web::HttpResponse;
use api_error::ApiError;
use futures::try_join;
use pg::{Pool, Tx, TxError, TxFuture};

use super::{
    Request, Response, Retention,
    answer::Outcome,
    commit::run_settled,
    store::{self, Record, State},
};

/// How long a client should wait before it asks again: such a transaction is short.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a request does, in the database alone.
///
/// A repetition after a conflict begins anew, so there must be no effect but SQL.
pub trait Effect: Sync {
    /// Why it can fail.
    type Error: TxError + Into<ApiError> + Send;
    /// What is read beforehand.
    type Found: Send;

    /// Reads what the effect needs to know, on the way together with the look for the key. Runs for a repetition, too, and
    /// must change nothing.
    fn read<'t>(&'t self, tx: &'t Tx<'_>) -> TxFuture<'t, Self::Found, Self::Error>;

    /// Does it, once, and stores the response; both can be on their way together. An error rolls everything back and leaves
    /// no record.
    fn run<'t>(
        &'t self,
        tx: &'t Tx<'_>,
        found: Self::Found,
        answer: Answer<'t>,
    ) -> TxFuture<'t, Stored, Self::Error>;
}

/// The right to answer a request, once.
pub struct Answer<'t> {
    request: &'t Request,
    retention: Retention,
}

/// A response that was stored.
pub struct Stored(Response);

impl Answer<'_> {
    /// Stores the response, to be replayed.
    ///
    /// # Errors
    /// The database's.
    pub async fn store(self, tx: &Tx<'_>, response: Response) -> Result<Stored, pg::Error> {
        fail_point::hit("idempotency.before_store");
        store::insert_finished(tx, self.request, self.retention, &response).await?;
        Ok(Stored(response))
    }
}

/// Runs an effect once for this request: claim, effect and stored response are one transaction, under this name. What it
/// stores is replayed.
///
/// A COMMIT whose outcome is unknown is settled by asking the key once more: its lock is free again only when the lost
/// transaction has ended, and then its response is there or it never happened.
///
/// # Errors
/// The effect's own; 409 while the same key is in use; 422 when it was used for another request.
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
    let answer = outcome.answer(request);
    fail_point::hit("idempotency.committed");
    answer
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
    match record {
        // A finished record stays what it is, even if another repetition has the lock for a moment.
        Some(record) if locked || record.is_finished() => return Ok(known(record, request)),
        None if locked => {}
        _ => return Ok(Outcome::InProgress(RETRY_AFTER)),
    }
    fail_point::hit("idempotency.claimed");
    let Stored(response) = effect.run(tx, found, Answer { request, retention }).await?;
    fail_point::hit("idempotency.before_commit");
    Ok(Outcome::Done(response))
}

fn known(record: Record, request: &Request) -> Outcome {
    let differences = record.differences(&request.fingerprint);
    match record.state {
        _ if !differences.is_empty() => Outcome::Mismatch(differences),
        State::Finished(response) => Outcome::Replayed(response),
        // The route was a remote one when the request began.
        State::Unfinished { lease_left, .. } => Outcome::InProgress(lease_left.max(RETRY_AFTER)),
    }
}
