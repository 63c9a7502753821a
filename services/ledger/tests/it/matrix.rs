//! Tries every operation of the OpenAPI document with every kind of caller.

use testkit::Matrix;

use crate::app::{App, new_key};

/// The operations without a token. A new one must be added here.
const PUBLIC: [(&str, &str); 7] = [
    ("POST", "/v1/bank/notifications"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/"),
    ("GET", "/docs/versioning"),
    ("GET", "/docs/{file}"),
    ("GET", "/problems/{code}"),
];

/// Those that need a signature instead.
const SIGNED: [(&str, &str); 1] = [("POST", "/v1/bank/notifications")];

/// The accounts of the example of a transfer in the document.
const EXAMPLES: &str = "\
INSERT INTO accounts
    (id, tenant, kind, currency, may_overdraw, state, posted, held, version, created_at, updated_at)
SELECT id, 'acme', 'customer', 'EUR', true, 'open', 0, 0, 1, now(), now()
FROM unnest(ARRAY['0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d11', '0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d12']::uuid[]) AS id";

#[tokio::test]
async fn every_operation_is_for_its_callers_only() {
    let app = App::start().await;
    app.database.connect().await.batch_execute(EXAMPLES).await.unwrap();
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", true).await);
    let transfer = app.paid(&source, &destination, 1).await;
    // The matrix freezes it.
    let account = app.open("EUR", false).await;
    // A transfer that is settled between a GET and its HEAD would make them differ.
    let stall = app.stall().await;

    let n_combinations = Matrix::of(app.process.http_url(), &app.keys)
        .await
        .public(&PUBLIC)
        .signed(&SIGNED)
        .resource("account_id", &account, new_key())
        .resource("transfer_id", &transfer, new_key())
        .check()
        .await;
    stall.end().await;

    assert!(n_combinations >= 9 * 10 + PUBLIC.len(), "{n_combinations}");
}
