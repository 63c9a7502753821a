//! Tries every operation of the OpenAPI document with every kind of caller.

use reqwest::StatusCode;
use testkit::Matrix;

use crate::service::Service;

/// The operations without a token. A new one must be added here.
const PUBLIC: [(&str, &str); 7] = [
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/"),
    ("GET", "/docs/versioning"),
    ("GET", "/docs/{file}"),
    ("GET", "/problems/{code}"),
    ("GET", "/{code}"),
];

#[tokio::test]
async fn every_operation_is_for_its_callers_only() {
    let service = Service::start().await;
    let link = service.put("acme", "of-acme", "https://acme.example/").await;
    assert_eq!(link.status, StatusCode::CREATED, "{link:?}");

    let n_combinations = Matrix::of(service.process.http_url(), service.keys())
        .await
        .public(&PUBLIC)
        .resource("code", "of-acme", "of-none")
        .shared_name("PUT", "/v1/links/{code}", StatusCode::CONFLICT)
        .check()
        .await;

    assert!(n_combinations >= 2 * 10 + PUBLIC.len(), "{n_combinations}");
}
