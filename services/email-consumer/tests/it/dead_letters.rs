//! Dead letters: events for which no mail can be sent, and the events after them.

use events::{
    Envelope, Propagation,
    orders::{OrderConfirmed, OrderData},
};
use testkit::{Kafka, Mailbox, Record, wait_for};

use crate::{
    orders::{Order, envelope},
    smtp_stub::SmtpStub,
    world::{SOON, World, metric},
};

/// Reads the only dead letter.
async fn dead_letter(world: &World) -> Record {
    let mut letters = Kafka::read(world.dead_letter_topic(), 1).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_payload_becomes_an_unchanged_dead_letter_and_the_next_event_is_handled() {
    let (world, consumer) = World::with_consumer().await;
    let order = Order::new();
    let poison = b"\x00\xff\xff\xff\xff no schema has this id";
    let envelope = Envelope {
        propagation: Propagation {
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            tracestate: Some("vendor=opaque, other=1".to_owned()),
            baggage: Some("k=a=b;prop=1, x=%20y".to_owned()),
        },
        ..envelope::<OrderConfirmed>()
    };
    world.publisher.send(&order, poison, &envelope.to_headers()).await;
    world.publisher.publish(&order, &order.confirmed()).await;

    assert_eq!(Mailbox::wait_for(&order.email, 1).await.len(), 1);
    let letter = dead_letter(&world).await;
    assert_eq!(letter.payload.as_deref(), Some(poison.as_slice()));
    assert_eq!(letter.key, Some(order.id.to_string()));
    for (name, value) in envelope.to_headers() {
        assert_eq!(letter.headers[name], value);
    }
    assert_eq!(
        letter.headers["dead-letter-reason"],
        "the payload names a schema that the registry does not know"
    );
    let counted = format!("consumer_dead_letters{{topic=\"{}\"}}", world.dead_letter_topic());
    wait_for("the dead letter to be counted", SOON, async || {
        (metric(&consumer, &counted).await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trailing_bytes_make_an_event_a_dead_letter() {
    let (world, _consumer) = World::with_consumer().await;
    let order = Order::new();
    let mut payload = world.publisher.encode(&order.confirmed());
    payload.push(0);
    world.publisher.send(&order, &payload, &envelope::<OrderConfirmed>().to_headers()).await;

    let letter = dead_letter(&world).await;
    assert_eq!(letter.headers["dead-letter-reason"], "the payload has 1 bytes behind the end of the event");
    assert!(Mailbox::messages(&order.email).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_schema_is_cached_unless_the_registry_lost_our_schemas() {
    let world = World::with_unregistered_schemas().await;
    let consumer = world.consumer().spawn().await;
    let poison = b"\x00\xff\xff\xff\xff no schema has this id";
    let order = Order::new();
    let send = async || {
        world.publisher.send(&order, poison, &envelope::<OrderConfirmed>().to_headers()).await;
    };
    send().await;
    wait_for("an attempt without the released schemas", SOON, async || {
        consumer.logs().contains("does not have the released schema of").then_some(())
    })
    .await;

    world.publisher.register().await;
    dead_letter(&world).await;
    // The registry is down, so the answer comes from the cache.
    world.registry.cut();
    send().await;
    wait_for("the second one", SOON, async || {
        let topic = world.event_topic();
        let letters = format!("consumer_handled_total{{outcome=\"dead_letter\",topic=\"{topic}\"}}");
        (metric(&consumer, &letters).await == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_an_envelope_becomes_an_unchanged_dead_letter() {
    let (world, _consumer) = World::with_consumer().await;
    let order = Order::new();
    world.publisher.send(&order, b"hello", &[("greeting", "yes".to_owned())]).await;
    world.publisher.publish(&order, &order.confirmed()).await;

    assert_eq!(Mailbox::wait_for(&order.email, 1).await.len(), 1);
    let letter = dead_letter(&world).await;
    assert_eq!(letter.payload.as_deref(), Some(b"hello".as_slice()));
    assert_eq!(letter.headers["greeting"], "yes");
    assert_eq!(letter.headers["dead-letter-reason"], "header event-id is missing or malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_currency_makes_an_event_a_dead_letter() {
    let (world, _consumer) = World::with_consumer().await;
    let order = Order::new();
    let data = OrderData { currency: "EUX".to_owned(), ..order.data() };
    let event = OrderConfirmed { order: data, ..order.confirmed() };
    world.publisher.publish(&order, &event).await;

    let letter = dead_letter(&world).await;
    assert_eq!(letter.headers["dead-letter-reason"], "the event's currency is not an ISO 4217 code");
    assert!(Mailbox::messages(&order.email).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_address_makes_a_dead_letter_whose_reason_does_not_contain_it() {
    let (world, _consumer) = World::with_consumer().await;
    let order = Order::of("ada at example.com");
    world.publisher.publish(&order, &order.confirmed()).await;

    let letter = dead_letter(&world).await;
    assert_eq!(letter.headers["dead-letter-reason"], "the customer's address is not a valid mail address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanently_refused_recipient_makes_a_dead_letter_with_the_code_and_without_the_address() {
    let world = World::new().await;
    let order = Order::new();
    let stub = SmtpStub::start(&[&format!("550 5.1.1 <{}> is unknown here", order.email)]).await;
    let consumer = world.consumer().env("SMTP_PORT", stub.addr().port().to_string()).spawn().await;
    world.publisher.publish(&order, &order.confirmed()).await;

    let letter = dead_letter(&world).await;
    assert_eq!(letter.headers["dead-letter-reason"], "the SMTP server refuses the mail with 550");
    assert!(!consumer.logs().contains(&order.email));
    assert_eq!(stub.taken(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_link_makes_a_dead_letter_that_can_be_replayed() {
    let (world, _consumer) = World::with_consumer().await;
    let good = Order::new();
    let bad = Order { tracking_url: "ftp://orders.example/track/1".to_owned(), ..Order::of(&good.email) };
    let envelope = envelope::<OrderConfirmed>();
    world.publisher.publish_as(&bad, &bad.confirmed(), &envelope).await;

    let letter = dead_letter(&world).await;
    let reason = &letter.headers["dead-letter-reason"];
    assert!(reason.starts_with("url-shortener refuses the link with 4"), "{reason}");
    assert!(Mailbox::messages(&bad.email).await.is_empty());

    // The same event with a valid link: it is not marked as processed.
    let mended = Order { id: bad.id, ..good };
    world.publisher.publish_as(&mended, &mended.confirmed(), &envelope).await;
    let mails = Mailbox::wait_for(&mended.email, 1).await;
    assert_eq!(mails[0].message_id(), mended.message_id("confirmed"));
}
