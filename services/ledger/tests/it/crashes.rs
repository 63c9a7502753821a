//! SIGKILL between every two writes: accepted transfers are settled once, and a client can retry requests without a response.

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::Method;
use serde_json::Value;
use testkit::{Kafka, wait_for};

use crate::app::{App, SOON, new_key, send, transfer};

/// Sends a request until it is accepted, and returns the transfer.
async fn accepted(app: &App, path: &str, key: &str, body: Option<&Value>) -> Value {
    wait_for("the transfer to be accepted", SOON, async || {
        let request = app.request(Method::POST, path).header("Idempotency-Key", key);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let response = request.send().await.ok()?;
        (response.status() == 202).then_some(response)?.json().await.ok()
    })
    .await
}

/// Kills the service at a fail point while it makes and settles one transfer, restarts it, and checks that the amount has moved once.
async fn transfer_survives_death_at(point: &str) {
    let mut app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    app.arm(&format!("{point}=kill")).await;
    let body = transfer(&source, &destination, 300);
    // The response may be lost with the process; then the client retries with the same key.
    let request = app.request(Method::POST, "/v1/transfers").header("Idempotency-Key", "crash");
    drop(request.json(&body).send().await);
    app.restart_after_kill(point).await;

    let transfer = accepted(&app, "/v1/transfers", "crash", Some(&body)).await;
    let settled = app.settled(transfer["id"].as_str().unwrap()).await;

    assert_eq!(settled["state"], "succeeded", "{point}");
    assert_eq!(app.count("SELECT count(*) FROM transfers").await, 1, "{point}");
    assert_eq!(app.count("SELECT count(*) FROM postings").await, 2, "{point}");
    assert_eq!(
        app.bank.settled().await,
        BTreeSet::from([transfer["id"].as_str().unwrap().to_owned()]),
        "{point}"
    );
    assert_eq!(app.balance(&source).await, (-300, -300), "{point}");
    assert_eq!(app.balance(&destination).await, (300, 300), "{point}");
    app.assert_sound().await;
    // A duplicate event has the same id.
    let records = Kafka::read(app.topics.name("payments.events"), 1).await;
    let ids: BTreeSet<_> = records.iter().map(|record| &record.headers["event-id"]).collect();
    assert_eq!(ids.len(), 1, "{point}: {records:?}");
}

#[tokio::test]
async fn a_kill_while_a_transfer_is_accepted_loses_and_repeats_nothing() {
    let points = [
        "idempotency.claimed",
        "ledger.transfer.locked",
        "ledger.transfer.held",
        "ledger.transfer.inserted",
        "idempotency.before_store",
        "idempotency.before_commit",
        "idempotency.committed",
    ];
    join_all(points.map(transfer_survives_death_at)).await;
}

#[tokio::test]
async fn a_kill_while_a_transfer_is_settled_loses_and_repeats_nothing() {
    let points = [
        "ledger.settlement.claimed",
        "ledger.settlement.checked",
        "ledger.settlement.reserved",
        "ledger.settlement.leased",
        "ledger.settlement.answered",
        "ledger.settlement.locked",
        "ledger.settlement.posted",
        "ledger.settlement.balanced",
        "ledger.settlement.before_commit",
        "ledger.settlement.committed",
    ];
    join_all(points.map(transfer_survives_death_at)).await;
}

/// The same for the reversal of a transfer.
async fn reversal_survives_death_at(point: &str) {
    let mut app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let original = app.paid(&source, &destination, 300).await;
    app.arm(&format!("{point}=kill")).await;
    let path = format!("/v1/transfers/{original}/reversal");
    drop(app.request(Method::POST, &path).header("Idempotency-Key", "crash").send().await);
    app.restart_after_kill(point).await;

    let reversal = accepted(&app, &path, "crash", None).await;
    app.settled(reversal["id"].as_str().unwrap()).await;

    assert_eq!(app.settled(&original).await["state"], "reversed", "{point}");
    assert_eq!(app.count("SELECT count(*) FROM transfers").await, 2, "{point}");
    assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((0, 0), (0, 0)), "{point}");
    app.assert_sound().await;
}

#[tokio::test]
async fn a_kill_while_a_transfer_is_reversed_loses_and_repeats_nothing() {
    let points = [
        "ledger.transfer.inserted",
        "idempotency.committed",
        "ledger.settlement.posted",
        "ledger.settlement.before_commit",
        "ledger.settlement.committed",
    ];
    join_all(points.map(reversal_survives_death_at)).await;
}

#[tokio::test]
async fn a_kill_while_an_account_is_created_repeats_nothing() {
    let mut app = App::start().await;
    app.arm("ledger.account.inserted=kill").await;
    let body = serde_json::json!({ "kind": "customer", "currency": "EUR", "may_overdraw": false });
    let request = app.request(Method::POST, "/v1/accounts").header("Idempotency-Key", "crash");
    assert!(request.json(&body).send().await.is_err(), "the process died before it could answer");
    app.restart_after_kill("ledger.account.inserted").await;

    let request = app.request(Method::POST, "/v1/accounts").header("Idempotency-Key", "crash");
    assert_eq!(send(request.json(&body)).await.status, 201);
    assert_eq!(app.count("SELECT count(*) FROM accounts").await, 1);
}

#[tokio::test]
async fn another_replica_settles_the_transfers_of_a_killed_one() {
    let mut app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    app.arm("ledger.settlement.before_commit=kill").await;
    let body = transfer(&source, &destination, 300);
    let key = new_key();
    let request = app.request(Method::POST, "/v1/transfers").header("Idempotency-Key", &key);
    drop(request.json(&body).send().await);
    let status = app.process.wait_exit(SOON).await;
    assert!(!status.success(), "{status}");

    let _replica = app.replica().await;
    let succeeded = "SELECT count(*) FROM transfers WHERE state = 'succeeded'";
    wait_for("the transfer to be settled", SOON, async || (app.count(succeeded).await == 1).then_some(()))
        .await;
    app.assert_sound().await;
}
