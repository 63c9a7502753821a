//! `muster pager report`: the load of on-call, for the hand-over.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use chrono::{DateTime, Datelike as _, FixedOffset, TimeDelta, Timelike as _, Utc, Weekday};
use serde::Serialize;

use super::{
    acknowledge::{acknowledgements, reviews},
    events::{AlertEvent, Firing, read_all},
};
use crate::console::print;

/// Limit of the acknowledgement of a page (docs/oncall.md).
const ACKNOWLEDGE_S: i64 = 300;

/// Alerts in the list of the noisiest.
const NOISIEST: usize = 5;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Weeks before now.
    #[arg(long, default_value_t = 4)]
    weeks: u16,
    /// The local time's offset from UTC.
    #[arg(long, default_value = "+00:00", allow_hyphen_values = true)]
    utc_offset: FixedOffset,
    /// First hour of work, on Monday to Friday.
    #[arg(long, default_value_t = 9)]
    work_from: u32,
    /// The hour at which work ends.
    #[arg(long, default_value_t = 17)]
    work_until: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// One firing of an alert, with what the responder did about it.
struct Incident {
    event: AlertEvent,
    ends_at: Option<DateTime<Utc>>,
    acknowledged_at: Option<DateTime<Utc>>,
    actionable: Option<bool>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Report {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    weeks: Vec<ServiceWeek>,
    acknowledgement: AcknowledgementTimes,
    alerts: Vec<Noise>,
}

/// One service in one ISO week.
#[derive(Debug, PartialEq, Serialize)]
struct ServiceWeek {
    iso_week: String,
    service: String,
    pages: usize,
    pages_out_of_hours: usize,
    tickets: usize,
}

/// Acknowledgement of pages, in seconds from the notification.
#[derive(Debug, PartialEq, Serialize)]
struct AcknowledgementTimes {
    pages: usize,
    acknowledged: usize,
    in_time: usize,
    median_s: Option<i64>,
    slowest_s: Option<i64>,
}

/// All firings of one alert in one severity.
#[derive(Debug, PartialEq, Serialize)]
struct Noise {
    alert: String,
    severity: String,
    firings: usize,
    actionable: usize,
    not_actionable: usize,
    not_reviewed: usize,
    out_of_hours: usize,
    /// Half of the firings that ended were shorter.
    median_duration_s: Option<i64>,
}

/// Prints the report of the kept events.
pub(crate) fn report(pages: &Path, args: &Args) -> anyhow::Result<()> {
    let until = Utc::now();
    let from = until - TimeDelta::weeks(args.weeks.into());
    let incidents: Vec<_> =
        incidents(pages)?.into_iter().filter(|incident| incident.event.received_at >= from).collect();
    let report = Report::of(&incidents, args, from, until);
    if args.json {
        print(serde_json::to_string_pretty(&report).context("the report as JSON")?);
    } else {
        print(report.to_text(args));
    }
    Ok(())
}

/// Every firing of the kept events, once, in order of arrival.
fn incidents(pages: &Path) -> anyhow::Result<Vec<Incident>> {
    let events = read_all(pages)?;
    let acknowledgements = acknowledgements(pages)?;
    let reviews = reviews(pages)?;
    let mut incidents: Vec<(Firing, Incident)> = Vec::new();
    for event in events {
        let firing = Firing::of(&event);
        if let Some((_, known)) = incidents.iter_mut().find(|(known, _)| *known == firing) {
            known.ends_at = event.ends_at;
            continue;
        }
        let incident = Incident {
            ends_at: event.ends_at,
            acknowledged_at: acknowledgements.iter().find(|one| one.firing == firing).map(|one| one.at),
            // The last review counts.
            actionable: reviews
                .iter()
                .rfind(|review| review.firing == firing)
                .map(|review| review.actionable),
            event,
        };
        incidents.push((firing, incident));
    }
    Ok(incidents.into_iter().map(|(_, incident)| incident).collect())
}

impl Incident {
    fn is_page(&self) -> bool {
        self.event.severity == "page"
    }

    fn is_out_of_hours(&self, args: &Args) -> bool {
        let at = self.event.received_at.with_timezone(&args.utc_offset);
        let weekend = matches!(at.weekday(), Weekday::Sat | Weekday::Sun);
        weekend || !(args.work_from..args.work_until).contains(&at.hour())
    }

    fn duration_s(&self) -> Option<i64> {
        Some((self.ends_at? - self.event.starts_at).num_seconds())
    }
}

impl Report {
    fn of(incidents: &[Incident], args: &Args, from: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        let weeks = grouped(incidents, |incident| {
            let week = incident.event.received_at.with_timezone(&args.utc_offset).iso_week();
            (format!("{}-W{:02}", week.year(), week.week()), incident.event.service.clone())
        });
        let alerts =
            grouped(incidents, |incident| (incident.event.alert.clone(), incident.event.severity.clone()));
        let mut alerts: Vec<_> =
            alerts.into_iter().map(|(key, incidents)| Noise::of(key, &incidents, args)).collect();
        alerts.sort_by_key(|noise| std::cmp::Reverse((noise.not_actionable, noise.firings)));
        Self {
            from,
            until,
            weeks: weeks.into_iter().map(|(key, incidents)| ServiceWeek::of(key, &incidents, args)).collect(),
            acknowledgement: AcknowledgementTimes::of(incidents),
            alerts,
        }
    }

    fn to_text(&self, args: &Args) -> String {
        let mut lines = vec![format!(
            "Pages and tickets from {} to {}; work is from {}:00 to {}:00, Monday to Friday, UTC{}.",
            self.from.format("%Y-%m-%d"),
            self.until.format("%Y-%m-%d"),
            args.work_from,
            args.work_until,
            args.utc_offset
        )];
        if self.weeks.is_empty() {
            lines.push("No page and no ticket.".to_owned());
            return lines.join("\n");
        }
        lines.push("\nweek       service          pages  out of hours  tickets".to_owned());
        lines.extend(self.weeks.iter().map(ServiceWeek::to_line));
        lines.push(self.acknowledgement.to_line());
        lines.push("\nNoise, the most first:".to_owned());
        lines.push(format!(
            "{:<26} severity  firings  actionable  not actionable  not reviewed  out of hours  median duration",
            "alert"
        ));
        lines.extend(self.alerts.iter().take(NOISIEST).map(Noise::to_line));
        lines.join("\n")
    }
}

impl ServiceWeek {
    fn of((iso_week, service): (String, String), incidents: &[&Incident], args: &Args) -> Self {
        let pages: Vec<_> = incidents.iter().filter(|incident| incident.is_page()).collect();
        Self {
            iso_week,
            service: if service.is_empty() { "monitoring".to_owned() } else { service },
            pages: pages.len(),
            pages_out_of_hours: pages.iter().filter(|incident| incident.is_out_of_hours(args)).count(),
            tickets: incidents.len() - pages.len(),
        }
    }

    fn to_line(&self) -> String {
        let Self { iso_week, service, pages, pages_out_of_hours, tickets } = self;
        format!("{iso_week:<10} {service:<16} {pages:>5} {pages_out_of_hours:>13} {tickets:>8}")
    }
}

impl AcknowledgementTimes {
    fn of(incidents: &[Incident]) -> Self {
        let pages: Vec<_> = incidents.iter().filter(|incident| incident.is_page()).collect();
        let seconds = |page: &&Incident| Some((page.acknowledged_at? - page.event.received_at).num_seconds());
        let times: Vec<_> = pages.iter().copied().filter_map(|page| seconds(&page)).collect();
        Self {
            pages: pages.len(),
            acknowledged: times.len(),
            in_time: times.iter().filter(|time| **time <= ACKNOWLEDGE_S).count(),
            slowest_s: times.iter().max().copied(),
            median_s: median(times),
        }
    }

    fn to_line(&self) -> String {
        format!(
            "\nAcknowledged: {} of {} pages, {} within {} min; median {}, slowest {}.",
            self.acknowledged,
            self.pages,
            self.in_time,
            ACKNOWLEDGE_S / 60,
            lasting(self.median_s),
            lasting(self.slowest_s)
        )
    }
}

impl Noise {
    fn of((alert, severity): (String, String), incidents: &[&Incident], args: &Args) -> Self {
        let reviewed = |as_: Option<bool>| incidents.iter().filter(|one| one.actionable == as_).count();
        Self {
            alert,
            severity,
            firings: incidents.len(),
            actionable: reviewed(Some(true)),
            not_actionable: reviewed(Some(false)),
            not_reviewed: reviewed(None),
            out_of_hours: incidents.iter().filter(|incident| incident.is_out_of_hours(args)).count(),
            median_duration_s: median(
                incidents.iter().filter_map(|incident| incident.duration_s()).collect(),
            ),
        }
    }

    fn to_line(&self) -> String {
        format!(
            "{:<26} {:<8} {:>8} {:>11} {:>15} {:>13} {:>13} {:>16}",
            self.alert,
            self.severity,
            self.firings,
            self.actionable,
            self.not_actionable,
            self.not_reviewed,
            self.out_of_hours,
            lasting(self.median_duration_s)
        )
    }
}

fn grouped<K: Ord>(incidents: &[Incident], key: impl Fn(&Incident) -> K) -> BTreeMap<K, Vec<&Incident>> {
    let mut groups: BTreeMap<K, Vec<&Incident>> = BTreeMap::new();
    for incident in incidents {
        groups.entry(key(incident)).or_default().push(incident);
    }
    groups
}

fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn lasting(seconds: Option<i64>) -> String {
    seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{} min {:02} s", seconds / 60, seconds % 60))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::pager::events::Status;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    /// A page of `OrdersLatencyBurn` that lasts a minute.
    fn incident(received_at: &str, acknowledged_after_s: Option<i64>, actionable: Option<bool>) -> Incident {
        let received_at = at(received_at);
        let event = AlertEvent {
            received_at,
            status: Status::Firing,
            severity: "page".to_owned(),
            alert: "OrdersLatencyBurn".to_owned(),
            service: "orders".to_owned(),
            slo: None,
            starts_at: received_at,
            ends_at: None,
            found: None,
            summary: String::new(),
            description: String::new(),
            runbook: String::new(),
            fingerprint: "1".to_owned(),
        };
        let after = |seconds| received_at + TimeDelta::seconds(seconds);
        Incident {
            event,
            ends_at: Some(after(60)),
            acknowledged_at: acknowledged_after_s.map(after),
            actionable,
        }
    }

    fn report(incidents: &[Incident], flags: &[&str]) -> Report {
        let args = Command::parse_from([&["report"], flags].concat()).args;
        Report::of(incidents, &args, at("2026-11-01T00:00:00Z"), at("2026-11-29T00:00:00Z"))
    }

    #[test]
    fn pages_are_counted_per_week_and_out_of_hours() {
        // A Friday at 16:59 and 17:00, the Saturday and the Monday after it.
        let times =
            ["2026-11-06T16:59:00Z", "2026-11-06T17:00:00Z", "2026-11-07T12:00:00Z", "2026-11-09T12:00:00Z"];
        let incidents = times.map(|time| incident(time, None, None));
        let weeks = |flags: &[&str]| {
            let weeks = report(&incidents, flags).weeks;
            weeks
                .iter()
                .map(|week| (week.iso_week.clone(), week.pages, week.pages_out_of_hours))
                .collect::<Vec<_>>()
        };
        assert_eq!(weeks(&[]), [("2026-W45".to_owned(), 3, 2), ("2026-W46".to_owned(), 1, 0)]);
        let with_offset = [("2026-W45".to_owned(), 3, 3), ("2026-W46".to_owned(), 1, 0)];
        assert_eq!(weeks(&["--utc-offset", "+01:00"]), with_offset);
    }

    #[test]
    fn acknowledgement_times_count_from_the_notification() {
        let noon = "2026-11-09T12:00:00Z";
        let incidents = [Some(30), Some(400), Some(90), None].map(|after| incident(noon, after, None));
        assert_eq!(
            report(&incidents, &[]).acknowledgement,
            AcknowledgementTimes {
                pages: 4,
                acknowledged: 3,
                in_time: 2,
                median_s: Some(90),
                slowest_s: Some(400)
            }
        );
    }

    #[test]
    fn alerts_without_an_action_are_the_noisiest() {
        let noon = "2026-11-09T12:00:00Z";
        let mut rare = incident(noon, None, Some(false));
        rare.event.alert = "OrdersStuck".to_owned();
        let incidents = [incident(noon, None, Some(true)), incident(noon, None, None), rare];
        let alerts = report(&incidents, &[]).alerts;
        let names: Vec<_> =
            alerts.iter().map(|noise| (noise.alert.as_str(), noise.not_actionable, noise.firings)).collect();
        assert_eq!(names, [("OrdersStuck", 1, 1), ("OrdersLatencyBurn", 0, 2)]);
        assert_eq!(alerts[0].median_duration_s, Some(60));
    }
}
