//! Tests that every alert has a drill, and that docs/drills.md lists them.

use std::{collections::BTreeSet, fs};

use super::definition::Drill;
use crate::checkout::Checkout;

/// The names of all alerts in the generated rules.
fn alerts(checkout: &Checkout) -> BTreeSet<String> {
    let files = monitoring::generate(&checkout.root().join("deploy/monitoring")).unwrap();
    let lines = files.iter().flat_map(|file| file.text.lines());
    lines.filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect()
}

/// The drills that expect an alert, also drafts, as in a cell of a table.
fn drills_of(alert: &str, drills: &[Drill]) -> String {
    let expects = |drill: &&Drill| drill.file.alert.iter().any(|expected| expected.name == alert);
    let names = drills.iter().filter(expects).map(|drill| format!("`{}`", drill.name));
    names.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_alert_has_a_drill_that_expects_it() {
    let checkout = Checkout::find().unwrap();
    let drills = Drill::all(&checkout).unwrap();
    let alerts = alerts(&checkout);
    for expected in drills.iter().flat_map(|drill| &drill.file.alert) {
        assert!(alerts.contains(&expected.name), "there is no alert {}", expected.name);
    }
    for alert in &alerts {
        assert!(!drills_of(alert, &drills).is_empty(), "{alert}: no drill expects it; write one");
    }
}

#[test]
fn the_documentation_lists_the_drills_of_each_alert() {
    let checkout = Checkout::find().unwrap();
    let drills = Drill::all(&checkout).unwrap();
    let rows: Vec<_> = alerts(&checkout)
        .iter()
        .map(|alert| (alert, drills_of(alert, &drills)))
        .filter(|(_, drills)| !drills.is_empty())
        .map(|(alert, drills)| format!("| [{alert}](runbooks/{alert}.md) | {drills} |"))
        .collect();
    let text = fs::read_to_string(checkout.root().join("docs/drills.md")).unwrap();
    let listed: Vec<_> = text.lines().filter(|line| line.starts_with("| [")).collect();
    assert_eq!(listed, rows, "the table in docs/drills.md, section \"Drills by alert\"");
}
