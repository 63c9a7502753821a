//! Start-up and its failures.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;

use crate::probe::{Probe, get};

#[tokio::test]
async fn a_service_logs_its_addresses() {
    let probe = Probe::start(&[]).await;
    assert_eq!(get(format!("{}/slow/0", probe.api)).await.unwrap(), (200, "done".to_owned()));
    assert_eq!(get(format!("{}/nowhere", probe.api)).await.unwrap().0, 404);
    assert_eq!(get(format!("{}/live", probe.admin)).await.unwrap().0, 200);
    let (status, body) = get(format!("{}/ready", probe.admin)).await.unwrap();
    assert_eq!((status, body.as_str()), (200, r#"{"status":"ready","checks":{"always":"ok"}}"#));
    assert_eq!(get(format!("{}/nowhere", probe.admin)).await.unwrap().0, 404);

    let (_, metrics) = get(format!("{}/metrics", probe.admin)).await.unwrap();
    for expected in [
        "build_info{service=\"probe\",version=\"0.1.0\"} 1",
        "http_server_request_duration_seconds_count{method=\"GET\",route=\"/slow/{ms}\",status=\"200\"} 1",
        "http_server_request_duration_seconds_count{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
        "http_server_requests_in_flight 0",
        "process_resident_memory_bytes",
    ] {
        assert!(metrics.contains(expected), "{expected} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn each_scrape_shows_the_clock_of_the_process() {
    let probe = Probe::start(&[]).await;
    for _ in 0..2 {
        let before = clock();
        let (_, metrics) = get(format!("{}/metrics", probe.admin)).await.unwrap();
        let shown = metrics.lines().find_map(|line| line.strip_prefix("clock_timestamp_seconds "));
        let shown: f64 = shown.unwrap().parse().unwrap();
        assert!((before..=clock()).contains(&shown), "{shown} was not read after {before}");
    }
}

fn clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[tokio::test]
async fn a_failed_build_is_one_log_line_and_exit_code_1() {
    let remains = Probe::spawn(&[("PROBE_FAILURE", "build")]).end().await;
    assert_eq!(remains.code, 1);
    let failures: Vec<_> = remains.log.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0]["error"], "the probe fails on request");
}

#[tokio::test]
async fn start_up_can_be_interrupted() {
    let mut probe = Probe::spawn(&[("PROBE_FAILURE", "build-hangs")]);
    probe.wait_for("starting").await;
    probe.signal(Signal::SIGTERM);
    assert_eq!(probe.end().await.code, 0);
}

#[tokio::test]
async fn a_starting_process_is_alive_and_not_ready() {
    let mut probe = Probe::spawn(&[("PROBE_FAILURE", "build-hangs")]);
    let admin = format!("http://{}", probe.wait_for("starting").await["admin_addr"].as_str().unwrap());
    assert_eq!(get(format!("{admin}/live")).await.unwrap().0, 200);
    let (status, body) = get(format!("{admin}/ready")).await.unwrap();
    assert_eq!((status, body.as_str()), (503, r#"{"status":"starting","checks":{}}"#));
}

#[tokio::test]
async fn invalid_settings_are_named_and_exit_with_2() {
    for (name, value) in [("ADMIN_ADDR", "nonsense"), ("ADMIN_ADDR", ""), ("DRAIN_TIMEOUT_MS", "soon")] {
        let remains = Probe::spawn(&[(name, value)]).end().await;
        assert_eq!(remains.code, 2, "{name}={value}: {}", remains.stderr);
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        assert!(remains.stderr.contains(&flag), "{}", remains.stderr);
    }
}

#[tokio::test]
async fn contradictory_settings_stop_start_up() {
    for (settings, expected) in [
        (&[("HTTP_ADDR", "")][..], "HTTP_ADDR"),
        (&[("DRAIN_TIMEOUT_MS", "5000")], "must be longer than REQUEST_TIMEOUT_MS"),
        (&[("ENVIRONMENT", "production"), ("MUSTER_FAIL_POINTS", "x=kill")], "MUSTER_FAIL_POINTS"),
        (&[("ENVIRONMENT", ""), ("MUSTER_FAIL_POINTS", "x=kill")], "MUSTER_FAIL_POINTS"),
    ] {
        let remains = Probe::spawn(settings).end().await;
        assert_eq!(remains.code, 1);
        let error = remains.log.iter().find(|line| line["level"] == "ERROR").unwrap();
        assert!(error["error"].as_str().unwrap().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_error_names_a_port_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let holder = std::net::TcpListener::bind(&taken).unwrap();
    for variable in ["HTTP_ADDR", "ADMIN_ADDR"] {
        let remains = Probe::spawn(&[(variable, &taken)]).end().await;
        assert_eq!(remains.code, 1);
        let error = remains.log.last().unwrap()["error"].as_str().unwrap_or_default().to_owned();
        let logged = format!("{:?}", remains.log);
        assert!(logged.contains(&taken) && logged.contains(variable), "{error}: {logged}");
    }
    drop(holder);
}
