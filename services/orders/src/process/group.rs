//! One transaction: takes some due steps and does them.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use events::{EncodeError, Encoder, Event};
use futures::try_join;
use outbox::AppendError;
use pg::Tx;
use tracing::Span;
use uuid::Uuid;

use super::{OrderProcess, trouble::GroupError};
use crate::{
    domain::{Confirmed, Details, Line, Order, Pending, Rejected, Stock, Verdict},
    metrics,
    store::{self, process::Step, stock::WhenHeld},
};

/// Orders of a group at most: enough to share the price of a transaction, few enough to be done within milliseconds.
const MAX_ORDERS: i64 = 32;

/// How long a statement of a group waits for a lock. Groups that want the same stock hold it for some milliseconds, and whoever holds it
/// for longer is not waited for.
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// Bounds of the pause of an order whose stock somebody else has. In between it is a part of the order's age: one that has waited for
/// long already is looked at less often.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const PAUSES_PER_AGE: u32 = 8;

/// Which steps.
pub(super) enum Which {
    /// Those that have been due for longest.
    Due,
    /// That of one order.
    One(Uuid),
}

/// What a group's transaction is given.
pub(super) struct Group<'a> {
    pub(super) process: &'a OrderProcess,
    pub(super) which: Which,
    pub(super) when_held: WhenHeld,
}

/// What became of a group.
#[derive(Default)]
pub(super) struct Done {
    pub(super) n_taken: usize,
    /// Outcomes by name, with the span of each order, which ends with this.
    pub(super) decided: Vec<(&'static str, Span)>,
    /// Orders whose process had ended without this.
    pub(super) n_ended_before: usize,
    /// Orders that wait for somebody else, and for how long they are left alone.
    pub(super) put_aside: Vec<(Uuid, Duration)>,
}

/// Orders by what is to become of them.
#[derive(Default)]
struct Decided {
    confirmed: Vec<Order<Confirmed>>,
    rejected: Vec<Order<Rejected>>,
    /// Of both.
    events: Vec<outbox::Entry>,
    /// Of both, by name.
    outcomes: Vec<(&'static str, Span)>,
    /// Orders whose process ends.
    ended: Vec<Uuid>,
    put_aside: Vec<(Uuid, Duration)>,
}

impl Group<'_> {
    pub(super) async fn run(&self, tx: &Tx<'_>) -> Result<Done, GroupError> {
        let steps = match self.which {
            Which::Due => store::process::take_due(tx, MAX_ORDERS, LOCK_WAIT).await?,
            Which::One(order_id) => store::process::take_one(tx, order_id, LOCK_WAIT).await?,
        };
        if steps.is_empty() {
            return Ok(Done::default());
        }
        fail_point::hit("orders.process.taken");
        let orders = steps.iter().map(|step| step.order_id).collect();
        Box::pin(self.reserve_stock(tx, steps)).await.map_err(|cause| GroupError { orders, cause })
    }

    async fn reserve_stock(&self, tx: &Tx<'_>, steps: Vec<Step>) -> Result<Done, AppendError> {
        let n_taken = steps.len();
        let orders: Vec<_> = steps.iter().map(Step::order).collect::<Result<_, _>>()?;
        let products: BTreeSet<_> = orders
            .iter()
            .flatten()
            .flat_map(|order| {
                let Details { tenant, lines, .. } = &order.details;
                lines.iter().map(|line| (tenant.clone(), line.sku.clone()))
            })
            .collect();
        let stock = store::stock::lock(tx, &products, self.when_held).await?;
        let decided = self.decide(steps, orders, stock)?;
        Box::pin(self.write_down(tx, &decided)).await?;
        fail_point::hit("orders.process.before_commit");
        Ok(decided.done(n_taken))
    }

    async fn write_down(&self, tx: &Tx<'_>, decided: &Decided) -> Result<(), AppendError> {
        let Decided { confirmed, rejected, events, ended, put_aside, .. } = decided;
        let details: Vec<&Details> = confirmed.iter().map(|order| &order.details).collect();
        let reserve = async {
            store::stock::reserve(tx, &details).await?;
            fail_point::hit("orders.process.reserved");
            Ok(())
        };
        try_join!(
            reserve,
            store::orders::update_final(tx, confirmed, rejected),
            outbox::append_all(tx, &self.process.encoder, events),
            store::process::end(tx, ended),
            store::process::put_aside(tx, put_aside),
        )?;
        Ok(())
    }

    /// Decides about each order in turn, with what those before it left in stock. Events are in the traces of their orders.
    fn decide(
        &self,
        steps: Vec<Step>,
        orders: Vec<Option<Order<Pending>>>,
        mut stock: Stock,
    ) -> Result<Decided, EncodeError> {
        let OrderProcess { encoder, notices, .. } = self.process;
        let mut decided = Decided::default();
        for (step, order) in steps.into_iter().zip(orders) {
            let Some(order) = order else {
                decided.ended.push(step.order_id);
                continue;
            };
            let placed_at = order.details.placed_at;
            // The order may have been placed by a replica whose clock is ahead; its history does not run backwards for that.
            let now = Utc::now().trunc_subsecs(6).max(placed_at);
            match stock.take(&order.details) {
                Verdict::Taken => {
                    let order = order.confirm(now);
                    decided.note("confirmed", &step, encoder, now, &notices.confirmed(&order))?;
                    decided.confirmed.push(order);
                }
                Verdict::Short(lines) => {
                    let reason = rejection_reason(&lines);
                    let order = order.reject(reason, now);
                    decided.note("rejected", &step, encoder, now, &notices.rejected(&order))?;
                    decided.rejected.push(order);
                }
                Verdict::Held => decided.put_aside.push((step.order_id, pause(placed_at, now))),
            }
        }
        Ok(decided)
    }
}

fn rejection_reason(short: &[&Line]) -> String {
    let names: Vec<&str> = short.iter().map(|line| line.name.as_str()).collect();
    format!("Not enough in stock: {}.", names.join("; "))
}

/// How long an order is left alone whose stock somebody else has.
fn pause(placed_at: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    let age = (now - placed_at).to_std().unwrap_or_default();
    jittered((age / PAUSES_PER_AGE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}

/// The pause of an order of which nothing is known but that it cannot be worked on now.
pub(super) fn longest_pause() -> Duration {
    jittered(LONGEST_PAUSE)
}

/// Up to a half less, so that orders that were put aside together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..1.0))
}

impl Decided {
    /// Notes what ends the process of an order, and its event, in the trace of the order.
    fn note<E: Event>(
        &mut self,
        outcome: &'static str,
        step: &Step,
        encoder: &Encoder,
        at: DateTime<Utc>,
        event: &E,
    ) -> Result<(), EncodeError> {
        let span =
            tracing::info_span!("reserve_stock", order.id = %step.order_id, attempt = step.attempts + 1);
        telemetry::trace::set_parent(&span, step.traceparent.as_deref());
        self.events.push(span.in_scope(|| outbox::Entry::new(encoder, step.order_id, at, event))?);
        self.outcomes.push((outcome, span));
        self.ended.push(step.order_id);
        Ok(())
    }

    fn done(self, n_taken: usize) -> Done {
        Done {
            n_taken,
            n_ended_before: self.ended.len() - self.outcomes.len(),
            decided: self.outcomes,
            put_aside: self.put_aside,
        }
    }
}

impl Done {
    /// Whether there may be more that is due.
    pub(super) fn is_full(&self) -> bool {
        self.n_taken as u64 >= MAX_ORDERS.unsigned_abs()
    }

    pub(super) fn wrote_events(&self) -> bool {
        !self.decided.is_empty()
    }

    /// When the first of those that were put aside is due again.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.put_aside.iter().map(|(_, pause)| *pause).min()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.n_taken += other.n_taken;
        self.decided.extend(other.decided);
        self.n_ended_before += other.n_ended_before;
        self.put_aside.extend(other.put_aside);
    }

    /// Counts the outcomes.
    pub(super) fn count(&self) {
        for (outcome, _) in &self.decided {
            metrics::PROCESSED.with_label_values(&[outcome]).inc();
        }
        metrics::PROCESSED.with_label_values(&["already_done"]).inc_by(self.n_ended_before as u64);
        metrics::PROCESSED.with_label_values(&["put_aside"]).inc_by(self.put_aside.len() as u64);
    }
}
