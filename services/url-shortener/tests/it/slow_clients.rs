//! Slow clients that send one byte a second: they block no worker, and their connections end in bounded time.

use std::{net::SocketAddr, time::Duration};

use futures::future::join_all;
use reqwest::{StatusCode, redirect::Policy};
use testkit::Database;
use tls::Trust;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::service::Service;

/// Far more than the one worker of this test, and than the connections to the database.
const CLIENTS: usize = 200;

/// The timeouts are 5 s for the head, 3 s for the body and 10 s for an idle connection; the rest is a margin for a busy machine.
const BOUND: Duration = Duration::from_mins(2);

/// A complete request that needs no database: its code is too short.
const CHEAP: &str = "GET /x HTTP/1.1\r\nhost: x\r\n\r\n";

/// The pace of a slow client.
const PACE: Duration = Duration::from_secs(1);

async fn start() -> Service {
    let database = Database::create("url_shortener").await;
    let url = database.url();
    let settings = |process: testkit::Builder| {
        process.env("DATABASE_URL", url).env("HTTP_WORKERS", "1").env("HTTP_KEEP_ALIVE_MS", "5000")
    };
    let mut service = Service::start_with(database, settings).await;
    // Does not reuse a connection that the server may close as idle.
    let patient = Trust::none().http().timeout(BOUND).pool_idle_timeout(Duration::from_secs(1));
    service.http = patient.redirect(Policy::none()).no_proxy().build().unwrap();
    service
}

fn address(service: &Service) -> SocketAddr {
    service.process.http_url().strip_prefix("http://").unwrap().parse().unwrap()
}

/// Sends the same byte repeatedly until the server closes the connection; returns its response.
async fn drip(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let cut_off = async {
        let (mut reader, mut writer) = stream.split();
        let sending = async {
            while writer.write_all(b"x").await.is_ok() {
                sleep(PACE).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            // The connection can end with a reset, because the server did not read the whole request.
            read = reader.read_to_end(&mut answer) => drop(read),
            () = sending => {}
        }
    };
    timeout(BOUND, cut_off).await.expect("a slow client is cut off");
    String::from_utf8(answer).unwrap()
}

/// Starts slow clients with this beginning, checks that a normal client is served meanwhile, and returns the responses to the slow ones.
async fn besieged(service: &Service, beginning: &str) -> Vec<String> {
    let slow: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, beginning) = (address(service), beginning.to_owned());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(beginning.as_bytes()).await.unwrap();
                drip(stream).await
            })
        })
        .collect();
    let mut served = 0;
    while !slow.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_eq!(service.follow("normal").await.status, StatusCode::FOUND);
        served += 1;
    }
    // A blocked service would serve it only after the slow clients.
    assert!(served > 2, "a normal client was served {served} times only");
    join_all(slow).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_slow_request_head_is_cut_off() {
    let service = start().await;
    service.put("acme", "normal", "https://example.com/").await;
    for answer in besieged(&service, "GET /normal HTTP/1.1\r\nhost: x\r\nx-slow: ").await {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    }
}

#[tokio::test]
async fn a_slow_request_body_is_cut_off() {
    let service = start().await;
    service.put("acme", "normal", "https://example.com/").await;
    let token = service.token("acme", &["links:write"]);
    let head = format!(
        "PUT /v1/links/slow-link HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n"
    );
    for length in ["content-length: 1000\r\n\r\n", "transfer-encoding: chunked\r\n\r\nffff\r\n"] {
        for answer in besieged(&service, &format!("{head}{length}")).await {
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
            assert!(answer.contains(r#""code":"request_timeout""#), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn an_unread_request_body_is_cut_off() {
    let service = start().await;
    service.put("acme", "normal", "https://example.com/").await;
    for length in ["content-length: 1000\r\n\r\n", "transfer-encoding: chunked\r\n\r\nffff\r\n"] {
        let head = format!("PUT /v1/links/slow-link HTTP/1.1\r\nhost: x\r\n{length}");
        for answer in besieged(&service, &head).await {
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_slow_second_request_head_is_cut_off() {
    let service = start().await;
    service.put("acme", "normal", "https://example.com/").await;
    let second = "GET /normal HTTP/1.1\r\nhost: x\r\nx-slow: ";
    for answer in besieged(&service, &format!("{CHEAP}{second}")).await {
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer:?}");
    }
}

/// Sends requests and reads no response, until the server closes the connection.
async fn ask_and_never_read(service: &Service) {
    let socket = TcpSocket::new_v4().unwrap();
    // With a small receive buffer, the send buffer of the server is full sooner.
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address(service)).await.unwrap();
    let request = CHEAP.repeat(100);
    let asking = async { while stream.write_all(request.as_bytes()).await.is_ok() {} };
    timeout(BOUND, asking).await.expect("a client that does not read is cut off");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_response_is_cut_off() {
    let service = start().await;
    service.put("acme", "normal", "https://example.com/").await;
    join_all((0..10).map(|_| ask_and_never_read(&service))).await;
    assert_eq!(service.follow("normal").await.status, StatusCode::FOUND);
}
