//! Runs pgbench and reads the latency of every transaction from its log.

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;

use super::{Figures, MEASURED, Postgres, WARM_UP};
use crate::recording::{DIGITS, histogram, quantile_ms, real};

/// The transactions of one order, as a script for pgbench.
const CREATE_ORDER: &str = include_str!("sql/create_order.sql");

/// The id of the order as a UUID: a counter, the client and the run, which are variables of pgbench.
const ID: &str = "lpad(to_hex(:seq::bigint), 8, '0') || '-0000-7000-8' || lpad(to_hex(:client_id::bigint), 3, '0') || \
                  '-' || lpad(to_hex(:run::bigint), 12, '0')";

/// Parts of the script that a run can omit.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Section {
    /// The idempotency key: lock and query before, the stored answer after.
    Idempotency,
    /// The transaction that confirms the order after the answer. The service confirms several orders in one.
    Process,
    /// The commands that send several statements together.
    Pipelines,
}

/// Returns the script without these sections.
pub(super) fn create_order(without: &[Section]) -> String {
    let mut script = String::new();
    let mut is_omitted = false;
    for line in CREATE_ORDER.lines() {
        match line {
            "--IDEMPOTENCY" => is_omitted = without.contains(&Section::Idempotency),
            "--PROCESS" => is_omitted = without.contains(&Section::Process),
            "--END" => is_omitted = false,
            r"\startpipeline" | r"\endpipeline" if without.contains(&Section::Pipelines) => {}
            line if !is_omitted => script.extend([line, "\n"]),
            _ => {}
        }
    }
    script.replace("(:id)", &format!("({ID})")).replace(":id,", &format!("{ID},"))
}

/// Runs a script on a database with this number of clients, first as a warm-up and then to measure.
pub(super) async fn run(
    server: &Postgres,
    database: &str,
    script: &str,
    n_clients: usize,
) -> anyhow::Result<Figures> {
    run_for(server, database, script, n_clients, WARM_UP).await?;
    run_for(server, database, script, n_clients, MEASURED).await
}

async fn run_for(
    server: &Postgres,
    database: &str,
    script: &str,
    n_clients: usize,
    duration: Duration,
) -> anyhow::Result<Figures> {
    let directory = tempfile::tempdir().context("a temporary directory")?;
    let file = directory.path().join("script.sql");
    std::fs::write(&file, script).with_context(|| format!("{}", file.display()))?;
    let output = server
        .program("pgbench")
        .current_dir(&directory)
        .args(["--no-vacuum", "--protocol=prepared", "--log", "--log-prefix=latency", "--jobs=1"])
        .arg(format!("--client={n_clients}"))
        .arg(format!("--time={}", duration.as_secs()))
        .args(["--define=seq=0".to_owned(), format!("--define=run={}", rand::random_range(1..1_u64 << 48))])
        .args(["--file", "script.sql", database])
        .output()
        .await
        .context("pgbench")?;
    ensure!(output.status.success(), "pgbench:\n{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(text.contains("number of failed transactions: 0"), "pgbench:\n{text}");
    Figures::of(&latencies(directory.path())?, duration)
}

/// The third column of each log is the latency in microseconds.
fn latencies(directory: &Path) -> anyhow::Result<Histogram<u64>> {
    let mut histogram = histogram(DIGITS);
    for entry in std::fs::read_dir(directory).context("the logs of pgbench")? {
        let path = entry.context("a log of pgbench")?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            continue;
        }
        let log = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        for line in log.lines() {
            let column = line.split(' ').nth(2).context("a log of pgbench has no latency")?;
            histogram.saturating_record(column.parse().context("a latency of pgbench")?);
        }
    }
    Ok(histogram)
}

impl Figures {
    /// The figures of a histogram of latencies that were measured for `duration`.
    pub(super) fn of(histogram: &Histogram<u64>, duration: Duration) -> anyhow::Result<Self> {
        ensure!(!histogram.is_empty(), "nothing was measured");
        Ok(Self {
            per_second: real(histogram.len()) / duration.as_secs_f64(),
            p50_ms: quantile_ms(histogram, 0.5),
            p99_ms: quantile_ms(histogram, 0.99),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_of_seconds_is_not_truncated() {
        let mut latencies = histogram(DIGITS);
        latencies.saturating_record(3_000_000);
        let figures = Figures::of(&latencies, Duration::from_secs(2)).unwrap();
        assert!((2_999.0..=3_001.0).contains(&figures.p99_ms), "{figures:?}");
    }

    /// Files with the statements of the service, and the beginnings of statements that the script omits: those of other requests and
    /// of rare cases.
    const SENT_BY_SERVICE: [(&str, &[&str]); 5] = [
        ("services/orders/src/store/orders.rs", &["SELECT id, tenant, customer_email, state"]),
        (
            "services/orders/src/store/process.rs",
            &[
                "UPDATE order_process SET due_at",
                "UPDATE order_process SET attempts",
                "SELECT unfinished, overdue",
                "SELECT count(*) AS due",
            ],
        ),
        (
            "services/orders/src/store/stock.rs",
            &["WITH free AS", "SELECT sku FROM stock", "INSERT INTO products", "INSERT INTO stock "],
        ),
        ("libs/outbox/src/append.rs", &[]),
        ("libs/idempotency/src/http/store.rs", &["SELECT sku"]),
    ];

    /// A statement with single spaces, split at its parameters.
    fn pieces(statement: &str) -> Vec<String> {
        let text = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut pieces = text.split('$').map(str::to_owned).collect::<Vec<_>>();
        for piece in pieces.iter_mut().skip(1) {
            *piece = piece.trim_start_matches(|letter: char| letter.is_ascii_digit()).to_owned();
        }
        pieces
    }

    /// Whether one statement of a text has these pieces in this order.
    fn has(text: &str, pieces: &[String]) -> bool {
        text.match_indices(&pieces[0]).any(|(start, first)| {
            let statement = text.get(start..).and_then(|rest| rest.split(';').next()).unwrap_or_default();
            let mut rest = statement.get(first.len()..).unwrap_or_default();
            pieces.iter().skip(1).all(|piece| {
                let found = rest.find(piece.as_str());
                rest = found.and_then(|at| rest.get(at + piece.len()..)).unwrap_or_default();
                found.is_some()
            })
        })
    }

    #[test]
    fn the_script_has_the_statements_of_the_service() {
        let script = CREATE_ORDER.lines().filter(|line| !line.starts_with("--") && !line.starts_with('\\'));
        let script = script.collect::<Vec<_>>().join("\n");
        let script = script.split_whitespace().collect::<Vec<_>>().join(" ");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut n_compared = 0;
        for (file, others) in SENT_BY_SERVICE {
            for statement in testkit::statements(&root.join(file)) {
                // The script processes its own order, not the due orders.
                let is_other = others.iter().any(|start| statement.starts_with(start))
                    || statement.contains("ORDER BY p.due_at");
                assert!(is_other || has(&script, &pieces(&statement)), "{file}:\n{statement}");
                n_compared += usize::from(!is_other);
            }
        }
        assert_eq!(n_compared, 18);
    }

    #[test]
    fn a_section_is_omitted_whole_and_nothing_else_is() {
        let whole = create_order(&[]);
        let request = create_order(&[Section::Process]);
        let bare = create_order(&[Section::Process, Section::Idempotency]);
        assert!(whole.contains("UPDATE stock") && !request.contains("UPDATE stock"));
        assert!(request.contains("advisory") && request.contains("INTO idempotency_keys"));
        assert!(!bare.contains("advisory") && !bare.contains("idempotency_keys"));
        for table in ["orders", "order_lines", "order_history", "order_process", "outbox"] {
            assert!(bare.contains(&format!("INSERT INTO {table}")), "{table}");
        }
        assert!(!whole.contains(":id,") && !whole.contains("(:id)"));
        let one_by_one = create_order(&[Section::Pipelines]);
        assert!(whole.contains("pipeline\n") && !one_by_one.contains("pipeline\n"), "{one_by_one}");
    }
}
