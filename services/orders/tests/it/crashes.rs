//! SIGKILL between any two writes: whatever the client was told stays true, and what it was not told can be asked again.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use testkit::Kafka;

use crate::app::{App, id, order};

/// How long the process may take to reach its fail point.
const REACHED: Duration = Duration::from_secs(30);

/// Lets the service die at a point while it works on one order, starts it again, and checks that there is one order with
/// one effect.
async fn survives_death_at(point: &str) {
    let mut app = App::start_with_fail_point(&format!("{point}=kill")).await;
    let body = order("TEA", 1);

    // The answer may be lost with the process; the client then asks again with the same key.
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

/// An event may be published twice; it then carries the same id, and the first of each type are in order.
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
async fn at_any_point_of_placing_an_order() {
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
async fn at_any_point_of_the_order_process() {
    let points = [
        "orders.process.taken",
        "orders.process.reserved",
        "orders.process.before_commit",
        "orders.process.committed",
    ];
    join_all(points.map(survives_death_at)).await;
}

/// Lets the service die at a point while it works on a group of orders, and checks that each has one effect.
async fn group_survives_death_at(point: &str) {
    const ORDERS: u32 = 8;
    // The order before the group passes the point, too.
    let mut app = App::start_with_fail_point(&format!("{point}=kill@2")).await;
    let first = app.place(&order("TEA", 1)).await;
    app.settled(id(&first)).await;
    let mut somebody = app.database.connect().await;
    let lock = somebody.transaction().await.unwrap();
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
async fn at_any_point_of_the_process_of_several_orders() {
    let points = ["orders.process.reserved", "orders.process.before_commit", "orders.process.committed"];
    join_all(points.map(group_survives_death_at)).await;
}

#[tokio::test]
async fn at_any_point_of_publishing() {
    join_all(["outbox.published", "outbox.deleted"].map(survives_death_at)).await;
}
