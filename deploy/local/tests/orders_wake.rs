//! `muster orders wake`: retries an order at once that waits after a failure.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use serde_json::json;
use testkit::{Database, Keys, Process, Topics, client, endpoints, scratch_dir, wait_for};

const SOON: Duration = Duration::from_secs(90);

const FAULT: &str = "ALTER TABLE stock_reservations ADD CONSTRAINT broken CHECK (false)";

const SLEEP: &str = "UPDATE order_process SET due_at = now() + interval '1 hour' WHERE attempts > 0";

async fn orders(database: &Database, keys: &Keys, topics: &Topics) -> Process {
    Process::builder(Path::new(env!("CARGO_BIN_EXE_muster")).with_file_name("orders"))
        .env("DATABASE_URL", database.url())
        .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
        .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
        .env("AUTH_JWKS_FILE", keys.jwks_file())
        .env("ORDERS_EVENTS_TOPIC", topics.name("orders.events"))
        .env(
            "ORDERS_CATALOGUE_FILE",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/orders/catalogue.json"),
        )
        .env("ORDERS_TRACKING_KEY", "11".repeat(32))
        .env("ORDERS_CURSOR_KEYS", format!("test:{}", "22".repeat(32)))
        .env("ORDERS_PUBLIC_URL", "http://orders.example")
        .spawn()
        .await
}

fn wake(url: &str) -> Output {
    let mut muster = Command::new(env!("CARGO_BIN_EXE_muster"));
    muster.args(["orders", "wake"]).env("ORDERS_DATABASE_URL", url).output().unwrap()
}

#[tokio::test]
async fn an_order_that_sleeps_is_tried_at_once() {
    let database = Database::create("orders").await;
    let keys = Keys::generate(&scratch_dir("orders-wake"));
    let topics = Topics::create(&[("orders.events", 1)]).await;
    let orders = orders(&database, &keys, &topics).await;
    let admin = database.connect().await;
    admin.batch_execute(FAULT).await.unwrap();
    let post = client().post(format!("{}/v1/orders", orders.http_url()));
    let post = post.bearer_auth(keys.token("acme", &["orders:write"])).header("Idempotency-Key", "sleeper");
    let body =
        json!({ "customer_email": "ada@example.com", "lines": [{ "sku": "TEA-SENCHA", "quantity": 1 }] });
    assert_eq!(post.json(&body).send().await.unwrap().status(), 202);
    wait_for("the order to fail and sleep", SOON, async || {
        (admin.execute(SLEEP, &[]).await.unwrap() == 1).then_some(())
    })
    .await;
    admin.batch_execute("ALTER TABLE stock_reservations DROP CONSTRAINT broken").await.unwrap();

    let woken = wake(&database.url());

    let said = String::from_utf8(woken.stdout).unwrap();
    assert!(said.starts_with("1 orders woken; 1 wait, the oldest for "), "{said}");
    wait_for("the order to be confirmed", SOON, async || {
        let confirmed = "SELECT count(*) FROM orders WHERE state = 'confirmed'";
        let n_confirmed: i64 = admin.query_one(confirmed, &[]).await.unwrap().get(0);
        (n_confirmed == 1).then_some(())
    })
    .await;
    let said = String::from_utf8(wake(&database.url()).stdout).unwrap();
    assert_eq!(said, "0 orders woken; 0 wait\n");

    let refused = wake("postgres://unknown:secret@127.0.0.1:1/orders");
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("no connection to PostgreSQL") && !said.contains("secret"), "{said}");
}
