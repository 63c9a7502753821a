//! Webhooks of the bank: a hint to poll, which decides nothing.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::json;
use testkit::{FaultProxy, client, wait_for};
use uuid::Uuid;
use webhook::Keys;

use crate::{
    app::{Answer, App, SOON, send},
    bank::{Bank, WEBHOOK_KEY},
};

const PATH: &str = "/v1/bank/notifications";

/// Sends a webhook with these headers.
async fn deliver(app: &App, headers: &[(&'static str, String)], body: String) -> Answer {
    let mut request = client().post(format!("{}{PATH}", app.process.http_url()));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    send(request.header("content-type", "application/json").body(body)).await
}

/// A webhook of the bank about a transfer.
fn refusal(id: &str) -> String {
    json!({ "type": "instruction.refused", "data": { "id": id, "status": "refused" } }).to_string()
}

fn signed(body: &str) -> [(&'static str, String); 3] {
    Keys::parse(WEBHOOK_KEY).unwrap().sign("webhook-1", Utc::now(), body.as_bytes())
}

/// A ledger whose bank sends it webhooks.
async fn with_webhooks() -> App {
    let mut app = App::start().await;
    let url = app.process.http_url();
    app.process.set_env("HTTP_ADDR", url.replace("http://", ""));
    app.process.set_env("LEDGER_WEBHOOK_URL", format!("{url}{PATH}"));
    app.process.restart().await;
    app
}

/// A ledger with a transfer that the bank does not know yet, and whose next poll is due in an hour.
async fn with_late_poll() -> (App, FaultProxy, String) {
    let bank = Bank::start().await;
    let proxy = FaultProxy::start(bank.addr()).await;
    let url = format!("http://{}", proxy.addr());
    let app = App::start_at(bank, async |_, service| service.env("LEDGER_BANK_URL", url)).await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    proxy.cut();
    let id = app.accepted(&source, &destination, 300).await;
    let late = "\
WITH late AS (UPDATE settlements SET due_at = now() + interval '1 h' WHERE instructed_at IS NOT NULL AND lease_until IS NULL RETURNING 1)
SELECT count(*) FROM late";
    wait_for("an attempt to end", SOON, async || (app.count(late).await == 1).then_some(())).await;
    proxy.restore();
    (app, proxy, id)
}

async fn delivered(app: &App) -> u64 {
    let url = format!("{}/metrics", app.bank.0.admin_url());
    let text = client().get(url).send().await.unwrap().text().await.unwrap();
    let series = "bank_webhooks_total{outcome=\"delivered\"} ";
    text.lines().find_map(|line| line.strip_prefix(series)?.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_webhook_wakes_the_poll_before_it_is_due() {
    let (app, _proxy, id) = with_late_poll().await;
    let unchanged = app.get(&format!("/v1/transfers/{id}")).await;
    assert_eq!(unchanged.body["state"], "pending");

    // It says the opposite of what the bank decides.
    let body = refusal(&id);
    let answer = deliver(&app, &signed(&body), body).await;

    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    assert_eq!(app.settled(&id).await["state"], "succeeded");
    app.assert_sound().await;
}

#[tokio::test]
async fn a_webhook_during_a_call_is_not_lost() {
    let (app, proxy, id) = with_late_poll().await;
    app.bank.misbehave(json!({ "delay_min_ms": 3_600_000, "delay_max_ms": 3_600_000 })).await;
    proxy.black_hole();
    // The pause after the attempt is 15 s at least.
    app.count("WITH due AS (UPDATE settlements SET attempts = 20, due_at = now() RETURNING 1) SELECT count(*) FROM due").await;
    let called = "SELECT count(*) FROM settlements WHERE lease_until > now()";
    wait_for("a call without an answer", SOON, async || (app.count(called).await == 1).then_some(())).await;

    let body = refusal(&id);
    assert_eq!(deliver(&app, &signed(&body), body).await.status, StatusCode::NO_CONTENT);
    proxy.restore();

    let again = "SELECT count(*) FROM settlements WHERE attempts = 22";
    let before_the_pause = Duration::from_secs(12);
    wait_for("another attempt", before_the_pause, async || (app.count(again).await == 1).then_some(())).await;
}

#[tokio::test]
async fn the_poll_wins_against_webhooks_of_the_bank_that_contradict_it() {
    let app = with_webhooks().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    app.bank.misbehave(json!({ "contradictory_percent": 100, "twice_percent": 100 })).await;

    app.paid(&source, &destination, 300).await;

    wait_for("both webhooks", SOON, async || (delivered(&app).await >= 2).then_some(())).await;
    assert_eq!(app.balance(&destination).await, (300, 300));
    assert_eq!(app.count("SELECT count(*) FROM postings").await, 2);
    app.assert_sound().await;
}

#[tokio::test]
async fn a_webhook_that_the_bank_has_not_signed_is_refused_and_wakes_nothing() {
    let (app, _proxy, id) = with_late_poll().await;
    let body = refusal(&id);
    let other = Keys::parse("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    let old = Utc::now() - TimeDelta::minutes(6);
    for (headers, body) in [
        (other.sign("webhook-1", Utc::now(), body.as_bytes()).to_vec(), body.clone()),
        (Keys::parse(WEBHOOK_KEY).unwrap().sign("webhook-1", old, body.as_bytes()).to_vec(), body.clone()),
        (signed(&body).to_vec(), refusal(&Uuid::new_v4().to_string())),
        (signed(&body)[..2].to_vec(), body.clone()),
        (vec![], body.clone()),
    ] {
        let answer = deliver(&app, &headers, body).await;
        answer.assert_error(401, "unauthenticated", &[]);
        assert!(!answer.header("www-authenticate").is_empty(), "{answer:?}");
    }
    let waiting = "SELECT count(*) FROM settlements WHERE due_at > now() + interval '30 min'";
    assert_eq!(app.count(waiting).await, 1);
}

#[tokio::test]
async fn a_webhook_about_a_decided_or_an_unknown_transfer_changes_nothing() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let id = app.paid(&source, &destination, 300).await;
    let path = format!("/v1/transfers/{id}");
    let settled = app.get(&path).await.body;

    let bodies =
        [refusal(&id), refusal(&id), refusal(&Uuid::new_v4().to_string()), refusal("t-1"), "[]".into()];
    for body in bodies {
        let answer = deliver(&app, &signed(&body), body.clone()).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::NO_CONTENT, &json!(null)), "{body}");
    }

    assert_eq!(app.get(&path).await.body, settled);
    assert_eq!(app.count("SELECT count(*) FROM settlements").await, 0);
    app.assert_sound().await;
}

#[tokio::test]
async fn a_webhook_that_is_too_large_is_refused() {
    let app = App::start().await;
    let body = format!("\"{}\"", "x".repeat(64 * 1024));
    deliver(&app, &signed(&body), body).await.assert_error(413, "payload_too_large", &[]);
}
