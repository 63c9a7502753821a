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

fn received(traceparent: Option<&str>, tracestate: &str, baggage: &str) -> Propagation {
    Propagation {
        traceparent: traceparent.map(str::to_owned),
        tracestate: Some(tracestate.to_owned()),
        baggage: Some(baggage.to_owned()),
    }
}

#[test]
fn a_span_and_those_inside_it_continue_trace_and_baggage() {
    let _guard = tracing_on();
    let span = info_span!("continued");
    received(Some(PARENT), "vendor=opaque, other=1", "k=a=b;prop=1, x=%20y").set_parent(&span);
    let inner = span.in_scope(|| info_span!("inner"));
    for span in [span, inner] {
        let current = span.in_scope(Propagation::current);
        let traceparent = current.traceparent.clone().unwrap();
        let parts: Vec<_> = traceparent.split('-').collect();
        assert_eq!((parts[0], parts[1], parts[3]), ("00", "0af7651916cd43dd8448eb211c80319c", "01"));
        assert_ne!(parts[2], "b7ad6b7169203331");
        let headers = span.in_scope(headers);
        for (name, value) in [
            (TRACEPARENT, traceparent.as_str()),
            (TRACESTATE, "vendor=opaque,other=1"),
            (BAGGAGE, "k=a=b;prop=1,x=%20y"),
        ] {
            assert_eq!(headers[name], value);
        }
        assert_eq!(
            Propagation::from_headers(|name| Some(headers[name].to_str().unwrap().to_owned())),
            current
        );
        let context = span.context();
        assert_eq!(context.span().span_context().trace_state().header(), "vendor=opaque,other=1");
    }
}

#[test]
fn a_malformed_traceparent_starts_a_new_trace_without_its_tracestate_and_keeps_the_baggage() {
    let _guard = tracing_on();
    for malformed in [None, Some(""), Some("00-00000000000000000000000000000000-b7ad6b7169203331-01")] {
        let span = info_span!("root");
        received(malformed, "vendor=1", "k=v").set_parent(&span);
        let current = span.in_scope(Propagation::current);
        assert!(current.traceparent.is_some_and(|own| !own.contains("b7ad6b7169203331")));
        assert_eq!((current.tracestate, current.baggage.as_deref()), (None, Some("k=v")));
    }
}

#[test]
fn a_malformed_tracestate_or_baggage_has_no_effect_on_the_trace() {
    let _guard = tracing_on();
    let span = info_span!("continued");
    received(Some(PARENT), "VENDOR", "no baggage").set_parent(&span);
    let current = span.in_scope(Propagation::current);
    assert!(current.traceparent.is_some_and(|own| own.contains("0af7651916cd43dd8448eb211c80319c")));
    assert_eq!((current.tracestate, current.baggage), (None, None));
}

#[test]
fn a_key_of_level_2_is_passed_on() {
    let _guard = tracing_on();
    let span = info_span!("continued");
    received(Some(PARENT), "0@a@b=1,vendor=2", "").set_parent(&span);
    assert_eq!(span.in_scope(Propagation::current).tracestate.as_deref(), Some("0@a@b=1,vendor=2"));
}

#[test]
fn without_tracing_nothing_is_current_and_what_is_stored_is_kept() {
    let stored = received(Some(PARENT), "vendor=1", "k=v");
    let span = info_span!("none");
    stored.set_parent(&span);
    assert_eq!(span.in_scope(Propagation::current), Propagation::default());
    assert!(span.in_scope(headers).is_empty());
    assert_eq!(span.in_scope(Propagation::current).or(&stored), stored);
}

#[test]
fn the_baggage_does_not_appear_in_a_log() {
    assert!(!format!("{:?}", received(Some(PARENT), "vendor=1", "user=ada")).contains("ada"));
}
