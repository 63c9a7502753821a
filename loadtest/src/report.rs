//! A run as text, as JSON and as a page.

mod chart;
mod html;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::reconcile;
use crate::recording::{Figures, Recording, Second, quantile_ms, real};
use crate::scenario::Scenario;
use crate::verdict::{Verdict, judge};

pub use html::Page;

/// Quantiles that reports show.
const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// Everything there is to say about a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// What it is for.
    pub about: String,
    /// When it began, RFC 3339.
    pub began_at: String,
    /// Whether every verdict is good.
    pub passed: bool,
    /// Condition by condition.
    pub verdicts: Vec<Verdict>,
    /// What was sent, operation by operation.
    pub operations: Vec<Operation>,
    /// The generator itself.
    pub generator: Generator,
    /// What clients were told against what there is.
    pub reconciliation: reconcile::Report,
}

/// The figures of an operation.
#[derive(Clone, Debug, Serialize)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// Counted arrivals.
    pub n_arrivals: u64,
    /// Counted arrivals per second.
    pub rate: f64,
    /// MailTimes that failed, timeouts included.
    pub n_errors: u64,
    /// MailTimes that were dropped for want of a connection.
    pub n_dropped: u64,
    /// Errors by reason.
    pub errors: BTreeMap<String, u64>,
    /// Latency from the intended start in milliseconds, by quantile.
    pub latency_ms: Vec<(&'static str, f64)>,
    /// Second by second, the warm-up included.
    pub seconds: Vec<Second>,
    /// Pairs of quantile and latency in milliseconds, fine enough to draw.
    #[serde(skip)]
    distribution: Vec<(f64, f64)>,
}

/// How the generator did.
#[derive(Clone, Debug, Serialize)]
pub struct Generator {
    /// Median of its own lateness in milliseconds.
    pub lateness_p50_ms: f64,
    /// 99th percentile of its own lateness in milliseconds.
    pub lateness_p99_ms: f64,
    /// Its worst lateness in milliseconds.
    pub lateness_max_ms: f64,
    /// Requests that were repeated because an answer settled nothing.
    pub n_retries: u64,
    /// Its processor time, as part of one core, over the run.
    pub cpu_cores: f64,
}

impl Report {
    /// Puts a run together. `cpu_seconds` is the processor time that the generator used for it.
    pub fn new(
        scenario: &Scenario,
        began_at: chrono::DateTime<chrono::Utc>,
        recording: &Recording,
        cpu_seconds: f64,
        reconciliation: reconcile::Report,
    ) -> Self {
        let verdicts = judge(scenario, recording, &reconciliation);
        let counted: f64 =
            scenario.phases.iter().filter(|p| p.counted).map(|p| p.duration.as_secs_f64()).sum();
        let whole: f64 = scenario.phases.iter().map(|phase| phase.duration.as_secs_f64()).sum();
        let names = scenario.operations.iter().map(|operation| operation.kind.to_string());
        let each = names.zip(&recording.operations).zip(&recording.timelines);
        let operations = each
            .map(|((name, figures), timeline)| Operation::new(name, figures, counted, timeline.seconds()));
        Self {
            scenario: scenario.name.clone(),
            about: scenario.about.clone(),
            began_at: began_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            passed: verdicts.iter().all(|verdict| verdict.passed),
            verdicts,
            operations: operations.collect(),
            generator: Generator {
                lateness_p50_ms: quantile_ms(&recording.scheduling_lag, 0.5),
                lateness_p99_ms: quantile_ms(&recording.scheduling_lag, 0.99),
                lateness_max_ms: quantile_ms(&recording.scheduling_lag, 1.0),
                n_retries: recording.n_retries,
                cpu_cores: cpu_seconds / whole,
            },
            reconciliation,
        }
    }
}

impl Operation {
    fn new(name: String, figures: &Figures, counted_s: f64, seconds: Vec<Second>) -> Self {
        let latency = &figures.latency;
        // Every tenfold of what is left over gets as many points: 90, 99, 99.9 % and so on are equally far apart.
        let fine = (0..=50).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / 10.0));
        Self {
            name,
            n_arrivals: figures.n_arrivals,
            rate: real(figures.n_arrivals) / counted_s,
            n_errors: figures.n_errors(),
            n_dropped: figures.n_dropped,
            errors: figures.errors.clone(),
            latency_ms: QUANTILES.map(|(name, quantile)| (name, quantile_ms(latency, quantile))).to_vec(),
            seconds,
            distribution: fine.map(|quantile| (quantile, quantile_ms(latency, quantile))).collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}: {}\n", self.scenario, self.about)?;
        write!(
            formatter,
            "{:<12} {:>9} {:>9} {:>7} {:>7}",
            "operation", "arrivals", "per s", "errors", "dropped"
        )?;
        for (name, _) in QUANTILES {
            write!(formatter, " {name:>9}")?;
        }
        writeln!(formatter, "  (ms)")?;
        for operation in &self.operations {
            let Operation { name, n_arrivals, rate, n_errors, n_dropped, .. } = operation;
            write!(formatter, "{name:<12} {n_arrivals:>9} {rate:>9.1} {n_errors:>7} {n_dropped:>7}")?;
            for (_, latency) in &operation.latency_ms {
                write!(formatter, " {latency:>9.2}")?;
            }
            writeln!(formatter)?;
            for (reason, count) in &operation.errors {
                writeln!(formatter, "             {count} × {reason}")?;
            }
        }
        let Generator { lateness_p50_ms, lateness_p99_ms, lateness_max_ms, n_retries, cpu_cores } =
            &self.generator;
        writeln!(
            formatter,
            "\ngenerator: late by p50 {lateness_p50_ms:.2} ms, p99 {lateness_p99_ms:.2} ms, at most \
             {lateness_max_ms:.2} ms; {cpu_cores:.2} cores; {n_retries} retries\n"
        )?;
        writeln!(formatter, "{}\n", self.reconciliation)?;
        for Verdict { condition, measured, passed } in &self.verdicts {
            let word = if *passed { "pass" } else { "FAIL" };
            writeln!(formatter, "{word}  {condition}: {measured}")?;
        }
        write!(formatter, "\n{}", if self.passed { "The run passed." } else { "The run FAILED." })
    }
}
