//! The end that a person looks at.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};

use super::notice::{Notice, Status};
use crate::console::{complain, say};

/// How often the file is looked at.
const POLL: Duration = Duration::from_millis(300);

/// The width of what is shown.
const WIDTH: usize = 78;

/// Shows what the file holds; with `follow`, goes on until a signal ends the program.
pub(crate) async fn show(path: &Path, checkout: &Path, follow: bool) -> anyhow::Result<()> {
    let (notices, mut seen) = read(path, 0)?;
    if notices.is_empty() {
        say("No page and no ticket so far.");
    }
    for notice in &notices {
        say(render(notice, checkout));
    }
    if !follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(POLL).await;
        let (notices, end) = read(path, seen)?;
        seen = end;
        for notice in &notices {
            let is_page = notice.severity == "page" && notice.status == Status::Firing;
            let bell = if is_page { "\u{7}" } else { "" };
            say(format_args!("{bell}{}", render(notice, checkout)));
        }
    }
}

/// Reads the notices from a place in the file on, and returns the place where they end. A file that became shorter is
/// another one, and is read from its beginning. A last line that is not whole yet is left for the next time. Half a line in the
/// middle is what a killed process left, and is skipped with a warning.
pub(super) fn read(path: &Path, from: usize) -> anyhow::Result<(Vec<Notice>, usize)> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
    };
    let (from, new) = text.get(from..).map_or((0, text.as_str()), |new| (from, new));
    let whole = new.rfind('\n').map_or("", |end| new.get(..=end).unwrap_or_default());
    let notices = whole.lines().filter_map(|line| match serde_json::from_str(line) {
        Ok(notice) => Some(notice),
        Err(error) => {
            complain(format_args!("a line of {} is skipped: {error}", path.display()));
            None
        }
    });
    Ok((notices.collect(), from + whole.len()))
}

fn render(notice: &Notice, checkout: &Path) -> String {
    let (began, ended) = (time(&notice.starts_at), notice.ends_at.as_deref().and_then(time));
    let kind = match notice.status {
        Status::Firing => notice.severity.to_uppercase(),
        Status::Resolved => format!("{} RESOLVED", notice.severity.to_uppercase()),
    };
    let title = format!("─ {kind} ─ {} ", notice.alert);
    let mut lines = vec![format!("┌{title:─<WIDTH$}"), format!("│ {}", notice.summary)];
    let objective = notice.slo.as_ref().map(|slo| format!(", objective {slo}")).unwrap_or_default();
    lines.push(format!("│ Service: {}{objective}", notice.service));
    lines.push(format!("│ Since: {}", since(began, ended, time(&notice.received_at))));
    if notice.status == Status::Firing {
        lines.extend(notice.description.lines().map(|line| format!("│ {line}")));
        lines.push(format!("│ Runbook: {}", checkout.join(&notice.runbook).display()));
    }
    lines.push(format!("└{:─<WIDTH$}", ""));
    lines.join("\n")
}

/// When it began, and how long it has lasted, or did.
fn since(
    began: Option<DateTime<Utc>>,
    ended: Option<DateTime<Utc>>,
    received: Option<DateTime<Utc>>,
) -> String {
    let (Some(began), Some(until)) = (began, ended.or(received)) else { return "unknown".to_owned() };
    let lasted = (until - began).num_seconds();
    let verb = if ended.is_some() { "it lasted" } else { "told after" };
    format!("{} UTC, {verb} {lasted} s", began.format("%Y-%m-%d %H:%M:%S"))
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(status: Status) -> Notice {
        Notice {
            received_at: "2026-01-01T00:01:00Z".to_owned(),
            status,
            severity: "page".to_owned(),
            alert: "OrdersLatencyBurn".to_owned(),
            service: "orders".to_owned(),
            slo: Some("latency".to_owned()),
            starts_at: "2026-01-01T00:00:30Z".to_owned(),
            ends_at: (status == Status::Resolved).then(|| "2026-01-01T00:02:30Z".to_owned()),
            summary: "Placing an order is slow".to_owned(),
            description: "Impact: 31 % wait.\nBudget left: 97 %.".to_owned(),
            runbook: "docs/runbooks/OrdersLatencyBurn.md".to_owned(),
            fingerprint: "1".to_owned(),
        }
    }

    #[test]
    fn a_page_says_what_since_when_impact_budget_and_runbook() {
        let page = render(&notice(Status::Firing), Path::new("/checkout"));
        for expected in [
            "PAGE ─ OrdersLatencyBurn",
            "Placing an order is slow",
            "Service: orders, objective latency",
            "Since: 2026-01-01 00:00:30 UTC, told after 30 s",
            "Impact: 31 % wait.",
            "Budget left: 97 %.",
            "Runbook: /checkout/docs/runbooks/OrdersLatencyBurn.md",
        ] {
            assert!(page.contains(expected), "no {expected:?} in\n{page}");
        }
        let resolved = render(&notice(Status::Resolved), Path::new("/checkout"));
        assert!(resolved.contains("PAGE RESOLVED") && resolved.contains("it lasted 120 s"), "{resolved}");
    }

    #[test]
    fn half_a_line_waits_for_its_other_half_and_a_new_file_is_read_from_its_beginning() {
        let path = std::env::temp_dir().join(format!("muster-screen-{}.jsonl", std::process::id()));
        let line = serde_json::to_string(&notice(Status::Firing)).unwrap();
        fs::write(&path, format!("{line}\n{}", line.get(..10).unwrap())).unwrap();
        let (first, end) = read(&path, 0).unwrap();
        assert_eq!(first.len(), 1);
        fs::write(&path, format!("{line}\n{line}\n")).unwrap();
        let (second, end) = read(&path, end).unwrap();
        assert_eq!(second.len(), 1);
        fs::write(&path, format!("{line}\n")).unwrap();
        assert_eq!(read(&path, end).unwrap().0.len(), 1);
        fs::remove_file(path).unwrap();
    }
}
