//! The concurrency limit: a number of permits, of which each class may use its share.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};

use super::Class;
use crate::metrics;

/// The permits of one process.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    taken: AtomicU32,
    max: u32,
}

/// One request in flight; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Permit(Arc<ConcurrencyLimit>);

impl ConcurrencyLimit {
    pub(super) fn new(max: u32) -> Arc<Self> {
        Arc::new(Self { taken: AtomicU32::new(0), max })
    }

    /// Takes a permit; `None` when the rest is reserved for other classes. A request never waits here: it waits for a connection to
    /// the database.
    pub(super) fn take(self: &Arc<Self>, class: Class) -> Option<Permit> {
        let limit = self.limit(class);
        let take = |taken| (taken < limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok()?;
        metrics::IN_FLIGHT.inc();
        Some(Permit(Arc::clone(self)))
    }

    /// Returns how many permits, of all classes, may be taken before this class gets no more.
    pub(super) fn limit(&self, class: Class) -> u32 {
        let share = u64::from(self.max) * class.share_percent() / 100;
        u32::try_from(share).unwrap_or(self.max)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
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
mod tests {
    use super::*;

    fn take_all(limit: &Arc<ConcurrencyLimit>, class: Class) -> Vec<Permit> {
        std::iter::from_fn(|| limit.take(class)).collect()
    }

    #[test]
    fn each_class_leaves_a_reserve_for_the_next() {
        let limit = ConcurrencyLimit::new(10);
        let writes = take_all(&limit, Class::Write);
        let public = take_all(&limit, Class::Public);
        let reads = take_all(&limit, Class::Read);
        assert_eq!((writes.len(), public.len(), reads.len()), (8, 1, 1));
    }

    #[test]
    fn a_class_can_take_its_whole_share_when_it_comes_first() {
        let limit = ConcurrencyLimit::new(10);
        let reads = take_all(&limit, Class::Read);
        assert_eq!(reads.len(), 10);
        assert!(limit.take(Class::Write).is_none());
    }

    #[test]
    fn a_dropped_permit_is_free_again() {
        let limit = ConcurrencyLimit::new(10);
        let mut writes = take_all(&limit, Class::Write);
        assert!(limit.take(Class::Write).is_none());
        writes.pop();
        assert!(limit.take(Class::Write).is_some());
    }
}
