//! The settlement: takes pending transfers to their end, across crashes and outages.
//!
//! It settles inside the books: no other system takes part. Each replica claims due transfers by row locks, a group at a time, and in one
//! transaction locks their accounts, posts the amounts, releases the holds, and writes the events. A process that dies before COMMIT has changed
//! nothing, and its locks end with its connection. A transfer that cannot be settled now is postponed, so it does not delay others.

mod error;
mod group;

use std::{error::Error as StdError, sync::Arc, time::Duration};

use events::Encoder;
use pg::Pool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::{
    error::GroupError,
    group::{Group, GroupResult, Selection},
};
use crate::{metrics, store};

/// How often an idle settlement looks for due transfers, such as those of other replicas and postponed ones.
const POLL: Duration = Duration::from_millis(500);

/// Average pause after an outage. Short, because it delays all transfers after the end of the outage.
const OUTAGE_PAUSE: Duration = Duration::from_millis(500);

/// First and longest pause before a transfer that could not be settled is tried again.
const FAILURE_PAUSE: Duration = Duration::from_millis(500);
const MAX_FAILURE_PAUSE: Duration = Duration::from_secs(10);

/// Settles the transfers of one database. Each replica runs one.
pub(crate) struct Settlement {
    pool: Pool,
    encoder: Encoder,
    relay: Arc<Notify>,
    wake: Arc<Notify>,
}

impl Settlement {
    pub(crate) fn new(pool: Pool, encoder: Encoder, relay: Arc<Notify>) -> Self {
        Self { pool, encoder, relay, wake: Arc::default() }
    }

    /// Wakes the settlement: call `notify_one` after COMMIT.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Runs until `stop`, and finishes the group that is in progress.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.poll_once().await {
                Ok(0) => self.wait(&stop).await,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn StdError,
                        "due transfers cannot be settled, trying again"
                    );
                    let pause = OUTAGE_PAUSE.mul_f64(rand::random_range(0.5..1.5));
                    stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                }
            }
        }
    }

    /// Waits until it is woken, for [`POLL`] at most.
    async fn wait(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.wake.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }

    /// Claims due transfers and settles them; returns how many it has claimed. An error is an outage.
    async fn poll_once(&self) -> Result<usize, GroupError> {
        if !self.encoder.is_ready() {
            // No transfer can be settled without its event.
            return Ok(0);
        }
        match self.run_group(Selection::Due).await {
            Ok(result) => Ok(result.n_claimed),
            Err(error) if error.is_outage() => Err(error),
            Err(error) => self.run_one_by_one(error).await,
        }
    }

    /// Settles each transfer of a failed group in its own transaction, so that one transfer does not block the others.
    async fn run_one_by_one(&self, group: GroupError) -> Result<usize, GroupError> {
        tracing::debug!(error = &group as &dyn StdError, "a group failed, trying its transfers one by one");
        for transfer_id in &group.transfers {
            match self.run_group(Selection::One(*transfer_id)).await {
                Ok(_) => {}
                Err(error) if error.is_outage() => return Err(error),
                Err(error) => self.postpone(*transfer_id, &error).await?,
            }
        }
        Ok(group.transfers.len())
    }

    async fn run_group(&self, selection: Selection) -> Result<GroupResult, GroupError> {
        let group = Group { encoder: &self.encoder, selection };
        let result = pg::run_tx(&self.pool, "settle", &group, |tx, group| Box::pin(group.run(tx))).await?;
        for (outcome, _) in &result.settled {
            metrics::SETTLED.with_label_values(&[outcome]).inc();
        }
        if !result.settled.is_empty() {
            fail_point::hit("ledger.settlement.committed");
            self.relay.notify_one();
        }
        Ok(result)
    }

    async fn postpone(&self, transfer_id: Uuid, error: &GroupError) -> Result<(), GroupError> {
        metrics::SETTLED.with_label_values(&["postponed"]).inc();
        tracing::warn!(
            error = error as &dyn StdError,
            transfer.id = %transfer_id,
            "the transfer cannot be settled, trying again later"
        );
        store::settlements::record_failure(&self.pool, transfer_id, FAILURE_PAUSE, MAX_FAILURE_PAUSE).await?;
        Ok(())
    }
}
