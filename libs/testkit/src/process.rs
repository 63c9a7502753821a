//! A service as a process of its own: started, watched, broken and started again.

use std::{
    process::{Child, ExitStatus},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

mod builder;
mod log;
mod start;

use crate::wait_for;
use log::Log;

pub use builder::Builder;

/// How long a service may take to end after SIGTERM: longer than its own drain timeout.
const TERMINATE_TIMEOUT: Duration = Duration::from_secs(45);

/// A running service. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Process {
    settings: Builder,
    log: Log,
    running: Running,
}

/// One run of the program; a restart makes another.
#[derive(Debug)]
struct Running {
    child: Child,
    http_addr: Option<String>,
    admin_addr: String,
}

impl Process {
    /// Begins to describe a process of this program.
    pub fn builder(program: impl AsRef<std::path::Path>) -> Builder {
        Builder::new(program.as_ref())
    }

    /// Returns the URL of the API, without a slash at its end.
    pub fn http_url(&self) -> String {
        let addr = self.running.http_addr.as_ref();
        format!("http://{}", addr.unwrap_or_else(|| panic!("{} has no API", self.settings.name())))
    }

    /// Returns the URL of the admin port, without a slash at its end.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.running.admin_addr)
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.running.child.id()
    }

    /// Returns all that the process has written, its earlier runs included.
    pub fn logs(&self) -> String {
        self.log.all()
    }

    /// Ends the process as a crash does: SIGKILL.
    pub async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait_exit(TERMINATE_TIMEOUT).await;
    }

    /// Asks the process to end, SIGTERM, and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait_exit(TERMINATE_TIMEOUT).await
    }

    /// Waits until the process ends by itself.
    pub async fn wait_exit(&mut self, timeout: Duration) -> ExitStatus {
        let what = format!("{} to end; its log is in {}", self.settings.name(), self.log.path().display());
        let child = &mut self.running.child;
        wait_for(&what, timeout, async || child.try_wait().expect("a child can be waited for")).await
    }

    /// Starts the program again, with the same environment and other ports; kills it first if it still runs.
    pub async fn restart(&mut self) {
        self.end();
        self.running = start::start(&self.settings, &mut self.log).await;
    }

    /// Changes the environment of the next [`restart`](Self::restart).
    pub fn set_env(&mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) {
        self.settings.set(name, value.as_ref());
    }

    /// Takes a variable out of the environment of the next [`restart`](Self::restart), such as armed fail points.
    pub fn remove_env(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// A process that has ended and was waited for gets no signal: its id may belong to another by now.
    fn signal(&mut self, signal: Signal) {
        if self.running.child.try_wait().expect("a child can be waited for").is_none() {
            let pid = i32::try_from(self.pid()).expect("process ids are small");
            kill(Pid::from_raw(pid), signal).expect("a child that was not waited for takes signals");
        }
    }

    fn end(&mut self) {
        start::end(&mut self.running.child);
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "the test harness shows it with the failed test")]
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("{}, at the time of the failure:\n{}", self.settings.name(), self.log.tail());
        }
    }
}
