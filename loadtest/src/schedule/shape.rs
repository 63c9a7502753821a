//! Distribution of the arrivals over one phase.

use std::{iter, time::Duration};

use itertools::Itertools as _;
use rand::{RngExt as _, rngs::SmallRng};
use serde::Deserialize;

/// A distribution of arrivals. Rates are in requests per second.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "shape", rename_all = "lowercase", deny_unknown_fields)]
pub enum Shape {
    /// Equal intervals.
    Constant {
        /// Requests per second.
        rate: f64,
    },
    /// A Poisson process, like independent clients: exponential intervals.
    Poisson {
        /// Mean requests per second.
        rate: f64,
    },
    /// Steps of equal length from one rate to another, with equal intervals in each.
    Staircase {
        /// Requests per second in the first step.
        from: f64,
        /// Requests per second in the last step.
        to: f64,
        /// Number of steps.
        steps: u32,
    },
    /// Equal intervals, and periodic bursts of simultaneous requests.
    Burst {
        /// Requests per second between bursts.
        rate: f64,
        /// Requests per burst.
        size: u32,
        /// Seconds between bursts; the first burst comes after this time.
        every_s: f64,
    },
}

impl Shape {
    /// Mean rate over the whole phase.
    pub fn mean_rate(self) -> f64 {
        self.regular_rate() + self.burst_rate()
    }

    /// Mean rate without bursts, which [`scaled`](Self::scaled) multiplies.
    pub fn regular_rate(self) -> f64 {
        match self {
            Self::Constant { rate } | Self::Poisson { rate } | Self::Burst { rate, .. } => rate,
            Self::Staircase { from, steps: 1, .. } => from,
            Self::Staircase { from, to, .. } => f64::midpoint(from, to),
        }
    }

    /// Mean rate of the bursts.
    pub fn burst_rate(self) -> f64 {
        match self {
            Self::Burst { size, every_s, .. } => f64::from(size) / every_s,
            Self::Constant { .. } | Self::Poisson { .. } | Self::Staircase { .. } => 0.0,
        }
    }

    /// Multiplies every rate. A burst keeps its size, because the number of simultaneous requests does not depend on the mean rate.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Constant { rate } => Self::Constant { rate: rate * factor },
            Self::Poisson { rate } => Self::Poisson { rate: rate * factor },
            Self::Staircase { from, to, steps } => {
                Self::Staircase { from: from * factor, to: to * factor, steps }
            }
            Self::Burst { rate, size, every_s } => Self::Burst { rate: rate * factor, size, every_s },
        }
    }

    /// The numbers that must be above zero, with their names.
    pub(crate) fn positive_numbers(self) -> Vec<(&'static str, f64)> {
        match self {
            Self::Constant { rate } | Self::Poisson { rate } => vec![("rate", rate)],
            Self::Staircase { from, to, steps } => {
                vec![("from", from), ("to", to), ("steps", f64::from(steps))]
            }
            Self::Burst { rate, size, every_s } => {
                vec![("rate", rate), ("size", f64::from(size)), ("every_s", every_s)]
            }
        }
    }

    /// The times of a phase of this duration, since its start.
    pub(super) fn times(self, duration: Duration, rng: SmallRng) -> impl Iterator<Item = Duration> {
        let length_s = duration.as_secs_f64();
        // The last arrival may round up to the end, which belongs to the next phase.
        let times = self.seconds(length_s, rng).take_while(move |at_s| *at_s < length_s);
        times.map(Duration::from_secs_f64).take_while(move |at| *at < duration)
    }

    fn seconds(self, length_s: f64, mut rng: SmallRng) -> Box<dyn Iterator<Item = f64> + Send> {
        match self {
            Self::Constant { rate } => Box::new(regular(rate)),
            Self::Poisson { rate } => {
                // 1 - u, because u can be 0, whose logarithm is infinite.
                let intervals = iter::repeat_with(move || -(1.0 - rng.random::<f64>()).ln() / rate);
                Box::new(intervals.scan(0.0, |at_s, interval_s| {
                    *at_s += interval_s;
                    Some(*at_s)
                }))
            }
            Self::Staircase { from, to, steps } => {
                let step_s = length_s / f64::from(steps);
                Box::new((0..steps).flat_map(move |step| {
                    let share = f64::from(step) / f64::from((steps - 1).max(1));
                    let times = regular(from + (to - from) * share).take_while(move |at_s| *at_s < step_s);
                    times.map(move |at_s| f64::from(step) * step_s + at_s)
                }))
            }
            Self::Burst { rate, size, every_s } => {
                let burst = move |number| iter::repeat_n(f64::from(number) * every_s, size as usize);
                Box::new(regular(rate).merge((1_u32..).flat_map(burst)))
            }
        }
    }
}

/// Endless times with equal intervals.
fn regular(rate: f64) -> impl Iterator<Item = f64> {
    (0_u32..).map(move |number| f64::from(number) / rate)
}
