//! The highest steady rate at which a scenario holds: runs at one rate after another, until the limit is between two of them.

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::report::Report;
use crate::run::{check_directory, drive, parse_rate, parse_seconds, write_json};
use crate::scenario::Scenario;
use crate::target::Target;

/// The search ends when the higher rate is less than this times the lower one.
const CLOSE: f64 = 1.1;

/// Before each step counts, so that caches are warm and connections open.
const WARM_UP: Duration = Duration::from_secs(5);

/// What to search in, and how far.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The scenario: its operations and thresholds. Each step sends them at one rate, in place of the scenario's phases.
    scenario: PathBuf,
    /// The system: a TOML file; `muster target` prints the one of the local stack.
    #[arg(long, env = "LOADTEST_TARGET")]
    target: PathBuf,
    /// Requests per second of the first step; the scenario's own in the mean if left out.
    #[arg(long, value_parser = parse_rate)]
    from: Option<f64>,
    /// Length of each step beyond its warm-up, as seconds with or without `s`.
    #[arg(long, value_parser = parse_seconds, default_value = "20")]
    duration: Duration,
    /// Steps at most.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=30))]
    steps: u32,
    /// Empty every mailbox of the target before each step.
    #[arg(long)]
    purge_mailbox: bool,
    /// Where to write the result as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One run of the search.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Requests per second.
    pub rate: f64,
    /// Whether everything held.
    pub passed: bool,
    /// What did not hold, with what was measured.
    pub failures: Vec<String>,
}

/// What a search found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The scenario's name.
    pub scenario: String,
    /// The highest rate that held, if one did.
    pub holds: Option<f64>,
    /// The lowest rate above it that did not, if there was one.
    pub fails: Option<f64>,
    /// Run by run.
    pub steps: Vec<Step>,
}

/// Runs the search.
pub async fn search(args: &Args) -> anyhow::Result<Found> {
    let scenario = Scenario::read(&args.scenario)?;
    let target = Target::read(&args.target)?;
    args.json.as_deref().map_or(Ok(()), check_directory)?;
    let mut bounds = Bounds::default();
    let mut steps = Vec::new();
    let mut rate = args.from.unwrap_or_else(|| scenario.mean_rate());
    for number in 1..=args.steps {
        if args.purge_mailbox {
            target.purge_mailbox().await?;
        }
        say(format_args!(
            "step {number} of {} at most: {rate:.1}/s for {:.0} s",
            args.steps,
            args.duration.as_secs_f64()
        ));
        let step = run(&scenario, &target, rate, args.duration).await?;
        say(format_args!("{step}"));
        bounds.note(rate, step.passed);
        steps.push(step);
        match bounds.next() {
            Some(next) => rate = next,
            None => break,
        }
    }
    let found = Found { scenario: scenario.name, holds: bounds.holds, fails: bounds.fails, steps };
    if let Some(path) = &args.json {
        write_json(path, &found)?;
    }
    Ok(found)
}

async fn run(scenario: &Scenario, target: &Target, rate: f64, duration: Duration) -> anyhow::Result<Step> {
    let mut steady = scenario.clone();
    steady.set_steady(rate, WARM_UP, duration);
    let report = drive(&steady, target).await?.conclude(&steady).await?;
    Ok(Step::new(rate, &report))
}

fn say(line: fmt::Arguments<'_>) {
    writeln!(std::io::stderr().lock(), "{line}").unwrap_or_default();
}

impl Step {
    fn new(rate: f64, report: &Report) -> Self {
        let failed = report.verdicts.iter().filter(|verdict| !verdict.passed);
        let failures = failed.map(|verdict| format!("{}: {}", verdict.condition, verdict.measured));
        Self { rate, passed: report.passed, failures: failures.collect() }
    }
}

/// The highest rate that held and the lowest that did not.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    holds: Option<f64>,
    fails: Option<f64>,
}

impl Bounds {
    fn note(&mut self, rate: f64, passed: bool) {
        if passed {
            self.holds = Some(self.holds.map_or(rate, |best| best.max(rate)));
        } else {
            self.fails = Some(self.fails.map_or(rate, |worst| worst.min(rate)));
        }
    }

    /// The rate to try next: twice or half of the last bound until there are both, then the middle of them, in proportion.
    fn next(self) -> Option<f64> {
        match (self.holds, self.fails) {
            (Some(holds), Some(fails)) => (fails > holds * CLOSE).then(|| (holds * fails).sqrt()),
            (Some(holds), None) => Some(holds * 2.0),
            (None, Some(fails)) => Some(fails / 2.0).filter(|rate| *rate >= 0.1),
            (None, None) => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failures[..] {
            [] => write!(formatter, "{:>9.1}/s  holds", self.rate),
            failures => write!(formatter, "{:>9.1}/s  FAILS  {}", self.rate, failures.join("; ")),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(formatter, "{step}")?;
        }
        match (self.holds, self.fails) {
            (Some(holds), Some(fails)) => write!(
                formatter,
                "\n{}: {holds:.1}/s is the highest steady rate that held every threshold; {fails:.1}/s did not, so the limit is between.",
                self.scenario
            ),
            (Some(holds), None) => write!(
                formatter,
                "\n{}: {holds:.1}/s held every threshold, and nothing higher was tried; give it more --steps or begin higher, --from.",
                self.scenario
            ),
            (None, _) => write!(formatter, "\n{}: no rate held every threshold.", self.scenario),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates that are tried when everything up to `limit` holds.
    fn tried(from: f64, limit: f64) -> (Bounds, Vec<f64>) {
        let (mut bounds, mut rates) = (Bounds::default(), Vec::new());
        let mut rate = Some(from);
        while let Some(now) = rate.filter(|_| rates.len() < 50) {
            rates.push(now);
            bounds.note(now, now <= limit);
            rate = bounds.next();
        }
        (bounds, rates)
    }

    #[test]
    fn the_limit_ends_up_between_two_close_rates_from_wherever_the_search_begins() {
        for from in [1.0, 40.0, 287.0, 5000.0] {
            let (bounds, rates) = tried(from, 287.0);
            let (holds, fails) = (bounds.holds.unwrap(), bounds.fails.unwrap());
            assert!(holds <= 287.0 && 287.0 < fails && fails <= holds * CLOSE, "{holds} {fails}");
            assert!(rates.len() <= 14, "{rates:?}");
        }
    }

    #[test]
    fn a_search_in_which_nothing_holds_ends() {
        let (bounds, rates) = tried(100.0, 0.0);
        assert!(bounds.holds.is_none() && rates.len() < 12, "{rates:?}");
    }

    #[test]
    fn the_result_says_between_which_rates_the_limit_is_and_why_the_higher_one_failed() {
        let failures = vec!["place_order: p99 ≤ 250.00 ms: 400.00 ms".to_owned()];
        let found = Found {
            scenario: "orders".to_owned(),
            holds: Some(280.0),
            fails: Some(300.0),
            steps: vec![
                Step { rate: 280.0, passed: true, failures: Vec::new() },
                Step { rate: 300.0, passed: false, failures },
            ],
        };
        let said = found.to_string();
        assert!(said.contains("280.0/s is the highest steady rate"), "{said}");
        assert!(said.contains("300.0/s  FAILS  place_order: p99 ≤ 250.00 ms: 400.00 ms"), "{said}");
    }
}
