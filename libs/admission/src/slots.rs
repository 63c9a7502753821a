//! The concurrency limit: a number of slots, of which each class may fill its share.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::{class::Class, metrics};

/// The slots of one process.
#[derive(Debug)]
pub(crate) struct Slots {
    taken: AtomicU32,
    max: u32,
}

/// A slot, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Slots>);

impl Slots {
    pub(crate) fn new(max: u32) -> Arc<Self> {
        Arc::new(Self { taken: AtomicU32::new(0), max })
    }

    /// Takes a slot; none when this class would have to take it from the reserve of the others. Nobody waits here: the waiting
    /// room is the difference between the slots and the connections to the database.
    pub(crate) fn take(self: &Arc<Self>, class: Class) -> Option<Slot> {
        let limit = self.limit(class);
        let take = |taken| (taken < limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok()?;
        metrics::IN_FLIGHT.inc();
        Some(Slot(Arc::clone(self)))
    }

    /// How many slots may be taken, by whomever, for this class to take another.
    pub(crate) fn limit(&self, class: Class) -> u32 {
        let share = u64::from(self.max) * class.share_percent() / 100;
        u32::try_from(share).unwrap_or(self.max)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        metrics::IN_FLIGHT.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(slots: &Arc<Slots>, class: Class) -> Vec<Slot> {
        std::iter::from_fn(|| slots.take(class)).collect()
    }

    #[test]
    fn each_class_leaves_a_reserve_to_the_next() {
        let slots = Slots::new(10);
        let writes = take_all(&slots, Class::Write);
        let public = take_all(&slots, Class::Public);
        let reads = take_all(&slots, Class::Read);
        assert_eq!((writes.len(), public.len(), reads.len()), (8, 1, 1));
    }

    #[test]
    fn what_comes_first_gets_all_that_its_class_may_have() {
        let slots = Slots::new(10);
        let reads = take_all(&slots, Class::Read);
        assert_eq!(reads.len(), 10);
        assert!(slots.take(Class::Write).is_none());
    }

    #[test]
    fn a_slot_comes_back_when_it_is_dropped() {
        let slots = Slots::new(10);
        let mut writes = take_all(&slots, Class::Write);
        assert!(slots.take(Class::Write).is_none());
        writes.pop();
        assert!(slots.take(Class::Write).is_some());
    }
}
