//! The concurrency limit: a number of permits, of which each class may use its share. The number adapts to how requests end.
//!
//! Additive increase, multiplicative decrease, as TCP does (D. Chiu and R. Jain, "Analysis of the Increase and Decrease Algorithms for
//! Congestion Avoidance in Computer Networks", 1989). A request that waited in vain for a resource that all share means that more are admitted
//! than the process can finish: each of them used time, and all were in vain.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
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

/// After this time without a decrease the limit doubles, so that a short stall does not lower it for long: few requests in flight
/// would never raise it.
const RECOVERY: Duration = Duration::from_secs(5);

const MILLI: u64 = 1_000;

/// The permits of one process.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    taken: AtomicU32,
    max: u32,
    /// The limit now.
    limit: AtomicU32,
    /// Locked only while the limit is below its maximum, or falls.
    adapting: Mutex<Adapting>,
    lines: [Line; Class::ALL.len()],
}

#[derive(Clone, Copy, Debug)]
struct Adapting {
    /// The limit in thousandths of a permit: one answer raises it by less than one.
    limit_milli: u64,
    /// The last decrease, or the last doubling after it.
    changed: Instant,
}

/// One request in flight; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Permit {
    limit: Arc<ConcurrencyLimit>,
    class: Class,
    since: Instant,
}

impl ConcurrencyLimit {
    pub(super) fn new(max: u32) -> Arc<Self> {
        metrics::LIMIT.set(max.into());
        Arc::new(Self {
            taken: AtomicU32::new(0),
            max,
            limit: AtomicU32::new(max),
            adapting: Mutex::new(Adapting { limit_milli: milli(max), changed: Instant::now() }),
            lines: Class::ALL.map(|_| Line::default()),
        })
    }

    /// Takes a permit; `None` when the rest is reserved for other classes. A request never waits here: it waits for a connection to
    /// the database.
    pub(super) fn take(self: &Arc<Self>, class: Class) -> Option<Permit> {
        let limit = self.limit(class);
        let take = |taken| (taken < limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok()?;
        metrics::IN_FLIGHT.inc();
        Some(Permit { limit: Arc::clone(self), class, since: Instant::now() })
    }

    /// Whether a request of this class would get no permit now.
    pub(super) fn is_reached(&self, class: Class) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.limit(class)
    }

    /// Returns how many permits, of all classes, may be taken before this class gets no more.
    pub(super) fn limit(&self, class: Class) -> u32 {
        let share = u64::from(self.limit.load(Ordering::Relaxed)) * class.share_percent() / 100;
        u32::try_from(share).unwrap_or(self.max)
    }

    /// Returns when a request of this class that was not served should come back: when its turn would be if all such requests waited in line.
    pub(super) fn wait(&self, class: Class) -> Duration {
        self.lines[class as usize].join(Instant::now(), self.limit(class))
    }

    /// One permit more after as many answers as there are permits; only while at least half of them are in use, because answers say nothing
    /// about a limit that is not reached.
    fn increase(&self) {
        if self.limit.load(Ordering::Relaxed) >= self.max {
            return;
        }
        let now = Instant::now();
        let is_used = self.taken.load(Ordering::Relaxed) >= self.limit.load(Ordering::Relaxed) / 2;
        self.adapt(|it| {
            if now.saturating_duration_since(it.changed) >= RECOVERY {
                *it = Adapting { limit_milli: it.limit_milli * 2, changed: now };
            } else if is_used {
                it.limit_milli += MILLI * MILLI / it.limit_milli;
            }
        });
    }

    /// Half of the limit, unless the request was admitted before the last decrease: those that were admitted together fail together, and
    /// count once.
    fn decrease(&self, admitted: Instant) {
        self.adapt(|it| {
            if admitted >= it.changed {
                *it = Adapting { limit_milli: it.limit_milli / 2, changed: Instant::now() };
            }
        });
    }

    fn adapt(&self, change: impl FnOnce(&mut Adapting)) {
        let mut adapting = self.adapting.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut adapting);
        adapting.limit_milli = adapting.limit_milli.clamp(milli(MIN_LIMIT.min(self.max)), milli(self.max));
        let limit = u32::try_from(adapting.limit_milli / MILLI).unwrap_or(self.max);
        self.limit.store(limit, Ordering::Relaxed);
        metrics::LIMIT.set(limit.into());
    }
}

fn milli(limit: u32) -> u64 {
    u64::from(limit) * MILLI
}

impl Permit {
    /// The process did what was asked, or said why not.
    pub(super) fn answered(&self) {
        self.limit.lines[self.class as usize].served();
        self.limit.increase();
    }

    /// The request waited in vain for something that all share. Returns when the client should come back.
    pub(super) fn failed(&self) -> Duration {
        self.limit.decrease(self.since);
        self.limit.wait(self.class)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limit.taken.fetch_sub(1, Ordering::AcqRel);
        metrics::IN_FLIGHT.dec();
    }
}

/// A response body that holds a permit until it has been written, or dropped.
pub(super) struct PermitBody {
    body: BoxBody,
    _permit: Option<Permit>,
}

impl PermitBody {
    pub(super) fn new(body: BoxBody, permit: Option<Permit>) -> Self {
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
