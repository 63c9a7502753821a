//! The conversion of OTLP spans into Zipkin v2 spans, after the OpenTelemetry specification
//! ("OpenTelemetry to Zipkin Transformation"). Span links are dropped: Zipkin has none.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::{
        v1 as otlp,
        v1::{span::SpanKind, status::StatusCode},
    },
};
use serde_json::{Map, Value as Json, json};

/// The result of a conversion.
#[derive(Debug)]
pub(super) struct Converted {
    /// Spans of Zipkin's API v2.
    pub(super) spans: Vec<Json>,
    /// Spans without usable ids.
    pub(super) n_rejected: i64,
}

/// Converts all spans of an export.
pub(super) fn convert(export: &ExportTraceServiceRequest) -> Converted {
    let mut converted = Converted { spans: Vec::new(), n_rejected: 0 };
    for resource_spans in &export.resource_spans {
        let service_name = service_name(resource_spans);
        for span in resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
            match convert_span(span, service_name) {
                Some(span) => converted.spans.push(span),
                None => converted.n_rejected += 1,
            }
        }
    }
    converted
}

fn service_name(spans: &otlp::ResourceSpans) -> &str {
    let attributes = spans.resource.iter().flat_map(|resource| &resource.attributes);
    attributes
        .filter(|attribute| attribute.key == "service.name")
        .find_map(|attribute| match attribute.value.as_ref()?.value.as_ref()? {
            Value::StringValue(name) => Some(name.as_str()),
            _ => None,
        })
        .unwrap_or("unknown_service")
}

/// Times are in microseconds. Zipkin takes a duration of 0 for "unknown", so the shortest is 1.
fn convert_span(span: &otlp::Span, service_name: &str) -> Option<Json> {
    let started_at = span.start_time_unix_nano / 1000;
    let ended_at = span.end_time_unix_nano / 1000;
    let mut converted = json!({
        "traceId": hex_id::<16>(&span.trace_id)?,
        "id": hex_id::<8>(&span.span_id)?,
        "name": span.name,
        "timestamp": started_at,
        "duration": ended_at.saturating_sub(started_at).max(1),
        "localEndpoint": { "serviceName": service_name },
        "annotations": span.events.iter().map(annotation).collect::<Vec<_>>(),
        "tags": tags(span),
    });
    if let Some(parent) = hex_id::<8>(&span.parent_span_id) {
        converted["parentId"] = parent.into();
    }
    if let Some(kind) = kind(span.kind()) {
        converted["kind"] = kind.into();
    }
    Some(converted)
}

/// Returns the id in hexadecimal; `None` if its length is wrong or all bytes are zero.
fn hex_id<const LENGTH: usize>(bytes: &[u8]) -> Option<String> {
    (bytes.len() == LENGTH && bytes.iter().any(|byte| *byte != 0)).then(|| hex::encode(bytes))
}

fn kind(kind: SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Server => Some("SERVER"),
        SpanKind::Client => Some("CLIENT"),
        SpanKind::Producer => Some("PRODUCER"),
        SpanKind::Consumer => Some("CONSUMER"),
        SpanKind::Internal | SpanKind::Unspecified => None,
    }
}

fn annotation(event: &otlp::span::Event) -> Json {
    let value = if event.attributes.is_empty() {
        event.name.clone()
    } else {
        format!("{}: {}", event.name, Json::Object(object(&event.attributes)))
    };
    json!({ "timestamp": event.time_unix_nano / 1000, "value": value })
}

/// The attributes, and the status as the tags `otel.status_code` and `error`.
fn tags(span: &otlp::Span) -> BTreeMap<String, String> {
    let attributes = span.attributes.iter().filter_map(|KeyValue { key, value, .. }| {
        let text = match json(value.as_ref()?) {
            Json::String(text) => text,
            other => other.to_string(),
        };
        Some((key.clone(), text))
    });
    let mut tags: BTreeMap<String, String> = attributes.collect();
    let Some(status) = &span.status else { return tags };
    match status.code() {
        StatusCode::Unset => {}
        StatusCode::Ok => drop(tags.insert("otel.status_code".to_owned(), "OK".to_owned())),
        StatusCode::Error => {
            let reason = match status.message.as_str() {
                "" => "true",
                message => message,
            };
            tags.insert("otel.status_code".to_owned(), "ERROR".to_owned());
            tags.insert("error".to_owned(), reason.to_owned());
        }
    }
    tags
}

fn json(value: &AnyValue) -> Json {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone().into(),
        Some(Value::BoolValue(flag)) => (*flag).into(),
        Some(Value::IntValue(number)) => (*number).into(),
        Some(Value::DoubleValue(number)) => (*number).into(),
        Some(Value::ArrayValue(array)) => array.values.iter().map(json).collect(),
        Some(Value::KvlistValue(list)) => Json::Object(object(&list.values)),
        Some(Value::BytesValue(bytes)) => hex::encode(bytes).into(),
        _ => Json::Null,
    }
}

fn object(attributes: &[KeyValue]) -> Map<String, Json> {
    let pairs = attributes
        .iter()
        .filter_map(|KeyValue { key, value, .. }| Some((key.clone(), json(value.as_ref()?))));
    pairs.collect()
}
