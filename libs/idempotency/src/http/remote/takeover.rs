//! Leases of remote operations: a living owner renews its lease, and another process takes over after it expires.

use std::{error::Error, sync::Arc, time::Duration};

use backon::{BackoffBuilder as _, ConstantBuilder};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Attempt, Operation, Remote, store};
use crate::metrics;

/// Renewals within one lease.
const RENEWALS: u32 = 3;

/// Renews the lease until it is lost: taken over, or not renewed in time. Then another attempt may run, so this one must stop.
pub(super) async fn renew_until_lost(attempt: &Attempt) {
    let mut renewed = Instant::now();
    let mut pause = attempt.lease / RENEWALS;
    loop {
        sleep(pause).await;
        let before = Instant::now();
        // The lease counts from before the statement, so it ends here before it ends in the database.
        match timeout_at(renewed + attempt.lease, renew(attempt)).await {
            Ok(Ok(true)) => {
                renewed = before;
                pause = attempt.lease / RENEWALS;
            }
            Ok(Ok(false)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn Error, "cannot renew a lease");
                pause = (attempt.lease / RENEWALS / 4).max(Duration::from_millis(1));
            }
        }
    }
}

async fn renew(attempt: &Attempt) -> Result<bool, pg::Error> {
    pg::run_tx(&attempt.pool, "idempotency_renew", attempt, |tx, attempt| {
        Box::pin(store::lease(tx, &attempt.claim, attempt.lease))
    })
    .await
}

impl<O: Operation> Remote<O> {
    /// Takes over operations with an expired lease until `stop`, then waits for the running ones, which the time limit of an
    /// attempt bounds. Another process takes over what does not finish.
    pub async fn complete_orphans(self, stop: CancellationToken) {
        // The jitter spreads the replicas.
        let interval = ConstantBuilder::new().with_delay(self.0.limits.lease / 4).without_max_times();
        for pause in interval.with_jitter().build() {
            if let Err(error) = self.take_over_orphans().await {
                tracing::warn!(error = &error as &dyn Error, operation = O::NAME, "cannot look for orphans");
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(pause) => {}
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
            let owner_and_lease = (Uuid::new_v4(), self.0.limits.lease);
            let claim =
                pg::run_tx(&self.0.pool, "idempotency_take_over", &owner_and_lease, |tx, (owner, lease)| {
                    Box::pin(store::take_over_next(tx, O::NAME, *owner, *lease))
                })
                .await?;
            let Some(claim) = claim else { break };
            metrics::TAKEOVERS.with_label_values(&[O::NAME, "completer"]).inc();
            tracing::info!(operation = O::NAME, fence = claim.fence, "operation taken over by the completer");
            // The result is stored for a retry of the client.
            drop(self.spawn(claim, Some(permit)));
        }
        Ok(())
    }
}
