//! A leader that does not run any more: killed, or frozen and thawed.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testkit::wait_for;

use crate::{
    child::RelayProcess,
    world::{SOON, World, assert_complete, first_deliveries},
};

const FENCE: &str = "SELECT fence FROM outbox_lease";

/// Five seconds of lease, one until the next attempt of a standby, and some for a busy machine.
const TAKEN_OVER: Duration = Duration::from_secs(9);

async fn stopped(process: &RelayProcess) {
    wait_for("the process to be frozen", SOON, async || process.is_stopped().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_leader_is_replaced_and_publishes_nothing_when_it_wakes_up() {
    let world = World::new(&[("events", 1)]).await;
    let first = RelayProcess::start(&world, "");
    world.until("the first relay to lead", FENCE, 1).await;
    let second = world.relay().await;
    world.append("events", "a", 0, 10).await;
    world.published().await;

    first.signal(Signal::SIGSTOP);
    stopped(&first).await;
    let frozen = Instant::now();
    world.append("events", "a", 1, 10).await;
    world.published().await;
    let taken_over = frozen.elapsed();
    assert!(taken_over < TAKEN_OVER, "{taken_over:?}");
    assert_eq!(world.count(FENCE).await, 2);

    first.signal(Signal::SIGCONT);
    // A standby asks for the lead every second: it has noticed.
    let asks = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'UPDATE outbox_lease%fence + 1%'";
    world.until("the first relay to be a standby", asks, 1).await;
    for number in 2..20 {
        world.append("events", "a", number, 10).await;
    }
    world.published().await;
    let records = world.records("events", 20).await;
    assert_eq!(records.len(), 20, "each once");
    assert_complete(&records, 1, 20);
    assert_eq!(world.count(FENCE).await, 2);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_frozen_leader_are_published_again_and_its_late_deletion_fails() {
    let world = World::new(&[("events", 1)]).await;
    let first = RelayProcess::start(&world, "outbox.published=freeze");
    world.until("the first relay to lead", FENCE, 1).await;
    world.append("events", "a", 0, 10).await;
    world.append("events", "a", 1, 10).await;
    stopped(&first).await;
    let second = world.relay().await;
    world.published().await;

    // A row that only the first relay believes to be done.
    world.append("events", "a", 2, 10).await;
    first.signal(Signal::SIGCONT);
    world.published().await;
    let records = world.records("events", 4).await;
    assert_eq!(records.len(), 4, "the first event twice");
    assert_eq!(first_deliveries(&records)["a"], [0, 1, 2]);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_before_its_lease_is_over() {
    let world = World::new(&[("events", 1)]).await;
    let first = RelayProcess::start(&world, "");
    world.until("the first relay to lead", FENCE, 1).await;
    let second = world.relay().await;
    first.signal(Signal::SIGKILL);
    let killed = Instant::now();
    world.append("events", "a", 0, 10).await;
    world.published().await;
    assert!(killed.elapsed() < Duration::from_secs(4), "{:?}", killed.elapsed());
    second.stop().await;
}
