//! Partitions of tables with a row for each event: made three days ahead, and dropped after the retention.

use std::time::Duration;

use pg::{Pool, Statement};

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

    /// Maintains the partitions until it is dropped ([`pg::run_partitions`]).
    pub async fn run(self, pool: &Pool) {
        let Self { table, storage, retention } = self;
        let retention = retention.as_secs_f64();
        let create = Statement { name: "create_event_partitions", sql: CREATE, params: &[&table, &storage] };
        let drop = Statement { name: "drop_event_partition", sql: DROP, params: &[&table, &retention] };
        pg::run_partitions(pool, pg::Partitions { table, create, drop }).await;
    }
}
