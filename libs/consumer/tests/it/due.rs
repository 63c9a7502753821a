//! What is due, and late if it is not finished.

use std::time::Duration;

use chrono::Utc;
use testkit::wait_for;

use crate::world::{Recorder, SOON, World, metric};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_never_finished_counts_as_late() {
    let world = World::new(1).await;
    let old = Utc::now() - chrono::Duration::hours(1);
    for payload in ["a", "b", "stuck"] {
        world.send_at(0, payload, payload, old).await;
    }
    world.send(0, "young", "young").await;
    let recorder = Recorder::blocking(&["stuck"]);
    let running = world.start(&recorder, Duration::from_millis(300), Duration::from_mins(1));
    let labels = [("topic", world.topic()), ("group", world.topic())];
    wait_for("the old records to be due", SOON, async || {
        (metric("consumer_due_total", &labels)? >= 3.0).then_some(())
    })
    .await;
    let value = |name| metric(name, &labels).unwrap();
    assert!((value("consumer_due_total") - 3.0).abs() < 0.1);
    assert!(value("consumer_late_total") >= 1.0);
    wait_for("the age of the oldest", SOON, async || {
        (3_600.0..3_700.0).contains(&metric("consumer_oldest_unhandled_seconds", &labels)?).then_some(())
    })
    .await;
    assert!(value("consumer_observed_timestamp_seconds") > 1.0e9);

    recorder.release();
    wait_for("nothing to be unfinished", SOON, async || {
        (metric("consumer_oldest_unhandled_seconds", &labels)? == 0.0).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_record_of_an_idle_partition_is_not_due() {
    // A count asks the broker once for each partition, so that with many of them records arrive while it does.
    const PARTITIONS: i32 = 100;
    let world = World::new(PARTITIONS).await;
    let recorder = Recorder::blocking(&[]);
    let running = world.start(&recorder, Duration::from_millis(300), Duration::from_mins(1));
    let labels = [("topic", world.topic()), ("group", world.topic())];
    let last_count = || metric("consumer_observed_timestamp_seconds", &labels).filter(|at| *at > 0.0);
    let counted =
        async |since: f64| wait_for("a count", SOON, async || last_count().filter(|at| *at > since)).await;
    counted(0.0).await;
    for partition in 0..PARTITIONS {
        world.send(partition, "young", "young").await;
        // Spreads the records over several counts.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    counted(last_count().unwrap()).await;
    let value = |name| metric(name, &labels).unwrap();
    assert!(
        value("consumer_due_total").abs() < 0.1,
        "{} of {PARTITIONS} are due",
        value("consumer_due_total")
    );
    assert!(value("consumer_late_total").abs() < 0.1);
    running.stop().await;
}
