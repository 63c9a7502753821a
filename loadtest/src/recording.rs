//! Measurements of a run: latencies from the intended starts, errors by reason, and the generator's own scheduling lag.
//!
//! Memory is bounded: histograms have a fixed size, and a past second is kept as six numbers.

mod timeline;

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
pub(crate) use timeline::{Second, Timeline};

use crate::connections::Failure;

/// Significant digits of a histogram.
pub(crate) const DIGITS: u8 = 3;

/// The longest latency of a histogram; longer ones count as this one.
const MAX_LATENCY: Duration = Duration::from_mins(1);

/// The outcome of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer that the scenario expects.
    Expected,
    /// No answer in time. The latency counts: without it, a stall would look fast.
    Timeout,
    /// No connection became free in time; nothing was sent.
    Dropped,
    /// Another failure, with one of few reasons.
    Failed(String),
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout => Self::Timeout,
            Failure::Dropped => Self::Dropped,
            Failure::Connect | Failure::Broken => Self::Failed(failure.to_string()),
        }
    }
}

/// The figures of one operation.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Latencies in microseconds of expected answers and of timeouts.
    pub latency: Histogram<u64>,
    /// Arrivals.
    pub n_arrivals: u64,
    /// Dropped arrivals.
    pub n_dropped: u64,
    /// Failed arrivals by reason, with timeouts and without dropped arrivals.
    pub errors: BTreeMap<String, u64>,
}

/// The figures of a run.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The counted arrivals of each operation of the scenario.
    pub operations: Vec<Figures>,
    /// Each second of each operation, with the warm-up.
    pub(crate) timelines: Vec<Timeline>,
    /// Time from the intended start of each request to its actual start, in microseconds.
    pub scheduling_lag: Histogram<u64>,
    /// Whether the generator stopped because of its scheduling lag.
    pub gave_up: bool,
    /// Retries.
    pub(crate) n_retries: u64,
}

impl Figures {
    fn new(digits: u8) -> Self {
        Self { latency: histogram(digits), n_arrivals: 0, n_dropped: 0, errors: BTreeMap::new() }
    }

    /// Adds the figures of another operation.
    fn merge(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
        self.n_arrivals += other.n_arrivals;
        self.n_dropped += other.n_dropped;
        for (reason, count) in &other.errors {
            *self.errors.entry(reason.clone()).or_default() += count;
        }
    }

    /// Returns the number of failed arrivals.
    pub fn n_errors(&self) -> u64 {
        self.errors.values().sum()
    }

    fn record(&mut self, latency_us: u64, outcome: &Outcome) {
        self.n_arrivals += 1;
        match outcome {
            Outcome::Expected => self.latency.saturating_record(latency_us),
            Outcome::Timeout => {
                self.latency.saturating_record(latency_us);
                *self.errors.entry("timeout".to_owned()).or_default() += 1;
            }
            Outcome::Dropped => self.n_dropped += 1,
            Outcome::Failed(reason) => *self.errors.entry(reason.clone()).or_default() += 1,
        }
    }
}

impl Recording {
    pub(crate) fn new(n_operations: usize) -> Self {
        Self {
            operations: vec![Figures::new(DIGITS); n_operations],
            timelines: vec![Timeline::default(); n_operations],
            scheduling_lag: histogram(DIGITS),
            gave_up: false,
            n_retries: 0,
        }
    }

    pub(crate) fn record_lag(&mut self, lag: Duration) {
        self.scheduling_lag.saturating_record(micros(lag));
    }

    /// Records the outcome of a request, `latency` after its intended start.
    pub(crate) fn record(
        &mut self,
        operation: usize,
        arrival: crate::schedule::Arrival,
        latency: Duration,
        outcome: &Outcome,
    ) {
        let latency_us = micros(latency);
        if arrival.counted {
            self.operations[operation].record(latency_us, outcome);
        }
        self.timelines[operation].record(arrival.at, latency_us, outcome);
    }

    /// Returns the sum of all operations.
    pub fn total(&self) -> Figures {
        self.operations.iter().fold(Figures::new(DIGITS), |mut total, figures| {
            total.merge(figures);
            total
        })
    }
}

/// Returns an empty histogram of latencies in microseconds, up to one minute, with this number of significant digits.
pub(crate) fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(1, micros(MAX_LATENCY), digits).expect("the bounds are valid")
}

/// Converts a duration to the microseconds of a [`histogram`].
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Returns a quantile of a [`histogram`] in milliseconds.
pub(crate) fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    ms(histogram.value_at_quantile(quantile))
}

/// Converts microseconds to milliseconds.
pub(crate) fn ms(micros: u64) -> f64 {
    real(micros) / 1e3
}

/// Converts a count to a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and counts of a run stay far below")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}
