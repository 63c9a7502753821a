//! SIGKILL between any two statements of an operation: another replica ends it, with one effect.

use std::{os::unix::process::ExitStatusExt as _, time::Duration};

use futures::{StreamExt as _, stream};

use crate::shop::{SOON, Shop, metric};

/// Services that are started at once; each needs two.
const AT_ONCE: usize = 3;

/// Between each two statements, in the order in which an operation passes them.
const CLAIMING: [&str; 2] = ["idempotency.remote.locked", "idempotency.remote.inserted"];
const WORKING: [&str; 9] = [
    "idempotency.remote.claimed",
    "idempotency.remote.transact_effect",
    "idempotency.remote.transact_before_commit",
    "idempotency.remote.transact_committed",
    "idempotency.remote.step_begun",
    "idempotency.remote.step_called",
    "idempotency.remote.step_recorded",
    "idempotency.remote.finish_effect",
    "idempotency.remote.finish_before_commit",
];
const ANSWERING: [&str; 2] = ["idempotency.remote.finished", "idempotency.remote.answered"];

async fn dead_at(point: &str) -> (Shop, testkit::Process) {
    let shop = Shop::make().await;
    let mut first = shop.with_fail_point(&format!("{point}=kill")).spawn().await;
    let second = shop.replica().spawn().await;
    assert!(shop.try_buy(&first, "crash", 1_000).await.is_err(), "{point}: the process died");
    let status = first.wait_exit(Duration::from_secs(30)).await;
    assert_eq!(status.signal(), Some(9), "{point}: {status}");
    (shop, second)
}

#[tokio::test]
async fn a_retry_completes_the_operation_of_a_killed_replica() {
    let points = CLAIMING.into_iter().chain(WORKING).chain(ANSWERING);
    stream::iter(points)
        .for_each_concurrent(AT_ONCE, async |point| {
            let (shop, second) = dead_at(point).await;
            let card = shop.buy_until_done(&second, "crash", 1_000).await;
            shop.assert_one_effect(point).await;
            assert_eq!(card["charge"], "charge-0", "{point}");
            let again = shop.buy(&second, "crash", 1_000).await;
            assert_eq!(again.headers()["idempotent-replayed"], "true", "{point}");
            assert_eq!(again.json::<serde_json::Value>().await.unwrap(), card, "{point}");
        })
        .await;
}

#[tokio::test]
async fn the_completer_completes_an_operation_without_a_retry() {
    stream::iter(WORKING)
        .for_each_concurrent(AT_ONCE, async |point| {
            let (shop, second) = dead_at(point).await;
            shop.finished(1).await;
            shop.assert_one_effect(point).await;
            let by_completer = r#"idempotency_takeovers_total{by="completer",operation="buy_gift_card"}"#;
            assert!(metric(&second, by_completer).await >= 1.0, "{point}");
        })
        .await;
}

#[tokio::test]
async fn a_recorded_step_does_not_run_again() {
    let (shop, second) = dead_at("idempotency.remote.step_recorded").await;
    shop.buy_until_done(&second, "crash", 1_000).await;
    assert_eq!(shop.bank.calls(), 1, "the result of the call was stored");

    let (shop, second) = dead_at("idempotency.remote.step_called").await;
    shop.buy_until_done(&second, "crash", 1_000).await;
    assert_eq!(
        shop.bank.calls(),
        2,
        "the result was not stored, so the call was made again, with the same key"
    );
    shop.assert_one_effect("step_called").await;
}

#[tokio::test]
async fn an_uncommitted_claim_leaves_no_record() {
    for point in CLAIMING {
        let (shop, _second) = dead_at(point).await;
        assert_eq!(shop.count("SELECT count(*) FROM idempotency_keys").await, 0, "{point}");
        assert_eq!(shop.bank.calls(), 0, "{point}");
    }
}

#[tokio::test]
async fn replicas_may_die_one_after_the_other() {
    let shop = Shop::make().await;
    let mut first = shop.with_fail_point("idempotency.remote.step_called=kill").spawn().await;
    drop(shop.try_buy(&first, "crash", 1_000).await);
    first.wait_exit(SOON).await;
    // By its completer each, and alone: two would race for the operation, and the one that lost
    // could find it past the statement it is to die at.
    for point in ["step_called", "finish_before_commit"] {
        let specification = format!("idempotency.remote.{point}=kill");
        shop.with_fail_point(&specification).spawn().await.wait_exit(SOON).await;
    }
    let last = shop.replica().spawn().await;
    shop.buy_until_done(&last, "crash", 1_000).await;
    shop.assert_one_effect("three deaths").await;
    assert_eq!(shop.count("SELECT fence FROM idempotency_keys").await, 4);
}
