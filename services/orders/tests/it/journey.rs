//! Counts of late orders, also across a restart, and of events that wait.

use testkit::{client, wait_for};

use crate::app::{App, Parts, SOON, id, order};

/// The value of a metric without labels.
async fn metric(app: &App, name: &str) -> Option<f64> {
    let url = format!("{}/metrics", app.process.admin_url());
    let text = client().get(url).send().await.ok()?.text().await.ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

async fn due_and_late(app: &App, due: f64, late: f64) {
    wait_for(&format!("{due} orders to be due and {late} of them late"), SOON, async || {
        let counted =
            (metric(app, "orders_journey_due_total").await?, metric(app, "orders_journey_late_total").await?);
        (counted == (due, late)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_stuck_counts_as_late_once() {
    let parts = Parts::make().await;
    let process = parts.service().env("ORDERS_FINAL_WITHIN_S", "1").spawn().await;
    let mut app = parts.with(process);
    let quick = app.place(&order("TEA", 1)).await;
    app.settled(id(&quick)).await;
    due_and_late(&app, 1.0, 0.0).await;

    let mut other = app.database.connect().await;
    let lock = other.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE stock IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    let hung = app.place(&order("TEA", 1)).await;
    due_and_late(&app, 2.0, 1.0).await;
    assert_eq!(metric(&app, "orders_unfinished").await, Some(1.0));
    assert_eq!(metric(&app, "orders_overdue").await, Some(1.0));
    assert!(metric(&app, "orders_oldest_unfinished_seconds").await.unwrap() >= 1.0);

    // Without a catalogue, because its products would wait for the lock.
    app.process.remove_env("ORDERS_CATALOGUE_FILE");
    app.process.kill().await;
    app.process.restart().await;
    due_and_late(&app, 1.0, 1.0).await;

    drop(lock);
    app.settled(id(&hung)).await;
    wait_for("nothing to wait", SOON, async || {
        let age = metric(&app, "orders_oldest_unfinished_seconds").await?;
        let (unfinished, overdue) =
            (metric(&app, "orders_unfinished").await?, metric(&app, "orders_overdue").await?);
        ((unfinished, overdue, age) == (0.0, 0.0, 0.0)).then_some(())
    })
    .await;
    due_and_late(&app, 1.0, 1.0).await;
    let now = chrono::Utc::now().timestamp();
    let observed = metric(&app, "orders_journey_observed_timestamp_seconds").await.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let age = now as f64 - observed;
    assert!(age.abs() < 30.0, "{age}");
}

#[tokio::test]
async fn a_backlog_that_cannot_be_measured_is_logged_and_the_time_of_its_measurement_stands_still() {
    let parts = Parts::make().await;
    let process = parts.service().spawn().await;
    let app = parts.with(process);
    let observed = async || metric(&app, "outbox_observed_timestamp_seconds").await;
    let failures = async |n_failures: usize| {
        wait_for(&format!("{n_failures} failed measurements"), SOON, async || {
            let logs = app.process.logs();
            let failed = logs.matches("the backlog of the outbox cannot be measured").count();
            (failed >= n_failures).then_some(())
        })
        .await;
    };

    let mut other = app.database.connect().await;
    let lock = other.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE outbox_bucket IN ACCESS EXCLUSIVE MODE").await.unwrap();
    failures(1).await;
    let before = observed().await.expect("the time of the last measurement");
    failures(2).await;
    assert_eq!(observed().await, Some(before));

    drop(lock);
    wait_for("a measurement", SOON, async || observed().await.filter(|now| *now > before)).await;
}
