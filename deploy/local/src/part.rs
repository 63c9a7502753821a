//! What all parts of a stack have in common.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rustix::process::Signal;

use crate::process::Launch;

/// One step in the life of a part.
pub(crate) type Step<'a> = BoxFuture<'a, anyhow::Result<()>>;

/// A part that can be shared between tasks.
pub(crate) type AnyPart = Arc<dyn Part>;

/// A process of the stack: how it starts, when it counts as ready, how it ends.
pub(crate) trait Part: Send + Sync {
    /// The name it has in logs, records and commands.
    fn name(&self) -> &'static str;

    /// The parts that have to be ready before this one starts, and that end after it.
    fn needs(&self) -> &'static [&'static str] {
        &[]
    }

    /// The ports it is going to listen on, and for whom.
    fn listens(&self) -> Vec<(&'static str, u16)>;

    /// Where a person finds it.
    fn address(&self) -> String;

    /// Makes what has to be there before it starts. May run any number of times.
    fn prepare(&self) -> Step<'_> {
        Box::pin(async { Ok(()) })
    }

    /// The command that becomes the process.
    fn launch(&self) -> anyhow::Result<Launch>;

    /// Asks it once, in its own protocol, whether it is ready.
    fn probe(&self) -> Step<'_>;

    /// Makes what others expect to find in it. May run any number of times.
    fn provision(&self) -> Step<'_> {
        Box::pin(async { Ok(()) })
    }

    /// How long it may take to become ready.
    fn deadline(&self) -> Duration {
        Duration::from_mins(1)
    }

    /// The signal that asks it to end.
    fn stop_signal(&self) -> Signal {
        Signal::TERM
    }

    /// How long it may take to end before it is killed.
    fn stop_timeout(&self) -> Duration {
        Duration::from_secs(20)
    }

    /// The memory it holds, in MiB.
    fn memory_mib(&self, pid: u32) -> Option<u64> {
        crate::process::resident_mib(pid)
    }
}
