//! Log events as JSON lines: flat, one write each, with the ids of their span.
//!
//! A line has `timestamp`, `level`, `target`, `message`, the fields of the event, the fields [`INHERITED`] from its spans, `trace_id` and `span_id`.
//! Other fields of spans go to the trace store only.

use std::{borrow::Cow, fmt, io::Write as _, sync::OnceLock};

use opentelemetry::trace::TraceContextExt as _;
use serde::Serializer as _;
use serde_json::Value;
use tracing::{
    Dispatch, Event, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    layer::Context,
    registry::LookupSpan,
};

use crate::collector::with_causes;

/// The fields that a line inherits from its spans.
const INHERITED: &[&str] = &["request_id", "task"];

/// The members of every line. A field with such a name gets an underscore.
const RESERVED: &[&str] = &["timestamp", "level", "target", "trace_id", "span_id"];

pub(super) struct JsonLines<W> {
    writer: W,
    dispatch: OnceLock<WeakDispatch>,
}

impl<W> JsonLines<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, dispatch: OnceLock::new() }
    }

    /// Adds the trace and span id. The extensions of the span must not be borrowed.
    fn add_trace(&self, span: &span::Id, line: &mut Line) {
        let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade) else { return };
        let Some(context) = tracing_opentelemetry::get_otel_context(span, &dispatch) else { return };
        let context = context.span().span_context().clone();
        if context.is_valid() {
            line.add("trace_id", context.trace_id().to_string());
            line.add("span_id", context.span_id().to_string());
        }
    }
}

/// The members of a line, in order.
#[derive(Default)]
struct Line(Vec<(Cow<'static, str>, Value)>);

impl Line {
    fn add(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Returns the line as JSON, with the end of line.
    fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        let members = self.0.iter().map(|(name, value)| (name, value));
        serde_json::Serializer::new(&mut bytes)
            .collect_map(members)
            .expect("text and numbers always serialise");
        bytes.push(b'\n');
        bytes
    }
}

/// The inherited fields of one span, kept in its extensions.
struct Inherited(Line);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A second registration is of the same subscriber.
        self.dispatch.get_or_init(|| dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::inherited();
            attributes.record(&mut fields);
            span.extensions_mut().insert(Inherited(fields.line));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(Inherited(known)) = span.extensions_mut().get_mut()
        {
            let mut fields = Fields::inherited();
            values.record(&mut fields);
            known.0.retain(|(name, _)| !fields.line.has(name));
            known.0.append(&mut fields.line.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = own_fields(event);
        if let Some(span) = context.event_span(event) {
            for ancestor in span.scope() {
                if let Some(Inherited(fields)) = ancestor.extensions().get() {
                    for (name, value) in &fields.0 {
                        if !line.has(name) {
                            line.add(name.clone(), value.clone());
                        }
                    }
                }
            }
            self.add_trace(&span.id(), &mut line);
        }
        // A failure to write the log cannot be reported.
        drop(self.writer.make_writer_for(event.metadata()).write_all(&line.into_bytes()));
    }
}

fn own_fields(event: &Event<'_>) -> Line {
    let metadata = event.metadata();
    let mut fields = Fields::all();
    event.record(&mut fields);
    let mut line = Line::default();
    line.add("timestamp", now());
    line.add("level", metadata.level().as_str());
    line.add("target", fields.log_target.take().unwrap_or_else(|| metadata.target().into()));
    line.0.append(&mut fields.line.0);
    line
}

/// RFC 3339, UTC, microseconds.
fn now() -> String {
    let mut text = String::with_capacity(32);
    SystemTime.format_time(&mut Writer::new(&mut text)).expect("writing to a string does not fail");
    text
}

struct Fields {
    inherited_only: bool,
    line: Line,
    /// The target of a record that came through the `log` crate, whose own is always `log`.
    log_target: Option<Value>,
}

impl Fields {
    fn all() -> Self {
        Self { inherited_only: false, line: Line::default(), log_target: None }
    }

    fn inherited() -> Self {
        Self { inherited_only: true, ..Self::all() }
    }

    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if self.inherited_only && !INHERITED.contains(&name) {
            return;
        }
        if name == "log.target" {
            self.log_target = Some(value);
        } else if RESERVED.contains(&name) {
            self.line.add(format!("{name}_"), value);
        } else if !name.starts_with("log.") {
            self.line.add(name.trim_start_matches("r#"), value);
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    /// The type of durations in milliseconds; a value out of range is written as text.
    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, u64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        self.put(field, with_causes(error).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests;
