//! The report as one HTML page, with its styles, charts and script.

use anyhow::Context as _;
use askama::Template;

use super::{
    Operation, Report,
    chart::{Axis, Chart, Line},
};
use crate::{
    recording::{Second, ms, real},
    verdict::Verdict,
};

/// Renders the page of a report.
pub(super) fn render(report: &Report) -> anyhow::Result<String> {
    let page = Page { report, sections: report.operations.iter().map(Section::new).collect() };
    page.render().context("the report as HTML")
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    sections: Vec<Section<'a>>,
}

/// One operation on the page.
struct Section<'a> {
    operation: &'a Operation,
    latency: Chart,
    throughput: Chart,
    distribution: Chart,
}

impl Page<'_> {
    fn failed(&self) -> impl Iterator<Item = &Verdict> {
        self.report.verdicts.iter().filter(|verdict| !verdict.passed)
    }
}

impl<'a> Section<'a> {
    fn new(operation: &'a Operation) -> Self {
        let seconds = &operation.seconds;
        // A second without answers has no latency.
        let latency_over_time = |value: fn(&Second) -> u64| {
            let answered = (0..).zip(seconds).filter(|(_, second)| second.max_us > 0);
            answered.map(|(at, second)| (real(at), ms(value(second)))).collect::<Vec<_>>()
        };
        let over_time =
            |value: fn(&Second) -> f64| (0..).map(real).zip(seconds.iter().map(value)).collect::<Vec<_>>();
        let latency = Chart::new(
            Axis::linear("s"),
            Axis::logarithmic("ms"),
            vec![
                Line::new("p50", latency_over_time(|second| second.p50_us)),
                Line::new("p99", latency_over_time(|second| second.p99_us)),
                Line::new("max", latency_over_time(|second| second.max_us)),
            ],
        );
        let throughput = Chart::new(
            Axis::linear("s"),
            Axis::linear("per s"),
            vec![
                Line::new("as expected", over_time(|second| real(second.n_expected))),
                Line::new("errors", over_time(|second| real(second.n_errors))),
                Line::new("dropped", over_time(|second| real(second.n_dropped))),
            ],
        );
        // The x axis counts nines.
        let nines = operation.distribution.iter().map(|(quantile, ms)| (-(1.0 - quantile).log10(), *ms));
        let distribution =
            Chart::new(Axis::nines(), Axis::logarithmic("ms"), vec![Line::new("latency", nines.collect())]);
        Self { operation, latency, throughput, distribution }
    }
}
