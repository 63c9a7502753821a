//! The API: instructions and the statement.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::bank::{Bank, send, terms};

#[tokio::test]
async fn an_instruction_is_accepted_and_later_settled() {
    let bank = Bank::start().await;
    bank.misbehave(json!({"delay_min_ms": 300, "delay_max_ms": 300})).await;
    let accepted = bank.put("t-1", &terms()).await;
    assert_eq!((accepted.status.as_u16(), accepted.header("location")), (202, "/v1/instructions/t-1"));
    assert_eq!((&accepted.body["status"], &accepted.body["decided_at"]), (&json!("accepted"), &Value::Null));

    let settled = bank.decided("t-1").await;
    let expected = json!({
        "id": "t-1", "status": "settled", "reason": null, "amount_minor": 1250, "currency": "EUR",
        "source": "acc-1", "destination": "acc-2",
        "accepted_at": accepted.body["accepted_at"], "decided_at": settled["decided_at"],
    });
    assert_eq!(settled, expected);
    let repeated = bank.put("t-1", &terms()).await;
    assert_eq!((repeated.status.as_u16(), &repeated.body), (200, &settled));
}

#[tokio::test]
async fn concurrent_puts_of_one_instruction_settle_it_once() {
    let bank = Bank::start().await;
    let puts = join_all((0..20).map(|_| async { bank.put("t-1", &terms()).await })).await;
    assert!(puts.iter().all(|put| put.status.is_success()), "{puts:?}");
    bank.decided("t-1").await;
    assert_eq!(bank.statement("").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_id_with_another_body_is_a_conflict() {
    let bank = Bank::start().await;
    bank.put("t-1", &terms()).await;
    for (member, other) in [
        ("amount_minor", json!(1251)),
        ("currency", json!("CHF")),
        ("source", json!("acc-3")),
        ("destination", json!("acc-3")),
        ("webhook_url", json!("http://127.0.0.1:1/")),
    ] {
        let mut body = terms();
        body[member] = other;
        bank.put("t-1", &body).await.assert_error(409, "conflict");
    }
    assert_eq!(bank.decided("t-1").await["amount_minor"], 1250);
    // The order of members and the spelling of a number make no other body.
    let same = r#"{"destination": "acc-2", "source": "acc-1", "currency": "EUR", "amount_minor": 1.25e3}"#;
    let request =
        bank.request(Method::PUT, "/v1/instructions/t-1").header("content-type", "application/json");
    assert_eq!(send(request.body(same)).await.status, 200);
}

#[tokio::test]
async fn an_unknown_instruction_is_a_404() {
    let bank = Bank::start().await;
    for id in ["unknown", "not.an.id", &"x".repeat(65)] {
        bank.get(id).await.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn a_request_without_the_key_is_a_401_and_has_no_effect() {
    let bank = Bank::start().await;
    let operations = [
        (Method::PUT, "/v1/instructions/t-1"),
        (Method::GET, "/v1/instructions/t-1"),
        (Method::GET, "/v1/statement"),
    ];
    for (method, path) in operations {
        for credential in [None, Some("Bearer another-key-than-this"), Some("Bearer"), Some("Basic a2V5")] {
            let url = format!("{}{path}", bank.process.http_url());
            let request = bank.http.request(method.clone(), url).json(&terms());
            let request =
                credential.into_iter().fold(request, |request, value| request.header("authorization", value));
            let answer = send(request).await;
            answer.assert_error(401, "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"bank\"", "{method} {path}");
        }
    }
    bank.get("t-1").await.assert_error(404, "not_found");
}

#[tokio::test]
async fn one_error_names_every_fault_of_an_instruction() {
    let bank = Bank::start().await;
    let body = json!({
        "amount_minor": 0, "currency": "XXX", "source": "", "webhook_url": null, "reference": "r",
    });
    let answer = bank.put("t-1", &body).await;
    answer.assert_error(400, "invalid_request");
    let details = answer.body["details"].as_array().unwrap();
    let pointers: Vec<_> = details.iter().map(|detail| detail["pointer"].as_str().unwrap()).collect();
    assert_eq!(
        pointers,
        ["/amount_minor", "/currency", "/source", "/destination", "/webhook_url", "/reference"]
    );

    let answer = bank.put("not.an.id", &terms()).await;
    answer.assert_error(400, "invalid_request");
    assert_eq!(answer.body["details"][0]["pointer"], "/path/id");
}

#[tokio::test]
async fn the_statement_lists_each_settled_instruction_once_in_the_order_of_settlement() {
    const INSTRUCTIONS: usize = 130;
    let bank = Bank::start().await;
    bank.misbehave(json!({"delay_max_ms": 300, "refused_percent": 10})).await;
    let ids: Vec<_> = (0..INSTRUCTIONS).map(|n| format!("t-{n}")).collect();
    let puts = join_all(ids.iter().map(|id| async { bank.put(id, &terms()).await })).await;
    assert!(puts.iter().all(|put| put.status.is_success()), "{puts:?}");

    // The statement is read while instructions are settled, as a client does.
    let mut read = Vec::new();
    loop {
        let n_undecided = INSTRUCTIONS
            - usize::try_from(bank.metric("bank_instructions_total{status=\"settled\"}").await).unwrap()
            - usize::try_from(bank.metric("bank_instructions_total{status=\"refused\"}").await).unwrap();
        let page = bank.statement(&format!("?after={}", read.len())).await;
        let items = page["items"].as_array().unwrap();
        read.extend(items.iter().cloned());
        if n_undecided == 0 && page["next"].is_null() {
            break;
        }
    }

    let numbers: Vec<_> = read.iter().map(|entry| entry["number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
    let mut in_statement: Vec<_> = read.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert!(read.iter().map(|entry| entry["settled_at"].as_str().unwrap()).is_sorted());
    in_statement.sort_unstable();
    let mut settled = Vec::new();
    for id in &ids {
        if bank.decided(id).await["status"] == "settled" {
            settled.push(id.as_str());
        }
    }
    settled.sort_unstable();
    assert_eq!(in_statement, settled);
    assert!(settled.len() < INSTRUCTIONS, "some are refused");
}

#[tokio::test]
async fn a_page_of_the_statement_leads_to_the_next() {
    let bank = Bank::start().await;
    join_all((0..101).map(|n| {
        let id = format!("t-{n}");
        let bank = &bank;
        async move {
            bank.put(&id, &terms()).await;
            bank.decided(&id).await
        }
    }))
    .await;
    let first = bank.statement("").await;
    assert_eq!((first["items"].as_array().unwrap().len(), &first["next"]), (100, &json!(100)));
    assert_eq!(first, bank.statement("?after=0").await);
    let last = bank.statement("?after=100").await;
    assert_eq!((&last["items"][0]["number"], &last["next"]), (&json!(101), &Value::Null));
    assert_eq!(bank.statement("?after=101").await, json!({"items": [], "next": null}));
    for query in ["?after=-1", "?after=x", "?before=1"] {
        let path = format!("/v1/statement{query}");
        send(bank.request(Method::GET, &path)).await.assert_error(400, "invalid_request");
    }
}
