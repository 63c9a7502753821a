//! Spawning: the one way to start a task, so that every one has a name in the log.

use std::future::Future;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// The target of the span around a task. It is kept out of the traces: a task can last as long as the process.
pub(crate) const TARGET: &str = "telemetry::task";

/// Spawns a future on the current runtime; its log lines carry the name, and its spans belong to the current trace.
///
/// A runtime that ends takes its tasks with it. That of an HTTP worker ends when the server stops, so work that must
/// outlive a request's connection *and* the server belongs into a worker of the service.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future.instrument(tracing::info_span!(target: TARGET, "task", task = name)))
}
