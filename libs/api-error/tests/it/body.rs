//! Every fault of a body.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::fixture::{MAX_BYTES, Server, failure, header};

const GOOD: &str = r#"{"customer_email": "ada@example.com", "lines": [{"sku": "mug", "quantity": 2}]}"#;

#[actix_web::test]
async fn a_valid_body_is_read_with_its_raw_bytes() {
    let server = Server::start();
    for content_type in
        ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
    {
        let request = server.method("POST", "/orders").header("content-type", content_type).body(GOOD);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{content_type}");
        assert_eq!(response.text().await.unwrap(), GOOD);
    }
}

/// A body, and what is said of it: pointer and message of each detail.
type Case = (&'static str, &'static [(&'static str, &'static str)]);

const KNOWN: &str = "is unknown; known are: customer_email and lines";
const REQUIRED: &str = "is required";
const ONCE: &str = "must be sent once";
const HALF: &str = "a string must be Unicode text: an escape is half of a surrogate pair";
const INEXACT: &str = "must be a number from -9007199254740991 to 9007199254740991";

/// Every message about a body that is JSON, but for the bounds, which `json_bounds` has.
const MESSAGES: &[Case] = &[
    ("{}", &[("/customer_email", REQUIRED), ("/lines", REQUIRED)]),
    (r#"["a", []]"#, &[("", "must be an object, not an array")]),
    ("null", &[("", "must be an object, not null")]),
    ("1", &[("", "must be an object, not a number")]),
    ("true", &[("", "must be an object, not a boolean")]),
    (
        r#"{"customer_email": 7, "lines": {}}"#,
        &[
            ("/customer_email", "must be a string, not a number"),
            ("/lines", "must be an array, not an object"),
        ],
    ),
    (
        r#"{"lines": [{"sku": null}, {"quantity": "2"}, []], "a/b~c": 1, "tenant": 2}"#,
        &[
            ("/customer_email", REQUIRED),
            ("/lines/0/sku", "must be a string, not null"),
            ("/lines/0/quantity", REQUIRED),
            ("/lines/1/sku", REQUIRED),
            ("/lines/1/quantity", "must be a whole number, not a string"),
            ("/lines/2", "must be an object, not an array"),
            ("/a~1b~0c", KNOWN),
            ("/tenant", KNOWN),
        ],
    ),
    (
        r#"{"customer_email": "a", "customer_email": "b", "lines": [], "x": 1, "x": 2}"#,
        &[("/customer_email", ONCE), ("/x", ONCE), ("/x", KNOWN)],
    ),
    (
        r#"{"customer_email": "\ud800", "lines": [{"sku": "\udc00\ud800", "quantity": 1}]}"#,
        &[("/customer_email", HALF), ("/lines/0/sku", HALF)],
    ),
    (
        r#"{"customer_email": "a", "lines": [], "\uD83D": 1}"#,
        &[("", "a member's name must be Unicode text: an escape is half of a surrogate pair")],
    ),
    (
        r#"{"customer_email": "a", "lines": [], "n": [1e400, -9007199254740992]}"#,
        &[("/n", KNOWN), ("/n/0", INEXACT), ("/n/1", INEXACT)],
    ),
];

#[actix_web::test]
async fn one_error_names_every_fault() {
    let server = Server::start();
    for (body, details) in MESSAGES {
        let answer = failure(server.order(*body), 400, "invalid_request").await;
        assert_eq!(answer["message"], "The request body does not match this operation. See details.");
        let expected: Vec<_> = details
            .iter()
            .map(|(pointer, message)| json!({"pointer": pointer, "message": message}))
            .collect();
        assert_eq!(answer["details"], Value::from(expected), "{body}");
    }
}

#[actix_web::test]
async fn the_message_of_a_number_names_its_range() {
    let server = Server::start();
    let order = |quantity: &str| {
        server.order(format!(
            r#"{{"customer_email": "a", "lines": [{{"sku": "mug", "quantity": {quantity}}}]}}"#
        ))
    };
    for good in ["1", "1.0", "1e0", "10e-1", "1000", "1E3"] {
        assert_eq!(order(good).send().await.unwrap().status(), 200, "{good}");
    }
    let (range, whole) = ("must be 1 to 1000", "must be a whole number");
    for (bad, message) in [
        ("0", range),
        ("-1", range),
        ("1001", range),
        ("2147483648", range),
        ("1e400", range),
        ("9007199254740992", range),
        ("1.5", whole),
        ("1e-400", whole),
    ] {
        let body = failure(order(bad), 400, "invalid_request").await;
        assert_eq!(body["details"], json!([{"pointer": "/lines/0/quantity", "message": message}]), "{bad}");
    }
}

#[actix_web::test]
async fn an_error_names_the_first_hundred_faults() {
    let server = Server::start();
    let members: Vec<_> = (0..101).map(|n| format!("\"{n}\":0")).collect();
    let body = failure(server.order(format!("{{{}}}", members.join(","))), 400, "invalid_request").await;
    assert_eq!(body["details"].as_array().unwrap().len(), 100);
    assert!(body["message"].as_str().unwrap().ends_with("Details name the first 100 faults."), "{body}");
}

/// Every message about a body that is no JSON.
const MALFORMED: &[(&[u8], &str)] = &[
    (b"", "The request body is empty. Send a JSON object."),
    (b" ", "The request body is not valid JSON: it ends too early at line 1, column 1."),
    (
        b"{\n  \"a\": oops}",
        "The request body is not valid JSON: a JSON value is missing at line 2, column 8.",
    ),
    (b"{\"a\": tru}", "The request body is not valid JSON: a JSON value is missing at line 1, column 10."),
    (b"{\"a\": 1} 2", "The request body is not valid JSON: it continues after its end at line 1, column 10."),
    (b"{\"a\": 1", "The request body is not valid JSON: it ends too early at line 1, column 7."),
    (b"{\"a\": \"b", "The request body is not valid JSON: it ends too early at line 1, column 8."),
    (b"[1, 2", "The request body is not valid JSON: it ends too early at line 1, column 5."),
    (b"{\"a\" 1}", "The request body is not valid JSON: a colon is missing at line 1, column 6."),
    (b"[1 2]", "The request body is not valid JSON: a comma or ] is missing at line 1, column 4."),
    (b"{\"a\": 1 2}", "The request body is not valid JSON: a comma or } is missing at line 1, column 9."),
    (b"[1, ]", "The request body is not valid JSON: a JSON value is missing at line 1, column 5."),
    (
        b"{\"a\": 1,}",
        "The request body is not valid JSON: the name of a member is not in double quotes at line 1, column 9.",
    ),
    (
        b"{'a': 1}",
        "The request body is not valid JSON: the name of a member is not in double quotes at line 1, column 2.",
    ),
    (b"{\"a\": 01}", "The request body is not valid JSON: a number is not valid JSON at line 1, column 8."),
    (
        b"[\"\\x\"]",
        "The request body is not valid JSON: an escape does not exist in JSON at line 1, column 4.",
    ),
    (
        b"[\"\\u12\"]",
        "The request body is not valid JSON: an escape does not exist in JSON at line 1, column 8.",
    ),
    (
        b"[\"a\nb\"]",
        "The request body is not valid JSON: a control character is not escaped at line 1, column 3.",
    ),
    (b"\xef\xbb\xbf{}", "The request body begins with a byte order mark. Send UTF-8 without one."),
    (b"\xff\xfe{\0}\0", "The request body begins with a byte order mark. Send UTF-8 without one."),
    (b"\xfe\xff\0{\0}", "The request body begins with a byte order mark. Send UTF-8 without one."),
    (b"{\"a\": \"\xff\"}", "The request body is not UTF-8: byte 8 is invalid."),
];

#[actix_web::test]
async fn malformed_json_is_reported_with_its_position() {
    let server = Server::start();
    for (body, message) in MALFORMED {
        let answer = failure(server.order(*body), 400, "malformed_json").await;
        assert_eq!(answer["message"], *message, "{}", body.escape_ascii());
        assert_eq!(answer["details"], json!([]));
    }
}

#[actix_web::test]
async fn another_media_type_is_a_415_with_the_accepted_type() {
    let server = Server::start();
    for (content_type, fault) in [
        (None, "The request has no Content-Type."),
        (Some("text/plain"), "The Content-Type of the request is not JSON."),
        (Some("application/xml"), "The Content-Type of the request is not JSON."),
        (Some("application/ld+json"), "The Content-Type of the request is not JSON."),
        (Some("application/json; charset=latin1"), "The charset of the request is not UTF-8."),
        (Some("junk"), "The Content-Type of the request is not a media type."),
    ] {
        let send = || {
            let request = server.method("POST", "/orders").body(GOOD);
            content_type.into_iter().fold(request, |request, value| request.header("content-type", value))
        };
        let body = failure(send(), 415, "unsupported_media_type").await;
        assert_eq!(body["message"], format!("{fault} Send the body with Content-Type: application/json."));
        assert_eq!(body["details"][0]["pointer"], "/header/Content-Type");
        let response = send().send().await.unwrap();
        assert_eq!(header(&response, "accept").unwrap(), "application/json");
        assert_eq!(header(&response, "accept-post").unwrap(), "application/json");
        assert_eq!(header(&response, "accept-encoding"), None);
    }
    let twice = server.order(GOOD).header("content-type", "text/plain");
    failure(twice, 415, "unsupported_media_type").await;
    let put = server.method("PUT", "/any").body(GOOD).send().await.unwrap();
    assert_eq!(put.status(), 415);
    assert_eq!(
        (header(&put, "accept").as_deref(), header(&put, "accept-post")),
        (Some("application/json"), None)
    );
}

#[actix_web::test]
async fn a_content_coding_is_a_415_in_any_case() {
    let server = Server::start();
    for coding in ["gzip", "GZIP", "identity, br", "x"] {
        let send = || server.order(GOOD).header("content-encoding", coding);
        let body = failure(send(), 415, "unsupported_media_type").await;
        assert_eq!(body["details"][0]["pointer"], "/header/Content-Encoding");
        let response = send().send().await.unwrap();
        assert_eq!(header(&response, "accept-encoding").unwrap(), "identity");
        assert_eq!(header(&response, "accept-post"), None);
    }
    for coding in ["identity", "Identity", "IDENTITY, identity", ""] {
        let response = server.order(GOOD).header("content-encoding", coding).send().await.unwrap();
        assert_eq!(response.status(), 200, "{coding}");
    }
}

#[actix_web::test]
async fn a_body_over_the_limit_is_a_413_with_and_without_content_length() {
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
async fn a_slow_body_is_a_408() {
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
