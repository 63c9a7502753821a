//! Line charts as SVG.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of ticks, digits and lines"
)]

use std::fmt::{self, Write as _};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 34.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;

/// The smallest value of a logarithmic axis: a hundredth of a millisecond.
const FLOOR: f64 = 0.01;

/// The unit and the scale of one axis.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    unit: &'static str,
    scale: Scale,
}

pub(super) const SECONDS: Axis = Axis { unit: "s", scale: Scale::Linear };
pub(super) const PER_SECOND: Axis = Axis { unit: "per s", scale: Scale::Linear };
pub(super) const MILLISECONDS: Axis = Axis { unit: "ms", scale: Scale::Logarithmic };
pub(super) const NINES: Axis = Axis { unit: "", scale: Scale::Nines };

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Linear,
    Logarithmic,
    /// Values are numbers of nines: 1 is 90 %, 2 is 99 %.
    Nines,
}

/// Points in the order of x.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name in the legend.
    pub name: &'static str,
    /// The points.
    pub points: Vec<(f64, f64)>,
}

/// Lines with common axes.
#[derive(Clone, Debug)]
pub struct Chart {
    x: Axis,
    y: Axis,
    lines: Vec<Line>,
    x_end: f64,
    y_range: (f64, f64),
}

impl Axis {
    /// A linear axis.
    pub fn linear(unit: &'static str) -> Self {
        Self { unit, scale: Scale::Linear }
    }

    /// The values of the grid lines from `begin` to `end`.
    fn ticks(self, begin: f64, end: f64) -> Vec<f64> {
        match self.scale {
            Scale::Logarithmic => {
                let decades = (begin.log10().round() as i32)..=(end.log10().round() as i32);
                decades.map(|decade| 10_f64.powi(decade)).collect()
            }
            Scale::Nines => (0..=end.floor() as u32).map(f64::from).collect(),
            Scale::Linear => {
                let step = round_step((end - begin) / 5.0);
                (0..=((end - begin) / step).floor() as u32).map(|n| begin + f64::from(n) * step).collect()
            }
        }
    }

    fn label(self, value: f64) -> String {
        match self.scale {
            Scale::Linear | Scale::Logarithmic => format!("{value}"),
            Scale::Nines if value == 0.0 => "0 %".to_owned(),
            Scale::Nines => {
                let digits = (value - 2.0).max(0.0) as usize;
                format!("{:.digits$} %", 100.0 - 100.0 * 10_f64.powf(-value))
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, no smaller than `least`.
fn round_step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * decade)
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(10.0 * decade)
}

impl Chart {
    /// A chart whose axes hold every point.
    pub fn new(x: Axis, y: Axis, lines: Vec<Line>) -> Self {
        let points = || lines.iter().flat_map(|line| &line.points);
        let x_end = points().map(|(x, _)| *x).fold(1.0, f64::max);
        let y_end = points().map(|(_, y)| *y).fold(0.0, f64::max);
        let y_range = match y.scale {
            Scale::Logarithmic => {
                let least = points().map(|(_, y)| *y).filter(|y| *y > 0.0).fold(f64::INFINITY, f64::min);
                let least = if least.is_finite() { least.max(FLOOR) } else { 1.0 };
                let decade = |value: f64| 10_f64.powf(value);
                (decade(least.log10().floor()), decade(y_end.max(least * 1.01).log10().ceil()))
            }
            Scale::Linear | Scale::Nines => (0.0, y_end.max(1.0) * 1.05),
        };
        Self { x, y, lines, x_end, y_range }
    }

    /// The chart as a file of its own.
    pub fn standalone(&self) -> String {
        let style = "<style>text{font:11px sans-serif}.y{text-anchor:end}.x{text-anchor:middle}.grid{stroke:#ddd}polyline{fill:none;stroke:#06c;stroke-width:1.5}</style>";
        self.to_string().replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1).replacen(
            ">\n",
            &format!(">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{style}\n"),
            1,
        )
    }

    fn x_of(&self, x: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * x / self.x_end
    }

    fn y_of(&self, y: f64) -> f64 {
        let (begin, end) = self.y_range;
        let share = match self.y.scale {
            Scale::Logarithmic => (y.max(begin) / begin).log10() / (end / begin).log10(),
            Scale::Linear | Scale::Nines => (y - begin) / (end - begin),
        };
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share)
    }

    fn grid(&self, svg: &mut String) -> fmt::Result {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in self.y.ticks(self.y_range.0, self.y_range.1) {
            let y = self.y_of(tick);
            writeln!(svg, r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/>"#)?;
            let (x, y, label) = (LEFT - 6.0, y + 4.0, self.y.label(tick));
            writeln!(svg, r#"<text class="y" x="{x}" y="{y:.1}">{label}</text>"#)?;
        }
        for tick in self.x.ticks(0.0, self.x_end) {
            let x = self.x_of(tick);
            writeln!(svg, r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom}"/>"#)?;
            let (y, label) = (bottom + 15.0, self.x.label(tick));
            writeln!(svg, r#"<text class="x" x="{x:.1}" y="{y}">{label}</text>"#)?;
        }
        writeln!(svg, r#"<text class="y" x="{right}" y="{}">{}</text>"#, HEIGHT - 4.0, self.x.unit)?;
        writeln!(svg, r#"<text class="y" x="{}" y="{}">{}</text>"#, LEFT - 6.0, HEIGHT - 4.0, self.y.unit)
    }

    fn line(&self, svg: &mut String, index: usize, line: &Line) -> fmt::Result {
        let points = line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", self.x_of(*x), self.y_of(*y)));
        let points: Vec<_> = points.collect();
        let (name, points) = (line.name, points.join(" "));
        writeln!(svg, r#"<polyline class="line{index}" points="{points}"><title>{name}</title></polyline>"#)?;
        let (x, y) = (LEFT + 8.0 + 90.0 * index as f64, TOP + 12.0);
        writeln!(svg, r#"<text class="name{index}" x="{x}" y="{y}">{name}</text>"#)
    }

    /// The data for the page's script: the end of the x axis, and the points of each line.
    fn data(&self) -> String {
        let lines = self.lines.iter().map(|line| {
            let points: Vec<String> = line.points.iter().map(|(x, y)| format!("[{x:.3},{y:.3}]")).collect();
            format!(r#"{{"name":"{}","points":[{}]}}"#, line.name, points.join(","))
        });
        let (lines, x_end) = (lines.collect::<Vec<_>>().join(","), self.x_end);
        format!(r#"{{"end":{x_end},"x":"{}","y":"{}","lines":[{lines}]}}"#, self.x.unit, self.y.unit)
    }
}

impl fmt::Display for Chart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut svg = String::new();
        self.grid(&mut svg)?;
        for (index, line) in self.lines.iter().enumerate() {
            self.line(&mut svg, index, line)?;
        }
        let data = self.data();
        write!(
            formatter,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" data-chart='{data}'>\n{svg}</svg>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(SECONDS.ticks(0.0, 60.0), [0.0, 20.0, 40.0, 60.0]);
        assert_eq!(MILLISECONDS.ticks(0.1, 100.0), [0.1, 1.0, 10.0, 100.0]);
        assert_eq!(NINES.label(3.0), "99.9 %");
    }

    #[test]
    fn a_chart_without_points_is_valid() {
        let chart = Chart::new(SECONDS, MILLISECONDS, vec![Line { name: "p50", points: vec![] }]);
        let svg = chart.to_string();
        assert!(svg.starts_with("<svg") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
