use actix_web::{
    App, HttpResponse,
    error::ErrorBadGateway,
    test::{TestRequest, call_service, init_service, try_call_service},
    web,
};
use futures::FutureExt as _;

use super::*;

async fn pong() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn count(method: &str, route: &str, status: &str) -> u64 {
    DURATION.with_label_values(&[method, route, status]).get_sample_count()
}

#[actix_web::test]
async fn the_template_is_the_label_and_the_path_is_nowhere() {
    let app = App::new().route("/track/{token}", web::get().to(pong)).wrap(RequestTelemetry);
    let app = init_service(app).await;
    call_service(&app, TestRequest::get().uri("/track/very-secret?and=more").to_request()).await;
    assert_eq!(count("GET", "/track/{token}", "200"), 1);
    let everything: Vec<_> = prometheus::gather().iter().map(|family| format!("{family:?}")).collect();
    assert!(!everything.concat().contains("very-secret"));
}

#[actix_web::test]
async fn unknown_paths_and_methods_share_a_label() {
    let app = init_service(App::new().wrap(RequestTelemetry)).await;
    for path in ["/a", "/b"] {
        let request = TestRequest::with_uri(path).method("BREW".parse().unwrap()).to_request();
        call_service(&app, request).await;
    }
    assert_eq!(count("_OTHER", "unmatched", "404"), 2);
}

#[actix_web::test]
async fn an_expected_status_shows_at_zero_and_then_counts() {
    expect_requests("GET", "/expected", &["200", "503"]);
    assert_eq!((count("GET", "/expected", "200"), count("GET", "/expected", "503")), (0, 0));
    let families = prometheus::gather();
    let shown = families.iter().any(|family| format!("{family:?}").contains("/expected"));
    assert!(shown, "a series at zero is there to be scraped");

    let app = init_service(App::new().route("/expected", web::get().to(pong)).wrap(RequestTelemetry)).await;
    call_service(&app, TestRequest::get().uri("/expected").to_request()).await;
    assert_eq!((count("GET", "/expected", "200"), count("GET", "/expected", "503")), (1, 0));
}

#[actix_web::test]
async fn a_failure_without_a_response_is_counted_by_its_status() {
    let app = App::new()
        .route("/broken", web::get().to(pong))
        .wrap(actix_web::middleware::from_fn(async |_: ServiceRequest, _: actix_web::middleware::Next<_>| {
            Err::<ServiceResponse, _>(ErrorBadGateway("no"))
        }))
        .wrap(RequestTelemetry);
    let app = init_service(app).await;
    assert!(try_call_service(&app, TestRequest::get().uri("/broken").to_request()).await.is_err());
    assert_eq!(count("GET", "/broken", "502"), 1);
}

#[actix_web::test]
async fn a_request_whose_client_went_away_is_counted_and_no_longer_in_flight() {
    let never = web::get().to(async || std::future::pending::<HttpResponse>().await);
    let app = init_service(App::new().route("/never", never).wrap(RequestTelemetry)).await;
    let mut abandoned = Box::pin(call_service(&app, TestRequest::get().uri("/never").to_request()));
    assert!((&mut abandoned).now_or_never().is_none());
    assert!(IN_FLIGHT.get() >= 1);
    drop(abandoned);
    assert_eq!(count("GET", "/never", "499"), 1);
}

#[test]
fn the_objectives_are_bounds_of_buckets() {
    for objective in [0.05, 0.25] {
        assert!(LATENCY_BUCKETS.contains(&objective));
    }
}
