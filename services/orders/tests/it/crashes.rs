//! SIGKILL between every two writes: acknowledged orders stay, and a client can retry requests without a response.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use testkit::Kafka;

use crate::app::{App, id, order};

/// Timeout for the process to reach its fail point.
const REACHED: Duration = Duration::from_secs(30);

/// Kills the service at a fail point while it works on one order, restarts it, and checks that one order with one effect exists.
async fn survives_death_at(point: &str) {
    let mut app = App::start_with_fail_point(&format!("{point}=kill")).await;
    let body = order("TEA", 1);

    // The response may be lost with the process; then the client retries with the same key.
    drop(app.try_post("crash", &body).await);
    let status = app.process.wait_exit(REACHED).await;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{point}: {status}");
    app.process.remove_env("MUSTER_FAIL_POINTS");
    app.process.restart().await;

    let placed = app.post_until_accepted("crash", &body).await;
    let settled = app.settled(id(&placed)).await;
    assert_eq!(settled["state"], "confirmed", "{point}");
    assert_eq!(app.count("SELECT count(*) FROM orders").await, 1, "{point}");
    assert_eq!(app.count("SELECT count(*) FROM stock_reservations").await, 1, "{point}");
    let available = app.count("SELECT available FROM stock WHERE tenant = 'acme' AND sku = 'TEA'").await;
    assert_eq!(available, 99_999, "{point}");
    assert_one_event_of_each_type(&app, point).await;
}

/// A duplicate event has the same id, and the first events of each type are in order.
async fn assert_one_event_of_each_type(app: &App, point: &str) {
    app.published().await;
    let records = Kafka::read(app.topics.name("orders.events"), 2).await;
    let mut first_seen: Vec<&str> = Vec::new();
    let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
    for record in &records {
        let (event_type, event_id) =
            (record.headers["event-type"].as_str(), record.headers["event-id"].as_str());
        if !first_seen.contains(&event_type) {
            first_seen.push(event_type);
        }
        assert_eq!(*ids.entry(event_type).or_insert(event_id), event_id, "{point}: a second {event_type}");
    }
    assert_eq!(first_seen, ["muster.orders.OrderPlaced", "muster.orders.OrderConfirmed"], "{point}");
}

#[tokio::test]
async fn a_kill_while_an_order_is_placed_loses_and_repeats_nothing() {
    let points = [
        "idempotency.locked",
        "idempotency.claimed",
        "orders.create.order_inserted",
        "orders.create.process_inserted",
        "idempotency.before_store",
        "idempotency.before_commit",
        "idempotency.committed",
    ];
    join_all(points.map(survives_death_at)).await;
}

#[tokio::test]
async fn a_kill_during_the_order_process_loses_and_repeats_nothing() {
    let points = [
        "orders.process.taken",
        "orders.process.reserved",
        "orders.process.before_commit",
        "orders.process.committed",
    ];
    join_all(points.map(survives_death_at)).await;
}

/// Kills the service at a fail point while it processes a group of orders, and checks that each order has one effect.
async fn group_survives_death_at(point: &str) {
    const ORDERS: u32 = 8;
    // The order before the group hits the fail point too.
    let mut app = App::start_with_fail_point(&format!("{point}=kill@2")).await;
    let first = app.place(&order("TEA", 1)).await;
    app.settled(id(&first)).await;
    let mut other = app.database.connect().await;
    let lock = other.transaction().await.unwrap();
    lock.execute("SELECT FROM stock WHERE sku = 'TEA' FOR UPDATE", &[]).await.unwrap();
    let keys: Vec<String> = (0..ORDERS).map(|number| format!("order-{number}")).collect();
    let body = order("TEA", 1);
    join_all(keys.iter().map(|key| async { drop(app.try_post(key, &body).await) })).await;
    drop(lock);
    let status = app.process.wait_exit(REACHED).await;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{point}: {status}");
    app.process.remove_env("MUSTER_FAIL_POINTS");
    app.process.restart().await;

    let placed = join_all(keys.iter().map(|key| app.post_until_accepted(key, &body))).await;
    for order in &placed {
        assert_eq!(app.settled(id(order)).await["state"], "confirmed", "{point}");
    }
    let n_orders = i64::from(ORDERS) + 1;
    assert_eq!(app.count("SELECT count(*) FROM orders").await, n_orders, "{point}");
    assert_eq!(app.count("SELECT count(*) FROM stock_reservations").await, n_orders, "{point}");
    let available = app.count("SELECT available FROM stock WHERE tenant = 'acme' AND sku = 'TEA'").await;
    assert_eq!(available, 100_000 - n_orders, "{point}");
}

#[tokio::test]
async fn a_kill_while_a_group_of_orders_is_processed_loses_and_repeats_nothing() {
    let points = ["orders.process.reserved", "orders.process.before_commit", "orders.process.committed"];
    join_all(points.map(group_survives_death_at)).await;
}

#[tokio::test]
async fn a_kill_while_events_are_published_loses_no_event() {
    join_all(["outbox.published", "outbox.marked"].map(survives_death_at)).await;
}
