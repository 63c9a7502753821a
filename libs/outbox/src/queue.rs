//! The rows of this relay's buckets that it has read and not finished, and how far it has read without a gap.
//!
//! A row can become visible after one with a higher seq. So a bucket is read from `read_up_to`, below which no row can appear any
//! more, and rows above it that were seen before are skipped.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::{
    lease::{Held, Progress},
    rows::{Head, Horizon, Key, Pending, Place, Range},
};

/// Rows above `read_up_to` at most: a transaction that stays open keeps them from being forgotten, and each read reads them again.
pub(crate) const MAX_SEEN: usize = 50_000;

#[derive(Debug)]
struct Bucket {
    fence: i64,
    /// As last written to the database.
    written: i64,
    /// All rows up to this seq were read, or will never exist.
    read_up_to: i64,
    /// The seqs of rows above it that were read.
    seen: BTreeSet<i64>,
    /// `inserted_at` of the newest row that was published.
    newest: Option<DateTime<Utc>>,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    buckets: BTreeMap<i16, Bucket>,
    rows: BTreeMap<i64, Head>,
    /// Rows from `outbox_parked` that wait for no refused one. Each is before the rows of its key in `rows`.
    ready: BTreeMap<i64, Head>,
    /// The keys with rows in `outbox_parked`: their rows in `rows` go there, too.
    parked_keys: HashSet<Key>,
    /// All transactions that can commit a row up to this seq have ended.
    settled: i64,
    /// The next value of `settled`, once its writers have ended.
    candidate: Option<Horizon>,
    /// These buckets are about to be given back.
    leaving: BTreeSet<i16>,
}

impl Queue {
    /// Adds a bucket that this relay has acquired.
    pub(crate) fn hold(&mut self, Held { bucket, fence, position }: Held) {
        let held =
            Bucket { fence, written: position, read_up_to: position, seen: BTreeSet::new(), newest: None };
        self.buckets.insert(bucket, held);
    }

    /// Forgets a bucket and its rows.
    pub(crate) fn release(&mut self, bucket: i16) {
        self.buckets.remove(&bucket);
        self.leaving.remove(&bucket);
        self.rows.retain(|_, head| head.bucket != bucket);
        self.ready.retain(|_, head| head.bucket != bucket);
    }

    /// Prepares to give back this many buckets: none of their rows is chosen any more.
    pub(crate) fn set_surplus(&mut self, surplus: usize) {
        self.leaving = self.buckets.keys().rev().take(surplus).copied().collect();
    }

    pub(crate) fn leaving(&self) -> &BTreeSet<i16> {
        &self.leaving
    }

    pub(crate) fn n_buckets(&self) -> usize {
        self.buckets.len()
    }

    pub(crate) fn buckets(&self) -> Vec<i16> {
        self.buckets.keys().copied().collect()
    }

    /// The buckets and their fences.
    pub(crate) fn fences(&self) -> (Vec<i16>, Vec<i64>) {
        self.buckets.iter().map(|(bucket, state)| (*bucket, state.fence)).unzip()
    }

    /// How far each bucket has come.
    pub(crate) fn progress(&self) -> Vec<Progress> {
        let mut unfinished: HashMap<i16, (i64, i64)> = HashMap::new();
        for head in self.rows.values() {
            unfinished.entry(head.bucket).or_insert((head.seq, 0)).1 += 1;
        }
        let progress = self.buckets.iter().map(|(&bucket, state)| {
            let (first, n_unpublished) = unfinished.get(&bucket).copied().unwrap_or((i64::MAX, 0));
            let position = state.read_up_to.min(first.saturating_sub(1));
            Progress {
                held: Held { bucket, fence: state.fence, position },
                read_up_to: state.seen.last().copied().unwrap_or_default().max(state.read_up_to),
                n_unpublished,
                newest: state.newest,
            }
        });
        progress.collect()
    }

    /// Whether a position differs from the written one.
    pub(crate) fn has_moved(&self) -> bool {
        let is_new =
            |progress: &Progress| self.buckets[&progress.held.bucket].written != progress.held.position;
        self.progress().iter().any(is_new)
    }

    /// These positions are in the database. Returns whether one of them is new there.
    pub(crate) fn written(&mut self, progress: &[Progress]) -> bool {
        let mut has_moved = false;
        for Progress { held, .. } in progress {
            if let Some(bucket) = self.buckets.get_mut(&held.bucket) {
                has_moved |= bucket.written != held.position;
                bucket.written = held.position;
            }
        }
        has_moved
    }

    /// Takes the state of the writers, which was read before the next rows. `false` when the sequence went back: this is another
    /// database than before.
    #[must_use]
    pub(crate) fn observe(&mut self, horizon: Horizon) -> bool {
        if horizon.upper < self.settled {
            return false;
        }
        if horizon.writers.is_empty() {
            (self.settled, self.candidate) = (horizon.upper, None);
        } else if self.candidate.as_ref().is_none_or(|known| known.writers.is_disjoint(&horizon.writers)) {
            let settled = self.candidate.replace(horizon).map_or(0, |candidate| candidate.upper);
            self.settled = self.settled.max(settled);
        }
        true
    }

    /// What to read so that about `target` rows are here. Rows that were read before come again.
    pub(crate) fn ranges(&self, target: usize) -> Vec<Range> {
        let missing = target.saturating_sub(self.rows.len());
        let share = missing.div_ceil(self.buckets.len().max(1));
        let range = |(bucket, state): (&i16, &Bucket)| Range {
            bucket: *bucket,
            fence: state.fence,
            after: state.read_up_to,
            limit: state.seen.len() + share,
        };
        self.buckets.iter().map(range).collect()
    }

    /// Adds the rows of these ranges; returns whether there may be more.
    pub(crate) fn add(&mut self, heads: Vec<Head>, ranges: &[Range]) -> bool {
        let mut ends: HashMap<i16, (usize, i64)> = HashMap::new();
        for head in heads {
            let Some(bucket) = self.buckets.get_mut(&head.bucket) else { continue };
            let (n_rows, last) = ends.entry(head.bucket).or_default();
            (*n_rows, *last) = (*n_rows + 1, head.seq.max(*last));
            if bucket.seen.insert(head.seq) {
                self.rows.insert(head.seq, head);
            }
        }
        let mut has_more = false;
        for range in ranges {
            let (n_rows, last) = ends.get(&range.bucket).copied().unwrap_or_default();
            let is_cut = n_rows >= range.limit;
            has_more |= is_cut;
            let Some(bucket) = self.buckets.get_mut(&range.bucket) else { continue };
            let complete = if is_cut { last.min(self.settled) } else { self.settled };
            bucket.read_up_to = bucket.read_up_to.max(complete);
            bucket.seen = bucket.seen.split_off(&(bucket.read_up_to + 1));
        }
        has_more
    }

    /// The number of rows that each read reads again.
    pub(crate) fn unsettled(&self) -> usize {
        self.buckets.values().map(|bucket| bucket.seen.len()).sum()
    }

    /// Whether the next read makes rows settled.
    pub(crate) fn can_settle(&self) -> bool {
        self.buckets.values().any(|bucket| !bucket.seen.is_empty() && bucket.read_up_to < self.settled)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows to publish, in order.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &Head> {
        let all = self.ready.values().chain(self.rows.values());
        all.filter(|head| !self.leaving.contains(&head.bucket))
    }

    /// Takes the rows of these that are here whole; returns the seqs of the others, too.
    pub(crate) fn take_whole(&mut self, seqs: &[i64]) -> (Vec<Pending>, Vec<i64>) {
        let (mut whole, mut others) = (Vec::with_capacity(seqs.len()), Vec::new());
        for seq in seqs {
            match self.rows.get_mut(seq).and_then(|head| head.row.take()) {
                Some(row) => whole.push(row),
                None => others.push(*seq),
            }
        }
        (whole, others)
    }

    /// Finds these rows: first those of `outbox`, then those of `outbox_parked`.
    pub(crate) fn places(&self, seqs: &[i64]) -> (Vec<Place>, Vec<Place>) {
        let find = |rows: &BTreeMap<i64, Head>| {
            seqs.iter().filter_map(|seq| rows.get(seq)).filter_map(|head| self.place(head)).collect()
        };
        (find(&self.rows), find(&self.ready))
    }

    fn place(&self, head: &Head) -> Option<Place> {
        let fence = self.buckets.get(&head.bucket)?.fence;
        Some(Place { bucket: head.bucket, fence, seq: head.seq, inserted_at: head.inserted_at })
    }

    /// Removes published rows; returns those that are in `outbox_parked`.
    pub(crate) fn published(&mut self, seqs: &[i64]) -> Vec<Place> {
        for head in seqs.iter().filter_map(|seq| self.rows.remove(seq)) {
            if let Some(bucket) = self.buckets.get_mut(&head.bucket) {
                bucket.newest = bucket.newest.max(Some(head.inserted_at));
            }
        }
        let parked: Vec<_> = seqs.iter().filter_map(|seq| self.ready.remove(seq)).collect();
        parked.iter().filter_map(|head| self.place(head)).collect()
    }

    /// Removes a row that the broker refuses, and marks its key as parked. `true` when it is in `outbox_parked`.
    pub(crate) fn refused(&mut self, seq: i64) -> Option<(Place, bool)> {
        let parked = self.ready.remove(&seq);
        let is_parked = parked.is_some();
        let head = parked.or_else(|| self.rows.remove(&seq))?;
        self.ready.retain(|_, other| other.key != head.key);
        let place = self.place(&head)?;
        self.parked_keys.insert(head.key);
        Some((place, is_parked))
    }

    /// Sets the parked keys, and adds parked rows that can be published.
    pub(crate) fn set_parked(&mut self, keys: HashSet<Key>, ready: Vec<Head>) {
        self.parked_keys = keys;
        for head in ready {
            self.ready.entry(head.seq).or_insert(head);
        }
    }

    /// Removes the rows whose keys are parked.
    pub(crate) fn take_followers(&mut self) -> Vec<Place> {
        if self.parked_keys.is_empty() {
            return Vec::new();
        }
        let followers = self.rows.values().filter(|head| self.parked_keys.contains(&head.key));
        let places: Vec<_> = followers.filter_map(|head| self.place(head)).collect();
        for place in &places {
            self.rows.remove(&place.seq);
        }
        places
    }
}

#[cfg(test)]
mod tests;
