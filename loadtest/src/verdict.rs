//! Verdicts: compares the measurements of a run with its conditions.

use serde::Serialize;

use crate::{
    reconcile,
    recording::{Figures, Recording, quantile_ms, real},
    scenario::{Measure, Scenario, Threshold},
};

/// One condition and its measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) condition: String,
    pub(crate) measured: String,
    pub(crate) passed: bool,
}

/// Judges a run: the generator first, because without it the other measurements are invalid; then every threshold of the scenario; then
/// the reconciliation.
pub(crate) fn judge(
    scenario: &Scenario,
    recording: &Recording,
    reconciled: &reconcile::Report,
) -> Vec<Verdict> {
    let mut verdicts = vec![generator(scenario, recording)];
    verdicts.extend(scenario.thresholds.iter().map(|threshold| {
        let index_of = |kind| scenario.operations.iter().position(|operation| operation.kind == kind);
        let index = threshold.operation.and_then(index_of);
        let figures = index.map_or_else(|| recording.total(), |index| recording.operations[index].clone());
        judge_threshold(threshold, &figures, reconciled)
    }));
    let n_faults = reconciled.faults.len();
    verdicts.push(Verdict {
        condition: "the system holds what clients were answered".to_owned(),
        measured: format!("{n_faults} faults"),
        passed: n_faults == 0,
    });
    verdicts
}

fn generator(scenario: &Scenario, recording: &Recording) -> Verdict {
    let limit_ms = ms_of(scenario.scheduling_lag_p99);
    let measured_ms = quantile_ms(&recording.scheduling_lag, 0.99);
    let gave_up =
        if recording.gave_up { "; the generator stopped: use a faster machine or a lower rate" } else { "" };
    Verdict {
        condition: format!("generator: p99 of scheduling lag ≤ {limit_ms:.0} ms"),
        measured: format!("{measured_ms:.2} ms{gave_up}"),
        passed: measured_ms <= limit_ms && !recording.gave_up,
    }
}

fn judge_threshold(threshold: &Threshold, figures: &Figures, reconciled: &reconcile::Report) -> Verdict {
    let Threshold { operation, measure, at_most } = threshold;
    let of = operation.map_or_else(|| "all".to_owned(), |kind| kind.to_string());
    let condition = format!("{of}: {measure} ≤ {}", measure.show(*at_most));
    // A condition without a measurement fails.
    match value(*measure, figures, reconciled) {
        None => Verdict { condition, measured: "no measurement".to_owned(), passed: false },
        Some(value) => Verdict { condition, measured: measure.show(value), passed: value <= *at_most },
    }
}

fn value(measure: Measure, figures: &Figures, reconciled: &reconcile::Report) -> Option<f64> {
    let latency = |quantile| (!figures.latency.is_empty()).then(|| quantile_ms(&figures.latency, quantile));
    let ratio = |count: u64| (figures.n_arrivals > 0).then(|| real(count) / real(figures.n_arrivals));
    match measure {
        Measure::P50Ms => latency(0.5),
        Measure::P99Ms => latency(0.99),
        Measure::P999Ms => latency(0.999),
        Measure::ErrorRatio => ratio(figures.n_errors()),
        Measure::DroppedRatio => ratio(figures.n_dropped),
        // A missing mail is a fault of the reconciliation.
        Measure::MailP99Ms => reconciled.mail_percentile(99).map(ms_of),
    }
}

fn ms_of(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        reconcile::{ClientLog, Fault, FaultKind, Observed, reconcile},
        recording::Outcome,
        schedule::Arrival,
    };

    const SCENARIO: &str = r#"
        about = "t"
        prepare = { links = 1 }
        [[phase]]
        name = "p"
        duration_s = 1
        arrivals = { shape = "constant", rate = 1 }
        [[operation]]
        kind = "redirect"
        share = 1
        expect = [302]
        [[threshold]]
        operation = "redirect"
        measure = "p99_ms"
        at_most = 50
        [[threshold]]
        measure = "error_ratio"
        at_most = 0.01
        [[threshold]]
        measure = "dropped_ratio"
        at_most = 0
    "#;

    /// 100 expected answers, some of them after `slow`, and then other outcomes.
    fn recording(slow: (u64, Duration), outcomes: &[Outcome]) -> Recording {
        let mut recording = Recording::new(1);
        let arrival = Arrival { at: Duration::ZERO, counted: true };
        for number in 0..100 {
            let latency = if number < slow.0 { slow.1 } else { Duration::from_millis(1) };
            recording.record(0, arrival, latency, &Outcome::Expected);
            recording.record_lag(Duration::from_micros(20));
        }
        for outcome in outcomes {
            recording.record(0, arrival, Duration::from_millis(1), outcome);
        }
        recording
    }

    fn failed(recording: &Recording) -> Vec<String> {
        let scenario = Scenario::parse("t", SCENARIO).unwrap();
        let reconciled = reconcile(&ClientLog::default(), &Observed::default());
        let verdicts = judge(&scenario, recording, &reconciled).into_iter();
        verdicts.filter(|verdict| !verdict.passed).map(|verdict| verdict.condition).collect()
    }

    #[test]
    fn a_run_within_every_threshold_passes() {
        assert_eq!(failed(&recording((1, Duration::from_millis(60)), &[])), Vec::<String>::new());
    }

    #[test]
    fn a_latency_above_its_threshold_fails() {
        assert_eq!(failed(&recording((2, Duration::from_millis(60)), &[])), ["redirect: p99 ≤ 50.00 ms"]);
    }

    #[test]
    fn errors_and_dropped_arrivals_have_separate_thresholds() {
        let error = Outcome::Failed("HTTP 503".to_owned());
        assert_eq!(
            failed(&recording((0, Duration::ZERO), &[error.clone(), error])),
            ["all: error ratio ≤ 1.000 %"]
        );
        assert_eq!(
            failed(&recording((0, Duration::ZERO), &[Outcome::Dropped])),
            ["all: dropped arrivals ≤ 0.000 %"]
        );
    }

    #[test]
    fn a_run_without_requests_fails() {
        assert_eq!(failed(&Recording::new(1)).len(), 3);
    }

    #[test]
    fn a_run_whose_generator_fell_behind_fails() {
        let mut late = recording((0, Duration::ZERO), &[]);
        for _ in 0..10 {
            late.record_lag(Duration::from_millis(200));
        }
        assert!(failed(&late)[0].starts_with("generator: "), "{:?}", failed(&late));
        let mut gave_up = recording((0, Duration::ZERO), &[]);
        gave_up.gave_up = true;
        assert_eq!(failed(&gave_up).len(), 1);
    }

    #[test]
    fn late_or_unobserved_mails_fail_their_threshold() {
        let threshold = Threshold {
            operation: Some(crate::scenario::Kind::PlaceOrder),
            measure: Measure::MailP99Ms,
            at_most: 1000.0,
        };
        let judged = |latencies: &[u64]| {
            let mut reconciled = reconcile(&ClientLog::default(), &Observed::default());
            reconciled.latencies = latencies.iter().copied().map(Duration::from_millis).collect();
            judge_threshold(&threshold, &Recording::new(1).total(), &reconciled)
        };
        assert!(judged(&[100, 900]).passed);
        assert!(!judged(&[100, 1100]).passed);
        assert_eq!(judged(&[100, 1100]).condition, "place_order: p99 of order to mail ≤ 1000.00 ms");
        assert!(!judged(&[]).passed);
    }

    #[test]
    fn a_fault_of_the_reconciliation_fails() {
        let scenario = Scenario::parse("t", SCENARIO).unwrap();
        let faults = vec![Fault::new(FaultKind::Different, "x")];
        let reconciled = reconcile(&ClientLog { faults, ..ClientLog::default() }, &Observed::default());
        let verdicts = judge(&scenario, &recording((0, Duration::ZERO), &[]), &reconciled);
        assert!(!verdicts.last().unwrap().passed);
    }
}
