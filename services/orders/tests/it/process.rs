//! The order process under locks, failures and outages: they delay only the orders that they affect, and only until they end.

use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use testkit::{Database, FaultProxy, client, wait_for};

use crate::app::{App, Parts, SOON, id, order};

/// Longer than the processing of an order that is not delayed, and shorter than the time that delayed orders once cost the others.
const AT_ONCE: Duration = Duration::from_secs(6);

/// More orders than all slots together claim at once.
const MANY: usize = 140;

/// Places orders, with retries when the response asks for them.
async fn place_many(app: &App, sku: &str, n_orders: usize) -> Vec<Value> {
    let mut placed = Vec::new();
    while placed.len() < n_orders {
        let group = (0..10.min(n_orders - placed.len())).map(|_| async {
            let key = uuid::Uuid::new_v4().to_string();
            app.post_until_accepted(&key, &order(sku, 1)).await
        });
        placed.extend(join_all(group).await);
    }
    placed
}

/// The counter of process steps, by outcome.
async fn steps(app: &App, outcome: &str) -> u64 {
    let url = format!("{}/metrics", app.process.admin_url());
    let text = client().get(url).send().await.unwrap().text().await.unwrap();
    let name = format!("orders_process_steps_total{{outcome=\"{outcome}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
    value.unwrap_or_default()
}

async fn pending(app: &App) -> i64 {
    app.count("SELECT count(*) FROM orders WHERE state = 'pending'").await
}

/// Waits until some orders were postponed: they are due later than they were placed.
async fn met_the_lock(app: &App) {
    let tried = "SELECT count(*) FROM order_process JOIN orders ON id = order_id WHERE due_at > placed_at + interval '40 ms'";
    wait_for("orders to be tried", SOON, async || (app.count(tried).await >= 4).then_some(())).await;
}

async fn all_final(app: &App, within: Duration) {
    wait_for("all orders to be final", within, async || (pending(app).await == 0).then_some(())).await;
}

async fn confirmed_at_once(app: &App, what: &str, placed: &Value) {
    let id = id(placed);
    let of_order = format!("SELECT count(*) FROM orders WHERE id = '{id}' AND state = 'confirmed'");
    wait_for(what, AT_ONCE, async || (app.count(&of_order).await == 1).then_some(())).await;
}

#[tokio::test]
async fn a_locked_stock_row_delays_only_the_orders_that_need_it() {
    let app = App::start().await;
    let mut other = app.database.connect().await;
    let lock = other.transaction().await.unwrap();
    lock.execute("SELECT FROM stock WHERE tenant = 'acme' AND sku = 'CUP' FOR UPDATE", &[]).await.unwrap();
    place_many(&app, "CUP", MANY).await;
    met_the_lock(&app).await;

    let tea = app.place(&order("TEA", 1)).await;
    confirmed_at_once(&app, "an order for another product", &tea).await;
    let token = app.keys.token("globex", &["orders:write"]);
    let post = client().post(app.url("/v1/orders")).bearer_auth(token).header("Idempotency-Key", "other");
    let other = post.json(&order("TEA", 1)).send().await.unwrap().json().await.unwrap();
    confirmed_at_once(&app, "an order of another tenant", &other).await;
    assert_eq!(pending(&app).await, i64::try_from(MANY).unwrap(), "the lock is still held");
    assert_eq!(steps(&app, "failed").await, 0, "a lock counts as a failure of an order");

    drop(lock);
    all_final(&app, AT_ONCE).await;
    assert_eq!(app.count("SELECT count(*) FROM orders WHERE state = 'confirmed'").await, 2 + 3);
    assert_eq!(app.count("SELECT count(*) FROM stock_reservations WHERE sku = 'CUP'").await, 3);
}

#[tokio::test]
async fn orders_are_final_soon_after_an_outage() {
    let proxy = FaultProxy::start(Database::server()).await;
    let parts = Parts::make().await;
    let url = parts.database.url_through(proxy.addr());
    let process = parts.service().env("DATABASE_URL", url).spawn().await;
    let app = parts.with(process);
    let mut other = app.database.connect().await;
    let lock = other.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE stock IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    place_many(&app, "TEA", 40).await;
    met_the_lock(&app).await;

    proxy.cut();
    wait_for("the outage to be noticed", SOON, async || {
        let ready = client().get(format!("{}/ready", app.process.admin_url())).send().await.ok()?;
        (ready.status() == 503).then_some(())
    })
    .await;
    let noted = app.count("SELECT max(attempts)::bigint FROM order_process").await;
    assert_eq!(noted, 0, "neither a lock nor an outage is a failure of an order");
    drop(lock);
    proxy.restore();

    all_final(&app, AT_ONCE).await;
    assert_eq!(app.count("SELECT count(*) FROM stock_reservations").await, 40);
    assert_eq!(app.count("SELECT available FROM stock WHERE tenant = 'acme' AND sku = 'TEA'").await, 99_960);
}

/// Makes every confirmation of an order for a cup fail.
const FAULT: &str = "ALTER TABLE stock_reservations ADD CONSTRAINT no_cups CHECK (sku <> 'CUP')";

/// The statement of `muster orders wake`.
const WAKE: &str = "UPDATE order_process SET due_at = now() WHERE step <> 'done' AND due_at > now()";

#[tokio::test]
async fn a_failing_order_blocks_no_other_and_is_retried_when_woken() {
    let app = App::start().await;
    let mut other = app.database.connect().await;
    other.batch_execute(FAULT).await.unwrap();
    let lock = other.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE stock IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    let bad = app.place(&order("CUP", 1)).await;
    let good = place_many(&app, "TEA", 10).await;
    // They were postponed one after the other, and are claimed again as a group.
    lock.rollback().await.unwrap();

    join_all(good.iter().map(|order| app.settled(id(order)))).await;
    wait_for("the order to fail four times", SOON, async || {
        let attempts =
            app.count("SELECT max(attempts)::bigint FROM order_process WHERE step <> 'done'").await;
        (attempts >= 4).then_some(())
    })
    .await;
    assert!(steps(&app, "failed").await >= 4);
    let sleeps = "SELECT count(*) FROM order_process WHERE due_at > now() + interval '3 seconds'";
    assert_eq!(app.count(sleeps).await, 1, "it is tried later and later");

    other.batch_execute("ALTER TABLE stock_reservations DROP CONSTRAINT no_cups").await.unwrap();
    other.batch_execute(WAKE).await.unwrap();
    let woken = std::time::Instant::now();
    assert_eq!(app.settled(id(&bad)).await["state"], "confirmed");
    assert!(woken.elapsed() < Duration::from_secs(3), "{:?}", woken.elapsed());
}

/// Inserts an order that is due after this number of seconds, as if a replica of the previous release had claimed it.
fn insert_due_in(id: &str, seconds: u32) -> String {
    format!(
        "INSERT INTO orders VALUES ('{id}', 'acme', 'ada@example.com', 'pending', NULL, 1, 'EUR', 1, now(), now());
         INSERT INTO order_lines VALUES ('{id}', 1, 'TEA', 'Tea', 1, 1);
         INSERT INTO order_history VALUES ('{id}', 1, 'pending', NULL, now());
         INSERT INTO order_process VALUES ('{id}', 'reserve_stock', 1, now() + interval '{seconds} seconds')"
    )
}

/// The claim of the previous release.
const TAKE_OF_PREVIOUS_RELEASE: &str = "\
UPDATE order_process SET attempts = attempts + 1, due_at = now() + interval '5 seconds'
WHERE order_id = ANY(ARRAY(
    SELECT order_id FROM order_process WHERE step <> 'done' AND due_at <= now()
    ORDER BY due_at LIMIT 4 FOR UPDATE SKIP LOCKED))
RETURNING order_id";

#[tokio::test]
async fn replicas_of_this_and_the_previous_release_respect_each_others_claims() {
    let parts = Parts::make().await;
    let process = parts.service().env("MUSTER_FAIL_POINTS", "orders.process.taken=freeze@2").spawn().await;
    let mut app = parts.with(process);
    let previous = app.database.connect().await;
    let theirs = "00000000-0000-4000-8000-000000000001";
    previous.batch_execute(&insert_due_in(theirs, 3)).await.unwrap();
    app.settled(theirs).await;
    let waited = "SELECT count(*) FROM orders WHERE updated_at >= placed_at + interval '3 seconds'";
    assert_eq!(app.count(waited).await, 1, "the other replica had it for three seconds");

    previous.batch_execute(&insert_due_in("00000000-0000-4000-8000-000000000002", 0)).await.unwrap();
    wait_for("the replica to freeze with the order in hand", SOON, async || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", app.process.pid())).unwrap();
        stat.contains(") T ").then_some(())
    })
    .await;
    assert_eq!(previous.query(TAKE_OF_PREVIOUS_RELEASE, &[]).await.unwrap().len(), 0, "it is locked");
    // PostgreSQL ends the session of a client whose transaction is idle.
    wait_for("the order to be free again", SOON, async || {
        (previous.query(TAKE_OF_PREVIOUS_RELEASE, &[]).await.unwrap().len() == 1).then_some(())
    })
    .await;
    app.process.kill().await;
}

#[tokio::test]
async fn three_replicas_share_a_backlog() {
    let parts = Parts::make().await;
    let first = parts.service().spawn().await;
    let (_second, _third) = (parts.service().spawn().await, parts.service().spawn().await);
    let app = parts.with(first);
    let mut other = app.database.connect().await;
    let lock = other.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE stock IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    place_many(&app, "TEA", 200).await;
    drop(lock);

    all_final(&app, SOON).await;
    assert_eq!(app.count("SELECT count(DISTINCT order_id) FROM stock_reservations").await, 200);
    assert_eq!(app.count("SELECT available FROM stock WHERE tenant = 'acme' AND sku = 'TEA'").await, 99_800);
    app.published().await;
    assert_eq!(app.count("SELECT count(*) FROM order_process WHERE step <> 'done'").await, 0);
}
