//! Each misbehaviour, and the switch on the admin port.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    bank::{Bank, builder, send, terms, terms_with_webhook},
    receiver::{Receiver, Webhook},
};

fn types(webhooks: &[Webhook]) -> Vec<&str> {
    webhooks.iter().map(|webhook| webhook.body["type"].as_str().unwrap()).collect()
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_decision_is_delayed() {
    let bank = Bank::start().await;
    bank.misbehave(json!({"delay_min_ms": 400, "delay_max_ms": 400})).await;
    bank.put("t-1", &terms()).await;
    let decided = bank.decided("t-1").await;
    let delay = time(&decided["decided_at"]) - time(&decided["accepted_at"]);
    assert!(delay >= TimeDelta::milliseconds(400), "{delay}");
}

#[tokio::test]
async fn an_instruction_is_refused_with_a_reason() {
    let (bank, receiver) = (Bank::start().await, Receiver::start());
    bank.misbehave(json!({"refused_percent": 100})).await;
    bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    let refused = bank.decided("t-1").await;
    assert_eq!(refused["status"], "refused");
    let reason = refused["reason"].as_str().unwrap();
    assert!(["account_closed", "limit_exceeded", "suspected_fraud"].contains(&reason), "{reason}");

    let webhook = receiver.webhooks(1).await.remove(0);
    assert_eq!((&webhook.body["type"], &webhook.body["data"]), (&json!("instruction.refused"), &refused));
    let repeated = bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    assert_eq!((repeated.status.as_u16(), &repeated.body), (200, &refused));
    assert_eq!(bank.statement("").await["items"], json!([]));
}

#[tokio::test]
async fn a_put_that_is_not_answered_in_time_takes_effect() {
    let bank = Bank::start_with(|process| process.env("REQUEST_TIMEOUT_MS", "500")).await;
    bank.misbehave(json!({"timeout_percent": 100})).await;
    bank.put("t-1", &terms()).await.assert_error(503, "deadline_exceeded");
    assert_eq!(bank.decided("t-1").await["status"], "settled");
    assert_eq!(bank.put("t-1", &terms()).await.status, 200, "a retry is answered");
    assert_eq!(bank.metric("bank_misbehaviour_total{kind=\"timeout\"}").await, 1);
}

#[tokio::test]
async fn a_webhook_is_delivered_twice_with_one_id() {
    let (bank, receiver) = (Bank::start().await, Receiver::start());
    bank.misbehave(json!({"twice_percent": 100})).await;
    bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    let webhooks = receiver.webhooks(2).await;
    assert_eq!((&webhooks[0].id, &webhooks[0].raw), (&webhooks[1].id, &webhooks[1].raw));
    assert_eq!(types(&webhooks), ["instruction.settled"; 2]);
}

#[tokio::test]
async fn a_webhook_about_the_acceptance_comes_after_the_decision() {
    let (bank, receiver) = (Bank::start().await, Receiver::start());
    bank.misbehave(json!({"out_of_order_percent": 100, "delay_min_ms": 5, "delay_max_ms": 5})).await;
    bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    let webhooks = receiver.webhooks(2).await;
    assert_eq!(types(&webhooks), ["instruction.settled", "instruction.accepted"]);
    assert_ne!(webhooks[0].id, webhooks[1].id);
    assert!(time(&webhooks[0].body["timestamp"]) > time(&webhooks[1].body["timestamp"]), "{webhooks:?}");
    assert_eq!(webhooks[1].body["data"]["status"], "accepted");
}

#[tokio::test]
async fn a_contradictory_webhook_says_refused_while_the_poll_says_settled() {
    let (bank, receiver) = (Bank::start().await, Receiver::start());
    bank.misbehave(json!({"contradictory_percent": 100})).await;
    bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    let webhook = receiver.webhooks(1).await.remove(0);
    assert_eq!(
        (&webhook.body["type"], &webhook.body["data"]["status"]),
        (&json!("instruction.refused"), &json!("refused"))
    );
    assert_eq!(bank.decided("t-1").await["status"], "settled");
    assert_eq!(bank.statement("").await["items"][0]["id"], "t-1");
}

#[tokio::test]
async fn a_bank_that_is_down_answers_503_and_decides_meanwhile() {
    let (bank, receiver) = (Bank::start().await, Receiver::start());
    bank.misbehave(json!({"delay_min_ms": 500, "delay_max_ms": 500})).await;
    bank.put("t-1", &terms_with_webhook(&receiver.url())).await;
    bank.misbehave(json!({"down": true})).await;
    for (method, path) in [
        (Method::PUT, "/v1/instructions/t-2"),
        (Method::GET, "/v1/instructions/t-1"),
        (Method::GET, "/v1/statement"),
    ] {
        let answer = send(bank.request(method, path).json(&terms())).await;
        answer.assert_error(503, "unavailable");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1, "{answer:?}");
    }
    assert_eq!(types(&receiver.webhooks(1).await), ["instruction.settled"]);
    assert_eq!(bank.metric("bank_misbehaviour_total{kind=\"down\"}").await, 3);

    bank.misbehave(json!({})).await;
    assert_eq!(bank.decided("t-1").await["status"], "settled");
    bank.get("t-2").await.assert_error(404, "not_found");
}

/// Puts 40 instructions, the last first if `is_reversed`, and returns which are refused.
async fn refused_of_a_run(seed: u32, is_reversed: bool) -> Vec<usize> {
    let bank = Bank::start_with(|process| {
        process.env("BANK_SEED", seed.to_string()).env("BANK_REFUSED_PERCENT", "50")
    })
    .await;
    let mut order: Vec<usize> = (0..40).collect();
    if is_reversed {
        order.reverse();
    }
    for n in order {
        bank.put(&format!("t-{n}"), &terms()).await;
    }
    let decided = join_all((0..40).map(|n| {
        let bank = &bank;
        async move { bank.decided(&format!("t-{n}")).await["status"] == "refused" }
    }));
    let decided = decided.await;
    decided.iter().enumerate().filter(|(_, is_refused)| **is_refused).map(|(n, _)| n).collect()
}

#[tokio::test]
async fn the_same_seed_repeats_a_run_in_any_order_of_the_requests() {
    let (first, second, other) =
        tokio::join!(refused_of_a_run(7, false), refused_of_a_run(7, true), refused_of_a_run(8, false));
    assert_eq!(first, second);
    assert_ne!(first, other);
}

#[tokio::test]
async fn the_misbehaviour_is_read_and_replaced_on_the_admin_port() {
    let flags = builder().env("BANK_TWICE_PERCENT", "7").env("BANK_DOWN", "true").env("BANK_SEED", "9");
    let bank = Bank { process: flags.spawn().await, http: testkit::client() };
    let url = bank.misbehaviour_url();
    let good = json!({
        "seed": 9, "delay_min_ms": 0, "delay_max_ms": 0, "refused_percent": 0, "timeout_percent": 0,
        "twice_percent": 7, "out_of_order_percent": 0, "contradictory_percent": 0, "down": true,
    });
    assert_eq!(send(bank.http.get(&url)).await.body, good);

    for (wrong, pointers) in [
        (json!({"twice_percent": 101, "seed": -1, "down": "yes"}), &["/seed", "/twice_percent", "/down"][..]),
        (json!({"delay_min_ms": 2000, "delay_max_ms": 1999}), &["/delay_min_ms"]),
        (json!({"delay_max_ms": 3_600_001}), &["/delay_max_ms"]),
        (json!({"refused": 1}), &["/refused"]),
    ] {
        let answer = send(bank.http.put(&url).json(&wrong)).await;
        answer.assert_error(400, "invalid_request");
        let details = answer.body["details"].as_array().unwrap().iter();
        assert!(
            details.map(|detail| detail["pointer"].as_str().unwrap()).eq(pointers.iter().copied()),
            "{answer:?}"
        );
        assert_eq!(answer.body["request_id"], answer.header("x-request-id"), "{answer:?}");
    }
    assert_eq!(send(bank.http.get(&url)).await.body, good, "nothing has changed");

    let replaced = send(bank.http.put(&url).json(&json!({"refused_percent": 20}))).await;
    assert_eq!(replaced.status, 200);
    assert_eq!(
        (&replaced.body["refused_percent"], &replaced.body["twice_percent"], &replaced.body["delay_max_ms"]),
        (&json!(20), &json!(0), &json!(1_000))
    );
    assert_eq!(send(bank.http.get(&url)).await.body, replaced.body);
    bank.get("t-1").await.assert_error(404, "not_found");
}

#[tokio::test]
async fn a_change_does_not_apply_to_accepted_instructions() {
    let bank = Bank::start().await;
    bank.misbehave(json!({"delay_min_ms": 300, "delay_max_ms": 300})).await;
    bank.put("t-1", &terms()).await;
    bank.misbehave(json!({"refused_percent": 100})).await;
    assert_eq!(bank.decided("t-1").await["status"], "settled");
}
