//! The output of a process, in a file.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;

/// Lines that a failure shows.
const TAIL_LINES: usize = 40;

/// The file with standard output and error of every run of one process.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// The start of the output of the present run.
    run_begins_at: usize,
}

impl Log {
    pub(super) fn create(path: PathBuf) -> Self {
        File::create(&path).unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
        Self { path, run_begins_at: 0 }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file for the standard output of another run.
    pub(super) fn begin_run(&mut self) -> Stdio {
        self.run_begins_at = self.all().len();
        self.open()
    }

    /// Opens the file for standard error.
    pub(super) fn open(&self) -> Stdio {
        let file = File::options().append(true).open(&self.path);
        file.unwrap_or_else(|error| panic!("cannot open {}: {error}", self.path.display())).into()
    }

    pub(super) fn all(&self) -> String {
        let bytes = fs::read(&self.path);
        let bytes = bytes.unwrap_or_else(|error| panic!("cannot read {}: {error}", self.path.display()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the line of this run with this message. Lines that are not JSON, such as those of a panic, are skipped.
    pub(super) fn find(&self, message: &str) -> Option<Value> {
        let all = self.all();
        let run = all.get(self.run_begins_at..).unwrap_or_default();
        run.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|line| line["message"] == message)
    }

    /// Returns the last lines, and the path of the file.
    pub(super) fn tail(&self) -> String {
        let all = self.all();
        let lines: Vec<_> = all.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        format!("{}\n(complete log: {})", tail.join("\n"), self.path.display())
    }
}
