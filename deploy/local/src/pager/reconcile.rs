//! Reconciles open alerts with Alertmanager's API (ADR 0025).
//!
//! Alertmanager sends no notification when an alert ends while it is inhibited or silenced, nor when such an alert fires again. Without
//! reconciliation an open page would stay open, and the next page would not come. Its API shows both.
//! A restarted Alertmanager has no alerts until Prometheus sends them again. So an alert counts as ended only when every answer lacks it
//! for `absent_for`; a failed request restarts that time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::events::{AlertDetails, AlertEvent, Status};
use crate::readiness::http_client;

/// Timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// Limit of the response body: some thousand alerts.
const ANSWER_LIMIT: usize = 4 * 1024 * 1024;

/// One firing alert (its API v2, `gettableAlert`).
#[derive(Debug, Deserialize)]
pub(super) struct FiringAlert {
    status: Muted,
    #[serde(flatten)]
    details: AlertDetails,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Muted {
    /// Fingerprints.
    inhibited_by: Vec<String>,
    /// Ids of silences.
    silenced_by: Vec<String>,
}

/// Gets every firing alert from Alertmanager at `url`, muted or not.
pub(super) async fn firing_at(url: &str) -> anyhow::Result<Vec<FiringAlert>> {
    let url = format!("{url}/api/v2/alerts?active=true&inhibited=true&silenced=true&unprocessed=true");
    let request = http_client().get(url).timeout(REQUEST_TIMEOUT);
    let mut response = request.send().await.context("Alertmanager does not answer")?;
    ensure!(response.status().is_success(), "Alertmanager answers {}", response.status());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.context("Alertmanager's answer breaks off")? {
        body.extend_from_slice(&chunk);
        ensure!(body.len() <= ANSWER_LIMIT, "Alertmanager's answer is longer than {ANSWER_LIMIT} bytes");
    }
    serde_json::from_slice(&body).context("Alertmanager's answer is no list of alerts")
}

/// What the answers so far said about each alert, by fingerprint.
pub(super) struct Reconciler {
    absent_for: Duration,
    alerts: BTreeMap<String, Observation>,
}

#[derive(Default)]
struct Observation {
    /// The inhibition or silence in the last answer with the alert.
    muted_by: Option<String>,
    /// One time on both clocks: a duration must not change with the system clock.
    absent_since: Option<(Instant, DateTime<Utc>)>,
}

impl Reconciler {
    /// An alert counts as ended when it is absent for this time.
    pub(super) fn new(absent_for: Duration) -> Self {
        Self { absent_for, alerts: BTreeMap::new() }
    }

    /// Compares the `unconfirmed` events with an answer, and returns the events that Alertmanager did not send.
    pub(super) fn answered(
        &mut self,
        unconfirmed: &[AlertEvent],
        firing: &[FiringAlert],
        now: Instant,
        clock: DateTime<Utc>,
    ) -> Vec<AlertEvent> {
        self.alerts
            .retain(|fingerprint, _| unconfirmed.iter().any(|event| event.fingerprint == *fingerprint));
        let found = unconfirmed.iter().filter_map(|last| {
            let alert = firing.iter().find(|alert| alert.details.fingerprint == last.fingerprint);
            match (last.status, alert) {
                (Status::Firing, Some(alert)) => {
                    let seen = Observation { muted_by: muted_by(alert, firing), absent_since: None };
                    self.alerts.insert(last.fingerprint.clone(), seen);
                    None
                }
                (Status::Firing, None) => self.absent(last, now, clock),
                (Status::Resolved, Some(alert)) => fires_again(alert, firing, clock),
                (Status::Resolved, None) => None,
            }
        });
        found.collect()
    }

    /// Records a failed request: an alert that was absent before may have been absent for the same reason.
    pub(super) fn unanswered(&mut self) {
        for observation in self.alerts.values_mut() {
            observation.absent_since = None;
        }
    }

    fn absent(&mut self, last: &AlertEvent, now: Instant, clock: DateTime<Utc>) -> Option<AlertEvent> {
        let observation = self.alerts.entry(last.fingerprint.clone()).or_default();
        let (since, at) = *observation.absent_since.get_or_insert((now, clock));
        let has_ended = now.duration_since(since) >= self.absent_for;
        has_ended.then(|| end(last, observation.muted_by.as_deref(), at, clock))
    }
}

fn fires_again(alert: &FiringAlert, firing: &[FiringAlert], now: DateTime<Utc>) -> Option<AlertEvent> {
    let found = Some("Alertmanager took it for told".to_owned());
    let is_muted = muted_by(alert, firing).is_some();
    (!is_muted).then(|| AlertEvent { found, ..AlertEvent::firing(&alert.details, now) })
}

fn muted_by(alert: &FiringAlert, all: &[FiringAlert]) -> Option<String> {
    if let Some(by) = alert.status.inhibited_by.first() {
        let name = |alert: &FiringAlert| {
            let label = |name| alert.details.labels.get(name).map_or("", String::as_str);
            format!("{} of {}", label("alertname"), label("service"))
        };
        let source = all.iter().find(|other| other.details.fingerprint == *by).map(name);
        return Some(format!("inhibited by {}", source.unwrap_or_else(|| "another alert".to_owned())));
    }
    let silence = alert.status.silenced_by.first()?;
    Some(format!("silenced by {silence}"))
}

fn end(
    event: &AlertEvent,
    muted_by: Option<&str>,
    ended_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> AlertEvent {
    let found = match muted_by {
        Some(muted_by) => format!("ended while it was {muted_by}"),
        None => "no longer firing at Alertmanager".to_owned(),
    };
    AlertEvent {
        received_at: now,
        status: Status::Resolved,
        ends_at: Some(ended_at),
        found: Some(found),
        ..event.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LASTING: Duration = Duration::from_secs(90);

    fn burn() -> AlertEvent {
        serde_json::from_value(json!({
            "received_at": "2026-01-01T00:00:30Z", "status": "firing", "severity": "page", "alert": "OrdersFinalBurn",
            "service": "orders", "slo": "final", "starts_at": "2026-01-01T00:00:00Z", "ends_at": null,
            "summary": "", "description": "", "runbook": "", "fingerprint": "burn",
        }))
        .unwrap()
    }

    fn firing(inhibited_by: &[&str], silenced_by: &[&str]) -> Vec<FiringAlert> {
        serde_json::from_value(json!([
            { "fingerprint": "burn", "labels": { "alertname": "OrdersFinalBurn", "service": "orders" },
              "annotations": {}, "startsAt": "2026-01-01T00:00:00Z",
              "status": { "state": "suppressed", "inhibitedBy": inhibited_by, "silencedBy": silenced_by } },
            { "fingerprint": "down", "labels": { "alertname": "TargetDown", "service": "orders" },
              "annotations": {}, "startsAt": "2026-01-01T00:00:00Z",
              "status": { "state": "active", "inhibitedBy": [], "silencedBy": [] } },
        ]))
        .unwrap()
    }

    /// Feeds the answers, or failed requests, at these seconds; returns the ends that were found, with the second.
    fn course(answers: &[(u64, Option<&[FiringAlert]>)]) -> Vec<(u64, String)> {
        let (open, begin) = ([burn()], Instant::now());
        let mut reconciler = Reconciler::new(LASTING);
        let mut found = Vec::new();
        for (second, answer) in answers {
            let Some(firing) = answer else {
                reconciler.unanswered();
                continue;
            };
            let ended = reconciler.answered(&open, firing, begin + Duration::from_secs(*second), Utc::now());
            found.extend(ended.into_iter().map(|event| (*second, event.found.unwrap())));
        }
        found
    }

    #[test]
    fn an_alert_that_is_absent_long_enough_ends_with_the_reason_seen_last() {
        for (seen, reason) in [
            (firing(&["down"], &[]), "ended while it was inhibited by TargetDown of orders"),
            (firing(&["gone"], &[]), "ended while it was inhibited by another alert"),
            (firing(&[], &["s1"]), "ended while it was silenced by s1"),
            (firing(&[], &[]), "no longer firing at Alertmanager"),
        ] {
            let answers = [(0, Some(&seen[..])), (15, Some(&[])), (90, Some(&[])), (105, Some(&[]))];
            assert_eq!(course(&answers), [(105, reason.to_owned())]);
        }
        assert_eq!(
            course(&[(0, Some(&[])), (90, Some(&[]))]).len(),
            1,
            "never seen, as after a restart of the pager"
        );
    }

    #[test]
    fn neither_an_outage_nor_a_restart_of_alertmanager_ends_an_alert() {
        let seen = firing(&[], &[]);
        let restarted = [
            (0, Some(&seen[..])),
            (15, Some(&[])),
            (75, Some(&seen[..])),
            (150, Some(&[])),
            (165, Some(&[])),
        ];
        assert!(course(&restarted).is_empty());
        let unreachable =
            [(0, Some(&seen[..])), (15, Some(&[])), (30, None), (120, Some(&[])), (195, Some(&[]))];
        assert!(course(&unreachable).is_empty());
    }

    #[test]
    fn an_alert_with_an_inferred_end_fires_again_unless_it_is_muted() {
        let inferred = end(&burn(), None, Utc::now(), Utc::now());
        let asked = |firing: &[FiringAlert]| {
            let inferred = std::slice::from_ref(&inferred);
            Reconciler::new(LASTING).answered(inferred, firing, Instant::now(), Utc::now())
        };
        assert!(asked(&[]).is_empty());
        assert!(asked(&firing(&["down"], &[])).is_empty());
        let begun = asked(&firing(&[], &[])).remove(0);
        assert_eq!((begun.status, begun.alert.as_str()), (Status::Firing, "OrdersFinalBurn"));
    }
}
