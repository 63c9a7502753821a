//! Backpressure: a partition that holds enough is paused, and resumes.

use std::time::Duration;

use testkit::wait_for;

use crate::world::{Recorder, SOON, World, metric};

const RECORDS: usize = 700;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_partition_is_paused_and_resumes_and_holds_no_other_up() {
    let world = World::new(2).await;
    let payloads: Vec<_> = (0..RECORDS).map(|number| format!("a{number:03}")).collect();
    futures::future::join_all(payloads.iter().map(|payload| world.send(0, "a", payload))).await;
    let first = testkit::Kafka::read(world.topic(), RECORDS).await.remove(0).payload.unwrap();
    let recorder = Recorder::blocking(&[std::str::from_utf8(&first).unwrap()]);
    let running = world.start(&recorder, Duration::from_secs(5), Duration::from_mins(1));
    let paused = [("topic", world.topic()), ("state", "paused")];
    wait_for("the partition to be paused", SOON, async || {
        (metric("consumer_partitions", &paused) == Some(1.0)).then_some(())
    })
    .await;

    world.send(1, "b", "b").await;
    recorder.wait_until("the other partition", |log| log.done == ["b"]).await;
    assert_eq!(recorder.log.lock().unwrap().begun.len(), 2);

    recorder.release();
    recorder.wait_until("every record", |log| log.done.len() == RECORDS + 1).await;
    running.stop().await;
    assert_eq!(world.committed(0), Some(700));
    let log = recorder.log.lock().unwrap();
    let (begun, done) = (&log.begun, &log.done);
    assert_eq!(begun.len(), RECORDS + 1, "each once");
    assert_eq!(
        begun.iter().filter(|payload| *payload != "b").collect::<Vec<_>>(),
        done.iter().filter(|payload| *payload != "b").collect::<Vec<_>>(),
        "one at a time"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn large_events_that_wait_in_a_retry_topic_hold_no_other_key_up() {
    const DELAY: Duration = Duration::from_hours(1);
    let mut world = World::new(1).await;
    world.retries[0].1 = DELAY;
    // More than the bytes of the topic and of its retry topics together.
    let large = "x".repeat(900_000);
    let keys: Vec<_> = (0..60).map(|number| format!("large{number}")).collect();
    futures::future::join_all(keys.iter().map(|key| world.send_to_retry(key, &large, DELAY))).await;
    world.send(0, "a", "blocked").await;
    let recorder = Recorder::blocking(&["blocked"]);
    let running = world.start(&recorder, Duration::from_secs(5), Duration::from_mins(1));
    recorder.wait_until("the blocked event", |log| log.begun == ["blocked"]).await;
    // One after the other, while the retry topic is read.
    for number in 0..50 {
        world.send(0, "b", &format!("b{number}")).await;
        recorder.wait_until("the event of another key", |log| log.done.len() == number + 1).await;
    }
    recorder.release();
    running.stop().await;
}
