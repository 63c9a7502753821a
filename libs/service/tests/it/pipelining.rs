//! Requests that are pipelined after the last request of a connection.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::probe::{Probe, get};

/// The connection closes after about a second.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends all of it at once, and returns everything that comes until the connection ends.
async fn exchange(probe: &Probe, sent: &str) -> String {
    let mut stream = TcpStream::connect(probe.api.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // It can be a reset: what was sent behind the last request is not read.
    let read = timeout(TIMEOUT, stream.read_to_end(&mut answer)).await;
    drop(read.expect("the connection ends"));
    String::from_utf8(answer).unwrap()
}

fn request(path: &str, version: &str, headers: &str) -> String {
    format!("GET {path} HTTP/{version}\r\nhost: x\r\n{headers}\r\n")
}

/// How many requests for this path the probe has answered, or begun to.
async fn n_requests(probe: &Probe, path: &str) -> usize {
    let (_, metrics) = get(format!("{}/metrics", probe.admin)).await.unwrap();
    let prefix = "http_server_request_duration_seconds_count{";
    let lines = metrics.lines().filter(|line| line.starts_with(prefix) && line.contains(path));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

#[tokio::test]
async fn nothing_runs_after_a_request_with_connection_close() {
    let probe = Probe::start(&[]).await;
    // The first is answered at once, or while the others have been read already.
    for ms in [0, 200] {
        for (version, headers) in [
            ("1.1", "connection: close\r\n"),
            ("1.1", "Connection: TE, Close\r\nte: trailers\r\n"),
            ("1.1", "connection: te\r\nconnection: close\r\n"),
            ("1.0", ""),
        ] {
            let sent = [
                request(&format!("/slow/{ms}"), version, headers),
                request("/fail", "1.1", ""),
                request("/fail", "1.1", ""),
            ];
            let answer = exchange(&probe, &sent.concat()).await;
            assert_eq!(answer.matches("HTTP/1.").count(), 1, "{ms} {version} {headers}: {answer}");
            assert!(answer.ends_with("done"), "{answer}");
            assert!(answer.contains("connection: close") || version == "1.0", "{answer}");
        }
    }
    assert_eq!(n_requests(&probe, "route=\"/slow/{ms}\"").await, 8);
    assert_eq!(n_requests(&probe, "route=\"/fail\"").await, 0);
}

#[tokio::test]
async fn nothing_runs_after_a_response_with_connection_close() {
    let mut probe = Probe::start(&[("SHUTDOWN_DELAY_MS", "3000")]).await;
    probe.signal(Signal::SIGTERM);
    probe.wait_for("draining: readiness is off").await;
    let sent = [request("/slow/0", "1.1", ""), request("/fail", "1.1", "")];
    let answer = exchange(&probe, &sent.concat()).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert_eq!(n_requests(&probe, "route=\"/fail\"").await, 0);
    probe.end().await;
}

#[tokio::test]
async fn requests_without_close_can_be_pipelined() {
    let probe = Probe::start(&[]).await;
    let sent = [
        request("/slow/50", "1.1", ""),
        request("/slow/0", "1.1", "connection: keep-alive\r\n"),
        request("/slow/10", "1.1", "connection: close\r\n"),
    ];
    let answer = exchange(&probe, &sent.concat()).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
}

#[tokio::test]
async fn invalid_http_is_not_logged_as_an_error() {
    let probe = Probe::start(&[("RUST_LOG", "info")]).await;
    for sent in [
        "\u{16}\u{3}\u{1} hello\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /fail HTTP/1.1\r\nhost: x\r\ncontent-length: one\r\n\r\n",
        "POST /slow/0 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let answer = exchange(&probe, sent).await;
        assert!(answer.contains("HTTP/1.1 4"), "{sent:?}: {answer}");
    }
    probe.signal(Signal::SIGTERM);
    let remains = probe.end().await;
    let errors: Vec<_> = remains.log.iter().filter(|line| line["level"] == "ERROR").collect();
    assert!(errors.is_empty(), "{errors:?}");
}
