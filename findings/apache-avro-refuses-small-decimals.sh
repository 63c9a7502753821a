#!/usr/bin/env bash
# apache-avro 0.22.0 (Rust): a small `decimal` that is read with a reader's schema.
#
# Expected: a decimal on `bytes` is the unscaled number in two's complement, and no number of bytes is prescribed; the precision is the
# greatest number of digits. So 1.23 as decimal(9, 2) is the byte 7b, and a reader with the same schema gets it.
# Seen: it is read without a reader's schema. With one, even the same, resolution fails: it demands as many bytes as the precision needs at
# most (four for nine digits), so all values with fewer are errors. Java and fastavro write no more bytes than the number needs. `can_read` answers `Full`.
# A decimal on `fixed` always has all its bytes.
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
};

fn main() {
    let schema = r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#;
    let schema = Schema::parse_str(schema).expect("the schema parses");
    assert_eq!(SchemaCompatibility::can_read(&schema, &schema), Ok(Compatibility::Full));
    let plain = GenericDatumReader::builder(&schema).build().expect("a reader");
    let resolving = GenericDatumReader::builder(&schema).reader_schema(&schema).build().expect("a reader");
    // The number of bytes, as a zigzag varint, and the bytes.
    let (small, padded) = ([0x02, 0x7b], [0x08, 0, 0, 0, 0x7b]);
    for (name, datum) in [("1 byte", &small[..]), ("4 bytes", &padded[..])] {
        let read = plain.read_value(&mut &datum[..]).expect("changed: not read without a reader's schema");
        println!("1.23 in {name}, without a reader's schema: {read:?}");
        match resolving.read_value(&mut &datum[..]) {
            Ok(read) => println!("1.23 in {name}, with the same schema as reader's: {read:?}"),
            Err(error) => println!("1.23 in {name}, with the same schema as reader's: error: {error}"),
        }
    }
    assert!(resolving.read_value(&mut &small[..]).is_err(), "changed: a small decimal is read");
    assert!(resolving.read_value(&mut &padded[..]).is_ok(), "changed: a padded decimal is not read");
}
RUST
echo 'apache-avro 0.22.0'
cargo run --quiet
