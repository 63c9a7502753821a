//! Failures outside handlers: routing, actix, panics, deadlines.

use std::time::Instant;

use serde_json::json;

use crate::fixture::{DEADLINE, Server, failure, header};

#[actix_web::test]
async fn a_routing_failure_has_the_envelope() {
    let server = Server::start();
    failure(server.get("/nowhere"), 404, "not_found").await;
    let body = failure(server.get("/items/not-a-number"), 404, "not_found").await;
    assert_eq!(body["details"][0]["pointer"], "/path/id");
}

#[actix_web::test]
async fn a_wrong_method_is_a_405_with_allow() {
    let server = Server::start();
    for method in ["GET", "PUT", "DELETE", "BREW"] {
        failure(server.method(method, "/orders"), 405, "method_not_allowed").await;
        let response = server.method(method, "/orders").send().await.unwrap();
        assert_eq!(header(&response, "allow").unwrap(), "POST");
    }
}

#[actix_web::test]
async fn an_error_of_actix_is_mapped_by_its_status() {
    let server = Server::start();
    for path in ["/foreign", "/pages?size=300"] {
        let body = failure(server.get(path), 400, "invalid_request").await;
        assert_eq!(body["message"], "The request is invalid. Check its path, query, headers and body.");
        assert_eq!(body["details"], json!([]));
    }
    failure(server.get("/bare"), 409, "conflict").await;
    failure(server.get("/broken"), 500, "internal").await;
}

#[actix_web::test]
async fn an_error_response_with_a_body_keeps_it() {
    let response = Server::start().get("/html").send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert!(header(&response, "x-request-id").is_some());
    assert_eq!(response.text().await.unwrap(), "<p>gone");
}

#[actix_web::test]
async fn a_panic_is_a_500_and_the_server_continues() {
    let server = Server::start();
    for _ in 0..3 {
        let body = failure(server.get("/panic"), 500, "internal").await;
        assert_eq!(body["details"], json!([]));
    }
    assert_eq!(server.get("/items/1").send().await.unwrap().status(), 200);
}

#[actix_web::test]
async fn a_handler_past_its_deadline_is_a_retryable_503() {
    let server = Server::start();
    let started = Instant::now();
    let response = server.get("/slow").send().await.unwrap();
    assert!(started.elapsed() >= DEADLINE && started.elapsed() < 3 * DEADLINE, "{:?}", started.elapsed());
    assert_eq!(header(&response, "retry-after").unwrap(), "1");
    failure(server.get("/slow").header("x-request-id", "12345678"), 503, "deadline_exceeded").await;
}
