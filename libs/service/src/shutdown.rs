//! Graceful shutdown: readiness off, drain requests, stop workers, release resources. Each step is logged, and all together have a timeout.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, timeout_at},
};

use crate::Runtime;

/// The timeout for sending the last spans.
pub(crate) const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The time to send a response whose handler used its whole deadline.
const RESPONSE_MARGIN: Duration = Duration::from_secs(1);

/// Why a service stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Signal,
    Failure,
}

/// How a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// After a signal, with everything finished.
    Clean,
    /// Something failed or was cut off.
    Failed,
    /// After a second signal, without waiting.
    AtOnce,
}

/// Stops a service. A second signal ends it at once.
pub(crate) async fn stop(runtime: Runtime, cause: Cause, signals: &mut Signals) -> Ending {
    tokio::select! {
        drained = drain(runtime) => {
            tracing::info!(complete = drained, "stopped");
            if drained && cause == Cause::Signal { Ending::Clean } else { Ending::Failed }
        }
        signal = signals.next() => {
            tracing::warn!(signal, "second signal; ending at once");
            Ending::AtOnce
        }
    }
}

/// Returns whether everything was finished and nothing cut off.
async fn drain(mut runtime: Runtime) -> bool {
    runtime.readiness.set_draining();
    let delay = Duration::from_millis(runtime.config.shutdown_delay_ms);
    tracing::info!(delay_ms = delay.as_millis(), "draining: readiness is off");
    tokio::time::sleep(delay).await;

    let deadline = Instant::now() + runtime.config.drain_timeout();
    let requests = finish_requests(&mut runtime).await;
    let workers = finish_workers(&mut runtime, deadline).await;
    let resources = release_resources(&mut runtime, deadline).await;
    requests && workers && resources
}

async fn finish_requests(runtime: &mut Runtime) -> bool {
    let Some(api) = runtime.api.take() else { return true };
    // No handler outlasts its deadline, so a longer wait would only reduce the time of the workers.
    let limit = (runtime.config.http.request_timeout() + RESPONSE_MARGIN).min(runtime.config.drain_timeout());
    let finished = api.stop(limit).await;
    if finished {
        tracing::info!("requests finished, API closed");
    } else {
        tracing::warn!(limit_ms = limit.as_millis(), "requests were cut off");
    }
    finished
}

async fn finish_workers(runtime: &mut Runtime, deadline: Instant) -> bool {
    runtime.workers.cancel();
    if let Ok(clean) = timeout_at(deadline, runtime.workers.finished()).await {
        tracing::info!("workers finished");
        return clean;
    }
    let cut_off = runtime.workers.abort();
    tracing::warn!(cut_off, "workers did not finish in time and were cut off");
    false
}

/// Releases the last registered resource first: it can depend on earlier ones.
async fn release_resources(runtime: &mut Runtime, deadline: Instant) -> bool {
    let mut complete = true;
    while let Some((resource, action)) = runtime.on_stop.pop() {
        if timeout_at(deadline, action).await.is_ok() {
            tracing::info!(resource, "released");
        } else {
            tracing::warn!(resource, "not released in time");
            complete = false;
        }
    }
    complete
}

#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Replaces the default action of both, which ends the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal and returns its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
