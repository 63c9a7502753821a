use actix_web::{
    App, HttpResponse,
    error::ErrorBadGateway,
    test::{TestRequest, call_and_read_body, call_service, init_service, try_call_service},
    web,
};
use futures::FutureExt as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

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

#[actix_web::test]
async fn only_a_trusted_caller_decides_about_sampling() {
    // Without a parent, this sampler records nothing.
    let tracer = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
        .build()
        .tracer("test");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let own = web::get().to(async || trace::current_traceparent().unwrap_or_default());
    let trusts = |request: &ServiceRequest| request.headers().contains_key("x-trusted");
    let app = App::new().route("/own", own).wrap(request_telemetry(trusts));
    let app = init_service(app).await;
    let ask = async |trusted: Option<&str>| {
        let sampled = format!("00-{TRACE}-b7ad6b7169203331-01");
        let mut request = TestRequest::get().uri("/own").insert_header(("traceparent", sampled));
        if let Some(trusted) = trusted {
            request = request.insert_header(("x-trusted", trusted));
        }
        String::from_utf8(call_and_read_body(&app, request.to_request()).await.to_vec()).unwrap()
    };
    // Another test's thread may have met these call sites first, without a subscriber, and have switched them off.
    ask(None).await;
    tracing::callsite::rebuild_interest_cache();
    let trusted = ask(Some("yes")).await;
    assert!(trusted.contains(TRACE) && trusted.ends_with("-01"), "{trusted}");
    let untrusted = ask(None).await;
    assert!(untrusted.ends_with("-00") && !untrusted.contains(TRACE), "{untrusted}");
}
