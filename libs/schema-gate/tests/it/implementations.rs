//! The gate and the table of `docs/avro-implementations.md`: what readers read differently does not pass.

use schema_gate::{Reader, Side, Version, check};
use serde_json::Value;
use strum::IntoEnumIterator as _;

const CASES: &str = include_str!("../../../events/interop/cases.json");

/// The cases that all readers read alike, apart from the type of a number in Python.
const PASS: [&str; 7] = [
    "bytes-alone",
    "empty-datum",
    "first-branch-of-union",
    "integer-default-of-double",
    "promotion-into-union",
    "symbol-removed-default",
    "trailing-byte",
];

#[test]
fn only_what_all_readers_read_alike_passes() {
    let cases: Value = serde_json::from_str(CASES).unwrap();
    let readers: Vec<_> = Reader::iter().collect();
    let mut passed = Vec::new();
    for case in cases["resolution"].as_array().unwrap() {
        let released = [Version { number: 1, text: case["writer"].to_string() }];
        let found = check(&released, &case["reader"].to_string(), &readers);
        if found.iter().all(|finding| matches!(finding.side, Side::ReadBy(_))) {
            passed.push(case["name"].as_str().unwrap());
        }
    }
    passed.sort_unstable();
    assert_eq!(passed, PASS);
}
