//! SIGTERM during requests.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use testkit::wait_for;

use crate::app::{App, id, order};

#[tokio::test]
async fn sigterm_loses_no_accepted_order_and_the_process_exits_cleanly() {
    let mut app = App::start().await;
    let (accepted, other) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let (stop, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    let url = app.url("/v1/orders");
    let token = app.token();
    let client_loop = async |client: u32| {
        let http = testkit::client();
        while !stop.load(Ordering::Relaxed) {
            let key = format!("{client}-{}", sent.fetch_add(1, Ordering::Relaxed));
            let request =
                http.post(&url).bearer_auth(&token).header("Idempotency-Key", key).json(&order("TEA", 1));
            match request.send().await {
                Ok(response) if response.status() == StatusCode::ACCEPTED => {
                    let order: Value = response.json().await.expect("an answer that began is finished");
                    accepted.lock().unwrap().push(id(&order).to_owned());
                }
                Ok(response) => other.lock().unwrap().push(response.status()),
                // The listener is closed. The test checks below that none of these requests had an effect.
                Err(_) => return,
            }
        }
    };
    let load = join_all((0..8).map(client_loop));
    let terminate = async {
        wait_for("load", Duration::from_secs(30), async || {
            (accepted.lock().unwrap().len() > 50).then_some(())
        })
        .await;
        let status = app.process.terminate().await;
        stop.store(true, Ordering::Relaxed);
        status
    };
    let (_, status) = tokio::join!(load, terminate);

    assert!(status.success(), "{status}");
    assert_eq!(*other.lock().unwrap(), Vec::<StatusCode>::new(), "every answer is an acceptance");
    app.process.restart().await;
    let accepted = accepted.into_inner().unwrap();
    let stored = app.count("SELECT count(*) FROM orders").await;
    assert_eq!(stored, i64::try_from(accepted.len()).unwrap(), "every stored order was acknowledged");
    let settled = join_all(accepted.iter().map(|id| app.settled(id))).await;
    assert!(settled.iter().all(|order| order["state"] == "confirmed"));
}
