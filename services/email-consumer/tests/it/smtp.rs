//! An SMTP server that hesitates: when a mail is sent again, and when that is a doubt worth counting.

use testkit::{Process, wait_for};

use crate::{
    orders::Order,
    smtp_stub::SmtpStub,
    world::{SOON, World, metric, wait_until_missing},
};

async fn consumer_at(world: &World, stub: &SmtpStub) -> Process {
    world.consumer().env("SMTP_PORT", stub.addr.port().to_string()).spawn().await
}

/// How often the one mail was attempted, and how often it was handed over without being refused.
async fn attempts_and_handovers(world: &World) -> (i32, i32) {
    let database = world.database.connect().await;
    let row = database.query_one("SELECT attempts, handovers FROM mails", &[]).await.unwrap();
    (row.get("attempts"), row.get("handovers"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_now_is_tried_again_and_is_no_possible_duplicate() {
    let world = World::new().await;
    let order = Order::new();
    let stub = SmtpStub::start(&["451 4.7.1 greylisted", "421 4.3.2 shutting down"]).await;
    let consumer = consumer_at(&world, &stub).await;
    world.publisher.publish(&order, &order.confirmed()).await;

    world.wait_until_recorded(1).await;
    assert_eq!(stub.taken(), 1);
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0);
    assert_eq!(attempts_and_handovers(&world).await, (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_a_mail_and_says_nothing_gets_it_again_and_that_is_counted() {
    let world = World::new().await;
    let stub = SmtpStub::start(&[]).await;
    let consumer = consumer_at(&world, &stub).await;
    let order = Order::new();
    stub.set_silent(true);
    world.publisher.publish(&order, &order.confirmed()).await;
    wait_for("a second attempt", SOON, async || (stub.taken() == 2).then_some(())).await;

    stub.set_silent(false);
    world.wait_until_recorded(1).await;
    assert_eq!(stub.taken(), 2);
    assert_eq!(attempts_and_handovers(&world).await, (2, 2));
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_after_acceptance_is_waited_for_without_a_second_mail() {
    let world = World::new().await;
    let stub = SmtpStub::start(&[]).await;
    let consumer = consumer_at(&world, &stub).await;
    let order = Order::new();
    stub.set_silent(true);
    world.publisher.publish(&order, &order.confirmed()).await;
    wait_for("the mail to be handed over", SOON, async || (stub.taken() == 1).then_some(())).await;
    world.postgres.cut();
    stub.set_silent(false);
    wait_until_missing(&consumer, "postgres").await;

    world.postgres.restore();
    world.wait_until_recorded(1).await;
    assert_eq!(stub.taken(), 1);
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0);
}
