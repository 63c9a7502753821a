//! Limits of the head of a request: one at the limit is served, one beyond it is refused with the limit.

use crate::fixture::{Server, failure};

#[actix_web::test]
async fn the_length_of_a_url_is_limited() {
    let server = Server::start();
    let path = |length: usize| format!("/{}", "x".repeat(length - 1));
    failure(server.get(&path(4_096)), 404, "not_found").await;
    let body = failure(server.get(&path(4_097)), 414, "uri_too_long").await;
    assert!(body["message"].as_str().unwrap().contains("4096 bytes"), "{body}");

    let query = |length: usize| format!("/id?a={}", "x".repeat(length - 2));
    assert_eq!(server.get(&query(2_048)).send().await.unwrap().status(), 200);
    let body = failure(server.get(&query(2_049)), 414, "uri_too_long").await;
    assert!(body["message"].as_str().unwrap().contains("query is longer than 2048 bytes"), "{body}");
}

#[actix_web::test]
async fn the_number_of_query_parameters_is_limited() {
    let server = Server::start();
    let query = |count: usize| format!("/id?{}", vec!["a=1"; count].join("&"));
    assert_eq!(server.get(&query(32)).send().await.unwrap().status(), 200);
    let body = failure(server.get(&query(33)), 400, "invalid_request").await;
    assert_eq!(body["details"][0]["pointer"], "/query");
    assert!(body["message"].as_str().unwrap().contains("32 parameters"), "{body}");
}

#[actix_web::test]
async fn the_number_of_headers_is_limited() {
    let server = Server::start();
    // The client adds `accept` and `host`.
    let with = |count: usize| (2..count).fold(server.get("/id"), |get, n| get.header(format!("x-{n}"), "v"));
    assert_eq!(with(64).send().await.unwrap().status(), 200);
    for count in [65, 96] {
        let body = failure(with(count), 431, "headers_too_large").await;
        assert!(body["message"].as_str().unwrap().contains("64 header fields"), "{body}");
    }
}

#[actix_web::test]
async fn the_size_of_headers_is_limited() {
    let server = Server::start();
    let with = |bytes: usize| server.get("/id").header("x-large", "v".repeat(bytes));
    assert_eq!(with(16_000).send().await.unwrap().status(), 200);
    for bytes in [16 * 1_024, 100_000] {
        let body = failure(with(bytes), 431, "headers_too_large").await;
        assert!(body["message"].as_str().unwrap().contains("16384 bytes"), "{body}");
    }
}

#[actix_web::test]
async fn a_request_that_the_parser_refuses_has_the_right_status() {
    let server = Server::start();
    let many = (0..200).fold(server.get("/id"), |get, n| get.header(format!("x-{n}"), "v"));
    assert_eq!(many.send().await.unwrap().status(), 431);
}
