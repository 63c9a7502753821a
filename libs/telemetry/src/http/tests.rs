use std::sync::mpsc::channel;

use actix_web::{
    App, HttpResponse,
    error::ErrorBadGateway,
    test::{TestRequest, call_service, init_service, try_call_service},
    web,
};
use futures::FutureExt as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::trace::Propagation;

async fn pong() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn count(method: &str, route: &str, status: &str) -> u64 {
    REQUEST_DURATION.with_label_values(&[method, route, status]).get_sample_count()
}

#[actix_web::test]
async fn the_route_template_is_the_label_and_not_the_path() {
    let app = App::new().route("/track/{token}", web::get().to(pong)).wrap(request_telemetry(|_| false));
    let app = init_service(app).await;
    call_service(&app, TestRequest::get().uri("/track/very-secret?and=more").to_request()).await;
    assert_eq!(count("GET", "/track/{token}", "200"), 1);
    let everything: Vec<_> = prometheus::gather().iter().map(|family| format!("{family:?}")).collect();
    assert!(!everything.concat().contains("very-secret"));
}

#[actix_web::test]
async fn unknown_paths_and_methods_share_a_label() {
    let app = init_service(App::new().wrap(request_telemetry(|_| false))).await;
    for path in ["/a", "/b"] {
        let request = TestRequest::with_uri(path).method("BREW".parse().unwrap()).to_request();
        call_service(&app, request).await;
    }
    assert_eq!(count("_OTHER", "unmatched", "404"), 2);
}

#[actix_web::test]
async fn an_expected_status_starts_at_zero() {
    expect_requests("GET", "/expected", &["200", "503"]);
    assert_eq!((count("GET", "/expected", "200"), count("GET", "/expected", "503")), (0, 0));
    let families = prometheus::gather();
    let shown = families.iter().any(|family| format!("{family:?}").contains("/expected"));
    assert!(shown, "a series at zero is there to be scraped");

    let app =
        init_service(App::new().route("/expected", web::get().to(pong)).wrap(request_telemetry(|_| false)))
            .await;
    call_service(&app, TestRequest::get().uri("/expected").to_request()).await;
    assert_eq!((count("GET", "/expected", "200"), count("GET", "/expected", "503")), (1, 0));
}

#[actix_web::test]
async fn an_error_without_a_response_is_counted_by_its_status() {
    let app = App::new()
        .route("/broken", web::get().to(pong))
        .wrap(from_fn(async |_: ServiceRequest, _: Next<_>| Err::<ServiceResponse, _>(ErrorBadGateway("no"))))
        .wrap(request_telemetry(|_| false));
    let app = init_service(app).await;
    assert!(try_call_service(&app, TestRequest::get().uri("/broken").to_request()).await.is_err());
    assert_eq!(count("GET", "/broken", "502"), 1);
}

#[actix_web::test]
async fn a_request_of_a_disconnected_client_is_counted_and_no_longer_in_flight() {
    let never = web::get().to(async || std::future::pending::<HttpResponse>().await);
    let app = init_service(App::new().route("/never", never).wrap(request_telemetry(|_| false))).await;
    let mut abandoned = Box::pin(call_service(&app, TestRequest::get().uri("/never").to_request()));
    assert!((&mut abandoned).now_or_never().is_none());
    assert!(REQUESTS_IN_FLIGHT.get() >= 1);
    drop(abandoned);
    assert_eq!(count("GET", "/never", "499"), 1);
}

#[test]
fn the_objectives_are_bucket_bounds() {
    for objective in [0.05, 0.25] {
        assert!(crate::metrics::LATENCY_BUCKETS.contains(&objective));
    }
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Sends headers to a service that records nothing without a parent, and returns what is current in its handler.
async fn propagated(headers: &[(&str, &str)]) -> Propagation {
    let tracer = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
        .build()
        .tracer("test");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let (sender, receiver) = channel();
    let own = web::get().to(move || {
        sender.send(Propagation::current()).unwrap();
        pong()
    });
    let trusts = |request: &ServiceRequest| request.headers().contains_key("x-trusted");
    let app = App::new().route("/own", own).wrap(request_telemetry(trusts));
    let app = init_service(app).await;
    // Another test's thread may have met these call sites first, without a subscriber, and have switched them off.
    call_service(&app, TestRequest::get().uri("/own").to_request()).await;
    tracing::callsite::rebuild_interest_cache();
    let request = TestRequest::get().uri("/own");
    let request = headers.iter().fold(request, |request, header| request.append_header(*header));
    call_service(&app, request.to_request()).await;
    receiver.try_iter().nth(1).unwrap()
}

const SAMPLED: (&str, &str) = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
const TRUSTED: (&str, &str) = ("x-trusted", "yes");

#[actix_web::test]
async fn only_a_trusted_caller_decides_about_sampling() {
    let trusted = propagated(&[SAMPLED, TRUSTED]).await.traceparent.unwrap();
    assert!(trusted.contains(TRACE) && trusted.ends_with("-01"), "{trusted}");
    let untrusted = propagated(&[SAMPLED]).await.traceparent.unwrap();
    assert!(untrusted.ends_with("-00") && !untrusted.contains(TRACE), "{untrusted}");
}

#[actix_web::test]
async fn tracestate_and_baggage_of_a_trusted_caller_are_passed_on_and_those_of_others_dropped() {
    let headers = [
        SAMPLED,
        ("tracestate", "vendor=opaque, other=1"),
        ("tracestate", ""),
        ("tracestate", "third=2"),
        ("baggage", "k=a=b;prop=1"),
        ("baggage", "x=%20y"),
    ];
    let trusted = propagated(&[&headers[..], &[TRUSTED]].concat()).await;
    assert_eq!(trusted.tracestate.as_deref(), Some("vendor=opaque,other=1,third=2"));
    assert_eq!(trusted.baggage.as_deref(), Some("k=a=b;prop=1,x=%20y"));
    let untrusted = propagated(&headers).await;
    assert_eq!((untrusted.tracestate, untrusted.baggage), (None, None));
    let without_a_trace = propagated(&[("baggage", "k=v"), TRUSTED]).await;
    assert_eq!(without_a_trace.baggage.as_deref(), Some("k=v"));
}

#[actix_web::test]
async fn two_traceparents_begin_a_new_trace() {
    let own = propagated(&[SAMPLED, SAMPLED, TRUSTED]).await.traceparent.unwrap();
    assert!(!own.contains(TRACE), "{own}");
}
