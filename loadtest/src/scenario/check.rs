//! Validation of a scenario.

use std::{collections::BTreeSet, fmt::Display, ops::Range, time::Duration};

use anyhow::{anyhow, ensure};
use toml::Spanned;

use super::{File, Kind, LimitsFile, Measure, Operation, Threshold};
use crate::schedule::Phase;

/// Maximum duration of a run: a token is valid for a day.
const MAX_DURATION: Duration = Duration::from_hours(23);

/// Maximum number of orders of a run: each is kept in memory until its reconciliation.
const MAX_ORDERS: f64 = 1e6;

/// Maximum number of requests of a run.
const MAX_REQUESTS: f64 = 1e9;

/// An error with the line, the problem and a correction.
pub(super) fn invalid(text: &str, span: Range<usize>, problem: impl Display) -> anyhow::Error {
    let line = 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count();
    anyhow!("line {line}: {problem}")
}

pub(super) fn check(file: &File, text: &str) -> anyhow::Result<()> {
    let mut kinds = BTreeSet::new();
    each(&file.limits, text, limits)?;
    each(&file.phase, text, phase)?;
    each(&file.operation, text, |entry| {
        operation(entry, file)?;
        ensure!(kinds.insert(entry.kind), "{} appears twice; add the shares", entry.kind);
        Ok(())
    })?;
    each(&file.threshold, text, |entry| threshold(entry, &kinds))?;
    whole(file).map_err(|problem| invalid(text, 0..0, problem))
}

fn each<'a, T: 'a>(
    entries: impl IntoIterator<Item = &'a Spanned<T>>,
    text: &str,
    mut check: impl FnMut(&T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    entries
        .into_iter()
        .try_for_each(|entry| check(entry.as_ref()).map_err(|problem| invalid(text, entry.span(), problem)))
}

fn limits(limits: &LimitsFile) -> anyhow::Result<()> {
    ensure!((1..=10_000).contains(&limits.connections), "connections must be 1 to 10000");
    ensure!(limits.waiting <= 1_000_000, "waiting must be at most 1000000");
    ensure!((1..=60_000).contains(&limits.request_timeout_ms), "request_timeout_ms must be 1 to 60000");
    ensure!((1..=60_000).contains(&limits.slot_timeout_ms), "slot_timeout_ms must be 1 to 60000");
    ensure!((1..=5_000).contains(&limits.scheduling_lag_p99_ms), "lateness_p99_ms must be 1 to 5000");
    ensure!((1..=600).contains(&limits.settling_s), "settling_s must be 1 to 600");
    Ok(())
}

fn phase(phase: &Phase) -> anyhow::Result<()> {
    ensure!(
        !phase.duration.is_zero() && phase.duration <= MAX_DURATION,
        "duration_s must be above 0, 82800 at most",
    );
    for (name, value) in phase.shape.positive_numbers() {
        ensure!(value > 0.0 && value <= 1e6, "{name} of the arrivals must be above 0, 1000000 at most");
    }
    Ok(())
}

fn operation(operation: &Operation, file: &File) -> anyhow::Result<()> {
    let Operation { kind, share, expect, repeat, .. } = operation;
    ensure!(
        *share > 0.0 && share.is_finite(),
        "share must be above 0; leave out an operation that is not wanted",
    );
    ensure!(!expect.is_empty(), "expect must name a status at least, such as [200]");
    ensure!(
        expect.iter().all(|status| (100..=599).contains(status)),
        "expect must hold statuses, 100 to 599",
    );
    ensure!((0.0..1.0).contains(repeat), "repeat must be from 0 to below 1");
    ensure!(operation.retries <= 20, "retries must be 20 at most");
    ensure!(
        *kind == Kind::PlaceOrder || (*repeat == 0.0 && operation.retries == 0),
        "only place_order has a key to repeat a request with: take out repeat and retries",
    );
    ensure!(
        *kind != Kind::Redirect || file.prepare.links > 0,
        "redirects need links: set [prepare] links = 1000",
    );
    ensure!(
        *kind != Kind::ReadOrder || file.prepare.orders > 0,
        "reads need orders: set [prepare] orders = 20",
    );
    Ok(())
}

fn threshold(threshold: &Threshold, kinds: &BTreeSet<Kind>) -> anyhow::Result<()> {
    ensure!(threshold.at_most >= 0.0 && threshold.at_most.is_finite(), "at_most must be 0 or more");
    ensure!(
        threshold.measure != Measure::MailP99Ms || threshold.operation == Some(Kind::PlaceOrder),
        "mail_p99_ms is of orders: set operation = \"place_order\"",
    );
    if let Some(kind) = threshold.operation {
        ensure!(kinds.contains(&kind), "this scenario has no operation {kind}");
    }
    Ok(())
}

fn whole(file: &File) -> anyhow::Result<()> {
    let phases = || file.phase.iter().map(AsRef::as_ref);
    ensure!(phases().any(|phase| phase.counted), "at least one phase must count: leave out counted = false");
    ensure!(!file.operation.is_empty(), "the scenario sends no requests: add an [[operation]]");
    ensure!(!file.threshold.is_empty(), "without a [[threshold]] every run passes: add one");
    ensure!(
        phases().map(|phase| phase.duration).sum::<Duration>() <= MAX_DURATION,
        "all phases together last too long",
    );
    ensure!(file.prepare.links <= 1_000_000, "[prepare] links must be 1000000 at most");
    ensure!(file.prepare.orders <= 100_000, "[prepare] orders must be 100000 at most");
    let requests: f64 = phases().map(|phase| phase.shape.mean_rate() * phase.duration.as_secs_f64()).sum();
    ensure!(requests <= MAX_REQUESTS, "more than 1000000000 requests: make the run shorter or slower");
    let shares = |of: Option<Kind>| {
        let operations = file.operation.iter().map(AsRef::as_ref);
        operations.filter(|op| of.is_none_or(|kind| op.kind == kind)).map(|op| op.share).sum::<f64>()
    };
    let orders = requests * shares(Some(Kind::PlaceOrder)) / shares(None);
    ensure!(orders <= MAX_ORDERS, "more than 1000000 orders, each of which is kept in memory: place fewer");
    Ok(())
}
