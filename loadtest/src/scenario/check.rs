//! Validation of a scenario.

use std::{collections::BTreeSet, fmt, ops::Range, time::Duration};

use super::{File, Kind, LimitsFile, Measure, Operation, Threshold};
use crate::schedule::Phase;

/// Maximum duration of a run: a token is valid for a day.
const MAX_DURATION: Duration = Duration::from_hours(23);

/// Maximum number of orders of a run: each is kept in memory until its reconciliation.
const MAX_ORDERS: f64 = 1e6;

/// Maximum number of requests of a run.
const MAX_REQUESTS: f64 = 1e9;

/// An invalid scenario: the line, the problem and a correction.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidScenario {
    line: usize,
    problem: String,
}

impl InvalidScenario {
    pub(super) fn not_toml(text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map_or(1, |span| line_of(text, &span));
        Self { line, problem: error.message().to_owned() }
    }
}

impl fmt::Display for InvalidScenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for InvalidScenario {}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
}

pub(super) fn check(file: &File, text: &str) -> Result<(), InvalidScenario> {
    let at = |span: Range<usize>, problem: String| InvalidScenario { line: line_of(text, &span), problem };
    if let Some(entry) = &file.limits {
        limits(entry.as_ref()).map_err(|problem| at(entry.span(), problem))?;
    }
    for entry in &file.phase {
        phase(entry.as_ref()).map_err(|problem| at(entry.span(), problem))?;
    }
    let mut kinds = BTreeSet::new();
    for entry in &file.operation {
        operation(entry.as_ref(), file).map_err(|problem| at(entry.span(), problem))?;
        if !kinds.insert(entry.as_ref().kind) {
            let kind = entry.as_ref().kind;
            return Err(at(entry.span(), format!("{kind} appears twice; add the shares")));
        }
    }
    for entry in &file.threshold {
        threshold(entry.as_ref(), &kinds).map_err(|problem| at(entry.span(), problem))?;
    }
    whole(file).map_err(|problem| InvalidScenario { line: 1, problem })
}

fn limits(limits: &LimitsFile) -> Result<(), String> {
    ensure((1..=10_000).contains(&limits.connections), "connections must be 1 to 10000")?;
    ensure(limits.waiting <= 1_000_000, "waiting must be at most 1000000")?;
    ensure((1..=60_000).contains(&limits.request_timeout_ms), "request_timeout_ms must be 1 to 60000")?;
    ensure((1..=60_000).contains(&limits.slot_timeout_ms), "slot_timeout_ms must be 1 to 60000")?;
    ensure((1..=5_000).contains(&limits.scheduling_lag_p99_ms), "lateness_p99_ms must be 1 to 5000")?;
    ensure((1..=600).contains(&limits.settling_s), "settling_s must be 1 to 600")
}

fn phase(phase: &Phase) -> Result<(), String> {
    ensure(
        !phase.duration.is_zero() && phase.duration <= MAX_DURATION,
        "duration_s must be above 0, 82800 at most",
    )?;
    for (name, value) in phase.shape.positive_numbers() {
        if !(value > 0.0 && value <= 1e6) {
            return Err(format!("{name} of the arrivals must be above 0, 1000000 at most"));
        }
    }
    Ok(())
}

fn operation(operation: &Operation, file: &File) -> Result<(), String> {
    let Operation { kind, share, expect, repeat, .. } = operation;
    ensure(
        *share > 0.0 && share.is_finite(),
        "share must be above 0; leave out an operation that is not wanted",
    )?;
    ensure(!expect.is_empty(), "expect must name a status at least, such as [200]")?;
    ensure(
        expect.iter().all(|status| (100..=599).contains(status)),
        "expect must hold statuses, 100 to 599",
    )?;
    ensure((0.0..1.0).contains(repeat), "repeat must be from 0 to below 1")?;
    ensure(operation.retries <= 20, "retries must be 20 at most")?;
    ensure(
        *kind == Kind::PlaceOrder || (*repeat == 0.0 && operation.retries == 0),
        "only place_order has a key to repeat a request with: take out repeat and retries",
    )?;
    ensure(
        *kind != Kind::Redirect || file.prepare.links > 0,
        "redirects need links: set [prepare] links = 1000",
    )?;
    ensure(
        *kind != Kind::ReadOrder || file.prepare.orders > 0,
        "reads need orders: set [prepare] orders = 20",
    )
}

fn threshold(threshold: &Threshold, kinds: &BTreeSet<Kind>) -> Result<(), String> {
    ensure(threshold.at_most >= 0.0 && threshold.at_most.is_finite(), "at_most must be 0 or more")?;
    ensure(
        threshold.measure != Measure::MailP99Ms || threshold.operation == Some(Kind::PlaceOrder),
        "mail_p99_ms is of orders: set operation = \"place_order\"",
    )?;
    match threshold.operation {
        Some(kind) if !kinds.contains(&kind) => Err(format!("this scenario has no operation {kind}")),
        _ => Ok(()),
    }
}

fn whole(file: &File) -> Result<(), String> {
    let phases = || file.phase.iter().map(AsRef::as_ref);
    ensure(phases().any(|phase| phase.counted), "at least one phase must count: leave out counted = false")?;
    ensure(!file.operation.is_empty(), "the scenario sends no requests: add an [[operation]]")?;
    ensure(!file.threshold.is_empty(), "without a [[threshold]] every run passes: add one")?;
    ensure(
        phases().map(|phase| phase.duration).sum::<Duration>() <= MAX_DURATION,
        "all phases together last too long",
    )?;
    ensure(file.prepare.links <= 1_000_000, "[prepare] links must be 1000000 at most")?;
    ensure(file.prepare.orders <= 100_000, "[prepare] orders must be 100000 at most")?;
    let requests: f64 = phases().map(|phase| phase.shape.mean_rate() * phase.duration.as_secs_f64()).sum();
    ensure(requests <= MAX_REQUESTS, "more than 1000000000 requests: make the run shorter or slower")?;
    let shares = |of: Option<Kind>| {
        let operations = file.operation.iter().map(AsRef::as_ref);
        operations.filter(|op| of.is_none_or(|kind| op.kind == kind)).map(|op| op.share).sum::<f64>()
    };
    let orders = requests * shares(Some(Kind::PlaceOrder)) / shares(None);
    ensure(orders <= MAX_ORDERS, "more than 1000000 orders, each of which is kept in memory: place fewer")
}

fn ensure(holds: bool, problem: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem.to_owned()) }
}
