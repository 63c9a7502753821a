//! Every fault of a query.

use serde_json::json;

use crate::fixture::{Server, failure};

#[actix_web::test]
async fn one_error_names_every_faulty_parameter() {
    let server = Server::start();
    let wrong = "/strict-pages?text=a&text=b&page=1&a%2Fb=2&page=3";
    let body = failure(server.get(wrong), 400, "invalid_request").await;
    assert_eq!(body["message"], "The query parameters do not match this operation. See details.");
    assert_eq!(
        body["details"],
        json!([
            {"pointer": "/query/text", "message": "must be sent once"},
            {"pointer": "/query/page", "message": "is unknown; known are: size and text"},
            {"pointer": "/query/a~1b", "message": "is unknown; known are: size and text"},
        ])
    );
    let good = server.get("/strict-pages?size=7").send().await.unwrap();
    assert_eq!(good.status(), 200);
}
