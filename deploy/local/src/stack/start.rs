//! Starts what does not run yet, as much at a time as the parts' needs allow.
//!
//! Invariant: what is ready stays. A part that fails or hangs keeps none from starting but those that need it, and never ends
//! one that works.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::process::Child;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::stop::{stop, stop_part};
use super::{Stack, StackConfig};
use crate::console::{print, seconds};
use crate::part::AnyPart;
use crate::ports::require_free;
use crate::process::{Identity, RunState};
use crate::readiness::until_ok;
use crate::signals::Interrupts;
use crate::state::{PartRecord, State};

/// How many lines of its log explain why a part failed.
const LOG_TAIL: usize = 15;

/// How long the ports of a part that was just stopped may stay taken: by children that have not noticed yet.
const PORTS_FREE_WITHIN: Duration = Duration::from_secs(10);

/// How often a part that does not answer is looked at, in case a signal stopped it.
const STATE_POLL: Duration = Duration::from_secs(1);

/// For how many looks in a row it has to be found stopped, so that a moment in a debugger is none.
const STOPPED_LOOKS: u32 = 3;

/// The starts that are under way; each ends with the part and how it went.
type Starting = JoinSet<(&'static str, anyhow::Result<()>)>;

/// Brings every part up. When some fail, everything that is ready goes on, and the error names each that is not.
pub(crate) async fn start(
    stack: &Stack,
    state: &Arc<State>,
    interrupts: &mut Interrupts,
) -> anyhow::Result<()> {
    let record = state.record();
    let missing: Vec<AnyPart> =
        stack.parts.iter().filter(|part| record.alive(part.name()).is_none()).cloned().collect();
    for part in &missing {
        part.launch().with_context(|| format!("{} cannot be started", part.name()))?;
        for (purpose, port) in part.listens() {
            require_free(part.name(), purpose, port)?;
        }
    }
    let begun = Instant::now();
    let mut starting = Starting::new();
    let outcome = tokio::select! {
        outcome = start_in_order(stack, state, &mut starting) => outcome,
        _ = interrupts.next() => Err(anyhow!("interrupted")),
    };
    if let Err(error) = outcome {
        // Nothing may still be about to start when the rest is being stopped.
        starting.shutdown().await;
        stop(&never_ready(&missing, state), state).await?;
        return Err(error);
    }
    if missing.len() == stack.parts.len() {
        state.update(|record| record.ready_after = Some(begun.elapsed()))?;
    }
    Ok(())
}

/// Ends one part, whatever state its process is in, and starts it again; returns when it is ready. No other part is touched.
pub(crate) async fn restart(stack: &Stack, name: &str, state: &State) -> anyhow::Result<()> {
    let Some(part) = stack.parts.iter().find(|part| part.name() == name) else {
        let names: Vec<_> = stack.parts.iter().map(|part| part.name()).collect();
        bail!("there is no part {name}; there are {}", names.join(", "));
    };
    let record = state.record();
    if let Some(need) = part.needs().iter().find(|need| record.alive(need).is_none()) {
        bail!("{name} needs {need}, which does not run: `muster up` starts what is missing");
    }
    part.launch().with_context(|| format!("{name} cannot be started"))?;
    stop_part(part, state).await?;
    until_ok(PORTS_FREE_WITHIN, async || {
        part.listens().into_iter().try_for_each(|(purpose, port)| require_free(name, purpose, port))
    })
    .await?;
    launch(part, &stack.config, state).await.with_context(|| format!("{name} did not start"))
}

/// Those that this call started and that were not ready yet when it failed.
fn never_ready(missing: &[AnyPart], state: &State) -> Vec<AnyPart> {
    let record = state.record();
    let is_ready =
        |part: &&AnyPart| record.parts.get(part.name()).is_some_and(|part| part.ready_after.is_some());
    missing.iter().filter(|part| !is_ready(part)).cloned().collect()
}

/// Starts each part once those that it needs are ready. A running one is asked at once whether it is: it does not wait for others.
async fn start_in_order(stack: &Stack, state: &Arc<State>, starting: &mut Starting) -> anyhow::Result<()> {
    let record = state.record();
    let mut waiting = stack.parts.clone();
    let mut ready: HashSet<&str> = HashSet::new();
    let mut failures: Vec<String> = Vec::new();
    loop {
        let (startable, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|part| {
            record.alive(part.name()).is_some() || part.needs().iter().all(|need| ready.contains(need))
        });
        waiting = rest;
        for part in startable {
            starting.spawn(bring_up(part, Arc::clone(&stack.config), Arc::clone(state)));
        }
        let Some(outcome) = starting.join_next().await else { break };
        match outcome.context("a start panicked")? {
            (name, Ok(())) => drop(ready.insert(name)),
            (name, Err(error)) => failures.push(format!("{name}: {error:#}")),
        }
    }
    failures.extend(waiting.iter().map(|part| {
        let missing: Vec<_> = part.needs().iter().filter(|need| !ready.contains(*need)).copied().collect();
        format!("{}: not started, because it needs {}", part.name(), missing.join(", "))
    }));
    if failures.is_empty() {
        return Ok(());
    }
    bail!("not ready are\n  {}\nEverything else is ready and goes on.", failures.join("\n  "))
}

/// Starts one part, or finds it running; ends when it is ready.
async fn bring_up(
    part: AnyPart,
    config: Arc<StackConfig>,
    state: Arc<State>,
) -> (&'static str, anyhow::Result<()>) {
    let outcome = match state.record().alive(part.name()) {
        Some(identity) => adopt(&part, identity, &state).await,
        None => launch(&part, &config, &state).await.context("it did not start"),
    };
    (part.name(), outcome)
}

async fn adopt(part: &AnyPart, identity: &Identity, state: &State) -> anyhow::Result<()> {
    let begun = Instant::now();
    let ready = tokio::select! {
        ready = until_ok(part.deadline(), || part.probe()) => ready,
        () = found_stopped(identity.pid) => Err(anyhow!("it does not answer")),
    };
    ready.map_err(|error| hung(part, identity.pid, &error))?;
    part.provision().await?;
    let was_ready = state.record().parts.get(part.name()).and_then(|record| record.ready_after);
    if was_ready.is_none() {
        note(part, identity.clone(), Some(begun.elapsed()), state)?;
    }
    print(format_args!("{:<15} {}  already running (pid {})", part.name(), part.address(), identity.pid));
    Ok(())
}

/// Ends when a signal has stopped the process: waiting longer for an answer would be in vain.
async fn found_stopped(pid: u32) {
    let mut n_looks = 0;
    while n_looks < STOPPED_LOOKS {
        tokio::time::sleep(STATE_POLL).await;
        n_looks = if RunState::of(pid).is_some_and(RunState::is_stopped) { n_looks + 1 } else { 0 };
    }
}

/// What is said of a process that is there and not ready.
fn hung(part: &AnyPart, pid: u32, error: &anyhow::Error) -> anyhow::Error {
    match RunState::of(pid) {
        Some(state) => {
            anyhow!(
                "pid {pid} runs and is not ready ({state}); {error:#}\n    {}",
                state.remedy(part.name(), pid)
            )
        }
        None => anyhow!("pid {pid} ended meanwhile: `muster up` starts it again"),
    }
}

async fn launch(part: &AnyPart, config: &StackConfig, state: &State) -> anyhow::Result<()> {
    let begun = Instant::now();
    part.prepare().await?;
    let (mut child, identity) = part.launch()?.start(&config.log(part.name()))?;
    note(part, identity.clone(), None, state)?;
    let ready = tokio::select! {
        ready = until_ok(part.deadline(), || part.probe()) => ready,
        error = unexpected_end(&mut child) => Err(error),
    };
    ready.map_err(|error| anyhow!("{error:#}{}", log_tail(&config.log(part.name()))))?;
    part.provision().await?;
    let ready_after = begun.elapsed();
    print(format_args!(
        "{:<15} {}  ready after {} (pid {})",
        part.name(),
        part.address(),
        seconds(ready_after),
        identity.pid
    ));
    note(part, identity, Some(ready_after), state)
}

async fn unexpected_end(child: &mut Child) -> anyhow::Error {
    match child.wait().await {
        Ok(status) => anyhow!("it ended ({status}) before it was ready"),
        Err(error) => anyhow!(error).context("it cannot be watched"),
    }
}

fn note(
    part: &AnyPart,
    identity: Identity,
    ready_after: Option<Duration>,
    state: &State,
) -> anyhow::Result<()> {
    let record = PartRecord { identity, ready_after };
    state.update(|all| drop(all.parts.insert(part.name().to_owned(), record)))
}

/// The end of a log, as the continuation of an error message.
fn log_tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(LOG_TAIL)..).unwrap_or_default();
    format!("\nThe end of its log, {}:\n  | {}", log.display(), tail.join("\n  | "))
}

#[cfg(test)]
mod tests;
