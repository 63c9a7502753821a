//! The transaction that makes a request an attempt's.

use std::time::Duration;

use api_error::ApiError;
use futures::try_join;
use pg::Tx;
use serde_json::Value;
use uuid::Uuid;

use super::{Operation, Remote, store};
use crate::{
    http::{
        Request,
        answer::Outcome,
        commit::run_settled,
        store::{Record, State, find, try_lock},
    },
    metrics,
};

/// How long a client should wait for a claim that is being made.
const CLAIM_TIME: Duration = Duration::from_secs(1);

/// What a claim came to.
pub(super) enum Claimed {
    /// The key is this attempt's.
    Owned(store::Claim),
    /// The key is finished, somebody else's, or another request's.
    Known(Outcome),
    /// The key is free, and there is no place to work on it. Nothing was written.
    Shed,
}

/// What a claim is made with.
struct Wish<'a> {
    request: &'a Request,
    operation: &'static str,
    input: Value,
    owner: Uuid,
    lease: Duration,
    has_place: bool,
}

impl<O: Operation> Remote<O> {
    pub(super) async fn claim(
        &self,
        request: &Request,
        input: &O::Input,
        has_place: bool,
    ) -> Result<Claimed, ApiError> {
        let wish = Wish {
            request,
            operation: O::NAME,
            input: serde_json::to_value(input).map_err(ApiError::internal)?,
            owner: Uuid::new_v4(),
            lease: self.0.limits.lease,
            has_place,
        };
        let claimed =
            run_settled(&self.0.pool, "idempotency_claim", &wish, |tx, wish| Box::pin(claim(tx, wish)))
                .await?;
        if let Claimed::Owned(claim) = &claimed
            && claim.attempts > 1
        {
            metrics::TAKEOVERS.with_label_values(&[O::NAME, "retry"]).inc();
            tracing::info!(operation = O::NAME, fence = claim.fence, "operation taken over by a retry");
        }
        fail_point::hit("idempotency.remote.claimed");
        Ok(claimed)
    }
}

async fn claim(tx: &Tx<'_>, wish: &Wish<'_>) -> Result<Claimed, pg::Error> {
    let Wish { request, operation, input, owner, lease, has_place } = wish;
    let lock = async {
        let locked = try_lock(tx, request).await;
        fail_point::hit("idempotency.remote.locked");
        locked
    };
    let (locked, found) = try_join!(lock, find(tx, request))?;
    // A finished record stays what it is, even if another repetition has the lock for a moment.
    if !locked && !found.as_ref().is_some_and(Record::is_finished) {
        return Ok(Claimed::Known(Outcome::InProgress(CLAIM_TIME)));
    }
    let Some(record) = found else {
        if !has_place {
            return Ok(Claimed::Shed);
        }
        let claim = store::insert(tx, request, (*operation, input), *owner, *lease).await?;
        fail_point::hit("idempotency.remote.inserted");
        return Ok(Claimed::Owned(claim));
    };
    let differences = record.differences(&request.fingerprint);
    if !differences.is_empty() {
        return Ok(Claimed::Known(Outcome::Mismatch(differences)));
    }
    let in_progress = |lease_left| Claimed::Known(Outcome::InProgress(lease_left));
    let taken = match record.state {
        State::Finished(response) => return Ok(Claimed::Known(Outcome::Replayed(response))),
        // This transaction ran before, and its COMMIT got lost.
        State::Unfinished { owner: present, .. } if present == *owner => {
            store::find_claim(tx, request, *owner).await?
        }
        State::Unfinished { lease_left, .. } if !lease_left.is_zero() => return Ok(in_progress(lease_left)),
        State::Unfinished { .. } if !has_place => return Ok(Claimed::Shed),
        State::Unfinished { .. } => store::take_over(tx, request, operation, *owner, *lease).await?,
    };
    fail_point::hit("idempotency.remote.taken_over");
    Ok(taken.map_or_else(|| in_progress(CLAIM_TIME), Claimed::Owned))
}
