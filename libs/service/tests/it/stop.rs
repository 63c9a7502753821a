//! Graceful shutdown.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::probe::{Probe, client, get};

#[tokio::test]
async fn a_request_in_flight_finishes_and_the_shutdown_steps_keep_their_order() {
    let mut probe = Probe::start(&[("SHUTDOWN_DELAY_MS", "300")]).await;
    let request = tokio::spawn(get(format!("{}/slow/1500", probe.api)));
    in_flight(&probe, 1).await;
    probe.signal(Signal::SIGTERM);

    probe.wait_for("draining: readiness is off").await;
    let (status, body) = get(format!("{}/ready", probe.admin)).await.unwrap();
    assert_eq!((status, body.contains("draining")), (503, true), "{body}");
    // A load balancer that has not noticed yet still gets its answers, and no connection to come back on.
    let late = client().get(format!("{}/slow/0", probe.api)).send().await.unwrap();
    assert_eq!(
        (late.status().as_u16(), late.headers().get("connection").unwrap().as_bytes()),
        (200, &b"close"[..])
    );

    assert_eq!(request.await.unwrap().unwrap(), (200, "done".to_owned()));
    let remains = probe.end().await;
    assert_eq!(remains.code, 0, "{:?}", remains.log);
    assert_eq!(
        remains.messages(),
        [
            "starting",
            "listening",
            "signal received, shutting down",
            "draining: readiness is off",
            "requests finished, API closed",
            "worker stopped",
            "workers finished",
            "released",
            "released",
            "stopped"
        ]
    );
    let released: Vec<_> = remains.log.iter().filter_map(|line| line["resource"].as_str()).collect();
    assert_eq!(released, ["second", "first"]);
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_shutdown() {
    let probe = Probe::start(&[]).await;
    let client = client();
    client.get(format!("{}/slow/0", probe.api)).send().await.unwrap().text().await.unwrap();
    let start = Instant::now();
    probe.signal(Signal::SIGINT);
    let remains = probe.end().await;
    assert_eq!(remains.code, 0, "{:?}", remains.log);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_worker_that_ends_early_stops_the_service() {
    for (failure, reason) in [
        ("worker-fails", "fails on request"),
        ("worker-panics", "panic"),
        ("worker-returns", "returned before shutdown"),
    ] {
        let probe = Probe::start(&[("PROBE_FAILURE", failure)]).await;
        assert_eq!(get(format!("{}/fail", probe.api)).await.unwrap().0, 204);
        let remains = probe.end().await;
        assert_eq!(remains.code, 1, "{failure}");
        let line = remains.log.iter().find(|line| line["part"] == "ticker").unwrap();
        assert!(line["error"].as_str().unwrap().contains(reason), "{line}");
        assert!(remains.messages().contains(&"requests finished, API closed"), "{failure}");
    }
}

#[tokio::test]
async fn unfinished_work_is_cut_off_at_the_drain_timeout_and_exits_with_1() {
    let settings =
        [("PROBE_FAILURE", "worker-hangs"), ("REQUEST_TIMEOUT_MS", "500"), ("DRAIN_TIMEOUT_MS", "1000")];
    let probe = Probe::start(&settings).await;
    let start = Instant::now();
    probe.signal(Signal::SIGTERM);
    let remains = probe.end().await;
    assert_eq!(remains.code, 1);
    assert!(remains.messages().contains(&"workers did not finish in time and were cut off"));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let mut probe = Probe::start(&[("PROBE_FAILURE", "worker-hangs")]).await;
    probe.signal(Signal::SIGTERM);
    probe.wait_for("draining: readiness is off").await;
    let start = Instant::now();
    probe.signal(Signal::SIGTERM);
    let remains = probe.end().await;
    assert_eq!(remains.code, 1);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

/// Waits until the probe says that it is handling so many requests.
async fn in_flight(probe: &Probe, requests: u32) {
    let expected = format!("http_server_requests_in_flight {requests}");
    let deadline = Instant::now() + Duration::from_secs(5);
    while !get(format!("{}/metrics", probe.admin)).await.unwrap().1.contains(&expected) {
        assert!(Instant::now() < deadline, "no request in flight");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
