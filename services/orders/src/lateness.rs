//! Counts late orders for the objective `final`: how many orders are due, and how many of them are late.
//!
//! An order is due when it reaches the age at which it should be final, and counts once, in that second. So an order that never becomes
//! final counts as late too. Every replica counts every order; use only the ratio of the counters.

use std::{error::Error as StdError, time::Duration};

use chrono::{DateTime, Utc};
use pg::Pool;
use tokio_util::sync::CancellationToken;

use crate::{metrics, store};

/// Interval between two counts: short enough for a drill.
const INTERVAL: Duration = Duration::from_secs(1);

/// How far back the first count of a process goes: longer than a restart, and not so long that it reads all orders since one that never ends.
const FIRST_RANGE: chrono::Duration = chrono::Duration::minutes(10);

pub(crate) struct LatenessMonitor {
    pub(crate) pool: Pool,
    pub(crate) final_within: chrono::Duration,
}

impl LatenessMonitor {
    /// Runs until `stop`. While the database does not answer, `orders_journey_observed_timestamp_seconds` does not change. Orders that
    /// become due meanwhile are counted later.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut counted_until = None;
        loop {
            match self.count(counted_until).await {
                Ok(until) => counted_until = Some(until),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn StdError,
                        "late orders cannot be counted, trying again"
                    );
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    /// Counts the orders that became due after `counted_until`, and returns the time of this count.
    ///
    /// The first count of a process starts at the oldest unfinished order of the last ten minutes, so an order that waited through a restart is late.
    async fn count(&self, counted_until: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, pg::Error> {
        let due_until = Utc::now() - self.final_within;
        let unfinished = store::process::count_unfinished(&self.pool, due_until).await?;
        let now = Utc::now();
        let from = counted_until.unwrap_or_else(|| {
            let oldest = unfinished.oldest.unwrap_or(due_until);
            oldest.clamp(due_until - FIRST_RANGE, due_until)
        });
        let counted = store::process::count_due(&self.pool, from, due_until, self.final_within).await?;
        metrics::observe_lateness(&unfinished, &counted, now);
        Ok(due_until.max(from))
    }
}
