//! One-click unsubscribe (RFC 8058): as mail programs and people use it, and what it ends.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Response, StatusCode, header::CONTENT_TYPE};
use testkit::{Process, client, wait_for};

use crate::{
    app::SOON,
    shop::{Shop, searched},
};

const THREE: &[&str] = &["20 days", "15 days", "10 days"];

/// The body and its type, as mail programs send them (RFC 8058, section 3.2), as the page does, and as a simple program could.
const BODIES: [(&str, &str); 3] = [
    ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
    (
        "multipart/form-data; boundary=xyz",
        "--xyz\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--xyz--\r\n",
    ),
    ("text/plain", ""),
];

/// The path of the link to unsubscribe `customer`, of a period that has ended.
async fn link_of(shop: &Shop, customer: &str) -> String {
    const INSERT: &str = "\
INSERT INTO promotion_recipients (tenant, customer, last_event_at) VALUES ('acme', $1, now() - interval '30 days')
RETURNING '/unsubscribe/' || unsubscribe_token";
    let session = shop.parts.database.connect().await;
    session.query_one(INSERT, &[&customer]).await.unwrap().get(0)
}

async fn get(process: &Process, path: &str) -> Response {
    client().get(format!("{}{path}", process.http_url())).send().await.unwrap()
}

async fn post(process: &Process, path: &str, (media_type, body): (&str, &'static str)) -> Response {
    let request = client().post(format!("{}{path}", process.http_url()));
    request.header(CONTENT_TYPE, media_type).body(body).send().await.unwrap()
}

const UNSUBSCRIBED: &str = "SELECT count(*) FROM promotion_recipients WHERE unsubscribed_at IS NOT NULL";

#[tokio::test]
async fn every_form_of_the_request_unsubscribes() {
    let shop = Shop::open().await;
    let customers = ["ada@example.com", "bob@example.com", "eve@example.com"];
    for customer in customers {
        shop.ordered("acme", customer, "confirmed", THREE).await;
    }
    let service = shop.searching().spawn().await;
    let events = shop.events(customers.len()).await;

    for ((_, event), body) in events.iter().zip(BODIES) {
        let path = event.unsubscribe_url.strip_prefix("http://orders.example").unwrap();
        assert!(!path.contains('@') && !path.contains(&event.customer_id.to_string()), "{path}");
        for _ in 0..2 {
            let response = post(&shop.quiet, path, body).await;
            assert_eq!(response.status(), StatusCode::OK, "{body:?}");
            assert!(response.text().await.unwrap().contains("You are unsubscribed"), "{body:?}");
        }
        assert!(get(&service, path).await.text().await.unwrap().contains("You are unsubscribed"));
    }
    assert_eq!(shop.count(UNSUBSCRIBED).await, 3);

    shop.sql("UPDATE promotion_recipients SET last_event_at = now() - interval '30 days'").await;
    searched(&service).await;
    assert_eq!(shop.n_events().await, 3);
}

#[tokio::test]
async fn opening_the_link_changes_nothing() {
    let shop = Shop::open().await;
    let path = link_of(&shop, "ada@example.com").await;

    // Programs that check links send HEAD or GET, and can append parameters.
    let head = client().head(format!("{}{path}", shop.quiet.http_url())).send().await.unwrap();
    let response = get(&shop.quiet, &format!("{path}?utm_source=mail")).await;

    assert_eq!((head.status(), response.status()), (StatusCode::OK, StatusCode::OK));
    let headers = response.headers().clone();
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self'"), "{policy}");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert_eq!(headers["cache-control"], "private, no-store");
    assert!(!headers.contains_key("set-cookie"));
    let page = response.text().await.unwrap();
    assert!(page.contains("<form method=\"post\">") && !page.contains("example.com"), "{page}");
    assert_eq!(shop.count(UNSUBSCRIBED).await, 0);
}

#[tokio::test]
async fn an_unknown_link_returns_404() {
    let shop = Shop::open().await;
    link_of(&shop, "ada@example.com").await;
    let long = format!("/unsubscribe/{}", "a".repeat(900));

    for path in
        ["/unsubscribe/x", "/unsubscribe/%00", &long, "/unsubscribe/6f1d1f5e-8f5b-4b0e-9d0a-3a8f0f8b7c11"]
    {
        let (shown, posted) = (get(&shop.quiet, path).await, post(&shop.quiet, path, BODIES[0]).await);
        assert_eq!(
            (shown.status(), posted.status()),
            (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND),
            "{path}"
        );
        assert!(posted.text().await.unwrap().contains("Link not found"), "{path}");
    }
    assert_eq!(shop.count(UNSUBSCRIBED).await, 0);
}

#[tokio::test]
async fn another_spelling_of_an_unsubscribed_address_gets_no_event() {
    let shop = Shop::open().await;
    let path = link_of(&shop, "ada@example.com").await;
    assert_eq!(post(&shop.quiet, &path, BODIES[0]).await.status(), StatusCode::OK);
    shop.ordered("acme", "Ada@Example.com", "confirmed", THREE).await;
    // Each tenant is another sender.
    shop.ordered("globex", "ada@example.com", "confirmed", THREE).await;

    let service = shop.searching().spawn().await;
    shop.wait_for_events(1).await;
    searched(&service).await;

    let tenants: Vec<_> = shop.events(1).await.into_iter().map(|(_, event)| event.tenant).collect();
    assert_eq!(tenants, ["globex"]);
}

#[tokio::test]
async fn a_customer_who_unsubscribes_after_the_search_gets_no_event() {
    let shop = Shop::open().await;
    let path = link_of(&shop, "ada@example.com").await;
    shop.ordered("acme", "ada@example.com", "confirmed", THREE).await;
    let service = frozen_at(&shop, "orders.win_back.found").await;

    assert_eq!(post(&shop.quiet, &path, BODIES[0]).await.status(), StatusCode::OK);
    signal(&service, Signal::SIGCONT);
    searched(&service).await;

    assert_eq!(shop.n_events().await, 0);
}

#[tokio::test]
async fn an_unsubscribe_waits_for_the_transaction_that_has_claimed_the_customer() {
    let shop = Shop::open().await;
    let path = link_of(&shop, "ada@example.com").await;
    shop.ordered("acme", "ada@example.com", "confirmed", THREE).await;
    let mut service = frozen_at(&shop, "orders.win_back.claimed").await;

    // It would be honoured before an event that is not committed yet.
    assert_eq!(post(&shop.quiet, &path, BODIES[0]).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((shop.count(UNSUBSCRIBED).await, shop.n_events().await), (0, 0));

    service.kill().await;
    wait_for("the unsubscribe to succeed", SOON, async || {
        (post(&shop.quiet, &path, BODIES[0]).await.status() == StatusCode::OK).then_some(())
    })
    .await;
    service.remove_env("MUSTER_FAIL_POINTS");
    service.restart().await;
    searched(&service).await;
    assert_eq!(shop.n_events().await, 0);
}

fn signal(process: &Process, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(process.pid()).unwrap()), signal).unwrap();
}

/// A service that searches, stopped at a fail point. It may not be ready before that.
async fn frozen_at(shop: &Shop, point: &str) -> Process {
    let service = shop.searching().env("MUSTER_FAIL_POINTS", format!("{point}=freeze"));
    let process = service.without_readiness().spawn().await;
    let file = format!("/proc/{}/stat", process.pid());
    wait_for("the process to stop", SOON, async || {
        let stat = std::fs::read_to_string(&file).ok()?;
        stat.rsplit(") ").next()?.starts_with('T').then_some(())
    })
    .await;
    process
}
