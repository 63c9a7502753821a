//! More clients than the database can serve, all of which repeat their request until it is accepted, as `Retry-After` says.

use std::time::Duration;

use futures::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use testkit::client;
use uuid::Uuid;

use crate::app::{App, Parts, order};

const N_CLIENTS: usize = 600;

/// Connections to the database, and how long each order holds one: about forty orders per second.
const POOL_SIZE: &str = "4";
const SLOW_INSERT: &str = "
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION slow()";

/// A client gives up after this time; the orders need fifteen seconds.
const PATIENCE: Duration = Duration::from_mins(3);

/// What one client sent until its order was accepted.
#[derive(Default)]
struct Sent {
    n_requests: usize,
    /// Requests that were admitted, and answered with 503 because there was no connection to the database in time.
    n_in_vain: usize,
}

async fn place_until_accepted(client: &Client, app: &App, token: &str) -> Sent {
    let (key, mut sent) = (Uuid::new_v4().to_string(), Sent::default());
    loop {
        let request = client.post(app.url("/v1/orders")).bearer_auth(token).header("Idempotency-Key", &key);
        let response = request.json(&order("TEA", 1)).send().await.unwrap();
        sent.n_requests += 1;
        if response.status() == StatusCode::ACCEPTED {
            return sent;
        }
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let pause = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        let body: Value = response.json().await.unwrap();
        sent.n_in_vain += usize::from(body["code"] != "overloaded");
        tokio::time::sleep(Duration::from_secs(pause)).await;
    }
}

#[tokio::test]
async fn every_client_is_served_in_turn_and_few_requests_are_in_vain() {
    let parts = Parts::make().await;
    let process = parts.service().env("DATABASE_POOL_SIZE", POOL_SIZE).spawn().await;
    let app = parts.with(process);
    app.database.connect().await.batch_execute(SLOW_INSERT).await.unwrap();

    let (client, token) = (client(), app.token());
    let clients = join_all((0..N_CLIENTS).map(|_| place_until_accepted(&client, &app, &token)));
    let sent = tokio::time::timeout(PATIENCE, clients).await.expect("every client is served");

    assert_eq!(app.count("SELECT count(*) FROM orders").await, i64::try_from(N_CLIENTS).unwrap());
    let n_requests: usize = sent.iter().map(|sent| sent.n_requests).sum();
    let n_in_vain: usize = sent.iter().map(|sent| sent.n_in_vain).sum();
    let summary =
        format!("{N_CLIENTS} orders took {n_requests} requests, of which {n_in_vain} were admitted in vain");
    // The first wave is in vain, because nothing has failed yet; with a fixed limit each wave is.
    assert!(n_in_vain < 2 * N_CLIENTS, "{summary}");
    assert!(n_requests < 6 * N_CLIENTS, "{summary}");
}
