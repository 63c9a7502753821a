//! Partitions of the table: made ahead of time, and dropped a day after their end when all of their events are published.

use std::{error::Error as StdError, time::Duration};

use pg::{Columns as _, Error, Pool};

/// Interval of checks. A partition exists three days before its first row.
const INTERVAL: Duration = Duration::from_mins(1);

const CREATE: &str = "SELECT outbox_create_partitions()";

/// Partitions stay for a day after their end, so that a person can look up what was published.
const DROP: &str = "SELECT outbox_drop_partition(clock_timestamp() - interval '1 day')";

/// Runs until it is dropped. A failure, such as a lock that a long transaction holds, is logged and tried again.
pub(crate) async fn run(pool: &Pool) {
    loop {
        if let Err(error) = maintain(pool).await {
            tracing::warn!(
                error = &error as &dyn StdError,
                "the partitions of the outbox are not maintained"
            );
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn maintain(pool: &Pool) -> Result<(), Error> {
    pg::write_opt(pool, "outbox_create_partitions", CREATE, &[]).await?;
    loop {
        let row = pg::write_opt(pool, "outbox_drop_partition", DROP, &[]).await?;
        let dropped: Option<String> = row.map(|row| row.column(0)).transpose()?.flatten();
        let Some(partition) = dropped else { return Ok(()) };
        tracing::info!(partition, "dropped a partition of the outbox");
    }
}
