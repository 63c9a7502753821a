//! Commands on the stack of `muster up`: `up`, `down`, `kill`, `restart`, `logs`, `env`, `target`.

use std::{
    fmt::Display,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use tokio::time::Instant;

use super::{NO_STACK, local_config, open_local, read_local};
use crate::{
    certificates,
    checkout::Checkout,
    config::{StackConfig, log_file},
    console::{print, seconds},
    endpoints::shell_variables,
    ports::{DEFAULT_BASE, Ports, authority},
    process::PREVIOUS,
    profile::Profile,
    rewind,
    signals::Interrupts,
    stack::{self, Stack},
    state::{Record, State},
};

pub(super) async fn up(port_base: Option<u16>, profile: Option<Profile>) -> anyhow::Result<()> {
    let mut interrupts = Interrupts::listen()?;
    let begun = Instant::now();
    let checkout = Checkout::find()?;
    checkout.require_setup()?;
    let state_dir = checkout.state_dir();
    let state = State::open(&state_dir)?;
    let record = state.record();
    let base = choose("port base", port_base, record.port_base.unwrap_or(DEFAULT_BASE), &record)?;
    let profile = choose("profile", profile, record.profile.unwrap_or_default(), &record)?;
    let ports = Ports::from_base(base)?;
    state.update(|record| (record.port_base, record.profile) = (Some(base), Some(profile)))?;
    let config = StackConfig::prepare(checkout, state_dir, ports)?;
    certificates::renew_expiring(&config.secrets)?;
    let stack = Stack::local(config, profile);
    let was_running = stack.parts.iter().all(|part| record.alive(part.name).is_some());

    stack::start(&stack, &state, &mut interrupts).await.context("the stack is not up")?;
    let ready_after = seconds(begun.elapsed());
    let how =
        if was_running { "was already running".to_owned() } else { format!("is ready after {ready_after}") };
    print(format_args!("The stack {how}; `muster down` stops it."));
    Ok(())
}

/// Whether every part of the stack runs.
pub(super) fn is_up() -> anyhow::Result<bool> {
    let Some((stack, record)) = read_local()? else { return Ok(false) };
    Ok(stack.parts.iter().all(|part| record.alive(part.name).is_some()))
}

/// The requested value of a setting, or the stored one. A running stack cannot change it.
fn choose<T: Copy + Display + PartialEq>(
    what: &str,
    requested: Option<T>,
    stored: T,
    record: &Record,
) -> anyhow::Result<T> {
    let chosen = requested.unwrap_or(stored);
    if chosen != stored && record.any_alive() {
        bail!("the stack runs with {what} {stored}: `muster down` first, then up with {chosen}");
    }
    Ok(chosen)
}

pub(super) async fn down() -> anyhow::Result<()> {
    let Some((stack, state)) = open_local()? else {
        print("This checkout has no stack.");
        return Ok(());
    };
    if !state.record().any_alive() {
        print("No process of this checkout was running.");
    }
    stack::stop(&stack.parts, &state).await
}

pub(super) async fn kill(part: &str) -> anyhow::Result<()> {
    let (_, state) = open_local()?.context(NO_STACK)?;
    stack::kill(part, &state).await?;
    print(format_args!("{part} killed; `muster restart {part}` starts it again"));
    Ok(())
}

pub(super) async fn restart(part: &str) -> anyhow::Result<()> {
    let (stack, state) = open_local()?.context(NO_STACK)?;
    stack::restart(&stack, part, &state).await
}

/// Rewinds the consumer group of email-consumer while it is stopped.
pub(super) async fn rewind(args: rewind::Args) -> anyhow::Result<()> {
    let show = |n_events| print(format_args!("email-consumer gets {n_events} events again"));
    if let Some(servers) = args.bootstrap_servers {
        show(rewind::rewind(servers, args.minutes).await?);
        return Ok(());
    }
    let (stack, state) = open_local()?.context(NO_STACK)?;
    let servers = authority(stack.config.ports.kafka());
    stack::restart_after(&stack, "email-consumer", &state, async || {
        show(rewind::rewind(servers, args.minutes).await?);
        Ok(())
    })
    .await
}

/// Becomes tail(1).
pub(super) fn logs(part: Option<String>, follow: bool, previous: bool, lines: u32) -> anyhow::Result<()> {
    let state_dir = Checkout::find()?.state_dir();
    let files = match part {
        Some(part) if previous => vec![log_file(&state_dir, &part).with_extension(PREVIOUS)],
        Some(part) => vec![log_file(&state_dir, &part)],
        None => current_logs(&state_dir)?,
    };
    if let Some(missing) = files.iter().find(|file| !file.is_file()) {
        bail!("{} does not exist; `muster status` names the parts", missing.display());
    }
    let mut tail = Command::new("tail");
    tail.arg("-n").arg(lines.to_string());
    // By name, so that it follows the new log after a restart of the part.
    tail.args(follow.then_some("-F")).arg("--").args(files);
    Err(tail.exec()).context("tail(1) cannot be run")
}

fn current_logs(state_dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(state_dir.join("logs")).context(NO_STACK)?;
    let mut logs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    logs.retain(|path| {
        let name = path.to_string_lossy();
        name.ends_with(".log") && !name.ends_with(PREVIOUS)
    });
    logs.sort();
    Ok(logs)
}

/// Prints assignments for a POSIX shell. The password is useless outside this machine.
pub(super) fn env() -> anyhow::Result<()> {
    for (name, value) in shell_variables(&local_config()?)? {
        print(format_args!("export {name}={value}"));
    }
    Ok(())
}

pub(super) fn target() -> anyhow::Result<()> {
    let target = crate::target::target(&local_config()?)?;
    print(toml::to_string_pretty(&target).context("the target as TOML")?.trim_end());
    Ok(())
}
