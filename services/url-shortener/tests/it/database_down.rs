//! Outages of PostgreSQL: the service reports them at once, and recovers by itself.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use testkit::{Database, FaultProxy, wait_for};

use crate::service::Service;

/// Maximum time of a response during any failure of the database: below the usual timeouts of clients.
const QUICKLY: Duration = Duration::from_secs(5);

/// Timeout for the service to notice.
const SOON: Duration = Duration::from_secs(90);

async fn start_behind_proxy() -> (Service, FaultProxy) {
    let proxy = FaultProxy::start(Database::server()).await;
    let database = Database::create("url_shortener").await;
    let url = database.url_through(proxy.addr());
    (Service::start_with(database, |process| process.env("DATABASE_URL", url)).await, proxy)
}

/// Checks that every kind of request is refused in time with 503, and that readiness names the dependency.
async fn assert_unavailable(service: &Service) {
    let started = Instant::now();
    let (put, get, follow) = tokio::join!(
        service.put("acme", "new-link", "https://example.com/new"),
        service.get("acme", "old-link"),
        service.follow("old-link"),
    );
    assert!(started.elapsed() < QUICKLY, "took {:?}", started.elapsed());
    for answer in [put, get, follow] {
        answer.assert_unavailable();
        assert!(
            !answer.body.to_string().to_lowercase().contains("postgres"),
            "inner causes stay inside: {answer:?}"
        );
    }
    wait_for("readiness to name the database", SOON, async || {
        let ready = service.readiness().await;
        (ready.status == 503 && ready.body["checks"]["postgres"] != "ok").then_some(())
    })
    .await;
}

async fn assert_recovers(service: &Service) {
    wait_for("the service to be ready again", SOON, async || {
        (service.readiness().await.status == 200).then_some(())
    })
    .await;
    let put = service.put("acme", "new-link", "https://example.com/new").await;
    assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
    assert_eq!(service.follow("new-link").await.header("location"), "https://example.com/new");
}

#[tokio::test]
async fn readiness_reports_an_outage_of_the_database_and_its_end() {
    let (service, proxy) = start_behind_proxy().await;
    let put = service.put("acme", "old-link", "https://example.com/old").await;
    assert_eq!(put.status, StatusCode::CREATED, "{put:?}");

    proxy.cut();
    assert_unavailable(&service).await;

    proxy.restore();
    assert_recovers(&service).await;
    assert_eq!(service.follow("old-link").await.header("location"), "https://example.com/old");
}

#[tokio::test]
async fn requests_fail_in_time_while_the_database_hangs() {
    let (service, proxy) = start_behind_proxy().await;
    let put = service.put("acme", "old-link", "https://example.com/old").await;
    assert_eq!(put.status, StatusCode::CREATED, "{put:?}");

    proxy.black_hole();
    assert_unavailable(&service).await;

    proxy.restore();
    assert_recovers(&service).await;
}

#[tokio::test]
async fn the_service_starts_before_its_database() {
    let proxy = FaultProxy::start(Database::server()).await;
    proxy.cut();
    let database = Database::create("url_shortener").await;
    let url = database.url_through(proxy.addr());
    let service =
        Service::start_with(database, |process| process.env("DATABASE_URL", url).without_readiness()).await;

    let live = testkit::client().get(format!("{}/live", service.process.admin_url())).send().await.unwrap();
    assert_eq!(live.status(), StatusCode::OK);
    assert_unavailable(&service).await;

    proxy.restore();
    assert_recovers(&service).await;
}
