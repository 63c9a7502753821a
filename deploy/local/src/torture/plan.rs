//! The faults of a torture run and their times, as a pure function of the seed.

use std::{fmt, time::Duration};

use rand::{
    RngExt as _, SeedableRng as _,
    distr::{Distribution as _, weighted::WeightedIndex},
    rngs::SmallRng,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::connections::Connection;

/// Processes that are killed or stopped, with their weights. Java parts need seconds to start again, so they are rarer.
const PROCESSES: [(&str, u32); 5] =
    [("orders", 8), ("email-consumer", 8), ("url-shortener", 6), ("kafka", 2), ("registry", 2)];

/// Time between the starts of two faults, in milliseconds. Shorter than some faults last, so that some overlap.
const GAP_MS: std::ops::Range<u64> = 1_000..4_500;

/// How long a fault lasts, in milliseconds. Longer than the bound of redirects and than most timeouts of a request.
const LASTS_MS: std::ops::Range<u64> = 300..4_000;

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "target")]
pub(crate) enum Fault {
    /// SIGKILL of a part; it starts again at the end.
    Kill(&'static str),
    /// SIGSTOP of a part, SIGCONT at the end.
    Stop(&'static str),
    /// Resets a connection, and every attempt to open it.
    Cut(Connection),
    /// Delays what passes a connection.
    Slow(Connection),
    /// Swallows what passes a connection.
    BlackHole(Connection),
    /// Restarts PostgreSQL in order: sessions are ended, a checkpoint is written.
    FastRestart,
    /// Ends PostgreSQL at once; it recovers from its log.
    ImmediateRestart,
    /// Fills the volume with tables of the order service.
    FullDisk,
}

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Planned {
    /// Counted from 1.
    pub(crate) number: usize,
    /// Milliseconds from the start of the faults.
    pub(crate) at_ms: u64,
    /// Milliseconds until it is undone.
    pub(crate) lasts_ms: u64,
    pub(crate) fault: Fault,
}

impl Fault {
    /// The part or connection that it disturbs: one fault at a time is on each.
    pub(crate) fn target(self) -> String {
        match self {
            Self::Kill(part) | Self::Stop(part) => part.to_owned(),
            Self::Cut(connection) | Self::Slow(connection) | Self::BlackHole(connection) => {
                connection.to_string()
            }
            Self::FastRestart | Self::ImmediateRestart => "postgres".to_owned(),
            Self::FullDisk => "volume".to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(part) => write!(formatter, "SIGKILL of {part}"),
            Self::Stop(part) => write!(formatter, "SIGSTOP of {part}"),
            Self::Cut(connection) => write!(formatter, "cut {connection}"),
            Self::Slow(connection) => write!(formatter, "slow {connection}"),
            Self::BlackHole(connection) => write!(formatter, "black hole {connection}"),
            Self::FastRestart => formatter.write_str("fast restart of postgres"),
            Self::ImmediateRestart => formatter.write_str("immediate restart of postgres"),
            Self::FullDisk => formatter.write_str("full disk"),
        }
    }
}

impl Planned {
    pub(crate) fn at(&self) -> Duration {
        Duration::from_millis(self.at_ms)
    }

    pub(crate) fn lasts(&self) -> Duration {
        Duration::from_millis(self.lasts_ms)
    }
}

/// Plans `n_kills` kills, and half as many other faults, in random order. The same arguments give the same plan.
pub(crate) fn plan(seed: &str, n_kills: usize, with_disk: bool) -> Vec<Planned> {
    let mut rng = SmallRng::from_seed(Sha256::digest(seed).into());
    let mut kinds: Vec<bool> = [vec![true; n_kills], vec![false; n_kills.div_ceil(2)]].concat();
    kinds.shuffle(&mut rng);
    let mut at_ms = 0;
    let faults = (1..).zip(kinds).map(|(number, is_kill)| {
        at_ms += rng.random_range(GAP_MS);
        let lasts_ms = rng.random_range(LASTS_MS);
        let fault = if is_kill { Fault::Kill(process(&mut rng)) } else { disturbance(&mut rng, with_disk) };
        Planned { number, at_ms, lasts_ms, fault }
    });
    faults.collect()
}

fn process(rng: &mut SmallRng) -> &'static str {
    let weights = WeightedIndex::new(PROCESSES.map(|(_, weight)| weight)).expect("the weights are positive");
    PROCESSES[weights.sample(rng)].0
}

/// A fault that kills no service. Each kind has the same probability.
fn disturbance(rng: &mut SmallRng, with_disk: bool) -> Fault {
    let connection = *Connection::ALL.choose(rng).expect("there are connections");
    match rng.random_range(0..if with_disk { 7 } else { 6 }) {
        0 => Fault::Stop(process(rng)),
        1 => Fault::Cut(connection),
        2 => Fault::Slow(connection),
        3 => Fault::BlackHole(connection),
        4 => Fault::FastRestart,
        5 => Fault::ImmediateRestart,
        _ => Fault::FullDisk,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_plan() {
        for seed in ["", "1", "970c7a9"] {
            assert_eq!(plan(seed, 50, true), plan(seed, 50, true));
        }
        assert_ne!(plan("1", 50, true), plan("2", 50, true));
    }

    #[test]
    fn a_plan_has_its_kills_in_order_of_time_and_each_fault_ends() {
        for seed in 0..100 {
            let plan = plan(&seed.to_string(), 30, true);
            let n_kills = plan.iter().filter(|it| matches!(it.fault, Fault::Kill(_))).count();
            assert_eq!((n_kills, plan.len()), (30, 45));
            assert!(plan.is_sorted_by(|one, other| one.at_ms < other.at_ms));
            assert!(plan.iter().all(|it| LASTS_MS.contains(&it.lasts_ms)));
        }
    }

    #[test]
    fn every_kind_of_fault_is_planned_and_the_disk_only_on_request() {
        let kinds = |with_disk| -> BTreeSet<String> {
            let faults = plan("kinds", 4_000, with_disk).into_iter().map(|it| it.fault.to_string());
            faults.collect()
        };
        // Kills and stops of five processes, three faults of each connection, two restarts, one disk.
        assert_eq!(kinds(true).len(), 2 * PROCESSES.len() + 3 * Connection::ALL.len() + 3);
        assert!(!kinds(false).contains("full disk"));
    }
}
