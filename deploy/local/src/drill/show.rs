//! Output of `muster drill`.

use std::fs;

use anyhow::Context as _;
use chrono::Utc;

use super::{
    Current, aborted,
    definition::{AnswerLists, Drill},
    grade::Grade,
    journal::{Answer, Event},
    runner::{Past, history_file},
};
use crate::{config::StackConfig, console::print, place::Place};

pub(super) fn list(drills: &[Drill]) {
    for drill in drills {
        let draft = if drill.file.draft { "  (draft: not proven)" } else { "" };
        let cluster = if drill.require(Place::Cluster).is_ok() { "  (also on a cluster)" } else { "" };
        print(format_args!(
            "{:<28} level {}  {}{cluster}{draft}",
            drill.name, drill.file.level, drill.file.title
        ));
    }
    print(
        "\n`muster drill start NAME` starts one; `muster drill start --surprise` draws one and does not name it.",
    );
}

pub(super) fn answers(lists: &AnswerLists) {
    for (name, list) in [("component", &lists.component), ("kind", &lists.kind), ("cause", &lists.cause)] {
        print(format_args!("--{name}"));
        for (answer, meaning) in list {
            print(format_args!("    {answer:<28} {meaning}"));
        }
    }
}

pub(super) fn status(current: &Current) {
    let (_, _, surprise) = current.course.start().unwrap_or_default();
    if surprise && !current.course.is_over() {
        print("A drill that was drawn.");
    } else {
        print(format_args!("{} (seed {})", current.drill.name, current.seed));
    }
    print(current.drill.file.story.trim());
    if let Some(first) = current.course.entries.first() {
        print(format_args!("\nBegan {} s ago. Timeline (UTC):", (Utc::now() - first.at).num_seconds()));
    }
    for entry in &current.course.entries {
        if let Some(text) = public(&entry.event) {
            print(format_args!("{}  {text}", entry.at.format("%H:%M:%S")));
        }
    }
    let runs = current.course.runner().is_some_and(crate::process::Identity::is_alive);
    if !runs && !current.course.is_over() {
        print("The runner has died: `muster drill repair` undoes what it left.");
    }
}

/// What a responder may see of an event while the drill runs; `None` for what would reveal the fault.
pub(super) fn public(event: &Event) -> Option<String> {
    Some(match event {
        Event::TrafficStarted => "the shift begins".to_owned(),
        Event::Alerted { alert, severity } => format!("{severity} {alert}"),
        Event::Acknowledged { alert } => format!("acknowledged {alert}"),
        Event::Answered(given) => format!("answer: {}", answer(given)),
        Event::Hinted { number, price } => format!("hint {number}, for {price} points"),
        Event::Noted { text } => format!("note: {text}"),
        Event::Claimed(_) => "claimed to be fixed".to_owned(),
        Event::Rejected { check, reason } => format!("claim rejected by {check}: {reason}"),
        Event::Recovered => "recovered".to_owned(),
        Event::Aborted { reason } => format!("aborted: {reason}"),
        Event::Graded { grade } => format!("{} points", grade.points),
        Event::Started { .. }
        | Event::RunnerStarted { .. }
        | Event::Preparing
        | Event::Injecting
        | Event::Injected
        | Event::Reconciled { .. }
        | Event::Measured { .. }
        | Event::AbortRequested
        | Event::Reverting
        | Event::Reverted => return None,
    })
}

/// An answer in one line.
pub(super) fn answer(answer: &Answer) -> String {
    let Answer { component, kind, cause, rate, choice } = answer;
    let rate = rate.map(|rate| format!(", {rate}/s")).unwrap_or_default();
    let choice = choice.as_ref().map(|choice| format!(", {choice}")).unwrap_or_default();
    format!("{component}, {kind}, {cause}{rate}{choice}")
}

/// Grade and explanation.
pub(super) fn debrief(current: &Current) -> anyhow::Result<()> {
    anyhow::ensure!(current.course.is_over(), "the drill runs: the debrief comes after `muster drill fixed`");
    if let Some(grade) = current.course.grade() {
        print(format_args!(
            "{} of 100 points for {} (seed {})",
            grade.points, current.drill.name, current.seed
        ));
        items(grade);
    } else if let Some(reason) = aborted(&current.course) {
        print(format_args!("No grade: {reason}"));
    }
    for entry in &current.course.entries {
        if let Event::Reconciled { report, .. } = &entry.event {
            print(format_args!("\n{report}"));
        }
    }
    let path = current.drill.dir.join("debrief.md");
    print(format_args!(
        "\n{}",
        fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?.trim()
    ));
    Ok(())
}

fn items(grade: &Grade) {
    for item in &grade.items {
        print(format_args!("{:>6.1}  {}", item.points, item.what));
    }
}

/// All grades, the oldest first.
pub(super) fn history(config: &StackConfig, json: bool) {
    let text = fs::read_to_string(history_file(config)).unwrap_or_default();
    if json {
        print(text.trim_end());
        return;
    }
    let pasts: Vec<Past> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if pasts.is_empty() {
        print("No drill was graded so far.");
    }
    for past in pasts {
        let seconds =
            |value: Option<i64>| value.map_or_else(|| "never".to_owned(), |value| format!("{value} s"));
        print(format_args!(
            "{}  {:>3} points  {:<28} level {}  detected {}, fixed {}",
            past.at.format("%Y-%m-%d %H:%M"),
            past.grade.points,
            past.drill,
            past.level,
            seconds(past.grade.detected_after_s),
            seconds(past.grade.mitigated_after_s),
        ));
    }
}
