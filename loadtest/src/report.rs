//! Report of a run as text, JSON and HTML.

pub mod chart;
mod html;

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{
    reconcile,
    recording::{Figures, Recording, Second, quantile_ms, real},
    scenario::Scenario,
    schedule::total_duration,
    verdict::{Verdict, judge},
};

/// The quantiles of a report.
const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// The result of a run. `Display` is the text of a report, `Serialize` its JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    scenario: String,
    about: String,
    began_at: String,
    /// Whether every condition holds.
    pub passed: bool,
    pub(crate) verdicts: Vec<Verdict>,
    operations: Vec<Operation>,
    generator: Generator,
    /// The reconciliation.
    pub reconciliation: reconcile::Report,
}

/// The figures of an operation.
#[derive(Clone, Debug, Serialize)]
struct Operation {
    name: String,
    n_arrivals: u64,
    /// Arrivals per second.
    rate: f64,
    n_errors: u64,
    n_dropped: u64,
    /// By reason.
    errors: BTreeMap<String, u64>,
    /// By quantile.
    latency_ms: Vec<(&'static str, f64)>,
    /// Each second, with the warm-up.
    seconds: Vec<Second>,
    /// Quantiles and their latencies in milliseconds, for the chart.
    #[serde(skip)]
    distribution: Vec<(f64, f64)>,
}

/// The scheduling lag and the costs of the generator itself.
#[derive(Clone, Debug, Serialize)]
struct Generator {
    #[serde(rename = "lateness_p50_ms")]
    lag_p50_ms: f64,
    #[serde(rename = "lateness_p99_ms")]
    lag_p99_ms: f64,
    #[serde(rename = "lateness_max_ms")]
    lag_max_ms: f64,
    n_retries: u64,
    /// Processor time per second of the run.
    cpu_cores: f64,
}

impl Report {
    /// Makes the report of a run. `cpu_seconds`: the processor time of the generator.
    pub(crate) fn new(
        scenario: &Scenario,
        began_at: chrono::DateTime<chrono::Utc>,
        recording: &Recording,
        cpu_seconds: f64,
        reconciliation: reconcile::Report,
    ) -> Self {
        let verdicts = judge(scenario, recording, &reconciliation);
        let (counted_s, whole) = (scenario.counted_s(), total_duration(&scenario.phases));
        let names = scenario.operations.iter().map(|operation| operation.kind.to_string());
        let each = names.zip(&recording.operations).zip(&recording.timelines);
        let operations = each
            .map(|((name, figures), timeline)| Operation::new(name, figures, counted_s, timeline.seconds()));
        Self {
            scenario: scenario.name.clone(),
            about: scenario.about.clone(),
            began_at: began_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            passed: verdicts.iter().all(|verdict| verdict.passed),
            verdicts,
            operations: operations.collect(),
            generator: Generator {
                lag_p50_ms: quantile_ms(&recording.scheduling_lag, 0.5),
                lag_p99_ms: quantile_ms(&recording.scheduling_lag, 0.99),
                lag_max_ms: quantile_ms(&recording.scheduling_lag, 1.0),
                n_retries: recording.n_retries,
                cpu_cores: cpu_seconds / whole.as_secs_f64(),
            },
            reconciliation,
        }
    }
}

impl Operation {
    fn new(name: String, figures: &Figures, counted_s: f64, seconds: Vec<Second>) -> Self {
        let latency = &figures.latency;
        // Ten points from 90 to 99 %, ten from 99 to 99.9 %, and so on.
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
        let Generator { lag_p50_ms, lag_p99_ms, lag_max_ms, n_retries, cpu_cores } = &self.generator;
        writeln!(
            formatter,
            "\ngenerator: scheduling lag p50 {lag_p50_ms:.2} ms, p99 {lag_p99_ms:.2} ms, max {lag_max_ms:.2} ms; \
             {cpu_cores:.2} cores; {n_retries} retries\n"
        )?;
        writeln!(formatter, "{}\n", self.reconciliation)?;
        for Verdict { condition, measured, passed } in &self.verdicts {
            let word = if *passed { "pass" } else { "FAIL" };
            writeln!(formatter, "{word}  {condition}: {measured}")?;
        }
        write!(formatter, "\n{}", if self.passed { "The run passed." } else { "The run FAILED." })
    }
}
