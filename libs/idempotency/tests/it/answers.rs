//! What a client of a remote route is answered.

use reqwest::StatusCode;
use serde_json::Value;
use testkit::client;

use crate::{
    bank::Mode,
    shop::{LEASE_S, Shop, metric},
};

#[tokio::test]
async fn the_same_request_again_gets_the_same_answer_from_either_replica() {
    let shop = Shop::make().await;
    let (first, second) = (shop.replica().spawn().await, shop.replica().spawn().await);
    let bought = shop.buy(&first, "again", 1_000).await;
    let again = shop.buy(&second, "again", 1_000).await;

    assert_eq!((bought.status(), again.status()), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(bought.headers()["location"], again.headers()["location"]);
    assert!(!bought.headers().contains_key("idempotent-replayed"));
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_ne!(bought.headers()["x-request-id"], again.headers()["x-request-id"]);
    assert_eq!(bought.bytes().await.unwrap(), again.bytes().await.unwrap());
    shop.assert_one_effect("again").await;
    let route = r#"idempotency_requests_total{outcome="replayed",route="/v1/gift-cards"}"#;
    assert!((metric(&second, route).await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused_finished_or_not() {
    let shop = Shop::make().await;
    let replica = shop.replica().spawn().await;
    shop.bank.set(Mode::Hold);
    tokio::join!(shop.buy(&replica, "mine", 1_000), async {
        shop.called(1).await;
        assert_reused(shop.buy(&replica, "mine", 2_000).await).await;
        shop.bank.set(Mode::Charge);
    });
    assert_reused(shop.buy(&replica, "mine", 2_000).await).await;
    shop.assert_one_effect("mine").await;
}

async fn assert_reused(answer: reqwest::Response) {
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let error: Value = answer.json().await.unwrap();
    assert!(error["message"].as_str().unwrap().contains("another body"), "{error}");
}

#[tokio::test]
async fn a_concurrent_duplicate_gets_retry_after_the_end_of_the_lease() {
    let shop = Shop::make().await;
    let (first, second) = (shop.replica().spawn().await, shop.replica().spawn().await);
    shop.bank.set(Mode::Hold);
    let (bought, ()) = tokio::join!(shop.buy(&first, "twice", 1_000), async {
        shop.called(1).await;
        for replica in [&first, &second] {
            let duplicate = shop.buy(replica, "twice", 1_000).await;
            assert_eq!(duplicate.status(), StatusCode::CONFLICT);
            let retry_after: u64 = duplicate.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=LEASE_S).contains(&retry_after), "{retry_after}");
            assert_eq!(duplicate.json::<Value>().await.unwrap()["code"], "request_in_progress");
        }
        shop.bank.set(Mode::Charge);
    });
    assert_eq!(bought.status(), StatusCode::CREATED);
    assert_eq!(shop.bank.calls(), 1);
}

#[tokio::test]
async fn fifty_at_once_over_two_replicas_are_one_purchase() {
    let shop = Shop::make().await;
    let replicas = [shop.replica().spawn().await, shop.replica().spawn().await];
    let answers =
        futures::future::join_all((0..50).map(|number| shop.buy(&replicas[number % 2], "race", 1_000))).await;
    for answer in answers {
        if answer.status() == StatusCode::CREATED {
            assert_eq!(answer.json::<Value>().await.unwrap()["charge"], "charge-0");
        } else {
            // A crowd may also find no connection free in time.
            let told = matches!(answer.status(), StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE);
            assert!(told && answer.headers().contains_key("retry-after"), "{answer:?}");
        }
    }
    shop.buy_until_done(&replicas[0], "race", 1_000).await;
    shop.assert_one_effect("race").await;
    assert_eq!(shop.bank.calls(), 1);
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_shed_without_a_record_and_a_known_one_is_not() {
    let shop = Shop::make().await;
    let replica = shop.replica().env("IDEMPOTENCY_MAX_RUNNING", "1").spawn().await;
    shop.buy(&replica, "known", 1_000).await;
    shop.bank.set(Mode::Hold);
    let (bought, ()) = tokio::join!(shop.buy(&replica, "running", 1_000), async {
        shop.called(2).await;
        let shed = shop.buy(&replica, "shed", 1_000).await;
        assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(shed.headers().contains_key("retry-after"));
        assert_eq!(shop.count("SELECT count(*) FROM idempotency_keys WHERE key = 'shed'").await, 0);
        assert_eq!(shop.buy(&replica, "running", 1_000).await.status(), StatusCode::CONFLICT);
        assert_eq!(shop.buy(&replica, "known", 1_000).await.headers()["idempotent-replayed"], "true");
        shop.bank.set(Mode::Charge);
    });
    assert_eq!(bought.status(), StatusCode::CREATED);
    assert_eq!(shop.buy(&replica, "shed", 1_000).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_refusal_before_the_first_step_leaves_no_record() {
    let shop = Shop::make().await;
    let replica = shop.replica().spawn().await;
    assert_eq!(shop.buy(&replica, "retry", 60_000).await.status(), StatusCode::BAD_REQUEST);
    let reader = shop.keys.token("acme", &["gift-cards:read"]);
    for token in [reader.as_str(), "no token"] {
        let request = client().post(format!("{}/v1/gift-cards", replica.http_url())).bearer_auth(token);
        let request =
            request.header("Idempotency-Key", "retry").json(&serde_json::json!({"amount_minor": 1}));
        assert!(request.send().await.unwrap().status().is_client_error());
    }
    assert_eq!(shop.count("SELECT count(*) FROM idempotency_keys").await, 0);
    assert_eq!(shop.count("SELECT count(*) FROM gift_cards").await, 0);
    assert_eq!(shop.buy(&replica, "retry", 1_000).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_refusal_by_the_other_system_is_the_lasting_answer() {
    let shop = Shop::make().await;
    let replica = shop.replica().spawn().await;
    shop.bank.set(Mode::Decline);
    let declined = shop.buy(&replica, "poor", 1_000).await;
    shop.bank.set(Mode::Charge);
    let again = shop.buy(&replica, "poor", 1_000).await;

    assert_eq!((declined.status(), again.status()), (StatusCode::CONFLICT, StatusCode::CONFLICT));
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert!(!declined.headers().contains_key("idempotent-replayed"));
    let (request_id, declined, again) = (
        again.headers()["x-request-id"].to_str().unwrap().to_owned(),
        declined.json::<Value>().await.unwrap(),
        again.json::<Value>().await.unwrap(),
    );
    assert_eq!((&declined["code"], &declined["message"]), (&again["code"], &again["message"]));
    assert_eq!(again["request_id"], request_id.as_str(), "an error has the id of its own exchange");
    assert_eq!(shop.bank.calls(), 1);
    assert_eq!(shop.count("SELECT count(*) FROM gift_cards WHERE state = 'declined'").await, 1);
}

#[tokio::test]
async fn a_failure_of_the_other_system_is_returned_and_the_operation_continues_later() {
    let shop = Shop::make().await;
    let replica = shop.replica().spawn().await;
    shop.bank.set(Mode::Fail);
    let failed = shop.buy(&replica, "later", 1_000).await;
    assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(failed.headers().contains_key("retry-after"));
    let unfinished = "SELECT count(*) FROM idempotency_keys WHERE recovery_point = 'charge:begun'";
    assert_eq!(shop.count(unfinished).await, 1);

    shop.bank.set(Mode::Charge);
    shop.finished(1).await;
    shop.assert_one_effect("later").await;
    assert_eq!(shop.buy(&replica, "later", 1_000).await.headers()["idempotent-replayed"], "true");
}
