//! Output of `muster pager`: open alerts, then the history of events.

use std::{path::Path, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::events::{AlertEvent, AlertStates, Status, read};
use crate::console::print;

/// How often `--follow` reads the file.
const POLL: Duration = Duration::from_millis(300);

/// The width of a box.
const WIDTH: usize = 78;

/// How many events the history shows.
const HISTORY: usize = 20;

const TIMESTAMP: &str = "%Y-%m-%d %H:%M:%S";

/// Shows the open alerts and the history; with `follow`, also new events until a signal ends the program.
pub(crate) async fn show(path: &Path, checkout: &Path, follow: bool) -> anyhow::Result<()> {
    let (events, mut seen) = read(path, 0)?;
    print(overview(&events, checkout, Utc::now()));
    if !follow {
        return Ok(());
    }
    let mut states = AlertStates::of(events);
    loop {
        tokio::time::sleep(POLL).await;
        let (events, end) = read(path, seen)?;
        seen = end;
        for event in events {
            print(announcement(&event, checkout));
            states.record(event);
            print(open_in_a_line(&states));
        }
    }
}

/// Each open alert in a box, then a line for each event of the history, the newest last.
fn overview(events: &[AlertEvent], checkout: &Path, now: DateTime<Utc>) -> String {
    if events.is_empty() {
        return "No page and no ticket so far.".to_owned();
    }
    let states = AlertStates::of(events.iter().cloned());
    let open = states.open();
    let mut parts = vec![open_in_a_line(&states)];
    parts.extend(open.into_iter().map(|event| in_full(event, checkout, now)));
    let n_left_out = events.len().saturating_sub(HISTORY);
    let left_out = if n_left_out > 0 { format!(", without {n_left_out} older ones") } else { String::new() };
    parts.push(format!("History (UTC){left_out}:"));
    parts.extend(events.iter().skip(n_left_out).map(in_a_line));
    parts.join("\n")
}

fn open_in_a_line(states: &AlertStates) -> String {
    let open = states.open();
    if open.is_empty() {
        return "Nothing is open.".to_owned();
    }
    let names: Vec<_> = open.iter().map(|event| format!("{} {}", event.severity, event.alert)).collect();
    format!("Open now: {}.", names.join(", "))
}

/// The output for a new event, with the terminal's bell for a page.
fn announcement(event: &AlertEvent, checkout: &Path) -> String {
    match event.status {
        Status::Firing => {
            let bell = if event.severity == "page" { "\u{7}" } else { "" };
            format!("{bell}{}", in_full(event, checkout, event.received_at))
        }
        Status::Resolved => in_a_line(event),
    }
}

/// An open alert in a box. Its figures are those of the notification.
fn in_full(event: &AlertEvent, checkout: &Path, now: DateTime<Utc>) -> String {
    let title = format!("─ {} ─ {} ", event.severity.to_uppercase(), event.alert);
    let objective = event.slo.as_ref().map(|slo| format!(", objective {slo}")).unwrap_or_default();
    let mut lines = vec![
        format!("┌{title:─<WIDTH$}"),
        format!("│ {}", event.summary),
        format!("│ Service: {}{objective}", event.service),
        format!(
            "│ Open for {}, since {} UTC; figures of {}:",
            between(event.starts_at, now),
            event.starts_at.format(TIMESTAMP),
            event.received_at.format("%H:%M:%S")
        ),
    ];
    lines.extend(event.description.lines().map(|line| format!("│ {line}")));
    lines.push(format!("│ What to do: {}", checkout.join(&event.runbook).display()));
    lines.push(format!("└{:─<WIDTH$}", ""));
    lines.join("\n")
}

/// An event of the history, without figures, which are out of date.
fn in_a_line(event: &AlertEvent) -> String {
    let severity = event.severity.to_uppercase();
    let (kind, course) = match event.ends_at {
        None => (severity, format!("notified after {}", between(event.starts_at, event.received_at))),
        Some(end) => (format!("{severity} RESOLVED"), format!("it lasted {}", between(event.starts_at, end))),
    };
    let found = event.found.as_ref().map(|found| format!("; {found}")).unwrap_or_default();
    let received_at = event.received_at.format(TIMESTAMP);
    format!("{received_at}  {kind:<15}  {} of {}, {course}{found}", event.alert, event.service)
}

/// A duration in its two largest units.
fn between(from: DateTime<Utc>, until: DateTime<Utc>) -> String {
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

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    fn event(status: Status) -> AlertEvent {
        AlertEvent {
            received_at: at("2026-01-01T00:01:00Z"),
            status,
            severity: "page".to_owned(),
            alert: "OrdersLatencyBurn".to_owned(),
            service: "orders".to_owned(),
            slo: Some("latency".to_owned()),
            starts_at: at("2026-01-01T00:00:30Z"),
            ends_at: (status == Status::Resolved).then(|| at("2026-01-01T00:02:30Z")),
            found: None,
            summary: "Placing an order is slow".to_owned(),
            description: "Impact: 31 % wait.\nBudget left: 97 %.".to_owned(),
            runbook: "docs/runbooks/OrdersLatencyBurn.md".to_owned(),
            fingerprint: "1".to_owned(),
        }
    }

    fn shown(events: &[AlertEvent]) -> String {
        overview(events, Path::new("/checkout"), at("2026-01-01T00:04:35Z"))
    }

    #[test]
    fn an_open_alert_shows_its_duration_impact_budget_and_runbook() {
        let screen = shown(&[event(Status::Firing)]);
        for expected in [
            "Open now: page OrdersLatencyBurn.",
            "PAGE ─ OrdersLatencyBurn",
            "Placing an order is slow",
            "Service: orders, objective latency",
            "Open for 4 min 5 s, since 2026-01-01 00:00:30 UTC; figures of 00:01:00:",
            "Impact: 31 % wait.",
            "Budget left: 97 %.",
            "What to do: /checkout/docs/runbooks/OrdersLatencyBurn.md",
            "2026-01-01 00:01:00  PAGE             OrdersLatencyBurn of orders, notified after 30 s",
        ] {
            assert!(screen.contains(expected), "no {expected:?} in\n{screen}");
        }
    }

    #[test]
    fn open_alerts_come_first_and_the_history_has_no_figures() {
        let ticket = |fingerprint: &str, starts_at: &str| AlertEvent {
            severity: "ticket".to_owned(),
            alert: format!("Ticket{fingerprint}"),
            fingerprint: fingerprint.to_owned(),
            starts_at: at(starts_at),
            ..event(Status::Firing)
        };
        let found = Some("ended while it was inhibited by TargetDown of orders".to_owned());
        let ended = AlertEvent { found, ..event(Status::Resolved) };
        let screen = shown(&[
            event(Status::Firing),
            ticket("B", "2026-01-01T00:00:50Z"),
            ticket("A", "2026-01-01T00:00:40Z"),
            ended,
        ]);
        let (open, past) = screen.split_once("History").unwrap();
        assert!(open.starts_with("Open now: ticket TicketA, ticket TicketB."), "{screen}");
        assert!(!open.contains("OrdersLatencyBurn ─"), "{screen}");
        assert!(!past.contains("Impact") && !past.contains("Budget"), "{screen}");
        let end = "PAGE RESOLVED    OrdersLatencyBurn of orders, it lasted 2 min 0 s; ended while it was inhibited by TargetDown of orders";
        assert!(past.ends_with(end), "{screen}");
    }

    #[test]
    fn a_long_history_is_truncated_with_a_note() {
        let mut events = vec![event(Status::Firing); HISTORY];
        events.push(event(Status::Resolved));
        let screen = shown(&events);
        assert!(screen.starts_with("Nothing is open.\nHistory (UTC), without 1 older ones:\n"), "{screen}");
        assert_eq!(screen.lines().count(), 2 + HISTORY);
        assert_eq!(shown(&[]), "No page and no ticket so far.");
    }

    #[test]
    fn durations_have_two_units() {
        let from = at("2026-01-01T00:00:00Z");
        for (seconds, text) in
            [(-3, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(between(from, from + TimeDelta::seconds(seconds)), text);
        }
    }
}
