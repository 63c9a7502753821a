//! W3C trace context: in HTTP headers, and as a `traceparent` stored with a row or an event.

use std::collections::HashMap;

use actix_web::http::header::HeaderMap as InboundHeaders;
use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt as _};
use opentelemetry_http::HeaderInjector;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use reqwest::header::HeaderMap;
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetrySpanExt as _, SetParentError};

/// The header that carries a trace context.
const TRACEPARENT: &str = "traceparent";

/// Returns the `traceparent` of the current span, to store with a row or an event.
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context().span().span_context().clone();
    let flags = context.trace_flags().to_u8();
    context.is_valid().then(|| format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()))
}

/// Makes a span continue the trace of a `traceparent`; an absent or malformed one has no effect. Call it right after making the span, before
/// logging in it.
pub fn set_parent(span: &Span, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
        adopt(span, TraceContextPropagator::new().extract(&carrier));
    }
}

/// Returns the trace context of the current span as headers for an outbound request.
pub fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    TraceContextPropagator::new()
        .inject_context(&Span::current().context(), &mut HeaderInjector(&mut headers));
    headers
}

/// Makes a span continue the trace of a trusted caller's request, and link to that of any other.
pub(crate) fn receive(span: &Span, headers: &InboundHeaders, is_trusted: impl FnOnce() -> bool) {
    if !headers.contains_key(TRACEPARENT) {
        return;
    }
    let value = |name: &str| Some((name.to_owned(), headers.get(name)?.to_str().ok()?.to_owned()));
    let carrier: HashMap<_, _> = [TRACEPARENT, "tracestate"].into_iter().filter_map(value).collect();
    let caller = TraceContextPropagator::new().extract(&carrier);
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
