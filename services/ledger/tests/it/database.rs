//! What the database refuses, independent of the service.

use tokio_postgres::{Client, Error};
use uuid::Uuid;

use crate::app::{App, new_key};

/// A session, and a transfer that succeeded: its id, source and destination.
async fn with_transfer() -> (App, Client, [Uuid; 3]) {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let transfer = app.paid(&source, &destination, 300).await;
    let session = app.database.connect().await;
    let ids = [&transfer, &source, &destination].map(|id| id.parse().unwrap());
    (app, session, ids)
}

fn constraint(error: &Error) -> &str {
    error.as_db_error().and_then(|error| error.constraint()).unwrap_or_else(|| panic!("{error:?}"))
}

async fn refused_by(session: &Client, statement: &str) -> String {
    let error = session.batch_execute(statement).await.unwrap_err();
    session.batch_execute("ROLLBACK").await.unwrap();
    constraint(&error).to_owned()
}

#[tokio::test]
async fn postings_never_change() {
    let (app, session, _) = with_transfer().await;
    for statement in [
        "UPDATE postings SET amount = amount * 2",
        "UPDATE postings SET created_at = now() WHERE false",
        "DELETE FROM postings",
        "TRUNCATE postings",
    ] {
        assert_eq!(refused_by(&session, statement).await, "postings_are_append_only", "{statement}");
    }
    app.assert_sound().await;
}

/// Inserts a posting of a transfer.
async fn post(session: &Client, transfer: Uuid, account: Uuid, amount: i64) {
    const INSERT: &str = "\
INSERT INTO postings (id, transfer_id, account_id, tenant, amount, currency, created_at)
SELECT gen_random_uuid(), $1, id, tenant, $3, currency, now() FROM accounts WHERE id = $2";
    assert_eq!(session.execute(INSERT, &[&transfer, &account, &amount]).await.unwrap(), 1);
}

#[tokio::test]
async fn unbalanced_postings_cannot_commit() {
    let (app, session, [transfer, ..]) = with_transfer().await;
    let other: Uuid = app.open("EUR", false).await.parse().unwrap();

    session.batch_execute("BEGIN").await.unwrap();
    post(&session, transfer, other, 1).await;
    let error = session.batch_execute("COMMIT").await.unwrap_err();
    assert_eq!(constraint(&error), "postings_sum_to_zero");
    assert_eq!(app.count("SELECT count(*) FROM postings").await, 2);

    // The sum counts at COMMIT only: the first of two postings is not refused.
    let another: Uuid = app.open("EUR", false).await.parse().unwrap();
    session.batch_execute("BEGIN").await.unwrap();
    post(&session, transfer, other, 1).await;
    post(&session, transfer, another, -1).await;
    session.batch_execute("COMMIT").await.unwrap();
    assert_eq!(app.count("SELECT count(*) FROM postings").await, 4);
}

#[tokio::test]
async fn illegal_changes_of_transfers_are_refused() {
    let (_app, session, _) = with_transfer().await;
    for (change, constraint) in [
        ("state = 'pending', version = version + 1", "transfers_legal_transition"),
        ("state = 'failed', failure_reason = 'x', version = version + 1", "transfers_legal_transition"),
        ("state = 'reversed'", "transfers_next_version"),
        ("state = 'reversed', version = version + 1, amount = 1", "transfers_immutable_facts"),
        ("state = 'reversed', version = version + 1, reverses = id", "transfers_immutable_facts"),
    ] {
        let statement = format!("UPDATE transfers SET {change}");
        assert_eq!(refused_by(&session, &statement).await, constraint, "{change}");
    }
}

#[tokio::test]
async fn illegal_changes_of_accounts_are_refused() {
    let (app, session, _) = with_transfer().await;
    let closed = app.open("CHF", false).await;
    app.set_state(&closed, "closed").await;
    for (change, which, constraint) in [
        ("currency = 'CHF'", "posted > 0", "accounts_immutable_facts"),
        ("may_overdraw = true", "posted > 0", "accounts_immutable_facts"),
        ("tenant = 'globex'", "posted > 0", "accounts_immutable_facts"),
        ("held = posted + 1", "posted > 0", "accounts_available_is_not_negative"),
        ("incoming = 9007199254740991", "posted > 0", "accounts_incoming_has_room"),
        ("state = 'closed'", "posted > 0", "accounts_closed_is_empty"),
        ("state = 'open'", "state = 'closed'", "accounts_closed_is_final"),
        ("posted = 1", "state = 'closed'", "accounts_closed_is_final"),
    ] {
        let statement = format!("UPDATE accounts SET {change} WHERE {which}");
        assert_eq!(refused_by(&session, &statement).await, constraint, "{change}");
    }
}

#[tokio::test]
async fn a_transfer_stays_inside_one_tenant_and_one_currency() {
    let (app, session, [_, source, destination]) = with_transfer().await;
    let theirs: Uuid = app.open_of("globex", "EUR", false).await.parse().unwrap();
    let francs: Uuid = app.open("CHF", false).await.parse().unwrap();
    let insert = |source: Uuid, destination: Uuid| {
        format!(
            "INSERT INTO transfers (id, tenant, source, destination, amount, currency, reference, state, version, created_at, updated_at)
             VALUES ('{}', 'acme', '{source}', '{destination}', 1, 'EUR', 'x', 'pending', 1, now(), now())",
            new_key()
        )
    };
    for (source, destination, constraint) in [
        (source, theirs, "transfers_destination_fits"),
        (theirs, destination, "transfers_source_fits"),
        (francs, destination, "transfers_source_fits"),
        (source, source, "transfers_of_two_accounts"),
    ] {
        assert_eq!(refused_by(&session, &insert(source, destination)).await, constraint);
    }
}
