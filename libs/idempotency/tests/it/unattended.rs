//! Operations whose client has gone: the connection does not own the work.

use nix::sys::signal::Signal;
use testkit::{Process, wait_for};

use crate::{
    bank::Mode,
    shop::{SOON, Shop, metric, signal},
};

const IN_FLIGHT: &str = "http_server_requests_in_flight";

/// Begins to buy, and closes the connection while the bank takes its time.
async fn abandoned(shop: &Shop, replica: &Process) {
    shop.bank.set(Mode::Hold);
    tokio::select! {
        answer = shop.try_buy(replica, "gone", 1_000) => panic!("{answer:?}"),
        () = shop.called(1) => {}
    }
}

#[tokio::test]
async fn an_operation_outlives_the_connection_of_its_request() {
    let shop = Shop::make().await;
    let replica = shop.replica().spawn().await;
    abandoned(&shop, &replica).await;
    shop.bank.set(Mode::Charge);
    shop.finished(1).await;

    shop.assert_one_effect("abandoned").await;
    assert_eq!((shop.bank.calls(), shop.count("SELECT fence FROM idempotency_keys").await), (1, 1));
    let replay = shop.buy(&replica, "gone", 1_000).await;
    assert_eq!(replay.headers()["idempotent-replayed"], "true");
}

#[tokio::test]
async fn an_operation_outlives_the_deadline_of_its_request() {
    let shop = Shop::make().await;
    let replica = shop.replica().env("REQUEST_TIMEOUT_MS", "300").spawn().await;
    shop.bank.set(Mode::Hold);
    assert_eq!(shop.buy(&replica, "slow", 1_000).await.status(), 503);
    shop.called(1).await;
    shop.bank.set(Mode::Charge);
    shop.finished(1).await;
    assert_eq!((shop.bank.calls(), shop.count("SELECT fence FROM idempotency_keys").await), (1, 1));
}

#[tokio::test]
async fn sigterm_waits_for_work_whose_client_has_gone() {
    let shop = Shop::make().await;
    let mut replica =
        shop.replica().env("REQUEST_TIMEOUT_MS", "300").env("DRAIN_TIMEOUT_MS", "30000").spawn().await;
    abandoned(&shop, &replica).await;
    wait_for("no request to be in flight", SOON, async || {
        (metric(&replica, IN_FLIGHT).await < 1.0).then_some(())
    })
    .await;
    signal(&replica, Signal::SIGTERM);
    wait_for("the API to be closed", SOON, async || {
        replica.logs().contains("requests finished, API closed").then_some(())
    })
    .await;
    shop.bank.set(Mode::Charge);

    let status = replica.wait_exit(SOON).await;
    assert!(status.success(), "{status}");
    shop.assert_one_effect("SIGTERM").await;
    assert_eq!(shop.count("SELECT fence FROM idempotency_keys").await, 1);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_ended_and_followed_by_another() {
    let shop = Shop::make().await;
    let replica = shop.replica().env("IDEMPOTENCY_MAX_ATTEMPT_MS", "2000").spawn().await;
    shop.bank.set(Mode::Hold);
    assert_eq!(shop.buy(&replica, "long", 1_000).await.status(), 503);
    shop.bank.set(Mode::Charge);
    shop.buy_until_done(&replica, "long", 1_000).await;
    shop.assert_one_effect("too long").await;
    assert!(shop.bank.calls() >= 2);
}
