//! Starts what does not run yet, as much at a time as the parts' needs allow.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::process::Child;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Stack;
use super::stop::stop;
use crate::console::{say, seconds};
use crate::part::AnyPart;
use crate::ports::require_free;
use crate::process::Identity;
use crate::readiness::until_ok;
use crate::signals::Interrupts;
use crate::site::Site;
use crate::state::{PartRecord, State};

/// How many lines of its log explain why a part failed.
const LOG_TAIL: usize = 15;

/// The starts that are under way; each ends with the name of its part.
type Starting = JoinSet<anyhow::Result<&'static str>>;

/// Brings every part up. When one fails, what this call started is stopped again.
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
        say("stopping what was started");
        stop(&missing, state).await?;
        return Err(error);
    }
    if missing.len() == stack.parts.len() {
        state.update(|record| record.ready_after = Some(begun.elapsed()))?;
    }
    Ok(())
}

async fn start_in_order(stack: &Stack, state: &Arc<State>, starting: &mut Starting) -> anyhow::Result<()> {
    let mut waiting = stack.parts.clone();
    let mut ready: HashSet<&str> = HashSet::new();
    loop {
        let (startable, rest): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|part| part.needs().iter().all(|need| ready.contains(need)));
        waiting = rest;
        for part in startable {
            starting.spawn(bring_up(part, Arc::clone(&stack.site), Arc::clone(state)));
        }
        match starting.join_next().await {
            Some(outcome) => ready.insert(outcome.context("a start panicked")??),
            None => return Ok(()),
        };
    }
}

/// Starts one part, or finds it running; returns its name when it is ready.
async fn bring_up(part: AnyPart, site: Arc<Site>, state: Arc<State>) -> anyhow::Result<&'static str> {
    let name = part.name();
    let outcome = match state.record().alive(name) {
        Some(identity) => adopt(&part, identity, &state).await,
        None => launch(&part, &site, &state).await,
    };
    outcome.map(|()| name).with_context(|| format!("{name} did not start"))
}

async fn adopt(part: &AnyPart, identity: &Identity, state: &State) -> anyhow::Result<()> {
    let begun = Instant::now();
    until_ok(part.deadline(), || part.probe()).await?;
    part.provision().await?;
    let was_ready = state.record().parts.get(part.name()).and_then(|record| record.ready_after);
    if was_ready.is_none() {
        note(part, identity.clone(), Some(begun.elapsed()), state)?;
    }
    say(format_args!("{:<15} {}  already running (pid {})", part.name(), part.address(), identity.pid));
    Ok(())
}

async fn launch(part: &AnyPart, site: &Site, state: &State) -> anyhow::Result<()> {
    let begun = Instant::now();
    part.prepare().await?;
    let (mut child, identity) = part.launch()?.start(&site.log(part.name()))?;
    note(part, identity.clone(), None, state)?;
    let ready = tokio::select! {
        ready = until_ok(part.deadline(), || part.probe()) => ready,
        error = unexpected_end(&mut child) => Err(error),
    };
    ready.map_err(|error| anyhow!("{error:#}{}", log_tail(&site.log(part.name()))))?;
    part.provision().await?;
    let ready_after = begun.elapsed();
    say(format_args!(
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
