//! The order process: takes a placed order to its final state, whoever dies on the way.
//!
//! A step is taken under a lease and done in one transaction with its events. A worker that dies before COMMIT has changed
//! nothing, and the step is due again when its lease is over; one that was merely slow finds the order moved on.
//! One step for now: reserve the stock.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use events::Encoder;
use futures::{TryFutureExt as _, future::join_all, try_join};
use outbox::AppendError;
use pg::{Pool, Tx};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    domain::{Line, Order, Pending, shortages},
    metrics,
    notice::Notices,
    store::{self, process::DueStep},
};

/// Steps taken together and worked on at once, so that no lease runs while its step waits.
const BATCH: i64 = 4;

/// How long a step is this worker's. A transaction that takes longer, as one on a database in trouble may, finds the order
/// locked or moved on.
const LEASE: Duration = Duration::from_secs(5);

/// Longest time between attempts of a step that keeps failing.
const MAX_BACKOFF: Duration = Duration::from_mins(5);

/// How often due steps are looked for when nobody says that there are some: those of other replicas, and of the past.
const POLL: Duration = Duration::from_millis(500);

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
}

impl OrderProcess {
    /// Runs until `stop`; the steps in hand are finished.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let more = match self.take_and_do().await {
                Ok(steps) => steps > 0,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn StdError,
                        "due orders cannot be taken, trying again"
                    );
                    false
                }
            };
            if more {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.0.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Returns how many steps were taken.
    async fn take_and_do(&self) -> Result<usize, pg::Error> {
        if !self.encoder.is_ready() {
            // No step can be finished without its event.
            return Ok(0);
        }
        let due = pg::run_tx(&self.pool, "take_due_steps", &(), |tx, ()| {
            Box::pin(store::process::take_due(tx, BATCH, LEASE, MAX_BACKOFF))
        })
        .await?;
        let taken = due.len();
        if taken > 0 {
            fail_point::hit("orders.process.taken");
        }
        join_all(due.into_iter().map(|step| self.do_step(step))).await;
        Ok(taken)
    }

    async fn do_step(&self, step: DueStep) {
        let span = tracing::info_span!("reserve_stock", order.id = %step.order_id, attempt = step.attempts);
        telemetry::trace::set_parent(&span, step.traceparent.as_deref());
        async {
            let result =
                pg::run_tx(&self.pool, "reserve_stock", &(self, step.order_id), |tx, (process, order_id)| {
                    Box::pin(process.reserve_stock(tx, *order_id))
                })
                .await;
            match result {
                Ok(outcome) => {
                    metrics::PROCESSED.with_label_values(&[outcome]).inc();
                    fail_point::hit("orders.process.committed");
                    self.relay.notify();
                }
                Err(error) => {
                    metrics::PROCESSED.with_label_values(&["failed"]).inc();
                    tracing::warn!(
                        error = &error as &dyn StdError,
                        "the step failed and will be taken again"
                    );
                }
            }
        }
        .instrument(span)
        .await;
    }

    /// Returns the outcome's name.
    async fn reserve_stock(&self, tx: &Tx<'_>, order_id: Uuid) -> Result<&'static str, AppendError> {
        let Some(order) = store::orders::lock_pending(tx, order_id).await? else {
            // Another worker was faster, after this one's lease was over.
            return Ok("already_done");
        };
        let available = store::stock::lock_available(tx, &order.details.tenant, &order.details.lines).await?;
        let short = shortages(&order.details.lines, &available);
        // The order may have been placed by a replica whose clock is ahead; its history does not run backwards for that.
        let now = Utc::now().trunc_subsecs(6).max(order.details.placed_at);
        let finish = store::process::finish(tx, order_id).err_into();
        let outcome = if short.is_empty() {
            try_join!(self.confirm(tx, order, now), finish)?;
            "confirmed"
        } else {
            let reason = rejection_reason(&short);
            try_join!(self.reject(tx, order, reason, now), finish)?;
            "rejected"
        };
        fail_point::hit("orders.process.before_commit");
        Ok(outcome)
    }

    async fn confirm(
        &self,
        tx: &Tx<'_>,
        order: Order<Pending>,
        now: DateTime<Utc>,
    ) -> Result<(), AppendError> {
        let order = order.confirm(now);
        let reserve = async {
            store::stock::reserve(tx, &order.details).await?;
            fail_point::hit("orders.process.reserved");
            Ok(())
        };
        let update = store::orders::update_confirmed(tx, &order).err_into();
        let notice = self.notices.confirmed(&order);
        let append = outbox::append(tx, &self.encoder, order.details.id, now, &notice);
        try_join!(reserve, update, append).map(drop)
    }

    async fn reject(
        &self,
        tx: &Tx<'_>,
        order: Order<Pending>,
        reason: String,
        now: DateTime<Utc>,
    ) -> Result<(), AppendError> {
        let order = order.reject(reason, now);
        let update = store::orders::update_rejected(tx, &order).err_into();
        let notice = self.notices.rejected(&order);
        let append = outbox::append(tx, &self.encoder, order.details.id, now, &notice);
        try_join!(update, append).map(drop)
    }
}

fn rejection_reason(short: &[&Line]) -> String {
    let names: Vec<&str> = short.iter().map(|line| line.name.as_str()).collect();
    format!("Not enough in stock: {}.", names.join("; "))
}
