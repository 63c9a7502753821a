//! Links with random codes, created once per idempotency key.

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::service::{PUBLIC_URL, Service, send};

#[tokio::test]
async fn a_new_link_has_a_random_code() {
    let service = Service::start().await;
    let made = service.post("first", "https://shop.example/orders/17").await;

    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let code = made.body["code"].as_str().unwrap();
    assert!(code.len() == 16 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{code}");
    assert_eq!(made.header("location"), format!("/v1/links/{code}"));
    assert_eq!(made.body["short_url"], format!("{PUBLIC_URL}/{code}"));
    assert_eq!(service.get("acme", code).await.body, made.body);
    assert_eq!(service.follow(code).await.header("location"), "https://shop.example/orders/17");

    let other = service.post("second", "https://shop.example/orders/17").await;
    assert_ne!(other.body["code"], made.body["code"], "another key makes another link");
}

#[tokio::test]
async fn a_retry_returns_the_same_link() {
    let service = Service::start().await;
    let first = service.post("again", "https://example.com/").await;
    let again = service.post("again", "https://example.com/").await;

    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &first.body));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    let other = service.post("again", "https://example.com/other").await;
    other.assert_error(422, "idempotency_key_reused");
    assert!(other.body["message"].as_str().unwrap().contains("another body"), "{other:?}");
    assert_eq!(service.count_links().await, 1);
}

#[tokio::test]
async fn fifty_concurrent_retries_on_two_replicas_create_one_link() {
    let service = Service::start().await;
    let replica = service.replica().await;
    let urls = [service.process.http_url(), replica.http_url()];
    let token = service.token("acme", &["links:write"]);
    let answers = join_all((0..50).map(|number| {
        let request = service.http.post(format!("{}/v1/links", urls[number % 2])).bearer_auth(&token);
        send(request.header("Idempotency-Key", "race").json(&json!({"target": "https://example.com/"})))
    }))
    .await;

    let link = service.post("race", "https://example.com/").await.body;
    for answer in answers {
        if answer.status == StatusCode::CREATED {
            assert_eq!(answer.body, link);
        } else {
            // The pool may also have no connection in time. In both cases, the response asks for a retry.
            let told = matches!(answer.status, StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE);
            assert!(told && !answer.header("retry-after").is_empty(), "{answer:?}");
        }
    }
    assert_eq!(service.count_links().await, 1);
}

#[tokio::test]
async fn a_random_code_in_use_is_not_assigned_again() {
    let service = Service::start().await;
    service.put("rival", "taken-code", "https://rival.example/").await;
    // A collision is too rare, so the database replaces the random code by the used one first.
    let trigger = "\
        CREATE SEQUENCE tries;
        CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('tries') = 1 THEN NEW.code := 'taken-code'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER collide BEFORE INSERT ON links FOR EACH ROW EXECUTE FUNCTION collide()";
    service.database.connect().await.batch_execute(trigger).await.unwrap();

    let made = service.post("unlucky", "https://acme.example/").await;

    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(service.follow("taken-code").await.header("location"), "https://rival.example/");
    assert_eq!(service.count_links().await, 2);
}

#[tokio::test]
async fn a_refused_request_leaves_no_record() {
    let service = Service::start().await;
    let post = |token: &str| service.request(Method::POST, "/v1/links").bearer_auth(token);
    let (writer, reader) = (service.token("acme", &["links:write"]), service.token("acme", &["links:read"]));
    let body = json!({"target": "https://example.com/"});

    send(post(&writer).json(&body)).await.assert_error(400, "missing_idempotency_key");
    let twice = post(&writer).header("Idempotency-Key", "a").header("Idempotency-Key", "b").json(&body);
    send(twice).await.assert_error(400, "invalid_idempotency_key");
    let keyed = |token: &str| post(token).header("Idempotency-Key", "mine");
    send(keyed(&reader).json(&body)).await.assert_error(403, "forbidden");
    send(keyed("garbage").json(&body)).await.assert_error(401, "unauthenticated");
    send(keyed(&writer).json(&json!({"target": "ftp://example.com/"})))
        .await
        .assert_error(400, "invalid_request");

    let database = service.database.connect().await;
    let keys: i64 = database.query_one("SELECT count(*) FROM idempotency_keys", &[]).await.unwrap().get(0);
    assert_eq!((keys, service.count_links().await), (0, 0));
    assert_eq!(service.post("mine", "https://example.com/").await.status, StatusCode::CREATED);
    send(keyed(&reader).json(&body)).await.assert_error(403, "forbidden");
}
