//! How long a mail takes, compared with the usual time.

use std::time::{Duration, Instant};

/// Weight of a new mail in the smoothed time.
const WEIGHT: f64 = 1.0 / 16.0;

/// Shortest time that counts as usual, in seconds. Below it, differences are those of a busy machine and not of a server that is full.
const QUICK: f64 = 0.05;

/// The usual time doubles in this many seconds, unless mails are quicker: a server that has become slower for good is usual in the end.
const DOUBLES_IN: f64 = 600.0;

/// The smoothed time of a mail (an exponentially weighted average), and the lowest one lately, which is the usual time.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<Observed>);

#[derive(Clone, Copy, Debug)]
struct Observed {
    smoothed: f64,
    usual: f64,
    at: Instant,
}

impl Pace {
    /// Adds a mail, and returns the smoothed time as a multiple of the usual one.
    pub(super) fn observe(&mut self, took: Duration, now: Instant) -> f64 {
        let took = took.as_secs_f64();
        let before = self.0.unwrap_or(Observed { smoothed: took, usual: took, at: now });
        let smoothed = before.smoothed + (took - before.smoothed) * WEIGHT;
        let grown = (now.saturating_duration_since(before.at).as_secs_f64() / DOUBLES_IN).exp2();
        let usual = (before.usual * grown).min(smoothed);
        self.0 = Some(Observed { smoothed, usual, at: now });
        smoothed.max(QUICK) / usual.max(QUICK)
    }
}
