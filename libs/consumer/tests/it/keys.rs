//! Keys side by side, each in order, and offsets up to the lowest unfinished record.

use std::time::Duration;

use crate::world::{Recorder, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_record_blocks_only_its_key_and_the_offsets() {
    let world = World::new(1).await;
    for (key, payload) in [("x", "x1"), ("a", "a1"), ("a", "a2"), ("b", "b1"), ("c", "c1"), ("b", "b2")] {
        world.send(0, key, payload).await;
    }
    let recorder = Recorder::blocking(&["a1"]);
    let running = world.start(&recorder, Duration::from_millis(300), Duration::from_mins(1));
    recorder.wait_until("every other key to be handled", |log| log.done.len() == 4).await;
    let done = recorder.log.lock().unwrap().done.clone();
    let place = |payload: &str| done.iter().position(|done| done == payload).unwrap();
    assert!(place("b1") < place("b2"), "{done:?}");

    // The drain takes too long for the record in hand, which is ended; the one behind it is not begun.
    running.stop().await;
    {
        let log = recorder.log.lock().unwrap();
        assert_eq!(log.dropped, ["a1"]);
        assert!(!log.begun.contains(&"a2".to_owned()), "{log:?}");
    }
    assert_eq!(world.committed(0), Some(1));

    // The next owner goes on at the lowest unfinished record.
    let next = Recorder::blocking(&[]);
    let running = world.start(&next, Duration::from_secs(5), Duration::from_mins(1));
    next.wait_until("the rest to be handled", |log| log.done.len() == 5).await;
    running.stop().await;
    let done = next.log.lock().unwrap().done.clone();
    let of_a: Vec<_> = done.iter().filter(|payload| payload.starts_with('a')).collect();
    assert_eq!(of_a, ["a1", "a2"]);
    assert_eq!(world.committed(0), Some(6));
}
