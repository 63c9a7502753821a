//! Webhooks: signed, retried, abandoned at last.

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use testkit::{FaultProxy, wait_for};
use webhook::Keys;

use crate::{
    bank::{Bank, SOON, WEBHOOK_KEY, terms_with_webhook},
    receiver::Receiver,
};

const OTHER_KEY: &str = "whsec_b3RoZXIta2V5LW9mLXRoaXJ0eS10d28tYnl0ZXMhIQ==";

/// Waits for the webhook of a new instruction: everything that was to be sent at once before is sent then.
async fn marker(bank: &Bank, receiver: &Receiver, n_before: usize) {
    bank.put("marker", &terms_with_webhook(&receiver.url())).await;
    let webhooks = receiver.webhooks(n_before + 1).await;
    assert_eq!(webhooks[n_before].id, "marker_decision", "{webhooks:?}");
}

#[tokio::test]
async fn a_decision_is_announced_by_a_signed_webhook() {
    let (bank, receiver) = (Bank::start().await, Receiver::start());
    bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    let webhook = receiver.webhooks(1).await.remove(0);
    let settled = bank.decided("t-1").await;
    assert_eq!(webhook.id, "t-1_decision");
    assert_eq!(
        webhook.body,
        json!({"type": "instruction.settled", "timestamp": settled["decided_at"], "data": settled})
    );
}

#[tokio::test]
async fn a_webhook_has_a_signature_by_each_key() {
    let keys = format!("{OTHER_KEY},{WEBHOOK_KEY}");
    let bank = Bank::start_with(|process| process.env("BANK_WEBHOOK_KEYS", keys)).await;
    let receiver = Receiver::start();
    bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    // The receiver itself verifies it with the second key.
    let webhook = receiver.webhooks(1).await.remove(0);
    let other = Keys::parse(OTHER_KEY).unwrap();
    assert_eq!(other.verify(&webhook.headers(), &webhook.raw, webhook.at), Ok(()));
}

#[tokio::test]
async fn a_webhook_is_retried_with_growing_pauses_until_it_is_acknowledged() {
    let bank = Bank::start().await;
    let receiver = Receiver::answering(&[500, 302, 404]);
    bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    let attempts = receiver.webhooks(4).await;
    assert!(attempts.iter().all(|attempt| attempt.id == "t-1_decision" && attempt.raw == attempts[0].raw));
    let pauses: Vec<_> = attempts.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    for (pause, shortest) in pauses.iter().zip([250, 500, 1_000]) {
        assert!(*pause >= TimeDelta::milliseconds(shortest), "{pauses:?}");
    }
    marker(&bank, &receiver, 4).await;
}

#[tokio::test]
async fn a_receiver_that_is_down_gets_its_webhook_when_it_is_back() {
    let (bank, receiver) = (Bank::start().await, Receiver::start());
    let proxy = FaultProxy::start(&receiver.address).await;
    proxy.cut();
    bank.put("t-1", &terms_with_webhook(&format!("http://{}/webhooks", proxy.addr()))).await;
    wait_for("a failed attempt", SOON, async || {
        (bank.metric("bank_webhooks_total{outcome=\"failed\"}").await > 0).then_some(())
    })
    .await;
    proxy.restore();
    assert_eq!(receiver.webhooks(1).await[0].id, "t-1_decision");
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_delays_no_other() {
    let (bank, receiver) = (Bank::start().await, Receiver::start());
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    bank.put("silent", &terms_with_webhook(&format!("http://{}/", silent.local_addr().unwrap()))).await;
    let (_connection, _) = silent.accept().await.unwrap();
    bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    receiver.webhooks(1).await;
    assert_eq!(bank.metric("bank_webhooks_total{outcome=\"failed\"}").await, 0, "the other still waits");
}

#[tokio::test]
async fn webhooks_are_abandoned_when_their_budget_is_used_up() {
    let mut bank = Bank::start_with(|process| process.env("BANK_WEBHOOK_BUDGET_S", "1")).await;
    let receiver = Receiver::answering(&[503; 100]);
    bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    wait_for("the end of the budget", SOON, async || {
        (bank.metric("bank_webhooks_total{outcome=\"abandoned\"}").await == 1).then_some(())
    })
    .await;
    let attempts = receiver.webhooks(2).await;
    let decided_at: DateTime<chrono::Utc> =
        bank.decided("t-1").await["decided_at"].as_str().unwrap().parse().unwrap();
    assert!(attempts.iter().all(|attempt| attempt.at < decided_at + TimeDelta::seconds(2)), "{attempts:?}");

    bank.process.restart().await;
    marker(&bank, &receiver, attempts.len()).await;
    assert_eq!(bank.decided("t-1").await["status"], Value::from("settled"), "the decision stays");
}

#[tokio::test]
async fn an_acknowledged_webhook_is_not_sent_again_after_a_restart() {
    let (mut bank, receiver) = (Bank::start().await, Receiver::start());
    bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    receiver.webhooks(1).await;
    assert!(bank.process.terminate().await.success());
    bank.process.restart().await;
    marker(&bank, &receiver, 1).await;
}
