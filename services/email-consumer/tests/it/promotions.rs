//! Promotional mails: what customers get, once, and nothing after its time.

use chrono::{TimeDelta, Utc};
use events::{Envelope, orders::OrderConfirmed, promotions::CustomerLapsed};
use testkit::{Mailbox, Process, wait_for};
use uuid::Uuid;

use crate::{
    orders::{Order, envelope},
    world::{SOON, World, metric},
};

/// A promotion to a new customer.
pub(crate) fn lapsed() -> CustomerLapsed {
    let customer_id = Uuid::new_v4();
    CustomerLapsed {
        customer_id,
        tenant: "acme".to_owned(),
        customer_email: format!("promotion-{}@example.com", customer_id.simple()),
        n_purchases: 3,
        last_purchase_at: Utc::now() - TimeDelta::days(8),
        unsubscribe_url: format!("https://orders.example/unsubscribe/{}", customer_id.simple()),
        expires_at: Utc::now() + TimeDelta::minutes(45),
    }
}

/// Returns how many promotions ended in this way.
pub(crate) async fn ended(consumer: &Process, outcome: &str) -> u64 {
    metric(consumer, &format!("email_promotions_total{{outcome=\"{outcome}\"}}")).await
}

async fn wait_until_ended(consumer: &Process, outcome: &str, number: u64) {
    wait_for(&format!("{number} promotions to end as {outcome}"), SOON, async || {
        (ended(consumer, outcome).await == number).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lapsed_customer_gets_one_mail_that_one_click_unsubscribes() {
    let (world, consumer) = World::with_consumer().await;
    let (event, envelope) = (lapsed(), envelope::<CustomerLapsed>());
    world.promotions.promote(&event, &envelope).await;
    wait_until_ended(&consumer, "sent", 1).await;
    world.promotions.promote(&event, &envelope).await;
    wait_until_ended(&consumer, "repeated", 1).await;

    let mails = Mailbox::wait_for(&event.customer_email, 1).await;
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(mail.message_id(), format!("<win-back-{}@muster.test>", envelope.event_id));
    assert_eq!(mail.header("List-Unsubscribe"), format!("<{}>", event.unsubscribe_url));
    assert_eq!(mail.header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(mail.text().contains(&event.unsubscribe_url) && mail.html().contains(&event.unsubscribe_url));
    assert_eq!(metric(&consumer, "mails_sent_total{kind=\"win_back\"}").await, 1);
    let log = consumer.logs();
    for secret in [&event.customer_email, &event.unsubscribe_url] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_after_its_time_or_without_a_way_to_unsubscribe() {
    let (world, consumer) = World::with_consumer().await;
    let expired = CustomerLapsed { expires_at: Utc::now(), ..lapsed() };
    world.promotions.promote(&expired, &envelope::<CustomerLapsed>()).await;
    // An hour is the bound for every promotion, also for one that says otherwise.
    let old = lapsed();
    let long_ago = Envelope { occurred_at: Utc::now() - TimeDelta::hours(2), ..envelope::<CustomerLapsed>() };
    world.promotions.promote(&old, &long_ago).await;
    let endless = CustomerLapsed { unsubscribe_url: String::new(), ..lapsed() };
    world.promotions.promote(&endless, &envelope::<CustomerLapsed>()).await;

    wait_until_ended(&consumer, "expired", 2).await;
    wait_until_ended(&consumer, "invalid", 1).await;
    for event in [expired, old, endless] {
        assert!(Mailbox::messages(&event.customer_email).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_no_promotion_holds_up_none() {
    let (world, consumer) = World::with_consumer().await;
    let garbled = Order::new();
    world.promotions.send(&garbled, b"no envelope", &[]).await;
    world.promotions.send(&garbled, b"no Avro", &envelope::<CustomerLapsed>().to_headers()).await;
    world.promotions.send(&garbled, b"", &envelope::<OrderConfirmed>().to_headers()).await;
    let event = lapsed();
    world.promotions.promote(&event, &envelope::<CustomerLapsed>()).await;

    wait_until_ended(&consumer, "sent", 1).await;
    wait_until_ended(&consumer, "invalid", 1).await;
    wait_until_ended(&consumer, "ignored", 1).await;
    assert_eq!(Mailbox::wait_for(&event.customer_email, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_the_claim_sends_no_second_mail() {
    for (point, n_mails) in [("email.handing_over", 0), ("email.sent", 1)] {
        let world = World::new().await;
        let mut consumer = world
            .consumer()
            .env("MUSTER_FAIL_POINTS", format!("{point}=kill"))
            .env("EMAIL_LEASE_MS", "2000")
            .spawn()
            .await;
        let event = lapsed();
        world.promotions.promote(&event, &envelope::<CustomerLapsed>()).await;
        assert!(!consumer.wait_exit(SOON).await.success(), "{point}");

        consumer.remove_env("MUSTER_FAIL_POINTS");
        consumer.restart().await;
        wait_until_ended(&consumer, "failed", 1).await;
        assert_eq!(Mailbox::messages(&event.customer_email).await.len(), n_mails, "{point}");
    }
}
