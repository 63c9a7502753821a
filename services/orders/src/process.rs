//! The order process: takes placed orders to a final state, across crashes and outages.
//!
//! Each replica runs a few slots. A slot claims due orders by row locks, a group at a time, and in one transaction reserves their stock,
//! changes their state and writes their events. A process that dies before COMMIT has changed nothing, and its locks end with its
//! connection. An order whose rows are locked elsewhere is postponed for a moment, so it does not delay other orders.
//!
//! Only a failure that an order itself causes increases the pause before its next attempt. After an outage, all orders continue at once.
//!
//! The process has one step today: reserve the stock.

mod error;
mod group;

use std::{
    error::Error as StdError,
    sync::Arc,
    time::{Duration, Instant},
};

use outbox::AppendError;
use parking_lot::Mutex;
use pg::Pool;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::{
    error::{Failure, GroupError},
    group::{Group, GroupResult, Selection},
};
use crate::{
    metrics,
    order_events::OrderEvents,
    store::{self, stock::LockMode},
};

/// Groups that a replica processes at the same time.
const SLOTS: usize = 4;

/// How often an idle slot looks for due orders, such as those of other replicas and postponed ones.
const POLL: Duration = Duration::from_millis(500);

/// After a wait for stock rows in vain, groups skip locked rows for this time: rows that stay locked must not cost every group the wait.
const SKIP_LOCKED_FOR: Duration = Duration::from_secs(1);

/// Average pause of a slot after an outage. Short, because it delays all orders after the end of the outage.
const OUTAGE_PAUSE: Duration = Duration::from_millis(500);

/// First and longest pause before an order that caused a failure is tried again.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
const MAX_FAILURE_PAUSE: Duration = Duration::from_mins(1);

/// Processes the orders of one database. Each replica runs one.
pub(crate) struct OrderProcess {
    pool: Pool,
    events: OrderEvents,
    relay: Arc<Notify>,
    wake: Arc<Notify>,
    /// When a group last waited for locked stock rows in vain.
    waited_in_vain: Mutex<Option<Instant>>,
}

impl OrderProcess {
    pub(crate) fn new(pool: Pool, events: OrderEvents, relay: Arc<Notify>) -> Self {
        Self { pool, events, relay, wake: Arc::default(), waited_in_vain: Mutex::default() }
    }

    /// Wakes the process: call `notify_one` after COMMIT.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Runs until `stop`, and finishes the groups that are in progress.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let process = Arc::new(self);
        let mut slots = JoinSet::new();
        for _ in 0..SLOTS {
            let (process, stop) = (Arc::clone(&process), stop.clone());
            slots.spawn(async move { process.run_slot(&stop).await });
        }
        slots.join_all().await;
    }

    async fn run_slot(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.poll_once().await {
                Ok(result) if result.is_full() => {
                    // More orders may be due than one slot can claim at once.
                    self.wake.notify_one();
                }
                Ok(result) if result.n_claimed > result.postponed.len() => {}
                Ok(result) => self.wait(stop, result.next_due().unwrap_or(POLL)).await,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn StdError,
                        "due orders cannot be processed, trying again"
                    );
                    let pause = OUTAGE_PAUSE.mul_f64(rand::random_range(0.5..1.5));
                    stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                }
            }
        }
    }

    /// Waits until it is woken, for `limit` at most.
    async fn wait(&self, stop: &CancellationToken, limit: Duration) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.wake.notified() => {}
            () = tokio::time::sleep(limit.min(POLL)) => {}
        }
    }

    /// Claims due orders and processes them. An error is an outage.
    async fn poll_once(&self) -> Result<GroupResult, GroupError> {
        if !self.events.encoder.is_ready() {
            // No order can be finished without its event.
            return Ok(GroupResult::default());
        }
        let lock_mode = self.lock_mode();
        let mut result = self.run_group(Selection::Due, lock_mode).await;
        if lock_mode == LockMode::Wait && matches!(&result, Err(error) if error.failure() == Failure::Locked)
        {
            *self.waited_in_vain.lock() = Some(Instant::now());
            result = self.run_group(Selection::Due, LockMode::SkipLocked).await;
        }
        match result {
            Err(error) if error.failure() != Failure::Outage => self.run_one_by_one(error).await,
            result => result,
        }
    }

    fn lock_mode(&self) -> LockMode {
        if self.waited_in_vain.lock().is_some_and(|at| at.elapsed() < SKIP_LOCKED_FOR) {
            LockMode::SkipLocked
        } else {
            LockMode::Wait
        }
    }

    /// Processes each order of a failed group in its own transaction, so that one order does not block the others.
    async fn run_one_by_one(&self, group: GroupError) -> Result<GroupResult, GroupError> {
        tracing::debug!(error = &group as &dyn StdError, "a group failed, trying its orders one by one");
        let mut all = GroupResult::default();
        for order_id in group.orders {
            match self.run_group(Selection::One(order_id), LockMode::SkipLocked).await {
                Ok(result) => all.add(result),
                Err(error) => match error.failure() {
                    Failure::Outage => return Err(error),
                    Failure::Locked => all.add(self.postpone(order_id).await?),
                    Failure::Order => all.add(self.record_failure(order_id, &error.cause).await?),
                },
            }
        }
        Ok(all)
    }

    async fn run_group(&self, selection: Selection, lock_mode: LockMode) -> Result<GroupResult, GroupError> {
        let group = Group { events: &self.events, selection, lock_mode };
        let result =
            pg::run_tx(&self.pool, "reserve_stock", &group, |tx, group| Box::pin(group.run(tx))).await?;
        result.count();
        if !result.finished.is_empty() {
            fail_point::hit("orders.process.committed");
            self.relay.notify_one();
        }
        Ok(result)
    }

    /// Postpones an order whose transaction met a lock outside its own rows, such as a table lock.
    async fn postpone(&self, order_id: Uuid) -> Result<GroupResult, GroupError> {
        let steps = [(order_id, group::longest_pause())];
        pg::run_tx(&self.pool, "put_step_aside", &steps, |tx, steps| {
            Box::pin(store::process::postpone(tx, steps))
        })
        .await?;
        let result = GroupResult { n_claimed: 1, postponed: steps.to_vec(), ..GroupResult::default() };
        result.count();
        Ok(result)
    }

    async fn record_failure(&self, order_id: Uuid, cause: &AppendError) -> Result<GroupResult, GroupError> {
        metrics::PROCESSED.with_label_values(&["failed"]).inc();
        tracing::warn!(
            error = cause as &dyn StdError,
            order.id = %order_id,
            "the order cannot be processed, trying again later"
        );
        store::process::record_failure(&self.pool, order_id, FAILURE_PAUSE, MAX_FAILURE_PAUSE).await?;
        Ok(GroupResult { n_claimed: 1, ..GroupResult::default() })
    }
}
