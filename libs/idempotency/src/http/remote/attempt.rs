//! One attempt of a remote operation: its steps and its end.

use std::{
    future::Future,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use api_error::{ApiError, Code};
use pg::{Pool, Tx, TxFuture};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    StepKey,
    store::{self, Claim, Locked},
};
use crate::http::{Response, Retention, store::run_settled};

/// The claim of an operation, with the results of earlier attempts.
///
/// An attempt finds the results of earlier ones by the names of the steps, even those of an older release: never rename a step.
pub struct Attempt {
    pub(super) pool: Pool,
    pub(super) operation: &'static str,
    pub(super) claim: Claim,
    pub(super) lease: Duration,
    retention: Retention,
    /// Results of finished steps.
    steps: Mutex<Map<String, Value>>,
    pub(super) lost: AtomicBool,
}

/// Proof that an operation ended with a stored response.
#[derive(Debug)]
pub struct Finished(pub(super) Response);

impl Attempt {
    pub(super) fn new(
        pool: Pool,
        operation: &'static str,
        claim: Claim,
        lease: Duration,
        retention: Retention,
    ) -> Self {
        let steps = Mutex::new(claim.steps.clone());
        Self { pool, operation, claim, lease, retention, steps, lost: AtomicBool::new(false) }
    }

    /// Returns the tenant of the request.
    pub fn tenant(&self) -> &str {
        &self.claim.tenant
    }

    /// Calls another system, or returns the result that an earlier attempt stored.
    ///
    /// `call` gets a key that is the same in every attempt. An attempt can die between the call and the record of its
    /// result; then the call is made again, so the other system must have one effect per key.
    ///
    /// # Errors
    /// Errors of the call; 409 when another attempt has taken over, and then the call is not made.
    pub async fn step<T, F, Fut>(&self, name: &'static str, call: F) -> Result<T, ApiError>
    where
        T: Serialize + DeserializeOwned + Send,
        F: FnOnce(StepKey) -> Fut + Send,
        Fut: Future<Output = Result<T, ApiError>> + Send,
    {
        if let Some(done) = self.recorded(name) {
            return decoded(done);
        }
        self.begin(name).await?;
        fail_point::hit("idempotency.remote.step_begun");
        let key = StepKey::derive(self.operation, &self.claim, name);
        let result = call(key).await?;
        fail_point::hit("idempotency.remote.step_called");
        self.record(name, encoded(&result)?).await?;
        fail_point::hit("idempotency.remote.step_recorded");
        Ok(result)
    }

    /// Runs a transaction on the service's database, or returns the result that an earlier attempt stored. The transaction
    /// contains effect and result.
    ///
    /// `context` has the parameters of `effect`, as for [`pg::run_tx`]. The row of the key is locked meanwhile, so keep it short.
    ///
    /// # Errors
    /// Errors of the effect; 409 when another attempt has taken over, and then nothing is written.
    pub async fn transact<T, C, F>(&self, name: &'static str, context: &C, effect: F) -> Result<T, ApiError>
    where
        T: Serialize + DeserializeOwned + Send,
        C: Sync + ?Sized,
        F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, ApiError> + Sync,
    {
        if let Some(done) = self.recorded(name) {
            return decoded(done);
        }
        let work = (self, name, context, &effect);
        let result = run_settled(&self.pool, name, &work, |tx, (attempt, name, context, effect)| {
            Box::pin(async move {
                if let Some(done) = attempt.locked_steps(tx).await?.remove(*name) {
                    return Ok(done);
                }
                let result = encoded(&effect(tx, context).await?)?;
                fail_point::hit("idempotency.remote.transact_effect");
                let point = format!("{name}:done");
                let held = store::record(tx, &attempt.claim, &point, (*name, &result), attempt.lease).await?;
                attempt.require(held)?;
                fail_point::hit("idempotency.remote.transact_before_commit");
                Ok::<_, ApiError>(result)
            })
        })
        .await?;
        fail_point::hit("idempotency.remote.transact_committed");
        self.cache(name, &result);
        decoded(result)
    }

    /// Ends the operation: one transaction contains the last effect on the service's database and the response.
    ///
    /// # Errors
    /// Errors of the effect; 409 when another attempt has taken over, and then nothing is written.
    pub async fn finish<C, F>(&self, context: &C, effect: F) -> Result<Finished, ApiError>
    where
        C: Sync + ?Sized,
        F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, Response, ApiError> + Sync,
    {
        let work = (self, context, &effect);
        let response =
            run_settled(&self.pool, "idempotency_finish", &work, |tx, (attempt, context, effect)| {
                Box::pin(async move {
                    match store::lock(tx, &attempt.claim).await? {
                        Some(Locked::Unfinished(_)) => {}
                        Some(Locked::Finished(response)) => return Ok(response),
                        None => return Err(attempt.lost()),
                    }
                    let response = effect(tx, context).await?;
                    fail_point::hit("idempotency.remote.finish_effect");
                    let held = store::finish(tx, &attempt.claim, &response, attempt.retention).await?;
                    attempt.require(held)?;
                    fail_point::hit("idempotency.remote.finish_before_commit");
                    Ok::<_, ApiError>(response)
                })
            })
            .await?;
        fail_point::hit("idempotency.remote.finished");
        Ok(Finished(response))
    }

    async fn locked_steps(&self, tx: &Tx<'_>) -> Result<Map<String, Value>, ApiError> {
        match store::lock(tx, &self.claim).await? {
            Some(Locked::Unfinished(steps)) => Ok(steps),
            Some(Locked::Finished(_)) | None => Err(self.lost()),
        }
    }

    async fn begin(&self, name: &str) -> Result<(), ApiError> {
        let work = (self, format!("{name}:begun"));
        let held = run_settled(&self.pool, "idempotency_begin_step", &work, |tx, (attempt, point)| {
            Box::pin(store::reach(tx, &attempt.claim, point, attempt.lease))
        })
        .await?;
        self.require(held)
    }

    async fn record(&self, name: &str, result: Value) -> Result<(), ApiError> {
        let work = (self, name, format!("{name}:done"), &result);
        let held = run_settled(
            &self.pool,
            "idempotency_record_step",
            &work,
            |tx, (attempt, name, point, result)| {
                Box::pin(store::record(tx, &attempt.claim, point, (*name, *result), attempt.lease))
            },
        )
        .await?;
        self.require(held)?;
        self.cache(name, &result);
        Ok(())
    }

    fn require(&self, held: bool) -> Result<(), ApiError> {
        if held { Ok(()) } else { Err(self.lost()) }
    }

    /// Marks the claim as lost and makes its error.
    pub(super) fn lost(&self) -> ApiError {
        self.lost.store(true, Ordering::Relaxed);
        ApiError::new(
            Code::RequestInProgress,
            "Another attempt has taken this request over; repeat it after the time in Retry-After.",
        )
    }

    fn recorded(&self, name: &str) -> Option<Value> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn cache(&self, name: &str, result: &Value) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.insert(name.to_owned(), result.clone());
    }
}

fn encoded<T: Serialize>(result: &T) -> Result<Value, ApiError> {
    serde_json::to_value(result).map_err(ApiError::internal)
}

fn decoded<T: DeserializeOwned>(result: Value) -> Result<T, ApiError> {
    serde_json::from_value(result).map_err(ApiError::internal)
}
