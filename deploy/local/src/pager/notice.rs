//! What a page or a ticket says.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
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
    ends_at: String,
    #[serde(flatten)]
    about: About,
}

/// What both a notification and Alertmanager's API say of an alert.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) starts_at: String,
    pub(super) fingerprint: String,
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
    /// How this was found, when Alertmanager did not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<String>,
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
        let ends_at = (alert.status == Status::Resolved).then(|| alert.ends_at.clone());
        Self { status: alert.status, ends_at, ..Self::firing(&alert.about, received_at) }
    }

    /// An alert that fires.
    pub(super) fn firing(about: &About, received_at: String) -> Self {
        let of = |map: &BTreeMap<String, String>, name: &str| map.get(name).cloned();
        let label = |name| of(&about.labels, name).unwrap_or_default();
        let annotation = |name| of(&about.annotations, name).unwrap_or_default();
        Self {
            received_at,
            status: Status::Firing,
            severity: label("severity"),
            alert: label("alertname"),
            service: label("service"),
            slo: of(&about.labels, "slo"),
            starts_at: about.starts_at.clone(),
            ends_at: None,
            found: None,
            summary: annotation("summary"),
            description: annotation("description"),
            runbook: annotation("runbook_url"),
            fingerprint: about.fingerprint.clone(),
        }
    }

    /// Whether the alert is taken to have ended, and nobody told so.
    pub(super) fn is_concluded(&self) -> bool {
        self.status == Status::Resolved && self.found.is_some()
    }

    /// When the alert began to fire; nothing when the sender wrote no time.
    pub(super) fn began(&self) -> Option<DateTime<Utc>> {
        self.starts_at.parse().ok()
    }

    /// When it ended.
    pub(super) fn ended(&self) -> Option<DateTime<Utc>> {
        self.ends_at.as_deref()?.parse().ok()
    }

    /// When it arrived here.
    pub(super) fn received(&self) -> Option<DateTime<Utc>> {
        self.received_at.parse().ok()
    }
}

#[cfg(test)]
impl Notification {
    pub(super) fn set_fingerprint(&mut self, fingerprint: &str) {
        for alert in &mut self.alerts {
            fingerprint.clone_into(&mut alert.about.fingerprint);
        }
    }

    pub(super) fn rename(&mut self, alertname: &str) {
        for alert in &mut self.alerts {
            alert.about.labels.insert("alertname".to_owned(), alertname.to_owned());
        }
    }
}
