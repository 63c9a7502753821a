//! Acknowledgements of alerts, in a file beside that of the events.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::events::{AlertEvent, AlertStates, Status, read};
use crate::{console::print, json_lines};

/// One acknowledgement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Acknowledgement {
    pub(super) at: DateTime<Utc>,
    pub(super) alert: String,
    fingerprint: String,
    /// When the alert began to fire, which tells two incidents of one alert apart.
    starts_at: DateTime<Utc>,
}

impl Acknowledgement {
    /// Whether it belongs to this firing of an alert.
    pub(super) fn is_of(&self, event: &AlertEvent) -> bool {
        self.fingerprint == event.fingerprint && self.starts_at == event.starts_at
    }
}

/// An alert that fired.
#[derive(Clone, Debug)]
pub(crate) struct FiredAlert {
    pub(crate) name: String,
    pub(crate) severity: String,
}

/// Acknowledges the open alerts of this name, or all open alerts.
pub(crate) fn acknowledge(pages: &Path, name: Option<&str>) -> anyhow::Result<()> {
    let (events, _) = read(pages, 0)?;
    let states = AlertStates::of(events);
    let known = acknowledgements(pages)?;
    let open: Vec<_> =
        states.open().into_iter().filter(|event| name.is_none_or(|name| name == event.alert)).collect();
    if open.is_empty() {
        bail!("{} is not open; `muster pager` shows the open alerts", name.unwrap_or("an alert"));
    }
    for event in open {
        if known.iter().any(|known| known.is_of(event)) {
            print(format_args!("{} was acknowledged before", event.alert));
            continue;
        }
        json_lines::append(
            &file(pages),
            &Acknowledgement {
                at: Utc::now(),
                alert: event.alert.clone(),
                fingerprint: event.fingerprint.clone(),
                starts_at: event.starts_at,
            },
        )?;
        print(format_args!(
            "{} of {} acknowledged; its runbook: {}",
            event.alert, event.service, event.runbook
        ));
    }
    Ok(())
}

/// Reads every acknowledgement beside this file of events.
pub(super) fn acknowledgements(pages: &Path) -> anyhow::Result<Vec<Acknowledgement>> {
    let path = file(pages);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("{}", path.display())),
    }
}

/// Alerts whose firing the pager received after `since`.
pub(crate) fn fired_since(pages: &Path, since: DateTime<Utc>) -> anyhow::Result<Vec<FiredAlert>> {
    let (events, _) = read(pages, 0)?;
    let fired =
        events.into_iter().filter(|event| event.status == Status::Firing && event.received_at >= since);
    Ok(fired.map(|event| FiredAlert { name: event.alert, severity: event.severity }).collect())
}

/// The names of alerts that were acknowledged after `since`.
pub(crate) fn acknowledged_since(pages: &Path, since: DateTime<Utc>) -> anyhow::Result<Vec<String>> {
    Ok(acknowledgements(pages)?.into_iter().filter(|one| one.at >= since).map(|one| one.alert).collect())
}

fn file(pages: &Path) -> PathBuf {
    pages.with_file_name("acknowledgements.jsonl")
}
