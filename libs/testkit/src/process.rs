//! A service as a process: started, stopped, killed and restarted by a test.

use std::{ffi::OsStr, path::Path, process::ExitStatus, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

mod log;
mod start;

use crate::wait_for;
use log::Log;
use start::Running;

pub use start::Builder;

/// Time limit for a service to end after SIGTERM: longer than its own drain timeout.
const TERMINATE_TIMEOUT: Duration = Duration::from_secs(45);

/// A running service. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Process {
    settings: Builder,
    log: Log,
    running: Running,
}

impl Process {
    /// Describes a process of this program.
    pub fn builder(program: impl AsRef<Path>) -> Builder {
        Builder::new(program.as_ref())
    }

    /// Returns the URL of the API, without a slash at its end.
    pub fn http_url(&self) -> String {
        let addr = self.running.addresses.http.as_ref();
        format!("http://{}", addr.unwrap_or_else(|| panic!("{} has no API", self.settings.name())))
    }

    /// Returns `host:port` of the API over TLS.
    pub fn https_addr(&self) -> &str {
        let addr = self.running.addresses.https.as_ref();
        addr.unwrap_or_else(|| panic!("{} has no API over TLS", self.settings.name()))
    }

    /// Returns the URL of the admin port, without a slash at its end.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.running.addresses.admin)
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.running.child.pid()
    }

    /// Returns the output of the process, with that of its earlier runs.
    pub fn logs(&self) -> String {
        self.log.all()
    }

    /// Kills the process with SIGKILL, as a crash does.
    pub async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait_exit(TERMINATE_TIMEOUT).await;
    }

    /// Sends SIGTERM, and waits until the process has ended.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait_exit(TERMINATE_TIMEOUT).await
    }

    /// Waits until the process ends.
    pub async fn wait_exit(&mut self, timeout: Duration) -> ExitStatus {
        let what = format!("{} to end; its log is {}", self.settings.name(), self.log.path().display());
        let child = &mut self.running.child;
        wait_for(&what, timeout, async || child.exit_status()).await
    }

    /// Starts the program again, with the same environment and other ports; kills it first if it still runs.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.running = start::start(&self.settings, &mut self.log).await;
    }

    /// Changes the environment of the next [`restart`](Self::restart).
    pub fn set_env(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.settings.set(name, value.as_ref());
    }

    /// Removes a variable, such as armed fail points, from the environment of the next [`restart`](Self::restart).
    pub fn remove_env(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// Sends a signal, unless the process has ended: its id may belong to another process.
    fn signal(&mut self, signal: Signal) {
        if self.running.child.exit_status().is_none() {
            let pid = i32::try_from(self.pid()).expect("a process id is an i32");
            kill(Pid::from_raw(pid), signal).expect("a running child can be signalled");
        }
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "the test harness shows it with the failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}, at the time of the failure:\n{}", self.settings.name(), self.log.tail());
        }
    }
}
