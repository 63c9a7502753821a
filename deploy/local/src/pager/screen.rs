//! The end that a person looks at: what is open now, and below it what was.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::file::read;
use super::notice::{Notice, Status};
use super::told::Told;
use crate::console::say;

/// How often the file is looked at.
const POLL: Duration = Duration::from_millis(300);

/// The width of what is shown.
const WIDTH: usize = 78;

/// How many notices of the past are shown.
const HISTORY: usize = 20;

/// Shows what is open and what was before; with `follow`, goes on with what comes until a signal ends the program.
pub(crate) async fn show(path: &Path, checkout: &Path, follow: bool) -> anyhow::Result<()> {
    let (notices, mut seen) = read(path, 0)?;
    say(overview(&notices, checkout, Utc::now()));
    if !follow {
        return Ok(());
    }
    let mut told = Told::of(notices);
    loop {
        tokio::time::sleep(POLL).await;
        let (notices, end) = read(path, seen)?;
        seen = end;
        for notice in notices {
            say(announcement(&notice, checkout));
            told.record(notice);
            say(open_in_a_line(&told));
        }
    }
}

/// Everything there is to see: each open alert in full, then a line for each notice of the past, the newest last.
fn overview(notices: &[Notice], checkout: &Path, now: DateTime<Utc>) -> String {
    if notices.is_empty() {
        return "No page and no ticket so far.".to_owned();
    }
    let told = Told::of(notices.iter().cloned());
    let open = told.open();
    let mut parts = vec![open_in_a_line(&told)];
    parts.extend(open.into_iter().map(|notice| in_full(notice, checkout, now)));
    let n_left_out = notices.len().saturating_sub(HISTORY);
    let left_out = if n_left_out > 0 { format!(", without {n_left_out} older ones") } else { String::new() };
    parts.push(format!("What was told (UTC){left_out}:"));
    parts.extend(notices.iter().skip(n_left_out).map(in_a_line));
    parts.join("\n")
}

fn open_in_a_line(told: &Told) -> String {
    let open = told.open();
    if open.is_empty() {
        return "Nothing is open.".to_owned();
    }
    let names: Vec<_> = open.iter().map(|notice| format!("{} {}", notice.severity, notice.alert)).collect();
    format!("Open now: {}.", names.join(", "))
}

/// What the phone shows when a notice comes, with the terminal's bell for a page.
fn announcement(notice: &Notice, checkout: &Path) -> String {
    match notice.status {
        Status::Firing => {
            let bell = if notice.severity == "page" { "\u{7}" } else { "" };
            format!("{bell}{}", in_full(notice, checkout, notice.received().unwrap_or_default()))
        }
        Status::Resolved => in_a_line(notice),
    }
}

/// An alert that is open, in a box. The figures in it are those of the moment when it was told.
fn in_full(notice: &Notice, checkout: &Path, now: DateTime<Utc>) -> String {
    let title = format!("─ {} ─ {} ", notice.severity.to_uppercase(), notice.alert);
    let objective = notice.slo.as_ref().map(|slo| format!(", objective {slo}")).unwrap_or_default();
    let told = notice.received().map_or_else(String::new, |at| at.format("%H:%M:%S").to_string());
    let mut lines = vec![
        format!("┌{title:─<WIDTH$}"),
        format!("│ {}", notice.summary),
        format!("│ Service: {}{objective}", notice.service),
        format!(
            "│ Open for {}, since {} UTC; told at {told}, when it was:",
            between(notice.began(), Some(now)),
            moment(notice.began())
        ),
    ];
    lines.extend(notice.description.lines().map(|line| format!("│ {line}")));
    lines.push(format!("│ What to do: {}", checkout.join(&notice.runbook).display()));
    lines.push(format!("└{:─<WIDTH$}", ""));
    lines.join("\n")
}

/// A notice of the past, without figures: they were true then.
fn in_a_line(notice: &Notice) -> String {
    let severity = notice.severity.to_uppercase();
    let (kind, course) = match notice.status {
        Status::Firing => (severity, format!("told after {}", between(notice.began(), notice.received()))),
        Status::Resolved => {
            (format!("{severity} RESOLVED"), format!("it lasted {}", between(notice.began(), notice.ended())))
        }
    };
    let found = notice.found.as_ref().map(|found| format!("; {found}")).unwrap_or_default();
    format!(
        "{}  {kind:<15}  {} of {}, {course}{found}",
        moment(notice.received()),
        notice.alert,
        notice.service
    )
}

fn moment(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "an unknown time".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// The time between two moments in its two largest units.
fn between(from: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>) -> String {
    let (Some(from), Some(until)) = (from, until) else { return "an unknown time".to_owned() };
    let lasting = (until - from).max(TimeDelta::zero());
    let (days, hours) = (lasting.num_days(), lasting.num_hours() % 24);
    let (minutes, seconds) = (lasting.num_minutes() % 60, lasting.num_seconds() % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
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
            found: None,
            summary: "Placing an order is slow".to_owned(),
            description: "Impact: 31 % wait.\nBudget left: 97 %.".to_owned(),
            runbook: "docs/runbooks/OrdersLatencyBurn.md".to_owned(),
            fingerprint: "1".to_owned(),
        }
    }

    fn shown(notices: &[Notice]) -> String {
        overview(notices, Path::new("/checkout"), "2026-01-01T00:04:35Z".parse().unwrap())
    }

    #[test]
    fn what_is_open_says_what_since_when_impact_budget_and_what_to_do() {
        let screen = shown(&[notice(Status::Firing)]);
        for expected in [
            "Open now: page OrdersLatencyBurn.",
            "PAGE ─ OrdersLatencyBurn",
            "Placing an order is slow",
            "Service: orders, objective latency",
            "Open for 4 min 5 s, since 2026-01-01 00:00:30 UTC; told at 00:01:00, when it was:",
            "Impact: 31 % wait.",
            "Budget left: 97 %.",
            "What to do: /checkout/docs/runbooks/OrdersLatencyBurn.md",
            "2026-01-01 00:01:00  PAGE             OrdersLatencyBurn of orders, told after 30 s",
        ] {
            assert!(screen.contains(expected), "no {expected:?} in\n{screen}");
        }
    }

    #[test]
    fn what_is_open_comes_first_and_what_was_has_no_figures() {
        let ticket = |fingerprint: &str, starts_at: &str| Notice {
            severity: "ticket".to_owned(),
            alert: format!("Ticket{fingerprint}"),
            fingerprint: fingerprint.to_owned(),
            starts_at: starts_at.to_owned(),
            ..notice(Status::Firing)
        };
        let found = Some("ended while it was inhibited by TargetDown of orders".to_owned());
        let ended = Notice { found, ..notice(Status::Resolved) };
        let screen = shown(&[
            notice(Status::Firing),
            ticket("B", "2026-01-01T00:00:50Z"),
            ticket("A", "2026-01-01T00:00:40Z"),
            ended,
        ]);
        let (open, past) = screen.split_once("What was told").unwrap();
        assert!(open.starts_with("Open now: ticket TicketA, ticket TicketB."), "{screen}");
        assert!(!open.contains("OrdersLatencyBurn ─"), "{screen}");
        assert!(!past.contains("Impact") && !past.contains("Budget"), "{screen}");
        let end = "PAGE RESOLVED    OrdersLatencyBurn of orders, it lasted 2 min 0 s; ended while it was inhibited by TargetDown of orders";
        assert!(past.ends_with(end), "{screen}");
    }

    #[test]
    fn a_long_history_is_cut_and_says_so() {
        let mut notices = vec![notice(Status::Firing); HISTORY];
        notices.push(notice(Status::Resolved));
        let screen = shown(&notices);
        assert!(
            screen.starts_with("Nothing is open.\nWhat was told (UTC), without 1 older ones:\n"),
            "{screen}"
        );
        assert_eq!(screen.lines().count(), 2 + HISTORY);
        assert_eq!(shown(&[]), "No page and no ticket so far.");
    }

    #[test]
    fn times_are_shown_in_two_units() {
        let from: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        for (seconds, text) in
            [(-3, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(between(Some(from), Some(from + TimeDelta::seconds(seconds))), text);
        }
    }
}
