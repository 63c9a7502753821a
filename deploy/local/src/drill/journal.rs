//! Journal of a drill: an append-only file of everything that happened, from which every command derives the state.
//!
//! The runner and the commands append whole lines, so a killed process leaves at most one torn line, which readers skip.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{grade::Grade, verify::Damage};
use crate::process::Identity;

/// One line: what happened, and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) at: DateTime<Utc>,
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    Started {
        drill: String,
        seed: u64,
        surprise: bool,
    },
    RunnerStarted {
        identity: Identity,
    },
    /// The next action may change the system: from here on `revert` has to run.
    Preparing,
    TrafficStarted,
    Injecting,
    Injected,
    /// The first alert of this drill that fired.
    Alerted {
        alert: String,
        severity: String,
    },
    Acknowledged {
        alert: String,
    },
    Answered(Answer),
    Hinted {
        number: usize,
        price: u32,
    },
    Noted {
        text: String,
    },
    /// The responder claims that the incident is over.
    Claimed(Claim),
    /// The fix failed a check.
    Rejected {
        check: String,
        reason: String,
    },
    /// Every check of the running system passed.
    Recovered,
    Reconciled {
        faults: Vec<String>,
        report: String,
    },
    Measured {
        damage: Damage,
    },
    AbortRequested,
    Reverting,
    Reverted,
    Graded {
        grade: Grade,
    },
    /// The drill ended without a grade.
    Aborted {
        reason: String,
    },
}

/// The claim that the incident is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// Replaces the drill's limit until the objectives are met.
    pub(crate) within_s: Option<u64>,
}

/// What a responder says about the incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) component: String,
    pub(crate) kind: String,
    pub(crate) cause: String,
    /// A rate per second, for drills that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
    /// One of the drill's own choices, for drills that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) choice: Option<String>,
}

/// The directory of the current drill: journal, scratch files of scripts, measurements.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
}

impl Journal {
    /// The journal in the state directory of a stack.
    pub(crate) fn of(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("shift") }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The scratch directory of the scripts.
    pub(crate) fn work_dir(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// The file of measurements, one line per second.
    pub(crate) fn traffic_file(&self) -> PathBuf {
        self.dir.join("traffic.csv")
    }

    /// Begins a new drill: keeps the directory of the previous one as `shift.previous`.
    pub(crate) fn begin(&self) -> anyhow::Result<()> {
        let previous = self.dir.with_extension("previous");
        if self.dir.exists() {
            if previous.exists() {
                fs::remove_dir_all(&previous).with_context(|| format!("{}", previous.display()))?;
            }
            fs::rename(&self.dir, &previous).with_context(|| format!("{}", self.dir.display()))?;
        }
        fs::create_dir_all(self.work_dir()).with_context(|| format!("{}", self.dir.display()))
    }

    /// Appends an event of now.
    pub(crate) fn append(&self, event: Event) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(&Entry { at: Utc::now(), event }).context("the event as JSON")?;
        // A killed process may have left a torn line: an empty one is skipped.
        line.insert(0, b'\n');
        line.push(b'\n');
        let path = self.path();
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("{}", path.display()))?;
        file.write_all(&line).and_then(|()| file.sync_data()).with_context(|| format!("{}", path.display()))
    }

    /// Reads all entries; none before the first drill.
    pub(crate) fn read(&self) -> anyhow::Result<Vec<Entry>> {
        let path = self.path();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).with_context(|| format!("{}", path.display())),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.join("journal.jsonl")
    }
}

/// What the entries of one drill add up to.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) entries: Vec<Entry>,
}

impl Course {
    pub(crate) fn read(journal: &Journal) -> anyhow::Result<Self> {
        Ok(Self { entries: journal.read()? })
    }

    /// When the first event of a kind happened.
    pub(crate) fn first(&self, is: impl Fn(&Event) -> bool) -> Option<DateTime<Utc>> {
        self.entries.iter().find(|entry| is(&entry.event)).map(|entry| entry.at)
    }

    pub(crate) fn has(&self, is: impl Fn(&Event) -> bool) -> bool {
        self.first(is).is_some()
    }

    /// Drill, seed, and whether it was drawn as a surprise.
    pub(crate) fn start(&self) -> Option<(&str, u64, bool)> {
        self.entries.iter().find_map(|entry| match &entry.event {
            Event::Started { drill, seed, surprise } => Some((drill.as_str(), *seed, *surprise)),
            _ => None,
        })
    }

    /// The last runner of this drill.
    pub(crate) fn runner(&self) -> Option<&Identity> {
        self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::RunnerStarted { identity } => Some(identity),
            _ => None,
        })
    }

    pub(crate) fn injected_at(&self) -> Option<DateTime<Utc>> {
        self.first(|event| matches!(event, Event::Injected))
    }

    /// Whether the drill is over, with or without a grade.
    pub(crate) fn is_over(&self) -> bool {
        self.entries.is_empty()
            || self.has(|event| matches!(event, Event::Graded { .. } | Event::Aborted { .. }))
    }

    /// Whether the system may still be changed by the drill.
    pub(crate) fn needs_revert(&self) -> bool {
        self.has(|event| matches!(event, Event::Preparing))
            && !self.has(|event| matches!(event, Event::Reverted))
    }

    /// The claim that waits for its verification; `None` if none waits.
    pub(crate) fn open_claim(&self) -> Option<Claim> {
        let last = self.entries.iter().rev().find(|entry| {
            matches!(entry.event, Event::Claimed(_) | Event::Rejected { .. } | Event::Recovered)
        })?;
        match last.event {
            Event::Claimed(claim) => Some(claim),
            _ => None,
        }
    }

    /// The last answer.
    pub(crate) fn answer(&self) -> Option<&Answer> {
        self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Answered(answer) => Some(answer),
            _ => None,
        })
    }

    /// The result of the last claim.
    pub(crate) fn last_verdict(&self) -> Option<&Event> {
        let mut events = self.entries.iter().rev().map(|entry| &entry.event);
        events.find(|event| matches!(event, Event::Rejected { .. } | Event::Recovered))
    }

    pub(crate) fn grade(&self) -> Option<&Grade> {
        self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Graded { grade } => Some(grade),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_of_a_killed_process_hides_no_other_event() {
        let dir = std::env::temp_dir().join(format!("muster-journal-{}", std::process::id()));
        let journal = Journal::of(&dir);
        journal.begin().unwrap();
        journal.append(Event::Started { drill: "x".to_owned(), seed: 7, surprise: true }).unwrap();
        let mut file = File::options().append(true).open(journal.path()).unwrap();
        file.write_all(br#"{"at":"2026-01-01T00:0"#).unwrap();
        journal.append(Event::Preparing).unwrap();

        let course = Course::read(&journal).unwrap();
        assert_eq!(course.start(), Some(("x", 7, true)));
        assert!(course.needs_revert() && !course.is_over());
        fs::remove_dir_all(dir).unwrap();
    }

    fn course(events: Vec<Event>) -> Course {
        Course { entries: events.into_iter().map(|event| Entry { at: Utc::now(), event }).collect() }
    }

    #[test]
    fn only_the_last_claim_can_be_open() {
        let rejected = || Event::Rejected { check: "steady".to_owned(), reason: String::new() };
        assert_eq!(course(vec![]).open_claim(), None);
        assert_eq!(
            course(vec![Event::Claimed(Claim { within_s: Some(5) })]).open_claim(),
            Some(Claim { within_s: Some(5) })
        );
        assert_eq!(course(vec![Event::Claimed(Claim { within_s: None }), rejected()]).open_claim(), None);
        let again = course(vec![
            Event::Claimed(Claim { within_s: None }),
            rejected(),
            Event::Claimed(Claim { within_s: None }),
        ]);
        assert_eq!(again.open_claim(), Some(Claim { within_s: None }));
    }

    #[test]
    fn a_drill_needs_its_revert_from_the_first_change_on() {
        assert!(!course(vec![Event::TrafficStarted]).needs_revert());
        assert!(course(vec![Event::Preparing, Event::Injecting, Event::Reverting]).needs_revert());
        assert!(!course(vec![Event::Preparing, Event::Reverting, Event::Reverted]).needs_revert());
    }
}
