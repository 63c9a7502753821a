//! The connection is lost during COMMIT: the service finds out whether the transaction was committed.

use reqwest::Response;
use testkit::{Database, FaultProxy, wait_for};
use tokio_postgres::Client;

use crate::app::{App, Parts, SOON, order};

/// Makes the COMMIT of an order wait for a lock that the test holds.
const SLOW_COMMIT: &str = "\
CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON idempotency_keys DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION wait_for_test()";

/// An order whose COMMIT waits, and the proxy to the database.
struct Waiting {
    app: App,
    proxy: FaultProxy,
    lock: Client,
}

impl Waiting {
    async fn start() -> Self {
        let parts = Parts::make().await;
        let proxy = FaultProxy::start(Database::server()).await;
        let mut service = parts.service().env("DATABASE_URL", parts.database.url_through(proxy.addr()));
        for timeout in ["LOCK", "STATEMENT", "TRANSACTION"] {
            service = service.env(&format!("DATABASE_{timeout}_TIMEOUT_MS"), "20000");
        }
        let app = parts.with(service.env("REQUEST_TIMEOUT_MS", "15000").spawn().await);
        let lock = app.database.connect().await;
        lock.batch_execute(SLOW_COMMIT).await.unwrap();
        lock.batch_execute("SELECT pg_advisory_lock(4711)").await.unwrap();
        Self { app, proxy, lock }
    }

    async fn post(&self) -> reqwest::Result<Response> {
        self.app.try_post("unknown", &order("TEA", 1)).await
    }

    /// Waits until PostgreSQL has the COMMIT; returns the pid of its backend.
    async fn committing(&self) -> i32 {
        let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' \
                   AND wait_event_type = 'Lock'";
        let database = self.app.database.connect().await;
        wait_for("the COMMIT to wait", SOON, async || {
            Some(database.query_opt(sql, &[]).await.unwrap()?.get(0))
        })
        .await
    }

    async fn go_on(&self) {
        self.lock.batch_execute("SELECT pg_advisory_unlock(4711)").await.unwrap();
    }

    async fn orders(&self) -> i64 {
        self.app.count("SELECT count(*) FROM orders").await
    }
}

#[tokio::test]
async fn a_lost_commit_that_happened_returns_the_response() {
    let waiting = Waiting::start().await;
    let (answer, ()) = tokio::join!(waiting.post(), async {
        waiting.committing().await;
        // PostgreSQL completes the COMMIT; its answer is lost.
        waiting.proxy.black_hole();
        waiting.go_on().await;
        wait_for("the order", SOON, async || (waiting.orders().await == 1).then_some(())).await;
        waiting.proxy.restore();
    });
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["idempotent-replayed"], "true", "it was read back");
    assert_eq!(waiting.orders().await, 1);
}

#[tokio::test]
async fn a_lost_commit_that_did_not_happen_is_retried() {
    let waiting = Waiting::start().await;
    let (answer, ()) = tokio::join!(waiting.post(), async {
        let server_process = waiting.committing().await;
        let database = waiting.app.database.connect().await;
        database.execute("SELECT pg_terminate_backend($1)", &[&server_process]).await.unwrap();
        waiting.go_on().await;
    });
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 202);
    assert!(!answer.headers().contains_key("idempotent-replayed"));
    assert_eq!(waiting.orders().await, 1);
}

#[tokio::test]
async fn a_lost_commit_that_is_still_open_returns_503_with_retry_after() {
    let waiting = Waiting::start().await;
    let (answer, ()) = tokio::join!(waiting.post(), async {
        waiting.committing().await;
        // Every connection is reset; new ones are accepted.
        waiting.proxy.cut();
        waiting.proxy.restore();
    });
    // PostgreSQL still holds the lock of the lost transaction.
    assert_eq!(answer.unwrap().status(), 409);

    waiting.go_on().await;
    waiting.app.post_until_accepted("unknown", &order("TEA", 1)).await;
    assert_eq!(waiting.orders().await, 1);
}

#[tokio::test]
async fn a_retry_after_an_outage_during_commit_has_one_effect() {
    let waiting = Waiting::start().await;
    let (answer, ()) = tokio::join!(waiting.post(), async {
        waiting.committing().await;
        waiting.proxy.cut();
    });
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));

    waiting.go_on().await;
    waiting.proxy.restore();
    waiting.app.post_until_accepted("unknown", &order("TEA", 1)).await;
    assert_eq!(waiting.orders().await, 1);
}
