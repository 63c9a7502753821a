//! Shutdown under load, and rebalances.

use std::collections::BTreeSet;

use testkit::{Mailbox, Process, wait_for};

use crate::{
    orders::Order,
    world::{SOON, World, metric},
};

/// Publishes confirmed orders of one customer, spread over all partitions.
async fn publish(world: &World, email: &str, count: usize) -> BTreeSet<String> {
    let mut message_ids = BTreeSet::new();
    for _ in 0..count {
        let order = Order::of(email);
        world.publisher.publish(&order, &order.confirmed()).await;
        message_ids.insert(order.message_id("confirmed"));
    }
    message_ids
}

/// Checks that every mail arrived exactly once.
async fn expect_each_once(world: &World, email: &str, expected: &BTreeSet<String>) {
    world.wait_until_recorded(i64::try_from(expected.len()).unwrap()).await;
    let mails = Mailbox::wait_for(email, expected.len()).await;
    let arrived: BTreeSet<_> = mails.iter().map(testkit::Mail::message_id).collect();
    assert_eq!(&arrived, expected);
    assert_eq!(mails.len(), expected.len(), "some arrived twice");
    let row =
        world.database.connect().await.query_one("SELECT max(handovers) FROM mails", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 1, "some were handed over twice");
}

async fn sent(consumer: &Process) -> u64 {
    metric(consumer, "mails_sent_total{kind=\"confirmed\"}").await
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_loses_and_repeats_no_mail() {
    let world = World::new().await;
    let customer = Order::new().email;
    let expected = publish(&world, &customer, 300).await;
    let mut consumer = world.consumer().without_readiness().spawn().await;
    wait_for("some mails, but not all", SOON, async || (sent(&consumer).await >= 5).then_some(())).await;

    let status = consumer.terminate().await;
    assert!(status.success(), "{status}");
    let sent_before = Mailbox::messages(&customer).await.len();
    assert!(sent_before < expected.len(), "all mails were out before the service was stopped");

    consumer.restart().await;
    expect_each_once(&world, &customer, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_between_two_instances_loses_and_repeats_no_mail() {
    let (world, first) = World::with_consumer().await;
    let customer = Order::new().email;
    let mut expected = publish(&world, &customer, 30).await;
    wait_for("the first instance to work", SOON, async || (sent(&first).await > 0).then_some(())).await;

    let mut second = world.consumer().spawn().await;
    wait_for("the second instance to have a share", SOON, async || {
        expected.append(&mut publish(&world, &customer, 6).await);
        (sent(&second).await > 0).then_some(())
    })
    .await;

    // The events in progress of the second instance return to the first.
    expected.append(&mut publish(&world, &customer, 30).await);
    assert!(second.terminate().await.success());
    expect_each_once(&world, &customer, &expected).await;
}
