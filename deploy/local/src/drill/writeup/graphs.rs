//! The graphs of a write-up, as SVG files beside it.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use loadtest::report::chart::{Axis, Chart, Line};

use crate::drill::monitor::{Monitor, Samples};

/// Each graph: file, unit, line name, query.
const GRAPHS: [(&str, &str, &str, &str); 4] = [
    (
        "redirects",
        "ms",
        "p99 of redirects",
        "1000 * histogram_quantile(0.99, sum by (le) (rate(http_server_request_duration_seconds_bucket{job=\"url-shortener\", route=\"/{code}\"}[10s])))",
    ),
    (
        "checkout",
        "ms",
        "p99 of orders",
        "1000 * histogram_quantile(0.99, sum by (le) (rate(http_server_request_duration_seconds_bucket{job=\"orders\", method=\"POST\"}[10s])))",
    ),
    (
        "failures",
        "/s",
        "responses 5xx",
        "sum(rate(http_server_request_duration_seconds_count{status=~\"5..\"}[10s])) or vector(0)",
    ),
    (
        "mails",
        "s",
        "oldest event",
        "max(consumer_oldest_unhandled_seconds) + max(outbox_oldest_unpublished_seconds)",
    ),
];

/// Writes a file for each graph that has values, and returns the lines of Markdown that show them.
pub(super) async fn write(
    monitor: &Monitor,
    dir: &Path,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> anyhow::Result<String> {
    let mut lines = String::new();
    for (file, unit, name, query) in GRAPHS {
        let samples = monitor.range(query, from, until).await?;
        if samples.is_empty() {
            continue;
        }
        let chart = chart(&samples, from, unit, name);
        let path = format!("{file}.svg");
        fs::write(dir.join(&path), chart.standalone()).with_context(|| path.clone())?;
        writeln!(lines, "![{name}, in {unit}; x: seconds from {}]({path})", from.format("%H:%M:%S"))
            .context("the write-up")?;
    }
    Ok(lines)
}

/// One line over the seconds since `from`.
fn chart(samples: &Samples, from: DateTime<Utc>, unit: &'static str, name: &'static str) -> Chart {
    let begin = (from - DateTime::UNIX_EPOCH).as_seconds_f64();
    let points =
        samples.iter().map(|(at, value)| (at - begin, *value)).filter(|(_, value)| value.is_finite());
    Chart::new(Axis::linear("s"), Axis::linear(unit), vec![Line { name, points: points.collect() }])
}
