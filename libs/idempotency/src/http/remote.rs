//! Remote operations: requests that call another system, which cannot be rolled back.
//!
//! A transaction claims the key with a lease and a fencing token. The operation then runs in its own task, step by step. The
//! result of each step is stored, so a takeover continues after the last one. No transaction is open during a call. An owner
//! that lost its claim, because it died, froze or was cut off, has a stale fencing token and can write nothing.

mod attempt;
mod claim;
mod conclusion;
mod config;
mod step_key;
mod store;
mod takeover;

use std::{future::Future, sync::Arc};

use actix_web::HttpResponse;
use api_error::{ApiError, Code};
use pg::Pool;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

pub use attempt::{Attempt, Finished};
pub use config::{Config, Limits};
pub use step_key::StepKey;

use super::{Request, Response, Retention, response::Outcome};
use crate::metrics;
use claim::Claimed;
use store::Claim;

/// An operation that calls other systems.
pub trait Operation: Send + Sync + 'static {
    /// The validated input. It is stored until the operation is finished, for a takeover. A release must be able to read the
    /// input of the previous one.
    type Input: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The name in the table, in metrics and in the keys of the steps. It never changes.
    const NAME: &'static str;

    /// Runs the operation or the rest of it. Every attempt runs the code outside of [`Attempt::step`], [`Attempt::transact`]
    /// and [`Attempt::finish`] again, so that code must have no effect.
    ///
    /// # Errors
    /// A final refusal (4xx, not retryable) is stored as the response; before the first step it leaves no record instead.
    /// After any other error the operation continues later, with the same steps, until it ends.
    fn run(
        &self,
        attempt: &Attempt,
        input: &Self::Input,
    ) -> impl Future<Output = Result<Finished, ApiError>> + Send;
}

/// Runs the operations of one kind. Clones share it.
pub struct Remote<O>(Arc<Shared<O>>);

struct Shared<O> {
    pool: Pool,
    operation: O,
    limits: Limits,
    retention: Retention,
    running: Arc<Semaphore>,
    tasks: TaskTracker,
    /// The runtime of the service: that of an HTTP worker ends before its requests do.
    handle: Handle,
}

impl<O> Clone for Remote<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: Operation> Remote<O> {
    /// Makes a runner; run [`complete_orphans`](Self::complete_orphans) beside it. Operations belong to the runtime that calls
    /// this function.
    pub fn new(pool: Pool, operation: O, limits: Limits, retention: Retention) -> Self {
        let running = Arc::new(Semaphore::new(limits.max_running));
        let (tasks, handle) = (TaskTracker::new(), Handle::current());
        Self(Arc::new(Shared { pool, operation, limits, retention, running, tasks, handle }))
    }

    /// Runs the operation once for this request and waits for its response. The operation continues after the client has
    /// disconnected or the deadline of the request has passed.
    ///
    /// # Errors
    /// Errors of the operation; 409 while the key is in progress; 422 when it was used for another request; 503 when the key is
    /// new and the concurrency limit is reached.
    pub async fn run(&self, request: &Request, input: O::Input) -> Result<HttpResponse, ApiError> {
        let permit = Arc::clone(&self.0.running).try_acquire_owned().ok();
        let outcome = match self.claim(request, &input, permit.is_some()).await? {
            Claimed::Owned(claim) => Outcome::Done(self.finished(claim, permit).await?),
            Claimed::Known(outcome) => outcome,
            Claimed::Shed => {
                let labels = [request.fingerprint.route.as_str(), "shed"];
                metrics::REQUESTS.with_label_values(&labels).inc();
                return Err(ApiError::new(
                    Code::Unavailable,
                    "as many operations run as IDEMPOTENCY_MAX_RUNNING allows",
                ));
            }
        };
        let response = outcome.respond(request);
        fail_point::hit("idempotency.remote.answered");
        response
    }

    async fn finished(
        &self,
        claim: Claim,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Response, ApiError> {
        match self.spawn(claim, permit).await {
            Ok(result) => result,
            // It panicked, or the process stops; a takeover continues after its lease.
            Err(error) => Err(ApiError::unavailable("the operation's task").with_source(error)),
        }
    }

    /// Runs a claim in its own task, which holds its permit until it ends.
    fn spawn(
        &self,
        claim: Claim,
        permit: Option<OwnedSemaphorePermit>,
    ) -> JoinHandle<Result<Response, ApiError>> {
        let remote = self.clone();
        let work = async move {
            let result = remote.attempt(claim).await;
            drop(permit);
            result
        };
        self.0.tasks.spawn_on(work.in_current_span(), &self.0.handle)
    }

    async fn attempt(&self, claim: Claim) -> Result<Response, ApiError> {
        let Shared { pool, operation, limits, retention, .. } = &*self.0;
        let input = serde_json::from_value(claim.input.clone());
        let attempt = Attempt::new(pool.clone(), O::NAME, claim, limits.lease, *retention);
        let result = match input {
            Ok(input) => {
                tokio::select! {
                    biased;
                    // First, so that an owner that was frozen notices it before any other work.
                    () = takeover::renew_until_lost(&attempt) => Err(attempt.lost()),
                    result = operation.run(&attempt, &input) => result,
                    () = tokio::time::sleep(limits.max_attempt) => Err(too_long()),
                }
            }
            Err(error) => Err(ApiError::internal(error)),
        };
        let (outcome, result) = attempt.conclude(result).await;
        metrics::ATTEMPTS.with_label_values(&[O::NAME, outcome]).inc();
        result
    }
}

fn too_long() -> ApiError {
    ApiError::new(Code::DeadlineExceeded, "the attempt took longer than IDEMPOTENCY_MAX_ATTEMPT_MS")
}
