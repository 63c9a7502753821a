//! The report as one HTML page, with its styles, charts and script.

use anyhow::Context as _;
use askama::Template;

use super::{
    Operation, Report,
    chart::{Chart, Line, MILLISECONDS, NINES, PER_SECOND, SECONDS},
};
use crate::recording::{Second, ms, real};

impl Report {
    /// Returns the report as an HTML page without external resources.
    pub fn html(&self) -> anyhow::Result<String> {
        let page = Page { report: self, sections: self.operations.iter().map(Section::new).collect() };
        page.render().context("the report as HTML")
    }
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

impl<'a> Section<'a> {
    fn new(operation: &'a Operation) -> Self {
        let seconds = &operation.seconds;
        // A second without answers has no latency.
        let latency = |name, value: fn(&Second) -> u64| {
            let answered = (0..).zip(seconds).filter(|(_, second)| second.max_us > 0);
            Line { name, points: answered.map(|(at, second)| (real(at), ms(value(second)))).collect() }
        };
        let count = |name, value: fn(&Second) -> u64| {
            let counts = seconds.iter().map(|second| real(value(second)));
            Line { name, points: (0..).map(real).zip(counts).collect() }
        };
        let latencies = vec![
            latency("p50", |second| second.p50_us),
            latency("p99", |second| second.p99_us),
            latency("max", |second| second.max_us),
        ];
        let counts = vec![
            count("as expected", |second| second.n_expected),
            count("errors", |second| second.n_errors),
            count("dropped", |second| second.n_dropped),
        ];
        // The x axis counts nines.
        let nines = operation.distribution.iter().map(|(quantile, ms)| (-(1.0 - quantile).log10(), *ms));
        let distribution = vec![Line { name: "latency", points: nines.collect() }];
        Self {
            operation,
            latency: Chart::new(SECONDS, MILLISECONDS, latencies),
            throughput: Chart::new(SECONDS, PER_SECOND, counts),
            distribution: Chart::new(NINES, MILLISECONDS, distribution),
        }
    }
}
