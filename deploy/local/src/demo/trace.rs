//! One trace as the trace store has it, and as a tree on the terminal.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::readiness::http_client;

/// A span as Zipkin gives it out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Span {
    id: String,
    parent_id: Option<String>,
    name: String,
    kind: Option<String>,
    /// Microseconds since the epoch.
    timestamp: u64,
    /// Microseconds.
    duration: u64,
    local_endpoint: Endpoint,
    tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    service_name: String,
}

/// The ids under which a client's request becomes part of a trace (W3C Trace Context).
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) trace_id: String,
    span_id: String,
}

impl Parent {
    pub(super) fn random() -> Self {
        Self {
            trace_id: hex::encode(rand::random::<[u8; 16]>()),
            span_id: hex::encode(rand::random::<[u8; 8]>()),
        }
    }

    pub(super) fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }
}

/// The spans of a trace that have arrived so far.
pub(super) async fn fetch(trace_id: &str, zipkin_url: &str) -> anyhow::Result<Vec<Span>> {
    let url = format!("{zipkin_url}/api/v2/trace/{trace_id}");
    let response = http_client().get(url).send().await.context("Zipkin does not answer")?;
    let status = response.status();
    if status == 404 {
        return Ok(Vec::new());
    }
    ensure!(status.is_success(), "Zipkin answers {status}");
    response.json().await.context("Zipkin's answer is no trace")
}

/// The services that have a span among these.
pub(super) fn services(spans: &[Span]) -> BTreeSet<&str> {
    spans.iter().map(|span| span.local_endpoint.service_name.as_str()).collect()
}

/// The spans as lines of a tree: when each began, how long it took, whose it is, what it did.
pub(super) fn tree(spans: &[Span]) -> Vec<String> {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let begun_at = spans.iter().map(|span| span.timestamp).min().unwrap_or_default();
    let mut children: BTreeMap<Option<&str>, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        // The parent of the first span is the client, who reports none.
        let parent = span.parent_id.as_deref().filter(|parent| ids.contains(parent));
        children.entry(parent).or_default().push(span);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|span| (span.timestamp, &span.id));
    }
    let mut lines = vec!["     began     lasted  service".to_owned()];
    append(&mut lines, &mut children, None, begun_at, 0);
    lines
}

/// Takes each span's children out of the map, so that it ends even if ids were to form a ring.
fn append<'a>(
    lines: &mut Vec<String>,
    children: &mut BTreeMap<Option<&'a str>, Vec<&'a Span>>,
    parent: Option<&'a str>,
    begun_at: u64,
    depth: usize,
) {
    for span in children.remove(&parent).unwrap_or_default() {
        let Span { name, local_endpoint: Endpoint { service_name }, .. } = span;
        let indent = "  ".repeat(depth);
        let began = milliseconds(span.timestamp - begun_at);
        let lasted = milliseconds(span.duration);
        let kind = span.kind.as_deref().map(|kind| format!(" [{}]", kind.to_lowercase()));
        let kind = kind.unwrap_or_default();
        let error = span.tags.get("error").map(|error| format!("  error: {error}"));
        let error = error.unwrap_or_default();
        lines.push(format!("{began:>10} {lasted:>10}  {service_name:<15} {indent}{name}{kind}{error}"));
        append(lines, children, Some(&span.id), begun_at, depth + 1);
    }
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{} ms", microseconds / 1000, microseconds % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, service: &str, timestamp: u64) -> Span {
        Span {
            id: id.to_owned(),
            parent_id: parent.map(str::to_owned),
            name: format!("do {id}"),
            timestamp,
            duration: 1500,
            local_endpoint: Endpoint { service_name: service.to_owned() },
            ..Span::default()
        }
    }

    #[test]
    fn spans_stand_below_their_parents_in_the_order_of_time() {
        let spans = [
            span("late", Some("first"), "email-consumer", 3_000_000),
            span("early", Some("first"), "orders", 2_000_000),
            span("inner", Some("early"), "orders", 2_000_500),
            span("first", Some("the client"), "orders", 1_000_000),
        ];
        assert_eq!(
            tree(&spans)[1..],
            [
                "    0.0 ms     1.5 ms  orders          do first",
                " 1000.0 ms     1.5 ms  orders            do early",
                " 1000.5 ms     1.5 ms  orders              do inner",
                " 2000.0 ms     1.5 ms  email-consumer    do late",
            ]
        );
        assert_eq!(services(&spans), BTreeSet::from(["email-consumer", "orders"]));
    }
}
