//! Latency and throughput over time, by second of the intended starts.

use std::{collections::VecDeque, time::Duration};

use serde::Serialize;

use super::{Figures, Outcome};

/// Seconds whose requests may still be in flight. A request that ends later is recorded in the oldest of them.
const OPEN: usize = 32;

/// Significant digits of a second's histogram.
const DIGITS: u8 = 2;

/// The requests whose intended start is in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Second {
    pub(crate) n_expected: u64,
    /// With timeouts.
    pub(crate) n_errors: u64,
    pub(crate) n_dropped: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

/// The seconds of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    closed: Vec<Second>,
    open: VecDeque<Figures>,
}

impl Timeline {
    pub(super) fn record(&mut self, at: Duration, latency_us: u64, outcome: &Outcome) {
        let index = usize::try_from(at.as_secs()).unwrap_or(usize::MAX).saturating_sub(self.closed.len());
        while self.open.len() <= index {
            if self.open.len() == OPEN {
                self.close_oldest();
                return self.record(at, latency_us, outcome);
            }
            self.open.push_back(Figures::new(DIGITS));
        }
        self.open[index].record(latency_us, outcome);
    }

    fn close_oldest(&mut self) {
        if let Some(figures) = self.open.pop_front() {
            self.closed.push(Second::of(&figures));
        }
    }

    /// Returns every second up to the last one with a request.
    pub(crate) fn seconds(&self) -> Vec<Second> {
        self.closed.iter().copied().chain(self.open.iter().map(Second::of)).collect()
    }

    /// Returns the second that is `ago` seconds before the last one.
    pub(crate) fn recent(&self, ago: usize) -> Option<Second> {
        self.open.len().checked_sub(ago + 1).and_then(|index| self.open.get(index)).map(Second::of)
    }
}

impl Second {
    fn of(figures: &Figures) -> Self {
        let (n_errors, n_dropped) = (figures.n_errors(), figures.n_dropped);
        Self {
            n_expected: figures.n_arrivals - n_errors - n_dropped,
            n_errors,
            n_dropped,
            p50_us: figures.latency.value_at_quantile(0.5),
            p99_us: figures.latency.value_at_quantile(0.99),
            max_us: figures.latency.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_belongs_to_the_second_of_its_intended_start() {
        let mut timeline = Timeline::default();
        timeline.record(Duration::from_millis(2500), 700, &Outcome::Expected);
        timeline.record(Duration::from_millis(100), 9_000_000, &Outcome::Timeout);
        let seconds = timeline.seconds();
        assert_eq!((seconds[0].n_errors, seconds[1].n_expected, seconds[2].n_expected), (1, 0, 1));
        assert!(seconds[0].max_us >= 9_000_000);
    }

    #[test]
    fn past_seconds_keep_their_numbers_without_a_histogram() {
        let mut timeline = Timeline::default();
        for second in 0..1000 {
            timeline.record(Duration::from_secs(second), 100, &Outcome::Expected);
        }
        assert_eq!(timeline.open.len(), OPEN);
        assert_eq!(timeline.seconds().len(), 1000);
        assert!(timeline.seconds().iter().all(|second| second.n_expected == 1));
    }
}
