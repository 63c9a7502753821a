//! Every way in which a query can be wrong.

use serde_json::json;

use crate::fixture::{Server, failure};

#[actix_web::test]
async fn a_parameter_that_does_not_fit_is_named() {
    let server = Server::start();
    for (query, name, message) in [
        ("", "size", "is required"),
        ("?size=1&size=1", "size", "must be there once only"),
        ("?size=1&sise=2", "sise", "unknown field `sise`, expected `size`"),
    ] {
        let body = failure(server.get(&format!("/strict-pages{query}")), 400, "invalid_request").await;
        assert_eq!(
            body["details"],
            json!([{"pointer": format!("/query/{name}"), "message": message}]),
            "{query}"
        );
    }
    let good = server.get("/strict-pages?size=7").send().await.unwrap();
    assert_eq!(good.status(), 200);
}
