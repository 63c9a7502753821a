//! Blocks the producer: no new order is accepted while too many events are not published, or for too long (ADR 0043).

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use api_error::{ApiError, Code};
use clap::{Args, value_parser};
use outbox::Backlog;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// Orders are accepted again at this share of the bounds.
const REOPEN: f64 = 0.8;

/// Share of the bounds from which events that can wait are not appended any more: the rest is for orders.
const DEFERRABLE: f64 = 0.5;

/// Age of a measurement after which it blocks nothing: an order that the database still takes is not refused because of old numbers.
const STALE: Duration = Duration::from_secs(30);

/// The most that is added to a computed time, so that not all clients return at once.
const SPREAD: f64 = 0.25;

/// How many events may wait to be published, and for how long.
#[derive(Clone, Debug, Args)]
// clap would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
#[expect(clippy::struct_field_names, reason = "the names of the settings begin with that of the service")]
pub(crate) struct Bounds {
    /// Events that may wait to be published. Beyond it, new orders get 503 `backlog_full`, until 80 % of it.
    #[arg(long, env, value_name = "N", default_value_t = 100_000, value_parser = value_parser!(u32).range(10..=1_000_000))]
    orders_max_unpublished_events: u32,

    /// Time for which publishing may stand still, in seconds. Beyond it, new orders get 503 `backlog_full`, until 80 % of it.
    #[arg(long, env, value_name = "S", default_value_t = 900, value_parser = value_parser!(u32).range(5..=86_400))]
    orders_max_unpublished_age_s: u32,

    /// Longest `Retry-After` of a refused order, in seconds; about the one while nothing is published.
    #[arg(long, env, value_name = "S", default_value_t = 60, value_parser = value_parser!(u32).range(1..=300))]
    orders_max_retry_after_s: u32,
}

impl Bounds {
    /// Returns whether there is room for events that can wait.
    pub(crate) fn has_room(&self, backlog: &Backlog) -> bool {
        self.fill(backlog) < DEFERRABLE
    }

    /// Returns how full the backlog is: from 1 on, a bound is reached.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    fn fill(&self, backlog: &Backlog) -> f64 {
        let events = backlog.unpublished as f64 / f64::from(self.orders_max_unpublished_events);
        let age = backlog.front_age.as_secs_f64() / f64::from(self.orders_max_unpublished_age_s);
        events.max(age)
    }

    /// Returns how long it takes to publish what is above [`REOPEN`]: infinite while nothing is published.
    ///
    /// The share of the events is the same for both bounds, if the events came at a steady rate.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    fn seconds_to_reopen(&self, backlog: &Backlog) -> f64 {
        let events = backlog.unpublished as f64 * (1.0 - REOPEN / self.fill(backlog));
        events / backlog.published_per_second
    }
}

/// Whether new orders are accepted.
pub(crate) struct BackPressure {
    bounds: Bounds,
    /// [`STALE`], but in a test.
    stale: Duration,
    /// While orders are blocked, the seconds until they are accepted again.
    blocked: Mutex<Option<f64>>,
}

impl BackPressure {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, stale: STALE, blocked: Mutex::default() })
    }

    /// Refuses a new order while orders are blocked.
    pub(crate) fn admit(&self) -> Result<(), ApiError> {
        let Some(seconds) = *self.blocked() else { return Ok(()) };
        metrics::BLOCKED_REQUESTS.inc();
        let error = ApiError::new(Code::BacklogFull, "too many events are not published");
        Err(error.with_retry_after(self.retry_after(seconds, rand::random_range(0.0..SPREAD))))
    }

    /// Decides after each measurement, until `stop`.
    pub(crate) async fn run(&self, mut backlog: watch::Receiver<Option<Backlog>>, stop: CancellationToken) {
        loop {
            let changed = stop.run_until_cancelled(tokio::time::timeout(self.stale, backlog.changed())).await;
            match changed {
                None | Some(Ok(Err(_))) => return,
                Some(Ok(Ok(()))) => self.observe(*backlog.borrow_and_update()),
                Some(Err(_)) => self.observe(None),
            }
        }
    }

    /// Takes a measurement, or `None` when the last one is too old.
    fn observe(&self, backlog: Option<Backlog>) {
        let mut blocked = self.blocked();
        let threshold = if blocked.is_some() { REOPEN } else { 1.0 };
        let full = backlog.filter(|backlog| self.bounds.fill(backlog) >= threshold);
        let seconds = full.map(|backlog| self.bounds.seconds_to_reopen(&backlog));
        if blocked.is_some() != seconds.is_some() {
            let (backlog, blocked) = (backlog.unwrap_or_default(), seconds.is_some());
            let age = backlog.front_age.as_secs();
            tracing::warn!(
                blocked,
                unpublished = backlog.unpublished,
                age,
                "new orders are blocked or accepted"
            );
        }
        metrics::BLOCKED.set(seconds.is_some().into());
        *blocked = seconds;
    }

    /// `spread` is from zero to [`SPREAD`]. It is added to a computed time, so that the client returns after it, and taken from the
    /// maximum.
    fn retry_after(&self, seconds: f64, spread: f64) -> Duration {
        let max = f64::from(self.bounds.orders_max_retry_after_s);
        let seconds = (seconds * (1.0 + spread)).min(max * (1.0 - spread)).max(1.0);
        Duration::from_secs_f64(seconds)
    }

    fn blocked(&self) -> MutexGuard<'_, Option<f64>> {
        self.blocked.lock().expect("no panic under this lock")
    }
}

#[cfg(test)]
mod tests;
