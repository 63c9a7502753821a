//! `muster run`: runs a command, usually `cargo test`, with a stack of its own.
//!
//! The stack has its own ports and empty data directories. It stops with the command; if this program is killed, the next run in the
//! same checkout stops it. The command gets a process group of its own, so that all its processes end with it.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{process::Command, time::timeout};

use crate::{
    checkout::Checkout,
    config::StackConfig,
    endpoints::{Endpoints, PostgresEndpoint, VARIABLE},
    parts::kafka,
    ports::{Ports, ReservedPorts, authority, url},
    process::Identity,
    secrets::write_private,
    signals::Interrupts,
    stack::{Stack, start, stop},
    state::{PartRecord, Record, State},
};

/// From the signal to the end of the command.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The name of the command in `stack.json`.
const NAME: &str = "command";

pub(super) async fn run(command: &[String]) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    let temporary = TemporaryStack::reserve("test", Stack::for_tests).await?.start(&mut interrupts).await?;
    let config = &temporary.stack.config;
    let endpoints_file = config.state_dir.join("endpoints.json");
    let endpoints = serde_json::to_string_pretty(&endpoints(config)?).context("the endpoints")?;
    write_private(&endpoints_file, &endpoints)?;
    let outcome = run_command(command, &endpoints_file, &temporary.state, &mut interrupts).await;
    temporary.stop().await?;
    outcome.map(exit_code)
}

fn endpoints(config: &StackConfig) -> anyhow::Result<Endpoints> {
    let ports = config.ports;
    Ok(Endpoints {
        postgres: PostgresEndpoint::of(config)?,
        kafka_bootstrap_servers: authority(ports.kafka()),
        kafka_jars: kafka::jars(&config.checkout.parts_dir()),
        schema_registry_url: ports.registry_url(),
        smtp_host: "127.0.0.1".to_owned(),
        smtp_port: ports.smtp(),
        mailbox_url: url(ports.mailbox_api()),
        imap: authority(ports.imap()),
        zipkin_url: url(ports.zipkin()),
        otlp_url: url(ports.otlp()),
    })
}

/// A stack on reserved ports that lives as long as a command.
pub(super) struct TemporaryStack {
    pub(super) stack: Stack,
    pub(super) state: State,
    _ports: ReservedPorts,
}

impl TemporaryStack {
    /// Stops what a killed run left in `.muster/NAME`, empties that directory, and reserves ports for a stack there.
    pub(super) async fn reserve(name: &str, stack: fn(StackConfig) -> Stack) -> anyhow::Result<Self> {
        let checkout = Checkout::find()?;
        checkout.require_setup()?;
        let dir = checkout.state_dir().join(name);
        let state = State::open(&dir)?;
        let prepare = |ports: Ports| StackConfig::prepare(checkout.clone(), dir.clone(), ports).map(stack);
        stop_leftovers(&state, prepare).await?;
        remove_contents(&dir)?;

        let reserved = ReservedPorts::take()?;
        let record = Record { port_base: Some(reserved.ports.base()), ..Record::default() };
        state.update(|state| *state = record)?;
        Ok(Self { stack: prepare(reserved.ports)?, state, _ports: reserved })
    }

    /// Starts every part; stops them if one fails.
    pub(super) async fn start(self, interrupts: &mut Interrupts) -> anyhow::Result<Self> {
        if let Err(error) = start(&self.stack, &self.state, interrupts).await {
            self.stop().await?;
            return Err(error.context("the temporary stack is not up"));
        }
        Ok(self)
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        stop(&self.stack.parts, &self.state).await
    }
}

/// Stops the command and the parts of an earlier run that was killed.
async fn stop_leftovers(
    state: &State,
    prepare: impl Fn(Ports) -> anyhow::Result<Stack>,
) -> anyhow::Result<()> {
    let record = state.record();
    if let Some(identity) = record.alive(NAME) {
        signal_group(identity.pid, Signal::KILL)?;
    }
    match record.port_base.filter(|_| record.any_alive()) {
        Some(base) => stop(&prepare(Ports::from_base(base)?)?.parts, state).await,
        None => Ok(()),
    }
}

/// Empties `dir`, except for the lock, which this process holds, and the record.
fn remove_contents(dir: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("{}", dir.display()))? {
        let path: PathBuf = entry.context("an entry cannot be read")?.path();
        if path.ends_with("lock") || path.ends_with("stack.json") {
            continue;
        }
        let is_dir = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("{} cannot be removed", path.display()))?;
    }
    Ok(())
}

/// Runs the command to its end. SIGINT and SIGTERM of this program end it.
async fn run_command(
    command: &[String],
    endpoints_file: &Path,
    state: &State,
    interrupts: &mut Interrupts,
) -> anyhow::Result<ExitStatus> {
    let (program, args) = command.split_first().context("a command is needed")?;
    let mut child = Command::new(program)
        .args(args)
        .env(VARIABLE, endpoints_file)
        // The terminal belongs to another process group, so a read from it would block.
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("{program} cannot be started"))?;
    let id = child.id().context("the command ended at once")?;
    let identity = Identity::of(id).context("the command's identity cannot be read")?;
    state.record_part(NAME, PartRecord { identity, ready_after: None })?;

    let status = tokio::select! {
        status = child.wait() => status,
        signal = interrupts.next() => {
            signal_group(id, signal)?;
            if let Ok(status) = timeout(STOP_TIMEOUT, child.wait()).await {
                status
            } else {
                signal_group(id, Signal::KILL)?;
                child.wait().await
            }
        }
    };
    // Processes that the command left running.
    signal_group(id, Signal::KILL)?;
    status.with_context(|| format!("{program} cannot be waited for"))
}

/// Signals a process group. An empty group, whose processes have ended, is no error.
fn signal_group(leader: u32, signal: Signal) -> anyhow::Result<()> {
    let group = Pid::from_raw(leader.cast_signed()).context("0 is no process")?;
    match kill_process_group(group, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("the command's processes cannot be signalled"),
    }
}

/// The command's exit code; for a death by signal, 128 plus the signal, as in a shell.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
