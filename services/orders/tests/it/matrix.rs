//! Tries every operation of the OpenAPI document with every kind of caller.

use testkit::Matrix;

use crate::app::{App, Parts, id, order};

/// The operations without a token. A new one must be added here.
const PUBLIC: [(&str, &str); 9] = [
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/"),
    ("GET", "/docs/versioning"),
    ("GET", "/docs/{file}"),
    ("GET", "/problems/{code}"),
    // The token in the path authorizes these requests.
    ("GET", "/track/{token}"),
    ("GET", "/unsubscribe/{token}"),
    ("POST", "/unsubscribe/{token}"),
];

/// A service with the catalogue of the local stack, which the examples of the document use.
async fn start() -> App {
    let parts = Parts::make().await;
    let catalogue = concat!(env!("CARGO_MANIFEST_DIR"), "/catalogue.json");
    let process = parts.service().env("ORDERS_CATALOGUE_FILE", catalogue).spawn().await;
    parts.with(process)
}

#[tokio::test]
async fn every_operation_is_for_its_callers_only() {
    let app = start().await;
    let placed = app.place(&order("TEA-SENCHA", 1)).await;

    let n_combinations = Matrix::of(app.process.http_url(), &app.keys)
        .await
        .public(&PUBLIC)
        .resource("id", id(&placed), uuid::Uuid::now_v7().to_string())
        .check()
        .await;

    assert!(n_combinations >= 4 * 10 + PUBLIC.len(), "{n_combinations}");
}
