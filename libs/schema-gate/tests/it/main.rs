//! The gate refuses what a reader cannot read, and only that; released files never change.

#![expect(clippy::unwrap_used, reason = "test harness")]

mod evolution;
mod implementations;
mod reads;
mod releases;
mod rules;

use schema_gate::{Finding, Reader, Rule, Side, Version, check};
use strum::IntoEnumIterator as _;

/// An event with these fields.
fn event(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "Event", "namespace": "muster.tests", "fields": [{fields}]}}"#)
}

/// Released versions from 1, oldest first.
fn released(fields: &[&str]) -> Vec<Version> {
    (1..).zip(fields).map(|(number, fields)| Version { number, text: event(fields) }).collect()
}

/// What the gate finds for all readers.
fn findings(history: &[&str], working: &str) -> Vec<Finding> {
    check(&released(history), &event(working), &Reader::iter().collect::<Vec<_>>())
}

fn rules(findings: &[Finding]) -> Vec<(Rule, Side)> {
    findings.iter().map(|finding| (finding.rule, finding.side)).collect()
}
