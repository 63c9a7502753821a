//! `muster drill game-master`: a second terminal for the person who leads a drill of a team: the fault, its answers, a stopwatch, and
//! messages to pass on in the roles of others.

use std::{fs, time::Duration};

use anyhow::Context as _;
use chrono::Utc;
use tokio::time::sleep;

use super::{
    Current,
    journal::{Course, Event},
};
use crate::{config::StackConfig, console::print};

/// How often the journal is read.
const POLL: Duration = Duration::from_millis(500);

/// Shows the fault and its answers, then what happens and which message is due, until the drill is over.
pub(super) async fn run(config: &StackConfig) -> anyhow::Result<()> {
    let current = Current::last(config)?;
    introduce(&current)?;
    let (mut n_seen, mut n_messages) = (0, 0);
    loop {
        let course = Course::read(&current.journal)?;
        for entry in course.entries.iter().skip(n_seen) {
            if let Some(what) = describe(&entry.event) {
                print(format_args!("{}  {what}", stopwatch(&course, entry.at)));
            }
        }
        n_seen = course.entries.len();
        if let Some(injected_at) = course.injected_at() {
            let seconds = (Utc::now() - injected_at).num_seconds();
            for message in current.drill.file.message.iter().skip(n_messages) {
                if i64::try_from(message.after_s).unwrap_or(i64::MAX) > seconds {
                    break;
                }
                n_messages += 1;
                print(format_args!(
                    "{}  SAY, as {}: {}",
                    stopwatch(&course, Utc::now()),
                    message.from,
                    message.text
                ));
            }
        }
        if course.is_over() {
            return Ok(());
        }
        sleep(POLL).await;
    }
}

fn introduce(current: &Current) -> anyhow::Result<()> {
    let file = &current.drill.file;
    print(format_args!(
        "{} (seed {}, level {}): {}\n",
        current.drill.name, current.seed, file.level, file.title
    ));
    print(file.story.trim());
    let inject = current.drill.dir.join("inject");
    print(format_args!(
        "\nThe fault:\n{}",
        fs::read_to_string(&inject).with_context(|| format!("{}", inject.display()))?.trim()
    ));
    for (name, value) in current.drill.draw(current.seed) {
        print(format_args!("{name}={value}"));
    }
    print("\nAccepted answers, with credit in percent (a rate or a choice is checked by the claim):");
    for (list, accepted) in
        [("component", &file.answers.component), ("kind", &file.answers.kind), ("cause", &file.answers.cause)]
    {
        let answers: Vec<String> =
            accepted.iter().map(|(answer, credit)| format!("{answer} {credit}")).collect();
        print(format_args!("  {list}: {}", answers.join(", ")));
    }
    print(
        "\nWrite notes with `muster drill note TEXT`; they become part of the write-up. Minutes count from the fault.\n",
    );
    Ok(())
}

/// Minutes and seconds since the fault; before it, since the start.
fn stopwatch(course: &Course, at: chrono::DateTime<Utc>) -> String {
    let Some(begin) = course.injected_at().or_else(|| course.entries.first().map(|entry| entry.at)) else {
        return String::new();
    };
    let seconds = (at - begin).num_seconds();
    let sign = if seconds < 0 { "-" } else { " " };
    format!("{sign}{:02}:{:02}", seconds.abs() / 60, seconds.abs() % 60)
}

/// What responders see of an event, and the steps of the runner.
fn describe(event: &Event) -> Option<String> {
    let step = match event {
        Event::Preparing => "the clients are being prepared",
        Event::Injecting => "the fault is being injected",
        Event::Injected => "the fault is there",
        Event::AbortRequested => "the end without a grade is requested",
        Event::Reverting => "what is left of the fault is being undone",
        Event::Reverted => "nothing of the fault is left",
        Event::Reconciled { faults, .. } => {
            return Some(format!("the clients were answered; the reconciler found {} faults", faults.len()));
        }
        other => return super::show::public(other),
    };
    Some(step.to_owned())
}
