//! How long a key is known, and to whom.

use reqwest::StatusCode;
use serde_json::json;
use testkit::{client, wait_for};

use crate::{
    bank::Mode,
    shop::{SOON, Shop, metric},
};

const PURGED: &str = r#"idempotency_purged_total{table="idempotency_keys"}"#;

#[tokio::test]
async fn an_unfinished_key_never_expires_and_is_never_purged() {
    let shop = Shop::make().await;
    let first = shop.replica().spawn().await;
    shop.buy(&first, "finished", 1_000).await;
    let database = shop.database.connect().await;
    let expire = "UPDATE idempotency_keys SET expires_at = now() - interval '1 second' WHERE key = $1";
    database.execute(expire, &[&"finished"]).await.unwrap();
    shop.bank.set(Mode::Hold);
    // The first answer may come too late for its client, for a replica is started meanwhile.
    let (_, ()) = tokio::join!(shop.try_buy(&first, "unfinished", 1_000), async {
        shop.called(2).await;
        let refused = database.execute(expire, &[&"unfinished"]).await.unwrap_err();
        let constraint = refused.as_db_error().unwrap().constraint();
        assert_eq!(constraint, Some("idempotency_keys_unfinished_never_expires"));
        // A service purges first thing, and then every minute.
        let second = shop.replica().spawn().await;
        wait_for("a purge", SOON, async || (metric(&second, PURGED).await > 0.0).then_some(())).await;
        assert_eq!(shop.count("SELECT count(*) FROM idempotency_keys WHERE key = 'finished'").await, 0);
        assert_eq!(shop.count("SELECT count(*) FROM idempotency_keys WHERE key = 'unfinished'").await, 1);
        shop.bank.set(Mode::Charge);
    });
    shop.buy_until_done(&first, "unfinished", 1_000).await;
    assert_eq!(shop.bank.calls(), 2);
}

#[tokio::test]
async fn an_expired_key_is_free_again_and_its_steps_have_keys_of_the_new_request() {
    let shop = Shop::make().await;
    let replica = shop.replica().spawn().await;
    shop.buy(&replica, "old", 1_000).await;
    let expire = "UPDATE idempotency_keys SET expires_at = now() - interval '1 second'";
    shop.database.connect().await.execute(expire, &[]).await.unwrap();

    let answer = shop.buy(&replica, "old", 2_000).await;

    assert_eq!(answer.status(), StatusCode::CREATED);
    assert!(!answer.headers().contains_key("idempotent-replayed"));
    assert_eq!((shop.bank.charges(), shop.bank.keys()), (2, 2));
    let one_row = "SELECT count(*) FROM idempotency_keys WHERE fence = 2 AND recovery_point = 'finished'";
    assert_eq!(shop.count(one_row).await, 1, "the row was reclaimed, and its fence grew");
}

/// As another repetition has it at the same moment.
const LOCK_KEY: &str =
    "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('acme' || E'\\x1f' || 'again', 0))";

#[tokio::test]
async fn a_finished_operation_is_replayed_while_another_repetition_has_the_lock() {
    let shop = Shop::make().await;
    let replica = shop.replica().spawn().await;
    shop.buy(&replica, "again", 1_000).await;
    let other = shop.database.connect().await;
    other.batch_execute(LOCK_KEY).await.unwrap();

    let again = shop.buy(&replica, "again", 1_000).await;
    let differs = shop.buy(&replica, "again", 2_000).await;

    assert_eq!((again.status(), differs.status()), (StatusCode::CREATED, StatusCode::UNPROCESSABLE_ENTITY));
    assert_eq!(again.headers()["idempotent-replayed"], "true");
}

#[tokio::test]
async fn a_finished_operation_clears_its_input_and_steps() {
    let shop = Shop::make().await;
    let replica = shop.replica().spawn().await;
    shop.buy(&replica, "tidy", 1_000).await;
    let cleared = "SELECT count(*) FROM idempotency_keys WHERE input IS NULL AND steps IS NULL";
    assert_eq!(shop.count(cleared).await, 1);
}

#[tokio::test]
async fn a_key_belongs_to_its_tenant() {
    let shop = Shop::make().await;
    let replica = shop.replica().spawn().await;
    shop.buy(&replica, "shared", 1_000).await;
    let token = shop.keys.token("globex", &["gift-cards:write"]);
    let request = client().post(format!("{}/v1/gift-cards", replica.http_url())).bearer_auth(token);
    let request = request.header("Idempotency-Key", "shared").json(&json!({ "amount_minor": 1_000 }));

    let answer = request.send().await.unwrap();

    assert_eq!(answer.status(), StatusCode::CREATED);
    assert!(!answer.headers().contains_key("idempotent-replayed"));
    assert_eq!((shop.bank.charges(), shop.bank.keys()), (2, 2));
}

#[tokio::test]
async fn times_that_contradict_each_other_are_refused_at_start_up() {
    let shop = Shop::make().await;
    for (name, value) in [("IDEMPOTENCY_RETENTION_S", "60"), ("IDEMPOTENCY_MAX_ATTEMPT_MS", "1500")] {
        let output = shop.replica().env(name, value).expect_refusal().await;
        assert!(output.contains(&format!("{name} ({value}) must be")), "{output}");
    }
}
