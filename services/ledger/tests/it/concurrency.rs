//! Many transfers of the same accounts at the same time.

use futures::future::join_all;
use reqwest::StatusCode;
use testkit::{client, wait_for};

use crate::app::{App, SOON, new_key, transfer};

/// Sends a transfer until the service accepts or refuses it; returns whether it is accepted. A full pool asks for a retry.
async fn decided(app: &App, base_url: &str, source: &str, destination: &str, amount: i64) -> bool {
    let (key, body) = (new_key(), transfer(source, destination, amount));
    let token = app.keys.token("acme", &["transfers:write"]);
    wait_for("the transfer to be decided", SOON, async || {
        let request = client().post(format!("{base_url}/v1/transfers")).bearer_auth(&token);
        let response = request.header("Idempotency-Key", &key).json(&body).send().await.unwrap();
        match response.status() {
            StatusCode::ACCEPTED => Some(true),
            StatusCode::CONFLICT if !response.headers().contains_key("retry-after") => Some(false),
            status => {
                assert!(response.headers().contains_key("retry-after"), "{status}");
                None
            }
        }
    })
    .await
}

/// Waits until no transfer is pending.
async fn all_settled(app: &App) {
    let pending = "SELECT count(*) FROM transfers WHERE state = 'pending'";
    wait_for("all transfers to be settled", SOON, async || (app.count(pending).await == 0).then_some(()))
        .await;
}

#[tokio::test]
async fn concurrent_transfers_never_overdraw_an_account() {
    let app = App::start().await;
    let replica = app.replica().await;
    let (source, destination) = (app.funded(1_000).await, app.open("EUR", false).await);
    let urls = [app.process.http_url(), replica.http_url()];

    let decisions = (0..30).map(|number| decided(&app, &urls[number % 2], &source, &destination, 100));
    let n_accepted = join_all(decisions).await.into_iter().filter(|accepted| *accepted).count();

    assert_eq!(n_accepted, 10);
    all_settled(&app).await;
    assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((0, 0), (1_000, 1_000)));
    app.assert_sound().await;
}

#[tokio::test]
async fn opposite_transfers_in_parallel_all_succeed() {
    let app = App::start().await;
    let replica = app.replica().await;
    let (one, other) = (app.funded(1_000).await, app.funded(1_000).await);
    let urls = [app.process.http_url(), replica.http_url()];

    let decisions = (0..40).map(|number| {
        let (source, destination) = if number % 4 < 2 { (&one, &other) } else { (&other, &one) };
        decided(&app, &urls[number % 2], source, destination, 10)
    });
    assert!(join_all(decisions).await.into_iter().all(|accepted| accepted));

    all_settled(&app).await;
    assert_eq!(
        app.count("SELECT count(*) FROM transfers WHERE state = 'succeeded' AND amount = 10").await,
        40
    );
    assert_eq!((app.balance(&one).await, app.balance(&other).await), ((1_000, 1_000), (1_000, 1_000)));
    app.assert_sound().await;
}

#[tokio::test]
async fn an_account_is_not_closed_beside_a_new_transfer() {
    let app = App::start().await;
    for _ in 0..8 {
        let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
        let (transfer, closed) =
            tokio::join!(app.transfer(&source, &destination, 10), app.set_state(&destination, "closed"));
        match (transfer.status, closed.status) {
            (StatusCode::ACCEPTED, StatusCode::CONFLICT) => {
                assert_eq!(app.settled(&transfer.id()).await["state"], "succeeded");
            }
            (StatusCode::CONFLICT, StatusCode::OK) => {
                assert_eq!(transfer.body["code"], "account_closed");
            }
            _ => panic!("{transfer:?} {closed:?}"),
        }
    }
    app.assert_sound().await;
}
