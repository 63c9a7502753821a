//! The requests to end that this program gets while it works.

use anyhow::Context;
use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// Listens for SIGINT and SIGTERM from its creation on, so that none is missed between two waits.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Interrupts {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| unix::signal(kind).context("signals cannot be listened for");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next request to end.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
        }
    }
}
