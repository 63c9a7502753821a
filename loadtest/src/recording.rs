//! What a run measured: latencies from intended starts, errors by reason, and how late the generator itself was.
//!
//! Bounded: histograms have a fixed size, and of each second that is over only a few numbers stay.

mod timeline;

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

pub use timeline::{Second, Timeline};

/// The longest latency that is told from longer ones.
const LONGEST: Duration = Duration::from_mins(1);

/// How one request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As the scenario expects.
    Expected,
    /// No answer in time. Its latency counts: leaving it out would make a stall look fast.
    Timeout,
    /// No connection became free in time; nothing was sent.
    Dropped,
    /// Anything else, by a reason of which there are few.
    Failed(String),
}

/// The figures of one operation.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Latencies in microseconds of what was answered as expected, and of timeouts.
    pub latency: Histogram<u64>,
    /// Arrivals.
    pub n_arrivals: u64,
    /// Arrivals that were dropped.
    pub n_dropped: u64,
    /// Arrivals that failed, by reason; timeouts are among them, dropped ones are not.
    pub errors: BTreeMap<String, u64>,
}

/// The figures of a run.
#[derive(Clone, Debug)]
pub struct Recording {
    /// What counts for thresholds, for each operation of the scenario.
    pub operations: Vec<Figures>,
    /// Second by second, the warm-up included, for each operation.
    pub timelines: Vec<Timeline>,
    /// How long after its intended start each request was handed over, in microseconds: the generator's own lateness.
    pub lateness: Histogram<u64>,
    /// Whether the generator was so late that it gave up.
    pub gave_up: bool,
    /// Requests that were repeated because their first answer settled nothing.
    pub n_retries: u64,
}

impl Figures {
    fn new() -> Self {
        Self { latency: histogram(3), n_arrivals: 0, n_dropped: 0, errors: BTreeMap::new() }
    }

    /// Adds those of another operation.
    pub fn merge(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
        self.n_arrivals += other.n_arrivals;
        self.n_dropped += other.n_dropped;
        for (reason, count) in &other.errors {
            *self.errors.entry(reason.clone()).or_default() += count;
        }
    }

    /// Arrivals that failed.
    pub fn n_errors(&self) -> u64 {
        self.errors.values().sum()
    }

    fn note(&mut self, latency_us: u64, ending: &Ending) {
        self.n_arrivals += 1;
        match ending {
            Ending::Expected => self.latency.saturating_record(latency_us),
            Ending::Timeout => {
                self.latency.saturating_record(latency_us);
                *self.errors.entry("timeout".to_owned()).or_default() += 1;
            }
            Ending::Dropped => self.n_dropped += 1,
            Ending::Failed(reason) => *self.errors.entry(reason.clone()).or_default() += 1,
        }
    }
}

impl Recording {
    pub(crate) fn new(n_operations: usize) -> Self {
        Self {
            operations: vec![Figures::new(); n_operations],
            timelines: vec![Timeline::default(); n_operations],
            lateness: histogram(3),
            gave_up: false,
            n_retries: 0,
        }
    }

    /// Notes that a request was handed over so long after its intended start.
    pub(crate) fn note_lateness(&mut self, lateness: Duration) {
        self.lateness.saturating_record(micros(lateness));
    }

    /// Notes how a request of an operation ended, `latency` after its intended start at `at`.
    pub(crate) fn note(
        &mut self,
        operation: usize,
        arrival: crate::schedule::Arrival,
        latency: Duration,
        ending: &Ending,
    ) {
        let latency_us = micros(latency);
        if arrival.counted {
            self.operations[operation].note(latency_us, ending);
        }
        self.timelines[operation].note(arrival.at, latency_us, ending);
    }

    /// All operations as one.
    pub fn total(&self) -> Figures {
        self.operations.iter().fold(Figures::new(), |mut total, figures| {
            total.merge(figures);
            total
        })
    }
}

/// An empty histogram of latencies in microseconds, with so many significant digits. What is longer than a minute counts as one.
pub fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, micros(LONGEST), digits).expect("the bounds are valid")
}

/// A duration as [`histogram`]s count it.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
