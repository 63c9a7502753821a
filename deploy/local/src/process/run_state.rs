//! What the kernel says a process is doing: field 3 of `/proc/PID/stat` (`proc_pid_stat(5)`).

use std::fmt;

/// The state of a process, by the letter that `ps -o stat` shows too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunState(char);

impl RunState {
    /// The state of a process; nothing when there is none with this pid.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it may hold anything, brackets included.
        stat.rsplit_once(") ")?.1.chars().next().map(Self)
    }

    /// Whether it was stopped by a signal, and does nothing until SIGCONT.
    pub(crate) fn is_stopped(self) -> bool {
        self.0 == 'T'
    }

    fn meaning(self) -> &'static str {
        match self.0 {
            'R' => "running",
            'S' => "sleeping, waits for something",
            'D' => "waits in the kernel, often for a disk",
            'T' => "stopped by a signal",
            't' => "stopped by a debugger",
            'Z' | 'X' => "ended",
            _ => "see proc_pid_stat(5)",
        }
    }

    /// What to type so that a part in this state works again.
    pub(crate) fn remedy(self, part: &str, pid: u32) -> String {
        let restart =
            format!("`muster restart {part}` ends it and starts it again, and touches nothing else");
        match self.0 {
            'T' => format!("`kill -CONT {pid}` lets it go on; {restart}"),
            't' => format!("end the debugger, or else {restart}"),
            'D' => format!("look at the disk (`df`, `dmesg`); {restart}, as soon as the kernel lets it end"),
            _ => format!("`muster logs {part}` shows what it said last; {restart}"),
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "state {}: {}", self.0, self.meaning())
    }
}
