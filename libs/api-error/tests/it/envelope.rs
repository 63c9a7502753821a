//! The envelope, problem details, and their headers.

use api_error::Code;
use serde_json::{Value, json};

use crate::fixture::{SECRET, Server, failure, header};

#[actix_web::test]
async fn every_code_has_its_status_and_no_5xx_leaks_its_cause() {
    let server = Server::start();
    for code in Code::ALL {
        let body =
            failure(server.get(&format!("/codes/{code}")), code.status().as_u16(), code.as_str()).await;
        assert_eq!(body["details"], json!([{"pointer": "/there", "message": "is wrong"}]));
        assert_eq!(body["message"] == SECRET, code.status().is_client_error(), "{body}");
    }
}

#[actix_web::test]
async fn every_retryable_code_has_retry_after() {
    let server = Server::start();
    for code in Code::ALL {
        let response = server.get(&format!("/codes/{code}")).send().await.unwrap();
        assert_eq!(header(&response, "retry-after").is_some(), code.retryable(), "{code}");
    }
}

#[actix_web::test]
async fn problem_details_are_sent_on_request() {
    let server = Server::start();
    let request = server.get("/codes/unknown_sku").header("accept", "application/problem+json");
    let response = request.header("x-request-id", "from-the-caller").send().await.unwrap();
    assert_eq!(response.status(), 422);
    assert_eq!(header(&response, "content-type").unwrap(), "application/problem+json");
    assert_eq!(header(&response, "vary").unwrap(), "accept");
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        body,
        json!({
            "type": "/problems/unknown_sku",
            "title": "Unknown SKU",
            "status": 422,
            "detail": SECRET,
            "instance": "/codes/unknown_sku",
            "code": "unknown_sku",
            "request_id": "from-the-caller",
            "retryable": false,
            "errors": [{"pointer": "/there", "message": "is wrong"}],
        })
    );
}

#[actix_web::test]
async fn every_response_has_a_request_id() {
    let server = Server::start();
    let response = server.get("/id").header("x-request-id", "trace.me_0-1").send().await.unwrap();
    assert_eq!(header(&response, "x-request-id").unwrap(), "trace.me_0-1");

    for bad in ["short", "has space in it", "quote\"quote"] {
        let response = server.get("/id").header("x-request-id", bad).send().await.unwrap();
        let id = header(&response, "x-request-id").unwrap();
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{id} is not a UUIDv7");
    }
}
