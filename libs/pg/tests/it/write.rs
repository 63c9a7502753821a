//! A writing statement without a transaction around it.

use pg::{Columns as _, Error};

use crate::{migrated, migrated_behind_proxy};

const UPSERT: &str = "INSERT INTO counters VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 \
    WHERE counters.value < 2 RETURNING value";

#[tokio::test]
async fn one_statement_commits_by_itself_and_returns_its_row() {
    let (pool, _database) = migrated().await;
    let mut values = Vec::new();
    for _ in 0..3 {
        let row = pg::write_opt(&pool, "upsert", UPSERT, &[&"a"]).await.unwrap();
        values.push(row.map(|row| row.column::<i32>("value").unwrap()));
    }
    assert_eq!(values, [Some(1), Some(2), None]);
    let refused = pg::write_opt(&pool, "bad", "INSERT INTO counters VALUES ('b', 100)", &[]).await;
    assert!(matches!(refused, Err(Error::Constraint { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_falls_silent_leaves_the_outcome_unknown() {
    let (proxy, pool, _database) = migrated_behind_proxy().await;
    pg::write_opt(&pool, "upsert", UPSERT, &[&"a"]).await.unwrap();
    proxy.black_hole();
    let unknown = pg::write_opt(&pool, "upsert", UPSERT, &[&"a"]).await;
    assert!(matches!(unknown, Err(Error::CommitUnknown(_))), "{unknown:?}");
    proxy.restore();
    pg::write_opt(&pool, "upsert", UPSERT, &[&"a"]).await.unwrap();
}
