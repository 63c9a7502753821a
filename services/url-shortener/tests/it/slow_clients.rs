//! Clients that send a byte a second: they hold no worker, and are cut off in bounded time.

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

/// Far more than there are workers, of which this test has one, or connections to the database.
const CLIENTS: usize = 200;

/// The head may take 5 s, the body 3 s, and a connection be quiet for 10 s; the rest is for a busy machine.
const BOUND: Duration = Duration::from_secs(40);

/// A whole request that is answered without the database: no code is that short.
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
    // A connection that the server is about to end as idle is not taken again.
    let patient = Trust::nobody().http().timeout(BOUND).pool_idle_timeout(Duration::from_secs(1));
    service.http = patient.redirect(Policy::none()).no_proxy().build().unwrap();
    service
}

fn address(service: &Service) -> SocketAddr {
    service.process.http_url().strip_prefix("http://").unwrap().parse().unwrap()
}

/// Sends the same byte again and again until the server has ended the connection; returns what it answered.
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
            // The end can be a reset: what was not read of a request is lost.
            read = reader.read_to_end(&mut answer) => drop(read),
            () = sending => {}
        }
    };
    timeout(BOUND, cut_off).await.expect("a slow client is cut off");
    String::from_utf8(answer).unwrap()
}

/// Starts slow clients that begin like this, serves a normal one meanwhile, and returns what the slow ones got.
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
    // Held up by the others, it would be served once, when they are gone.
    assert!(served > 2, "a normal client was served {served} times only");
    join_all(slow).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_head_that_does_not_come() {
    let service = start().await;
    service.put("acme", "normal", "https://example.com/").await;
    for answer in besieged(&service, "GET /normal HTTP/1.1\r\nhost: x\r\nx-slow: ").await {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come() {
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
async fn a_body_that_nobody_asked_for() {
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
async fn the_head_of_a_second_request_that_does_not_come() {
    let service = start().await;
    service.put("acme", "normal", "https://example.com/").await;
    let second = "GET /normal HTTP/1.1\r\nhost: x\r\nx-slow: ";
    for answer in besieged(&service, &format!("{CHEAP}{second}")).await {
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer:?}");
    }
}

/// Asks again and again, and reads no answer, until the server has ended the connection.
async fn ask_and_never_read(service: &Service) {
    let socket = TcpSocket::new_v4().unwrap();
    // The less the kernel takes for us, the sooner the server has nowhere to put its answers.
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address(service)).await.unwrap();
    let request = CHEAP.repeat(100);
    let asking = async { while stream.write_all(request.as_bytes()).await.is_ok() {} };
    timeout(BOUND, asking).await.expect("a client that does not read is cut off");
}

#[tokio::test]
async fn a_response_that_is_not_read() {
    let service = start().await;
    service.put("acme", "normal", "https://example.com/").await;
    join_all((0..10).map(|_| ask_and_never_read(&service))).await;
    assert_eq!(service.follow("normal").await.status, StatusCode::FOUND);
}
