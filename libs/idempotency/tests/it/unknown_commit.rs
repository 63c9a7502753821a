//! The connection is lost during COMMIT, after the server got it: whether it happened is found out, not guessed.

use testkit::{Database, FaultProxy, wait_for};

use crate::shop::{SOON, Shop};

/// Makes the COMMIT that finishes an operation wait for a lock that the test holds.
const SLOW_COMMIT: &str = "\
CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER UPDATE ON idempotency_keys DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.recovery_point = 'finished') EXECUTE FUNCTION wait_for_test()";

#[tokio::test]
async fn of_the_end_of_an_operation_is_settled_by_asking_the_key() {
    let shop = Shop::make().await;
    let proxy = FaultProxy::start(Database::server()).await;
    let mut replica = shop.replica().env("DATABASE_URL", shop.database.url_through(proxy.addr()));
    for timeout in ["LOCK", "STATEMENT", "TRANSACTION"] {
        replica = replica.env(&format!("DATABASE_{timeout}_TIMEOUT_MS"), "20000");
    }
    let replica = replica.env("IDEMPOTENCY_LEASE_MS", "30000").spawn().await;
    let lock = shop.database.connect().await;
    lock.batch_execute(SLOW_COMMIT).await.unwrap();
    lock.batch_execute("SELECT pg_advisory_lock(4711)").await.unwrap();

    let (answer, ()) = tokio::join!(shop.buy(&replica, "unknown", 1_000), async {
        wait_for("the COMMIT to wait", SOON, async || {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                           AND query = 'COMMIT' AND wait_event_type = 'Lock'";
            (shop.count(waiting).await == 1).then_some(())
        })
        .await;
        // The server goes on with its COMMIT; its answer goes nowhere.
        proxy.black_hole();
        lock.batch_execute("SELECT pg_advisory_unlock(4711)").await.unwrap();
        shop.finished(1).await;
        proxy.restore();
    });

    assert_eq!(answer.status(), 201, "{answer:?}");
    shop.assert_one_effect("unknown COMMIT").await;
    assert_eq!((shop.bank.calls(), shop.count("SELECT fence FROM idempotency_keys").await), (1, 1));
    assert!(replica.logs().contains("the outcome of a COMMIT is unknown"));
}
