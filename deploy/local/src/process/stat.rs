//! State and memory of a process, from `/proc/PID` (proc(5)).

use std::fmt;

use procfs::{
    ProcResult,
    process::{Process, Stat},
};

pub(super) fn stat(pid: u32) -> ProcResult<Stat> {
    Process::new(pid.cast_signed())?.stat()
}

/// The resident set of one process, in MiB.
pub(crate) fn resident_mib(pid: u32) -> Option<u64> {
    let status = Process::new(pid.cast_signed()).ok()?.status().ok()?;
    status.vmrss.map(|kib| kib.div_ceil(1024))
}

/// The proportional set of a process and its children, in MiB: shared memory counts once. A sum of resident sets would count the buffers
/// of `PostgreSQL` once for each connection.
pub(crate) fn proportional_mib(pid: u32) -> Option<u64> {
    let process = Process::new(pid.cast_signed()).ok()?;
    let children = process.tasks().ok()?.flatten().filter_map(|task| task.children().ok()).flatten();
    let bytes: u64 = std::iter::once(pid).chain(children).filter_map(proportional_bytes).sum();
    Some(bytes.div_ceil(1024 * 1024))
}

fn proportional_bytes(pid: u32) -> Option<u64> {
    let rollup = Process::new(pid.cast_signed()).ok()?.smaps_rollup().ok()?.memory_map_rollup;
    rollup.iter().find_map(|map| map.extension.map.get("Pss").copied())
}

/// The state of a process, by the letter that `ps -o stat` shows too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunState(char);

impl RunState {
    /// The state of a process; `None` if no process has this pid.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        stat(pid).ok().map(|stat| Self(stat.state))
    }

    pub(super) fn is_zombie(self) -> bool {
        self.0 == 'Z'
    }

    /// Whether a signal stopped the process; it does not run until SIGCONT.
    pub(crate) fn is_stopped(self) -> bool {
        self.0 == 'T'
    }

    /// The command that brings a part in this state back.
    pub(crate) fn remedy(self, part: &str, pid: u32) -> String {
        let restart =
            format!("`muster restart {part}` stops it and starts it again, and touches no other part");
        match self.0 {
            'T' => format!("`kill -CONT {pid}` continues it; {restart}"),
            't' => format!("end the debugger; {restart}"),
            'D' => format!("check the disk (`df`, `dmesg`); {restart}, as soon as the kernel ends it"),
            _ => format!("`muster logs {part}` shows its last messages; {restart}"),
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.0 {
            'R' => "running",
            'S' => "sleeping, waits for something",
            'D' => "waits in the kernel, often for a disk",
            'T' => "stopped by a signal",
            't' => "stopped by a debugger",
            'Z' | 'X' => "ended",
            _ => "see proc_pid_stat(5)",
        };
        write!(formatter, "state {}: {meaning}", self.0)
    }
}
