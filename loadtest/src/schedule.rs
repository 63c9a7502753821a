//! Schedule of an open loop: the intended start of every request, independent of answers.
//!
//! An arrival's time counts from the start of its phase and not from the previous arrival, so a delay of the generator does not move later
//! arrivals. The schedule is an iterator, with constant memory.

mod shape;

use std::time::Duration;

use rand::{SeedableRng as _, rngs::SmallRng};
use serde::{Deserialize, Deserializer, de::Error as _};
pub use shape::Shape;

/// A part of a run with one shape of arrivals.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// The name in reports.
    pub name: String,
    /// The duration.
    #[serde(rename = "duration_s", deserialize_with = "seconds")]
    pub duration: Duration,
    /// The distribution of its arrivals.
    #[serde(rename = "arrivals")]
    pub shape: Shape,
    /// Whether its requests count for thresholds; those of a warm-up do not.
    #[serde(default = "yes")]
    pub counted: bool,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
}

fn yes() -> bool {
    true
}

/// The intended start of one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// Time since the start of the run.
    pub at: Duration,
    /// Whether it counts for thresholds.
    pub counted: bool,
}

/// Returns the arrivals of all phases in the order of time. The same seed gives the same arrivals.
pub fn arrivals(phases: Vec<Phase>, seed: u64) -> impl Iterator<Item = Arrival> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut ended_at = Duration::ZERO;
    phases.into_iter().flat_map(move |Phase { duration, shape, counted, .. }| {
        let began_at = ended_at;
        ended_at += duration;
        shape.times(duration, rng.fork()).map(move |offset| Arrival { at: began_at + offset, counted })
    })
}

/// Returns the duration of all phases.
pub fn total_duration(phases: &[Phase]) -> Duration {
    phases.iter().map(|phase| phase.duration).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shapes() -> impl Strategy<Value = Shape> {
        prop_oneof![
            (1.0..2000.0_f64).prop_map(|rate| Shape::Constant { rate }),
            (1.0..2000.0_f64).prop_map(|rate| Shape::Poisson { rate }),
            (1.0..1000.0_f64, 1.0..1000.0_f64, 1..8_u32).prop_map(|(from, to, steps)| Shape::Staircase {
                from,
                to,
                steps
            }),
            (1.0..500.0_f64, 1..200_u32, 0.1..2.0_f64).prop_map(|(rate, size, every_s)| Shape::Burst {
                rate,
                size,
                every_s
            }),
        ]
    }

    fn phase(shape: Shape, seconds: f64) -> Phase {
        Phase { name: "p".to_owned(), duration: Duration::from_secs_f64(seconds), shape, counted: true }
    }

    proptest! {
        #[test]
        fn times_are_monotonic_and_inside_the_run(
            parts in proptest::collection::vec((shapes(), 0.05..3.0_f64), 1..4),
            seed: u64,
        ) {
            let phases: Vec<_> = parts.into_iter().map(|(shape, seconds)| phase(shape, seconds)).collect();
            let mut last = Duration::ZERO;
            for arrival in arrivals(phases.clone(), seed) {
                prop_assert!(arrival.at >= last);
                prop_assert!(arrival.at < total_duration(&phases));
                last = arrival.at;
            }
        }

        #[test]
        fn the_mean_rate_is_the_configured_rate(shape in shapes(), seed: u64) {
            let seconds = 20.0;
            let arrivals = f64::from(u32::try_from(arrivals(vec![phase(shape, seconds)], seed).count()).unwrap());
            let expected = shape.mean_rate() * seconds;
            // Six standard deviations of a Poisson count, and one burst at the end of the run.
            let burst = if let Shape::Burst { size, .. } = shape { f64::from(size) } else { 0.0 };
            let slack = 6.0 * expected.sqrt() + 2.0 + burst;
            prop_assert!((arrivals - expected).abs() <= slack, "{arrivals} instead of {expected}");
        }
    }

    #[test]
    fn a_constant_rate_does_not_drift() {
        let shape = Shape::Constant { rate: 3.0 };
        let last = arrivals(vec![phase(shape, 3600.0)], 0).last().unwrap();
        let drift = last.at.as_secs_f64() - 10_799.0 / 3.0;
        assert!(drift.abs() < 1e-6, "{drift}");
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let phases = [phase(Shape::Poisson { rate: 500.0 }, 1.0)];
        let times = |seed| arrivals(phases.to_vec(), seed).collect::<Vec<_>>();
        assert_eq!(times(7), times(7));
        assert_ne!(times(7), times(8));
    }
}
