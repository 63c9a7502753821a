//! Finds the highest steady rate at which a scenario passes: doubles or halves the rate, then bisects.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{
    report::Report,
    run::{CommonArgs, generate_load, log, parse_rate, parse_seconds},
};

/// The search ends when the failing rate is less than this times the passing rate.
const CLOSE: f64 = 1.1;

/// The warm-up of each step: fills caches and opens connections.
const WARM_UP: Duration = Duration::from_secs(5);

/// Arguments of `loadtest search`. Each step sends the scenario's operations at one rate, instead of the scenario's phases.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Rate of the first step, in requests per second; default: the mean rate of the scenario.
    #[arg(long, value_parser = parse_rate)]
    from: Option<f64>,
    /// Duration of each step after its warm-up in seconds, such as 60 or 60s.
    #[arg(long, value_parser = parse_seconds, default_value = "20")]
    duration: Duration,
    /// Maximum number of steps.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=30))]
    steps: u32,
}

/// One run of the search.
#[derive(Clone, Debug, Serialize)]
struct Step {
    rate: f64,
    passed: bool,
    /// The conditions that did not hold, with their measurements.
    failures: Vec<String>,
}

/// The result of a search.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    scenario: String,
    /// The highest rate that passed.
    pub holds: Option<f64>,
    /// The lowest rate above it that failed.
    fails: Option<f64>,
    steps: Vec<Step>,
}

/// Runs the search.
pub async fn search(args: &Args) -> anyhow::Result<Found> {
    let (scenario, target) = args.common.load()?;
    let mut bounds = Bounds::default();
    let mut steps = Vec::new();
    let mut rate = args.from.unwrap_or_else(|| scenario.mean_rate());
    for number in 1..=args.steps {
        args.common.purge(&target).await?;
        let seconds = args.duration.as_secs_f64();
        log(format_args!("step {number} of at most {}: {rate:.1}/s for {seconds:.0} s", args.steps));
        let mut steady = scenario.clone();
        steady.set_steady(rate, WARM_UP, args.duration);
        let report = generate_load(&steady, &target).await?.reconcile(&steady).await?;
        let step = Step::new(rate, &report);
        log(format_args!("{step}"));
        bounds.note(rate, step.passed);
        steps.push(step);
        match bounds.next() {
            Some(next) => rate = next,
            None => break,
        }
    }
    let found = Found { scenario: scenario.name, holds: bounds.holds, fails: bounds.fails, steps };
    args.common.write(&found)?;
    Ok(found)
}

impl Step {
    fn new(rate: f64, report: &Report) -> Self {
        let failed = report.verdicts.iter().filter(|verdict| !verdict.passed);
        let failures = failed.map(|verdict| format!("{}: {}", verdict.condition, verdict.measured));
        Self { rate, passed: report.passed, failures: failures.collect() }
    }
}

/// The highest rate that passed and the lowest rate that failed.
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

    /// The next rate: twice or half of the last one until both bounds are known, then their geometric mean.
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
            [] => write!(formatter, "{:>9.1}/s  passes", self.rate),
            failures => write!(formatter, "{:>9.1}/s  FAILS  {}", self.rate, failures.join("; ")),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(formatter, "{step}")?;
        }
        write!(formatter, "\n{}: ", self.scenario)?;
        match (self.holds, self.fails) {
            (Some(holds), Some(fails)) => {
                write!(formatter, "{holds:.1}/s is the highest steady rate that passes; {fails:.1}/s fails.")
            }
            (Some(holds), None) => {
                write!(
                    formatter,
                    "{holds:.1}/s passes, and no higher rate was tried: use more --steps or a higher --from."
                )
            }
            (None, _) => formatter.write_str("no rate passes."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates of a search in which every rate up to `limit` passes.
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
    fn the_search_ends_with_two_close_rates_around_the_limit() {
        for from in [1.0, 40.0, 287.0, 5000.0] {
            let (bounds, rates) = tried(from, 287.0);
            let (holds, fails) = (bounds.holds.unwrap(), bounds.fails.unwrap());
            assert!(holds <= 287.0 && 287.0 < fails && fails <= holds * CLOSE, "{holds} {fails}");
            assert!(rates.len() <= 14, "{rates:?}");
        }
    }

    #[test]
    fn a_search_without_a_passing_rate_ends() {
        let (bounds, rates) = tried(100.0, 0.0);
        assert!(bounds.holds.is_none() && rates.len() < 12, "{rates:?}");
    }

    #[test]
    fn the_result_has_both_rates_and_the_failed_condition() {
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
        let text = found.to_string();
        assert!(text.contains("280.0/s is the highest steady rate"), "{text}");
        assert!(text.contains("300.0/s  FAILS  place_order: p99 ≤ 250.00 ms: 400.00 ms"), "{text}");
    }
}
