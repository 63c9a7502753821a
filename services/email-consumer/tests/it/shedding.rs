//! A mail server that takes less than is sent to it: promotions are dropped, mails about orders are not.

use std::time::Duration;

use events::promotions::CustomerLapsed;
use testkit::{Process, wait_for};

use crate::{
    orders::{Order, envelope},
    promotions::{ended, lapsed},
    smtp_stub::SmtpStub,
    world::{SOON, World, metric, wait_until_missing},
};

/// Time of the slow server for a mail.
const EACH: Duration = Duration::from_millis(50);

async fn publish_orders(world: &World, number: u32) {
    for _ in 0..number {
        let order = Order::new();
        world.publisher.publish(&order, &order.confirmed()).await;
    }
}

async fn publish_promotions(world: &World, number: u32) {
    for _ in 0..number {
        world.promotions.promote(&lapsed(), &envelope::<CustomerLapsed>()).await;
    }
}

/// Waits until the mails of this many orders are recorded as sent.
async fn wait_for_orders(world: &World, number: i64) {
    let database = world.database.connect().await;
    let sql = "SELECT count(*) FROM mails WHERE state = 'sent' AND order_id IS NOT NULL";
    wait_for(&format!("the mails of {number} orders"), SOON, async || {
        let row = database.query_one(sql, &[]).await.ok()?;
        (row.get::<_, i64>(0) == number).then_some(())
    })
    .await;
}

/// Waits until each of this many promotions has ended, and returns how many were sent.
async fn wait_for_promotions(consumer: &Process, number: u64) -> u64 {
    wait_for(&format!("{number} promotions to end"), SOON, async || {
        let mut n_ended = 0;
        for outcome in ["sent", "sampled_out", "dropped", "failed"] {
            n_ended += ended(consumer, outcome).await;
        }
        (n_ended == number).then_some(())
    })
    .await;
    ended(consumer, "sent").await
}

async fn consumer_at(world: &World, stub: &SmtpStub, connections: &str) -> Process {
    world
        .consumer()
        .env("SMTP_PORT", stub.addr().port().to_string())
        .env("SMTP_MAX_CONNECTIONS", connections)
        .spawn()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn under_five_times_the_load_promotions_are_shed_and_every_order_gets_its_mail() {
    let world = World::new().await;
    let stub = SmtpStub::start(&[]).await;
    stub.slow_down(EACH).await;
    let consumer = consumer_at(&world, &stub, "8").await;
    publish_orders(&world, 10).await;
    wait_for_orders(&world, 10).await;

    tokio::join!(publish_orders(&world, 50), publish_promotions(&world, 200));
    wait_for_orders(&world, 60).await;
    let n_sent = wait_for_promotions(&consumer, 200).await;
    assert!(n_sent < 100, "{n_sent} of 200 promotions were sent");
    assert_eq!(u64::from(stub.taken()), 60 + n_sent, "each mail once");
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_mail_server_is_down_promotions_are_dropped_and_mails_about_orders_wait() {
    let world = World::new().await;
    let consumer = world.consumer().spawn().await;
    world.smtp.cut();
    wait_until_missing(&consumer, "smtp").await;
    publish_orders(&world, 3).await;
    wait_for("an attempt without the SMTP server", SOON, async || {
        consumer.logs().contains("message not handled, trying again").then_some(())
    })
    .await;
    publish_promotions(&world, 10).await;
    assert_eq!(wait_for_promotions(&consumer, 10).await, 0);
    assert_eq!(ended(&consumer, "dropped").await, 10, "they do not add to the attempts");

    world.smtp.restore();
    wait_for_orders(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promotions_that_get_no_answer_hold_a_quarter_of_the_connections() {
    let world = World::new().await;
    let stub = SmtpStub::start(&[]).await;
    stub.hold("promotion");
    let consumer = consumer_at(&world, &stub, "4").await;
    publish_promotions(&world, 5).await;
    wait_for("a promotion without an answer", SOON, async || {
        (metric(&consumer, "email_leases_held").await == 1).then_some(())
    })
    .await;
    publish_orders(&world, 20).await;
    wait_for_orders(&world, 20).await;
    assert_eq!(metric(&consumer, "email_leases_held").await, 1);
    assert_eq!(stub.taken(), 21);

    stub.release();
    let n_sent = wait_for_promotions(&consumer, 5).await;
    assert_eq!(u64::from(stub.taken()), 20 + n_sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_never_takes_the_only_connection() {
    let world = World::new().await;
    let stub = SmtpStub::start(&[]).await;
    let consumer = consumer_at(&world, &stub, "1").await;
    publish_promotions(&world, 3).await;
    assert_eq!(wait_for_promotions(&consumer, 3).await, 0);
    publish_orders(&world, 1).await;
    wait_for_orders(&world, 1).await;
}
