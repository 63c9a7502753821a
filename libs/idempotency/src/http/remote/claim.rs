//! Claims a key for a remote operation.

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
        response::Outcome,
        store::{Record, State, find, run_settled, try_lock},
    },
    metrics,
};

/// `Retry-After` while another request claims the key.
const CLAIM_TIME: Duration = Duration::from_secs(1);

pub(super) enum Claimed {
    /// This attempt owns the key.
    Owned(store::Claim),
    /// The key is finished, in progress, or of another request.
    Known(Outcome),
    /// The key is free, but the concurrency limit is reached. Nothing was written.
    Shed,
}

struct ClaimRequest<'a> {
    request: &'a Request,
    operation: &'static str,
    input: Value,
    owner: Uuid,
    lease: Duration,
    has_permit: bool,
}

impl<O: Operation> Remote<O> {
    pub(super) async fn claim(
        &self,
        request: &Request,
        input: &O::Input,
        has_permit: bool,
    ) -> Result<Claimed, ApiError> {
        let claim_request = ClaimRequest {
            request,
            operation: O::NAME,
            input: serde_json::to_value(input).map_err(ApiError::internal)?,
            owner: Uuid::new_v4(),
            lease: self.0.limits.lease,
            has_permit,
        };
        let claimed = run_settled(&self.0.pool, "idempotency_claim", &claim_request, |tx, claim_request| {
            Box::pin(claim(tx, claim_request))
        })
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

async fn claim(tx: &Tx<'_>, claim_request: &ClaimRequest<'_>) -> Result<Claimed, pg::Error> {
    let ClaimRequest { request, operation, input, owner, lease, has_permit } = claim_request;
    let lock = async {
        let locked = try_lock(tx, request).await;
        fail_point::hit("idempotency.remote.locked");
        locked
    };
    let (locked, found) = try_join!(lock, find(tx, request))?;
    // A finished record does not change, even while another request has the lock.
    if !locked && !found.as_ref().is_some_and(Record::is_finished) {
        return Ok(Claimed::Known(Outcome::InProgress(CLAIM_TIME)));
    }
    let Some(record) = found else {
        if !has_permit {
            return Ok(Claimed::Shed);
        }
        let claim = store::insert(tx, request, (*operation, input), *owner, *lease).await?;
        fail_point::hit("idempotency.remote.inserted");
        return Ok(Claimed::Owned(claim));
    };
    let differences = record.fingerprint.differences(&request.fingerprint);
    if !differences.is_empty() {
        return Ok(Claimed::Known(Outcome::Mismatch(differences)));
    }
    let in_progress = |lease_left| Claimed::Known(Outcome::InProgress(lease_left));
    let taken = match record.state {
        State::Finished(response) => return Ok(Claimed::Known(Outcome::Replayed(response))),
        // This transaction ran before, and the outcome of its COMMIT was lost.
        State::Unfinished { owner: present, .. } if present == *owner => {
            store::find_claim(tx, request, *owner).await?
        }
        State::Unfinished { lease_left, .. } if !lease_left.is_zero() => return Ok(in_progress(lease_left)),
        State::Unfinished { .. } if !has_permit => return Ok(Claimed::Shed),
        State::Unfinished { .. } => store::take_over(tx, request, operation, *owner, *lease).await?,
    };
    fail_point::hit("idempotency.remote.taken_over");
    Ok(taken.map_or_else(|| in_progress(CLAIM_TIME), Claimed::Owned))
}
