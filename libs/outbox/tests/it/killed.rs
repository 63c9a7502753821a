//! Relays that end anywhere.

use testkit::{Database, FaultProxy, endpoints};

use crate::world::{World, assert_complete, start_relay};

const KEYS: usize = 40;
const EVENTS: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_and_order_holds_while_relays_restart() {
    let world = World::new(&[("events", 3)]).await;
    let proxy = FaultProxy::start(Database::server()).await;
    let url = world.database.url_through(proxy.addr());
    let append = async {
        for number in 0..EVENTS {
            for key in 0..KEYS {
                world.append("events", &format!("key-{key}"), number, 100).await;
            }
        }
    };
    let observer = world.database.connect().await;
    let rows = async || {
        let sql = "SELECT count(*), coalesce(min(seq), 0) FROM outbox_unpublished";
        let row = observer.query_one(sql, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    let kill = async {
        for round in 0..6 {
            let relay = start_relay(&url, &endpoints().kafka_bootstrap_servers).await;
            // It has written a position, so others are on their way.
            let (_, before) = rows().await;
            testkit::wait_for("the relay to publish", crate::world::SOON, async || {
                let (left, oldest) = rows().await;
                (left == 0 || oldest > before).then_some(())
            })
            .await;
            if round % 2 == 0 {
                proxy.cut();
            }
            relay.abort().await;
            proxy.restore();
        }
    };
    tokio::join!(append, kill);
    let relay = world.relay().await;
    world.published().await;
    relay.stop().await;
    assert_complete(&world.records("events", KEYS * EVENTS).await, KEYS, EVENTS);
}
