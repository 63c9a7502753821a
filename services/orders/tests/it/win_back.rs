//! Events for customers to win back: for the right ones, and once in a period.

use std::{collections::BTreeSet, os::unix::process::ExitStatusExt as _, time::Duration};

use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use testkit::wait_for;

use crate::{
    app::SOON,
    shop::{Shop, searched, searches, searches_with},
};

/// Timeout for the process to reach its fail point.
const REACHED: Duration = Duration::from_secs(30);

const THREE: &[&str] = &["20 days", "15 days", "10 days"];

#[tokio::test]
async fn customers_who_bought_often_and_were_not_seen_lately_get_an_event() {
    let shop = Shop::open().await;
    let confirmed = async |tenant, customer, ages| shop.ordered(tenant, customer, "confirmed", ages).await;
    confirmed("acme", "Lapsed@example.com", &["29 days 23:59", "10 days", "7 days 00:01"]).await;
    confirmed("acme", "often@example.com", &["20 days", "19 days", "18 days", "17 days", "40 days"]).await;
    confirmed("globex", "Lapsed@example.com", THREE).await;
    // Two purchases count, the third is too old.
    confirmed("acme", "early@example.com", &["30 days 00:01", "10 days", "8 days"]).await;
    confirmed("acme", "twice@example.com", &["10 days", "8 days"]).await;
    // Of each tenant fewer than three.
    confirmed("acme", "split@example.com", &["10 days", "8 days"]).await;
    confirmed("globex", "split@example.com", &["9 days"]).await;
    // Seen in the last seven days, one of them in an order without a purchase.
    confirmed("acme", "seen@example.com", &["20 days", "15 days", "10 days", "6 days 23:59"]).await;
    confirmed("acme", "refused@example.com", THREE).await;
    shop.ordered("acme", "refused@example.com", "rejected", &["1 day"]).await;
    // An order that was rejected is no purchase.
    confirmed("acme", "unlucky@example.com", &["10 days", "9 days"]).await;
    shop.ordered("acme", "unlucky@example.com", "rejected", &["8 days"]).await;
    assert_eq!(shop.n_events().await, 0, "without the setting there is no search");

    let service = shop.searching().spawn().await;
    shop.wait_for_events(3).await;
    searched(&service).await;

    assert_eq!(shop.n_events().await, 3);
    let events = shop.events(3).await;
    let found: BTreeSet<_> = events
        .iter()
        .map(|(_, event)| (event.tenant.as_str(), event.customer_email.as_str(), event.n_purchases))
        .collect();
    let expected = [
        ("acme", "Lapsed@example.com", 3),
        ("acme", "often@example.com", 4),
        ("globex", "Lapsed@example.com", 3),
    ];
    assert_eq!(found, BTreeSet::from(expected));
    let links: BTreeSet<_> = events.iter().map(|(_, event)| &event.unsubscribe_url).collect();
    assert_eq!(links.len(), 3);
    for (key, event) in &events {
        assert_eq!(*key, event.customer_id.to_string());
        assert!(event.last_purchase_at < Utc::now() - TimeDelta::days(7));
        assert!(event.expires_at < Utc::now() + TimeDelta::minutes(46));
        assert!(event.unsubscribe_url.starts_with("http://orders.example/unsubscribe/"));
    }
}

#[tokio::test]
async fn spellings_of_one_address_get_one_event() {
    let shop = Shop::open().await;
    shop.ordered("acme", "Ada@example.com", "confirmed", THREE).await;
    shop.ordered("acme", "ada@example.com", "confirmed", THREE).await;

    let service = shop.searching().spawn().await;
    shop.wait_for_events(1).await;
    searched(&service).await;

    assert_eq!(shop.n_events().await, 1);
}

#[tokio::test]
async fn a_customer_gets_one_event_in_thirty_days() {
    let shop = Shop::open().await;
    shop.ordered("acme", "ada@example.com", "confirmed", THREE).await;
    let service = shop.searching().spawn().await;
    shop.wait_for_events(1).await;

    shop.sql("UPDATE promotion_recipients SET last_event_at = now() - interval '29 days 23:59'").await;
    searched(&service).await;
    assert_eq!(shop.n_events().await, 1);

    shop.sql("UPDATE promotion_recipients SET last_event_at = now() - interval '30 days'").await;
    shop.wait_for_events(2).await;
    searched(&service).await;
    assert_eq!(shop.n_events().await, 2);
    let keys: BTreeSet<_> = shop.events(2).await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), 1, "the key of a customer stays");
}

/// More customers than one search returns.
const MANY: &str = "\
INSERT INTO orders (id, tenant, customer_email, state, total_minor, currency, version, placed_at, updated_at)
SELECT gen_random_uuid(), 'acme', 'customer-' || n % 1200 || '@example.com', 'confirmed', 100, 'EUR', 2, at, at
FROM generate_series(0, 3599) AS n CROSS JOIN LATERAL (SELECT now() - interval '10 days' - n * interval '1 second') AS placed (at)";

#[tokio::test]
async fn three_replicas_emit_one_event_for_each_of_many_customers() {
    let shop = Shop::open().await;
    shop.sql(MANY).await;

    let replicas = join_all((0..3).map(|_| shop.searching().spawn())).await;
    shop.wait_for_events(1_200).await;
    join_all(replicas.iter().map(searched)).await;

    assert_eq!(shop.n_events().await, 1_200);
    assert_eq!(shop.count("SELECT count(*) FROM promotion_recipients").await, 1_200);
    assert_eq!(shop.count("SELECT count(DISTINCT key) FROM outbox").await, 1_200);
}

/// Kills a service at the `nth` passage of a fail point, beside another one that searches too.
async fn survives_death_at(point: &str) {
    let shop = Shop::open().await;
    shop.sql(MANY).await;
    let trap = format!("{point}=kill@2");
    let mut killed = shop.searching().env("MUSTER_FAIL_POINTS", trap).without_readiness().spawn().await;
    let status = killed.wait_exit(REACHED).await;
    assert_eq!(status.signal(), Some(9), "{point}: {status}");
    let before = shop.n_events().await;
    assert!((100..1_200).contains(&before), "{point}: {before}");

    let service = shop.searching().spawn().await;
    shop.wait_for_events(1_200).await;
    searched(&service).await;

    assert_eq!(shop.n_events().await, 1_200, "{point}");
    assert_eq!(shop.count("SELECT count(DISTINCT key) FROM outbox").await, 1_200, "{point}");
}

#[tokio::test]
async fn a_kill_during_the_search_loses_and_repeats_nothing() {
    let points = [
        "orders.win_back.found",
        "orders.win_back.claimed",
        "orders.win_back.before_commit",
        "orders.win_back.committed",
    ];
    join_all(points.map(survives_death_at)).await;
}

/// Sixty events of orders that wait for Kafka.
const WAITING: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, occurred_at)
SELECT gen_random_uuid(), 'TOPIC', 'key-' || n, 'test', '', now() FROM generate_series(1, 60) AS n";

#[tokio::test]
async fn promotions_leave_half_of_the_backlog_to_orders() {
    let mut shop = Shop::open().await;
    assert!(shop.quiet.terminate().await.success());
    shop.ordered("acme", "ada@example.com", "confirmed", THREE).await;
    shop.sql(&WAITING.replace("TOPIC", shop.parts.topics.name("orders.events"))).await;

    // Nothing answers at this port.
    let without_kafka = shop.searching().env("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1");
    let mut service = without_kafka.env("ORDERS_MAX_UNPUBLISHED_EVENTS", "100").spawn().await;
    wait_for("two deferred searches", SOON, async || {
        (searches_with(&service, "deferred").await? >= 2.0).then_some(())
    })
    .await;
    assert_eq!(shop.n_events().await, 0);
    assert!(service.terminate().await.success());

    let _service = shop.searching().spawn().await;
    shop.wait_for_events(1).await;
}

/// 300,000 orders of two tenants over a year, and statistics about them.
const YEAR: &str = "\
INSERT INTO orders (id, tenant, customer_email, state, rejection_reason, total_minor, currency, version, placed_at, updated_at)
SELECT gen_random_uuid(), (ARRAY['acme', 'globex'])[1 + n % 2], 'customer-' || n / 2 % 40000 || '@example.com',
    CASE WHEN n % 10 < 2 THEN 'rejected' ELSE 'confirmed' END, CASE WHEN n % 10 < 2 THEN 'sold out' END, 100, 'EUR', 2, at, at
FROM generate_series(0, 299999) AS n CROSS JOIN LATERAL (SELECT now() - n * interval '105 seconds') AS placed (at)";

#[tokio::test]
async fn the_search_reads_only_the_entries_of_its_range() {
    const READ: &str = "\
SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'orders_by_purchase'";
    const IN_RANGE: &str = "\
SELECT count(*) FROM orders WHERE state = 'confirmed' AND placed_at BETWEEN now() - interval '30 days' AND now() - interval '7 days'";
    let shop = Shop::open().await;
    shop.sql(YEAR).await;
    shop.sql("VACUUM ANALYZE orders").await;

    let mut service = shop.searching().env("ORDERS_WIN_BACK_EVERY_S", "3600").spawn().await;
    wait_for("the first search", SOON, async || searches(&service).await.filter(|searches| *searches >= 1.0))
        .await;
    assert!(service.terminate().await.success());

    // A session reports its statistics at its end, at the latest.
    let read = wait_for("the statistics of the search", SOON, async || {
        let read = shop.count(READ).await;
        (read > 0).then_some(read)
    })
    .await;
    let in_range = shop.count(IN_RANGE).await;
    assert!((in_range / 2..=in_range + 100).contains(&read), "{read} entries read, {in_range} in the range");
}
