//! Spans that arrived at the trace store.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{client, endpoints};

/// A span as Zipkin has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// The id.
    pub id: String,
    /// The id of the span around it; `None` for a root.
    pub parent_id: Option<String>,
    /// What was done, in lower case.
    #[serde(default)]
    pub name: String,
    /// `CLIENT`, `SERVER`, `PRODUCER`, `CONSUMER` or nothing.
    pub kind: Option<String>,
    /// Which service did it.
    #[serde(default)]
    local_endpoint: LocalEndpoint,
    /// The attributes.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocalEndpoint {
    #[serde(default)]
    service_name: String,
}

impl Span {
    /// Returns the name of the service that the span is of.
    pub fn service(&self) -> &str {
        &self.local_endpoint.service_name
    }
}

/// The trace store of this run.
#[derive(Debug)]
pub struct Zipkin;

impl Zipkin {
    /// Returns the spans of a trace that have arrived so far.
    pub async fn trace(trace_id: &str) -> Vec<Span> {
        let url = format!("{}/api/v2/trace/{trace_id}", endpoints().zipkin_url);
        let answer = client().get(&url).send().await.unwrap_or_else(|error| panic!("GET {url}: {error:?}"));
        if answer.status() == 404 {
            return Vec::new();
        }
        answer.json().await.unwrap_or_else(|error| panic!("GET {url}: {error:?}"))
    }
}
