//! Commands on the stack of `muster up`: `up`, `down`, `kill`, `restart`, `logs`, `env`, `target`.

use std::{
    fmt::Display,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use tokio::time::Instant;

use super::{NO_STACK, config, open, open_local, read};
use crate::{
    certificates,
    checkout::Checkout,
    cluster::{Cluster, desk, workloads},
    config::{Requested, StackConfig, log_file},
    console::{print, seconds},
    endpoints::shell_variables,
    place::Place,
    ports::{DEFAULT_BASE, DESK_BASE, Ports, authority},
    process::PREVIOUS,
    rewind,
    signals::Interrupts,
    stack::{self, Stack},
    state::{Record, State},
};

pub(super) async fn up(place: Place, Requested { port_base, profile }: Requested) -> anyhow::Result<()> {
    let mut interrupts = Interrupts::listen()?;
    let begun = Instant::now();
    let checkout = Checkout::find()?;
    checkout.require_setup()?;
    let state = State::open(&place.state_dir(&checkout))?;
    let record = state.record();
    let default = match place {
        Place::Local => DEFAULT_BASE,
        Place::Cluster => DESK_BASE,
    };
    let base = choose("port base", port_base, record.port_base.unwrap_or(default), &record)?;
    let profile = choose("profile", profile, record.profile.unwrap_or_default(), &record)?;
    let ports = Ports::from_base(base)?;
    state.update(|record| (record.port_base, record.profile) = (Some(base), Some(profile)))?;
    let config = StackConfig::at(place, checkout, ports)?;
    match place {
        Place::Local => certificates::renew_expiring(&config.secrets)?,
        Place::Cluster => desk::open(&config, record.any_alive()).await?,
    }
    let stack = Stack::local(config, profile);
    let was_running = stack.parts.iter().all(|part| record.alive(part.name).is_some());

    stack::start(&stack, &state, &mut interrupts).await.context("the stack is not up")?;
    let ready_after = seconds(begun.elapsed());
    let how =
        if was_running { "was already running".to_owned() } else { format!("is ready after {ready_after}") };
    match place {
        Place::Local => print(format_args!("The stack {how}; `muster down` stops it.")),
        Place::Cluster => print(format_args!("The desk {how}; `muster down --target cluster` stops it.")),
    }
    Ok(())
}

/// Whether every part of the stack runs. A desk does not know whether its gateway does.
pub(super) fn is_up(place: Place) -> anyhow::Result<bool> {
    let Some((stack, record)) = read(place)? else { return Ok(false) };
    Ok(place == Place::Local && stack.parts.iter().all(|part| record.alive(part.name).is_some()))
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

pub(super) async fn down(place: Place) -> anyhow::Result<()> {
    let Some((stack, state)) = open(place)? else {
        print("This checkout has no stack.");
        return Ok(());
    };
    if !state.record().any_alive() {
        print("No process of this checkout was running.");
    }
    stack::stop(&stack.parts, &state).await?;
    match place {
        Place::Local => Ok(()),
        Place::Cluster => desk::close(&stack.config).await,
    }
}

pub(super) async fn kill(part: &str) -> anyhow::Result<()> {
    let (_, state) = open_local()?.context(NO_STACK)?;
    stack::kill(part, &state).await?;
    print(format_args!("{part} killed; `muster restart {part}` starts it again"));
    Ok(())
}

/// Restarts a process of this machine, or the pods of a part in the cluster.
pub(super) async fn restart(place: Place, part: &str) -> anyhow::Result<()> {
    let (stack, state) = open(place)?.context(NO_STACK)?;
    let is_here = stack.parts.iter().any(|it| it.name == part);
    match place {
        Place::Cluster if !is_here => workloads::restart(&Cluster::of(&stack.config), part).await,
        _ => stack::restart(&stack, part, &state).await,
    }
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
pub(super) fn logs(
    place: Place,
    part: Option<String>,
    follow: bool,
    previous: bool,
    lines: u32,
) -> anyhow::Result<()> {
    let state_dir = place.state_dir(&Checkout::find()?);
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
pub(super) fn env(place: Place) -> anyhow::Result<()> {
    for (name, value) in shell_variables(&config(place)?)? {
        print(format_args!("export {name}={value}"));
    }
    Ok(())
}

pub(super) fn target(place: Place) -> anyhow::Result<()> {
    let target = crate::target::target(&config(place)?)?;
    print(toml::to_string_pretty(&target).context("the target as TOML")?.trim_end());
    Ok(())
}
