//! What a page or a ticket says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What Alertmanager sends to a webhook: the part that is used here.
#[derive(Debug, Deserialize)]
pub(super) struct Notification {
    pub(super) alerts: Vec<Alert>,
}

/// One alert of a notification.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    status: Status,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: String,
    ends_at: String,
    fingerprint: String,
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Firing,
    Resolved,
}

/// One line of the file: an alert began or ended, and somebody is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notice {
    /// When it arrived here (RFC 3339, UTC).
    pub(super) received_at: String,
    pub(super) status: Status,
    /// `page` or `ticket`.
    pub(super) severity: String,
    pub(super) alert: String,
    pub(super) service: String,
    /// The objective, of an alert that speaks for one.
    pub(super) slo: Option<String>,
    /// When the alert began to fire (RFC 3339).
    pub(super) starts_at: String,
    /// When it ended, once it has.
    pub(super) ends_at: Option<String>,
    pub(super) summary: String,
    /// Impact and what is left of the budget, a line each.
    pub(super) description: String,
    /// Path of the runbook in the repository.
    pub(super) runbook: String,
    /// What tells this alert from others.
    pub(super) fingerprint: String,
}

impl Notice {
    pub(super) fn new(alert: &Alert, received_at: String) -> Self {
        let of = |map: &BTreeMap<String, String>, name: &str| map.get(name).cloned();
        let label = |name| of(&alert.labels, name).unwrap_or_default();
        let annotation = |name| of(&alert.annotations, name).unwrap_or_default();
        Self {
            received_at,
            status: alert.status,
            severity: label("severity"),
            alert: label("alertname"),
            service: label("service"),
            slo: of(&alert.labels, "slo"),
            starts_at: alert.starts_at.clone(),
            ends_at: (alert.status == Status::Resolved).then(|| alert.ends_at.clone()),
            summary: annotation("summary"),
            description: annotation("description"),
            runbook: annotation("runbook_url"),
            fingerprint: alert.fingerprint.clone(),
        }
    }

    /// Whether it says what the other one said: Alertmanager repeats a group when anything in it changes.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
            && self.starts_at == other.starts_at
            && self.status == other.status
    }
}

#[cfg(test)]
impl Notification {
    pub(super) fn rename(&mut self, alertname: &str) {
        for alert in &mut self.alerts {
            alert.labels.insert("alertname".to_owned(), alertname.to_owned());
        }
    }
}
