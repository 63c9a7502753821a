//! Objectives in a subset of Sloth's `prometheus/v1`; ADR 0014 has the reasons.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The objectives of one service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    #[expect(dead_code, reason = "deserialized only to check it")]
    version: Version,
    pub(crate) service: String,
    pub(crate) slos: Vec<Slo>,
}

#[derive(Debug, Deserialize)]
enum Version {
    #[serde(rename = "prometheus/v1")]
    PrometheusV1,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slo {
    pub(crate) name: String,
    /// The target share of good events, in percent.
    pub(crate) objective: f64,
    /// The objective in words, with its reason.
    #[expect(dead_code, reason = "required, so that every number has a reason")]
    description: String,
    pub(crate) sli: Sli,
    pub(crate) alerting: Alerting,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sli {
    pub(crate) events: Events,
}

/// Rates of events, with `{{.window}}` in the place of the range.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Events {
    pub(crate) error_query: String,
    pub(crate) total_query: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alerting {
    pub(crate) name: String,
    pub(crate) annotations: Annotations,
    pub(crate) page_alert: Severity,
    pub(crate) ticket_alert: Severity,
}

/// Annotations as templates of Prometheus; `$value` is the error ratio.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Annotations {
    pub(crate) summary: String,
    pub(crate) impact: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Severity {
    pub(crate) labels: BTreeMap<String, String>,
}
