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
    let head = format!("{:<46} {COLUMNS}  {:<34} {COLUMNS}  ratio", "", "baseline");
    let lines = rows.iter().map(|row| {
        let Row { what, ours, baseline_of, baseline, .. } = row;
        format!("{what:<46} {}  {baseline_of:<34} {}  {}", columns(*ours), columns(*baseline), row.ratio())
    });
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

const COLUMNS: &str = "    per s    p50 ms    p99 ms";

fn columns(figures: Figures) -> String {
    let Figures { per_second, p50_ms, p99_ms } = figures;
    let ms = |value: f64| if value.is_nan() { "-".to_owned() } else { format!("{value:.3}") };
    format!("{per_second:>9.1} {:>9} {:>9}", ms(p50_ms), ms(p99_ms))
}

impl Row {
    fn ratio(&self) -> String {
        let Self { ours, baseline, .. } = self;
        let (name, ratio, goal) = match self.ratio {
            Ratio::Rate(goal) => {
                let ratio = ours.per_second / baseline.per_second;
                ("rate", ratio, goal.map(|goal| (format!("≥ {goal}"), ratio >= goal)))
            }
            Ratio::P99(goal) => {
                let ratio = ours.p99_ms / baseline.p99_ms;
                ("p99", ratio, goal.map(|goal| (format!("< {goal}"), ratio < goal)))
            }
        };
        let goal =
            goal.map(|(goal, is_met)| format!(" (goal {goal}: {})", if is_met { "met" } else { "missed" }));
        format!("{name} {ratio:.2}{}", goal.unwrap_or_default())
    }
}
