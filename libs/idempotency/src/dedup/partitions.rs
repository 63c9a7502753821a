//! Partitions of tables with a row for each event: made ahead of time, and dropped after the retention.

use std::{error::Error as StdError, time::Duration};

use pg::{Columns as _, Error, Pool};

/// Interval of checks. A partition exists three days before its first event.
const INTERVAL: Duration = Duration::from_mins(1);

const CREATE: &str = "SELECT create_event_partitions($1, $2)";

const DROP: &str = "SELECT drop_event_partition($1, make_interval(secs => $2))";

/// A table that was split by the SQL function `partition_events_by_day`.
#[derive(Clone, Copy, Debug)]
pub struct Partitions {
    /// The name of the table.
    pub table: &'static str,
    /// Storage parameters of each partition, such as `fillfactor = 80`.
    pub storage: &'static str,
    /// A partition is dropped this long after the end of its day. Choose it longer than the broker or a dead letter can redeliver an event.
    pub retention: Duration,
}

impl Partitions {
    /// The partitions of `processed_events`.
    pub const fn processed_events(retention: Duration) -> Self {
        Self { table: "processed_events", storage: "fillfactor = 100", retention }
    }

    /// Maintains the partitions until it is dropped. A failure, such as a lock that a long transaction holds, is logged and tried again after a
    /// minute: rows without a partition go to the default one.
    pub async fn run(self, pool: &Pool) {
        loop {
            if let Err(error) = self.maintain(pool).await {
                tracing::warn!(
                    error = &error as &dyn StdError,
                    table = self.table,
                    "the partitions are not maintained"
                );
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn maintain(self, pool: &Pool) -> Result<(), Error> {
        pg::write_opt(pool, "create_event_partitions", CREATE, &[&self.table, &self.storage]).await?;
        let retention = self.retention.as_secs_f64();
        loop {
            let row = pg::write_opt(pool, "drop_event_partition", DROP, &[&self.table, &retention]).await?;
            let dropped: Option<String> = row.map(|row| row.column(0)).transpose()?.flatten();
            let Some(partition) = dropped else { return Ok(()) };
            tracing::info!(partition, "dropped a partition");
        }
    }
}
