//! Named tasks.

use std::future::Future;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// The target of the span around a task. Traces omit it: a task can last as long as the process.
pub(crate) const TARGET: &str = "telemetry::task";

/// Spawns a future on the current runtime. Its log lines have the name, and its spans belong to the current trace.
///
/// A task ends with its runtime. The runtime of an HTTP worker ends with the server, so longer work belongs in a worker of the service.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future.instrument(tracing::info_span!(target: TARGET, "task", task = name)))
}
