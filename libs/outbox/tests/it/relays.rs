//! Several relays on one outbox, of this release and of the one before.

use std::time::Instant;

use testkit::wait_for;

use crate::world::{SOON, World, assert_complete, start_relay};

const KEYS: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn relays_share_the_buckets_and_share_again_when_one_comes_or_goes() {
    let world = World::new(&[("events", 3)]).await;
    let mut relays = vec![world.relay().await];
    world.shared_by(1).await;
    let mut number = 0;
    let mut append = async |world: &World| {
        for key in 0..KEYS {
            world.append("events", &format!("key-{key}"), number, 100).await;
        }
        number += 1;
    };
    for n_relays in 2..=3 {
        append(&world).await;
        relays.push(world.relay().await);
        append(&world).await;
        world.shared_by(n_relays).await;
    }
    append(&world).await;
    world.published().await;

    // A relay that stops gives its buckets back.
    for n_relays in (1..=2).rev() {
        relays.remove(0).stop().await;
        let stopped = Instant::now();
        append(&world).await;
        world.published().await;
        assert!(stopped.elapsed().as_secs() < 5, "the end of the leases was waited for");
        world.shared_by(n_relays).await;
    }
    let records = world.records("events", KEYS * 7).await;
    assert_eq!(records.len(), KEYS * 7, "each once");
    assert_complete(&records, KEYS, 7);
    for relay in relays {
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_of_the_release_before_and_one_of_this_never_publish_together() {
    let world = World::new(&[("events", 1)]).await;
    let before = world.database.connect().await;
    let lock = "SELECT pg_try_advisory_lock(688269)";
    let locks = async || before.query_one(lock, &[]).await.unwrap().get::<_, bool>(0);
    assert!(locks().await);
    world.append("events", "a", 0, 10).await;
    let relay = world.relay().await;
    let asked = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND query = 'SELECT pg_try_advisory_lock_shared($1)'";
    world.until("the relay to ask for the lock", asked, 1).await;
    assert_eq!(world.count("SELECT max(fence) FROM outbox_bucket").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM outbox_unpublished").await, 1);

    before.execute("SELECT pg_advisory_unlock(688269)", &[]).await.unwrap();
    world.published().await;
    assert!(!locks().await, "the relay before has to wait now");
    relay.stop().await;
    // After a release is undone.
    wait_for("the lock to be free", SOON, async || locks().await.then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_lost_its_database_publishes_again() {
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
    let fences = "SELECT sum(fence)::bigint FROM outbox_bucket";
    let before = world.count(fences).await;
    // The server does not know that the session is gone: another relay gets the buckets when the leases are over.
    let other = world.relay().await;
    world.published().await;
    assert!(world.count(fences).await > before);
    assert_complete(&world.records("events", 3).await, 1, 3);
    other.stop().await;
    relay.abort().await;
}
