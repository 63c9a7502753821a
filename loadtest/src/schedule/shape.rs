//! How arrivals are spread over one phase.

use std::time::Duration;

use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};

use crate::recording::real;

/// Rates are requests per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "lowercase", deny_unknown_fields)]
pub enum Shape {
    /// Equal gaps.
    Constant {
        /// Requests per second.
        rate: f64,
    },
    /// Independent clients: exponential gaps.
    Poisson {
        /// Requests per second in the mean.
        rate: f64,
    },
    /// Steps of equal length from one rate to another, with equal gaps in each.
    Staircase {
        /// Requests per second in the first step.
        from: f64,
        /// Requests per second in the last step.
        to: f64,
        /// How many steps.
        steps: u32,
    },
    /// Equal gaps, and every so often many requests in the same instant.
    Burst {
        /// Requests per second between bursts.
        rate: f64,
        /// How many requests leave together.
        size: u32,
        /// Seconds from one burst to the next; the first comes after one such pause.
        every_s: f64,
    },
}

impl Shape {
    /// Requests per second over the whole phase.
    pub fn mean_rate(self) -> f64 {
        self.regular_rate() + self.burst_rate()
    }

    /// Requests per second, bursts apart: what [`scaled`](Self::scaled) multiplies.
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

    /// Requests per second that come in bursts.
    pub fn burst_rate(self) -> f64 {
        match self {
            Self::Burst { size, every_s, .. } => f64::from(size) / every_s,
            Self::Constant { .. } | Self::Poisson { .. } | Self::Staircase { .. } => 0.0,
        }
    }

    /// Requests that leave in the same instant at most, beyond one.
    pub fn largest_burst(self) -> f64 {
        match self {
            Self::Burst { size, .. } => f64::from(size),
            Self::Constant { .. } | Self::Poisson { .. } | Self::Staircase { .. } => 0.0,
        }
    }

    /// The same shape with every rate multiplied. A burst keeps its size: so many people at one instant are a question of
    /// their own, whatever else goes on.
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

/// The times of one phase, as seconds from its beginning.
#[derive(Debug)]
pub(super) struct Times {
    shape: Shape,
    /// The length of the phase.
    seconds: f64,
    /// How many arrivals there were, bursts apart.
    n_regular: u64,
    /// The bursts that are over, and how much of the present one has left.
    n_bursts: u64,
    n_in_burst: u32,
    /// The last arrival of a shape whose gaps are drawn.
    drawn_s: f64,
    /// The present step, and how many arrivals it had.
    step: u32,
}

impl Times {
    pub(super) fn new(shape: Shape, duration: Duration) -> Self {
        let seconds = duration.as_secs_f64();
        Self { shape, seconds, n_regular: 0, n_bursts: 0, n_in_burst: 0, drawn_s: 0.0, step: 0 }
    }

    /// The next time, unless the phase is over by then.
    pub(super) fn next(&mut self, rng: &mut impl Rng) -> Option<Duration> {
        let at_s = match self.shape {
            Shape::Constant { rate } => self.regular(rate),
            Shape::Poisson { rate } => {
                // 1 - u, because u can be 0 and its logarithm then has no end.
                self.drawn_s -= (1.0 - rng.random::<f64>()).ln() / rate;
                self.drawn_s
            }
            Shape::Staircase { from, to, steps } => self.staircase(from, to, steps)?,
            Shape::Burst { rate, size, every_s } => self.burst(rate, size, every_s),
        };
        // The last moments of a phase may round up to its end, which belongs to the next.
        (at_s < self.seconds)
            .then(|| Duration::from_secs_f64(at_s))
            .filter(|at| at.as_secs_f64() < self.seconds)
    }

    fn regular(&mut self, rate: f64) -> f64 {
        let at_s = real(self.n_regular) / rate;
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

    /// Whichever comes first: the next regular arrival or the next of a burst.
    fn burst(&mut self, rate: f64, size: u32, every_s: f64) -> f64 {
        let regular_s = real(self.n_regular) / rate;
        let burst_s = real(self.n_bursts + 1) * every_s;
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
