//! Every way in which a body can be wrong.

use std::{fmt::Write as _, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::fixture::{MAX_BYTES, Server, failure};

const GOOD: &str = r#"{"customer_email": "ada@example.com", "lines": [{"sku": "mug", "quantity": 2}]}"#;

#[actix_web::test]
async fn a_good_body_arrives_with_its_raw_bytes() {
    let server = Server::start();
    for content_type in
        ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
    {
        let response = server.order(GOOD).header("content-type", content_type);
        let response = response.send().await.unwrap();
        assert_eq!(response.status(), 200, "{content_type}");
        assert_eq!(response.text().await.unwrap(), GOOD);
    }
}

#[actix_web::test]
async fn what_does_not_fit_is_pointed_at() {
    let server = Server::start();
    for (body, pointer, message) in [
        (r#"{"lines": []}"#, "/customer_email", "is required"),
        (r#"{"customer_email": "a", "lines": [{"sku": "mug"}]}"#, "/lines/0/quantity", "is required"),
        (
            r#"{"customer_email": 7, "lines": []}"#,
            "/customer_email",
            "invalid type: integer `7`, expected a string",
        ),
        (r#"{"customer_email": "a", "lines": {}}"#, "/lines", "invalid type: map, expected an array"),
        (
            r#"{"customer_email": "a", "lines": [{"sku": "mug", "quantity": "2"}]}"#,
            "/lines/0/quantity",
            r#"invalid type: string "2", expected a whole number, 0 or more"#,
        ),
        (
            r#"{"customer_email": "a", "lines": [{"sku": "mug", "quantity": -1}]}"#,
            "/lines/0/quantity",
            "invalid value: integer `-1`, expected a whole number, 0 or more",
        ),
        (
            r#"{"customer_email": "a", "lines": [], "tenant": "x"}"#,
            "/tenant",
            "unknown field `tenant`, expected `customer_email` or `lines`",
        ),
        (
            r#"{"customer_email": "a", "lines": [], "a/b~c": 1}"#,
            "/a~1b~0c",
            "unknown field `a/b~c`, expected `customer_email` or `lines`",
        ),
        (
            r#"{"customer_email": "a", "customer_email": "b", "lines": []}"#,
            "/customer_email",
            "must be there once only",
        ),
        (r#"["a", []]"#, "", "expected an object"),
        ("null", "", "expected an object"),
    ] {
        let body = failure(server.order(body), 400, "invalid_request").await;
        assert_eq!(body["details"], serde_json::json!([{"pointer": pointer, "message": message}]), "{body}");
    }
}

#[actix_web::test]
async fn what_is_not_json_is_said_to_be_that_with_its_place() {
    let server = Server::start();
    for (body, place) in [
        ("", "line 1, column 0"),
        ("{\n  \"customer_email\": oops}", "line 2, column 21"),
        (r#"{"customer_email": "a", "lines": []} trailing"#, "line 1, column 38"),
        (r#"{"customer_email": "a""#, "line 1, column 22"),
        ("[1, 2", "line 1, column 5"),
    ] {
        let body = failure(server.order(body), 400, "malformed_json").await;
        let message = body["message"].as_str().unwrap();
        assert!(message.contains(place), "{message}");
        assert_eq!(body["details"], serde_json::json!([]));
    }
    let not_utf8 = [br#"{"customer_email": ""#.as_slice(), &[0xff], br#"", "lines": []}"#].concat();
    failure(server.order(not_utf8), 400, "malformed_json").await;
}

#[actix_web::test]
async fn a_long_value_is_not_echoed_at_length() {
    let server = Server::start();
    let body = format!(r#"{{"customer_email": "a", "lines": "{}"}}"#, "é".repeat(400));
    let body = failure(server.order(body), 400, "invalid_request").await;
    assert!(body["details"][0]["message"].as_str().unwrap().chars().count() <= 240);
}

#[actix_web::test]
async fn another_kind_of_body_is_415() {
    let server = Server::start();
    let plain =
        |content_type: &'static str| server.method("POST", "/orders").header("content-type", content_type);
    for content_type in
        ["text/plain", "application/xml", "application/json; charset=latin1", "application/ld+json", "junk"]
    {
        failure(plain(content_type).body(GOOD), 415, "unsupported_media_type").await;
    }
    failure(server.method("POST", "/orders").body(GOOD), 415, "unsupported_media_type").await;
    let compressed = server.order(GOOD).header("content-encoding", "gzip");
    failure(compressed, 415, "unsupported_media_type").await;
}

#[actix_web::test]
async fn a_body_over_the_limit_is_413_however_its_length_is_told() {
    let server = Server::start();
    let declared = server.order(" ".repeat(MAX_BYTES + 1));
    failure(declared, 413, "payload_too_large").await;

    let mut chunked = String::from("POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
    chunked.push_str("transfer-encoding: chunked\r\n\r\n");
    write!(chunked, "{:x}\r\n{}\r\n0\r\n\r\n", MAX_BYTES + 1, " ".repeat(MAX_BYTES + 1)).unwrap();
    let (status, body) = raw(&server, chunked.as_bytes()).await;
    assert_eq!((status, &body["code"]), (413, &Value::from("payload_too_large")));
}

#[actix_web::test]
async fn a_body_that_does_not_come_is_408() {
    let server = Server::start();
    let request =
        "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{";
    let (status, body) = raw(&server, request.as_bytes()).await;
    assert_eq!((status, &body["code"]), (408, &Value::from("request_timeout")));
}

/// Sends bytes as they are and reads one response.
async fn raw(server: &Server, request: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut response = String::new();
    loop {
        let mut chunk = [0; 4096];
        let read =
            tokio::time::timeout(Duration::from_secs(5), stream.read(&mut chunk)).await.unwrap().unwrap();
        response.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
        let body = response.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
        if let Some(body) = body {
            return (response.split(' ').nth(1).unwrap().parse().unwrap(), body);
        }
        assert!(read > 0, "the connection ended early: {response}");
    }
}
