//! The concurrency limit: a number of permits, of which each class may use its share. The number adapts to how requests end.
//!
//! Additive increase, multiplicative decrease, as TCP does (D. Chiu and R. Jain, "Analysis of the Increase and Decrease Algorithms for
//! Congestion Avoidance in Computer Networks", 1989). A request that got no answer in time means that more are admitted than the process
//! can finish: each of them used time, and all were in vain.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};

use super::{Class, place_in_line::Line};
use crate::metrics;

/// The limit never falls below this, or below the configured maximum where that is less: some requests must try whether the cause is gone.
const MIN_LIMIT: u32 = 16;

/// The limit after a decrease, in per cent of the one before.
const DECREASE_PERCENT: u64 = 50;

/// Time between two decreases. The requests that were admitted under the old limit fail together, and count once.
const DECREASE_INTERVAL: Duration = Duration::from_millis(250);

/// A request without an answer counts from this duration on. A shorter one did not wait: a dependency is down, or the client set a short
/// deadline, which must not lower the limit of others.
const IN_VAIN: Duration = Duration::from_millis(250);

/// The limit is kept in thousandths of a permit, because one success increases it by less than one.
const MILLI: u64 = 1_000;

/// The permits of one process.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    taken: AtomicU32,
    max: u32,
    limit_milli: AtomicU64,
    /// When the limit was last decreased, in milliseconds since `started`.
    decreased_ms: AtomicU64,
    started: Instant,
    lines: [Line; Class::ALL.len()],
}

/// One request in flight; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Permit {
    limit: Arc<ConcurrencyLimit>,
    class: Class,
    since: Instant,
    answered: bool,
}

impl ConcurrencyLimit {
    pub(super) fn new(max: u32) -> Arc<Self> {
        let limit = Self {
            taken: AtomicU32::new(0),
            max,
            limit_milli: AtomicU64::new(u64::from(max) * MILLI),
            decreased_ms: AtomicU64::new(0),
            started: Instant::now(),
            lines: Class::ALL.map(|_| Line::default()),
        };
        metrics::LIMIT.set(max.into());
        Arc::new(limit)
    }

    /// Takes a permit; `None` when the rest is reserved for other classes. A request never waits here: it waits for a connection to
    /// the database.
    pub(super) fn take(self: &Arc<Self>, class: Class) -> Option<Permit> {
        let limit = self.limit(class);
        let take = |taken| (taken < limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok()?;
        metrics::IN_FLIGHT.inc();
        Some(Permit { limit: Arc::clone(self), class, since: Instant::now(), answered: false })
    }

    /// Returns how many permits, of all classes, may be taken before this class gets no more.
    pub(super) fn limit(&self, class: Class) -> u32 {
        let share = self.limit_milli.load(Ordering::Relaxed) * class.share_percent() / 100 / MILLI;
        u32::try_from(share).unwrap_or(self.max)
    }

    /// Returns when a shed request of this class should come back: when its turn would be if all shed requests waited in line.
    pub(super) fn wait(&self, class: Class) -> Duration {
        self.lines[class as usize].join(Instant::now(), self.limit(class))
    }

    /// One permit more after as many answers as there are permits; only while at least half of them are in use, because answers say nothing
    /// about a limit that is not reached.
    fn increase(&self) {
        let limit = self.limit_milli.load(Ordering::Relaxed);
        let max = u64::from(self.max) * MILLI;
        if limit < max && u64::from(self.taken.load(Ordering::Relaxed)) * MILLI * 2 >= limit {
            let step = (MILLI * MILLI / limit).max(1);
            // Of two answers at the same time one may be lost, which changes nothing that matters.
            self.set(limit, (limit + step).min(max));
        }
    }

    fn decrease(&self) {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let interval_ms = u64::try_from(DECREASE_INTERVAL.as_millis()).unwrap_or(u64::MAX);
        let due = |last| (now_ms >= last + interval_ms || last == 0).then_some(now_ms.max(1));
        if self.decreased_ms.fetch_update(Ordering::AcqRel, Ordering::Acquire, due).is_err() {
            return;
        }
        let limit = self.limit_milli.load(Ordering::Relaxed);
        let min = u64::from(MIN_LIMIT.min(self.max)) * MILLI;
        self.set(limit, (limit * DECREASE_PERCENT / 100).max(min));
    }

    fn set(&self, from: u64, to: u64) {
        let set = self.limit_milli.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        if set.is_ok() && from / MILLI != to / MILLI {
            metrics::LIMIT.set(i64::try_from(to / MILLI).unwrap_or(i64::MAX));
        }
    }
}

impl Permit {
    /// Returns when the client should come back, if the request has waited so long that it counts as in vain.
    pub(super) fn wait_after_failure(&self) -> Option<Duration> {
        self.has_waited().then(|| self.limit.wait(self.class))
    }

    fn has_waited(&self) -> bool {
        self.since.elapsed() >= IN_VAIN
    }

    /// The process did what was asked, or said why not. The place stays taken until the response has been written.
    pub(super) fn answered(&mut self) {
        self.answered = true;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.answered {
            self.limit.lines[self.class as usize].served();
            self.limit.increase();
        } else if self.has_waited() {
            self.limit.decrease();
        }
        self.limit.taken.fetch_sub(1, Ordering::AcqRel);
        metrics::IN_FLIGHT.dec();
    }
}
/// A response body that holds a permit until it has been written, or dropped.
pub(super) struct PermitBody {
    body: BoxBody,
    _permit: Permit,
}

impl PermitBody {
    pub(super) fn new(body: BoxBody, permit: Permit) -> Self {
        Self { body, _permit: permit }
    }
}

impl MessageBody for PermitBody {
    type Error = Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let body = Pin::new(&mut self.get_mut().body);
        body.poll_next(cx).map_err(Into::into)
    }
}

#[cfg(test)]
mod tests;
