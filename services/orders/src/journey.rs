//! Counts what the objective `final` is about: orders that have reached the age at which they should be final, and those that were not.
//!
//! An order counts when it reaches that age and not when it is final: one that never is counts all the same, in the minute in which
//! it becomes late. Every replica counts every order, so only the ratio of the counters means something.

use std::{error::Error as StdError, time::Duration};

use chrono::{DateTime, Utc};
use pg::Pool;
use tokio_util::sync::CancellationToken;

use crate::{metrics, store};

/// How often orders are counted: often enough for a drill, and one short look at the newest orders.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts the orders of one database.
pub(crate) struct Journey {
    pub(crate) pool: Pool,
    /// The age at which an order should be final.
    pub(crate) final_within: chrono::Duration,
}

impl Journey {
    /// Runs until `stop`. While the database does not answer, `orders_journey_observed_timestamp_seconds` stands still, and what becomes
    /// due meanwhile is counted afterwards.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut horizon = None;
        loop {
            match self.observe(horizon).await {
                Ok(counted_up_to) => horizon = Some(counted_up_to),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn StdError,
                        "late orders cannot be counted, trying again"
                    );
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    /// Counts the orders that became due since the horizon, and returns the next one.
    ///
    /// Without one, which is at the start of the process, the count begins at the oldest unfinished order: what waited through a restart is late.
    async fn observe(&self, horizon: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, pg::Error> {
        let due_until = Utc::now() - self.final_within;
        let unfinished = store::journey::unfinished(&self.pool, due_until).await?;
        let now = Utc::now();
        let from =
            horizon.unwrap_or_else(|| unfinished.oldest.map_or(due_until, |oldest| oldest.min(due_until)));
        let counted = store::journey::due(&self.pool, from, due_until, self.final_within).await?;
        metrics::observe_journey(&metrics::Journey {
            due: counted.due,
            late: counted.late,
            unfinished: unfinished.count,
            overdue: unfinished.overdue,
            oldest: unfinished.oldest.map_or(Duration::ZERO, |at| (now - at).to_std().unwrap_or_default()),
            at: now,
        });
        Ok(due_until.max(from))
    }
}
