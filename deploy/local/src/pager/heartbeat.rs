//! The heartbeat: the alert `Watchdog` always fires, and Alertmanager repeats it. When it stays away, no other alert arrives
//! either, and only the receiver can say so.

use std::time::{Duration, Instant};

use super::event::{AlertEvent, Status};
use super::states::AlertStates;

/// The alert that always fires (`deploy/monitoring/causes.yaml`).
pub(super) const ALERT: &str = "Watchdog";

/// When the heartbeat came last, and whether its absence was reported.
pub(super) struct Heartbeat {
    within: Duration,
    last: Instant,
    missing: Option<AlertEvent>,
}

impl Heartbeat {
    /// Expects a heartbeat `within` this time. An absence that is open in `states` stays open until the next heartbeat.
    pub(super) fn new(within: Duration, states: &AlertStates) -> Self {
        let missing = states.open().into_iter().find(|event| event.alert == ALERT).cloned();
        Self { within, last: Instant::now(), missing }
    }

    /// Takes a heartbeat, and returns the end of the absence that was reported before it, if one was.
    pub(super) fn beat(&mut self, event: &AlertEvent) -> Option<AlertEvent> {
        // Alertmanager also sends that it ended: by then Prometheus has stopped sending it.
        if event.status == Status::Resolved {
            return None;
        }
        self.last = Instant::now();
        self.missing.take().map(|missing| AlertEvent {
            status: Status::Resolved,
            received_at: event.received_at.clone(),
            ends_at: Some(event.received_at.clone()),
            summary: "The heartbeat is back: alerts arrive again".to_owned(),
            ..missing
        })
    }

    /// Returns the page for an absence that is too long and not reported yet.
    pub(super) fn absence(&mut self, received_at: &str) -> Option<AlertEvent> {
        if self.missing.is_some() || self.last.elapsed() < self.within {
            return None;
        }
        let page = AlertEvent {
            received_at: received_at.to_owned(),
            status: Status::Firing,
            severity: "page".to_owned(),
            alert: ALERT.to_owned(),
            service: "monitoring".to_owned(),
            slo: None,
            starts_at: received_at.to_owned(),
            ends_at: None,
            found: None,
            summary: format!("No heartbeat from the monitoring for {} s", self.within.as_secs()),
            description: "Impact: no other alert arrives either, whatever happens.".to_owned(),
            runbook: "docs/runbooks/Watchdog.md".to_owned(),
            fingerprint: "heartbeat".to_owned(),
        };
        self.missing = Some(page.clone());
        Some(page)
    }
}
