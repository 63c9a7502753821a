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
use backon::{BackoffBuilder as _, ExponentialBuilder};
use pg::{Pool, Tx, TxFuture};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    StepKey,
    store::{self, Claim, Locked},
};
use crate::http::{Response, Retention, store::run_settled};

/// Pauses before another attempt: below 1, 2, 4 s and so on, up to 1 min, jitter included.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(500))
    .with_max_delay(Duration::from_secs(30))
    .without_max_times()
    .with_jitter();

/// The claim of an operation, with the results of earlier attempts.
///
/// An attempt finds the results of earlier ones by the names of the steps, even those of an older release: never rename a step.
pub struct Attempt {
    pub(super) pool: Pool,
    operation: &'static str,
    pub(super) claim: Claim,
    pub(super) lease: Duration,
    retention: Retention,
    /// Results of finished steps.
    steps: Mutex<Map<String, Value>>,
    lost: AtomicBool,
}

/// Proof that an operation ended with a stored response.
#[derive(Debug)]
pub struct Finished(Response);

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

    /// Ends the attempt in the table; returns the metric label and the response.
    pub(super) async fn conclude(
        &self,
        result: Result<Finished, ApiError>,
    ) -> (&'static str, Result<Response, ApiError>) {
        let error = match result {
            Ok(Finished(response)) => return ("finished", Ok(response)),
            Err(error) => error,
        };
        if self.lost.load(Ordering::Relaxed) {
            return self.conclude_lost(error);
        }
        if self.forget().await {
            return ("forgotten", Err(error));
        }
        match Response::refusal(error) {
            Err(passing) => {
                let pause = self.pause();
                if !self.release(pause, &passing).await {
                    return self.conclude_lost(self.lost());
                }
                (
                    "failed",
                    Err(if passing.code().retryable() { passing.with_retry_after(pause) } else { passing }),
                )
            }
            Ok(refusal) => {
                let finished =
                    self.finish(&refusal, |_, refusal| Box::pin(async move { Ok(refusal.clone()) })).await;
                ("refused", finished.map(|Finished(response)| response))
            }
        }
    }

    fn conclude_lost(&self, error: ApiError) -> (&'static str, Result<Response, ApiError>) {
        tracing::warn!(operation = self.operation, fence = self.claim.fence, "attempt lost its claim");
        ("lost", Err(error))
    }

    /// Deletes the record if no step was begun. After a failure of the database a takeover continues.
    async fn forget(&self) -> bool {
        let forgotten = run_settled(&self.pool, "idempotency_forget", self, |tx, attempt| {
            Box::pin(store::forget(tx, &attempt.claim))
        });
        forgotten.await.unwrap_or(false)
    }

    /// Lets the next attempt start after a pause; `false` when another one has started. After a failure of the database the
    /// next one starts at the end of the lease.
    async fn release(&self, pause: Duration, error: &ApiError) -> bool {
        tracing::warn!(
            operation = self.operation,
            attempt = self.claim.attempts,
            pause_ms = pause.as_millis(),
            error = error as &dyn std::error::Error,
            "attempt failed, the operation continues later"
        );
        let work = (self, pause);
        let released = pg::run_tx(&self.pool, "idempotency_hand_back", &work, |tx, (attempt, pause)| {
            Box::pin(store::lease(tx, &attempt.claim, *pause))
        });
        released.await.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an operation waits for the end of its lease"
            );
            true
        })
    }

    /// The backoff continues over processes: the table counts the attempts.
    fn pause(&self) -> Duration {
        let earlier = self.claim.attempts.clamp(1, 10).unsigned_abs() - 1;
        BACKOFF.build().nth(earlier as usize).unwrap_or_default()
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

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt")
            .field("operation", &self.operation)
            .field("fence", &self.claim.fence)
            .finish_non_exhaustive()
    }
}
