//! W3C trace context, in and out of spans: over HTTP headers, and as the text that travels with an event.

use actix_web::http::header::HeaderMap as InboundHeaders;
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_http::HeaderInjector;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use reqwest::header::HeaderMap;
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetrySpanExt as _, SetParentError};

/// The header that carries a trace context.
const TRACEPARENT: &str = "traceparent";

/// Returns the `traceparent` of the current span, for a row or an event that continues its trace later.
pub fn current_traceparent() -> Option<String> {
    let context = current()?;
    let flags = context.trace_flags().to_u8();
    Some(format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()))
}

/// Makes a span continue the trace of a `traceparent`. Call it right after making the span, before anything is logged
/// in it. Text that is absent or malformed leaves the span as it is.
pub fn set_parent(span: &Span, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent {
        adopt(span, TraceContextPropagator::new().extract(&Text(traceparent)));
    }
}

/// Writes the trace context of the current span into the headers of an outbound request.
pub fn inject(headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut HeaderInjector(headers));
}

/// Returns the trace context of the current span as headers for an outbound request.
pub fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    inject(&mut headers);
    headers
}

/// Makes a span continue the trace of an inbound request whose caller is trusted, and link to that of any other.
pub(crate) fn receive(span: &Span, headers: &InboundHeaders, is_trusted: impl FnOnce() -> bool) {
    if !headers.contains_key(TRACEPARENT) {
        return;
    }
    let caller = TraceContextPropagator::new().extract(&Inbound(headers));
    let context = caller.span().span_context().clone();
    if !context.is_valid() {
        return;
    }
    if is_trusted() {
        adopt(span, caller);
    } else {
        span.add_link(context);
    }
}

fn current() -> Option<SpanContext> {
    let context = Span::current().context().span().span_context().clone();
    context.is_valid().then_some(context)
}

fn adopt(span: &Span, parent: Context) {
    if !parent.span().span_context().is_valid() {
        return;
    }
    match span.set_parent(parent) {
        // Without a layer, or when the span is filtered out, there is no trace to continue.
        Ok(()) | Err(SetParentError::LayerNotFound | SetParentError::SpanDisabled) => {}
        Err(SetParentError::AlreadyStarted) => {
            tracing::warn!("a span was used before its parent was set; the trace breaks here");
        }
    }
}

struct Text<'a>(&'a str);

impl Extractor for Text<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

struct Inbound<'a>(&'a InboundHeaders);

impl Extractor for Inbound<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(actix_web::http::header::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::{info_span, subscriber::DefaultGuard};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn tracing_on() -> DefaultGuard {
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer))
    }

    #[test]
    fn a_span_continues_the_trace_of_a_stored_traceparent() {
        let _guard = tracing_on();
        let span = info_span!("continued");
        set_parent(&span, Some(PARENT));
        let traceparent = span.in_scope(current_traceparent).unwrap();
        let parts: Vec<_> = traceparent.split('-').collect();
        assert_eq!((parts[0], parts[1], parts[3]), ("00", "0af7651916cd43dd8448eb211c80319c", "01"));
        assert_ne!(parts[2], "b7ad6b7169203331");
        assert_eq!(span.in_scope(headers).get(TRACEPARENT).unwrap().to_str().unwrap(), traceparent);
    }

    #[test]
    fn a_malformed_traceparent_starts_a_new_trace() {
        let _guard = tracing_on();
        for malformed in
            ["", "junk", "00-00000000000000000000000000000000-b7ad6b7169203331-01", &PARENT.replace('0', "x")]
        {
            let span = info_span!("root");
            set_parent(&span, Some(malformed));
            assert!(span.in_scope(current_traceparent).is_some_and(|own| !own.contains("b7ad6b7169203331")));
        }
    }

    #[test]
    fn without_tracing_the_traceparent_is_none() {
        let span = info_span!("none");
        set_parent(&span, Some(PARENT));
        assert_eq!(span.in_scope(current_traceparent), None);
        assert!(span.in_scope(headers).is_empty());
    }
}
