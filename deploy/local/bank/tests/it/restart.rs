//! SIGKILL at each step: what was answered stays, and what was begun is finished.

use serde_json::json;

use crate::{
    bank::{Bank, SOON, terms, terms_with_webhook},
    receiver::Receiver,
};

#[tokio::test]
async fn everything_that_was_answered_survives_a_kill() {
    let mut bank = Bank::start().await;
    bank.put("settled", &terms()).await;
    let settled = bank.decided("settled").await;
    bank.misbehave(json!({"refused_percent": 100})).await;
    bank.put("refused", &terms()).await;
    let refused = bank.decided("refused").await;
    bank.misbehave(json!({"delay_min_ms": 3_600_000, "delay_max_ms": 3_600_000})).await;
    let undecided = bank.put("undecided", &terms()).await;
    bank.misbehave(json!({"delay_min_ms": 2_000, "delay_max_ms": 2_000})).await;
    bank.put("soon", &terms()).await;
    let statement = bank.statement("").await;

    bank.process.kill().await;
    bank.process.restart().await;

    assert_eq!(bank.get("settled").await.body, settled);
    assert_eq!(bank.get("refused").await.body, refused);
    assert_eq!(bank.get("undecided").await.body, undecided.body);
    assert_eq!(statement["items"].as_array().unwrap().len(), 1);
    assert_eq!(bank.statement("").await["items"][0], statement["items"][0]);
    assert_eq!(bank.decided("soon").await["status"], "settled");
    assert_eq!(bank.statement("?after=1").await["items"][0]["id"], "soon");
    let mut other = terms();
    other["amount_minor"] = 1.into();
    bank.put("settled", &other).await.assert_error(409, "conflict");
}

/// The journal is written three times in the life of an instruction: acceptance, decision, acknowledged webhook.
#[tokio::test]
async fn a_kill_at_any_step_loses_nothing_and_the_instruction_is_finished() {
    let steps = ["journal.begun", "journal.written", "journal.synced"];
    let steps = steps.into_iter().flat_map(|point| (1..=3).map(move |nth| format!("{point}=kill@{nth}")));
    for step in steps.chain(["webhooks.acknowledged=kill".to_owned()]) {
        // The decision comes so late that it is not written together with the acceptance.
        let mut bank = Bank::start_with(|process| {
            let delayed = process.env("BANK_DELAY_MIN_MS", "500").env("BANK_DELAY_MAX_MS", "500");
            delayed.env("MUSTER_FAIL_POINTS", &step)
        })
        .await;
        let receiver = Receiver::start();
        let terms = terms_with_webhook(&receiver.url());
        let was_answered = bank.put_request("t-1", &terms).send().await.is_ok_and(|put| put.status() == 202);
        bank.process.wait_exit(SOON).await;

        bank.process.remove_env("MUSTER_FAIL_POINTS");
        bank.process.restart().await;
        assert!(!was_answered || bank.get("t-1").await.status == 200, "{step}: what was answered is known");
        let repeated = bank.put("t-1", &terms).await;
        assert!(repeated.status.is_success(), "{step}: {repeated:?}");
        let settled = bank.decided("t-1").await;
        assert_eq!(settled["status"], "settled", "{step}");
        let webhooks = receiver.webhooks(1).await;
        assert!(webhooks.iter().all(|webhook| webhook.body["data"] == settled), "{step}: {webhooks:?}");
        assert_eq!(bank.statement("").await["items"].as_array().unwrap().len(), 1, "{step}");
    }
}

#[tokio::test]
async fn a_webhook_is_sent_again_when_its_acknowledgement_was_not_recorded() {
    let kill = "webhooks.acknowledged=kill";
    let mut bank = Bank::start_with(|process| process.env("MUSTER_FAIL_POINTS", kill)).await;
    let receiver = Receiver::start();
    // The bank may die before it answers.
    drop(bank.put_request("t-1", &terms_with_webhook(&receiver.url())).send().await);
    receiver.webhooks(1).await;
    bank.process.wait_exit(SOON).await;
    bank.process.remove_env("MUSTER_FAIL_POINTS");
    bank.process.restart().await;
    let webhooks = receiver.webhooks(2).await;
    assert_eq!((&webhooks[0].id, &webhooks[0].raw), (&webhooks[1].id, &webhooks[1].raw));
}
