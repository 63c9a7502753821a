//! What is remembered between two runs of `muster`: the port base and which process is which part.
//!
//! Whoever changes it holds the [`Lock`]; whoever only reads sees a whole file, since it is replaced
//! in one step. A record is written as soon as the process exists, so that a `muster` that is killed
//! leaves nothing behind that the next one does not know.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::process::Identity;
use crate::profile::Profile;

/// The contents of `stack.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) port_base: Option<u16>,
    pub(crate) profile: Option<Profile>,
    /// How long the last `up` that started everything took.
    pub(crate) ready_after: Option<Duration>,
    pub(crate) parts: BTreeMap<String, PartRecord>,
}

/// One part that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) identity: Identity,
    /// Nothing as long as it never was ready.
    pub(crate) ready_after: Option<Duration>,
}

impl Record {
    /// Reads what is remembered in `home`; nothing is remembered where nothing ran yet.
    pub(crate) fn read(home: &Path) -> anyhow::Result<Self> {
        let path = home.join("stack.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is damaged: move it away", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{}", path.display())),
        }
    }

    /// The identity of a part that runs now.
    pub(crate) fn alive(&self, part: &str) -> Option<&Identity> {
        self.parts.get(part).map(|record| &record.identity).filter(|identity| identity.is_alive())
    }

    pub(crate) fn any_alive(&self) -> bool {
        self.parts.keys().any(|part| self.alive(part).is_some())
    }
}

/// The record together with the file that has to follow every change of it.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    record: Mutex<Record>,
    _lock: Lock,
}

impl State {
    /// Opens the state in `home` for changes; fails while another `muster` is changing it.
    pub(crate) fn open(home: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(home).with_context(|| format!("{} cannot be made", home.display()))?;
        let lock = Lock::take(&home.join("lock"))?;
        let record = Mutex::new(Record::read(home)?);
        Ok(Self { path: home.join("stack.json"), record, _lock: lock })
    }

    /// A copy of the record as it is now.
    pub(crate) fn record(&self) -> Record {
        self.locked().clone()
    }

    /// Changes the record and writes it down.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Record)) -> anyhow::Result<()> {
        let mut record = self.locked();
        change(&mut record);
        let text = serde_json::to_vec_pretty(&*record).context("the state cannot be written")?;
        let new = self.path.with_extension("json.new");
        File::create(&new)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&new, &self.path))
            .with_context(|| format!("{} cannot be written", self.path.display()))
    }

    fn locked(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no holder of this lock panics")
    }
}

/// Keeps two `muster` from changing the same stack at once; the kernel drops it with its holder.
#[derive(Debug)]
struct Lock {
    _file: File,
}

impl Lock {
    fn take(path: &Path) -> anyhow::Result<Self> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another muster (pid {}) is at work on this stack: wait for it to end",
                fs::read_to_string(path).unwrap_or_default().trim(),
            ),
            Err(TryLockError::Error(error)) => return Err(error).context("the lock cannot be taken"),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .context("the lock cannot be written")?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("muster-{name}-{}", std::process::id()))
    }

    #[test]
    fn two_cannot_change_one_stack_at_once() {
        let home = scratch("lock");
        let first = State::open(&home).unwrap();

        let refusal = State::open(&home).unwrap_err().to_string();
        assert!(refusal.contains(&std::process::id().to_string()), "{refusal}");

        drop(first);
        State::open(&home).unwrap();
        fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn stacks_side_by_side_remember_different_things() {
        let (left, right) = (scratch("left"), scratch("right"));
        let us = Identity::of(std::process::id()).unwrap();
        for (home, base) in [(&left, 7400), (&right, 17400)] {
            let state = State::open(home).unwrap();
            state.update(|record| record.port_base = Some(base)).unwrap();
        }
        let part = PartRecord { identity: us, ready_after: None };
        let state = State::open(&left).unwrap();
        state.update(|record| drop(record.parts.insert("kafka".to_owned(), part))).unwrap();

        assert_eq!(Record::read(&left).unwrap().port_base, Some(7400));
        assert!(Record::read(&left).unwrap().any_alive());
        assert_eq!(Record::read(&right).unwrap().port_base, Some(17400));
        assert!(!Record::read(&right).unwrap().any_alive());
        fs::remove_dir_all(left).unwrap();
        fs::remove_dir_all(right).unwrap();
    }
}
