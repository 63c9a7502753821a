//! Shows how many transfers are pending, and for how long.

use std::{error::Error as StdError, time::Duration};

use chrono::Utc;
use pg::Pool;
use tokio_util::sync::CancellationToken;

use crate::{metrics, store};

/// Interval between two counts. A count reads the pending transfers only.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts until `stop`. While the database does not answer, `ledger_pending_observed_timestamp_seconds` does not change.
pub(crate) async fn watch(pool: Pool, stop: CancellationToken) {
    loop {
        match store::settlements::count(&pool).await {
            Ok(backlog) => metrics::observe_backlog(&backlog, Utc::now()),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn StdError,
                    "pending transfers cannot be counted, trying again"
                );
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return;
        }
    }
}
