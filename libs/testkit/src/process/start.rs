//! Starts a process and waits until it is ready.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::{Process, log::Log};
use crate::{client, endpoints, scratch_dir};

/// Time limit for a start, on a machine that compiles at the same time.
const TIMEOUT: Duration = Duration::from_secs(45);

/// Interval between two checks.
const POLL: Duration = Duration::from_millis(20);

/// Describes a process before its start.
///
/// Its environment has free ports on loopback, JSON logs, the trace store of this run, and the variables that a test sets; it inherits
/// nothing.
#[derive(Clone, Debug)]
pub struct Builder {
    program: PathBuf,
    env: BTreeMap<String, OsString>,
    until_ready: bool,
}

impl Builder {
    pub(super) fn new(program: &Path) -> Self {
        let any_port = "127.0.0.1:0";
        let builder = Self { program: program.to_owned(), env: BTreeMap::new(), until_ready: true };
        builder
            .env("ENVIRONMENT", "local")
            .env("HTTP_ADDR", any_port)
            .env("ADMIN_ADDR", any_port)
            .env("LOG_FORMAT", "json")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoints().otlp_url)
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.set(name, value.as_ref());
        self
    }

    /// Does not wait for readiness, because a dependency of the service is down.
    #[must_use]
    pub fn without_readiness(mut self) -> Self {
        self.until_ready = false;
        self
    }

    /// Starts it, and waits until it listens and is ready.
    ///
    /// # Panics
    /// It does not start; the message has the end of its log.
    pub async fn spawn(self) -> Process {
        let mut log = Log::create(scratch_dir(self.name()).join("log"));
        let running = start(&self, &mut log).await;
        Process { settings: self, log, running }
    }

    /// Starts it, waits until it has ended with a failure, and returns its output.
    ///
    /// # Panics
    /// It starts, or ends with success.
    pub async fn expect_refusal(self) -> String {
        let mut log = Log::create(scratch_dir(self.name()).join("log"));
        let mut child = self.start_child(&mut log);
        // Only whether the process has ended counts.
        drop(timeout(TIMEOUT, ready(&mut child, &self, &log)).await);
        let refused = child.exit_status().is_some_and(|status| !status.success());
        assert!(refused, "{} did not refuse to start\n{}", self.name(), log.tail());
        log.all()
    }

    pub(super) fn set(&mut self, name: &str, value: &OsStr) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.env.remove(name);
    }

    /// The name of the program, for messages and files.
    pub(super) fn name(&self) -> &str {
        self.program.file_name().and_then(OsStr::to_str).unwrap_or("process")
    }

    fn start_child(&self, log: &mut Log) -> KilledOnDrop {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(&self.env);
        command.stdin(Stdio::null()).stdout(log.begin_run()).stderr(log.open());
        KilledOnDrop(command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}")))
    }
}

/// A child process that is killed when this value is dropped: also when another future of a `join!` panics during its start.
#[derive(Debug)]
pub(super) struct KilledOnDrop(Child);

impl KilledOnDrop {
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The exit status of a process that has ended.
    pub(super) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child can be waited for")
    }
}

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // An error means that the process has ended and was waited for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// One run of the program; a restart makes another.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: KilledOnDrop,
    pub(super) addresses: Addresses,
}

/// The addresses in the line "listening".
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) http: Option<String>,
    pub(super) https: Option<String>,
    pub(super) admin: String,
}

/// Starts the program, and waits until it listens and, unless the settings say otherwise, is ready.
pub(super) async fn start(settings: &Builder, log: &mut Log) -> Running {
    let mut child = settings.start_child(log);
    let reason = match timeout(TIMEOUT, ready(&mut child, settings, log)).await {
        Ok(Ok(addresses)) => return Running { child, addresses },
        Ok(Err(reason)) => reason,
        Err(_) => format!("it was not ready within {TIMEOUT:?}"),
    };
    drop(child);
    panic!("{} did not start: {reason}\n{}", settings.name(), log.tail());
}

/// Waits for the line "listening", whose addresses it returns, and for readiness.
async fn ready(child: &mut KilledOnDrop, settings: &Builder, log: &Log) -> Result<Addresses, String> {
    let listening = loop {
        if let Some(line) = log.find("listening") {
            break line;
        }
        still_running(child)?;
        sleep(POLL).await;
    };
    let addr = |field: &str| listening[field].as_str().map(str::to_owned);
    let admin = addr("admin_addr").ok_or("its line \"listening\" has no admin_addr")?;
    let url = format!("http://{admin}/ready");
    while settings.until_ready
        && !client().get(&url).send().await.is_ok_and(|answer| answer.status().is_success())
    {
        still_running(child)?;
        sleep(POLL).await;
    }
    Ok(Addresses { http: addr("http_addr"), https: addr("https_addr"), admin })
}

fn still_running(child: &mut KilledOnDrop) -> Result<(), String> {
    child.exit_status().map_or(Ok(()), |status| Err(format!("it ended with {status}")))
}
