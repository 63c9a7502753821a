//! What a process is started with.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use super::{Process, log::Log, start};
use crate::{endpoints, scratch_dir};

/// Describes a process before it runs.
///
/// Its environment is what is stated here and nothing else: free ports on loopback, JSON logs, and the trace store of
/// this run, unless a test says otherwise.
#[derive(Clone, Debug)]
pub struct Builder {
    program: PathBuf,
    env: BTreeMap<String, OsString>,
    pub(super) until_ready: bool,
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

    /// Does not wait for readiness, because something the service depends on is down.
    #[must_use]
    pub fn without_readiness(mut self) -> Self {
        self.until_ready = false;
        self
    }

    /// Starts it, and waits until it listens and is ready.
    ///
    /// # Panics
    /// It does not come up; the message has the end of its log.
    pub async fn spawn(self) -> Process {
        let mut log = Log::create(scratch_dir(self.name()).join("log"));
        let running = start::start(&self, &mut log).await;
        Process { settings: self, log, running }
    }

    /// Starts it, and waits until it has ended by itself with a failure; returns what it wrote.
    ///
    /// # Panics
    /// It comes up all the same, or ends as if all were well.
    pub async fn expect_refusal(self) -> String {
        let mut log = Log::create(scratch_dir(self.name()).join("log"));
        start::refuse(&self, &mut log).await;
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

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(&self.env);
        command
    }
}
