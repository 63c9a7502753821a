//! An owner that was taken for dead wakes up: it can neither record nor repeat.

use futures::{StreamExt as _, stream};
use nix::sys::signal::Signal;
use testkit::wait_for;

use crate::{
    bank::Mode,
    shop::{SOON, Shop, metric, signal, stopped},
};

const AT_ONCE: usize = 3;

const LOST: &str = r#"idempotency_attempts_total{operation="buy_gift_card",outcome="lost"}"#;

/// Everywhere between its claim and the COMMIT of its end.
const POINTS: [&str; 9] = [
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

#[tokio::test]
async fn an_owner_that_wakes_up_late_finds_its_fence_stale() {
    stream::iter(POINTS)
        .for_each_concurrent(AT_ONCE, async |point| {
            let shop = Shop::make().await;
            let first = shop.with_fail_point(&format!("{point}=freeze")).spawn().await;
            let second = shop.replica().spawn().await;
            let (answer, card) = tokio::join!(shop.try_buy(&first, "frozen", 1_000), async {
                stopped(&first).await;
                let card = shop.buy_until_done(&second, "frozen", 1_000).await;
                signal(&first, Signal::SIGCONT);
                card
            });
            wait_for(&format!("{point}: the late owner to notice"), SOON, async || {
                (metric(&first, LOST).await > 0.0).then_some(())
            })
            .await;
            // If its client still waits, it is told to come back, and gets the answer of the other attempt.
            if let Ok(answer) = answer {
                assert_eq!(answer.status(), 409, "{point}");
                assert!(answer.headers().contains_key("retry-after"), "{point}");
            }
            assert_eq!(shop.buy_until_done(&first, "frozen", 1_000).await, card, "{point}");
            shop.assert_one_effect(point).await;
            let fence = shop.count("SELECT fence FROM idempotency_keys").await;
            assert!(fence > 1, "{point}: {fence}");
        })
        .await;
}

#[tokio::test]
async fn an_owner_frozen_during_its_call_does_not_use_the_answer() {
    let shop = Shop::make().await;
    let (first, second) = (shop.replica().spawn().await, shop.replica().spawn().await);
    shop.bank.set(Mode::Hold);
    let (answer, card) = tokio::join!(shop.try_buy(&first, "frozen", 1_000), async {
        shop.called(1).await;
        signal(&first, Signal::SIGSTOP);
        stopped(&first).await;
        // The answer to the first call now waits in the socket of a process that does not run.
        shop.bank.set(Mode::Charge);
        let card = shop.buy_until_done(&second, "frozen", 1_000).await;
        signal(&first, Signal::SIGCONT);
        card
    });
    wait_for("the late owner to notice", SOON, async || (metric(&first, LOST).await > 0.0).then_some(()))
        .await;
    if let Ok(answer) = answer {
        assert_eq!(answer.status(), 409);
    }
    assert_eq!(shop.buy_until_done(&first, "frozen", 1_000).await, card);
    assert_eq!(shop.bank.calls(), 2);
    shop.assert_one_effect("frozen during the call").await;
}

#[tokio::test]
async fn a_slow_call_is_not_taken_over_while_its_owner_lives() {
    let shop = Shop::make().await;
    let (first, second) = (shop.replica().spawn().await, shop.replica().spawn().await);
    shop.bank.set(Mode::Hold);
    let (answer, ()) = tokio::join!(shop.buy(&first, "slow", 1_000), async {
        shop.called(1).await;
        let first_lease = lease_until(&shop).await;
        wait_for("the lease to be renewed past its first end", SOON, async || {
            let sql = "SELECT count(*) FROM idempotency_keys WHERE now() > to_timestamp($1::float8)";
            let database = shop.database.connect().await;
            let passed: i64 = database.query_one(sql, &[&first_lease]).await.unwrap().get(0);
            (passed == 1 && lease_until(&shop).await > first_lease).then_some(())
        })
        .await;
        assert_eq!(shop.buy(&second, "slow", 1_000).await.status(), 409);
        shop.bank.set(Mode::Charge);
    });
    assert_eq!(answer.status(), 201);
    assert_eq!(shop.count("SELECT fence FROM idempotency_keys").await, 1);
    assert_eq!(shop.bank.calls(), 1);
}

async fn lease_until(shop: &Shop) -> f64 {
    let sql = "SELECT extract(epoch FROM lease_until)::float8 FROM idempotency_keys";
    shop.database.connect().await.query_one(sql, &[]).await.unwrap().get(0)
}
