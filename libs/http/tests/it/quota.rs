//! The quota of a tenant.

use http_api::admission::Config;
use reqwest::StatusCode;
use serde_json::json;

use crate::fixture::{Server, error};

const BURST: u32 = 3;

/// One request a minute would need a setting of its own; one a second is slow enough for three at once.
fn small() -> Config {
    Config { quota_requests_per_second: 1, quota_burst: BURST, max_requests_in_flight: 100 }
}

async fn use_up(server: &Server) {
    // A second can pass, which allows one more.
    for _ in 0..10 * BURST {
        if server.send("GET", "/read").await.status() == StatusCode::TOO_MANY_REQUESTS {
            return;
        }
    }
    panic!("the quota has no end");
}

#[actix_web::test]
async fn a_tenant_over_its_quota_gets_a_retry_time() {
    let server = Server::start(small());
    for _ in 0..BURST {
        assert_eq!(server.send("GET", "/read").await.status(), StatusCode::NO_CONTENT);
    }
    use_up(&server).await;
    let request = server.request("POST", "/write").bearer_auth(server.token("acme")).json(&json!({}));
    let (retry_after, body) = error(request.send().await.unwrap(), 429, "quota_exceeded").await;
    assert_eq!(retry_after, 1);
    assert!(body["message"].as_str().unwrap().contains("1 requests per second, 3 at once"), "{body}");
}

#[actix_web::test]
async fn a_tenant_does_not_use_the_quota_of_another() {
    let server = Server::start(small());
    use_up(&server).await;
    let other = server.request("GET", "/read").bearer_auth(server.token("globex"));
    assert_eq!(other.send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[actix_web::test]
async fn a_request_without_a_valid_token_or_scope_uses_no_quota() {
    let server = Server::start(small());
    for _ in 0..5 * BURST {
        let anonymous = server.request("GET", "/read").send().await.unwrap();
        assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
        // The claims are those of acme, and the signature is not.
        let mut forged = server.token("acme");
        forged.replace_range(forged.len() - 8.., "AAAAAAAA");
        let forged = server.request("GET", "/read").bearer_auth(forged).send().await.unwrap();
        assert_eq!(forged.status(), StatusCode::UNAUTHORIZED);
        let writer = server.token_with("acme", &["write"]);
        let without_scope = server.request("GET", "/read").bearer_auth(writer).send().await.unwrap();
        assert_eq!(without_scope.status(), StatusCode::FORBIDDEN);
    }
    for _ in 0..BURST {
        assert_eq!(server.send("GET", "/read").await.status(), StatusCode::NO_CONTENT);
    }
}

#[actix_web::test]
async fn a_route_without_a_tenant_has_no_quota() {
    let server = Server::start(small());
    use_up(&server).await;
    for path in ["/public", "/open"] {
        for _ in 0..5 * BURST {
            assert_eq!(server.send("GET", path).await.status(), StatusCode::NO_CONTENT, "{path}");
        }
    }
}

#[actix_web::test]
async fn a_request_is_refused_before_its_body_arrives() {
    let server = Server::start(small());
    assert_eq!(server.send_head("/write", "").await, 401);
    let reader = format!("authorization: Bearer {}\r\n", server.token_with("acme", &["read"]));
    assert_eq!(server.send_head("/write", &reader).await, 403);
    use_up(&server).await;
    let token = format!("authorization: Bearer {}\r\n", server.token("acme"));
    assert_eq!(server.send_head("/write", &token).await, 429);
}

#[actix_web::test]
async fn an_admitted_request_reaches_the_handler_with_its_body() {
    let server = Server::start(small());
    let request = server.request("POST", "/write").bearer_auth(server.token("acme")).json(&json!({"a": 1}));
    let response = request.send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "acme 7");
}
