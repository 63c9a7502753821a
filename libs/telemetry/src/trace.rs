//! W3C Trace Context and Baggage: in HTTP headers, and stored with a row or an event.

mod baggage;
mod traceparent;
mod tracestate;

use std::fmt;

use actix_web::http::header::HeaderMap as InboundHeaders;
use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _, TraceState},
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetrySpanExt as _, SetParentError};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// Optional whitespace of RFC 9110, section 5.6.3.
const OWS: [char; 2] = [' ', '\t'];

/// The values of the headers that connect a request, a row or an event to its cause.
///
/// They may come from anyone: [`Propagation::set_parent`] reads them by the grammars of the W3C and bounds them. A malformed value is never an
/// error.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Propagation {
    /// Trace id, span id, and whether the trace is recorded.
    pub traceparent: Option<String>,
    /// Data of tracing systems, such as a sampling decision.
    pub tracestate: Option<String>,
    /// Properties of the request. They can hold personal data: nothing here reads, logs or records them.
    pub baggage: Option<String>,
}

/// What the context of a span holds beside its `SpanContext`. [`TraceState`] refuses some keys of Trace Context Level 2.
#[derive(Clone, Default)]
struct Carried {
    tracestate: Option<String>,
    baggage: Option<String>,
}

impl Propagation {
    /// Returns the values for what the current span causes. All are absent without tracing.
    pub fn current() -> Self {
        let context = Span::current().context();
        let Carried { tracestate, baggage } = context.get().cloned().unwrap_or_default();
        Self { traceparent: traceparent::write(context.span().span_context()), tracestate, baggage }
    }

    /// Returns these values, or the other ones without tracing.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        if self.traceparent.is_some() { self } else { other.clone() }
    }

    /// Finds the values by the names of their headers.
    pub fn from_headers(find: impl Fn(&str) -> Option<String>) -> Self {
        Self { traceparent: find(TRACEPARENT), tracestate: find(TRACESTATE), baggage: find(BAGGAGE) }
    }

    /// Returns the names and values of the headers.
    pub fn to_headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [(TRACEPARENT, &self.traceparent), (TRACESTATE, &self.tracestate), (BAGGAGE, &self.baggage)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// Makes a span continue the trace and carry the baggage. Values that are absent or malformed have no effect. Call it right after making the
    /// span, before logging in it.
    pub fn set_parent(&self, span: &Span) {
        if let Some(parent) = self.context() {
            adopt(span, parent);
        }
    }

    /// The context of the cause. A `tracestate` means nothing without its `traceparent`; baggage is independent of both.
    fn context(&self) -> Option<Context> {
        let ids = self.traceparent.as_deref().and_then(traceparent::read);
        let tracestate = ids.and(self.tracestate.as_deref()).and_then(tracestate::read);
        let baggage = self.baggage.as_deref().and_then(baggage::read);
        if ids.is_none() && baggage.is_none() {
            return None;
        }
        let state: TraceState = tracestate.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default();
        let context = Context::new().with_value(Carried { tracestate, baggage });
        Some(match ids {
            Some((trace, span, flags)) => {
                context.with_remote_span_context(SpanContext::new(trace, span, flags, true, state))
            }
            None => context,
        })
    }
}

/// Without the baggage.
impl fmt::Debug for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Propagation")
            .field(TRACEPARENT, &self.traceparent)
            .field(TRACESTATE, &self.tracestate)
            .finish_non_exhaustive()
    }
}

/// Returns trace context and baggage of the current span as headers for a request to one of our services.
pub fn headers() -> HeaderMap {
    let header = |(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?));
    Propagation::current().to_headers().filter_map(header).collect()
}

/// Makes a span continue the trace of a trusted caller's request and carry its baggage. From any other caller, the span gets a link to the
/// trace, and nothing else.
pub(crate) fn receive(span: &Span, headers: &InboundHeaders, is_trusted: impl FnOnce() -> bool) {
    let Some(caller) = Propagation::from_headers(|name| combined(headers, name)).context() else { return };
    if is_trusted() {
        adopt(span, caller);
    } else {
        span.add_link(caller.span().span_context().clone());
    }
}

/// The lines of a header as one list (RFC 9110, section 5.3). Two lines of `traceparent` make it malformed.
fn combined(headers: &InboundHeaders, name: &str) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// The members of a list, without whitespace around them.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(|member| member.trim_matches(OWS))
}

fn adopt(span: &Span, parent: Context) {
    match span.set_parent(parent) {
        // Without a layer, or when the span is filtered out, there is no trace to continue.
        Ok(()) | Err(SetParentError::LayerNotFound | SetParentError::SpanDisabled) => {}
        Err(SetParentError::AlreadyStarted) => {
            tracing::warn!("a span was used before its parent was set; the trace breaks here");
        }
    }
}

#[cfg(test)]
mod tests;
