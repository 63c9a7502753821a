//! Retry topics: a message that fails for now, the events of its key behind it, and all others.

use std::time::Duration;

use chrono::Utc;
use rdkafka::message::{Header, OwnedHeaders};
use testkit::wait_for;

use crate::world::{Recorder, SOON, World, metric};

const DRAIN: Duration = Duration::from_secs(5);
const DUE_AFTER: Duration = Duration::from_mins(1);

fn of_key(payloads: &[String], key: char) -> Vec<&str> {
    payloads.iter().map(String::as_str).filter(|payload| payload.starts_with(key)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_fails_for_now_holds_up_its_key_and_neither_other_keys_nor_the_offset() {
    let mut world = World::new(1).await;
    world.retries[0].1 = Duration::from_secs(3);
    let recorder = Recorder::failing("a1", 2);
    let running = world.start(&recorder, DRAIN, DUE_AFTER);
    for (key, payload) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")] {
        world.send(0, key, payload).await;
    }
    world.wait_until_postponed(&["a1", "a2", "a3"]).await;
    wait_for("the offset to pass the postponed events", SOON, async || {
        (world.committed(0) == Some(5)).then_some(())
    })
    .await;
    assert_eq!(recorder.log.lock().unwrap().done, ["b1", "b2"]);

    recorder.wait_until("all to be done", |log| log.done.len() == 5).await;
    let begun = recorder.log.lock().unwrap().begun.clone();
    assert_eq!(
        of_key(&begun, 'a'),
        ["a1", "a1", "a1", "a2", "a3"],
        "two attempts fail, then the line follows"
    );
    world.wait_until_postponed(&[]).await;
    world.send(0, "a", "a4").await;
    recorder.wait_until("the next event", |log| log.done.last().is_some_and(|done| done == "a4")).await;
    assert_eq!((world.retried(0, 1).await.len(), world.retried(1, 1).await.len()), (1, 1));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_last_retry_an_event_becomes_an_unchanged_dead_letter_and_its_line_continues() {
    let world = World::new(1).await;
    let recorder = Recorder::failing("a1", 100);
    let running = world.start(&recorder, DRAIN, DUE_AFTER);
    let own = OwnedHeaders::new().insert(Header { key: "note", value: Some("kept") });
    world
        .send_with(
            0,
            "a",
            "a1",
            own.insert(Header { key: "dead-letter-reason", value: Some("of an earlier round") }),
        )
        .await;
    world.send(0, "a", "a2").await;

    recorder.wait_until("the event behind", |log| log.done.contains(&"a2".to_owned())).await;
    let letters = world.dead_letters(1).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    let headers = &letters[0].headers;
    assert_eq!(headers["note"], "kept");
    assert_eq!(headers["dead-letter-code"], "retries_exhausted");
    assert_eq!(headers["dead-letter-reason"], "the test lets it fail");
    assert_eq!((&*headers["dead-letter-topic"], &*headers["dead-letter-offset"]), (world.topic(), "0"));
    assert_eq!(headers["dead-letter-retries"], "2");
    assert!(!headers.keys().any(|name| name.starts_with("retry-")), "{headers:?}");
    assert_eq!(letters[0].payload.as_deref(), Some(&b"a1"[..]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_owner_of_a_partition_knows_which_keys_wait() {
    let mut world = World::new(1).await;
    world.retries[0].1 = Duration::from_secs(4);
    let recorder = Recorder::failing("a1", 1);
    let running = world.start(&recorder, DRAIN, DUE_AFTER);
    world.send(0, "a", "a1").await;
    world.wait_until_postponed(&["a1"]).await;
    running.stop().await;

    let running = world.start(&recorder, DRAIN, DUE_AFTER);
    world.send(0, "a", "a2").await;
    world.send(0, "b", "b1").await;
    recorder.wait_until("all to be done", |log| log.done.len() == 3).await;
    let begun = recorder.log.lock().unwrap().begun.clone();
    assert_eq!(of_key(&begun, 'a'), ["a1", "a1", "a2"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_copy_in_the_retry_topic_is_lost_is_sent_again() {
    let mut world = World::new(1).await;
    world.retries[0].1 = Duration::from_hours(1);
    let recorder = Recorder::failing("a1", 1);
    let running = world.start(&recorder, DRAIN, DUE_AFTER);
    world.send(0, "a", "a1").await;
    world.send(0, "a", "a2").await;
    world.wait_until_postponed(&["a1", "a2"]).await;
    running.stop().await;

    // The next consumer does not read the topic of the copy, and for the database, the copy was due ten minutes ago.
    world.retries.remove(0);
    let overdue = "UPDATE postponed_events SET due_at = now() - interval '10 minutes'";
    world.database.connect().await.batch_execute(overdue).await.unwrap();
    let running = world.start(&recorder, DRAIN, DUE_AFTER);
    recorder.wait_until("the line", |log| log.done.contains(&"a2".to_owned())).await;
    assert_eq!((world.retried(0, 1).await.len(), world.retried(1, 1).await.len()), (1, 1));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postponed_event_is_counted_as_late_once() {
    let mut world = World::new(1).await;
    world.retries[0].1 = Duration::from_secs(8);
    let recorder = Recorder::failing("a1", 1);
    let running = world.start(&recorder, DRAIN, Duration::from_secs(2));
    world.send(0, "a", "a1").await;
    world.wait_until_postponed(&["a1"]).await;
    let of_topic = [("topic", world.topic())];
    let late = || metric("consumer_late_total", &of_topic);
    wait_for("the event to be late", SOON, async || (late() == Some(1.0)).then_some(())).await;
    assert_eq!(metric("consumer_blocked_keys", &of_topic), Some(1.0));
    assert!(metric("consumer_oldest_unhandled_seconds", &of_topic).unwrap() >= 2.0);

    recorder.wait_until("the retry", |log| log.done.len() == 1).await;
    wait_for("the table to be counted again", SOON, async || {
        (metric("consumer_postponed_events", &of_topic) == Some(0.0)).then_some(())
    })
    .await;
    assert_eq!((late(), metric("consumer_due_total", &of_topic)), (Some(1.0), Some(1.0)));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_fails_at_the_table_of_postponed_events_is_no_observation() {
    let mut world = World::new(1).await;
    world.retries[0].1 = Duration::from_hours(1);
    let recorder = Recorder::failing("a1", 1);
    let running = world.start(&recorder, DRAIN, DUE_AFTER);
    let old = Utc::now() - chrono::Duration::hours(1);
    world.send_at(0, "a", "a1", old).await;
    world.wait_until_postponed(&["a1"]).await;
    let labels = [("topic", world.topic()), ("group", world.topic())];
    let until = async |name: &str, value: f64| {
        let what = format!("{name} to be {value}");
        wait_for(&what, SOON, async || (metric(name, &labels) == Some(value)).then_some(())).await;
    };
    until("consumer_postponed_events", 1.0).await;

    world.database.connect().await.batch_execute("DROP TABLE postponed_events").await.unwrap();
    let observed = || {
        ["consumer_oldest_unhandled_seconds", "consumer_observed_timestamp_seconds"]
            .map(|name| metric(name, &labels))
    };
    // Each is due at once, and the counts after the first one have begun without the table.
    world.send_at(0, "b", "b1", old).await;
    until("consumer_due_total", 2.0).await;
    let before = observed();
    for (key, due) in [("c", 3.0), ("d", 4.0)] {
        world.send_at(0, key, key, old).await;
        until("consumer_due_total", due).await;
    }
    assert_eq!(observed(), before);
    assert!(before[0] > Some(3_000.0), "{before:?}");
    running.stop().await;
}
