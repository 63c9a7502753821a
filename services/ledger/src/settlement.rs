//! The settlement: takes pending transfers to their end through the bank, across crashes and outages.
//!
//! An attempt has three steps. A transaction claims a due transfer, under a lease with a fence; before the first call it also checks the accounts, and
//! reserves room at the destination. Then the bank is called, without a transaction: instructed, or asked what it has decided. Another transaction
//! posts the amount or releases the hold, if the fence is still the newest. A process may die between any two lines: the row says what remains, and
//! the bank treats a repeated instruction as one. While the bank has not decided, or its answer is missing, another attempt follows, for ever.

mod begin;
mod end;
mod error;

use std::{error::Error as StdError, sync::Arc, time::Duration};

use events::Encoder;
use futures::future::join_all;
use pg::Pool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use self::{
    begin::{Begin, Begun, Call},
    end::End,
    error::AttemptError,
};
use crate::{
    bank::{self, Answer, Bank},
    domain::Decision,
    metrics,
    store::{self, settlements::Attempt},
};

/// Attempts at a time in a replica, so that a slow bank or a locked account does not delay all transfers.
const MAX_ATTEMPTS: usize = 8;

/// Length of the lease of an attempt: longer than its calls, so that no other replica makes them too. After a crash, a transfer waits this long.
const LEASE: Duration = Duration::from_secs(10);

const _: () = assert!(bank::TIMEOUT.as_secs() * 2 < LEASE.as_secs(), "an attempt makes up to two calls");

/// Lock timeout of each statement: longer than the queue of all attempts of some replicas at one busy account, each of which has it for some milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Pause after a lock timeout. It does not grow: the next attempt does not fail more likely than this one.
const LOCKED_PAUSE: Duration = Duration::from_millis(200);

/// Average interval in which an idle worker looks for due transfers, such as those of other replicas and postponed ones. The workers do so at different
/// times.
const POLL: Duration = Duration::from_secs(1);

/// Average pause after an outage of the database. Short, because it delays all transfers after the end of the outage.
const OUTAGE_PAUSE: Duration = Duration::from_millis(500);

/// First and longest pause between two attempts of a transfer.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Settles the transfers of one database. Each replica runs one.
pub(crate) struct Settlement {
    pool: Pool,
    bank: Bank,
    encoder: Encoder,
    relay: Arc<Notify>,
    wake: Arc<Notify>,
}

impl Settlement {
    pub(crate) fn new(pool: Pool, bank: Bank, encoder: Encoder, relay: Arc<Notify>) -> Self {
        Self { pool, bank, encoder, relay, wake: Arc::default() }
    }

    /// Wakes the settlement: call `notify_one` after COMMIT.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Runs until `stop`, and finishes the attempts that are in progress.
    pub(crate) async fn run(self, stop: CancellationToken) {
        join_all((0..MAX_ATTEMPTS).map(|_| self.work(&stop))).await;
    }

    /// Makes one attempt after the other.
    async fn work(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.attempt().await {
                Ok(false) => self.wait(stop).await,
                Ok(true) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn StdError,
                        "due transfers cannot be settled, trying again"
                    );
                    stop.run_until_cancelled(tokio::time::sleep(jittered(OUTAGE_PAUSE))).await;
                }
            }
        }
    }

    /// Waits until it is woken, for [`POLL`] on average.
    async fn wait(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.wake.notified() => {}
            () = tokio::time::sleep(jittered(POLL)) => {}
        }
    }

    /// Makes an attempt for a due transfer; returns whether there was one. An error is an outage.
    async fn attempt(&self) -> Result<bool, AttemptError> {
        if !self.encoder.is_ready() {
            // No transfer can be settled without its event.
            return Ok(false);
        }
        match Box::pin(self.try_attempt()).await {
            Err(AttemptError { attempt: Some(attempt), cause }) if !error::is_outage(&cause) => {
                tracing::warn!(
                    error = &cause as &dyn StdError,
                    transfer.id = %attempt.transfer_id,
                    "the transfer cannot be settled, trying again later"
                );
                metrics::SETTLED.with_label_values(&["postponed"]).inc();
                let longest = if error::is_lock_timeout(&cause) { LOCKED_PAUSE } else { LONGEST_PAUSE };
                self.postpone(attempt, longest).await?;
                Ok(true)
            }
            result => result,
        }
    }

    async fn try_attempt(&self) -> Result<bool, AttemptError> {
        let begin = Begin { encoder: &self.encoder };
        match pg::run_tx(&self.pool, "instruct", &begin, |tx, begin| Box::pin(begin.run(tx))).await? {
            Begun::Idle => return Ok(false),
            Begun::Failed => self.record_end("failed"),
            Begun::Leased(call) => {
                fail_point::hit("ledger.settlement.leased");
                let span = call.span.clone();
                self.finish(&call).instrument(span).await?;
            }
        }
        Ok(true)
    }

    /// Calls the bank, and does what it has decided.
    async fn finish(&self, call: &Call) -> Result<(), AttemptError> {
        let answer = self.ask(call).await;
        fail_point::hit("ledger.settlement.answered");
        let transfer_id = call.attempt.transfer_id;
        let decision = match answer {
            Ok(Answer::Accepted) => return self.postpone(call.attempt, LONGEST_PAUSE).await,
            Ok(Answer::Settled) => Decision::Settled,
            Ok(Answer::Refused { reason }) => {
                tracing::info!(transfer.id = %transfer_id, reason, "the bank has refused a transfer");
                Decision::Refused
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn StdError,
                    transfer.id = %transfer_id,
                    "it is not known what the bank has decided, asking again later"
                );
                return self.postpone(call.attempt, LONGEST_PAUSE).await;
            }
        };
        let end = End { encoder: &self.encoder, call, decision };
        let ended = pg::run_tx(&self.pool, "settle", &end, |tx, end| Box::pin(end.run(tx))).await?;
        if let Some(state) = ended {
            self.record_end(state);
        }
        Ok(())
    }

    /// Instructs the bank, or asks what it has decided. A bank that does not know the transfer was not reached by an earlier attempt.
    async fn ask(&self, call: &Call) -> Result<Answer, bank::Error> {
        if !call.is_first
            && let Some(answer) = self.bank.poll(call.attempt.transfer_id).await?
        {
            return Ok(answer);
        }
        self.bank.instruct(&call.transfer.details).await
    }

    /// After the COMMIT that has ended a transfer.
    fn record_end(&self, state: &str) {
        metrics::SETTLED.with_label_values(&[state]).inc();
        fail_point::hit("ledger.settlement.committed");
        self.relay.notify_one();
    }

    /// The pause grows with each attempt, up to `longest`.
    async fn postpone(&self, attempt: Attempt, longest: Duration) -> Result<(), AttemptError> {
        store::settlements::postpone(&self.pool, attempt, FIRST_PAUSE, longest).await?;
        Ok(())
    }
}

/// Draws a pause with this average.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..1.5))
}
