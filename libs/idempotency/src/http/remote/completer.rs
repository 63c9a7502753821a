//! The worker that finishes what nobody asks for any more: its owner died, and its client gave up.

use std::{error::Error, sync::Arc};

use backon::{BackoffBuilder as _, ConstantBuilder};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Operation, Remote, store};
use crate::metrics;

impl<O: Operation> Remote<O> {
    /// Takes over operations whose lease has passed, until `stop`; then waits for those in hand, each of which is bounded by
    /// the longest time of an attempt. What is cut off nevertheless is taken over by another process.
    pub async fn complete_orphans(self, stop: CancellationToken) {
        // The jitter spreads the replicas.
        let interval = ConstantBuilder::new().with_delay(self.0.limits.lease / 4).without_max_times();
        for pause in interval.with_jitter().build() {
            if let Err(error) = self.take_over_orphans().await {
                tracing::warn!(
                    error = &error as &dyn Error,
                    operation = O::NAME,
                    "no orphans were looked for"
                );
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    async fn take_over_orphans(&self) -> Result<(), pg::Error> {
        let (count, oldest_s) =
            pg::run_tx(&self.0.pool, "idempotency_unfinished", O::NAME, |tx, operation| {
                Box::pin(store::count_unfinished(tx, operation))
            })
            .await?;
        metrics::UNFINISHED.with_label_values(&[O::NAME]).set(count);
        metrics::OLDEST_UNFINISHED.with_label_values(&[O::NAME]).set(oldest_s);
        while let Ok(permit) = Arc::clone(&self.0.running).try_acquire_owned() {
            let wish = (Uuid::new_v4(), self.0.limits.lease);
            let claim = pg::run_tx(&self.0.pool, "idempotency_take_over", &wish, |tx, (owner, lease)| {
                Box::pin(store::take_over_next(tx, O::NAME, *owner, *lease))
            })
            .await?;
            let Some(claim) = claim else { break };
            metrics::TAKEOVERS.with_label_values(&[O::NAME, "completer"]).inc();
            tracing::info!(operation = O::NAME, fence = claim.fence, "operation taken over by the completer");
            // Its result is in the table, for the client if it ever asks.
            drop(self.spawn(claim, Some(permit)));
        }
        Ok(())
    }
}
