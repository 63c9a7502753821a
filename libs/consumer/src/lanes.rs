//! The keys of a partition: one record of each is in hand at a time, the others wait behind it.

use std::collections::{HashMap, VecDeque, hash_map::Entry};

/// Items that wait behind one of the same key. A key is here for as long as one of its items is in hand. Records without a
/// key share one.
#[derive(Debug)]
pub(crate) struct Lanes<T>(HashMap<Option<Vec<u8>>, VecDeque<T>>);

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Lanes<T> {
    /// Returns the item when it is its key's turn, or else keeps it.
    pub(crate) fn enter(&mut self, key: Option<Vec<u8>>, item: T) -> Option<T> {
        match self.0.entry(key) {
            Entry::Occupied(mut lane) => {
                lane.get_mut().push_back(item);
                None
            }
            Entry::Vacant(lane) => {
                lane.insert(VecDeque::new());
                Some(item)
            }
        }
    }

    /// Notes that the item in hand is finished, and returns the next of its key.
    pub(crate) fn leave(&mut self, key: Option<Vec<u8>>) -> Option<T> {
        let Entry::Occupied(mut lane) = self.0.entry(key) else { return None };
        let next = lane.get_mut().pop_front();
        if next.is_none() {
            lane.remove();
        }
        next
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_a_key_take_turns_and_keys_do_not_wait_for_each_other() {
        let key = |name: &str| Some(name.as_bytes().to_vec());
        let mut lanes = Lanes::default();
        assert_eq!(lanes.enter(key("a"), 1), Some(1));
        assert_eq!(lanes.enter(key("a"), 2), None);
        assert_eq!(lanes.enter(key("b"), 3), Some(3));
        assert_eq!(lanes.enter(None, 4), Some(4));
        assert_eq!(lanes.leave(key("a")), Some(2));
        assert_eq!(lanes.leave(key("a")), None);
        assert_eq!(lanes.enter(key("a"), 5), Some(5));
        lanes.enter(key("b"), 6);
        lanes.clear();
        assert_eq!(lanes.leave(key("b")), None);
    }
}
