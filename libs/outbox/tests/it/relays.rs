//! Several relays on one outbox, of this release and of the one before.

use std::time::Instant;

use testkit::wait_for;

use crate::world::{SOON, World, assert_complete, start_relay};

const KEYS: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn of_several_relays_one_publishes_and_the_next_follows_when_it_stops() {
    let world = World::new(&[("events", 3)]).await;
    let mut relays = Vec::new();
    for _ in 0..3 {
        relays.push(world.relay().await);
    }
    for number in 0..8 {
        for key in 0..KEYS {
            world.append("events", &format!("key-{key}"), number, 100).await;
        }
    }
    world.published().await;
    let fence = "SELECT fence FROM outbox_lease";
    assert_eq!(world.count(fence).await, 1, "one term");

    // The active relay releases its lease.
    for n_stopped in 1.. {
        relays.remove(0).stop().await;
        if world.count("SELECT count(*) FROM outbox_lease WHERE lease_until IS NULL").await == 1 {
            break;
        }
        assert!(n_stopped < 3, "no relay released the lease");
    }
    let last = world.relay().await;
    let handed_over = Instant::now();
    for key in 0..KEYS {
        world.append("events", &format!("key-{key}"), 8, 100).await;
    }
    world.published().await;
    assert!(handed_over.elapsed().as_secs() < 5, "the end of the lease was waited for");
    let records = world.records("events", KEYS * 9).await;
    assert_eq!(records.len(), KEYS * 9, "each once");
    assert_complete(&records, KEYS, 9);
    last.stop().await;
    for relay in relays {
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_of_the_release_before_and_one_of_this_never_publish_together() {
    let world = World::new(&[("events", 1)]).await;
    let before = world.database.connect().await;
    let lock = "SELECT pg_try_advisory_lock(688269)";
    let leads = async || before.query_one(lock, &[]).await.unwrap().get::<_, bool>(0);
    assert!(leads().await);
    world.append("events", "a", 0, 10).await;
    let relay = world.relay().await;
    let asked = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND query = 'SELECT pg_try_advisory_lock_shared($1)'";
    world.until("the relay to ask for the lead", asked, 1).await;
    assert_eq!(world.count("SELECT fence FROM outbox_lease").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM outbox").await, 1);

    before.execute("SELECT pg_advisory_unlock(688269)", &[]).await.unwrap();
    world.published().await;
    assert!(!leads().await, "the relay before has to wait now");
    relay.stop().await;
    // After a release is undone.
    wait_for("the lead to be free", SOON, async || leads().await.then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_lost_its_database_leads_again() {
    let world = World::new(&[("events", 1)]).await;
    let proxy = testkit::FaultProxy::start(testkit::Database::server()).await;
    let url = world.database.url_through(proxy.addr());
    let relay = start_relay(&url, &testkit::endpoints().kafka_bootstrap_servers).await;
    world.append("events", "a", 0, 10).await;
    world.published().await;
    proxy.cut();
    world.append("events", "a", 1, 10).await;
    proxy.restore();
    world.published().await;
    proxy.black_hole();
    world.append("events", "a", 2, 10).await;
    let fence = world.count("SELECT fence FROM outbox_lease").await;
    // The server does not know that the session is gone: another relay gets the lead when the lease is over.
    let other = world.relay().await;
    world.published().await;
    assert!(world.count("SELECT fence FROM outbox_lease").await > fence);
    assert_complete(&world.records("events", 3).await, 1, 3);
    other.stop().await;
    relay.abort().await;
}
