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

/// What the ratio compares, and its goal.
#[derive(Clone, Copy)]
pub(super) enum Ratio {
    /// Our rate over that of the baseline; goal: at least this.
    Rate(Option<f64>),
    /// Our 99th percentile over that of the baseline; goal: below this.
    P99(Option<f64>),
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
        let (name, ratio, sign, goal, is_met): (_, f64, _, _, fn(f64, f64) -> bool) = match self.ratio {
            Ratio::Rate(goal) => {
                ("rate", self.ours.per_second / self.baseline.per_second, "≥", goal, |ratio, goal| {
                    ratio >= goal
                })
            }
            Ratio::P99(goal) => {
                ("p99", self.ours.p99_ms / self.baseline.p99_ms, "<", goal, |ratio, goal| ratio < goal)
            }
        };
        let goal = goal.map(|goal| {
            let result = if is_met(ratio, goal) { "met" } else { "missed" };
            format!(" (goal {sign} {goal}: {result})")
        });
        format!("{name} {ratio:.2}{}", goal.unwrap_or_default())
    }
}
