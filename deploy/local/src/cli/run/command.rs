//! The command of `muster run`, in a process group of its own, so that all it starts ends with it.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;
use tokio::time::timeout;

use crate::endpoints;
use crate::process::Identity;
use crate::signals::Interrupts;
use crate::state::{PartRecord, State};

/// How long the command may take to end after it was asked to.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The name under which the command is remembered beside the parts.
const NAME: &str = "command";

/// Runs the command to its end, which a request to end this program brings about.
pub(super) async fn run(
    command: &[String],
    endpoints_file: &Path,
    state: &State,
    interrupts: &mut Interrupts,
) -> anyhow::Result<ExitStatus> {
    let (program, args) = command.split_first().context("a command is needed")?;
    let mut child = Command::new(program)
        .args(args)
        .env(endpoints::VARIABLE, endpoints_file)
        // The terminal belongs to another process group, so reading from it would only block.
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("{program} cannot be started"))?;
    let id = child.id().context("the command ended at once")?;
    remember(id, state)?;

    let status = tokio::select! {
        status = child.wait() => status,
        signal = interrupts.next() => {
            signal_group(id, signal)?;
            if let Ok(status) = timeout(TIMEOUT, child.wait()).await {
                status
            } else {
                signal_group(id, Signal::KILL)?;
                child.wait().await
            }
        }
    };
    // What the command left running was its own to end.
    signal_group(id, Signal::KILL)?;
    status.with_context(|| format!("{program} cannot be waited for"))
}

/// Ends the command of an earlier `muster run` that was killed.
pub(super) fn end_leftover(state: &State) -> anyhow::Result<()> {
    match state.record().alive(NAME) {
        Some(identity) => signal_group(identity.pid, Signal::KILL),
        None => Ok(()),
    }
}

fn remember(id: u32, state: &State) -> anyhow::Result<()> {
    let identity = Identity::of(id).context("the command's identity cannot be read")?;
    let record = PartRecord { identity, ready_after: None };
    state.update(|all| drop(all.parts.insert(NAME.to_owned(), record)))
}

/// An empty group, whose processes have all ended, is as it should be.
fn signal_group(leader: u32, signal: Signal) -> anyhow::Result<()> {
    let group = Pid::from_raw(leader.cast_signed()).context("0 is no process")?;
    match kill_process_group(group, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("the command's processes cannot be signalled"),
    }
}
