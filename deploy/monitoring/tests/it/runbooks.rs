//! Every alert has a runbook, and every runbook has an alert and a fixed form. `deploy/local/tests/drill` runs the commands of
//! runbooks on a real stack; `libs/testkit/tidy` checks the links.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use monitoring::{generate, runbook::blocks};

use crate::{
    sources::{monitoring, repository},
    waiting::texts,
};

const HEADINGS: [&str; 6] = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Verification", "Afterwards"];

/// The names of all alerts.
pub(crate) fn alerts() -> BTreeSet<String> {
    let files = generate(monitoring()).unwrap();
    let lines = files.iter().flat_map(|file| file.text.lines());
    lines.filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect()
}

fn markdown(dir: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(dir)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

fn runbooks() -> Vec<PathBuf> {
    markdown("docs/runbooks").into_iter().filter(|path| !path.ends_with("README.md")).collect()
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let runbooks: BTreeSet<String> = runbooks().iter().map(|path| name(path)).collect();
    assert_eq!(runbooks, alerts());
    let index = fs::read_to_string(repository().join("docs/runbooks/README.md")).unwrap();
    for alert in runbooks {
        assert!(index.contains(&format!("| [{alert}]({alert}.md) |")), "{alert} is not in the index");
    }
}

#[test]
fn every_runbook_has_six_sections_with_commands() {
    for path in runbooks() {
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().next().unwrap(), format!("# {}", name(&path)));
        let headings: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let known: Vec<_> = headings.iter().filter(|heading| HEADINGS.contains(heading)).collect();
        assert!(known.into_iter().eq(HEADINGS.iter()), "{}: {headings:?}", path.display());
        let blocks = blocks(&text);
        for (heading, place) in [("Diagnosis", "local"), ("Verification", "local")] {
            let found = blocks.iter().any(|block| block.heading == heading && block.place == place);
            assert!(found, "{}: {heading} has no command for {place}", path.display());
        }
        assert!(
            blocks.iter().any(|block| block.place == "cluster"),
            "{}: nothing for a cluster",
            path.display()
        );
    }
}

#[test]
fn every_block_of_commands_has_a_place_and_valid_syntax() {
    for path in markdown("docs/runbooks").into_iter().chain([repository().join("docs/oncall.md")]) {
        for block in blocks(&fs::read_to_string(&path).unwrap()) {
            assert!(["local", "cluster"].contains(&block.place), "{}: {block:?}", path.display());
            let checked = Command::new("bash").args(["-n", "-c", &block.commands]).output().unwrap();
            let complaint = String::from_utf8_lossy(&checked.stderr);
            assert!(checked.status.success(), "{}: {complaint}\n{}", path.display(), block.commands);
        }
    }
}

#[test]
fn every_runbook_links_to_the_common_steps() {
    for path in runbooks() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("(README.md#what-changed-last)"), "{}", path.display());
        let shows_blockers = text.contains("pg_blocking_pids");
        assert!(!shows_blockers || text.contains("(README.md#a-session-that-blocks)"), "{}", path.display());
    }
}

/// A drill is sixty times faster: five minutes in a drill are five hours in production. Afterwards, a window covers the whole incident.
#[test]
fn no_query_of_a_runbook_has_a_window_above_a_minute() {
    let mut n_windows = 0;
    for path in markdown("docs/runbooks") {
        let text = fs::read_to_string(&path).unwrap();
        let blocks = blocks(&text);
        let during = blocks.iter().filter(|block| block.heading != "Afterwards");
        for window in during.flat_map(|block| block.commands.split('[').skip(1)) {
            let Some((window, _)) = window.split_once(']') else { continue };
            let Some(unit) = window.strip_prefix(|first: char| first.is_ascii_digit()) else { continue };
            n_windows += 1;
            assert!(unit == "m" || unit.ends_with('s'), "{}: [{window}]", path.display());
            assert!(unit != "m" || window == "1m", "{}: [{window}]", path.display());
        }
    }
    assert!(n_windows > 10, "only {n_windows} windows were found");
}

/// A `grep` without a match prints `none`, so that a runbook would not show that a message was renamed.
#[test]
fn every_message_that_a_runbook_greps_for_is_in_the_sources() {
    let sources = texts("rs");
    let mut n_messages = 0;
    for path in runbooks() {
        let text = fs::read_to_string(&path).unwrap();
        let blocks = blocks(&text);
        let lines =
            blocks.iter().flat_map(|block| block.commands.lines()).filter(|line| line.contains("logs "));
        let patterns = lines.filter_map(|line| line.split_once("grep ")?.1.split('\'').nth(1));
        for message in patterns.flat_map(|pattern| pattern.split('|')) {
            let message = message.trim_start_matches("\"message\":").trim_matches('"');
            if message.chars().all(|char| char.is_ascii_lowercase() || char == ' ') && message.contains(' ') {
                n_messages += 1;
                assert!(sources.contains(message), "{}: no source has '{message}'", path.display());
            }
        }
    }
    assert!(n_messages > 5, "only {n_messages} messages were found");
}

#[test]
fn every_runbook_url_is_a_file() {
    for file in generate(monitoring()).unwrap() {
        for line in file.text.lines() {
            if let Some(path) = line.trim().strip_prefix("runbook_url: ") {
                assert!(repository().join(path).is_file(), "{path}");
            }
        }
    }
}
