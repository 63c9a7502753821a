//! Leases of mails, by the clock of the database.

use events::orders::OrderConfirmed;
use testkit::{Mailbox, wait_for};

use crate::{
    orders::{Order, envelope},
    world::{SOON, World, metric},
};

/// The SQL of the release without leases.
const PREVIOUS_CLAIM: &str = "\
INSERT INTO mails (event_id, order_id, tenant, kind, message_id, state)
VALUES ($1, $2, 'acme', 'confirmed', $3, 'sending')
ON CONFLICT (event_id) DO UPDATE SET attempts = mails.attempts + 1";
const PREVIOUS_BEGIN: &str = "\
UPDATE mails SET state = 'handing_over', handovers = handovers + 1
WHERE event_id = $1 AND state IN ('sending', 'handing_over')
RETURNING handovers";
const PREVIOUS_SEEN: &str =
    "SELECT 1 FROM processed_events WHERE consumer = 'email-consumer' AND event_id = $1";
const PREVIOUS_RECORD: &str = "UPDATE mails SET state = 'sent', sent_at = now() \
    WHERE event_id = $1 AND state = 'handing_over'";

#[tokio::test(flavor = "multi_thread")]
async fn one_event_on_all_partitions_at_once_sends_one_mail() {
    let (world, consumer) = World::with_consumer().await;
    let customer = Order::new().email;
    for _ in 0..5 {
        let (order, envelope) = (Order::of(&customer), envelope::<OrderConfirmed>());
        let event = order.confirmed();
        let headers = envelope.to_headers();
        let copies = (0..6).map(|partition| world.publisher.send_to(partition, &order, &event, &headers));
        futures::future::join_all(copies).await;
    }

    let done = format!("consumer_handled_total{{outcome=\"done\",topic=\"{}\"}}", world.event_topic());
    wait_for("every copy to be handled", SOON, async || (metric(&consumer, &done).await == 30).then_some(()))
        .await;
    assert_eq!(Mailbox::messages(&customer).await.len(), 5);
    assert_eq!(metric(&consumer, "email_repeated_events_total").await, 25);
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_under_lease_is_not_sent_until_the_lease_ends() {
    let (world, consumer) = World::with_consumer().await;
    let database = world.database.connect().await;
    let (order, envelope) = (Order::new(), envelope::<OrderConfirmed>());
    let claimed = "INSERT INTO mails (event_id, order_id, tenant, kind, message_id, state, handovers, fence, lease_until)
        VALUES ($1, $2, 'acme', 'confirmed', $3, 'handing_over', 1, 1, now() + interval '1 hour')";
    let message_id = order.message_id("confirmed");
    database.execute(claimed, &[&envelope.event_id, &order.id, &message_id]).await.unwrap();
    world.publisher.publish_as(&order, &order.confirmed(), &envelope).await;
    wait_for("a claim in vain", SOON, async || {
        (metric(&consumer, "email_lease_waits_total").await >= 1).then_some(())
    })
    .await;
    assert!(Mailbox::messages(&order.email).await.is_empty());

    database.execute("UPDATE mails SET lease_until = now()", &[]).await.unwrap();
    world.wait_until_recorded(1).await;
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_without_leases_can_run_beside_this_one() {
    let (world, consumer) = World::with_consumer().await;
    let database = world.database.connect().await;
    // The previous release recognizes a mail that this release has sent.
    let ours = (Order::new(), envelope::<OrderConfirmed>());
    world.publisher.publish_as(&ours.0, &ours.0.confirmed(), &ours.1).await;
    world.wait_until_recorded(1).await;
    assert_eq!(database.query(PREVIOUS_SEEN, &[&ours.1.event_id]).await.unwrap().len(), 1);

    // This release recognizes a mail that the previous release has sent, and sends one that it had not finished.
    let (sent, in_hand) =
        ((Order::new(), envelope::<OrderConfirmed>()), (Order::new(), envelope::<OrderConfirmed>()));
    for (order, envelope) in [&sent, &in_hand] {
        let id = &envelope.event_id;
        database.execute(PREVIOUS_CLAIM, &[id, &order.id, &order.message_id("confirmed")]).await.unwrap();
        database.query_one(PREVIOUS_BEGIN, &[id]).await.unwrap();
    }
    database.execute(PREVIOUS_RECORD, &[&sent.1.event_id]).await.unwrap();
    for (order, envelope) in [&sent, &in_hand] {
        world.publisher.publish_as(order, &order.confirmed(), envelope).await;
    }
    world.wait_until_recorded(3).await;
    wait_for("the repeated event to be recognised", SOON, async || {
        (metric(&consumer, "email_repeated_events_total").await == 1).then_some(())
    })
    .await;
    assert!(Mailbox::messages(&sent.0.email).await.is_empty());
    assert_eq!(Mailbox::messages(&in_hand.0.email).await.len(), 1);
}
