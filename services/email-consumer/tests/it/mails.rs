//! The mails that customers get.

use events::{
    Event,
    orders::{OrderConfirmed, OrderData},
};
use testkit::{Mailbox, Zipkin, wait_for};

use crate::{
    orders::{Order, envelope},
    world::{SOON, World, metric, short_link},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_order_gets_one_mail_with_a_working_link() {
    let (world, consumer) = World::with_consumer().await;
    let order = Order::new();
    world.publisher.publish(&order, &order.confirmed()).await;

    let mails = Mailbox::wait_for(&order.email, 1).await;
    let mail = &mails[0];
    assert_eq!(mail.message_id(), order.message_id("confirmed"));
    assert_eq!(mail.header("From"), "Muster <orders@muster.test>");
    assert_eq!(mail.header("To"), order.email);
    assert!(!mail.header("Date").is_empty());
    assert!(mail.subject().ends_with("is confirmed"), "{}", mail.subject());
    for part in [mail.text(), mail.html()] {
        for expected in [order.id.to_string().as_str(), "Teapot", "€12.50", "€25.00", "€1,259.00"] {
            assert!(part.contains(expected), "no {expected} in {part}");
        }
    }
    assert!(mail.text().contains("Darjeeling <First Flush>"));
    assert!(!mail.html().contains("<First Flush>"));

    let link = short_link(mail.text());
    assert!(mail.html().contains(&format!("href=\"{link}\"")));
    assert_eq!(world.follow(&link).await, order.tracking_url);

    world.wait_until_recorded(1).await;
    assert_eq!(mails.len(), 1);
    assert_eq!(metric(&consumer, "mails_sent_total{kind=\"confirmed\"}").await, 1);
    assert_eq!(metric(&consumer, "mails_sent_total{kind=\"rejected\"}").await, 0);
    assert_eq!(metric(&consumer, "email_delay_seconds_bucket{kind=\"confirmed\",le=\"60\"}").await, 1);
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0);
    let log = consumer.logs();
    for secret in [order.email.as_str(), order.tracking_url.as_str(), link.as_str(), "Bearer"] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_order_gets_one_mail_with_the_reason() {
    let (world, _consumer) = World::with_consumer().await;
    let order = Order::new();
    world.publisher.publish(&order, &order.rejected("Only 1 teapot is left.")).await;

    let mails = Mailbox::wait_for(&order.email, 1).await;
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(mail.message_id(), order.message_id("rejected"));
    for part in [mail.text(), mail.html()] {
        assert!(part.contains("Only 1 teapot is left."), "{part}");
    }
    assert_eq!(world.follow(&short_link(mail.text())).await, order.tracking_url);
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_have_the_decimals_of_their_currency() {
    let (world, _consumer) = World::with_consumer().await;
    for (currency, unit_price, total) in
        [("JPY", "JPY 1,250", "JPY 125,900"), ("BHD", "BHD 1.250", "BHD 125.900")]
    {
        let order = Order::new();
        let data = OrderData { currency: currency.to_owned(), ..order.data() };
        let event = OrderConfirmed { order: data, ..order.confirmed() };
        world.publisher.publish(&order, &event).await;
        let mails = Mailbox::wait_for(&order.email, 1).await;
        for part in [mails[0].text(), mails[0].html()] {
            let part = part.replace('\u{a0}', " ");
            assert!(part.contains(unit_price) && part.contains(total), "{part}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_event_sends_one_mail() {
    let (world, consumer) = World::with_consumer().await;
    let (order, envelope) = (Order::new(), envelope::<OrderConfirmed>());
    world.publisher.publish_as(&order, &order.confirmed(), &envelope).await;
    world.publisher.publish_as(&order, &order.confirmed(), &envelope).await;
    // An event of the same order, so it is handled after the two above.
    world.publisher.publish(&order, &order.rejected("Changed our mind.")).await;

    world.wait_until_recorded(2).await;
    let mails = Mailbox::messages(&order.email).await;
    assert_eq!(mails.len(), 2, "one for each event");
    assert_eq!(metric(&consumer, "email_repeated_events_total").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_need_no_mail_are_ignored_and_counted() {
    let (world, consumer) = World::with_consumer().await;
    let order = Order::new();
    world.publisher.publish(&order, &order.placed()).await;
    let unknown = events::Envelope {
        event_type: "muster.orders.OrderShipped".to_owned(),
        ..envelope::<OrderConfirmed>()
    };
    world.publisher.send(&order, b"an event of a later version", &unknown.to_headers()).await;
    world.publisher.publish(&order, &order.confirmed()).await;

    let mails = Mailbox::wait_for(&order.email, 1).await;
    assert_eq!(mails.len(), 1);
    assert_eq!(metric(&consumer, "email_events_ignored_total{reason=\"no_mail\"}").await, 1);
    assert_eq!(metric(&consumer, "email_events_ignored_total{reason=\"unknown_type\"}").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mail_and_its_link_are_part_of_the_trace_of_the_event() {
    let (world, _consumer) = World::with_consumer().await;
    let order = Order::new();
    let trace_id = uuid::Uuid::new_v4().simple().to_string();
    let envelope = events::Envelope {
        propagation: events::Propagation {
            traceparent: Some(format!("00-{trace_id}-00f067aa0ba902b7-01")),
            ..events::Propagation::default()
        },
        ..envelope::<OrderConfirmed>()
    };
    assert_eq!(envelope.event_type, OrderConfirmed::event_type().name);
    world.publisher.publish_as(&order, &order.confirmed(), &envelope).await;

    let expected = [
        ("email-consumer", "CONSUMER", "process"),
        ("email-consumer", "CLIENT", "put /v1/links/{code}"),
        ("url-shortener", "SERVER", "put /v1/links/{code}"),
        ("email-consumer", "CLIENT", "smtp send"),
    ];
    wait_for("the spans of a mail", SOON, async || {
        let spans = Zipkin::trace(&trace_id).await;
        let found = |(service, kind, name): &(&str, &str, &str)| {
            spans.iter().any(|span| {
                span.service() == *service
                    && span.kind.as_deref() == Some(kind)
                    && span.name.starts_with(name)
            })
        };
        expected.iter().all(found).then_some(())
    })
    .await;
}
