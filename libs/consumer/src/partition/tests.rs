//! The task of a partition, without a broker.

use std::time::Duration;

use chrono::DateTime;
use tokio::sync::watch;

use super::*;
use crate::{
    assignment::{Assignment, drain},
    circuit::Circuit,
    event::Event,
    source::{Origin, Source},
};

const SOON: Duration = Duration::from_secs(10);

/// A processor that keeps a record in flight until the test finishes it.
struct Gate {
    state: watch::Sender<State>,
    circuit: Circuit,
}

#[derive(Clone, Debug, Default)]
struct State {
    started: Vec<i64>,
    finished: Vec<i64>,
    /// Records that fail their first attempt.
    failing: Vec<i64>,
    cancelled: Vec<i64>,
    stored: Vec<i64>,
}

/// Records that an attempt was dropped before its end.
struct InFlight<'a>(&'a Gate, i64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| {
            if !state.finished.contains(&self.1) && !state.failing.contains(&self.1) {
                state.cancelled.push(self.1);
            }
        });
    }
}

impl Processor for Gate {
    async fn wait_until_due(&self, _: &Record) {}

    async fn admit(&self) -> Pass<'_> {
        self.circuit.admit().await
    }

    async fn attempt(&self, record: &Record, attempt: u32, _: &Pass<'_>) -> Result<(), String> {
        let offset = record.offset;
        self.state.send_modify(|state| state.started.push(offset));
        let _in_flight = InFlight(self, offset);
        if attempt == 1 && self.state.borrow().failing.contains(&offset) {
            return Err("the first attempt fails".to_owned());
        }
        self.wait(|state| state.finished.contains(&offset)).await;
        Ok(())
    }

    fn store_offset(&self, offset: i64) {
        self.state.send_modify(|state| state.stored.push(offset));
    }
}

impl Gate {
    async fn wait(&self, condition: impl Fn(&State) -> bool) -> State {
        let mut state = self.state.subscribe();
        let state = tokio::time::timeout(SOON, state.wait_for(|state| condition(state))).await;
        state.expect("in time").unwrap().clone()
    }

    fn finish(&self, offsets: &[i64]) {
        self.state.send_modify(|state| state.finished.extend(offsets));
    }
}

struct World {
    gate: Arc<Gate>,
    assignment: Assignment,
    has_room: Arc<Notify>,
    budget: Budget,
}

impl World {
    fn new(failing: &[i64]) -> Self {
        let state = State { failing: failing.to_vec(), ..State::default() };
        let gate = Arc::new(Gate { state: watch::Sender::new(state), circuit: Circuit::new("records") });
        Self { gate, assignment: Assignment::default(), has_room: Arc::default(), budget: Budget::of_topic() }
    }

    /// Receives a record as the receive loop does; returns whether the partition has to be paused.
    async fn receive(&self, partition: i32, offset: i64, key: &str, bytes: usize) -> bool {
        let source = Source::new("records", partition);
        let event = Event {
            origin: Origin {
                topic: "records".to_owned(),
                partition,
                offset,
                written_at: DateTime::from_timestamp_millis(offset * 10).unwrap(),
            },
            key: Some(key.as_bytes().to_vec()),
            payload: Some(vec![0; bytes]),
            headers: Vec::new(),
            retries: 0,
        };
        let (queue, record) = {
            let mut partitions = self.assignment.lock();
            let assigned = partitions.entry(source.clone()).or_insert_with(|| self.assignment.assigned());
            let running = assigned.running.get_or_insert_with(|| {
                let budget = self.budget.of_partition();
                Partition::start(Arc::clone(&self.gate), budget, Arc::clone(&self.has_room))
            });
            (running.queue.clone(), Record::of_event(event, &running.budget))
        };
        queue.send(record).await.unwrap();
        self.assignment.pause_if_full(&source)
    }
}

#[tokio::test]
async fn the_stored_offset_stays_below_the_lowest_unfinished_record() {
    let world = World::new(&[]);
    for (offset, key) in [(3, "a"), (4, "b"), (5, "a"), (6, "c")] {
        world.receive(0, offset, key, 1).await;
    }
    let started = world.gate.wait(|state| state.started.len() == 3).await.started;
    assert_eq!(started, [3, 4, 6], "the second record of a key waits for the first");
    world.gate.finish(&[4, 6]);
    tokio::task::yield_now().await;
    let position = world.assignment.positions("records")[0].position;
    assert_eq!(position, Position { first: Some(3), lowest: Some(3), timestamp: Some(30) });
    assert!(world.gate.state.borrow().stored.is_empty());
    world.gate.finish(&[3]);
    let state = world.gate.wait(|state| !state.stored.is_empty() && state.started.contains(&5)).await;
    assert_eq!(state.stored, [4]);
    world.gate.finish(&[5]);
    assert_eq!(world.gate.wait(|state| state.stored.len() == 2).await.stored, [4, 6]);
}

#[tokio::test]
async fn a_failed_attempt_is_retried_and_blocks_only_its_key() {
    let world = World::new(&[0]);
    for (offset, key) in [(0, "a"), (1, "a"), (2, "b")] {
        world.receive(0, offset, key, 1).await;
    }
    world.gate.finish(&[0, 1, 2]);
    let state = world.gate.wait(|state| state.stored == [0, 2]).await;
    assert_eq!(state.started.iter().filter(|offset| **offset == 0).count(), 2);
    let place = |offset| state.started.iter().rposition(|started| *started == offset).unwrap();
    assert!(place(2) < place(0) && place(0) < place(1), "{state:?}");
}

#[tokio::test]
async fn bytes_pause_a_partition_until_records_finish() {
    let world = World::new(&[]);
    assert!(!world.receive(0, 0, "a", 20 * 1024 * 1024).await);
    assert!(world.receive(0, 1, "b", 12 * 1024 * 1024).await, "32 MiB are held");
    assert!(!world.receive(0, 2, "c", 1).await, "it is paused already");
    assert!(world.receive(1, 0, "a", 1).await, "the bytes of all partitions count");
    assert!(world.assignment.resumable().is_empty());
    world.gate.finish(&[0]);
    tokio::time::timeout(SOON, async {
        let mut resumed = Vec::new();
        while resumed.len() < 2 {
            world.has_room.notified().await;
            resumed.extend(world.assignment.resumable());
        }
    })
    .await
    .expect("both partitions resume");
}

#[tokio::test]
async fn a_revoked_partition_finishes_its_records_in_flight_and_drops_the_queued_ones() {
    let world = World::new(&[]);
    world.receive(0, 0, "a", 1).await;
    world.receive(0, 1, "a", 1).await;
    world.gate.wait(|state| state.started == [0]).await;
    let draining = world.assignment.stop(None);
    world.gate.finish(&[0, 1]);
    assert!(drain(draining, SOON).await);
    let state = world.gate.state.borrow().clone();
    assert_eq!((state.started, state.stored), (vec![0], vec![0]));
    assert!(world.assignment.positions("records").is_empty());
}

#[tokio::test]
async fn the_drain_deadline_cancels_the_records_in_flight() {
    let world = World::new(&[]);
    world.receive(0, 0, "a", 1).await;
    world.gate.wait(|state| state.started == [0]).await;
    let draining = world.assignment.stop(None);
    assert!(!drain(draining, Duration::from_millis(20)).await);
    assert_eq!(world.gate.wait(|state| !state.cancelled.is_empty()).await.cancelled, [0]);
    assert!(world.gate.state.borrow().stored.is_empty());
}

#[tokio::test]
async fn an_abandoned_partition_cancels_its_records_at_once() {
    let world = World::new(&[]);
    world.receive(0, 0, "a", 1).await;
    world.gate.wait(|state| state.started == [0]).await;
    world.assignment.stop(None).into_iter().for_each(Draining::abandon);
    assert_eq!(world.gate.wait(|state| !state.cancelled.is_empty()).await.cancelled, [0]);
}

#[test]
fn pauses_between_attempts_grow_from_100_ms_to_10_s() {
    for (attempt, pause) in (1..100).zip(BACKOFF.build()) {
        assert!(
            (Duration::from_millis(100)..=Duration::from_secs(10)).contains(&pause),
            "{attempt}: {pause:?}"
        );
    }
}
