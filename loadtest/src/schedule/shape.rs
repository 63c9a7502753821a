//! Distribution of the arrivals over one phase.

use std::time::Duration;

use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};

/// A distribution of arrivals. Rates are in requests per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
            Self::Staircase { from, to, steps } => {
                if steps == 1 {
                    from
                } else {
                    f64::midpoint(from, to)
                }
            }
        }
    }

    /// Mean rate of the bursts.
    pub fn burst_rate(self) -> f64 {
        match self {
            Self::Burst { size, every_s, .. } => f64::from(size) / every_s,
            Self::Constant { .. } | Self::Poisson { .. } | Self::Staircase { .. } => 0.0,
        }
    }

    /// Maximum number of simultaneous requests beyond one.
    pub fn largest_burst(self) -> f64 {
        match self {
            Self::Burst { size, .. } => f64::from(size),
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
}

/// The times of one phase, in seconds since its start.
#[derive(Debug)]
pub(super) struct Times {
    shape: Shape,
    /// The duration of the phase.
    seconds: f64,
    /// Past arrivals without bursts.
    n_regular: u32,
    /// Past bursts, and past arrivals of the present burst.
    n_bursts: u32,
    n_in_burst: u32,
    /// The last arrival of a shape with random intervals.
    drawn_s: f64,
    /// The present step.
    step: u32,
}

impl Times {
    pub(super) fn new(shape: Shape, duration: Duration) -> Self {
        let seconds = duration.as_secs_f64();
        Self { shape, seconds, n_regular: 0, n_bursts: 0, n_in_burst: 0, drawn_s: 0.0, step: 0 }
    }

    /// Returns the next time, unless it is after the end of the phase.
    pub(super) fn next(&mut self, rng: &mut impl Rng) -> Option<Duration> {
        let at_s = match self.shape {
            Shape::Constant { rate } => self.regular(rate),
            Shape::Poisson { rate } => {
                // 1 - u, because u can be 0, whose logarithm is infinite.
                self.drawn_s -= (1.0 - rng.random::<f64>()).ln() / rate;
                self.drawn_s
            }
            Shape::Staircase { from, to, steps } => self.staircase(from, to, steps)?,
            Shape::Burst { rate, size, every_s } => self.burst(rate, size, every_s),
        };
        // The last arrival may round up to the end, which belongs to the next phase.
        (at_s < self.seconds)
            .then(|| Duration::from_secs_f64(at_s))
            .filter(|at| at.as_secs_f64() < self.seconds)
    }

    fn regular(&mut self, rate: f64) -> f64 {
        let at_s = f64::from(self.n_regular) / rate;
        self.n_regular += 1;
        at_s
    }

    fn staircase(&mut self, from: f64, to: f64, steps: u32) -> Option<f64> {
        let length_s = self.seconds / f64::from(steps);
        while self.step < steps {
            let share = if steps == 1 { 0.0 } else { f64::from(self.step) / f64::from(steps - 1) };
            let within_s = self.regular(from + (to - from) * share);
            if within_s < length_s {
                return Some(f64::from(self.step) * length_s + within_s);
            }
            self.step += 1;
            self.n_regular = 0;
        }
        None
    }

    /// The earlier one of the next regular arrival and the next arrival of a burst.
    fn burst(&mut self, rate: f64, size: u32, every_s: f64) -> f64 {
        let regular_s = f64::from(self.n_regular) / rate;
        let burst_s = f64::from(self.n_bursts + 1) * every_s;
        if regular_s <= burst_s {
            return self.regular(rate);
        }
        self.n_in_burst += 1;
        if self.n_in_burst == size {
            self.n_bursts += 1;
            self.n_in_burst = 0;
        }
        burst_s
    }
}
