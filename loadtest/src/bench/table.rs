//! The figures as a table.

use super::Figures;

/// One comparison.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) ours: Figures,
    pub(super) baseline_of: &'static str,
    pub(super) baseline: Figures,
    pub(super) ratio: Ratio,
}

#[derive(Clone)]
pub(super) enum Ratio {
    /// Our rate over that of the baseline; goal: at least this.
    Rate { at_least: f64 },
    /// Our 99th percentile over that of the baseline; goal: below this.
    P99 { at_most: f64 },
    /// Our 99th percentile over that of the baseline, without a goal.
    P99Shown,
    /// Our rate over that of the baseline, without a goal.
    RateShown,
}

/// Renders the rows with aligned columns.
pub(super) fn render(rows: &[Row]) -> String {
    let head = format!(
        "{:<46} {:>9} {:>9} {:>9}  {:<34} {:>9} {:>9} {:>9}  {}",
        "", "per s", "p50 ms", "p99 ms", "baseline", "per s", "p50 ms", "p99 ms", "ratio"
    );
    let lines = rows.iter().map(|row| {
        let Row { what, ours, baseline_of, baseline, .. } = row;
        format!(
            "{what:<46} {:>9.1} {:>9} {:>9}  {baseline_of:<34} {:>9.1} {:>9} {:>9}  {}",
            ours.per_second,
            ms(ours.p50_ms),
            ms(ours.p99_ms),
            baseline.per_second,
            ms(baseline.p50_ms),
            ms(baseline.p99_ms),
            row.ratio()
        )
    });
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

fn ms(value: f64) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.3}") }
}

impl Row {
    fn ratio(&self) -> String {
        let rate = self.ours.per_second / self.baseline.per_second;
        let p99 = self.ours.p99_ms / self.baseline.p99_ms;
        let word = |holds: bool| if holds { "met" } else { "missed" };
        match self.ratio {
            Ratio::Rate { at_least } => {
                format!("rate {rate:.2} (goal ≥ {at_least}: {})", word(rate >= at_least))
            }
            Ratio::P99 { at_most } => format!("p99 {p99:.2} (goal < {at_most}: {})", word(p99 < at_most)),
            Ratio::P99Shown => format!("p99 {p99:.2}"),
            Ratio::RateShown => format!("rate {rate:.2}"),
        }
    }
}
