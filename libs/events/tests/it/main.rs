//! Every released schema version can be read by the newest, and every event survives its own schema.

#![expect(clippy::unwrap_used, reason = "test harness")]

mod registry;

use std::{collections::BTreeMap, fs, path::PathBuf};

use apache_avro::{
    Schema, from_value,
    reader::datum::GenericDatumReader,
    schema_compatibility::{Compatibility, SchemaCompatibility},
    writer::datum::GenericDatumWriter,
};
use chrono::{DateTime, Utc};
use events::{
    Event,
    orders::{OrderConfirmed, OrderData, OrderLine, OrderPlaced, OrderRejected},
};
use uuid::Uuid;

/// Versions by type, oldest first.
fn released() -> BTreeMap<String, BTreeMap<u32, Schema>> {
    let mut types: BTreeMap<String, BTreeMap<u32, Schema>> = BTreeMap::new();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for aggregate in fs::read_dir(root).unwrap() {
        for file in fs::read_dir(aggregate.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".avsc").unwrap().to_owned();
            let (name, version) = name.split_once(".v").unwrap();
            let schema = Schema::parse_str(&fs::read_to_string(&path).unwrap()).unwrap();
            types.entry(name.to_owned()).or_default().insert(version.parse().unwrap(), schema);
        }
    }
    types
}

#[test]
fn the_newest_version_reads_every_earlier_one() {
    let types = released();
    assert!(!types.is_empty());
    for (name, versions) in types {
        let newest = versions.values().next_back().unwrap();
        for (version, written) in &versions {
            // `Partial` means that some data cannot be read, which is what a registry calls incompatible.
            let verdict = SchemaCompatibility::can_read(written, newest);
            assert!(matches!(verdict, Ok(Compatibility::Full)), "{name}.v{version}: {verdict:?}");
        }
    }
}

#[test]
fn the_code_uses_the_newest_version() {
    for event_type in events::orders::event_types() {
        let name = event_type.name.rsplit('.').next().unwrap();
        assert_eq!(released()[name].values().next_back().unwrap(), &event_type.schema, "{name}");
    }
}

fn round_trip<E: Event + PartialEq + std::fmt::Debug>(event: &E) {
    let schema = &E::event_type().schema;
    let datum = GenericDatumWriter::builder(schema).build().unwrap().write_ser_to_vec(event).unwrap();
    let reader = GenericDatumReader::builder(schema).reader_schema(schema).build().unwrap();
    let read: E = from_value(&reader.read_value(&mut datum.as_slice()).unwrap()).unwrap();
    assert_eq!(&read, event);
}

fn line() -> OrderLine {
    OrderLine { sku: "TEA-01".into(), name: "Tea".into(), quantity: 2, unit_price_minor: 499 }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_790_000_000_123_456).unwrap()
}

#[test]
fn an_event_survives_its_schema() {
    let order = OrderData {
        order_id: Uuid::now_v7(),
        tenant: "acme".to_owned(),
        customer_email: "a@example.com".to_owned(),
        lines: vec![line()],
        total_minor: 998,
        currency: "EUR".to_owned(),
    };
    let tracking_url = "http://localhost/track/x".to_owned();
    round_trip(&OrderPlaced { order: order.clone(), placed_at: now() });
    round_trip(&OrderConfirmed {
        order: order.clone(),
        tracking_url: tracking_url.clone(),
        confirmed_at: now(),
    });
    round_trip(&OrderRejected {
        order,
        reason: "Not enough tea.".to_owned(),
        tracking_url,
        rejected_at: now(),
    });
}
