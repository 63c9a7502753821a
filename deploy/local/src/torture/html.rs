//! The report as one HTML page: when each part or connection was disturbed, above the requests of that time.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use askama::Template;
use loadtest::report::chart::{Axis, Chart, Line};

use super::{faults::Played, plan::Fault, report::Report};

/// Where the bars begin and how wide all of them are, in units of the picture.
const LEFT: f64 = 240.0;
const WIDTH: f64 = 760.0;

/// Height of a row.
const ROW: usize = 20;

#[derive(Template)]
#[template(path = "torture.html")]
struct Page<'a> {
    report: &'a Report,
    rows: Vec<Row>,
    height: usize,
    traffic: Chart,
}

/// The faults of one part or connection.
struct Row {
    target: String,
    y: usize,
    bars: Vec<Bar>,
}

struct Bar {
    x: f64,
    width: f64,
    class: &'static str,
    title: String,
}

/// Renders the page. `traffic` is the file of measurements, with a line for each second.
pub(crate) fn page(report: &Report, traffic: &Path) -> anyhow::Result<String> {
    let rows = rows(&report.faults);
    let height = ROW * rows.len();
    let page = Page { report, rows, height, traffic: chart(traffic)? };
    page.render().context("the report as HTML")
}

fn rows(faults: &[Played]) -> Vec<Row> {
    let end_s = faults.iter().map(|it| it.ended().as_secs_f64()).fold(1.0, f64::max);
    let mut targets: BTreeMap<String, Vec<Bar>> = BTreeMap::new();
    for played in faults {
        let (began, ended) = (played.began().as_secs_f64(), played.ended().as_secs_f64());
        let bar = Bar {
            x: LEFT + WIDTH * began / end_s,
            width: (WIDTH * (ended - began) / end_s).max(1.0),
            class: if matches!(played.planned.fault, Fault::Kill(_)) { "kill" } else { "other" },
            title: format!("#{} {}, {began:.1} to {ended:.1} s", played.planned.number, played.planned.fault),
        };
        targets.entry(played.planned.fault.target()).or_default().push(bar);
    }
    let rows = targets.into_iter().enumerate();
    rows.map(|(row, (target, bars))| Row { target, y: ROW * row, bars }).collect()
}

fn chart(traffic: &Path) -> anyhow::Result<Chart> {
    let text = std::fs::read_to_string(traffic).with_context(|| format!("{}", traffic.display()))?;
    let column = |number: usize| {
        let values = text.lines().skip(1).map(|line| line.split(',').nth(number)?.parse::<f64>().ok());
        (0_u32..).map(f64::from).zip(values).filter_map(|(second, value)| Some((second, value?))).collect()
    };
    let lines =
        vec![Line { name: "requests", points: column(1) }, Line { name: "failed", points: column(2) }];
    Ok(Chart::new(Axis::linear("s"), Axis::linear("per s"), lines))
}
