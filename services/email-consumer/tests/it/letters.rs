//! Dead letters for people: find, show, replay, discard.

use std::collections::BTreeSet;

use events::orders::OrderConfirmed;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Mailbox, wait_for};

use crate::{
    operator::{Fault, Operator, id, letters},
    orders::{Order, envelope},
    world::{SOON, World, metric, metric_text},
};

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_finds_its_letters() {
    let (world, consumer) = World::with_consumer().await;
    let operator = Operator::of(&world, &consumer);
    let (garbled, unreachable) = (Order::new(), Order::of("ada at example.com"));
    world.publisher.send(&garbled, b"ping", &envelope::<OrderConfirmed>().to_headers()).await;
    world.publisher.publish(&unreachable, &unreachable.rejected("Out of stock.")).await;
    let all = operator.wait_for(2).await;

    let (garbled, unreachable) = (garbled.id.to_string(), unreachable.id.to_string());
    let of_unreachable = all.iter().find(|letter| letter["key"] == unreachable.as_str()).unwrap();
    let expectations = [
        ("&code=unreadable_payload".to_owned(), vec![garbled.as_str()]),
        ("&code=invalid_address".to_owned(), vec![unreachable.as_str()]),
        ("&type=muster.orders.OrderConfirmed".to_owned(), vec![&garbled]),
        (format!("&key={garbled}"), vec![&garbled]),
        // What cannot be decoded has no tenant.
        ("&tenant=acme".to_owned(), vec![&unreachable]),
        ("&tenant=globex".to_owned(), vec![]),
        (format!("&ids={}", id(of_unreachable)), vec![&unreachable]),
        ("&since=2100-01-01T00:00:00Z".to_owned(), vec![]),
        ("&until=2000-01-01T00:00:00Z".to_owned(), vec![]),
        (format!("&code=invalid_address&key={garbled}"), vec![]),
    ];
    for (filters, expected) in expectations {
        let found = operator.list(&filters).await;
        let keys: Vec<_> = found.iter().map(|letter| letter["key"].as_str().unwrap()).collect();
        assert_eq!(keys, expected, "{filters}");
    }
    let (status, _) = operator.send(Method::GET, "?colour=red", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_letters_are_found_once_each_over_pages() {
    let (world, consumer) = World::with_consumer().await;
    let operator = Operator::of(&world, &consumer);
    for _ in 0..250 {
        world.publisher.send(&Order::new(), b"ping", &envelope::<OrderConfirmed>().to_headers()).await;
    }
    let letters = operator.wait_for(250).await;
    let ids: BTreeSet<_> = letters.iter().map(id).collect();
    assert_eq!(ids.len(), 250);
    let (status, page) = operator.send(Method::GET, "?limit=200", None).await;
    assert_eq!((status, page["items"].as_array().unwrap().len()), (StatusCode::OK, 200));
    let (status, _) = operator.send(Method::GET, "?limit=201", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(operator.discard("&all=true&dry_run=false&rate=100", "written by hand").await.len(), 250);
    assert!(operator.list("").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_shown_without_address_name_or_link() {
    let (world, consumer) = World::with_consumer().await;
    let operator = Operator::of(&world, &consumer);
    let order = Order::of("ada lovelace@@example.com");
    let envelope = envelope::<OrderConfirmed>();
    let mut headers = envelope.to_headers();
    headers.push(("customer", order.email.clone()));
    world.publisher.send_event(&order, &order.confirmed(), &headers).await;

    let letter = &operator.wait_for(1).await[0];
    let shown = operator.show(letter).await;
    assert_eq!(shown["letter"]["code"], "invalid_address");
    assert_eq!(shown["letter"]["event_id"], envelope.event_id.to_string());
    assert_eq!(shown["event"]["order_id"], order.id.to_string());
    assert_eq!(shown["event"]["tenant"], "acme");
    assert_eq!(shown["event"]["customer_email"], "***");
    assert_eq!(shown["event"]["tracking_url"], "***");
    assert_eq!(shown["event"]["lines"][0]["sku"], "TEA-01");
    assert_eq!(shown["event"]["lines"][0]["name"], "***");
    let headers = shown["headers"].as_array().unwrap();
    assert!(headers.contains(&json!({ "name": "customer", "value": "***" })), "{shown}");
    for secret in ["lovelace", "Darjeeling", &order.tracking_url] {
        assert!(!shown.to_string().contains(secret) && !consumer.logs().contains(secret), "{secret}");
    }
    let (status, _) = operator.send(Method::GET, "/0-4711", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn some_letters_are_replayed_and_a_repeated_replay_does_nothing() {
    let (world, consumer) = World::with_consumer().await;
    let operator = Operator::of(&world, &consumer);
    let fault = Fault::inject(&world).await;
    let orders = letters(&world, &operator, 3).await;
    fault.repair().await;

    let chosen = operator.list(&format!("&key={}", orders[1].id)).await;
    let ids = format!("&ids={}", id(&chosen[0]));
    assert_eq!(operator.replay(&ids).await.len(), 1, "a dry run");
    assert_eq!(operator.list("").await.len(), 3, "a dry run changes nothing");

    let replayed = operator.replay(&format!("{ids}&dry_run=false")).await;
    assert_eq!((replayed.len(), &replayed[0]["state"]), (1, &json!("decided")));
    assert_eq!(Mailbox::wait_for(&orders[1].email, 1).await.len(), 1);
    assert!(operator.replay(&format!("{ids}&dry_run=false")).await.is_empty(), "it is done");

    assert_eq!(operator.replay("&all=true&dry_run=false&rate=100").await.len(), 2);
    world.wait_until_recorded(3).await;
    assert!(operator.replay("&all=true&dry_run=false").await.is_empty());
    for order in &orders {
        assert_eq!(Mailbox::messages(&order.email).await.len(), 1);
    }
    let sent = testkit::Kafka::read(world.event_topic(), 3).await;
    assert_eq!(sent.len(), 3, "other groups get no replayed event");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_fails_again_is_a_new_one_with_the_same_event_id() {
    let (world, consumer) = World::with_consumer().await;
    let operator = Operator::of(&world, &consumer);
    let fault = Fault::inject(&world).await;
    let orders = letters(&world, &operator, 1).await;
    let first = operator.list("").await.remove(0);
    assert_eq!(operator.replay("&all=true&dry_run=false").await.len(), 1, "not the letter that it becomes");

    let second = wait_for("the second letter", SOON, async || {
        operator.list("").await.pop().filter(|letter| letter["replays"] == 1)
    })
    .await;
    assert_ne!(id(&first), id(&second));
    assert_eq!(first["event_id"], second["event_id"]);
    let shown = operator.show(&second).await;
    let names: Vec<_> = shown["headers"].as_array().unwrap().iter().map(|header| &header["name"]).collect();
    let n_reasons = names.iter().filter(|name| **name == "dead-letter-reason").count();
    assert_eq!(n_reasons, 1, "{names:?}");
    assert_eq!(shown["decisions"][0]["letter"], first["id"], "{shown}");
    assert_eq!(shown["decisions"][0]["actor"], "test");

    fault.repair().await;
    operator.replay("&all=true&dry_run=false").await;
    assert_eq!(Mailbox::wait_for(&orders[0].email, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discard_needs_a_reason_and_survives_a_restart() {
    let (world, mut consumer) = World::with_consumer().await;
    let operator = Operator::of(&world, &consumer);
    world.publisher.send(&Order::new(), b"ping", &envelope::<OrderConfirmed>().to_headers()).await;
    let letter = operator.wait_for(1).await.remove(0);

    let discard = async |reason: Value| {
        operator
            .send(Method::POST, "/discard?all=true&dry_run=false", Some(json!({ "reason": reason })))
            .await
            .0
    };
    for reason in [json!(""), json!("  "), json!("mail of ada@example.com"), Value::Null] {
        assert_eq!(discard(reason).await, StatusCode::BAD_REQUEST);
    }
    let (status, _) =
        operator.send(Method::POST, "/discard?dry_run=false", Some(json!({ "reason": "x" }))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "without a filter");
    assert_eq!(operator.discard("&all=true", "written by hand").await.len(), 1);
    operator.wait_for(1).await;
    assert_eq!(operator.discard("&all=true&dry_run=false", "written by hand").await.len(), 1);

    consumer.restart().await;
    let operator = Operator::of(&world, &consumer);
    wait_for("the record to be deleted", SOON, async || {
        let shown = operator.show(&letter).await;
        shown["letter"].is_null().then_some(())
    })
    .await;
    assert!(operator.list("").await.is_empty());
    let decision = operator.show(&letter).await["decisions"][0].clone();
    let expected = ["discarded", "written by hand", "test"];
    assert_eq!(["action", "reason", "actor"].map(|member| decision[member].as_str().unwrap()), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_needs_the_scope() {
    let (world, consumer) = World::with_consumer().await;
    let reader = Operator::with_scopes(&world, &consumer, &["dead-letters:read"]);
    let writer = Operator::with_scopes(&world, &consumer, &["dead-letters:write"]);
    let anonymous = Operator::without_token(&consumer);
    let operations = [
        (Method::GET, "", &reader, &writer),
        (Method::GET, "/0-0", &reader, &writer),
        (Method::POST, "/replay?all=true", &writer, &reader),
        (Method::POST, "/discard?all=true", &writer, &reader),
    ];
    for (method, path, allowed, forbidden) in operations {
        let body = || path.starts_with("/discard").then(|| json!({ "reason": "x" }));
        let (status, answer) = anonymous.send(method.clone(), path, body()).await;
        assert_eq!(
            (status, &answer["code"]),
            (StatusCode::UNAUTHORIZED, &json!("unauthenticated")),
            "{path}"
        );
        let (status, answer) = forbidden.send(method.clone(), path, body()).await;
        assert_eq!((status, &answer["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")), "{path}");
        let (status, _) = allowed.send(method, path, body()).await;
        assert!(matches!(status, StatusCode::OK | StatusCode::NOT_FOUND), "{path}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arrivals_open_letters_and_the_age_of_the_oldest_are_metrics() {
    let (world, consumer) = World::with_consumer().await;
    let operator = Operator::of(&world, &consumer);
    let topic = world.dead_letter_topic();
    let arrived = format!("consumer_dead_letters_total{{code=\"unreadable_payload\",topic=\"{topic}\"}}");
    let open = format!("consumer_dead_letters{{topic=\"{topic}\"}}");
    for _ in 0..3 {
        world.publisher.send(&Order::new(), b"ping", &envelope::<OrderConfirmed>().to_headers()).await;
    }
    let letters = operator.wait_for(3).await;
    assert_eq!(metric(&consumer, &arrived).await, 3);
    let until = async |n_open: u64| {
        wait_for(&format!("{n_open} open letters"), SOON, async || {
            (metric(&consumer, &open).await == n_open).then_some(())
        })
        .await;
    };
    until(3).await;
    let age = format!("consumer_oldest_dead_letter_seconds{{topic=\"{topic}\"}}");
    wait_for("the age of the oldest", SOON, async || {
        let age: f64 = metric_text(&consumer, &age).await?.parse().unwrap();
        (age > 0.0).then_some(())
    })
    .await;

    // Not the first one, so that its record cannot be deleted yet.
    operator.discard(&format!("&ids={}&dry_run=false", id(&letters[1])), "written by hand").await;
    until(2).await;
    operator.discard("&all=true&dry_run=false", "written by hand").await;
    until(0).await;
    assert_eq!(metric_text(&consumer, &age).await.as_deref(), Some("0"));
    assert_eq!(metric(&consumer, &arrived).await, 3);
}
