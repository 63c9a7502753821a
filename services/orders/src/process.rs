//! The order process: takes placed orders to their final state, whoever dies on the way.
//!
//! A few slots per replica take due steps by themselves, several orders in one transaction, which locks the rows that say where these
//! orders stand, does their step and writes their events. The locks are the claim: whoever dies or freezes before COMMIT has changed
//! nothing and holds nothing. No slot waits for long for a row that somebody else has: such an order is put aside for a moment, and the others go on.
//!
//! Only a failure that is the order's own makes its next attempt later each time. An outage delays no order beyond its end.
//!
//! One step for now: reserve the stock.

mod group;
mod trouble;

use std::{
    error::Error as StdError,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use events::Encoder;
use outbox::AppendError;
use pg::Pool;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::{
    group::{Done, Group, Which},
    trouble::{GroupError, Trouble},
};
use crate::{
    metrics,
    notice::Notices,
    store::{self, stock::WhenHeld},
};

/// Groups of orders that a replica works on at once.
const SLOTS: usize = 4;

/// How often a slot looks for due steps when nobody says that there are some: those of other replicas, and of the past.
const POLL: Duration = Duration::from_millis(500);

/// For so long nobody waits for rows of stock after a wait that was in vain: rows that somebody keeps must not cost every group
/// that wait.
const NO_WAIT: Duration = Duration::from_secs(1);

/// How long a slot waits, on average, after a failure that is no order's: short, since that is how much later orders are final after an
/// outage.
const OUTAGE_PAUSE: Duration = Duration::from_millis(500);

/// Time before the next attempt of a step whose failure is its own: at first, and at most.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
const MAX_FAILURE_PAUSE: Duration = Duration::from_mins(1);

/// Says that an order was placed. Clones wake the same process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wake(Arc<Notify>);

impl Wake {
    /// Call after COMMIT. Missing a call costs a poll interval, nothing else.
    pub(crate) fn notify(&self) {
        self.0.notify_one();
    }
}

/// Works on the orders of one database. Every replica runs one, side by side.
pub(crate) struct OrderProcess {
    pub(crate) pool: Pool,
    pub(crate) encoder: Encoder,
    pub(crate) notices: Notices,
    pub(crate) relay: outbox::Wake,
    pub(crate) wake: Wake,
    pub(crate) patience: Patience,
}

/// Whether groups wait for rows of stock that somebody else has.
#[derive(Default)]
pub(crate) struct Patience(Mutex<Option<Instant>>);

impl Patience {
    fn is_lost(&self) -> bool {
        let lost = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.is_some_and(|at| at.elapsed() < NO_WAIT)
    }

    fn lose(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

impl OrderProcess {
    /// Runs until `stop`; the groups in hand are finished.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let process = Arc::new(self);
        let mut slots = JoinSet::new();
        for _ in 0..SLOTS {
            let (process, stop) = (Arc::clone(&process), stop.clone());
            slots.spawn(async move { process.work(&stop).await });
        }
        slots.join_all().await;
    }

    /// One slot.
    async fn work(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.take_and_do().await {
                Ok(done) if done.is_full() => {
                    // There may be more than one slot can take at once.
                    self.wake.notify();
                }
                Ok(done) if done.n_taken > done.put_aside.len() => {}
                Ok(done) => self.rest(stop, done.next_due().unwrap_or(POLL)).await,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn StdError,
                        "due orders cannot be worked on, trying again"
                    );
                    let pause = OUTAGE_PAUSE.mul_f64(rand::random_range(0.5..1.5));
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// Waits for work, and not longer than that.
    async fn rest(&self, stop: &CancellationToken, limit: Duration) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.wake.0.notified() => {}
            () = tokio::time::sleep(limit.min(POLL)) => {}
        }
    }

    /// Takes due steps and does them. An error is an outage, and no order's fault.
    async fn take_and_do(&self) -> Result<Done, GroupError> {
        if !self.encoder.is_ready() {
            // No step can be finished without its event.
            return Ok(Done::default());
        }
        let mut when_held = WhenHeld::Wait;
        if self.patience.is_lost() {
            when_held = WhenHeld::Skip;
        }
        let mut result = self.do_group(Which::Due, when_held).await;
        if when_held == WhenHeld::Wait && matches!(&result, Err(error) if error.trouble() == Trouble::Held) {
            self.patience.lose();
            result = self.do_group(Which::Due, WhenHeld::Skip).await;
        }
        match result {
            Err(error) if error.trouble() != Trouble::Outage => self.do_one_by_one(error).await,
            result => result,
        }
    }

    /// Does the steps of a group that failed, each for itself: one that cannot be done holds up no other.
    async fn do_one_by_one(&self, group: GroupError) -> Result<Done, GroupError> {
        tracing::debug!(error = &group as &dyn StdError, "a group failed, its orders are tried one by one");
        let mut all = Done::default();
        for order_id in group.orders {
            match self.do_group(Which::One(order_id), WhenHeld::Skip).await {
                Ok(done) => all.add(done),
                Err(error) => match error.trouble() {
                    Trouble::Outage => return Err(error),
                    Trouble::Held => all.add(self.put_aside(order_id).await?),
                    Trouble::Fault => all.add(self.note_failure(order_id, &error.cause).await?),
                },
            }
        }
        Ok(all)
    }

    async fn do_group(&self, which: Which, when_held: WhenHeld) -> Result<Done, GroupError> {
        let group = Group { process: self, which, when_held };
        let done =
            pg::run_tx(&self.pool, "reserve_stock", &group, |tx, group| Box::pin(group.run(tx))).await?;
        done.count();
        if done.wrote_events() {
            fail_point::hit("orders.process.committed");
            self.relay.notify();
        }
        Ok(done)
    }

    /// Puts an order aside whose step met a lock outside its own rows, such as one on a whole table.
    async fn put_aside(&self, order_id: Uuid) -> Result<Done, GroupError> {
        let steps = [(order_id, group::longest_pause())];
        pg::run_tx(&self.pool, "put_step_aside", &steps, |tx, steps| {
            Box::pin(store::process::put_aside(tx, steps))
        })
        .await?;
        let done = Done { n_taken: 1, put_aside: steps.to_vec(), ..Done::default() };
        done.count();
        Ok(done)
    }

    async fn note_failure(&self, order_id: Uuid, cause: &AppendError) -> Result<Done, GroupError> {
        metrics::PROCESSED.with_label_values(&["failed"]).inc();
        tracing::warn!(
            error = cause as &dyn StdError,
            order.id = %order_id,
            "the step failed and will be taken again"
        );
        store::process::note_failure(&self.pool, order_id, FAILURE_PAUSE, MAX_FAILURE_PAUSE).await?;
        Ok(Done { n_taken: 1, ..Done::default() })
    }
}
