//! Client of Zipkin's HTTP API: reads the spans of a trace.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::connections::{Connections, Limits, get};

/// A trace store.
#[derive(Debug)]
pub struct Zipkin {
    server: Connections,
}

/// A span as Zipkin returns it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Span {
    /// The id.
    pub id: String,
    /// The id of the parent; `None` for a root.
    pub parent_id: Option<String>,
    /// The operation, in lower case.
    pub name: String,
    /// `CLIENT`, `SERVER`, `PRODUCER`, `CONSUMER` or nothing.
    pub kind: Option<String>,
    /// Start in microseconds since the epoch.
    pub timestamp: u64,
    /// Duration in microseconds.
    pub duration: u64,
    /// The service that reported it.
    pub local_endpoint: Endpoint,
    /// The attributes.
    pub tags: BTreeMap<String, String>,
}

/// The reporter of a span.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// The name of the service.
    pub service_name: String,
}

impl Span {
    /// Returns the name of the service that reported the span.
    pub fn service(&self) -> &str {
        &self.local_endpoint.service_name
    }
}

/// Returns the services that reported these spans.
pub fn services(spans: &[Span]) -> BTreeSet<&str> {
    spans.iter().map(Span::service).collect()
}

impl Zipkin {
    /// Opens no connection yet. `url` is `http://host:port`.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self { server: Connections::new(url, Limits::FEW)? })
    }

    /// Returns the spans of a trace that have arrived so far.
    pub async fn trace(&self, trace_id: &str) -> anyhow::Result<Vec<Span>> {
        let answer = self.server.call(get(&format!("/api/v2/trace/{trace_id}"))?).await?;
        if answer.status == 404 { Ok(Vec::new()) } else { answer.expect(200)?.json() }
    }
}
