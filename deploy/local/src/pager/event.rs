//! Events of alerts: what Alertmanager sends, and what the file of the pager keeps.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

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
    ends_at: String,
    #[serde(flatten)]
    details: AlertDetails,
}

/// The fields of an alert that both the webhook and Alertmanager's API have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertDetails {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) starts_at: String,
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
    /// How the pager found this event, if Alertmanager did not send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<String>,
    pub(super) summary: String,
    /// Impact and what is left of the budget, a line each.
    pub(super) description: String,
    /// Path of the runbook in the repository.
    pub(super) runbook: String,
    /// Identifies the alert: a hash of its labels.
    pub(super) fingerprint: String,
}

impl AlertEvent {
    pub(super) fn new(alert: &Alert, received_at: String) -> Self {
        let ends_at = (alert.status == Status::Resolved).then(|| alert.ends_at.clone());
        Self { status: alert.status, ends_at, ..Self::firing(&alert.details, received_at) }
    }

    /// An alert that fires.
    pub(super) fn firing(about: &AlertDetails, received_at: String) -> Self {
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

    /// Whether the pager inferred the end of the alert, without a notification of Alertmanager.
    pub(super) fn is_inferred(&self) -> bool {
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
impl WebhookBody {
    pub(super) fn set_fingerprint(&mut self, fingerprint: &str) {
        for alert in &mut self.alerts {
            fingerprint.clone_into(&mut alert.details.fingerprint);
        }
    }

    pub(super) fn rename(&mut self, alertname: &str) {
        for alert in &mut self.alerts {
            alert.details.labels.insert("alertname".to_owned(), alertname.to_owned());
        }
    }
}
