//! The grade of a drill: points for detection, localisation, explanation and mitigation, less what was spent on the way.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    definition::{Drill, DrillFile},
    journal::{Answer, Course, Event},
    verify::Damage,
};

/// Points for the acknowledgement, the component, kind and cause, and the fix.
const DETECT: f64 = 20.0;
const LOCALISE: f64 = 15.0;
const EXPLAIN: f64 = 25.0;
const MITIGATE: f64 = 40.0;

/// Points that a wrong answer, a rejected claim, a restart and a table with lost rows cost.
const WRONG_ANSWER: f64 = 5.0;
const REJECTED_CLAIM: f64 = 5.0;
const RESTART: f64 = 3.0;
const LOST_TABLE: f64 = 20.0;

/// Time to acknowledge a page (docs/oncall.md); after twice that time there are no points.
const ACKNOWLEDGE_MIN: f64 = 5.0;

/// The grade, and how it came about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Grade {
    /// 0 to 100.
    pub(crate) points: u32,
    pub(crate) mitigated: bool,
    /// Seconds from the injection to the acknowledgement.
    pub(crate) detected_after_s: Option<i64>,
    /// Seconds from the injection to the claim that passed.
    pub(crate) mitigated_after_s: Option<i64>,
    /// Each item with its points, negative for costs.
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) points: f64,
    pub(crate) what: String,
}

impl Grade {
    pub(crate) fn of(drill: &Drill, course: &Course, damage: &Damage) -> Self {
        let injected_at = course.injected_at();
        let since = |at: Option<DateTime<Utc>>| Some((at? - injected_at?).num_seconds());
        let acknowledged_at = course.first(|event| matches!(event, Event::Acknowledged { .. }));
        let is_clean = course.entries.iter().all(|entry| match &entry.event {
            Event::Reconciled { faults, .. } => faults.is_empty(),
            _ => true,
        });
        let passed_at = claim_that_passed(course).filter(|_| is_clean);
        let mut items = vec![
            detection(drill, course, acknowledged_at),
            answers(course, &drill.file, "component", LOCALISE),
            answers(course, &drill.file, "kind", EXPLAIN * 0.4),
            answers(course, &drill.file, "cause", EXPLAIN * 0.6),
            mitigation(drill, course, passed_at),
        ];
        items.extend(costs(drill, course, damage));
        let points: f64 = items.iter().map(|item| item.points).sum();
        Self {
            points: rounded(points),
            mitigated: passed_at.is_some(),
            detected_after_s: since(acknowledged_at),
            mitigated_after_s: since(passed_at),
            items,
        }
    }
}

/// The claim whose checks passed.
fn claim_that_passed(course: &Course) -> Option<DateTime<Utc>> {
    let recovered = course.entries.iter().position(|entry| matches!(entry.event, Event::Recovered))?;
    let claims = course.entries.iter().take(recovered).rev();
    claims.into_iter().find(|entry| matches!(entry.event, Event::Claimed(_))).map(|entry| entry.at)
}

fn detection(drill: &Drill, course: &Course, acknowledged_at: Option<DateTime<Utc>>) -> Item {
    let alerted_at = course.first(|event| matches!(event, Event::Alerted { .. }));
    let (Some(alerted_at), Some(acknowledged_at)) = (alerted_at, acknowledged_at) else {
        let quiet = drill.file.alert.is_empty();
        let what = if quiet { "no alert to acknowledge in this drill" } else { "no alert was acknowledged" };
        return Item { points: if quiet { DETECT } else { 0.0 }, what: what.to_owned() };
    };
    let minutes = minutes(acknowledged_at - alerted_at);
    let late = ((minutes - ACKNOWLEDGE_MIN) / ACKNOWLEDGE_MIN).clamp(0.0, 1.0);
    Item { points: DETECT * (1.0 - late), what: format!("acknowledged {minutes:.1} min after the alert") }
}

/// The credit of the last answer.
fn answers(course: &Course, file: &DrillFile, list: &str, points: f64) -> Item {
    let last = course.entries.iter().rev().find_map(|entry| answer(&entry.event, file, list));
    let Some((given, credit)) = last else { return Item { points: 0.0, what: format!("{list}: no answer") } };
    Item { points: points * f64::from(credit) / 100.0, what: format!("{list}: {given} ({credit} %)") }
}

/// The answer of an event in one list, with its credit.
fn answer<'a>(event: &'a Event, file: &DrillFile, list: &str) -> Option<(&'a str, u8)> {
    let Event::Answered(Answer { component, kind, cause, .. }) = event else { return None };
    let (given, accepted): (&str, &BTreeMap<String, u8>) = match list {
        "component" => (component, &file.answers.component),
        "kind" => (kind, &file.answers.kind),
        _ => (cause, &file.answers.cause),
    };
    Some((given, accepted.get(given).copied().unwrap_or_default()))
}

fn mitigation(drill: &Drill, course: &Course, passed_at: Option<DateTime<Utc>>) -> Item {
    // A load test of the responder may cause an alert that the drill does not need.
    let paged_at =
        course.first(|event| matches!(event, Event::Alerted { .. })).filter(|_| !drill.file.alert.is_empty());
    let (Some(begun_at), Some(passed_at)) = (paged_at.or_else(|| course.injected_at()), passed_at) else {
        return Item { points: 0.0, what: "not fixed".to_owned() };
    };
    let begin = if paged_at.is_some() { "the alert" } else { "the beginning" };
    let (minutes, par) = (minutes(passed_at - begun_at), f64::from(drill.file.recovery.par_min));
    // Half of the points for a fix, the other half for its speed.
    let late = ((minutes - par) / (2.0 * par)).clamp(0.0, 1.0);
    Item {
        points: MITIGATE * (1.0 - late / 2.0),
        what: format!("fixed {minutes:.1} min after {begin}, par is {par:.0}"),
    }
}

fn costs(drill: &Drill, course: &Course, damage: &Damage) -> Vec<Item> {
    let mut items = Vec::new();
    let mut n_wrong = 0_u32;
    for entry in &course.entries {
        match &entry.event {
            Event::Hinted { number, price } => {
                items.push(Item { points: -f64::from(*price), what: format!("hint {number}") });
            }
            Event::Rejected { check, reason } => {
                items.push(Item {
                    points: -REJECTED_CLAIM,
                    what: format!("claim rejected by {check}: {reason}"),
                });
            }
            event @ Event::Answered(_) => {
                let wrong =
                    |list: &&str| answer(event, &drill.file, list).is_some_and(|(_, credit)| credit == 0);
                n_wrong += u32::from(["component", "kind", "cause"].iter().any(wrong));
            }
            _ => {}
        }
    }
    if n_wrong > 0 {
        items.push(Item {
            points: -WRONG_ANSWER * f64::from(n_wrong),
            what: format!("wrong answers: {n_wrong}"),
        });
    }
    let free = usize::try_from(drill.file.recovery.free_restarts).unwrap_or(usize::MAX);
    for part in damage.restarted.iter().skip(free) {
        items.push(Item { points: -RESTART, what: format!("{part} was restarted") });
    }
    for (table, n_rows) in &damage.lost_rows {
        items.push(Item { points: -LOST_TABLE, what: format!("{n_rows} rows of {table} are gone") });
    }
    items
}

fn minutes(delta: TimeDelta) -> f64 {
    delta.as_seconds_f64() / 60.0
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
fn rounded(points: f64) -> u32 {
    points.round().clamp(0.0, 100.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkout::Checkout,
        drill::journal::{Claim, Entry},
    };

    fn drill() -> Drill {
        Drill::read(&Checkout::find().unwrap(), "relay-stalled").unwrap()
    }

    /// Events with the seconds at which they happen.
    fn course(events: Vec<(i64, Event)>) -> Course {
        let at = |seconds| DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap();
        Course {
            entries: events.into_iter().map(|(seconds, event)| Entry { at: at(seconds), event }).collect(),
        }
    }

    fn played(answer: [&str; 3], fixed_at: i64) -> Vec<(i64, Event)> {
        let [component, kind, cause] = answer.map(str::to_owned);
        vec![
            (0, Event::Injected),
            (10, Event::Alerted { alert: "OutboxStuck".to_owned(), severity: "page".to_owned() }),
            (20, Event::Acknowledged { alert: "OutboxStuck".to_owned() }),
            (60, Event::Answered(Answer { component, kind, cause, rate: None, choice: None })),
            (fixed_at, Event::Claimed(Claim { within_s: None })),
            (fixed_at + 40, Event::Recovered),
        ]
    }

    const RIGHT: [&str; 3] = ["postgresql", "contention", "lock-held-by-a-session"];

    #[test]
    fn a_fast_and_right_response_has_all_points() {
        let grade = Grade::of(&drill(), &course(played(RIGHT, 100)), &Damage::default());
        assert_eq!((grade.points, grade.mitigated), (100, true), "{grade:?}");
        assert_eq!((grade.detected_after_s, grade.mitigated_after_s), (Some(20), Some(100)));
    }

    #[test]
    fn wrong_answers_hints_and_damage_cost_points() {
        let points = |events, damage: &Damage| Grade::of(&drill(), &course(events), damage).points;
        let none = Damage::default();
        assert_eq!(
            points(played(["kafka", "data", "disk-full"], 100), &none),
            100 - 40 - 5,
            "no credit, and a wrong answer"
        );
        assert_eq!(
            points(played(["orders", "contention", "relay-stalled"], 100), &none),
            84,
            "partial credit"
        );
        let mut hinted = played(RIGHT, 100);
        hinted.insert(3, (30, Event::Hinted { number: 1, price: 5 }));
        assert_eq!(points(hinted, &none), 95);
        let damage =
            Damage { restarted: vec!["orders".to_owned()], lost_rows: [("orders".to_owned(), 3)].into() };
        assert_eq!(points(played(RIGHT, 100), &damage), 100 - 3 - 20);
    }

    #[test]
    fn an_incident_that_lost_data_is_not_mitigated() {
        let mut events = played(RIGHT, 100);
        events.push((
            200,
            Event::Reconciled { faults: vec!["missing: order".to_owned()], report: String::new() },
        ));
        let grade = Grade::of(&drill(), &course(events), &Damage::default());
        assert_eq!((grade.mitigated, grade.points), (false, 60));
    }
}
