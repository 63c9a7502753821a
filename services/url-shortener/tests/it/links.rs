//! Putting, reading and following links.

use std::time::Duration;

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use testkit::wait_for;

use crate::service::{PUBLIC_URL, Service, send};

#[tokio::test]
async fn a_link_can_be_seen_by_its_tenant_and_followed_by_anyone() {
    let service = Service::start().await;

    let put = service.put("acme", "order-17", "https://shop.example/orders/17?a=b#c").await;
    assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
    assert_eq!(put.header("location"), "/v1/links/order-17");
    assert_eq!(put.body["code"], "order-17");
    assert_eq!(put.body["target"], "https://shop.example/orders/17?a=b#c");
    assert_eq!(put.body["short_url"], format!("{PUBLIC_URL}/order-17"));
    assert_eq!(put.body["created_at"], put.body["updated_at"]);

    let seen = service.get("acme", "order-17").await;
    assert_eq!((seen.status, &seen.body), (StatusCode::OK, &put.body));

    for method in [Method::GET, Method::HEAD] {
        let followed = send(service.request(method, "/order-17")).await;
        assert_eq!(followed.status, StatusCode::FOUND, "{followed:?}");
        assert_eq!(followed.header("location"), "https://shop.example/orders/17?a=b#c");
        assert_eq!(followed.header("cache-control"), "private, max-age=0");
        assert_eq!(followed.header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn unknown_query_parameters_are_ignored() {
    let service = Service::start().await;
    service.put("acme", "shared", "https://shop.example/?a=b").await;

    let followed = service.follow("shared?fbclid=IwAR0&utm_source=mail").await;

    assert_eq!(followed.status, StatusCode::FOUND, "{followed:?}");
    assert_eq!(followed.header("location"), "https://shop.example/?a=b");
}

#[tokio::test]
async fn a_repeated_put_changes_nothing() {
    let service = Service::start().await;
    let first = service.put("acme", "same-link", "https://example.com").await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");

    // Another spelling of the same URL is the same target.
    for target in ["https://example.com", "HTTPS://EXAMPLE.com:443/"] {
        let again = service.put("acme", "same-link", target).await;
        assert_eq!((again.status, &again.body), (StatusCode::OK, &first.body));
        assert_eq!(again.header("location"), "");
    }
    assert_eq!(version(&service, "same-link").await, 1);
}

#[tokio::test]
async fn a_changed_target_is_used_at_once() {
    let service = Service::start().await;
    let old = service.put("acme", "moving", "https://old.example/").await;
    let new = service.put("acme", "moving", "https://new.example/").await;

    assert_eq!(new.status, StatusCode::OK, "{new:?}");
    assert_eq!(new.body["target"], "https://new.example/");
    assert_eq!(new.body["created_at"], old.body["created_at"]);
    assert_ne!(new.body["updated_at"], old.body["updated_at"]);
    assert_eq!(service.follow("moving").await.header("location"), "https://new.example/");
    assert_eq!(version(&service, "moving").await, 2);
}

#[tokio::test]
async fn a_code_of_another_tenant_is_refused_and_its_link_is_unchanged() {
    let service = Service::start().await;
    let mine = service.put("acme", "wanted", "https://acme.example/").await;

    for target in ["https://acme.example/", "https://other.example/"] {
        let refused = service.put("rival", "wanted", target).await;
        refused.assert_error(409, "conflict");
        assert!(!refused.body.to_string().contains("acme"), "does not tell whose it is: {refused:?}");
    }
    service.get("rival", "wanted").await.assert_error(404, "not_found");
    assert_eq!(service.get("acme", "wanted").await.body, mine.body);
    assert_eq!(service.follow("wanted").await.header("location"), "https://acme.example/");
}

#[tokio::test]
async fn one_of_concurrent_puts_creates_the_link() {
    let service = Service::start_with_long_timeouts().await;
    let puts = (0..20).map(|_| service.put("acme", "raced-for", "https://example.com/"));
    let answers = join_all(puts).await;

    let created = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    let unchanged = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!((created, unchanged), (1, 19), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "{answers:?}");
    assert_eq!(version(&service, "raced-for").await, 1);
}

#[tokio::test]
async fn one_of_two_concurrent_tenants_gets_the_code() {
    let service = Service::start_with_long_timeouts().await;
    for round in 0..10 {
        let code = format!("round-{round}");
        let (one, other) = tokio::join!(
            service.put("acme", &code, "https://acme.example/"),
            service.put("rival", &code, "https://rival.example/"),
        );
        let (winner, loser) = if one.status == StatusCode::CREATED { (one, other) } else { (other, one) };
        assert_eq!(winner.status, StatusCode::CREATED, "{winner:?}");
        loser.assert_error(409, "conflict");
        assert_eq!(service.follow(&code).await.header("location"), winner.body["target"]);
    }
}

/// The waiting PUT starts before the other one inserts its row.
#[tokio::test]
async fn a_put_that_waited_for_the_first_put_of_its_code_updates_the_link() {
    let service = Service::start().await;
    let first = service.database.connect().await;
    let begin = "BEGIN; INSERT INTO links (code, tenant, target) VALUES ('contended', 'acme', 'https://example.com/1')";
    first.batch_execute(begin).await.unwrap();

    let (second, ()) = tokio::join!(service.put("acme", "contended", "https://example.com/2"), async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        wait_for("the second PUT to wait", Duration::from_secs(5), async || {
            let waiting: i64 = first.query_one(waiting, &[]).await.unwrap().get(0);
            (waiting > 0).then_some(())
        })
        .await;
        let later = "UPDATE links SET created_at = clock_timestamp(), updated_at = clock_timestamp(); COMMIT";
        first.batch_execute(later).await.unwrap();
    });

    assert_eq!(second.status, StatusCode::OK, "{second:?}");
    assert_eq!(version(&service, "contended").await, 2);
    let (created, updated) = (&second.body["created_at"], &second.body["updated_at"]);
    assert!(updated.as_str().unwrap() >= created.as_str().unwrap(), "{updated} {created}");
}

#[tokio::test]
async fn an_unknown_code_returns_404() {
    let service = Service::start().await;
    for code in ["unknown-code", "short", "favicon.ico", "%2e%2e%2fetc", &"x".repeat(33)] {
        service.follow(code).await.assert_error(404, "not_found");
        service.get("acme", code).await.assert_error(404, "not_found");
    }
}

async fn version(service: &Service, code: &str) -> i64 {
    let database = service.database.connect().await;
    database.query_one("SELECT version FROM links WHERE code = $1", &[&code]).await.unwrap().get(0)
}
