//! Identifies a process across runs of this program: pid, start time and boot id.

use std::{io, os::fd::OwnedFd, time::Duration};

use anyhow::{Context, ensure};
use procfs::ProcResult;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::stat::{RunState, stat};

/// Limit for the time from SIGKILL to the end of the process.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

const ENDED_POLL: Duration = Duration::from_millis(20);

/// Identifies one process among all that ever have its pid: start time, in clock ticks since boot, and boot id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    start_time: u64,
    boot_id: String,
}

impl Identity {
    /// Reads the identity of a running process or a zombie.
    pub(crate) fn of(pid: u32) -> ProcResult<Self> {
        let start_time = stat(pid)?.starttime;
        Ok(Self { pid, start_time, boot_id: procfs::sys::kernel::random::boot_id()? })
    }

    /// Returns a handle to the process; `None` if it has ended, even if another process has its pid.
    pub(crate) fn open(&self) -> Option<Process> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        // The handle comes first, so that the check applies to the process behind the handle.
        let fd = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
        // A process without a waiting parent keeps its pid after its end, as a zombie.
        let runs = RunState::of(self.pid).is_some_and(|state| !state.is_zombie());
        (runs && Self::of(self.pid).ok()? == *self).then_some(Process { fd })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.open().is_some()
    }
}

/// A handle to one running process; never refers to a later one with the same pid.
#[derive(Debug)]
pub(crate) struct Process {
    fd: OwnedFd,
}

impl Process {
    /// Sends a signal. A process that has ended is no error.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.fd, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => other.map_err(io::Error::from),
        }
    }

    /// Waits for the end of the process, which need not be a child of this one.
    pub(crate) async fn ended(&self) -> io::Result<()> {
        while poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&Timespec::default()))? == 0 {
            sleep(ENDED_POLL).await;
        }
        Ok(())
    }

    /// Sends the stop signal, and SIGKILL if the process does not end in time.
    pub(crate) async fn stop(&self, signal: Signal, stop_within: Duration) -> anyhow::Result<()> {
        self.signal(signal).context("it cannot be signalled")?;
        // A process that SIGSTOP stopped handles no signal before SIGCONT; systemd does the same (`SendSIGCONT`, systemd.kill(5)).
        self.signal(Signal::CONT).context("it cannot be signalled")?;
        if timeout(stop_within, self.ended()).await.is_ok() {
            return Ok(());
        }
        self.signal(Signal::KILL).context("it cannot be killed")?;
        let killed = timeout(KILL_TIMEOUT, self.ended()).await;
        ensure!(killed.is_ok(), "it did not end within {KILL_TIMEOUT:?} of SIGKILL");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_with_a_reused_pid_is_not_ours() {
        let ours = Identity::of(std::process::id()).unwrap();
        assert!(ours.is_alive());

        let earlier = Identity { start_time: ours.start_time - 1, ..ours.clone() };
        assert!(!earlier.is_alive(), "same pid, started at another time");

        let other_boot = Identity { boot_id: "another boot".to_owned(), ..ours };
        assert!(!other_boot.is_alive(), "same pid and time, but of another boot");
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        assert!(identity.is_alive());

        child.kill().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while identity.is_alive() {
            assert!(std::time::Instant::now() < deadline, "a zombie passes for alive");
        }
        child.wait().unwrap();
        assert!(!identity.is_alive());
    }

    #[tokio::test]
    async fn a_process_that_ignores_the_stop_signal_is_killed() {
        let mut child = Command::new("sh")
            .args(["-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 5];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let identity = Identity::of(child.id()).unwrap();

        let process = identity.open().unwrap();
        process.stop(Signal::TERM, Duration::from_millis(200)).await.unwrap();

        assert!(!identity.is_alive());
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_stopped_process_ends_on_the_stop_signal_within_the_timeout() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        let process = identity.open().unwrap();
        process.signal(Signal::STOP).unwrap();

        process.stop(Signal::TERM, Duration::from_mins(1)).await.unwrap();

        let status = child.wait().unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(signal, Some(Signal::TERM.as_raw()), "the stop signal ended it, not SIGKILL");
    }

    #[test]
    fn a_process_name_with_blanks_and_brackets_has_an_identity() {
        let program = std::env::temp_dir().join(format!("a) b {}", std::process::id()));
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg("60").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();

        assert!(identity.is_alive());
        let state = RunState::of(child.id()).unwrap().to_string();
        // D while the kernel loads the program.
        assert!(["state R", "state S", "state D"].iter().any(|it| state.starts_with(it)), "{state}");

        child.kill().unwrap();
        child.wait().unwrap();
        std::fs::remove_file(program).unwrap();
    }
}
