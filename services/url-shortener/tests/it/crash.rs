//! SIGKILL at critical moments: acknowledged links exist, and a retry gets its response.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::service::Service;

#[tokio::test]
async fn links_survive_a_kill() {
    let mut service = Service::start().await;
    let mut answers = Vec::new();
    for n in 0..10 {
        answers.push(service.put("acme", &format!("link-{n}"), &format!("https://example.com/{n}")).await);
    }

    service.process.kill().await;
    service.process.restart().await;

    for (n, put) in answers.iter().enumerate() {
        assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
        assert_eq!(service.get("acme", &format!("link-{n}")).await.body, put.body);
    }
}

#[tokio::test]
async fn a_put_can_be_retried_after_a_kill_behind_its_commit() {
    let mut service = Service::start().await;
    service.process.set_env("MUSTER_FAIL_POINTS", "links.committed=kill");
    service.process.restart().await;

    let request = service.put_request("repeated").json(&json!({"target": "https://example.com/"}));
    assert!(request.send().await.is_err(), "the process died before it could answer");
    service.process.wait_exit(Duration::from_secs(5)).await;

    service.process.remove_env("MUSTER_FAIL_POINTS");
    service.process.restart().await;
    let repeated = service.put("acme", "repeated", "https://example.com/").await;
    assert_eq!(repeated.status, StatusCode::OK, "it was there: {repeated:?}");
    assert_eq!(repeated.body["created_at"], repeated.body["updated_at"]);
}

#[tokio::test]
async fn a_post_can_be_retried_after_a_kill_and_creates_one_link() {
    for point in [
        "idempotency.locked",
        "idempotency.claimed",
        "links.inserted",
        "idempotency.before_store",
        "idempotency.before_commit",
        "idempotency.committed",
    ] {
        let mut service = Service::start().await;
        service.process.set_env("MUSTER_FAIL_POINTS", format!("{point}=kill"));
        service.process.restart().await;
        let request = service.post_request("repeated", "https://example.com/");
        assert!(request.send().await.is_err(), "{point}: the process died before it could answer");
        service.process.wait_exit(Duration::from_secs(5)).await;

        service.process.remove_env("MUSTER_FAIL_POINTS");
        service.process.restart().await;
        let repeated = service.post("repeated", "https://example.com/").await;
        assert_eq!(repeated.status, StatusCode::CREATED, "{point}: {repeated:?}");
        assert_eq!(service.count_links().await, 1, "{point}");
    }
}
