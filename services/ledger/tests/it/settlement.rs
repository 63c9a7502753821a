//! The settlement under locks, failures and outages: they delay only the transfers that they affect, and only until they end.

use testkit::{client, wait_for};

use crate::app::{App, SOON};

/// Returns the value of a metric without labels, or of the line that starts with this text; `None` before the first one.
pub(crate) async fn metric(app: &App, name: &str) -> Option<f64> {
    let url = format!("{}/metrics", app.process.admin_url());
    let text = client().get(url).send().await.unwrap().text().await.unwrap();
    text.lines().find_map(|line| line.strip_prefix(&format!("{name} "))?.parse().ok())
}

#[tokio::test]
async fn a_locked_account_delays_only_its_own_transfers() {
    let app = App::start().await;
    let (source, locked) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let (other, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let stall = app.stall().await;
    let delayed = app.accepted(&source, &locked, 1).await;
    let mut session = app.database.connect().await;
    let lock = session.transaction().await.unwrap();
    lock.execute("SELECT FROM accounts WHERE id = $1 FOR UPDATE", &[&locked.parse::<uuid::Uuid>().unwrap()])
        .await
        .unwrap();
    stall.end().await;

    app.paid(&other, &destination, 1).await;
    let pending = "SELECT count(*) FROM transfers WHERE state = 'pending'";
    assert_eq!(app.count(pending).await, 1, "the lock is still held");

    drop(lock);
    assert_eq!(app.settled(&delayed).await["state"], "succeeded");
}

#[tokio::test]
async fn a_transfer_that_cannot_be_read_does_not_block_the_others() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let (odd, destination_of_odd) = (app.open("CHF", true).await, app.open("CHF", false).await);
    let stall = app.stall().await;
    // A currency of a newer release.
    let newer = "\
ALTER TABLE accounts DISABLE TRIGGER USER; ALTER TABLE transfers DISABLE TRIGGER USER; INSERT INTO currencies VALUES ('EUX');
UPDATE accounts SET currency = 'EUX' WHERE currency = 'CHF'";
    app.database.connect().await.batch_execute(newer).await.unwrap();
    let insert = format!(
        "INSERT INTO transfers (id, tenant, source, destination, amount, currency, reference, state, version, created_at, updated_at)
         VALUES ('0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d13', 'acme', '{odd}', '{destination_of_odd}', 1, 'EUX', 'x', 'pending', 1, now(), now());
         INSERT INTO settlements (transfer_id, due_at) VALUES ('0197c1f2-6a0e-7c3e-9b55-0c1f0e5f2d13', now())"
    );
    app.database.connect().await.batch_execute(&insert).await.unwrap();
    stall.end().await;

    app.paid(&source, &destination, 1).await;
    let failed = "SELECT count(*) FROM settlements WHERE attempts >= 1";
    wait_for("the other one to be tried", SOON, async || (app.count(failed).await == 1).then_some(())).await;
    let postponed = metric(&app, "ledger_settlements_total{outcome=\"postponed\"}").await;
    assert!(postponed >= Some(1.0), "{postponed:?}");
}

#[tokio::test]
async fn the_oldest_pending_transfer_is_shown() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let stall = app.stall().await;
    let transfers =
        [app.accepted(&source, &destination, 1).await, app.accepted(&source, &destination, 2).await];
    wait_for("the transfers to be counted", SOON, async || {
        let old = metric(&app, "ledger_oldest_pending_seconds").await? > 0.5;
        (old && metric(&app, "ledger_pending_transfers").await? >= 2.0).then_some(())
    })
    .await;
    stall.end().await;
    for transfer in &transfers {
        app.settled(transfer).await;
    }
    wait_for("no transfer to be counted", SOON, async || {
        let oldest = metric(&app, "ledger_oldest_pending_seconds").await?;
        (oldest == 0.0 && metric(&app, "ledger_pending_transfers").await? == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sigterm_loses_no_accepted_transfer() {
    let mut app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let mut accepted = Vec::new();
    for _ in 0..10 {
        accepted.push(app.accepted(&source, &destination, 1).await);
    }
    assert!(app.process.terminate().await.success());
    app.process.restart().await;
    for transfer in &accepted {
        assert_eq!(app.settled(transfer).await["state"], "succeeded");
    }
    assert_eq!(app.balance(&destination).await, (10, 10));
    app.assert_sound().await;
}
