//! Starts the missing parts, in parallel as far as their dependencies allow.
//!
//! Invariant: a ready part stays. A part that fails or hangs prevents only the start of the parts that need it.

use std::{collections::HashSet, fmt::Display, fs, path::Path, time::Duration};

use anyhow::{Context, anyhow, bail};
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{Stack, stop, stop_part};
use crate::{
    config::StackConfig,
    console::{print, seconds},
    parts::Part,
    ports::require_free,
    process::{Identity, Launch, RunState},
    readiness::until_ok,
    signals::Interrupts,
    state::{PartRecord, State},
};

/// Lines of the log in the error of a part that failed.
const LOG_TAIL: usize = 15;

/// Limit for the time until the ports of a stopped part are free: its children may still listen.
const PORTS_FREE_WITHIN: Duration = Duration::from_secs(10);

/// How often the supervisor reads the process state of a part that does not answer.
const STATE_POLL: Duration = Duration::from_secs(1);

/// Consecutive readings of the state `T` after which the supervisor gives up. One reading may be a short stop by a debugger.
const STOPPED_READINGS: u32 = 3;

/// Starts every part. If some fail, the ready parts keep running, and the error names each part that is not ready.
pub(crate) async fn start(stack: &Stack, state: &State, interrupts: &mut Interrupts) -> anyhow::Result<()> {
    let record = state.record();
    let mut missing: Vec<Part> =
        stack.parts.iter().filter(|part| record.alive(part.name).is_none()).copied().collect();
    for part in &missing {
        (part.launch)(&stack.config).with_context(|| format!("{} cannot be started", part.name))?;
        for (purpose, port) in part.ports(stack.config.ports) {
            require_free(part.name, purpose, port)?;
        }
    }
    let begun = Instant::now();
    // An interrupt drops the starts in progress: none may continue while the rest stops.
    let outcome = tokio::select! {
        outcome = start_in_order(stack, state) => outcome,
        _ = interrupts.next() => Err(anyhow!("interrupted")),
    };
    if let Err(error) = outcome {
        let record = state.record();
        missing.retain(|part| !record.is_ready(part.name));
        stop(&missing, state).await?;
        return Err(error);
    }
    if missing.len() == stack.parts.len() {
        state.update(|record| record.ready_after = Some(begun.elapsed()))?;
    }
    Ok(())
}

/// Stops one part, in any process state, and starts it again; returns when it is ready. Other parts are not affected.
pub(crate) async fn restart(stack: &Stack, name: &str, state: &State) -> anyhow::Result<()> {
    restart_after(stack, name, state, async || Ok(())).await
}

/// As [`restart`], with an action while the part is stopped. The part starts also if the action fails.
pub(crate) async fn restart_after(
    stack: &Stack,
    name: &str,
    state: &State,
    action: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let part = require_needs(stack, name, state)?;
    command(part, &stack.config, state).with_context(|| format!("{name} cannot be started"))?;
    stop_part(part, state).await?;
    until_ok(PORTS_FREE_WITHIN, async || {
        part.ports(stack.config.ports).try_for_each(|(purpose, port)| require_free(name, purpose, port))
    })
    .await?;
    let outcome = action().await;
    launch(part, &stack.config, state).await.with_context(|| format!("{name} did not start"))?;
    outcome
}

/// The part with this name; an error if there is none, or if a part that it needs does not run.
pub(crate) fn require_needs<'a>(stack: &'a Stack, name: &str, state: &State) -> anyhow::Result<&'a Part> {
    let Some(part) = stack.parts.iter().find(|part| part.name == name) else {
        let names: Vec<_> = stack.parts.iter().map(|part| part.name).collect();
        bail!("there is no part {name}; there are {}", names.join(", "));
    };
    let record = state.record();
    if let Some(need) = part.needs.iter().find(|need| record.alive(need).is_none()) {
        bail!("{name} needs {need}, which does not run: `muster up` starts what is missing");
    }
    Ok(part)
}

/// The command of a part, with its current release.
fn command(part: &Part, config: &StackConfig, state: &State) -> anyhow::Result<Launch> {
    let launch = (part.launch)(config)?;
    Ok(match state.record().release(part.name) {
        Some(release) => release.apply(launch),
        None => launch,
    })
}

/// Starts each part as soon as the parts that it needs are ready. Probes a running part at once, without waiting for others.
async fn start_in_order(stack: &Stack, state: &State) -> anyhow::Result<()> {
    let record = state.record();
    let mut waiting: Vec<&Part> = stack.parts.iter().collect();
    let mut starting = FuturesUnordered::new();
    let mut ready: HashSet<&str> = HashSet::new();
    let mut failures: Vec<String> = Vec::new();
    loop {
        let startable = waiting.extract_if(.., |part| {
            record.alive(part.name).is_some() || part.needs.iter().all(|need| ready.contains(need))
        });
        starting.extend(startable.map(|part| bring_up(part, &stack.config, state)));
        match starting.next().await {
            Some((name, Ok(()))) => drop(ready.insert(name)),
            Some((name, Err(error))) => failures.push(format!("{name}: {error:#}")),
            None => break,
        }
    }
    failures.extend(waiting.iter().map(|part| {
        let missing: Vec<_> = part.needs.iter().filter(|need| !ready.contains(*need)).copied().collect();
        format!("{}: not started, because it needs {}", part.name, missing.join(", "))
    }));
    if failures.is_empty() {
        return Ok(());
    }
    bail!("not ready:\n  {}\nEvery other part is ready and keeps running.", failures.join("\n  "))
}

/// Starts one part, or adopts its running process; returns its name when it is ready or has failed.
async fn bring_up(part: &Part, config: &StackConfig, state: &State) -> (&'static str, anyhow::Result<()>) {
    let outcome = match state.record().alive(part.name) {
        Some(identity) => adopt(part, config, identity, state).await,
        None => launch(part, config, state).await.context("it did not start"),
    };
    (part.name, outcome)
}

async fn adopt(part: &Part, config: &StackConfig, identity: &Identity, state: &State) -> anyhow::Result<()> {
    let begun = Instant::now();
    let ready = tokio::select! {
        ready = until_ok(part.ready_within, || part.probe(config)) => ready,
        () = stopped_by_a_signal(identity.pid) => Err(anyhow!("it does not answer")),
    };
    ready.map_err(|error| hung(part, identity.pid, &error))?;
    (part.provision)(config).await?;
    if !state.record().is_ready(part.name) {
        let ready_after = Some(begun.elapsed());
        state.record_part(part.name, PartRecord { identity: identity.clone(), ready_after })?;
    }
    print_ready(part, config, "already running", identity.pid);
    Ok(())
}

/// Returns when a signal has stopped the process: it will not answer.
async fn stopped_by_a_signal(pid: u32) {
    let mut n_readings = 0;
    while n_readings < STOPPED_READINGS {
        tokio::time::sleep(STATE_POLL).await;
        n_readings = if RunState::of(pid).is_some_and(RunState::is_stopped) { n_readings + 1 } else { 0 };
    }
}

/// The error for a process that runs and is not ready.
fn hung(part: &Part, pid: u32, error: &anyhow::Error) -> anyhow::Error {
    let Some(state) = RunState::of(pid) else {
        return anyhow!("pid {pid} ended meanwhile: `muster up` starts it again");
    };
    let remedy = state.remedy(part.name, pid);
    anyhow!("pid {pid} runs and is not ready ({state}); {error:#}\n    {remedy}")
}

async fn launch(part: &Part, config: &StackConfig, state: &State) -> anyhow::Result<()> {
    let begun = Instant::now();
    (part.prepare)(config).await?;
    let (mut child, identity) = command(part, config, state)?.start(&config.log(part.name))?;
    state.record_part(part.name, PartRecord { identity: identity.clone(), ready_after: None })?;
    let ready = tokio::select! {
        ready = until_ok(part.ready_within, || part.probe(config)) => ready,
        end = child.wait() => {
            Err(anyhow!("it ended ({}) before it was ready", end.context("it cannot be watched")?))
        }
    };
    ready.map_err(|error| anyhow!("{error:#}{}", log_tail(&config.log(part.name))))?;
    (part.provision)(config).await?;
    let ready_after = begun.elapsed();
    print_ready(part, config, format_args!("ready after {}", seconds(ready_after)), identity.pid);
    state.record_part(part.name, PartRecord { identity, ready_after: Some(ready_after) })
}

fn print_ready(part: &Part, config: &StackConfig, how: impl Display, pid: u32) {
    print(format_args!("{:<15} {}  {how} (pid {pid})", part.name, (part.address)(config.ports)));
}

fn log_tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(LOG_TAIL)..).unwrap_or_default();
    format!("\nThe end of its log, {}:\n  | {}", log.display(), tail.join("\n  | "))
}

#[cfg(test)]
mod tests;
