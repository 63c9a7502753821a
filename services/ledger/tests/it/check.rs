//! `ledger check`: it finds every kind of break, and no other.

use serde_json::Value;

use crate::app::App;

/// The breaks in the log of a check, as kind, expected and found.
fn breaks(app: &App) -> (Option<i32>, Vec<(String, i64, i64)>) {
    let checked = app.check();
    let log = String::from_utf8(checked.stdout).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let breaks = lines.filter(|line| line.to_string().contains("the ledger has a break")).map(|line| {
        let field = |name: &str| line.get(name).unwrap_or(&line["fields"][name]).clone();
        let number = |name: &str| field(name).as_i64().unwrap();
        (field("kind").as_str().unwrap().to_owned(), number("expected"), number("found"))
    });
    (checked.status.code(), breaks.collect())
}

/// Makes a ledger with a transfer of 300 that succeeded, one of 200 that was reversed, and one of 100 that is pending.
async fn ledger() -> (App, crate::app::Stall) {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    app.paid(&source, &destination, 300).await;
    let reversed = app.paid(&source, &destination, 200).await;
    let reversal = app.reverse(&reversed, "reversal").await.id();
    app.settled(&reversal).await;
    let stall = app.stall().await;
    app.accepted(&source, &destination, 100).await;
    (app, stall)
}

#[tokio::test]
async fn a_ledger_without_a_break_passes() {
    let (app, stall) = ledger().await;
    assert_eq!(breaks(&app), (Some(0), vec![]));
    stall.end().await;
    app.assert_sound().await;
}

#[tokio::test]
async fn every_kind_of_break_is_found() {
    let (mut app, stall) = ledger().await;
    // Nothing repairs or hides the damage.
    app.process.kill().await;
    stall.end().await;
    let session = app.database.connect().await;
    for table in ["accounts", "transfers", "postings"] {
        session.batch_execute(&format!("ALTER TABLE {table} DISABLE TRIGGER USER")).await.unwrap();
    }
    for (damage, repair, expected) in [
        (
            "UPDATE accounts SET posted = posted + 1 WHERE posted = 300",
            "UPDATE accounts SET posted = posted - 1 WHERE posted = 301",
            vec![("balance", 300, 301)],
        ),
        (
            "UPDATE accounts SET held = held + 1 WHERE held = 100",
            "UPDATE accounts SET held = held - 1 WHERE held = 101",
            vec![("hold", 100, 101)],
        ),
        (
            "UPDATE accounts SET incoming = 1 WHERE held = 100",
            "UPDATE accounts SET incoming = 0 WHERE held = 100",
            vec![("incoming", 0, 1)],
        ),
        (
            "UPDATE postings SET amount = 299 WHERE amount = 300",
            "UPDATE postings SET amount = 300 WHERE amount = 299",
            vec![("balance", 299, 300), ("postings", 2, 1), ("unbalanced", 0, -1)],
        ),
        (
            "UPDATE transfers SET state = 'failed', failure_reason = 'account_frozen' WHERE amount = 300",
            "UPDATE transfers SET state = 'succeeded', failure_reason = NULL WHERE amount = 300",
            vec![("postings", 0, 2)],
        ),
        (
            "UPDATE transfers SET state = 'succeeded' WHERE state = 'reversed'",
            "UPDATE transfers SET state = 'reversed' WHERE amount = 200 AND reverses IS NULL",
            vec![("reversal", 0, 1)],
        ),
        (
            "UPDATE settlements SET transfer_id = (SELECT id FROM transfers WHERE amount = 300)",
            "UPDATE settlements SET transfer_id = (SELECT id FROM transfers WHERE amount = 100)",
            vec![("settlement", 0, 1), ("settlement", 1, 0)],
        ),
    ] {
        session.batch_execute(damage).await.unwrap();
        let (code, found) = breaks(&app);
        let mut found: Vec<_> =
            found.iter().map(|(kind, expected, found)| (kind.as_str(), *expected, *found)).collect();
        found.sort_unstable();
        assert_eq!((code, found), (Some(1), expected), "{damage}");
        session.batch_execute(repair).await.unwrap();
        assert_eq!(breaks(&app), (Some(0), vec![]), "{repair}");
    }
}
