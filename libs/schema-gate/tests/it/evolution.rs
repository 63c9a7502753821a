//! The changes of `docs/schema-evolution.md`, on the released schema of an order that is confirmed.

use apache_avro::{
    Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter,
};
use schema_gate::{Reader, Rule, Side, Version, check};
use serde_json::{Value as Json, json};
use strum::IntoEnumIterator as _;

use crate::rules;

const V1: &str = include_str!("../../../events/released/orders/OrderConfirmed.v1.avsc");

/// A schema after a change of its fields.
fn changed(schema: &str, change: impl FnOnce(&mut Vec<Json>)) -> String {
    let mut schema: Json = serde_json::from_str(schema).unwrap();
    change(schema["fields"].as_array_mut().unwrap());
    schema.to_string()
}

fn field<'a>(fields: &'a mut [Json], name: &str) -> &'a mut Json {
    fields.iter_mut().find(|field| field["name"] == name).unwrap()
}

fn remove(fields: &mut Vec<Json>, name: &str) {
    fields.retain(|field| field["name"] != name);
}

/// What the gate finds in the last of these schemas, after the others were released.
fn gate(schemas: &[&str]) -> Vec<(Rule, Side)> {
    let (working, released) = schemas.split_last().unwrap();
    let released: Vec<Version> =
        (1..).zip(released).map(|(number, text)| Version { number, text: (*text).to_owned() }).collect();
    rules(&check(&released, working, &Reader::iter().collect::<Vec<_>>()))
}

/// Reads an event that was written with one schema as another, with the Rust reader.
fn read(event: Json, written: &str, reader: &str) -> Vec<(String, Value)> {
    let (written, reader) = (Schema::parse_str(written).unwrap(), Schema::parse_str(reader).unwrap());
    let event = Value::try_from(event).unwrap().resolve(&written).unwrap();
    let datum = GenericDatumWriter::builder(&written).build().unwrap().write_value_to_vec(event).unwrap();
    let datum_reader = GenericDatumReader::builder(&written).reader_schema(&reader).build().unwrap();
    let Value::Record(fields) = datum_reader.read_value(&mut datum.as_slice()).unwrap() else { panic!() };
    fields
}

fn value<'a>(fields: &'a [(String, Value)], name: &str) -> &'a Value {
    &fields.iter().find(|(field, _)| field == name).unwrap().1
}

fn v1_event() -> Json {
    json!({
        "order_id": "0197c1f2-0000-7000-8000-000000000000",
        "tenant": "acme",
        "customer_email": "a@example.com",
        "lines": [],
        "total_minor": 998,
        "currency": "EUR",
        "tracking_url": "http://localhost/track/x",
        "confirmed_at": 1_790_000_000_123_456_i64
    })
}

fn nullable(value: Value) -> Value {
    Value::Union(u32::from(value != Value::Null), Box::new(value))
}

#[test]
fn a_field_with_a_default_ships_and_is_the_default_in_old_events() {
    let v2 = changed(V1, |fields| {
        fields.push(json!({"name": "channel", "type": ["null", "string"], "default": null}));
    });
    assert_eq!(gate(&[V1, &v2]), []);
    assert_eq!(value(&read(v1_event(), V1, &v2), "channel"), &nullable(Value::Null));
}

#[test]
fn a_field_without_a_default_is_refused() {
    let v2 = changed(V1, |fields| fields.push(json!({"name": "channel", "type": "string"})));
    assert_eq!(gate(&[V1, &v2]), [(Rule::MissingField, Side::Reads(1))]);
}

#[test]
fn a_field_is_not_renamed_by_an_alias() {
    let v2 = changed(V1, |fields| {
        let field = field(fields, "total_minor");
        field["name"] = json!("total_cents");
        field["aliases"] = json!(["total_minor"]);
    });
    assert_eq!(
        gate(&[V1, &v2]),
        [(Rule::RenamedField, Side::Reads(1)), (Rule::MissingField, Side::ReadBy(1))]
    );
}

/// Release 2 has both names and fills both; release 3 has the new one only.
#[test]
fn a_field_is_renamed_in_two_releases() {
    let v2 = changed(V1, |fields| {
        field(fields, "total_minor")["default"] = json!(0);
        fields.push(json!({"name": "total_cents", "type": ["null", "long"], "default": null}));
    });
    let v3 = changed(&v2, |fields| remove(fields, "total_minor"));
    assert_eq!(gate(&[V1, &v2]), []);
    assert_eq!(gate(&[V1, &v2, &v3]), []);
    assert_eq!(gate(&[V1, &v3]), [(Rule::MissingField, Side::ReadBy(1))], "both steps in one release");

    let mut v2_event = v1_event();
    v2_event["total_cents"] = json!(998);
    assert_eq!(value(&read(v2_event.clone(), &v2, V1), "total_minor"), &Value::Long(998));
    assert_eq!(value(&read(v2_event, &v2, &v3), "total_cents"), &nullable(Value::Long(998)));
    assert_eq!(
        value(&read(v1_event(), V1, &v3), "total_cents"),
        &nullable(Value::Null),
        "the price of the rename"
    );
}

#[test]
fn a_field_is_retired_over_two_releases() {
    let at_once = changed(V1, |fields| remove(fields, "tracking_url"));
    assert_eq!(gate(&[V1, &at_once]), [(Rule::MissingField, Side::ReadBy(1))]);

    let v2 = changed(V1, |fields| field(fields, "tracking_url")["default"] = json!(""));
    let v3 = changed(&v2, |fields| remove(fields, "tracking_url"));
    assert_eq!(gate(&[V1, &v2]), []);
    assert_eq!(gate(&[V1, &v2, &v3]), []);
    let mut v3_event = v1_event();
    v3_event.as_object_mut().unwrap().remove("tracking_url");
    assert_eq!(value(&read(v3_event, &v3, &v2), "tracking_url"), &Value::String(String::new()));
}
