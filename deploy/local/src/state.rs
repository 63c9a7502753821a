//! The state of a stack between two runs of `muster`, in `stack.json`: port base, profile, the process of each part, and the
//! releases of each service.
//!
//! A writer holds the [`lock`]. A reader sees a complete file, because a rename replaces it. `muster` records a process as soon as it
//! exists, so that the next `muster` knows every process of a killed one.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{Seek as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::{
    process::Identity,
    profile::Profile,
    releases::{Release, Releases},
    secrets::write_private,
};

/// The contents of `stack.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) port_base: Option<u16>,
    pub(crate) profile: Option<Profile>,
    /// The duration of the last `up` that started every part.
    pub(crate) ready_after: Option<Duration>,
    pub(crate) parts: BTreeMap<String, PartRecord>,
    #[serde(default)]
    pub(crate) releases: BTreeMap<String, Releases>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) identity: Identity,
    /// The time from start to ready; `None` until then.
    pub(crate) ready_after: Option<Duration>,
}

impl Record {
    /// Reads the record in `dir`; empty before the first start.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("stack.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is damaged: move it away", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{}", path.display())),
        }
    }

    pub(crate) fn alive(&self, part: &str) -> Option<&Identity> {
        self.parts.get(part).map(|record| &record.identity).filter(|identity| identity.is_alive())
    }

    /// Whether a part became ready after its last start.
    pub(crate) fn is_ready(&self, part: &str) -> bool {
        self.parts.get(part).is_some_and(|part| part.ready_after.is_some())
    }

    /// The release that a service runs; `None` if it runs the build of the checkout.
    pub(crate) fn release(&self, part: &str) -> Option<&Release> {
        self.releases.get(part).and_then(Releases::current)
    }

    pub(crate) fn any_alive(&self) -> bool {
        self.parts.keys().any(|part| self.alive(part).is_some())
    }
}

#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    record: RefCell<Record>,
    /// Only one `muster` at a time changes a stack. The kernel releases the lock when the process ends.
    _lock: File,
}

impl State {
    /// Opens the state in `dir` for changes; fails while another `muster` has it open.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("{} cannot be created", dir.display()))?;
        let lock = lock(&dir.join("lock"))?;
        Ok(Self { path: dir.join("stack.json"), record: Record::read(dir)?.into(), _lock: lock })
    }

    pub(crate) fn record(&self) -> Record {
        self.record.borrow().clone()
    }

    /// Changes the record and writes the file.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Record)) -> anyhow::Result<()> {
        let mut record = self.record.borrow_mut();
        change(&mut record);
        let text = serde_json::to_string_pretty(&*record).context("the state cannot be written")?;
        write_private(&self.path, &text)
    }

    pub(crate) fn record_part(&self, name: &str, part: PartRecord) -> anyhow::Result<()> {
        self.update(|record| drop(record.parts.insert(name.to_owned(), part)))
    }
}

/// Locks a file and writes the pid of this process into it.
fn lock(path: &Path) -> anyhow::Result<File> {
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
            "another muster (pid {}) works on this stack: wait for its end",
            fs::read_to_string(path).unwrap_or_default().trim(),
        ),
        Err(TryLockError::Error(error)) => return Err(error).context("the lock cannot be taken"),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .context("the lock cannot be written")?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("muster-{name}-{}", std::process::id()))
    }

    #[test]
    fn only_one_process_at_a_time_opens_a_stack_for_changes() {
        let dir = scratch("lock");
        let first = State::open(&dir).unwrap();

        let refusal = State::open(&dir).unwrap_err().to_string();
        assert!(refusal.contains(&std::process::id().to_string()), "{refusal}");

        drop(first);
        State::open(&dir).unwrap();
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn two_stacks_have_separate_records() {
        let (left, right) = (scratch("left"), scratch("right"));
        let us = Identity::of(std::process::id()).unwrap();
        for (dir, base) in [(&left, 7400), (&right, 17400)] {
            let state = State::open(dir).unwrap();
            state.update(|record| record.port_base = Some(base)).unwrap();
        }
        let state = State::open(&left).unwrap();
        state.record_part("kafka", PartRecord { identity: us, ready_after: None }).unwrap();

        assert_eq!(Record::read(&left).unwrap().port_base, Some(7400));
        assert!(Record::read(&left).unwrap().any_alive());
        assert_eq!(Record::read(&right).unwrap().port_base, Some(17400));
        assert!(!Record::read(&right).unwrap().any_alive());
        fs::remove_dir_all(left).unwrap();
        fs::remove_dir_all(right).unwrap();
    }
}
