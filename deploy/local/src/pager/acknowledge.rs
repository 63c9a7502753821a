//! Acknowledgements and reviews of alerts, in files beside that of the events.

use std::path::Path;

use anyhow::{bail, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::events::{AlertStates, Firing, Status, read, read_all};
use crate::{console::print, json_lines};

const ACKNOWLEDGEMENTS: &str = "acknowledgements.jsonl";
const REVIEWS: &str = "reviews.jsonl";

/// One acknowledgement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Acknowledgement {
    pub(super) at: DateTime<Utc>,
    pub(super) alert: String,
    #[serde(flatten)]
    pub(super) firing: Firing,
}

/// Whether an alert was actionable: whether the responder had to do something.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Review {
    at: DateTime<Utc>,
    alert: String,
    #[serde(flatten)]
    pub(super) firing: Firing,
    pub(super) actionable: bool,
}

/// An alert that fired.
#[derive(Clone, Debug)]
pub(crate) struct FiredAlert {
    pub(crate) name: String,
    pub(crate) severity: String,
}

/// Acknowledges the open alerts of this name, or all open alerts.
pub(crate) fn acknowledge(pages: &Path, name: Option<&str>) -> anyhow::Result<()> {
    let (events, _) = read(pages, 0)?;
    let states = AlertStates::of(events);
    let known = acknowledgements(pages)?;
    let open: Vec<_> =
        states.open().into_iter().filter(|event| name.is_none_or(|name| name == event.alert)).collect();
    if open.is_empty() {
        bail!("{} is not open; `muster pager` shows the open alerts", name.unwrap_or("an alert"));
    }
    for event in open {
        let firing = Firing::of(event);
        if known.iter().any(|known| known.firing == firing) {
            print(format_args!("{} was acknowledged before", event.alert));
            continue;
        }
        json_lines::append(
            &pages.with_file_name(ACKNOWLEDGEMENTS),
            &Acknowledgement { at: Utc::now(), alert: event.alert.clone(), firing },
        )?;
        print(format_args!(
            "{} of {} acknowledged; its runbook: {}",
            event.alert, event.service, event.runbook
        ));
    }
    Ok(())
}

/// Reads every acknowledgement beside this file of events.
pub(super) fn acknowledgements(pages: &Path) -> anyhow::Result<Vec<Acknowledgement>> {
    json_lines::read(&pages.with_file_name(ACKNOWLEDGEMENTS))
}

/// Records for every firing of this name that has no review whether the responder had to act.
pub(crate) fn review(pages: &Path, name: &str, actionable: bool) -> anyhow::Result<()> {
    let known: Vec<_> = reviews(pages)?.into_iter().map(|review| review.firing).collect();
    let mut new: Vec<Firing> = Vec::new();
    for event in read_all(pages)?.iter().filter(|event| event.alert == name) {
        let firing = Firing::of(event);
        if !known.contains(&firing) && !new.contains(&firing) {
            new.push(firing);
        }
    }
    ensure!(!new.is_empty(), "{name} has no firing without a review; `muster pager report` shows all alerts");
    for firing in &new {
        let review = Review { at: Utc::now(), alert: name.to_owned(), firing: firing.clone(), actionable };
        json_lines::append(&pages.with_file_name(REVIEWS), &review)?;
    }
    let what = if actionable { "actionable" } else { "not actionable" };
    print(format_args!("{} of {name}: {what}", new.len()));
    Ok(())
}

/// Reads every review beside this file of events.
pub(super) fn reviews(pages: &Path) -> anyhow::Result<Vec<Review>> {
    json_lines::read(&pages.with_file_name(REVIEWS))
}

/// Alerts whose firing the pager received after `since`.
pub(crate) fn fired_since(pages: &Path, since: DateTime<Utc>) -> anyhow::Result<Vec<FiredAlert>> {
    let (events, _) = read(pages, 0)?;
    let fired =
        events.into_iter().filter(|event| event.status == Status::Firing && event.received_at >= since);
    Ok(fired.map(|event| FiredAlert { name: event.alert, severity: event.severity }).collect())
}

/// The names of alerts that were acknowledged after `since`.
pub(crate) fn acknowledged_since(pages: &Path, since: DateTime<Utc>) -> anyhow::Result<Vec<String>> {
    Ok(acknowledgements(pages)?.into_iter().filter(|one| one.at >= since).map(|one| one.alert).collect())
}
