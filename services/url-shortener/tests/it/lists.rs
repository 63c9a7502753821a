//! Lists of links: pages, filters and access.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use testkit::wait_for;

use crate::service::{Answer, PUBLIC_URL, Service, send};

/// Inserts links directly into the database, two for each second, so that their order is known.
const FILL: &str = "\
INSERT INTO links (code, tenant, target, created_at, updated_at)
SELECT 'link-' || to_char(n, 'FM0000'), 'acme', 'https://host-' || n % 2 || '.example/' || n, at, at
FROM (SELECT n, timestamptz '2025-01-31 08:00:00Z' + n / 2 * interval '1 second' AS at
      FROM unnest($1::int[]) AS n) AS numbered";

const DELETE: &str = "DELETE FROM links WHERE code = ANY($1)";

async fn start_with_links(count: i32) -> Service {
    let service = Service::start().await;
    fill(&service, count).await;
    service
}

async fn fill(service: &Service, count: i32) {
    let numbers: Vec<_> = (0..count).collect();
    service.database.connect().await.execute(FILL, &[&numbers]).await.unwrap();
}

async fn list(service: &Service, tenant: &str, query: &str) -> Answer {
    let request = service.request(Method::GET, &format!("/v1/links?{query}"));
    send(request.bearer_auth(service.token(tenant, &["links:read"]))).await
}

async fn page(service: &Service, query: &str) -> Answer {
    let answer = list(service, "acme", query).await;
    assert_eq!(answer.status, StatusCode::OK, "{query}: {answer:?}");
    answer
}

fn codes(page: &Answer) -> Vec<String> {
    let items = page.body["items"].as_array().unwrap();
    items.iter().map(|item| item["code"].as_str().unwrap().to_owned()).collect()
}

fn numbered(numbers: impl IntoIterator<Item = i32>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("link-{number:04}")).collect()
}

fn cursor<'a>(page: &'a Answer, rel: &str) -> &'a str {
    page.body[rel].as_str().unwrap()
}

#[tokio::test]
async fn pages_contain_all_links_in_both_directions() {
    let service = start_with_links(5).await;
    for (order, expected) in [("newest", numbered((0..5).rev())), ("oldest", numbered(0..5))] {
        let query = format!("order={order}&limit=2");
        let first = page(&service, &query).await;
        let second = page(&service, &format!("{query}&cursor={}", cursor(&first, "next"))).await;
        let last = page(&service, &format!("{query}&cursor={}", cursor(&second, "next"))).await;
        assert_eq!([codes(&first), codes(&second), codes(&last)].concat(), expected);
        assert_eq!((&first.body["prev"], &last.body["next"]), (&Value::Null, &Value::Null));
        let back = page(&service, &format!("{query}&cursor={}", cursor(&last, "prev"))).await;
        assert_eq!(codes(&back), codes(&second));
        let back = page(&service, &format!("{query}&cursor={}", cursor(&back, "prev"))).await;
        assert_eq!((codes(&back), &back.body["prev"]), (codes(&first), &Value::Null));
        let link = first.header("link");
        let next =
            format!("</v1/links?order={order}&limit=2&cursor={}>; rel=\"next\"", cursor(&first, "next"));
        assert_eq!(link, next);
        assert_eq!(first.header("cache-control"), "private, no-store");
    }
}

#[tokio::test]
async fn an_item_equals_the_link() {
    let service = Service::start().await;
    let put = service.put("acme", "order-17", "https://shop.example/orders/17").await;
    let listed = page(&service, "").await;
    assert_eq!(listed.body["items"], Value::from(vec![put.body]));
    assert_eq!(listed.body["items"][0]["short_url"], format!("{PUBLIC_URL}/order-17"));
    assert_eq!(listed.body.as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn filters_select_links() {
    let service = start_with_links(6).await;
    for (query, expected) in [
        ("host=host-0.example", vec![0, 2, 4]),
        ("host=HOST-1.example.", vec![1, 3, 5]),
        ("host=example", vec![]),
        ("created_from=2025-01-31T08:00:01Z", vec![2, 3, 4, 5]),
        ("created_to=2025-01-31T08:00:01Z", vec![0, 1]),
        ("created_from=2025-01-31T08:00:01Z&created_to=2025-01-31T08:00:02Z", vec![2, 3]),
        ("created_from=2025-01-31T08:00:01Z&host=host-1.example", vec![3, 5]),
    ] {
        let mut expected = numbered(expected);
        assert_eq!(codes(&page(&service, &format!("{query}&order=oldest")).await), expected, "{query}");
        expected.reverse();
        assert_eq!(codes(&page(&service, query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn the_host_filter_accepts_every_kind_of_host() {
    let service = Service::start().await;
    for (code, target, host) in [
        ("plain-name", "https://shop.example/a?b=c#d", "shop.example"),
        ("with-port", "https://port.example:8443/", "port.example"),
        ("final-dot", "https://dot.example./", "dot.example"),
        ("idn-name", "https://bücher.example/", "b%C3%BCcher.example"),
        ("ipv4-host", "http://192.0.2.7/", "192.0.2.7"),
        ("ipv6-host", "http://[2001:db8::1]:8080/x", "[2001:db8::1]"),
        ("at-in-path", "https://path.example/@user:x/y", "path.example"),
    ] {
        assert_eq!(service.put("acme", code, target).await.status, StatusCode::CREATED, "{target}");
        assert_eq!(codes(&page(&service, &format!("host={host}")).await), [code], "{host}");
    }
    service.put("acme", "plain-name", "https://moved.example/").await;
    assert_eq!(codes(&page(&service, "host=shop.example").await), [""; 0]);
    assert_eq!(codes(&page(&service, "host=moved.example").await), ["plain-name"]);
}

#[tokio::test]
async fn a_list_needs_the_scope_and_contains_only_the_tenants_links() {
    let service = start_with_links(3).await;
    send(service.request(Method::GET, "/v1/links")).await.assert_error(401, "unauthenticated");
    let writer = service.token("acme", &["links:write"]);
    send(service.request(Method::GET, "/v1/links").bearer_auth(writer)).await.assert_error(403, "forbidden");
    for query in ["", "host=host-0.example", "order=oldest"] {
        assert_eq!(codes(&list(&service, "rival", query).await), [""; 0], "{query}");
    }
}

#[tokio::test]
async fn an_invalid_cursor_is_refused_with_its_reason() {
    let service = start_with_links(3).await;
    let first = page(&service, "host=host-0.example&limit=1").await;
    let good = format!("host=host-0.example&cursor={}", cursor(&first, "next"));
    assert_eq!(codes(&page(&service, &good).await), numbered([0]));

    for (tenant, query, code) in [
        ("acme", "cursor=AAAA".to_owned(), "invalid_cursor"),
        ("acme", "cursor=".to_owned(), "invalid_cursor"),
        ("acme", format!("{good}A"), "invalid_cursor"),
        ("rival", good.clone(), "cursor_foreign"),
        ("acme", good.replace("host-0", "host-1"), "cursor_mismatch"),
        ("acme", good.replace("host=host-0.example&", ""), "cursor_mismatch"),
        ("acme", format!("{good}&order=oldest"), "cursor_mismatch"),
        ("acme", format!("{good}&created_from=2025-01-01T00:00:00Z"), "cursor_mismatch"),
    ] {
        let answer = list(&service, tenant, &query).await;
        answer.assert_error(400, code);
        answer.assert_detail("/query/cursor");
    }
}

#[tokio::test]
async fn a_cursor_expires() {
    let service = Service::start_with_env("LINKS_CURSOR_LIFETIME_S", "1").await;
    fill(&service, 2).await;
    let query = format!("cursor={}", cursor(&page(&service, "limit=1").await, "next"));
    let answer = wait_for("the cursor to expire", std::time::Duration::from_secs(30), async || {
        let answer = list(&service, "acme", &query).await;
        (answer.status != StatusCode::OK).then_some(answer)
    })
    .await;
    answer.assert_error(400, "cursor_expired");
}

#[tokio::test]
async fn invalid_query_parameters_are_named() {
    let service = Service::start().await;
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=abc", "limit"),
        ("limit=1&limit=1", "limit"),
        ("order=up", "order"),
        ("host=", "host"),
        ("host=https://shop.example", "host"),
        ("host=shop.example:80", "host"),
        ("created_from=1738310400", "created_from"),
        ("created_from=2025-01-31T08:00:00Z&created_to=2025-01-31T07:00:00Z", "created_to"),
        ("state=pending", "state"),
    ] {
        let answer = list(&service, "acme", query).await;
        answer.assert_error(400, "invalid_request");
        answer.assert_detail(&format!("/query/{parameter}"));
    }
}

#[tokio::test]
async fn a_remaining_link_appears_once_during_concurrent_writes() {
    let service = Service::start().await;
    let database = service.database.connect().await;
    let (even, odd): (Vec<_>, Vec<_>) = (0..40).partition(|number| number % 2 == 0);
    database.execute(FILL, &[&even]).await.unwrap();
    for order in ["newest", "oldest"] {
        let query = format!("order={order}&limit=3");
        let (mut forth, mut back) = (Vec::new(), Vec::new());
        let mut at = page(&service, &query).await;
        let mut present = false;
        loop {
            forth.extend(codes(&at));
            let Some(next) = at.body["next"].as_str() else { break };
            // Every other link exists for every other page.
            if present {
                database.execute(DELETE, &[&numbered(odd.clone())]).await.unwrap();
            } else {
                database.execute(FILL, &[&odd]).await.unwrap();
            }
            present = !present;
            at = page(&service, &format!("{query}&cursor={next}")).await;
        }
        loop {
            back.extend(codes(&at));
            let Some(prev) = at.body["prev"].as_str() else { break };
            at = page(&service, &format!("{query}&cursor={prev}")).await;
        }
        let stays: BTreeSet<_> = numbered(even.clone()).into_iter().collect();
        for (walk, name) in [(forth, "forth"), (back, "back")] {
            let seen: Vec<_> = walk.iter().filter(|code| stays.contains(*code)).collect();
            assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), stays.len(), "{order} {name}: {walk:?}");
            assert_eq!(seen.len(), stays.len(), "{order} {name}: {walk:?}");
        }
        database.execute(DELETE, &[&numbered(odd.clone())]).await.unwrap();
    }
}
