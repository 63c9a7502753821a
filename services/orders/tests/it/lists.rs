//! Lists of orders: pages, filters and access.

use reqwest::StatusCode;
use serde_json::Value;
use testkit::client;

use crate::{
    app::{App, id, order},
    listing::{Listing, Row, ids},
};

#[tokio::test]
async fn a_list_starts_with_the_newest_orders_and_links_to_the_others() {
    let app = App::start().await;
    let listing = Listing::of(&app, "acme").await;
    let mut rows: Vec<_> = (0..5).map(Row::at).collect();
    listing.insert(&rows).await;
    rows.reverse();

    let first = listing.page("limit=2").await;
    let second = listing.page(&format!("limit=2&cursor={}", first.next().unwrap())).await;
    let last = listing.page(&format!("limit=2&cursor={}", second.next().unwrap())).await;

    assert_eq!([first.ids(), second.ids(), last.ids()].concat(), ids(&rows));
    assert_eq!((first.prev(), last.next()), (None, None));
    let back = listing.page(&format!("limit=2&cursor={}", last.prev().unwrap())).await;
    assert_eq!(back.ids(), second.ids());
    let back = listing.page(&format!("limit=2&cursor={}", back.prev().unwrap())).await;
    assert_eq!((back.ids(), back.prev()), (first.ids(), None));
    let forth = listing.page(&format!("limit=2&cursor={}", back.next().unwrap())).await;
    assert_eq!(forth.ids(), second.ids());
    let oldest = listing.page("order=oldest").await;
    assert_eq!(oldest.ids(), ids(rows.iter().rev()));
    assert_eq!((oldest.next(), oldest.prev()), (None, None));
}

/// Returns the target of a relation in a `Link` header.
fn target<'a>(link: &'a str, rel: &str) -> Option<&'a str> {
    let links = link.split(", ").filter_map(|link| link.strip_prefix('<')?.split_once(">; rel="));
    links.into_iter().find_map(|(target, of)| (of == format!("\"{rel}\"")).then_some(target))
}

#[tokio::test]
async fn the_link_header_matches_the_cursors() {
    let app = App::start().await;
    let listing = Listing::of(&app, "acme").await;
    let rows: Vec<_> = (0..6).map(Row::at).collect();
    listing.insert(&rows).await;
    let filters =
        "customer=ada%40example.com&created_from=2025-01-31T09%3A00%3A00%2B01%3A00&order=oldest&limit=2";

    let first = listing.response(filters).await;
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    assert_eq!(target(&link, "prev"), None);
    assert_eq!(first.headers()["cache-control"], "private, no-store");
    let query = target(&link, "next").unwrap().strip_prefix("/v1/orders?").unwrap();
    let second = listing.response(query).await;
    let link = second.headers()["link"].to_str().unwrap().to_owned();
    let second: Value = second.json().await.unwrap();
    assert_eq!(second["items"][0]["id"], rows[2].id());
    for (rel, rows) in [("next", &rows[4..]), ("prev", &rows[..2])] {
        let query = target(&link, rel).unwrap().strip_prefix("/v1/orders?").unwrap();
        assert_eq!(listing.page(query).await.ids(), ids(rows));
        let cursor = second[rel].as_str().unwrap();
        assert!(query.ends_with(&format!("limit=2&cursor={cursor}")), "{query}");
        assert_eq!(listing.page(&format!("{filters}&cursor={cursor}")).await.ids(), ids(rows));
    }
    assert!(!listing.response("").await.headers().contains_key("link"), "there is one page");
}

#[tokio::test]
async fn filters_select_orders() {
    let app = App::start().await;
    let listing = Listing::of(&app, "acme").await;
    let bob = "bob@example.com";
    let rows = [
        Row::at(0),
        Row { state: "confirmed", ..Row::at(1) },
        Row { state: "rejected", customer: bob, ..Row::at(2) },
        Row { customer: bob, ..Row::at(3) },
    ];
    listing.insert(&rows).await;
    let begin = "2025-01-31T08:00:00.00000";
    for (query, expected) in [
        (String::new(), vec![0, 1, 2, 3]),
        ("state=pending".to_owned(), vec![0, 3]),
        ("state=confirmed".to_owned(), vec![1]),
        ("customer=bob%40example.com".to_owned(), vec![2, 3]),
        ("customer=BOB%40example.com".to_owned(), vec![]),
        ("customer=bob%40example.com&state=rejected".to_owned(), vec![2]),
        (format!("created_from={begin}1Z"), vec![1, 2, 3]),
        (format!("created_to={begin}2Z"), vec![0, 1]),
        (format!("created_from={begin}1Z&created_to={begin}3Z"), vec![1, 2]),
        (format!("created_from={begin}0001Z&created_to={begin}2000Z"), vec![1]),
        (
            "created_from=2025-01-31T08:00:00%2B01:00&created_to=2025-01-31T08:00:00-01:00".to_owned(),
            vec![0, 1, 2, 3],
        ),
        (format!("state=pending&customer=ada%40example.com&created_from={begin}1Z"), vec![]),
    ] {
        let mut expected: Vec<_> = expected.into_iter().map(|index: usize| rows[index].id()).collect();
        assert_eq!(listing.page(&format!("{query}&order=oldest")).await.ids(), expected, "{query}");
        expected.reverse();
        assert_eq!(listing.page(&query).await.ids(), expected, "{query}");
    }
}

#[tokio::test]
async fn an_item_equals_the_order_without_lines_and_history() {
    let app = App::start().await;
    let placed = app.place(&order("TEA", 2)).await;
    let mut settled = app.settled(id(&placed)).await;
    let rejected = app.place(&order("GONE", 1)).await;
    app.settled(id(&rejected)).await;

    let listing = Listing::of(&app, "acme").await;
    let page = listing.page("order=oldest").await;

    let whole = settled.as_object_mut().unwrap();
    assert!(whole.remove("lines").is_some() && whole.remove("history").is_some());
    assert_eq!(page.0["items"][0], settled);
    assert_eq!(page.0["items"][1]["state"], "rejected");
    assert!(page.0["items"][1]["rejection_reason"].is_string());
    assert_eq!(page.0.as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn a_list_needs_the_scope_and_contains_only_the_tenants_orders() {
    let app = App::start().await;
    let acme = Listing::of(&app, "acme").await;
    acme.insert(&[Row::at(0), Row::at(1)]).await;
    let url = app.url("/v1/orders");

    let response = client().get(&url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let writer = app.keys.token("acme", &["orders:write"]);
    let response = client().get(&url).bearer_auth(writer).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "forbidden");

    let globex = Listing::of(&app, "globex").await;
    for query in ["", "customer=ada%40example.com", "state=pending", "order=oldest"] {
        assert_eq!(globex.page(query).await.ids(), [""; 0], "{query}");
    }
    let cursor = acme.page("limit=1").await.next().unwrap().to_owned();
    assert_eq!(globex.refused(&format!("cursor={cursor}")).await.0, "cursor_foreign");
}

#[tokio::test]
async fn invalid_query_parameters_are_named() {
    let app = App::start().await;
    let listing = Listing::of(&app, "acme").await;
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=abc", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("order=random", "order"),
        ("state=shipped", "state"),
        ("state=", "state"),
        ("state=pending&state=pending", "state"),
        ("created_from=yesterday", "created_from"),
        ("created_to=2025-01-31T08:00:00", "created_to"),
        ("created_from=2025-01-31T08:00:00Z&created_to=2025-01-31T08:00:00Z", "created_to"),
        ("customer=ada", "customer"),
        ("offset=10", "offset"),
        ("State=pending", "State"),
    ] {
        assert_eq!(
            listing.refused(query).await,
            ("invalid_request".to_owned(), parameter.to_owned()),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_page_has_50_orders_by_default_and_at_most_200() {
    let app = App::start().await;
    let listing = Listing::of(&app, "acme").await;
    listing.insert(&(0..203).map(Row::at).collect::<Vec<_>>()).await;
    for (query, rows) in [("", 50), ("limit=1", 1), ("limit=200", 200)] {
        assert_eq!(listing.page(query).await.ids().len(), rows, "{query}");
    }
}

#[tokio::test]
async fn the_log_contains_no_address_and_no_cursor() {
    let mut app = App::start().await;
    let cursor = {
        let listing = Listing::of(&app, "acme").await;
        listing.insert(&[Row::at(0), Row::at(1)]).await;
        let page = listing.page("customer=ada%40example.com&limit=1").await;
        listing.refused("customer=ada%40nowhere").await;
        page.next().unwrap().to_owned()
    };
    assert!(app.process.terminate().await.success());
    let logs = app.process.logs();
    for secret in ["ada@", "ada%40", &cursor] {
        assert!(!logs.contains(secret), "{secret} is in the log:\n{logs}");
    }
}
