#!/usr/bin/env bash
# apache-avro 0.22.0 (Rust): a default that belongs to the second branch of a union.
#
# Expected: by the specification of Avro 1.12 the default of a field with a union type may match any branch, so a reader whose new field
# has the type ["null", "string"] and the default "none" gets "none" from data without the field. By earlier specifications the default
# has the type of the first branch, and such a schema is an error.
# Seen: the schema parses, `SchemaCompatibility::can_read` answers `Full`, and the field is null. No error, no warning: the default is
# dropped whenever the first branch is null. With ["string", "null"] the field is "none". So the branch of a default comes first.
#
# Needs cargo. Takes a minute or two.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "resolution"
version = "0.1.0"
edition = "2024"

[dependencies]
apache-avro = "=0.22.0"
TOML
cat >src/main.rs <<'RUST'
use apache_avro::{
    Schema,
    reader::datum::GenericDatumReader,
    schema_compatibility::{Compatibility, SchemaCompatibility},
    types::Value,
};

fn added(union: &str) -> Value {
    let schema = |fields: &str| {
        let text = format!(r#"{{"type": "record", "name": "Event", "fields": [{fields}]}}"#);
        Schema::parse_str(&text).expect("the schema parses")
    };
    let writer = schema(r#"{"name": "id", "type": "int"}"#);
    let field = format!(r#"{{"name": "id", "type": "int"}}, {{"name": "a", "type": {union}, "default": "none"}}"#);
    let reader = schema(&field);
    let check = SchemaCompatibility::can_read(&writer, &reader);
    assert_eq!(check, Ok(Compatibility::Full), "changed: the check does not say Full");
    let datum_reader = GenericDatumReader::builder(&writer).reader_schema(&reader).build().expect("a reader");
    let value = datum_reader.read_value(&mut [14].as_slice()).expect("changed: reading is an error");
    let Value::Record(mut fields) = value else { panic!("changed: not a record") };
    let (_, value) = fields.pop().expect("a field");
    println!(r#"{union} with the default "none": check {check:?}, read {value:?}"#);
    value
}

fn main() {
    let none = |branch| Value::Union(branch, Box::new(Value::String("none".to_owned())));
    assert_eq!(added(r#"["string", "null"]"#), none(0));
    assert_eq!(added(r#"["null", "string"]"#), Value::Union(0, Box::new(Value::Null)), "changed: another value");
}
RUST
echo 'apache-avro 0.22.0'
cargo run --quiet
