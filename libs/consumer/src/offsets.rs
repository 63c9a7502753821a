//! Which records of a partition are finished: what may be committed when they finish out of order.

use std::collections::VecDeque;

/// The records of a partition from the lowest unfinished one on, by offset.
#[derive(Debug, Default)]
pub(crate) struct Offsets(VecDeque<Entry>);

#[derive(Debug)]
struct Entry {
    offset: i64,
    /// Milliseconds since 1970, when the record has a time.
    timestamp: Option<i64>,
    finished: bool,
}

impl Offsets {
    /// Notes a record that was received. Offsets rise.
    pub(crate) fn begin(&mut self, offset: i64, timestamp: Option<i64>) {
        self.0.push_back(Entry { offset, timestamp, finished: false });
    }

    /// Notes that a record is finished. Returns the highest offset up to which every one is, if that has risen.
    pub(crate) fn finish(&mut self, offset: i64) -> Option<i64> {
        if let Ok(index) = self.0.binary_search_by_key(&offset, |entry| entry.offset) {
            self.0[index].finished = true;
        }
        let mut risen = None;
        while let Some(entry) = self.0.pop_front_if(|entry| entry.finished) {
            risen = Some(entry.offset);
        }
        risen
    }

    /// The lowest unfinished record: its offset and time.
    pub(crate) fn lowest(&self) -> Option<(i64, Option<i64>)> {
        self.0.front().map(|entry| (entry.offset, entry.timestamp))
    }

    /// Records from the lowest unfinished one on, finished or not.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_finished_rises_to_the_lowest_unfinished_record() {
        let mut offsets = Offsets::default();
        // Offsets have gaps: markers of transactions, records that compaction removed.
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
