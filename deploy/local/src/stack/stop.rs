//! Stops recorded processes, and no others, in reverse order of their dependencies.

use anyhow::{Context, bail};
use futures::future::join_all;
use rustix::process::Signal;

use crate::{console::print, parts::Part, process::Identity, state::State};

/// Stops the running parts among `parts`: each as soon as no part that needs it runs.
pub(crate) async fn stop(parts: &[Part], state: &State) -> anyhow::Result<()> {
    let record = state.record();
    let mut left: Vec<&Part> = parts.iter().filter(|part| record.alive(part.name).is_some()).collect();
    while !left.is_empty() {
        let needed_by_another = |part: &&Part| left.iter().any(|other| other.needs.contains(&part.name));
        let (needed, free): (Vec<_>, Vec<_>) = left.iter().copied().partition(needed_by_another);
        for outcome in join_all(free.into_iter().map(|part| stop_part(part, state))).await {
            outcome?;
        }
        left = needed;
    }
    state.update(|record| record.parts.retain(|_, part| part.identity.is_alive()))
}

pub(super) async fn stop_part(part: &Part, state: &State) -> anyhow::Result<()> {
    let name = part.name;
    if let Some(process) = state.record().alive(name).and_then(Identity::open) {
        process
            .stop(part.stop_signal, part.stop_within)
            .await
            .with_context(|| format!("{name} could not be stopped"))?;
        print(format_args!("{name:<15} stopped"));
    }
    Ok(())
}

/// Kills one part with SIGKILL, as a crash would.
pub(crate) async fn kill(name: &str, state: &State) -> anyhow::Result<()> {
    let record = state.record();
    let Some(process) = record.alive(name).and_then(Identity::open) else {
        bail!("{name} does not run; `muster status` shows what does");
    };
    process.signal(Signal::KILL).with_context(|| format!("{name} cannot be killed"))?;
    process.ended().await.with_context(|| format!("{name} cannot be watched"))
}
