//! Conditional writes: `If-Match` and `If-None-Match`.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use crate::service::{Answer, Service, send};

/// Puts a link under these conditions.
async fn put_if(service: &Service, code: &str, target: &str, conditions: &[(&str, &str)]) -> Answer {
    put_as(service, "acme", code, target, conditions).await
}

async fn put_as(
    service: &Service,
    tenant: &str,
    code: &str,
    target: &str,
    conditions: &[(&str, &str)],
) -> Answer {
    let request = service
        .request(reqwest::Method::PUT, &format!("/v1/links/{code}"))
        .bearer_auth(service.keys().token(tenant, &["links:write"]))
        .json(&json!({ "target": target }));
    send(conditions.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

async fn tag(service: &Service, code: &str) -> String {
    service.get("acme", code).await.header("etag").to_owned()
}

#[tokio::test]
async fn if_match_changes_only_the_version_that_the_client_knows() {
    let service = Service::start().await;
    service.put("acme", "seen-link", "https://one.example/").await;
    let seen = tag(&service, "seen-link").await;

    let changed = put_if(&service, "seen-link", "https://two.example/", &[("If-Match", &seen)]).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    let newer = tag(&service, "seen-link").await;

    let weak = format!("W/{newer}");
    for condition in
        [("If-Match", seen.as_str()), ("If-Match", &weak), ("If-None-Match", &newer), ("If-None-Match", "*")]
    {
        let refused = put_if(&service, "seen-link", "https://three.example/", &[condition]).await;
        refused.assert_error(412, "precondition_failed");
    }
    assert_eq!(service.get("acme", "seen-link").await.body["target"], "https://two.example/");
    assert_eq!(tag(&service, "seen-link").await, newer, "nothing was written");

    for condition in [("If-Match", "*"), ("If-None-Match", seen.as_str())] {
        let target = format!("https://{}.example/", condition.0.to_lowercase());
        let changed = put_if(&service, "seen-link", &target, &[condition]).await;
        assert_eq!(
            (changed.status, &changed.body["target"]),
            (StatusCode::OK, &json!(target)),
            "{condition:?}"
        );
    }
}

#[tokio::test]
async fn if_none_match_creates_a_link_only_if_it_does_not_exist() {
    let service = Service::start().await;
    for condition in [("If-Match", "*"), ("If-Match", "\"new-link-1\"")] {
        let refused = put_if(&service, "new-link", "https://one.example/", &[condition]).await;
        refused.assert_error(412, "precondition_failed");
    }
    service.get("acme", "new-link").await.assert_error(404, "not_found");

    let made = put_if(&service, "new-link", "https://one.example/", &[("If-None-Match", "*")]).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(made.header("location"), "/v1/links/new-link");
    // A retry too: it cannot be distinguished from the request of another client.
    for target in ["https://one.example/", "https://two.example/"] {
        let again = put_if(&service, "new-link", target, &[("If-None-Match", "*")]).await;
        again.assert_error(412, "precondition_failed");
    }
    assert_eq!(service.follow("new-link").await.header("location"), "https://one.example/");
}

#[tokio::test]
async fn a_conditional_change_can_be_retried_after_a_lost_response() {
    let service = Service::start().await;
    service.put("acme", "lost-answer", "https://one.example/").await;
    let seen = tag(&service, "lost-answer").await;
    let send = async || put_if(&service, "lost-answer", "https://two.example/", &[("If-Match", &seen)]).await;

    let (first, repeated) = (send().await, send().await);
    assert_eq!((repeated.status, &repeated.body), (StatusCode::OK, &first.body), "{repeated:?}");
    assert!(tag(&service, "lost-answer").await.ends_with("-2\""), "written once");
}

#[tokio::test]
async fn conditions_are_evaluated_after_all_other_checks() {
    let service = Service::start().await;
    let stale = [("If-Match", "\"wanted-9\"")];
    service.put("rival", "wanted", "https://rival.example/").await;
    put_if(&service, "wanted", "https://acme.example/", &stale).await.assert_error(409, "conflict");
    put_if(&service, "wanted", "https://acme.example/", &[("If-None-Match", "*")])
        .await
        .assert_error(409, "conflict");
    put_if(&service, "wanted", "nonsense", &stale).await.assert_error(400, "invalid_request");

    for name in ["If-Match", "If-None-Match"] {
        let refused =
            put_as(&service, "rival", "wanted", "https://two.example/", &[(name, "wanted-1")]).await;
        refused.assert_error(400, "invalid_request");
        assert_eq!(refused.body["details"][0]["pointer"], format!("/header/{name}"));
    }
    assert_eq!(service.follow("wanted").await.header("location"), "https://rival.example/");
}

#[tokio::test]
async fn one_of_many_concurrent_conditional_requests_succeeds() {
    let service = Service::start_with_long_timeouts().await;
    service.put("acme", "race-to-change", "https://old.example/").await;
    let seen = tag(&service, "race-to-change").await;
    for (code, condition, won) in [
        ("race-to-change", ("If-Match", seen.as_str()), StatusCode::OK),
        ("race-to-make", ("If-None-Match", "*"), StatusCode::CREATED),
    ] {
        let targets: Vec<_> = (0..20).map(|n| format!("https://{n}.example/")).collect();
        let answers = join_all(
            targets.iter().map(|target| put_if(&service, code, target, std::slice::from_ref(&condition))),
        )
        .await;
        let winners: Vec<_> = answers.iter().filter(|answer| answer.status == won).collect();
        let losers = answers.iter().filter(|answer| answer.status == StatusCode::PRECONDITION_FAILED).count();
        assert_eq!((winners.len(), losers), (1, 19), "{answers:?}");
        assert_eq!(service.follow(code).await.header("location"), winners[0].body["target"]);
    }
}
