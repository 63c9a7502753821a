//! Taking transfers back.

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use crate::app::{App, new_key};

#[tokio::test]
async fn a_reversal_moves_the_amount_back_and_marks_the_transfer() {
    let app = App::start().await;
    let (source, destination) = (app.funded(500).await, app.open("EUR", false).await);
    let original = app.paid(&source, &destination, 300).await;
    let stall = app.stall().await;

    let reversal = app.reverse(&original, &new_key()).await;

    assert_eq!(reversal.status, StatusCode::ACCEPTED, "{reversal:?}");
    let id = reversal.id();
    assert_eq!(reversal.header("location"), format!("/v1/transfers/{id}"));
    assert_eq!(reversal.body["reverses"], json!(original));
    assert_eq!(
        (&reversal.body["source"], &reversal.body["destination"]),
        (&json!(destination), &json!(source))
    );
    assert_eq!(reversal.body["amount"], json!({ "value": 300, "currency": "EUR" }));
    assert_eq!(app.settled(&original).await["state"], "succeeded", "until the reversal is posted");
    assert_eq!(app.balance(&destination).await, (300, 0));

    stall.end().await;
    assert_eq!(app.settled(&id).await["state"], "succeeded");
    assert_eq!(app.settled(&original).await["state"], "reversed");
    assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((500, 500), (0, 0)));
    app.assert_sound().await;
}

#[tokio::test]
async fn a_transfer_is_reversed_at_most_once() {
    let app = App::start().await;
    let (source, destination) = (app.funded(500).await, app.funded(500).await);
    let original = app.paid(&source, &destination, 300).await;

    let keys: Vec<String> = (0..8).map(|_| new_key()).collect();
    let answers = join_all(keys.iter().map(|key| app.reverse(&original, key))).await;

    let (accepted, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == StatusCode::ACCEPTED);
    let [accepted] = accepted.as_slice() else { panic!("{accepted:?}") };
    for answer in refused {
        answer.assert_error(409, "already_reversed", &[]);
    }
    app.settled(&accepted.id()).await;
    app.reverse(&original, &new_key()).await.assert_error(409, "already_reversed", &[]);
    assert_eq!((app.balance(&source).await, app.balance(&destination).await), ((500, 500), (500, 500)));
}

#[tokio::test]
async fn only_a_succeeded_transfer_is_reversed_and_no_reversal() {
    let app = App::start().await;
    let (source, destination) = (app.funded(500).await, app.open("EUR", false).await);
    let stall = app.stall().await;
    let pending = app.accepted(&source, &destination, 300).await;
    app.reverse(&pending, &new_key()).await.assert_error(409, "not_reversible", &[]);
    app.set_state(&destination, "frozen").await;
    stall.end().await;
    assert_eq!(app.settled(&pending).await["state"], "failed");
    app.reverse(&pending, &new_key()).await.assert_error(409, "not_reversible", &[]);

    app.set_state(&destination, "open").await;
    let succeeded = app.paid(&source, &destination, 300).await;
    let reversal = app.reverse(&succeeded, &new_key()).await.id();
    app.settled(&reversal).await;
    app.reverse(&reversal, &new_key()).await.assert_error(409, "not_reversible", &[]);
}

#[tokio::test]
async fn a_reversal_needs_funds_and_open_accounts() {
    let app = App::start().await;
    let (source, destination) = (app.funded(500).await, app.open("EUR", false).await);
    let original = app.paid(&source, &destination, 300).await;
    let spent = app.paid(&destination, &source, 1).await;
    app.reverse(&original, &new_key()).await.assert_error(409, "insufficient_funds", &[]);
    let returned = app.reverse(&spent, &new_key()).await.id();
    app.settled(&returned).await;

    app.set_state(&source, "frozen").await;
    app.reverse(&original, &new_key()).await.assert_error(409, "account_frozen", &["/destination"]);
}

#[tokio::test]
async fn another_reversal_can_follow_one_that_failed() {
    let app = App::start().await;
    let (source, destination) = (app.funded(500).await, app.open("EUR", false).await);
    let original = app.paid(&source, &destination, 300).await;
    let stall = app.stall().await;
    let failed = app.reverse(&original, &new_key()).await.id();
    app.set_state(&source, "frozen").await;
    stall.end().await;
    assert_eq!(app.settled(&failed).await["state"], "failed");
    assert_eq!(app.settled(&original).await["state"], "succeeded");

    app.set_state(&source, "open").await;
    let second = app.reverse(&original, &new_key()).await.id();
    assert_eq!(app.settled(&second).await["state"], "succeeded");
    assert_eq!(app.settled(&original).await["state"], "reversed");
    app.assert_sound().await;
}
