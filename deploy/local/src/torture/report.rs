//! The report of a torture run: as text, JSON and HTML.

use std::{
    fmt, fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use loadtest::reconcile::{ClientLog, Fault};
use serde::Serialize;
use uuid::Uuid;

use super::{faults::Played, html, links::LinkCounts, operator::Decisions};

/// Time before and after the placement of an order whose faults a violation names, in milliseconds.
const NEAR_MS: i64 = 10_000;

/// The result of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: String,
    pub(crate) n_kills: usize,
    pub(crate) passed: bool,
    pub(crate) took_s: u64,
    /// What was played; times are those from the start of the faults, a few seconds after that of the traffic.
    pub(crate) faults: Vec<Played>,
    pub(crate) orders: loadtest::reconcile::Report,
    pub(crate) links: LinkCounts,
    pub(crate) letters: Decisions,
    pub(crate) violations: Vec<Violation>,
    /// Where the logs of every process are, until the next run.
    pub(crate) logs: String,
}

/// A broken invariant.
#[derive(Debug, Serialize)]
pub(crate) struct Violation {
    #[serde(flatten)]
    pub(crate) fault: Fault,
    /// When its order was placed, in milliseconds from the start of the faults.
    pub(crate) placed_ms: Option<i64>,
    /// The numbers of the faults near that time.
    pub(crate) near: Vec<usize>,
}

impl Violation {
    /// Finds the order or key that a fault names, and the faults at its time.
    pub(crate) fn new(fault: Fault, log: &ClientLog, began: Instant, played: &[Played]) -> Self {
        let placed_ms = named(&fault.what).find_map(|id| placed_ms(id, log, began));
        let is_near = |it: &&Played| {
            placed_ms.is_some_and(|at| {
                at + NEAR_MS >= it.began_ms.cast_signed() && at - NEAR_MS <= it.ended_ms.cast_signed()
            })
        };
        let near = played.iter().filter(is_near).map(|it| it.planned.number).collect();
        Self { fault, placed_ms, near }
    }

    /// When its order was placed, and the faults of that time; empty when it is about no order.
    pub(crate) fn when(&self) -> String {
        self.placed_ms
            .map_or_else(String::new, |at| format!("placed at {at} ms, near the faults {:?}", self.near))
    }
}

/// The ids in a text.
fn named(text: &str) -> impl Iterator<Item = Uuid> {
    let is_part = |it: char| it.is_ascii_hexdigit() || it == '-';
    // A mail id continues after the id of its order.
    text.split(move |it| !is_part(it)).filter_map(|word| word.trim_matches('-').get(..36)?.parse().ok())
}

fn placed_ms(id: Uuid, log: &ClientLog, began: Instant) -> Option<i64> {
    let record =
        log.orders.get(&id).or_else(|| log.orders.values().find(|record| record.ids.contains(&id)))?;
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let after = ms(record.due_at.saturating_duration_since(began));
    Some(after - ms(began.saturating_duration_since(record.due_at)))
}

impl Report {
    /// Writes `torture.json` and `torture.html`. `traffic` is the file of measurements.
    pub(crate) fn write(&self, directory: &Path, traffic: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(directory).with_context(|| format!("{}", directory.display()))?;
        let json = serde_json::to_string_pretty(self).context("the report as JSON")? + "\n";
        for (name, text) in [("torture.json", json), ("torture.html", html::page(self, traffic)?)] {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| format!("{}", path.display()))?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, n_kills, took_s, faults, orders, links, letters, violations, .. } = self;
        let n_faults = faults.len();
        writeln!(formatter, "seed                  {seed}")?;
        writeln!(formatter, "faults                {n_faults}, of which {n_kills} kills, in {took_s} s")?;
        orders.write_counts(formatter)?;
        let LinkCounts { changes, unknown, reads, failed_reads } = links;
        writeln!(
            formatter,
            "changes of links      {changes} acknowledged, {unknown} without a known outcome"
        )?;
        writeln!(formatter, "reads of links        {reads} answered, {failed_reads} failed")?;
        let Decisions { discarded, replayed } = letters;
        writeln!(formatter, "dead letters          {discarded} discarded, {replayed} replayed")?;
        writeln!(formatter, "violations            {}", violations.len())?;
        for violation in violations {
            let Violation { fault, .. } = violation;
            writeln!(formatter, "  {}: {} {}", fault.kind, fault.what, violation.when())?;
        }
        writeln!(formatter, "logs                  {}", self.logs)?;
        write!(formatter, "{}", if self.passed { "PASSED" } else { "FAILED" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_violation_is_found_in_its_text() {
        let id = Uuid::new_v4();
        for text in [format!("order {id} is still pending"), format!("mail <order-{id}-confirmed@x> arrived")]
        {
            assert_eq!(named(&text).collect::<Vec<_>>(), [id], "{text}");
        }
        assert_eq!(named("3 dead letters").count(), 0);
    }
}
