//! `x-request-deadline-ms`.

use std::time::Instant;

use serde_json::json;

use crate::fixture::{DEADLINE, Server, failure};

const HEADER: &str = "x-request-deadline-ms";

#[actix_web::test]
async fn a_handler_sees_the_remaining_time_of_the_client() {
    let server = Server::start();
    for (stated, limit_ms) in [("300", 300), ("0300", 300), ("86400000", DEADLINE.as_millis())] {
        let response = server.get("/remaining").header(HEADER, stated).send().await.unwrap();
        let remaining: u128 = response.text().await.unwrap().parse().unwrap();
        assert!((1..=limit_ms).contains(&remaining) && remaining > limit_ms / 2, "{stated}: {remaining}");
    }
    let response = server.get("/remaining").send().await.unwrap();
    let remaining: u128 = response.text().await.unwrap().parse().unwrap();
    assert!(remaining > DEADLINE.as_millis() / 2, "{remaining}");
}

#[actix_web::test]
async fn a_shorter_deadline_of_the_client_is_kept() {
    let server = Server::start();
    let started = Instant::now();
    failure(server.get("/slow").header(HEADER, "100"), 503, "deadline_exceeded").await;
    assert!(started.elapsed() < DEADLINE, "{:?}", started.elapsed());
}

#[actix_web::test]
async fn an_invalid_deadline_is_refused_with_its_reason() {
    let server = Server::start();
    let (digits, range) =
        ("must be a whole number of milliseconds, in digits", "must be 1 to 86400000 milliseconds");
    for (bad, fault) in [
        ("", digits),
        ("-1", digits),
        ("+5", digits),
        ("1.5", digits),
        ("5s", digits),
        ("soon", digits),
        ("0x10", digits),
        ("0", range),
        ("86400001", range),
        ("99999999999999999999999999", range),
    ] {
        let body = failure(server.get("/remaining").header(HEADER, bad), 400, "invalid_deadline").await;
        assert_eq!(body["message"], format!("The header {HEADER} is invalid: it {fault}."));
        assert_eq!(body["details"], json!([{"pointer": format!("/header/{HEADER}"), "message": fault}]));
    }
    let twice = server.get("/remaining").header(HEADER, "300").header(HEADER, "300");
    let body = failure(twice, 400, "invalid_deadline").await;
    assert_eq!(body["details"][0]["message"], "must be sent once");
}
