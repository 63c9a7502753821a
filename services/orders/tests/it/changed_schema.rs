//! Changes of the schema under a running service, as during the rollout of a newer release.

use reqwest::StatusCode;
use serde_json::Value;
use testkit::{client, wait_for};

use crate::app::{App, SOON, id, order};

async fn get(app: &App, path: &str) -> (StatusCode, Value) {
    let response = client().get(app.url(path)).bearer_auth(app.token()).send().await.unwrap();
    (response.status(), response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn a_column_of_a_wider_type_is_still_readable() {
    let app = App::start().await;
    let before = app.place(&order("TEA", 1)).await;
    let before = id(&before);
    let paths = [format!("/v1/orders/{before}"), "/v1/orders?customer=ada@example.com".to_owned()];
    app.settled(before).await;
    for path in &paths {
        assert_eq!(get(&app, path).await.0, StatusCode::OK);
    }

    let admin = app.database.connect().await;
    for kind in ["varchar(300)", "text"] {
        let alter = format!("ALTER TABLE orders ALTER COLUMN customer_email TYPE {kind}");
        admin.batch_execute(&alter).await.unwrap();
        for path in &paths {
            assert_eq!(get(&app, path).await.0, StatusCode::OK, "{path} with {kind}");
        }
        let after = app.place(&order("TEA", 1)).await;
        app.settled(id(&after)).await;
    }
}

/// A change of an order by a newer release.
async fn give_an_unknown_state(app: &App, order_id: &str) {
    let newer = format!(
        "ALTER TABLE orders DISABLE TRIGGER orders_refuse_illegal_change;
         ALTER TABLE orders DROP CONSTRAINT orders_state_check;
         UPDATE orders SET state = 'shipped', version = version + 1 WHERE id = '{order_id}';
         ALTER TABLE orders ENABLE TRIGGER orders_refuse_illegal_change"
    );
    app.database.connect().await.batch_execute(&newer).await.unwrap();
}

#[tokio::test]
async fn an_order_in_an_unknown_state_is_not_changed() {
    let app = App::start().await;
    let (unknown, known) = (app.place(&order("TEA", 1)).await, app.place(&order("TEA", 1)).await);
    for order in [&unknown, &known] {
        app.settled(id(order)).await;
    }
    give_an_unknown_state(&app, id(&unknown)).await;

    for path in [format!("/v1/orders/{}", id(&unknown)), "/v1/orders".to_owned()] {
        let (status, body) = get(&app, &path).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"unavailable".into()),
            "{path}"
        );
    }
    for path in [format!("/v1/orders/{}", id(&known)), "/v1/orders?state=confirmed".to_owned()] {
        assert_eq!(get(&app, &path).await.0, StatusCode::OK, "{path}");
    }
    let next = app.place(&order("TEA", 1)).await;
    app.settled(id(&next)).await;
}

/// A step of a newer release.
const NEWER_STEP: &str = "\
ALTER TABLE order_process DROP CONSTRAINT order_process_step_check;
INSERT INTO order_process (order_id, step, due_at) SELECT id, 'charge_payment', now() - interval '1 hour' FROM orders";

#[tokio::test]
async fn an_order_at_an_unknown_step_is_not_claimed() {
    let app = App::start().await;
    let theirs = app.place(&order("TEA", 1)).await;
    app.settled(id(&theirs)).await;
    app.database.connect().await.batch_execute(NEWER_STEP).await.unwrap();

    let ours = app.place(&order("TEA", 1)).await;
    app.settled(id(&ours)).await;

    let untouched = "SELECT count(*) FROM order_process WHERE step = 'charge_payment' AND attempts = 0";
    assert_eq!(app.count(untouched).await, 1);
}

/// An order without a row in `order_process`.
const INSERT: &str = "\
INSERT INTO orders VALUES ('00000000-0000-4000-8000-000000000001', 'acme', 'ada@example.com', 'pending', NULL, 1, 'EUR', 1,
    now(), now());
INSERT INTO order_lines VALUES ('00000000-0000-4000-8000-000000000001', 1, 'TEA', 'Tea', 1, 1);
INSERT INTO order_history VALUES ('00000000-0000-4000-8000-000000000001', 1, 'pending', NULL, now())";

const CONFIRM: &str = "\
UPDATE orders SET state = 'confirmed', version = 2;
INSERT INTO order_history VALUES ('00000000-0000-4000-8000-000000000001', 2, 'confirmed', NULL, now())";

const WAITING: &str = "\
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

#[tokio::test]
async fn an_order_is_read_in_one_snapshot() {
    let app = App::start().await;
    let admin = app.database.connect().await;
    admin.batch_execute(INSERT).await.unwrap();
    admin.batch_execute("BEGIN; LOCK TABLE order_history IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let (read, ()) = tokio::join!(get(&app, "/v1/orders/00000000-0000-4000-8000-000000000001"), async {
        wait_for("the read to wait for the history", SOON, async || {
            let waiting: i64 = admin.query_one(WAITING, &[]).await.unwrap().get(0);
            (waiting > 0).then_some(())
        })
        .await;
        admin.batch_execute(CONFIRM).await.unwrap();
        admin.batch_execute("COMMIT").await.unwrap();
    });

    let (status, order) = read;
    assert_eq!(status, StatusCode::OK);
    let history = order["history"].as_array().unwrap();
    assert_eq!(order["state"], history.last().unwrap()["state"], "{order}");
}
