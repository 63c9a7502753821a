//! Outages of dependencies: no mail is lost or duplicated, and readiness names the dependency.

use testkit::{FaultProxy, Mailbox, PrivateKafka, Process, client, wait_for};

use crate::{
    orders::{Order, Publisher},
    world::{SOON, World, metric, wait_until_missing},
};

/// Publishes the events of two mails during an outage.
async fn publish_confirmed_and_rejected(world: &World) -> Order {
    let order = Order::new();
    world.publisher.publish(&order, &order.confirmed()).await;
    world.publisher.publish(&order, &order.rejected("Changed our mind.")).await;
    order
}

/// Checks that both mails arrive once, in the order of their events, and that no possible duplicate is counted.
async fn expect_both_in_order(world: &World, consumer: &Process, order: &Order) {
    world.wait_until_recorded(2).await;
    assert_eq!(world.sent_kinds(order.id).await, ["confirmed", "rejected"]);
    assert_eq!(Mailbox::wait_for(&order.email, 2).await.len(), 2);
    assert_eq!(metric(consumer, "email_possible_duplicates_total").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_sent_after_an_smtp_outage() {
    let (world, consumer) = World::with_consumer().await;
    world.smtp.cut();
    wait_until_missing(&consumer, "smtp").await;
    let order = publish_confirmed_and_rejected(&world).await;
    wait_until_retried(&consumer, "SMTP server").await;
    assert!(Mailbox::messages(&order.email).await.is_empty());

    world.smtp.restore();
    expect_both_in_order(&world, &consumer, &order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_idle_smtp_connection_is_replaced() {
    let (world, consumer) = World::with_consumer().await;
    let earlier = Order::new();
    world.publisher.publish(&earlier, &earlier.confirmed()).await;
    Mailbox::wait_for(&earlier.email, 1).await;

    world.smtp.black_hole();
    wait_until_missing(&consumer, "smtp").await;
    let order = Order::new();
    world.publisher.publish(&order, &order.confirmed()).await;
    wait_until_retried(&consumer, "SMTP server").await;

    world.smtp.restore();
    world.wait_until_recorded(2).await;
    assert_eq!(Mailbox::wait_for(&order.email, 1).await.len(), 1);
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_sent_after_an_outage_of_url_shortener() {
    let (world, consumer) = World::with_consumer().await;
    world.links.cut();
    wait_until_missing(&consumer, "url-shortener").await;
    let order = publish_confirmed_and_rejected(&world).await;
    wait_until_retried(&consumer, "url-shortener").await;

    world.links.restore();
    expect_both_in_order(&world, &consumer, &order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_sent_after_an_outage_of_the_schema_registry() {
    let world = World::new().await;
    world.registry.cut();
    let consumer = world.consumer().without_readiness().spawn().await;
    wait_until_missing(&consumer, "schema-registry").await;
    let order = publish_confirmed_and_rejected(&world).await;
    wait_until_retried(&consumer, "schema").await;

    world.registry.restore();
    expect_both_in_order(&world, &consumer, &order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_starts_while_postgresql_is_down() {
    let world = World::new().await;
    world.postgres.cut();
    let consumer = world.consumer().without_readiness().spawn().await;
    wait_until_missing(&consumer, "postgres").await;
    let order = publish_confirmed_and_rejected(&world).await;

    world.postgres.restore();
    expect_both_in_order(&world, &consumer, &order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_sent_after_an_outage_of_postgresql() {
    let (world, consumer) = World::with_consumer().await;
    let earlier = Order::new();
    world.publisher.publish(&earlier, &earlier.confirmed()).await;
    world.wait_until_recorded(1).await;

    world.postgres.cut();
    wait_until_missing(&consumer, "postgres").await;
    let order = publish_confirmed_and_rejected(&world).await;
    wait_until_retried(&consumer, "database").await;

    world.postgres.restore();
    world.wait_until_recorded(3).await;
    assert_eq!(world.sent_kinds(order.id).await, ["confirmed", "rejected"]);
    assert_eq!(Mailbox::wait_for(&order.email, 2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_starts_while_kafka_is_down() {
    let world = World::new().await;
    // A proxy without a target: it resets every connection.
    let nowhere = FaultProxy::start("127.0.0.1:1").await;
    nowhere.cut();
    let mut consumer = world
        .consumer()
        .env("KAFKA_BOOTSTRAP_SERVERS", nowhere.addr().to_string())
        .without_readiness()
        .spawn()
        .await;
    wait_until_missing(&consumer, "kafka").await;
    let live = client().get(format!("{}/live", consumer.admin_url())).send().await.unwrap();
    assert_eq!(live.status(), 200);
    assert!(consumer.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_sent_after_an_outage_of_kafka() {
    let mut world = World::new().await;
    let mut kafka = PrivateKafka::start().await;
    kafka.create_topic(world.event_topic(), 6).await;
    world.publisher = Publisher::new(world.event_topic(), &kafka.bootstrap_servers()).await;
    let consumer = world.consumer().env("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers()).spawn().await;
    let customer = Order::new().email;
    for _ in 0..100 {
        let order = Order::of(&customer);
        world.publisher.publish(&order, &order.confirmed()).await;
    }
    Mailbox::wait_for(&customer, 1).await;

    kafka.kill().await;
    wait_until_missing(&consumer, "kafka").await;
    kafka.restart().await;
    world.wait_until_recorded(100).await;
    assert_eq!(Mailbox::messages(&customer).await.len(), 100);
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0);
}

/// Waits until an attempt failed because of this dependency.
async fn wait_until_retried(consumer: &Process, missing: &str) {
    wait_for(&format!("an attempt without {missing}"), SOON, async || {
        let logs = consumer.logs();
        let mut lines = logs.lines().filter(|line| line.contains("message not handled, trying again"));
        lines.any(|line| line.contains(missing)).then_some(())
    })
    .await;
}
