//! The long-running tasks of a service. A worker that ends before shutdown is a failure of the service.

use std::future::Future;

use anyhow::anyhow;
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::task::{AbortHandle, JoinError};
use tokio_util::sync::CancellationToken;

type End = (&'static str, Result<anyhow::Result<()>, JoinError>);

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

    /// Waits until a worker ends before shutdown, and returns the reason. Never returns without workers.
    pub(crate) async fn first_end(&mut self) -> (&'static str, anyhow::Error) {
        match self.running.next().await {
            Some((name, Ok(Ok(())))) => (name, anyhow!("the worker returned before shutdown")),
            Some((name, end)) => (name, failure(end).unwrap_or_else(|| anyhow!("the worker ended"))),
            None => std::future::pending().await,
        }
    }

    pub(crate) fn cancel(&self) {
        self.stop.cancel();
    }

    /// Waits until all have stopped, and returns whether none failed.
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

    /// Aborts the running workers at their next await, and returns their number.
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
