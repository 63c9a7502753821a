//! What the monitoring of the stack says: objectives, alerts, and work that waits.

use std::{
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use monitoring::{FLOOR, Objective};
use reqwest::Url;
use serde_json::Value;

use crate::{
    config::StackConfig,
    pager::{self, FiredAlert},
    parts::monitoring::pages_file,
    ports::url,
    readiness::http_client,
};

/// Work that still waits after a fault, as in docs/runbooks/README.md: each must be zero.
const WAITING: [&str; 4] = [
    "sum(orders_overdue)",
    "sum(outbox_parked_rows)",
    "sum(outbox_oldest_unpublished_seconds > 5)",
    "sum(consumer_oldest_unhandled_seconds > 10)",
];

/// Values of a series with their times, in seconds since 1970.
pub(crate) type Samples = Vec<(f64, f64)>;

/// Reads Prometheus and the pager of one stack.
#[derive(Debug)]
pub(crate) struct Monitor {
    prometheus: String,
    pages: PathBuf,
    objectives: Vec<Objective>,
}

impl Monitor {
    pub(crate) fn new(config: &StackConfig) -> anyhow::Result<Self> {
        let sources = config.checkout.root().join("deploy/monitoring");
        Ok(Self {
            prometheus: url(config.ports.prometheus()),
            pages: pages_file(&config.state_dir),
            objectives: monitoring::objectives(&sources)?,
        })
    }

    /// Why the system is not well; `None` if every objective is met over the last 30 seconds, or has few bad events, nothing waits and no
    /// page is open.
    pub(crate) async fn complaint(&self) -> anyhow::Result<Option<String>> {
        for objective in &self.objectives {
            let selector = format!(
                "slo:error_ratio:rate30m{{service=\"{}\",slo=\"{}\"}}",
                objective.service, objective.name
            );
            let Some(ratio) = self.value(&selector).await? else {
                return Ok(Some(format!("objective {} is not measured", objective.name)));
            };
            // Not a number: no event in the window. Few bad events count as little as they do for the alerts.
            if ratio > objective.allowed_error_ratio && self.bad_events(objective).await? >= f64::from(FLOOR)
            {
                let (ratio, allowed) = (ratio * 100.0, objective.allowed_error_ratio * 100.0);
                return Ok(Some(format!(
                    "objective {}: {ratio:.2} % bad, {allowed:.2} % allowed",
                    objective.name
                )));
            }
        }
        for query in WAITING {
            if let Some(value) = self.value(query).await?
                && value > 0.0
            {
                return Ok(Some(format!("work still waits: {query} is {value}")));
            }
        }
        let firing = self.firing_pages().await?;
        Ok(firing.first().map(|alert| format!("{alert} still fires")))
    }

    /// The bad events of one minute.
    async fn bad_events(&self, objective: &Objective) -> anyhow::Result<f64> {
        let Objective { service, name, .. } = objective;
        let query = format!("slo:errors:increase1h{{service=\"{service}\",slo=\"{name}\"}}");
        Ok(self.value(&query).await?.unwrap_or_default())
    }

    /// The names of the pages that fire at Prometheus.
    pub(crate) async fn firing_pages(&self) -> anyhow::Result<Vec<String>> {
        let result = self.query("ALERTS{alertstate=\"firing\",severity=\"page\"}").await?;
        let name = |sample: &Value| sample["metric"]["alertname"].as_str().map(str::to_owned);
        Ok(result.iter().filter_map(name).collect())
    }

    /// When an alert first fired in Prometheus since then, also if Alertmanager inhibits it.
    pub(crate) async fn first_fired(
        &self,
        alert: &str,
        severity: &str,
        since: DateTime<Utc>,
    ) -> anyhow::Result<Option<DateTime<Utc>>> {
        let query = format!("ALERTS{{alertname=\"{alert}\",severity=\"{severity}\",alertstate=\"firing\"}}");
        let samples = self.range(&query, since, Utc::now()).await?;
        let at = |(seconds, _): &(f64, f64)| Duration::try_from_secs_f64(*seconds).ok();
        Ok(samples.first().and_then(at).map(|since_1970| DateTime::from(UNIX_EPOCH + since_1970)))
    }

    /// Alerts that the pager received after `since`, each firing once.
    pub(crate) fn alerts_since(&self, since: DateTime<Utc>) -> anyhow::Result<Vec<FiredAlert>> {
        pager::fired_since(&self.pages, since)
    }

    /// Alerts that were acknowledged after `since`.
    pub(crate) fn acknowledged_since(&self, since: DateTime<Utc>) -> anyhow::Result<Vec<String>> {
        pager::acknowledged_since(&self.pages, since)
    }

    pub(crate) fn objectives(&self) -> &[Objective] {
        &self.objectives
    }

    /// The first series of a query between two times, one sample per two seconds.
    pub(crate) async fn range(
        &self,
        query: &str,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> anyhow::Result<Samples> {
        let (start, end) = (from.to_rfc3339(), until.to_rfc3339());
        let parameters = [("query", query), ("start", &start), ("end", &end), ("step", "2s")];
        let result = self.get("query_range", &parameters).await?;
        let values =
            result.first().and_then(|series| series["values"].as_array()).cloned().unwrap_or_default();
        Ok(values
            .iter()
            .filter_map(|value| Some((value[0].as_f64()?, value[1].as_str()?.parse().ok()?)))
            .collect())
    }

    async fn value(&self, query: &str) -> anyhow::Result<Option<f64>> {
        let result = self.query(query).await?;
        result
            .first()
            .map(|sample| sample["value"][1].as_str().unwrap_or_default().parse().context("a sample"))
            .transpose()
    }

    async fn query(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        self.get("query", &[("query", query)]).await
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Vec<Value>> {
        let url = Url::parse_with_params(&format!("{}/api/v1/{path}", self.prometheus), parameters)
            .context("the URL of Prometheus")?;
        let response = http_client().get(url).send().await.context("Prometheus does not answer")?;
        let status = response.status();
        let body: Value = response.json().await.context("Prometheus answers no JSON")?;
        ensure!(status.is_success(), "Prometheus refuses {parameters:?}: {}", body["error"]);
        Ok(body["data"]["result"].as_array().cloned().unwrap_or_default())
    }
}
