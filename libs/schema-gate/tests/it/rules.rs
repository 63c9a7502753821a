//! Each rule, on the smallest change that breaks it.

use std::collections::BTreeSet;

use schema_gate::{Reader, Rule, Side, check};
use strum::IntoEnumIterator as _;

use crate::{event, findings, released, rules};

const SCHEMA: Side = Side::Schema;
const READS: Side = Side::Reads(1);
const READ_BY: Side = Side::ReadBy(1);

/// A change, the fields before and after it, and what the gate finds.
type Case = (&'static str, &'static str, &'static str, &'static [(Rule, Side)]);

const FIELDS: [Case; 9] = [
    (
        "a documentation changes",
        r#"{"name": "a", "type": "int"}"#,
        r#"{"name": "a", "type": "int", "doc": "Pieces."}"#,
        &[],
    ),
    (
        "a field with a default is added",
        r#"{"name": "a", "type": "int"}"#,
        r#"{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "string"], "default": null}"#,
        &[],
    ),
    (
        "a field without a default is added",
        r#"{"name": "a", "type": "int"}"#,
        r#"{"name": "a", "type": "int"}, {"name": "b", "type": "string"}"#,
        &[(Rule::MissingField, READS)],
    ),
    (
        "a field with a default is removed",
        r#"{"name": "a", "type": "int"}, {"name": "b", "type": "string", "default": ""}"#,
        r#"{"name": "a", "type": "int"}"#,
        &[],
    ),
    (
        "a field without a default is removed",
        r#"{"name": "a", "type": "int"}, {"name": "b", "type": "string"}"#,
        r#"{"name": "a", "type": "int"}"#,
        &[(Rule::MissingField, READ_BY)],
    ),
    (
        "a field is renamed, with an alias",
        r#"{"name": "a", "type": "int"}"#,
        r#"{"name": "b", "type": "int", "aliases": ["a"]}"#,
        &[(Rule::RenamedField, READS), (Rule::MissingField, READ_BY)],
    ),
    (
        "the default of a union is of its second branch",
        r#"{"name": "a", "type": "int"}"#,
        r#"{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "string"], "default": "none"}"#,
        &[(Rule::InvalidDefault, SCHEMA)],
    ),
    (
        "the default of bytes is not ASCII",
        r#"{"name": "a", "type": "int"}"#,
        r#"{"name": "a", "type": "int"}, {"name": "b", "type": "bytes", "default": "\u00ff"}"#,
        &[(Rule::InvalidDefault, SCHEMA)],
    ),
    (
        "a nested record is renamed",
        r#"{"name": "a", "type": {"type": "record", "name": "Old", "fields": []}}"#,
        r#"{"name": "a", "type": {"type": "record", "name": "New", "fields": [], "aliases": ["Old"]}}"#,
        &[(Rule::RenamedType, READS), (Rule::RenamedType, READ_BY)],
    ),
];

/// The same for the type of one field. An enum and a fixed type have the name `T`.
const TYPES: [Case; 19] = [
    (
        "milliseconds become microseconds",
        r#"{"type": "long", "logicalType": "timestamp-millis"}"#,
        r#"{"type": "long", "logicalType": "timestamp-micros"}"#,
        &[(Rule::ChangedLogicalType, READS), (Rule::ChangedLogicalType, READ_BY)],
    ),
    (
        "a number becomes a time",
        r#""long""#,
        r#"{"type": "long", "logicalType": "timestamp-micros"}"#,
        &[(Rule::ChangedLogicalType, READS), (Rule::ChangedLogicalType, READ_BY)],
    ),
    (
        "a decimal has another scale",
        r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#,
        r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}"#,
        &[(Rule::Decimal, SCHEMA), (Rule::ChangedDecimal, READS), (Rule::ChangedDecimal, READ_BY)],
    ),
    (
        "a decimal has another precision",
        r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#,
        r#"{"type": "bytes", "logicalType": "decimal", "precision": 7, "scale": 2}"#,
        &[(Rule::Decimal, SCHEMA), (Rule::ChangedDecimal, READS), (Rule::ChangedDecimal, READ_BY)],
    ),
    (
        "a symbol is removed from an enum without a default",
        r#"{"type": "enum", "name": "T", "symbols": ["A", "B"]}"#,
        r#"{"type": "enum", "name": "T", "symbols": ["A"]}"#,
        &[(Rule::MissingSymbol, READS)],
    ),
    (
        "a symbol is removed from an enum with a default",
        r#"{"type": "enum", "name": "T", "symbols": ["A", "B"]}"#,
        r#"{"type": "enum", "name": "T", "symbols": ["A"], "default": "A"}"#,
        &[],
    ),
    (
        "a symbol is added to an enum without a default",
        r#"{"type": "enum", "name": "T", "symbols": ["A"]}"#,
        r#"{"type": "enum", "name": "T", "symbols": ["A", "B"]}"#,
        &[(Rule::MissingSymbol, READ_BY)],
    ),
    (
        "a symbol is added to an enum that was released with a default",
        r#"{"type": "enum", "name": "T", "symbols": ["A"], "default": "A"}"#,
        r#"{"type": "enum", "name": "T", "symbols": ["A", "B"], "default": "A"}"#,
        &[],
    ),
    ("a union is narrowed", r#"["null", "string"]"#, r#""string""#, &[(Rule::MissingBranch, READS)]),
    ("a union is widened", r#""string""#, r#"["null", "string"]"#, &[(Rule::MissingBranch, READ_BY)]),
    (
        "text becomes bytes",
        r#""string""#,
        r#""bytes""#,
        &[(Rule::TextOrBytes, READS), (Rule::TextOrBytes, READ_BY)],
    ),
    (
        "bytes become text",
        r#""bytes""#,
        r#""string""#,
        &[(Rule::TextOrBytes, READS), (Rule::TextOrBytes, READ_BY)],
    ),
    (
        "int becomes float",
        r#""int""#,
        r#""float""#,
        &[(Rule::LostPrecision, READS), (Rule::ChangedType, READ_BY)],
    ),
    (
        "long becomes double",
        r#""long""#,
        r#""double""#,
        &[(Rule::LostPrecision, READS), (Rule::ChangedType, READ_BY)],
    ),
    ("int becomes long", r#""int""#, r#""long""#, &[(Rule::ChangedType, READ_BY)]),
    ("long becomes int", r#""long""#, r#""int""#, &[(Rule::ChangedType, READS)]),
    (
        "a fixed type has another size",
        r#"{"type": "fixed", "name": "T", "size": 4}"#,
        r#"{"type": "fixed", "name": "T", "size": 8}"#,
        &[(Rule::ChangedType, READS), (Rule::ChangedType, READ_BY)],
    ),
    (
        "items of an array change",
        r#"{"type": "array", "items": "string"}"#,
        r#"{"type": "array", "items": "int"}"#,
        &[(Rule::ChangedType, READS), (Rule::ChangedType, READ_BY)],
    ),
    (
        "values of a map change",
        r#"{"type": "map", "values": "string"}"#,
        r#"{"type": "map", "values": "int"}"#,
        &[(Rule::ChangedType, READS), (Rule::ChangedType, READ_BY)],
    ),
];

fn field(of: &str) -> String {
    format!(r#"{{"name": "a", "type": {of}}}"#)
}

/// The findings without those about the working schema itself.
fn between_versions(before: &str, after: &str) -> Vec<(Rule, Side)> {
    let mut found = rules(&findings(&[before], after));
    found.retain(|(_, side)| *side != SCHEMA);
    found
}

#[test]
fn each_change_of_fields_has_its_findings() {
    for (change, before, after, expected) in FIELDS {
        assert_eq!(rules(&findings(&[before], after)), expected, "{change}");
        assert_eq!(between_versions(after, after), [], "{change}");
    }
}

#[test]
fn each_change_of_a_type_has_its_findings() {
    for (change, before, after, expected) in TYPES {
        assert_eq!(rules(&findings(&[&field(before)], &field(after))), expected, "{change}");
        assert_eq!(between_versions(&field(after), &field(after)), [], "{change}");
    }
}

#[test]
fn a_text_that_is_no_schema_is_a_finding() {
    let all: Vec<_> = Reader::iter().collect();
    assert_eq!(
        rules(&check(&released(&["{"]), &event(""), &all)),
        [(Rule::Malformed, READS), (Rule::Malformed, READ_BY)]
    );
    assert_eq!(
        rules(&findings(&[], r#"{"name": "a", "type": "int", "default": "x"}"#)),
        [(Rule::Malformed, SCHEMA)]
    );
}

#[test]
fn every_rule_has_a_case() {
    let cases = FIELDS.iter().chain(&TYPES).flat_map(|(.., expected)| *expected);
    let tested: BTreeSet<Rule> =
        cases.map(|(rule, _)| *rule).chain([Rule::Malformed, Rule::LibraryCheck]).collect();
    assert!(tested.into_iter().eq(Rule::iter()));
}

#[test]
fn every_released_version_is_compared_and_the_newest_also_as_a_reader() {
    let with = r#"{"name": "a", "type": "int"}"#;
    let again = r#"{"name": "a", "type": "string", "default": ""}"#;
    assert_eq!(rules(&findings(&[with, ""], again)), [(Rule::ChangedType, Side::Reads(1))]);
    assert_eq!(rules(&findings(&["", with], "")), [(Rule::MissingField, Side::ReadBy(2))]);
}

#[test]
fn a_finding_names_the_field_the_cause_the_readers_and_another_way() {
    let lines = |quantity: &str| {
        let line = format!(
            r#"{{"type": "record", "name": "Line", "fields": [{{"name": "quantity", "type": "{quantity}"}}]}}"#
        );
        format!(r#"{{"name": "lines", "type": {{"type": "array", "items": {line}}}}}"#)
    };
    let found = findings(&[&lines("int")], &lines("float"));
    assert_eq!(
        found[0].to_string(),
        "lines[].quantity: int became float: integers above 16777216 lose digits
  where:   the working schema reads events of version 1
  breaks:  Rust, Java
  instead: add a field with the new type and a default, fill both, and retire the old one over two releases"
    );
}

#[test]
fn an_alias_is_refused_only_while_a_rust_reader_is_served() {
    let history = released(&[r#"{"name": "a", "type": "int", "default": 0}"#]);
    let renamed = event(r#"{"name": "b", "type": "int", "default": 0, "aliases": ["a"]}"#);
    assert_eq!(check(&history, &renamed, &[Reader::Java, Reader::Python]), []);
    let found = check(&history, &renamed, &[Reader::Java, Reader::Rust]);
    assert_eq!(rules(&found), [(Rule::RenamedField, READS)]);
}

#[test]
fn a_record_that_contains_itself_is_compared_once() {
    let tree = r#"{"name": "left", "type": ["null", "Event"], "default": null}"#;
    assert_eq!(findings(&[tree], tree), []);
}
