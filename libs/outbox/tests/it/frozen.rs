//! A relay that does not run any more: killed, or frozen and thawed.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testkit::wait_for;

use crate::{
    child::RelayProcess,
    world::{SOON, World, assert_complete, first_deliveries},
};

/// Keys in most buckets.
const KEYS: usize = 40;

/// Five seconds of lease, one until the next attempt of another relay, and some for a busy machine.
const TAKEN_OVER: Duration = Duration::from_secs(9);

async fn stopped(process: &RelayProcess) {
    wait_for("the process to be frozen", SOON, async || process.is_stopped().then_some(())).await;
}

async fn append(world: &World, number: usize) {
    for key in 0..KEYS {
        world.append("events", &format!("key-{key}"), number, 10).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buckets_of_a_frozen_relay_are_taken_over_and_it_publishes_nothing_when_it_wakes_up() {
    let world = World::new(&[("events", 1)]).await;
    let first = RelayProcess::start(&world, "");
    world.shared_by(1).await;
    let second = world.relay().await;
    world.shared_by(2).await;
    append(&world, 0).await;
    world.published().await;

    first.signal(Signal::SIGSTOP);
    stopped(&first).await;
    let frozen = Instant::now();
    append(&world, 1).await;
    world.published().await;
    let taken_over = frozen.elapsed();
    assert!(taken_over < TAKEN_OVER, "{taken_over:?}");
    world.shared_by(1).await;

    first.signal(Signal::SIGCONT);
    world.shared_by(2).await;
    append(&world, 2).await;
    world.published().await;
    let records = world.records("events", 3 * KEYS).await;
    assert_eq!(records.len(), 3 * KEYS, "each once");
    assert_complete(&records, KEYS, 3);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_frozen_relay_are_published_again_and_its_late_position_is_not_written() {
    let world = World::new(&[("events", 1)]).await;
    let first = RelayProcess::start(&world, "outbox.published=freeze");
    world.shared_by(1).await;
    world.append("events", "a", 0, 10).await;
    world.append("events", "a", 1, 10).await;
    stopped(&first).await;
    let second = world.relay().await;
    world.published().await;

    // A row that only the first relay believes to be published.
    world.append("events", "a", 2, 10).await;
    first.signal(Signal::SIGCONT);
    world.published().await;
    let records = world.records("events", 4).await;
    assert_eq!(records.len(), 4, "the first event twice");
    assert_eq!(first_deliveries(&records)["a"], [0, 1, 2]);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buckets_of_a_killed_relay_are_taken_over_before_its_leases_are_over() {
    let world = World::new(&[("events", 1)]).await;
    let first = RelayProcess::start(&world, "");
    world.shared_by(1).await;
    let second = world.relay().await;
    world.shared_by(2).await;
    first.signal(Signal::SIGKILL);
    let killed = Instant::now();
    append(&world, 0).await;
    world.published().await;
    assert!(killed.elapsed() < Duration::from_secs(4), "{:?}", killed.elapsed());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn order_per_key_holds_while_relays_are_killed_and_frozen() {
    const EVENTS: usize = 30;
    let world = World::new(&[("events", 3)]).await;
    let publish = async {
        for number in 0..EVENTS {
            append(&world, number).await;
        }
    };
    let disturb = async {
        let mut relays: Vec<_> = (0..3).map(|_| RelayProcess::start(&world, "")).collect();
        world.shared_by(3).await;
        for round in 0..4 {
            let frozen = &relays[round % 3];
            frozen.signal(Signal::SIGSTOP);
            stopped(frozen).await;
            // The other two have all buckets, and then one of them is killed.
            world.shared_by(2).await;
            relays[(round + 1) % 3] = RelayProcess::start(&world, "");
            relays[round % 3].signal(Signal::SIGCONT);
            world.shared_by(3).await;
        }
        relays
    };
    let ((), relays) = tokio::join!(publish, disturb);
    append(&world, EVENTS).await;
    world.published().await;
    drop(relays);
    assert_complete(&world.records("events", KEYS * (EVENTS + 1)).await, KEYS, EVENTS + 1);
}
