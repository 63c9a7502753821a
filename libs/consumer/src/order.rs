//! Order of the records of a partition: one record of each key at a time, and the offset up to which all are finished.

use std::collections::{HashMap, VecDeque, hash_map::Entry};

/// One queue for each key with an item in flight. The items without a key share one queue.
#[derive(Debug)]
pub(crate) struct KeyQueues<T>(HashMap<Option<Vec<u8>>, VecDeque<T>>);

impl<T> Default for KeyQueues<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> KeyQueues<T> {
    /// Returns the item when no other item of its key is in flight, and queues it otherwise.
    pub(crate) fn push(&mut self, key: Option<Vec<u8>>, item: T) -> Option<T> {
        match self.0.entry(key) {
            Entry::Occupied(mut queue) => {
                queue.get_mut().push_back(item);
                None
            }
            Entry::Vacant(queue) => {
                queue.insert(VecDeque::new());
                Some(item)
            }
        }
    }

    /// Finishes the item in flight and returns the next item of its key.
    pub(crate) fn next(&mut self, key: Option<Vec<u8>>) -> Option<T> {
        let Entry::Occupied(mut queue) = self.0.entry(key) else { return None };
        let next = queue.get_mut().pop_front();
        if next.is_none() {
            queue.remove();
        }
        next
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The received records of a partition from the lowest unfinished one on, in order of their offsets.
#[derive(Debug, Default)]
pub(crate) struct Offsets(VecDeque<Received>);

#[derive(Debug)]
struct Received {
    offset: i64,
    /// Milliseconds since 1970.
    timestamp: Option<i64>,
    finished: bool,
}

impl Offsets {
    /// Adds a received record. Offsets increase.
    pub(crate) fn begin(&mut self, offset: i64, timestamp: Option<i64>) {
        self.0.push_back(Received { offset, timestamp, finished: false });
    }

    /// Marks a record as finished. Returns the highest offset up to which all records are finished, if it has increased.
    pub(crate) fn finish(&mut self, offset: i64) -> Option<i64> {
        if let Ok(index) = self.0.binary_search_by_key(&offset, |entry| entry.offset) {
            self.0[index].finished = true;
        }
        let mut finished_up_to = None;
        while let Some(entry) = self.0.pop_front_if(|entry| entry.finished) {
            finished_up_to = Some(entry.offset);
        }
        finished_up_to
    }

    /// The offset and the time of the lowest unfinished record.
    pub(crate) fn lowest(&self) -> Option<(i64, Option<i64>)> {
        self.0.front().map(|entry| (entry.offset, entry.timestamp))
    }

    /// The number of records from the lowest unfinished one on.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_a_key_are_sequential_and_keys_are_independent() {
        let key = |name: &str| Some(name.as_bytes().to_vec());
        let mut keys = KeyQueues::default();
        assert_eq!(keys.push(key("a"), 1), Some(1));
        assert_eq!(keys.push(key("a"), 2), None);
        assert_eq!(keys.push(key("b"), 3), Some(3));
        assert_eq!(keys.push(None, 4), Some(4));
        assert_eq!(keys.next(key("a")), Some(2));
        assert_eq!(keys.next(key("a")), None);
        assert_eq!(keys.push(key("a"), 5), Some(5));
        keys.push(key("b"), 6);
        keys.clear();
        assert_eq!(keys.next(key("b")), None);
    }

    #[test]
    fn the_committable_offset_stays_below_the_lowest_unfinished_record() {
        let mut offsets = Offsets::default();
        // Offsets have gaps: transaction markers and compacted records.
        for offset in [3, 4, 7, 9] {
            offsets.begin(offset, Some(offset * 10));
        }
        assert_eq!(offsets.lowest(), Some((3, Some(30))));
        assert_eq!(offsets.finish(4), None);
        assert_eq!(offsets.finish(9), None);
        assert_eq!(offsets.len(), 4);
        assert_eq!(offsets.finish(3), Some(4));
        assert_eq!(offsets.lowest(), Some((7, Some(70))));
        assert_eq!(offsets.finish(7), Some(9));
        assert_eq!((offsets.lowest(), offsets.len()), (None, 0));
    }
}
