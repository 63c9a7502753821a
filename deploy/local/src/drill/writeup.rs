//! The write-up of a drill: a postmortem in the format of docs/postmortems/TEMPLATE.md, filled in from what was recorded. Blanks are left
//! only where a person has to judge.

mod graphs;

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Current,
    journal::{Entry, Event},
    monitor::Monitor,
    shell, show,
};
use crate::{config::StackConfig, state::Record};

/// The blank that a person fills in.
const BLANK: &str = "_To be written._";

/// Time before the fault and after the end that the graphs show.
const MARGIN: TimeDelta = TimeDelta::seconds(30);

/// Writes `postmortem.md` and its graphs into the directory of the drill, and returns the path. A file that exists may have been edited,
/// and stays.
pub(super) async fn write(config: &StackConfig, current: &Current) -> anyhow::Result<PathBuf> {
    let dir = current.journal.dir();
    let path = dir.join("postmortem.md");
    ensure!(!path.exists(), "{} exists: move it away to write it again", path.display());
    let monitor = Monitor::new(config)?;
    let (from, until) = span(&current.course.entries)?;
    let graphs = graphs::write(&monitor, dir, from - MARGIN, until + MARGIN).await?;
    let budgets = budgets(&monitor, from, until).await?;
    let text = text(current, from, until, &budgets, &graphs, changes(config, current, from)?)?;
    File::create_new(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("{}", path.display()))?;
    Ok(path)
}

/// From the fault to the end of the drill.
fn span(entries: &[Entry]) -> anyhow::Result<(DateTime<Utc>, DateTime<Utc>)> {
    let injected = entries.iter().find(|entry| matches!(entry.event, Event::Injected));
    let last = entries.last();
    Ok((injected.context("no fault was injected")?.at, last.context("the journal is empty")?.at))
}

/// For each objective, the mean error ratio during the incident and the share of the budget of its window that it spent.
async fn budgets(monitor: &Monitor, from: DateTime<Utc>, until: DateTime<Utc>) -> anyhow::Result<String> {
    let mut lines = String::new();
    for objective in monitor.objectives() {
        let query =
            format!("slo:error_ratio:rate5m{{service=\"{}\",slo=\"{}\"}}", objective.service, objective.name);
        let samples = monitor.range(&query, from, until).await?;
        let values: Vec<f64> =
            samples.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).collect();
        let Some(worst) = values.iter().copied().reduce(f64::max).filter(|worst| *worst > 0.0) else {
            continue;
        };
        #[expect(clippy::cast_precision_loss, reason = "a few thousand samples")]
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        // At a constant rate, the share of the window's budget is ratio times duration over what the objective allows.
        let spent =
            mean / objective.allowed_error_ratio * (until - from).as_seconds_f64() / WINDOW.as_seconds_f64();
        writeln!(
            lines,
            "- {} of {}: on average {:.1} % bad, at worst {:.1} %; {:.1} % of the budget of 12 h (30 days in production)",
            objective.name,
            objective.service,
            mean * 100.0,
            worst * 100.0,
            spent * 100.0
        )
        .context("the write-up")?;
    }
    Ok(if lines.is_empty() { "- No objective was missed.\n".to_owned() } else { lines })
}

/// The window of the budget in the drill profile.
const WINDOW: TimeDelta = TimeDelta::hours(12);

fn text(
    current: &Current,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    budgets: &str,
    graphs: &str,
    changes: Vec<(DateTime<Utc>, String)>,
) -> anyhow::Result<String> {
    let entries = &current.course.entries;
    let (day, begin, end) = (from.format("%Y-%m-%d"), from.format("%H:%M:%S"), until.format("%H:%M:%S"));
    let alerts = alerts(entries);
    let mut names: Vec<&str> = Vec::new();
    for alert in &alerts {
        if !names.contains(&alert.name) {
            names.push(alert.name);
        }
    }
    let runbooks: Vec<String> = names.iter().map(|name| format!("[{name}](../runbooks/{name}.md)")).collect();
    let runbooks = if runbooks.is_empty() { "no alert fired".to_owned() } else { runbooks.join(", ") };
    let severity = alerts.iter().map(|alert| alert.severity).min().unwrap_or("none");
    let detection = detection(&alerts, from);
    let (requests, failed) = requests(&current.journal.traffic_file(), from, until);
    let reconciled = entries.iter().find_map(|entry| match &entry.event {
        Event::Reconciled { report, .. } => Some(report.as_str()),
        _ => None,
    });
    let timeline = timeline(current, changes)?;
    Ok(format!(
        "# {title}

- Date, UTC: {day}, {begin} to {end}
- Lead, operator, communicator: {BLANK}
- Alert and its runbook: {runbooks}
- Severity: {severity}
- Drill: {drill}, seed {seed}

## Summary

{BLANK}

## Impact

- {requests} requests of the clients between fault and end; {failed} failed at the first try.
{budgets}
{graphs}
What the clients were answered, compared with what the system holds:

```text
{reconciled}
```

## Timeline

| time | what |
|---|---|
{timeline}
## Detection

{detection} {BLANK}

## Contributing factors

{BLANK}

## What helped, what did not

{BLANK}

## Actions

| action | owner | enforced by |
|---|---|---|
| {BLANK} | | |
",
        title = current.drill.file.title,
        drill = current.drill.name,
        seed = current.seed,
        reconciled = reconciled.unwrap_or("not reconciled"),
    ))
}

/// An alert that fired.
struct Alert<'a> {
    name: &'a str,
    severity: &'a str,
    at: DateTime<Utc>,
}

/// The alerts in order of time.
fn alerts(entries: &[Entry]) -> Vec<Alert<'_>> {
    let alerts = entries.iter().filter_map(|entry| match &entry.event {
        Event::Alerted { alert, severity } => Some(Alert { name: alert, severity, at: entry.at }),
        _ => None,
    });
    alerts.collect()
}

fn detection(alerts: &[Alert<'_>], from: DateTime<Utc>) -> String {
    let each = alerts.iter().map(|Alert { name, severity, at }| {
        format!("{name} ({severity}) {} s after the beginning", (*at - from).num_seconds())
    });
    let each: Vec<_> = each.collect();
    if each.is_empty() { "No alert fired.".to_owned() } else { format!("{}.", each.join(", ")) }
}

/// Requests and failures of the clients between two times, from the measurements of each second.
fn requests(file: &Path, from: DateTime<Utc>, until: DateTime<Utc>) -> (u64, u64) {
    let text = fs::read_to_string(file).unwrap_or_default();
    let seconds = text.lines().filter_map(|line| {
        let mut cells = line.split(',');
        let at: DateTime<Utc> = cells.next()?.parse().ok()?;
        let (requests, failed): (u64, u64) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
        (from <= at && at <= until).then_some((requests, failed))
    });
    seconds.fold((0, 0), |(requests, failed), (more, more_failed)| (requests + more, failed + more_failed))
}

/// Deployments and rollbacks from the fault until the incident was over. Later ones are those of the end of the drill.
fn changes(
    config: &StackConfig,
    current: &Current,
    from: DateTime<Utc>,
) -> anyhow::Result<Vec<(DateTime<Utc>, String)>> {
    let entries = &current.course.entries;
    let over = entries.iter().find(|entry| matches!(entry.event, Event::Recovered)).or(entries.last());
    let releases = Record::read(&config.state_dir)?.releases;
    let changes = releases.iter().flat_map(|(part, releases)| releases.changes(part));
    // The journal has the fault only when it is complete, and a release can be the fault.
    let from = from - MARGIN;
    Ok(changes.filter(|(at, _)| from <= *at && over.is_none_or(|over| *at <= over.at)).collect())
}

/// Events, changes, notes and commands in order of time, as rows of a table.
fn timeline(current: &Current, changes: Vec<(DateTime<Utc>, String)>) -> anyhow::Result<String> {
    let mut rows: Vec<(DateTime<Utc>, String)> = current
        .course
        .entries
        .iter()
        .filter_map(|entry| Some((entry.at, in_the_timeline(&entry.event)?)))
        .chain(changes)
        .chain(shell::commands(&current.journal)?)
        .collect();
    // Stable: the commands of one second stay in their order.
    rows.sort_by_key(|(at, _)| *at);
    let row = |(at, what): (DateTime<Utc>, String)| {
        format!("| {} | {} |\n", at.format("%H:%M:%S"), what.replace('|', "\\|").replace('\n', " "))
    };
    Ok(rows.into_iter().map(row).collect())
}

fn in_the_timeline(event: &Event) -> Option<String> {
    Some(match event {
        Event::Injected => "the fault begins".to_owned(),
        Event::Alerted { alert, severity } => format!("{severity} {alert}"),
        Event::Acknowledged { alert } => format!("{alert} acknowledged"),
        Event::Answered(answer) => format!("answer: {}", show::answer(answer)),
        Event::Noted { text } => text.clone(),
        Event::Claimed(_) => "the responder says that it is over".to_owned(),
        Event::Rejected { check, reason } => format!("it is not ({check}): {reason}"),
        Event::Recovered => "**every check passes**".to_owned(),
        _ => return None,
    })
}
