//! One transaction of the order process: claims due orders and finishes them.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use events::EncodeError;
use futures::try_join;
use outbox::AppendError;
use pg::Tx;
use tracing::Span;
use uuid::Uuid;

use super::error::GroupError;
use crate::{
    domain::{Details, Final, Line, Order, Outcome, Pending, Reservation, Stock},
    metrics,
    order_events::OrderEvents,
    store::{self, process::Step, stock::LockMode},
};

/// Maximum number of orders in a group: enough to share the cost of a transaction, few enough to finish within milliseconds.
const MAX_ORDERS: i64 = 32;

/// Lock timeout of each statement. Groups that need the same stock hold it for some milliseconds; longer locks are not waited for.
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// Bounds of the pause of an order whose stock is locked elsewhere. Between the bounds, the pause is an eighth of the order's age: an order
/// that has waited for long is tried less often.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const PAUSES_PER_AGE: u32 = 8;

pub(super) enum Selection {
    /// The orders that have been due for longest.
    Due,
    One(Uuid),
}

pub(super) struct Group<'a> {
    pub(super) events: &'a OrderEvents,
    pub(super) selection: Selection,
    pub(super) lock_mode: LockMode,
}

#[derive(Default)]
pub(super) struct GroupResult {
    pub(super) n_claimed: usize,
    /// Outcomes by name, with the span of each order. The span ends when this value is dropped.
    pub(super) finished: Vec<(&'static str, Span)>,
    /// Orders that were final before.
    pub(super) n_already_final: usize,
    /// Orders that wait for a lock, with their pause.
    pub(super) postponed: Vec<(Uuid, Duration)>,
}

#[derive(Default)]
struct Changes {
    orders: Vec<Order<Final>>,
    events: Vec<outbox::Entry>,
    spans: Vec<Span>,
    /// Orders whose process ends: those of `orders`, and those that were final before.
    ended: Vec<Uuid>,
    postponed: Vec<(Uuid, Duration)>,
}

impl Group<'_> {
    pub(super) async fn run(&self, tx: &Tx<'_>) -> Result<GroupResult, GroupError> {
        let steps = match self.selection {
            Selection::Due => store::process::claim_due(tx, MAX_ORDERS, LOCK_WAIT).await?,
            Selection::One(order_id) => store::process::claim_one(tx, order_id, LOCK_WAIT).await?,
        };
        if steps.is_empty() {
            return Ok(GroupResult::default());
        }
        fail_point::hit("orders.process.taken");
        let orders = steps.iter().map(|step| step.order_id).collect();
        Box::pin(self.reserve_stock(tx, steps)).await.map_err(|cause| GroupError { orders, cause })
    }

    async fn reserve_stock(&self, tx: &Tx<'_>, steps: Vec<Step>) -> Result<GroupResult, AppendError> {
        let n_claimed = steps.len();
        let orders: Vec<_> = steps.iter().map(Step::order).collect::<Result<_, _>>()?;
        let products: BTreeSet<_> = orders
            .iter()
            .flatten()
            .flat_map(|order| {
                let Details { tenant, lines, .. } = &order.details;
                lines.iter().map(|line| (tenant.clone(), line.sku.clone()))
            })
            .collect();
        let stock = store::stock::lock(tx, &products, self.lock_mode).await?;
        let changes = self.decide(steps, orders, stock)?;
        Box::pin(write(tx, self.events, &changes)).await?;
        fail_point::hit("orders.process.before_commit");
        Ok(changes.into_result(n_claimed))
    }

    /// Decides each order in turn; each order gets what the orders before it left in stock. Events continue the traces of their orders.
    fn decide(
        &self,
        steps: Vec<Step>,
        orders: Vec<Option<Order<Pending>>>,
        mut stock: Stock,
    ) -> Result<Changes, EncodeError> {
        let mut changes = Changes::default();
        for (step, order) in steps.into_iter().zip(orders) {
            let Some(order) = order else {
                changes.ended.push(step.order_id);
                continue;
            };
            let placed_at = order.details.placed_at;
            // The clock of the replica that placed the order may be ahead; the order's history must not run backwards.
            let now = Utc::now().trunc_subsecs(6).max(placed_at);
            let outcome = match stock.reserve(&order.details) {
                Reservation::Reserved => Outcome::Confirmed,
                Reservation::Short(lines) => Outcome::Rejected { reason: rejection_reason(&lines) },
                Reservation::Locked => {
                    changes.postponed.push((step.order_id, pause(placed_at, now)));
                    continue;
                }
            };
            let order = order.finish(outcome, now);
            let span =
                tracing::info_span!("reserve_stock", order.id = %step.order_id, attempt = step.attempts + 1);
            step.propagation.set_parent(&span);
            changes.events.push(span.in_scope(|| self.events.finished(&order))?);
            changes.ended.push(step.order_id);
            changes.spans.push(span);
            changes.orders.push(order);
        }
        Ok(changes)
    }
}

async fn write(tx: &Tx<'_>, events: &OrderEvents, changes: &Changes) -> Result<(), AppendError> {
    let confirmed = changes.orders.iter().filter(|order| order.state.outcome == Outcome::Confirmed);
    let confirmed: Vec<&Details> = confirmed.map(|order| &order.details).collect();
    let reserve = async {
        store::stock::reserve(tx, &confirmed).await?;
        fail_point::hit("orders.process.reserved");
        Ok(())
    };
    try_join!(
        reserve,
        store::orders::update_final(tx, &changes.orders),
        outbox::append_all(tx, &events.encoder, &changes.events),
        store::process::end(tx, &changes.ended),
        store::process::postpone(tx, &changes.postponed),
    )?;
    Ok(())
}

fn rejection_reason(short: &[&Line]) -> String {
    let names: Vec<&str> = short.iter().map(|line| line.name.as_str()).collect();
    format!("Not enough in stock: {}.", names.join("; "))
}

fn pause(placed_at: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    let age = (now - placed_at).to_std().unwrap_or_default();
    jittered((age / PAUSES_PER_AGE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}

/// Returns the pause of an order whose age is not known.
pub(super) fn longest_pause() -> Duration {
    jittered(LONGEST_PAUSE)
}

/// Shortens a pause by up to a half, so that orders that were postponed together are not tried together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..1.0))
}

impl Changes {
    fn into_result(self, n_claimed: usize) -> GroupResult {
        let outcomes = self.orders.iter().map(|order| order.state.outcome.state().as_str());
        GroupResult {
            n_claimed,
            n_already_final: self.ended.len() - self.orders.len(),
            finished: outcomes.zip(self.spans).collect(),
            postponed: self.postponed,
        }
    }
}

impl GroupResult {
    /// Returns whether more orders may be due.
    pub(super) fn is_full(&self) -> bool {
        self.n_claimed as u64 >= MAX_ORDERS.unsigned_abs()
    }

    /// Returns when the first postponed order is due again.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.postponed.iter().map(|(_, pause)| *pause).min()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.n_claimed += other.n_claimed;
        self.finished.extend(other.finished);
        self.n_already_final += other.n_already_final;
        self.postponed.extend(other.postponed);
    }

    pub(super) fn count(&self) {
        for (outcome, _) in &self.finished {
            metrics::PROCESSED.with_label_values(&[outcome]).inc();
        }
        metrics::PROCESSED.with_label_values(&["already_done"]).inc_by(self.n_already_final as u64);
        metrics::PROCESSED.with_label_values(&["put_aside"]).inc_by(self.postponed.len() as u64);
    }
}
