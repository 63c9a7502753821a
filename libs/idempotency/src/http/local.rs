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

/// Runs `effect` once for this request: claim, effect and stored response are one transaction.
///
/// `name` is the transaction's; `context` is what `effect` needs, as for [`pg::run_tx`]. Whatever `effect` returns as `Ok`
/// is stored and replayed; an `Err` rolls everything back and leaves no record.
///
/// A COMMIT whose outcome is unknown is settled by asking the key once more: its lock is free again only when the lost
/// transaction has ended, and then its response is there or it never happened.
///
/// # Errors
/// The effect's own; 409 while the same key is in use; 422 when it was used for another request.
pub async fn local<C, E, F>(
    pool: &Pool,
    name: &'static str,
    request: &Request,
    retention: Retention,
    context: &C,
    effect: F,
) -> Result<HttpResponse, ApiError>
where
    C: Sync + ?Sized,
    E: TxError + Into<ApiError> + Send,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, Response, E> + Sync,
{
    let claim = (request, retention, context, effect);
    let outcome = run_settled(pool, name, &claim, |tx, (request, retention, context, effect)| {
        Box::pin(async move {
            let lock = async {
                let locked = store::try_lock(tx, request).await;
                fail_point::hit("idempotency.locked");
                locked
            };
            let (locked, found) = try_join!(lock, store::find(tx, request))?;
            match found {
                // A finished record stays what it is, even if another repetition has the lock for a moment.
                Some(record) if locked || record.is_finished() => return Ok(known(record, request)),
                None if locked => {}
                _ => return Ok(Outcome::InProgress(RETRY_AFTER)),
            }
            fail_point::hit("idempotency.claimed");
            let response = effect(tx, context).await?;
            fail_point::hit("idempotency.before_store");
            store::insert_finished(tx, request, *retention, &response).await?;
            fail_point::hit("idempotency.before_commit");
            Ok::<_, E>(Outcome::Done(response))
        })
    })
    .await
    .map_err(Into::into)?;
    let answer = outcome.answer(request);
    fail_point::hit("idempotency.committed");
    answer
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
