//! One search: the records of the topic from a position on, each with what was decided about it.

use std::{collections::VecDeque, ops::Range};

use rdkafka::Message as _;
use tokio::sync::MutexGuard;

use super::{
    Error, Inspect, LetterId, Letters, Position, Selection, State,
    decisions::{Decisions, Known},
    letter::Letter,
    reader::Reader,
};

/// Offsets whose decisions are read at once.
const WINDOW: i64 = 1_000;

/// A search in progress. It holds the reader; one record is in memory at a time.
pub(super) struct Scan<'a> {
    reader: MutexGuard<'a, Reader>,
    decisions: &'a Decisions,
    /// What is still to be read, the current partition first.
    ranges: VecDeque<(i32, Range<i64>)>,
    ends: Vec<i64>,
    is_assigned: bool,
    /// The offsets of the current partition whose decisions are known.
    window: Range<i64>,
    known: Known,
}

impl<I: Inspect> Letters<I> {
    /// Begins or continues a search.
    pub(super) async fn scan(
        &self,
        selection: &Selection,
        from: Option<&Position>,
    ) -> Result<Scan<'_>, Error> {
        let reader = self.reader.lock().await;
        let bounds = reader.bounds().await?;
        let ends: Vec<i64> = match from {
            Some(position) => position.ends.clone(),
            None => bounds.values().map(|(_, end)| *end).collect(),
        };
        let range = |(partition, (first, end)): (&i32, &(i64, i64))| {
            let from_start = from.filter(|from| from.next.partition == *partition);
            let start = from_start.map_or(*first, |from| from.next.offset.max(*first));
            let known_end = usize::try_from(*partition).ok().and_then(|at| ends.get(at)).copied();
            let end = known_end.unwrap_or_default().min(*end);
            (*partition, selection.within(*partition, start..end))
        };
        let is_ahead =
            |(partition, _): &(&i32, _)| from.is_none_or(|from| **partition >= from.next.partition);
        let ranges = bounds.iter().filter(is_ahead).map(range).collect();
        Ok(Scan {
            reader,
            decisions: &self.decisions,
            ranges,
            ends,
            is_assigned: false,
            window: 0..0,
            known: Known::new(),
        })
    }
}

impl Scan<'_> {
    /// Returns the next letter.
    pub(super) async fn next(&mut self) -> Result<Option<Letter>, Error> {
        while let Some((partition, range)) = self.ranges.front_mut() {
            let partition = *partition;
            if range.is_empty() {
                self.ranges.pop_front();
                (self.is_assigned, self.window) = (false, 0..0);
                continue;
            }
            if !self.is_assigned {
                self.reader.seek(LetterId { partition, offset: range.start })?;
                self.is_assigned = true;
            }
            let Some(message) = self.reader.next().await? else {
                range.start = range.end;
                continue;
            };
            let offset = message.offset();
            if message.partition() != partition || !range.contains(&offset) {
                // Behind the end: the records before it were deleted meanwhile.
                if message.partition() == partition && offset >= range.end {
                    range.start = range.end;
                }
                continue;
            }
            range.start = offset + 1;
            let mut letter = Letter::new(message);
            letter.state = self.state(&letter).await?;
            return Ok(Some(letter));
        }
        Ok(None)
    }

    /// Continues with this letter, the last one, once more.
    pub(super) fn step_back(&mut self, id: LetterId) {
        if let Some((_, range)) = self.ranges.front_mut() {
            range.start = id.offset;
        }
        self.is_assigned = false;
    }

    /// Leaves out the offsets of the current partition that are not read, and returns them.
    pub(super) fn skip_rest(&mut self) -> Range<i64> {
        let Some((_, range)) = self.ranges.front_mut() else { return 0..0 };
        let rest = range.clone();
        range.start = range.end;
        rest
    }

    /// Where another search continues; `None` when this one has found every letter.
    pub(super) fn position(&self) -> Option<Position> {
        let (partition, range) = self.ranges.iter().find(|(_, range)| !range.is_empty())?;
        let next = LetterId { partition: *partition, offset: range.start };
        Some(Position { next, ends: self.ends.clone() })
    }

    async fn state(&mut self, letter: &Letter) -> Result<State, Error> {
        let LetterId { partition, offset } = letter.id;
        if !self.window.contains(&offset) {
            self.window = offset..offset + WINDOW;
            self.known = self.decisions.known(partition, self.window.clone()).await?;
        }
        let of_offset = self.known.get(&offset).into_iter().flatten();
        let about = of_offset.filter(|(written_at, _)| written_at.is_none() || *written_at == letter.at());
        Ok(about.map(|(_, state)| *state).max().unwrap_or(State::Open))
    }
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        self.reader.rest();
    }
}
