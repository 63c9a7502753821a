//! `docs/waiting.md` lists every state in which work can wait: all such states of the migrations and the code.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{runbooks::alerts, sources::repository};

/// Parts of the names of metrics about waiting work. A metric without one of them may be in the list.
const TELLING: [&str; 19] = [
    "retr",
    "parked",
    "lease",
    "unfinished",
    "unpublished",
    "unhandled",
    "lag",
    "dead_letter",
    "dropped",
    "in_flight",
    "takeover",
    "pool",
    "partitions",
    "journey",
    "_due_",
    "_late",
    "overdue",
    "unknown_outcome",
    "stale",
];

fn files(top: &str, ending: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() && !entry.ends_with("tests") && !entry.ends_with("fuzz") {
                walk(&entry, ending, found);
            } else if entry.extension().is_some_and(|found| found == ending) {
                found.push(entry);
            }
        }
    }
    let mut found = Vec::new();
    walk(&repository().join(top), ending, &mut found);
    found
}

/// All files of services and libraries with this ending, without their tests.
pub(crate) fn texts(ending: &str) -> String {
    let paths = ["services", "libs"].into_iter().flat_map(|top| files(top, ending));
    paths.map(|path| fs::read_to_string(path).unwrap() + "\n").collect()
}

/// The statements of all migrations, without comments.
fn statements() -> Vec<String> {
    let text = texts("sql");
    let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split(";\n").map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The table that a statement makes or changes.
fn table(statement: &str) -> Option<&str> {
    let rest = ["CREATE TABLE ", "ALTER TABLE "].iter().find_map(|start| statement.strip_prefix(start))?;
    rest.trim_start_matches("IF NOT EXISTS ").split([' ', '(']).next()
}

/// `table.column = value` for each value that a CHECK lists: `CHECK (state IN ('a', 'b'))`.
fn states(statement: &str) -> Vec<String> {
    let Some(table) = table(statement) else { return Vec::new() };
    let lists = statement.match_indices(" IN ('").filter_map(|(at, list)| {
        let column = statement.get(..at)?.rsplit([' ', '(']).next()?;
        let values = statement.get(at + list.len()..)?.split("')").next()?;
        Some(values.split("', '").map(move |value| format!("{table}.{column} = {value}")))
    });
    lists.flatten().collect()
}

/// `table.column` for each time until which a row is left alone.
fn leases(statement: &str) -> Vec<String> {
    let Some(table) = table(statement) else { return Vec::new() };
    let words: Vec<_> = statement.split([' ', '(', ',']).filter(|word| !word.is_empty()).collect();
    let columns = words.windows(2).filter(|pair| pair[1] == "timestamptz").map(|pair| pair[0]);
    columns
        .filter(|column| column.ends_with("_until") || *column == "due_at")
        .map(|column| format!("{table}.{column}"))
        .collect()
}

/// The names of all metrics: the first text in a row of `telemetry::metrics!`, or after `register_…!(`, `…opts!(` or `Opts::new(`.
fn metrics() -> BTreeSet<String> {
    let code = texts("rs");
    let macros = code.match_indices("!(").filter(|(at, _)| {
        let name = code.get(..*at).unwrap_or_default();
        let name = name.rsplit(|letter: char| !letter.is_ascii_lowercase() && letter != '_').next();
        name.is_some_and(|name| name.starts_with("register_") || name.ends_with("opts"))
    });
    let rows = ["Counter = ", "Gauge = ", "Histogram = ", "Vec = "]
        .into_iter()
        .flat_map(|kind| code.match_indices(kind));
    let starts = macros.chain(rows).chain(code.match_indices("Opts::new("));
    let arguments = starts.filter_map(|(at, start)| code.get(at + start.len()..));
    let names = arguments.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    names.map(str::to_owned).collect()
}

/// What stands between backquotes.
fn quoted(page: &str) -> BTreeSet<&str> {
    page.split('`').skip(1).step_by(2).collect()
}

fn page() -> String {
    fs::read_to_string(repository().join("docs/waiting.md")).unwrap()
}

#[test]
fn every_state_table_and_lease_of_the_migrations_is_listed() {
    let page = page();
    let quoted = quoted(&page);
    let statements = statements();
    let states: BTreeSet<_> = statements.iter().flat_map(|statement| states(statement)).collect();
    let leases: BTreeSet<_> = statements.iter().flat_map(|statement| leases(statement)).collect();
    assert!(
        states.contains("orders.state = pending") && leases.contains("order_process.due_at"),
        "{states:?}"
    );
    for state in states.iter().chain(&leases) {
        assert!(quoted.contains(state.as_str()), "{state} is not in docs/waiting.md");
    }
    let tables: BTreeSet<_> = statements.iter().filter_map(|statement| table(statement)).collect();
    assert!(tables.contains("outbox"), "{tables:?}");
    for table in tables {
        let is_listed = quoted.iter().any(|name| {
            name.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        assert!(is_listed, "the table {table} is not in docs/waiting.md");
    }
}

#[test]
fn every_metric_of_waiting_work_is_listed() {
    let page = page();
    let names: BTreeSet<_> =
        quoted(&page).into_iter().map(|name| name.split('{').next().unwrap_or_default()).collect();
    let metrics = metrics();
    assert!(metrics.contains("outbox_oldest_unpublished_seconds") && metrics.len() > 30, "{metrics:?}");
    for metric in metrics.iter().filter(|metric| TELLING.iter().any(|part| metric.contains(part))) {
        assert!(names.contains(metric.as_str()), "{metric} is not in docs/waiting.md");
    }
    // Those of Prometheus and of the rules come from elsewhere.
    let is_ours = |name: &&&str| name.ends_with("_total") || name.ends_with("_seconds");
    for name in names.iter().filter(is_ours) {
        assert!(metrics.contains(*name), "docs/waiting.md names {name}, which nothing registers");
    }
}

#[test]
fn every_waiting_state_has_an_existing_alert_or_a_reason() {
    let alerts = alerts();
    let page = page();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| state"));
    let mut n_rows = 0;
    for row in rows {
        n_rows += 1;
        let seen_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let named: Vec<_> = seen_by
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .filter(|word| {
                alerts.contains(*word) || word.chars().skip(1).any(|letter| letter.is_ascii_uppercase())
            })
            .collect();
        assert!(!named.is_empty() || seen_by.starts_with("none: "), "no alert: {row}");
        for alert in named {
            assert!(alerts.contains(alert), "{alert} is no alert: {row}");
        }
    }
    assert!(n_rows > 15, "only {n_rows} rows were found");
    let on_resources = [
        "SigningKeyNearExpiry",
        "CertificateNearExpiry",
        "ClockSkewed",
        "MemoryGrows",
        "DescriptorsNearLimit",
    ];
    for alert in alerts.iter().filter(|alert| !on_resources.contains(&alert.as_str())) {
        assert!(page.contains(alert.as_str()), "{alert} sees nothing in docs/waiting.md");
    }
}

#[test]
fn states_and_leases_are_read_from_statements() {
    let made = "CREATE TABLE mails ( state text NOT NULL CHECK (state IN ('sending', 'sent')), lease_until timestamptz )";
    assert_eq!(states(made), ["mails.state = sending", "mails.state = sent"]);
    assert_eq!(leases(made), ["mails.lease_until"]);
    let changed = "ALTER TABLE mails ADD CONSTRAINT c CHECK (state IN ('lost'))";
    assert_eq!(states(changed), ["mails.state = lost"]);
    assert!(states("UPDATE mails SET state = 'x' WHERE state IN ('y')").is_empty());
}
