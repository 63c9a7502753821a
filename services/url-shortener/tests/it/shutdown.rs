//! SIGTERM: requests in flight are finished, acknowledged links are stored, and the exit code is 0.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use testkit::wait_for;

use crate::service::Service;

const SOON: Duration = Duration::from_secs(90);

/// Waits until the service refuses new connections.
async fn refused(probe: RequestBuilder) {
    wait_for("new connections to be refused", SOON, async || {
        let again = probe.try_clone().expect("there is no body");
        again.send().await.is_err_and(|error| error.is_connect()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sigterm_waits_for_requests_in_flight() {
    const REQUESTS: u32 = 8;
    let mut service = Service::start_with_long_timeouts().await;

    let lock = service.database.connect().await;
    lock.batch_execute("BEGIN; LOCK TABLE links IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let requests: Vec<_> = (0..REQUESTS)
        .map(|n| {
            let request = service.put_request(&format!("in-flight-{n}"));
            tokio::spawn(request.json(&json!({"target": "https://example.com/"})).send())
        })
        .collect();
    wait_for("all requests to be in flight", SOON, async || {
        let in_flight = service.metric("http_server_requests_in_flight ").await;
        (in_flight >= f64::from(REQUESTS)).then_some(())
    })
    .await;

    let probe = service.request(Method::GET, "/");
    let (exit, answers) = tokio::join!(service.process.terminate(), async {
        refused(probe).await;
        lock.batch_execute("COMMIT").await.unwrap();
        join_all(requests).await
    });

    for answer in answers {
        assert_eq!(answer.unwrap().unwrap().status(), StatusCode::CREATED);
    }
    assert!(exit.success(), "{exit}");
}

/// Puts links until the service has stopped, and returns the acknowledged ones.
async fn put_until_gone(
    http: reqwest::Client,
    links_url: String,
    token: String,
    client: usize,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    loop {
        let code = format!("load-{client}-{}", acknowledged.len());
        let request = http.put(format!("{links_url}/{code}")).bearer_auth(&token);
        let Ok(answer) = request.json(&json!({"target": "https://example.com/"})).send().await else {
            return acknowledged;
        };
        assert_eq!(answer.status(), StatusCode::CREATED, "no request is answered with a failure");
        acknowledged.push(code);
    }
}

#[tokio::test]
async fn sigterm_under_load_stores_exactly_the_acknowledged_links() {
    const CLIENTS: usize = 8;
    let mut service = Service::start_with_long_timeouts().await;
    let links_url = format!("{}/v1/links", service.process.http_url());
    let token = service.token("acme", &["links:write"]);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| tokio::spawn(put_until_gone(service.http.clone(), links_url.clone(), token.clone(), n)))
        .collect();
    wait_for("some load", SOON, async || {
        (service.metric("url_shortener_puts_total").await > 100.0).then_some(())
    })
    .await;

    let exit = service.process.terminate().await;

    assert!(exit.success(), "{exit}");
    let acknowledged = join_all(clients).await.into_iter().flat_map(Result::unwrap).collect();
    let database = service.database.connect().await;
    let rows = database.query("SELECT code FROM links", &[]).await.unwrap();
    let stored: BTreeSet<String> = rows.iter().map(|row| row.get("code")).collect();
    assert_eq!(stored, acknowledged);
}
