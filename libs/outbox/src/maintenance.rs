//! Partitions of the table: made three days ahead, and dropped a day after their end when all of their events are published.

use pg::{Partitions, Pool, Statement};

const CREATE: &str = "SELECT outbox_create_partitions()";

/// Partitions stay for a day after their end, so that a person can look up what was published.
const DROP: &str = "SELECT outbox_drop_partition(clock_timestamp() - interval '1 day')";

/// Runs until it is dropped.
pub(crate) async fn run(pool: &Pool) {
    let create = Statement { name: "outbox_create_partitions", sql: CREATE, params: &[] };
    let drop = Statement { name: "outbox_drop_partition", sql: DROP, params: &[] };
    pg::run_partitions(pool, Partitions { table: "outbox", create, drop }).await;
}
