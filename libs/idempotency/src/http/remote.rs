//! Requests whose effect reaches outside the database: another service is called, and a call cannot be rolled back.
//!
//! The key is claimed in a transaction of its own, with a lease and a fence. The operation then runs in a task that no
//! connection owns, step by step; the result of each step is stored, so that whoever takes the work over goes on after
//! the last one. No transaction is open while another system is called. Whoever lost its claim, be it dead, frozen or cut
//! off, finds its fence stale and can write nothing more.

mod attempt;
mod claim;
mod completer;
mod config;
mod lease;
mod step_key;
mod store;

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
pub use config::{AttemptTooShort, Config, Limits};
pub use step_key::StepKey;

use super::{Request, Response, Retention, answer::Outcome};
use crate::metrics;
use claim::Claimed;
use store::Claim;

/// Something that a request sets off and that reaches outside the database.
pub trait Operation: Send + Sync + 'static {
    /// What a request asks for, checked. It is stored until the operation is finished, because whoever takes it over has
    /// no request. What an older release stored must still be readable.
    type Input: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The operation's name in the table, in metrics and in the keys of its steps. It never changes.
    const NAME: &'static str;

    /// Does it, or what is left of it: everything outside of [`Attempt::step`], [`Attempt::transact`] and
    /// [`Attempt::finish`] is done again by every attempt and must not have an effect.
    ///
    /// # Errors
    /// A lasting refusal (4xx, not retryable) is the answer of this request from now on; before the first step it leaves
    /// no record instead. After any other error the operation is continued later, with the same steps, until it ends.
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
    /// The runtime of the service: that of an HTTP worker ends before requests in hand have.
    handle: Handle,
}

impl<O> Clone for Remote<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O> std::fmt::Debug for Remote<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl<O: Operation> Remote<O> {
    /// Makes a runner; [`complete_orphans`](Self::complete_orphans) must run beside it.
    ///
    /// Called inside the runtime in which the operations are to live.
    pub fn new(pool: Pool, operation: O, limits: Limits, retention: Retention) -> Self {
        let running = Arc::new(Semaphore::new(limits.max_running));
        let (tasks, handle) = (TaskTracker::new(), Handle::current());
        Self(Arc::new(Shared { pool, operation, limits, retention, running, tasks, handle }))
    }

    /// Runs the operation once for this request, and waits for its response. The operation goes on when the client,
    /// or the deadline of the request, does not.
    ///
    /// # Errors
    /// The operation's own; 409 while the same key is worked on; 422 when it was used for another request; 503 when this
    /// process works on as many operations as it may, and the key is new.
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
        let answer = outcome.answer(request);
        fail_point::hit("idempotency.remote.answered");
        answer
    }

    async fn finished(
        &self,
        claim: Claim,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Response, ApiError> {
        match self.spawn(claim, permit).await {
            Ok(result) => result,
            // It panicked, or the process ends; whoever takes it over when its lease is over goes on.
            Err(error) => Err(ApiError::unavailable("the operation's task").with_source(error)),
        }
    }

    /// Works on a claim in a task of its own, which holds its place until it ends.
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
                    // First, so that an owner that was frozen notices before it does anything else.
                    () = lease::keep(&attempt) => Err(attempt.lost()),
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
