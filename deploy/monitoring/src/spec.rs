//! Objectives as Sloth's `prometheus/v1` writes them; ADR 0014 says why that format, and which part of it this is.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The objectives of one service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    #[expect(dead_code, reason = "read only to be one of those there are")]
    version: Version,
    pub(crate) service: String,
    pub(crate) slos: Vec<Slo>,
}

#[derive(Debug, Deserialize)]
enum Version {
    #[serde(rename = "prometheus/v1")]
    PrometheusV1,
}

/// One objective.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slo {
    pub(crate) name: String,
    /// The target share of good events, in percent.
    pub(crate) objective: f64,
    /// In words, with the reason. For people, and for other tools.
    #[expect(dead_code, reason = "required, so that every number has a reason")]
    description: String,
    pub(crate) sli: Sli,
    pub(crate) alerting: Alerting,
}

/// What is counted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sli {
    pub(crate) events: Events,
}

/// Rates of events, with `{{.window}}` where the range stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Events {
    pub(crate) error_query: String,
    pub(crate) total_query: String,
}

/// How its alerts are called and what they say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alerting {
    pub(crate) name: String,
    pub(crate) annotations: Annotations,
    pub(crate) page_alert: Severity,
    pub(crate) ticket_alert: Severity,
}

/// Annotations that every objective has; templates of Prometheus, with `$value` the share of bad events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Annotations {
    pub(crate) summary: String,
    pub(crate) impact: String,
}

/// Labels by which alerts are routed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Severity {
    pub(crate) labels: BTreeMap<String, String>,
}
