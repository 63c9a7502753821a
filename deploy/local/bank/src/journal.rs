//! An append-only file of JSON lines that survives SIGKILL: synced before anything depends on it, and read again at the start.
//!
//! Many records share one sync: each waits until the file is free, and the first one writes those of all.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    mem,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Mutex as AsyncMutex;

/// The file, and the lines that wait to be written to it.
pub(crate) struct Journal {
    lines: Arc<Mutex<Lines>>,
    disk: Arc<AsyncMutex<Disk>>,
}

#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    /// Number of lines since the start, waiting ones included.
    appended: u64,
}

struct Disk {
    file: File,
    /// Number of lines since the start that are synced.
    synced: u64,
    /// After a failed write, what the file contains is unknown until it is read again.
    is_broken: bool,
}

impl Journal {
    /// Opens or creates the file, and returns its records in their order.
    ///
    /// A last line without its end was never synced, so nothing depends on it: it is removed.
    ///
    /// # Errors
    /// Another process has the file, it cannot be used, or one of its complete lines is not a record.
    pub(crate) fn open<R: DeserializeOwned>(path: &Path) -> anyhow::Result<(Self, Vec<R>)> {
        let shown = path.display();
        let file = File::options().read(true).append(true).create(true).open(path);
        let file = file.with_context(|| format!("cannot open the journal {shown}"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another process uses the journal {shown}"),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock the journal {shown}"));
            }
        }
        let records = read(path, &file).with_context(|| format!("cannot read the journal {shown}"))?;
        let disk = Disk { file, synced: 0, is_broken: false };
        Ok((Self { lines: Arc::default(), disk: Arc::new(AsyncMutex::new(disk)) }, records))
    }

    /// Adds a record behind all others. It is not on disk before [`synced`](Self::synced) returns.
    pub(crate) fn append(&self, record: &impl Serialize) {
        let mut lines = self.lines.lock();
        serde_json::to_writer(&mut lines.waiting, record)
            .expect("records are JSON, and memory takes all of it");
        lines.waiting.push(b'\n');
        lines.appended += 1;
    }

    /// Waits until every record added so far is on disk. Cancelling it cancels no write.
    ///
    /// # Errors
    /// The file cannot be written. No later record can be, either.
    pub(crate) async fn synced(&self) -> io::Result<()> {
        let wanted = self.lines.lock().appended;
        let mut disk = Arc::clone(&self.disk).lock_owned().await;
        if disk.synced >= wanted {
            return Ok(());
        }
        let lines = Arc::clone(&self.lines);
        tokio::task::spawn_blocking(move || disk.write(&lines)).await?
    }
}

impl Disk {
    /// Writes and syncs the lines that wait.
    fn write(&mut self, lines: &Mutex<Lines>) -> io::Result<()> {
        if mem::replace(&mut self.is_broken, true) {
            return Err(io::Error::other("an earlier write to the journal failed"));
        }
        fail_point::hit("journal.begun");
        let (waiting, appended) = {
            let mut lines = lines.lock();
            (mem::take(&mut lines.waiting), lines.appended)
        };
        self.file.write_all(&waiting)?;
        fail_point::hit("journal.written");
        self.file.sync_data()?;
        fail_point::hit("journal.synced");
        self.synced = appended;
        self.is_broken = false;
        Ok(())
    }
}

fn read<R: DeserializeOwned>(path: &Path, file: &File) -> anyhow::Result<Vec<R>> {
    let bytes = fs::read(path)?;
    let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let (lines, torn) = bytes.split_at(complete);
    if !torn.is_empty() {
        tracing::warn!(bytes = torn.len(), "the last line of the journal is torn, and is removed");
        file.set_len(u64::try_from(complete)?)?;
    }
    file.sync_all()?;
    // A new file is lost unless its directory is synced too.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    let lines = (1..).zip(lines.split_inclusive(|byte| *byte == b'\n'));
    lines
        .map(|(number, line)| {
            serde_json::from_slice(line).with_context(|| format!("line {number} is not a record"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &Path) -> Vec<String> {
        Journal::open(path).unwrap().1
    }

    #[tokio::test]
    async fn records_are_read_again_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        for round in ["a", "b"] {
            let (journal, _) = Journal::open::<String>(&path).unwrap();
            journal.append(&format!("{round}1"));
            journal.append(&format!("{round}2\nwith a line break"));
            journal.synced().await.unwrap();
        }
        assert_eq!(written(&path), ["a1", "a2\nwith a line break", "b1", "b2\nwith a line break"]);
    }

    #[tokio::test]
    async fn a_file_that_is_torn_anywhere_has_its_complete_lines_and_takes_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let whole = b"\"one\"\n\"two\"\n\"three\"\n";
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (journal, mut expected) = Journal::open::<String>(&path).unwrap();
            // A record is complete with its line break: behind the bytes 6, 12 and 20.
            let n_complete = [6, 12, 20].into_iter().filter(|end| *end <= length).count();
            assert_eq!(expected, ["one", "two", "three"][..n_complete], "{length} bytes");

            journal.append(&"next");
            journal.synced().await.unwrap();
            drop(journal);
            expected.push("next".to_owned());
            assert_eq!(written(&path), expected, "{length} bytes");
        }
    }

    #[test]
    fn a_damaged_line_is_refused_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        fs::write(&path, "\"one\"\n\"tw\n\"three\"\n").unwrap();
        let refused = Journal::open::<String>(&path).err().unwrap();
        assert!(format!("{refused:#}").contains("line 2 is not a record"), "{refused:#}");
    }

    #[test]
    fn a_file_has_one_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let first = Journal::open::<String>(&path).unwrap();
        let refused = Journal::open::<String>(&path).err().unwrap();
        assert!(refused.to_string().contains("another process uses"), "{refused:#}");
        drop(first);
        assert!(written(&path).is_empty());
    }

    #[tokio::test]
    async fn after_a_failed_write_nothing_is_acknowledged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (journal, _) = Journal::open::<String>(&path).unwrap();
        let writable = mem::replace(&mut journal.disk.lock().await.file, File::open(&path).unwrap());
        journal.append(&"lost");
        journal.synced().await.unwrap_err();

        journal.disk.lock().await.file = writable;
        journal.append(&"later");
        journal.synced().await.unwrap_err();
    }
}
