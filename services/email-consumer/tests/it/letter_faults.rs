//! Dead letters after the loss of their topic, and while a dependency is down.

use events::orders::OrderConfirmed;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Process, wait_for};

use crate::{
    operator::{Operator, id},
    orders::{Order, envelope},
    world::{SOON, World, metric, metric_text, wait_until_missing},
};

/// Publishes two events that cannot be read, and waits until each is a letter.
async fn two_letters(world: &World, operator: &Operator) -> Vec<Value> {
    for _ in 0..2 {
        world.publisher.send(&Order::new(), b"ping", &envelope::<OrderConfirmed>().to_headers()).await;
    }
    operator.wait_for(2).await
}

async fn wait_until_counted(world: &World, consumer: &Process, n_open: u64) {
    let open = format!("consumer_dead_letters{{topic=\"{}\"}}", world.dead_letter_topic());
    wait_for(&format!("{n_open} open letters to be counted"), SOON, async || {
        (metric(consumer, &open).await == n_open).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_topic_that_was_created_again_are_open_although_their_offsets_were_decided() {
    let (world, mut consumer) = World::with_consumer().await;
    let operator = Operator::of(&world, &consumer);
    let before = two_letters(&world, &operator).await;
    let discard =
        async |operator: &Operator| operator.discard("&all=true&dry_run=false", "written by hand").await;
    assert_eq!(discard(&operator).await.len(), 2);
    consumer.terminate().await;
    world.recreate_dead_letter_topic().await;
    consumer.restart().await;

    let operator = Operator::of(&world, &consumer);
    let letters = two_letters(&world, &operator).await;
    assert_eq!(letters.iter().map(id).collect::<Vec<_>>(), before.iter().map(id).collect::<Vec<_>>());
    assert_eq!(operator.show(&letters[0]).await["decisions"], json!([]));
    wait_until_counted(&world, &consumer, 2).await;
    let discarded = discard(&operator).await;
    assert!(discarded.iter().all(|letter| letter["state"] == "decided"), "{discarded:?}");
    wait_until_counted(&world, &consumer, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_by_tenant_fails_while_the_registry_is_down_and_leaves_no_letter_out() {
    let (world, mut consumer) = World::with_consumer().await;
    let unreachable = Order::of("ada at example.com");
    world.publisher.publish(&unreachable, &unreachable.confirmed()).await;
    Operator::of(&world, &consumer).wait_for(1).await;
    consumer.terminate().await;
    world.registry.cut();

    let consumer = world.consumer().without_readiness().spawn().await;
    wait_until_missing(&consumer, "schema-registry").await;
    let operator = Operator::of(&world, &consumer);
    assert_eq!(operator.list("").await.len(), 1);
    let of_tenant = async || operator.send(Method::GET, "?tenant=acme", None).await;
    let (status, answer) = of_tenant().await;
    assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    world.registry.restore();
    let found = wait_for("the registry to answer", SOON, async || {
        let (status, answer) = of_tenant().await;
        (status == StatusCode::OK).then_some(answer)
    })
    .await;
    assert_eq!(found["items"][0]["key"], unreachable.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_of_letters_that_fails_is_logged_and_is_no_observation() {
    let (world, consumer) = World::with_consumer().await;
    let topic = world.dead_letter_topic();
    let series = format!("consumer_dead_letters_observed_timestamp_seconds{{topic=\"{topic}\"}}");
    let observed = async || metric_text(&consumer, &series).await;
    wait_for("a count", SOON, async || observed().await.map(drop)).await;
    world.execute("DROP TABLE dead_letter_decisions").await;
    // A letter, because without one the database is not asked.
    world.publisher.send(&Order::new(), b"ping", &envelope::<OrderConfirmed>().to_headers()).await;
    let until_failed = async |times: usize| {
        wait_for(&format!("{times} counts to fail"), SOON, async || {
            (consumer.logs().matches("cannot count the dead letters").count() >= times).then_some(())
        })
        .await;
    };
    until_failed(1).await;
    let before = observed().await;
    until_failed(3).await;
    assert_eq!(observed().await, before);
}
