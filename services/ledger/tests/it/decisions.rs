//! Transfers through the bank: it decides, and no fault on the way to it loses or repeats a transfer.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use testkit::{FaultProxy, Kafka, wait_for};

use crate::{
    app::{App, SOON},
    bank::Bank,
    settlement::metric,
};

/// Starts a ledger with a proxy between it and its bank.
async fn with_proxy() -> (App, FaultProxy) {
    let bank = Bank::start().await;
    let proxy = FaultProxy::start(bank.addr()).await;
    let url = format!("http://{}", proxy.addr());
    let app = App::start_at(bank, async |_, service| service.env("LEDGER_BANK_URL", url)).await;
    (app, proxy)
}

async fn accounts(app: &App) -> (String, String) {
    (app.open("EUR", true).await, app.open("EUR", false).await)
}

async fn calls(app: &App, call: &str, outcome: &str) -> f64 {
    let series = format!("ledger_bank_calls_total{{call=\"{call}\",outcome=\"{outcome}\"}}");
    metric(app, &series).await.unwrap()
}

async fn state(app: &App, id: &str) -> Value {
    app.get(&format!("/v1/transfers/{id}")).await.body["state"].clone()
}

#[tokio::test]
async fn a_transfer_that_the_bank_settles_is_posted() {
    let app = App::start().await;
    let (source, destination) = accounts(&app).await;
    let id = app.paid(&source, &destination, 300).await;
    assert_eq!(app.bank.settled().await, BTreeSet::from([id]));
    assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((-300, -300), (300, 300)));
    assert!(calls(&app, "instruct", "accepted").await + calls(&app, "instruct", "settled").await >= 1.0);
    app.assert_sound().await;
}

#[tokio::test]
async fn a_transfer_that_the_bank_refuses_fails_and_its_hold_is_released() {
    let app = App::start().await;
    let source = app.funded(500).await;
    let destination = app.open("EUR", false).await;
    app.bank.misbehave(json!({ "refused_percent": 100 })).await;

    let id = app.accepted(&source, &destination, 300).await;

    let failed = app.settled(&id).await;
    assert_eq!((&failed["state"], &failed["failure_reason"]), (&json!("failed"), &json!("refused_by_bank")));
    assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((500, 500), (0, 0)));
    app.assert_sound().await;
    let records = Kafka::read(app.topics.name("payments.events"), 2).await;
    let types: BTreeSet<_> = records.iter().map(|record| record.headers["event-type"].as_str()).collect();
    let expected = ["muster.payments.TransferFailed", "muster.payments.TransferSucceeded"];
    assert_eq!(types, BTreeSet::from(expected));
}

#[tokio::test]
async fn a_transfer_of_a_frozen_account_fails_and_the_bank_never_knows_it() {
    let app = App::start().await;
    let (source, destination) = accounts(&app).await;
    let stall = app.stall().await;
    let id = app.accepted(&source, &destination, 300).await;
    app.set_state(&destination, "frozen").await;
    stall.end().await;

    assert_eq!(app.settled(&id).await["failure_reason"], "account_frozen");
    assert_eq!(app.bank.status(&id).await, None);
    assert_eq!(app.balance(&source).await, (0, 0));
    app.assert_sound().await;
}

/// The bank has moved the money and withholds its answer, then it is down, and meanwhile both accounts are frozen.
#[tokio::test]
async fn what_the_bank_has_settled_is_posted_to_accounts_that_were_frozen_meanwhile() {
    let app = App::start().await;
    let (source, destination) = accounts(&app).await;
    app.bank.misbehave(json!({ "timeout_percent": 100 })).await;
    let id = app.accepted(&source, &destination, 300).await;
    wait_for("the bank to settle", SOON, async || {
        (app.bank.status(&id).await.as_deref() == Some("settled")).then_some(())
    })
    .await;
    app.bank.misbehave(json!({ "down": true })).await;
    for account in [&source, &destination] {
        assert_eq!(app.set_state(account, "frozen").await.body["state"], "frozen");
    }
    wait_for("the ledger to ask", SOON, async || (calls(&app, "poll", "unknown").await >= 2.0).then_some(()))
        .await;
    assert_eq!(state(&app, &id).await, "pending");
    assert_eq!(app.balance(&source).await, (0, -300), "the amount stays held");

    app.bank.behave().await;
    assert_eq!(app.settled(&id).await["state"], "succeeded");
    assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((-300, -300), (300, 300)));
    let unanswered = calls(&app, "instruct", "unknown").await;
    assert!((1.0..2.0).contains(&unanswered), "{unanswered} instructions without an answer");
    assert_eq!(app.bank.settled().await, BTreeSet::from([id]));
    app.assert_sound().await;
}

#[tokio::test]
async fn transfers_wait_for_a_bank_that_cannot_be_reached() {
    let (app, proxy) = with_proxy().await;
    let (source, destination) = accounts(&app).await;
    proxy.cut();
    let id = app.accepted(&source, &destination, 300).await;
    wait_for("repeated calls", SOON, async || {
        let n_calls = calls(&app, "instruct", "unknown").await + calls(&app, "poll", "unknown").await;
        (n_calls >= 3.0).then_some(())
    })
    .await;
    assert_eq!((state(&app, &id).await, app.balance(&source).await), (json!("pending"), (0, -300)));

    proxy.restore();
    assert_eq!(app.settled(&id).await["state"], "succeeded");
    assert!(calls(&app, "poll", "not_found").await >= 1.0, "no call had reached the bank");
    app.assert_sound().await;
}

#[tokio::test]
async fn room_for_what_the_bank_may_settle_is_reserved() {
    const MAX: i64 = 9_007_199_254_740_991;
    let (app, proxy) = with_proxy().await;
    let (source, destination) = accounts(&app).await;
    proxy.black_hole();
    let id = app.accepted(&source, &destination, MAX).await;
    let instructed = "SELECT count(*) FROM settlements WHERE instructed_at IS NOT NULL";
    wait_for("the instruction", SOON, async || (app.count(instructed).await == 1).then_some(())).await;

    let other = app.open("EUR", true).await;
    app.transfer(&other, &destination, 1).await.assert_error(409, "balance_limit", &["/destination"]);

    proxy.restore();
    assert_eq!(app.settled(&id).await["state"], "succeeded");
    assert_eq!(app.balance(&destination).await, (MAX, MAX));
    app.assert_sound().await;
}

#[tokio::test]
async fn no_transaction_is_open_while_the_bank_hangs() {
    let (app, proxy) = with_proxy().await;
    let (source, destination) = accounts(&app).await;
    proxy.black_hole();
    let transfers = [1, 2, 3].map(|amount| app.accepted(&source, &destination, amount));
    let transfers = join_all(transfers).await;
    // 1.5 s after the leases of 10 s began, in a call that ends after 3 s.
    let called = "SELECT count(*) FROM settlements WHERE lease_until BETWEEN now() + interval '7 s' AND now() + interval '8.5 s'";
    wait_for("calls without an answer", SOON, async || (app.count(called).await == 3).then_some(())).await;

    let open = "\
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < now() - interval '1 s'";
    assert_eq!(app.count(open).await, 0);

    proxy.restore();
    for transfer in &transfers {
        assert_eq!(app.settled(transfer).await["state"], "succeeded");
    }
    app.assert_sound().await;
}

#[tokio::test]
async fn two_replicas_do_what_the_bank_decided_also_when_one_is_killed() {
    let mut app = App::start().await;
    let (source, destination) = accounts(&app).await;
    let replica = app.replica().await;
    let misbehaviour = json!({ "refused_percent": 30, "timeout_percent": 10, "delay_max_ms": 500 });
    app.bank.misbehave(misbehaviour).await;
    let transfers = join_all((1..=30).map(|amount| app.accepted(&source, &destination, amount))).await;
    app.process.kill().await;

    let pending = "SELECT count(*) FROM transfers WHERE state = 'pending'";
    wait_for("all transfers to be settled", SOON, async || (app.count(pending).await == 0).then_some(()))
        .await;
    drop(replica);
    app.process.restart().await;
    let mut moved = 0;
    for (amount, id) in (1..).zip(&transfers) {
        let expected = if app.bank.status(id).await.as_deref() == Some("settled") {
            moved += amount;
            "succeeded"
        } else {
            "failed"
        };
        assert_eq!(state(&app, id).await, expected, "{id}");
    }
    assert_eq!(app.balance(&destination).await, (moved, moved));
    app.assert_sound().await;
}

/// Makes a transfer, and stops its process when it has the answer of the bank.
async fn frozen_with_an_answer(app: &mut App) -> String {
    let (source, destination) = accounts(app).await;
    app.arm("ledger.settlement.answered=freeze").await;
    let accepted = app.accepted(&source, &destination, 300);
    // The response may wait for the frozen process.
    drop(tokio::time::timeout(Duration::from_secs(2), accepted).await);
    destination
}

fn resume(app: &App) {
    kill(Pid::from_raw(app.process.pid().try_into().unwrap()), Signal::SIGCONT).unwrap();
}

#[tokio::test]
async fn an_attempt_that_has_lost_its_lease_does_not_settle() {
    let mut app = App::start().await;
    app.bank.behave().await;
    let destination = frozen_with_an_answer(&mut app).await;
    let _replica = app.replica().await;
    let succeeded = "SELECT count(*) FROM transfers WHERE state = 'succeeded'";
    wait_for("the transfer to be settled", SOON, async || (app.count(succeeded).await == 1).then_some(()))
        .await;

    resume(&app);
    let source = app.open("EUR", true).await;
    app.paid(&source, &destination, 1).await;
    assert_eq!(app.count("SELECT count(*) FROM postings").await, 4);
    assert_eq!(app.balance(&destination).await, (301, 301));
    app.assert_sound().await;
}

#[tokio::test]
async fn an_attempt_that_has_lost_its_lease_does_not_postpone() {
    let mut app = App::start().await;
    app.bank.misbehave(json!({ "delay_min_ms": 3_600_000, "delay_max_ms": 3_600_000 })).await;
    let destination = frozen_with_an_answer(&mut app).await;
    let _replica = app.replica().await;
    let next_ended = "\
WITH late AS (
    UPDATE settlements SET due_at = now() + interval '1 h', attempts = 50 WHERE fence >= 2 AND lease_until IS NULL RETURNING 1)
SELECT count(*) FROM late";
    wait_for("the next attempt to end", SOON, async || (app.count(next_ended).await == 1).then_some(()))
        .await;

    resume(&app);
    app.bank.behave().await;
    let source = app.open("EUR", true).await;
    app.paid(&source, &destination, 1).await;
    assert_eq!(app.count("SELECT count(*) FROM settlements WHERE attempts = 50").await, 1);
    app.assert_sound().await;
}
