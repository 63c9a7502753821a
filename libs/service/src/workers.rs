//! The long-running tasks of a service: none of them may end unless told to.

use std::future::Future;

use anyhow::anyhow;
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::task::{AbortHandle, JoinError};
use tokio_util::sync::CancellationToken;

type End = (&'static str, Result<anyhow::Result<()>, JoinError>);

/// The workers of one service.
#[derive(Default)]
pub(crate) struct Workers {
    stop: CancellationToken,
    running: FuturesUnordered<BoxFuture<'static, End>>,
    abort: Vec<AbortHandle>,
}

impl Workers {
    pub(crate) fn spawn<F, Fut>(&mut self, name: &'static str, worker: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let task = telemetry::task::spawn(name, worker(self.stop.clone()));
        self.abort.push(task.abort_handle());
        self.running.push(Box::pin(async move { (name, task.await) }));
    }

    /// Waits until one ends by itself, and says how; waits forever when there is none.
    pub(crate) async fn first_end(&mut self) -> (&'static str, anyhow::Error) {
        match self.running.next().await {
            Some((name, Ok(Ok(())))) => (name, anyhow!("it returned although nobody told it to stop")),
            Some((name, end)) => (name, failure(end).unwrap_or_else(|| anyhow!("it ended"))),
            None => std::future::pending().await,
        }
    }

    /// Tells all of them to stop.
    pub(crate) fn cancel(&self) {
        self.stop.cancel();
    }

    /// Waits until all have stopped; logs those that fail meanwhile, and returns whether none did.
    pub(crate) async fn finished(&mut self) -> bool {
        let mut clean = true;
        while let Some((worker, end)) = self.running.next().await {
            match failure(end) {
                None => tracing::info!(worker, "worker stopped"),
                Some(error) => {
                    clean = false;
                    tracing::error!(worker, error = format!("{error:#}"), "worker failed while stopping");
                }
            }
        }
        clean
    }

    /// Ends those that are still running, at their next await, and returns how many those are.
    pub(crate) fn abort(&self) -> usize {
        self.abort.iter().for_each(AbortHandle::abort);
        self.running.len()
    }
}

fn failure(end: Result<anyhow::Result<()>, JoinError>) -> Option<anyhow::Error> {
    match end {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(error) => Some(anyhow::Error::new(error)),
    }
}
