//! Events of alerts: what Alertmanager sends, which alerts are open after it, and the file that keeps it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::console::print_error;

/// The body of Alertmanager's webhook, reduced to the fields in use.
#[derive(Debug, Deserialize)]
pub(super) struct WebhookBody {
    pub(super) alerts: Vec<Alert>,
}

/// One alert of a notification.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    status: Status,
    ends_at: DateTime<Utc>,
    #[serde(flatten)]
    details: AlertDetails,
}

/// The fields of an alert that both the webhook and Alertmanager's API have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertDetails {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) starts_at: DateTime<Utc>,
    pub(super) fingerprint: String,
}

/// State of the alert after the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Firing,
    Resolved,
}

/// One line of the file: an alert began to fire, or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AlertEvent {
    pub(super) received_at: DateTime<Utc>,
    pub(super) status: Status,
    /// `page` or `ticket`.
    pub(super) severity: String,
    pub(super) alert: String,
    pub(super) service: String,
    /// The objective, for a burn-rate alert.
    pub(super) slo: Option<String>,
    pub(super) starts_at: DateTime<Utc>,
    pub(super) ends_at: Option<DateTime<Utc>>,
    /// How the pager found this event, if Alertmanager did not send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<String>,
    pub(super) summary: String,
    /// Impact and remaining error budget, a line each.
    pub(super) description: String,
    /// Path of the runbook in the repository.
    pub(super) runbook: String,
    /// Identifies the alert: a hash of its labels.
    pub(super) fingerprint: String,
}

impl AlertEvent {
    pub(super) fn new(alert: &Alert, received_at: DateTime<Utc>) -> Self {
        let ends_at = (alert.status == Status::Resolved).then_some(alert.ends_at);
        Self { status: alert.status, ends_at, ..Self::firing(&alert.details, received_at) }
    }

    /// The event that an alert fires.
    pub(super) fn firing(alert: &AlertDetails, received_at: DateTime<Utc>) -> Self {
        let of = |map: &BTreeMap<String, String>, name: &str| map.get(name).cloned();
        let label = |name| of(&alert.labels, name).unwrap_or_default();
        let annotation = |name| of(&alert.annotations, name).unwrap_or_default();
        Self {
            received_at,
            status: Status::Firing,
            severity: label("severity"),
            alert: label("alertname"),
            service: label("service"),
            slo: of(&alert.labels, "slo"),
            starts_at: alert.starts_at,
            ends_at: None,
            found: None,
            summary: annotation("summary"),
            description: annotation("description"),
            runbook: annotation("runbook_url"),
            fingerprint: alert.fingerprint.clone(),
        }
    }

    /// Whether the pager inferred the end of the alert, without a notification of Alertmanager.
    pub(super) fn is_inferred(&self) -> bool {
        self.status == Status::Resolved && self.found.is_some()
    }
}

/// One firing of an alert: its labels, and when it began, which tells two incidents of one alert apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Firing {
    fingerprint: String,
    starts_at: DateTime<Utc>,
}

impl Firing {
    pub(super) fn of(event: &AlertEvent) -> Self {
        Self { fingerprint: event.fingerprint.clone(), starts_at: event.starts_at }
    }
}

/// Alerts in memory.
const CAPACITY: usize = 1_000;

/// The last event of each alert, in order of arrival.
#[derive(Default)]
pub(super) struct AlertStates(Vec<AlertEvent>);

impl AlertStates {
    /// The states after these events, the oldest first.
    pub(super) fn of(events: impl IntoIterator<Item = AlertEvent>) -> Self {
        let mut states = Self::default();
        events.into_iter().for_each(|event| states.record(event));
        states
    }

    /// Alerts that fire: pages before tickets, the oldest first.
    pub(super) fn open(&self) -> Vec<&AlertEvent> {
        let mut open: Vec<_> = self.0.iter().filter(|event| event.status == Status::Firing).collect();
        open.sort_by_key(|event| (event.severity != "page", event.starts_at));
        open
    }

    /// The last events that Alertmanager has to confirm: open alerts, which may have ended, and inferred ends, whose alert may fire again.
    pub(super) fn unconfirmed(&self) -> impl Iterator<Item = &AlertEvent> {
        self.0.iter().filter(|last| last.status == Status::Firing || last.is_inferred())
    }

    /// Whether an event changes the state of its alert. Alertmanager repeats a group when one of its alerts changes, and sends late after a
    /// restart.
    pub(super) fn is_new(&self, event: &AlertEvent) -> bool {
        let Some(last) = self.0.iter().find(|last| last.fingerprint == event.fingerprint) else {
            return true;
        };
        match (last.status, event.status) {
            (Status::Firing, Status::Resolved) => event.ends_at > Some(last.starts_at),
            (Status::Resolved, Status::Resolved) => false,
            // The same alert reverts an inferred end.
            (Status::Resolved, Status::Firing) if last.is_inferred() => event.starts_at >= last.starts_at,
            (_, Status::Firing) => event.starts_at > last.starts_at,
        }
    }

    /// Records an event. Beyond the capacity, ended alerts go before open ones.
    pub(super) fn record(&mut self, event: AlertEvent) {
        self.0.retain(|last| last.fingerprint != event.fingerprint);
        self.0.push(event);
        if self.0.len() > CAPACITY {
            let ended = self.0.iter().position(|last| last.status == Status::Resolved);
            self.0.remove(ended.unwrap_or_default());
        }
    }
}

/// The size at which the file is rotated; an event takes about one kilobyte.
const FILE_LIMIT: usize = 4 * 1024 * 1024;

/// Reads the events from an offset on, and returns the offset after them.
///
/// Reads a file that became shorter from its beginning, because it is a new file. Leaves an incomplete last line for the next call. Skips
/// an incomplete line in the middle, which a killed process left, with a warning.
pub(super) fn read(path: &Path, from: usize) -> anyhow::Result<(Vec<AlertEvent>, usize)> {
    let text = contents(path)?;
    let (from, new) = text.get(from..).map_or((0, text.as_str()), |new| (from, new));
    let whole = new.rfind('\n').map_or("", |end| new.get(..=end).unwrap_or_default());
    let events = whole.lines().filter_map(|line| match serde_json::from_str(line) {
        Ok(event) => Some(event),
        Err(error) => {
            print_error(format_args!("skips a line of {}: {error}", path.display()));
            None
        }
    });
    Ok((events.collect(), from + whole.len()))
}

/// Reads all events that are kept: those of the full file that was replaced, then the current ones. The open alerts of the replacement
/// occur in both.
pub(super) fn read_all(path: &Path) -> anyhow::Result<Vec<AlertEvent>> {
    let (mut events, _) = read(&previous(path), 0)?;
    events.extend(read(path, 0)?.0);
    Ok(events)
}

fn previous(path: &Path) -> PathBuf {
    path.with_extension("previous.jsonl")
}

fn contents(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        text => text.with_context(|| format!("{}", path.display())),
    }
}

/// Appends an event. A full file is rotated: the next one begins with the open alerts.
pub(super) fn append(path: &Path, event: &AlertEvent, states: &AlertStates) -> anyhow::Result<()> {
    let mut kept = contents(path)?;
    if kept.len() > FILE_LIMIT {
        rotate(path, states)?;
        kept.clear();
    }
    let mut line = line(event)?;
    // A process that is killed while it writes leaves an incomplete line. The next event needs a line of its own.
    if !kept.is_empty() && !kept.ends_with('\n') {
        line.insert(0, '\n');
    }
    let mut file = File::options().create(true).append(true).open(path).context("the file of pages")?;
    file.write_all(line.as_bytes()).context("the file of pages")
}

/// At any time a file with the open alerts exists.
fn rotate(path: &Path, states: &AlertStates) -> anyhow::Result<()> {
    let next = path.with_extension("next.jsonl");
    let lines: Vec<_> = states.open().into_iter().map(line).collect::<Result<_, _>>()?;
    fs::write(&next, lines.concat()).context("the next file of pages")?;
    fs::copy(path, previous(path)).context("the full file of pages cannot be copied")?;
    fs::rename(&next, path).context("the full file of pages cannot be replaced")
}

fn line(event: &AlertEvent) -> anyhow::Result<String> {
    Ok(serde_json::to_string(event).context("the event as JSON")? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u32) -> DateTime<Utc> {
        format!("2026-01-01T00:{minute:02}:00Z").parse().unwrap()
    }

    fn firing(fingerprint: &str, minute: u32) -> AlertEvent {
        AlertEvent {
            received_at: at(minute),
            status: Status::Firing,
            severity: "page".to_owned(),
            alert: "TargetDown".to_owned(),
            service: "orders".to_owned(),
            slo: None,
            starts_at: at(minute),
            ends_at: None,
            found: None,
            summary: String::new(),
            description: String::new(),
            runbook: String::new(),
            fingerprint: fingerprint.to_owned(),
        }
    }

    fn resolved(fingerprint: &str, from: u32, until: u32) -> AlertEvent {
        AlertEvent { status: Status::Resolved, ends_at: Some(at(until)), ..firing(fingerprint, from) }
    }

    #[test]
    fn ended_alerts_are_not_open_and_the_oldest_page_comes_first() {
        let ticket = AlertEvent { severity: "ticket".to_owned(), ..firing("t", 1) };
        let states =
            AlertStates::of([ticket, firing("a", 7), firing("b", 3), firing("c", 5), resolved("c", 5, 9)]);
        let open: Vec<_> = states.open().iter().map(|event| event.fingerprint.as_str()).collect();
        assert_eq!(open, ["b", "a", "t"]);
    }

    #[test]
    fn repeated_and_late_events_are_not_new() {
        let states = AlertStates::of([firing("a", 1), resolved("a", 1, 2), firing("a", 5)]);
        for old in [firing("a", 1), resolved("a", 1, 2), firing("a", 5)] {
            assert!(!states.is_new(&old), "{old:?}");
        }
        for new in [resolved("a", 5, 6), firing("a", 7), firing("b", 1), resolved("b", 1, 2)] {
            assert!(states.is_new(&new), "{new:?}");
        }
    }

    #[test]
    fn the_same_alert_reverts_only_an_inferred_end() {
        let ended = resolved("a", 1, 2);
        assert!(!AlertStates::of([ended.clone()]).is_new(&firing("a", 1)));
        let inferred = AlertEvent { found: Some("no longer firing".to_owned()), ..ended.clone() };
        let states = AlertStates::of([inferred]);
        assert!(states.is_new(&firing("a", 1)));
        assert!(!states.is_new(&ended), "its end is known already");
    }

    #[test]
    fn open_alerts_are_kept_longer_than_ended_ones() {
        let mut states = AlertStates::of([firing("open", 1)]);
        for other in 0..2 * CAPACITY {
            states.record(resolved(&other.to_string(), 1, 2));
        }
        assert_eq!(states.0.len(), CAPACITY);
        assert_eq!(states.open().len(), 1);
    }

    #[test]
    fn a_torn_line_is_read_once_complete_and_a_new_file_from_its_beginning() {
        let path = std::env::temp_dir().join(format!("muster-screen-{}.jsonl", std::process::id()));
        let event = firing("1", 1);
        let line = line(&event).unwrap().trim_end().to_owned();
        fs::write(&path, format!("{line}\n{}", line.get(..10).unwrap())).unwrap();
        let (first, end) = read(&path, 0).unwrap();
        assert_eq!(first.len(), 1);
        fs::write(&path, format!("{line}\n{line}\n")).unwrap();
        let (second, end) = read(&path, end).unwrap();
        assert_eq!(second.len(), 1);
        fs::write(&path, format!("{line}\n")).unwrap();
        assert_eq!(read(&path, end).unwrap().0.len(), 1);
        fs::remove_file(path).unwrap();
    }
}
