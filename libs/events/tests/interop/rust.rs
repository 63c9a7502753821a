//! The answers of the crate `apache-avro`.

use apache_avro::{
    Schema,
    rabin::Rabin,
    reader::datum::GenericDatumReader,
    schema_compatibility::{Compatibility, SchemaCompatibility},
    types::Value as Avro,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::cases::{Answer, Answers, Cases, Form, Read, Resolution};

pub(crate) fn answers(cases: &Cases) -> Answers {
    let resolution = cases.resolution.iter().map(|case| {
        let (writer, reader) = (parse(&case.writer), parse(&case.reader));
        let read = read(case, &writer, &reader);
        (case.name.clone(), Answer { check: Some(check(&writer, &reader).to_owned()), read: Some(read) })
    });
    let canonical = cases.canonical.iter().map(|case| {
        let schema = parse(&case.schema);
        let fingerprint = schema.fingerprint::<Rabin>().to_string();
        (case.name.clone(), Some(Form { form: schema.canonical_form(), fingerprint }))
    });
    Answers { version: version(), resolution: resolution.collect(), canonical: canonical.collect() }
}

/// The version in the lock file.
fn version() -> String {
    let lock = include_str!("../../../../Cargo.lock");
    let (_, package) = lock.split_once("name = \"apache-avro\"\nversion = \"").unwrap();
    let (version, _) = package.split_once('"').unwrap();
    version.to_owned()
}

fn parse(schema: &Value) -> Schema {
    Schema::parse_str(&schema.to_string()).unwrap()
}

fn check(writer: &Schema, reader: &Schema) -> &'static str {
    match SchemaCompatibility::can_read(writer, reader) {
        Ok(Compatibility::Full) => "compatible",
        Ok(Compatibility::Partial) => "partial",
        Err(_) => "incompatible",
    }
}

fn read(case: &Resolution, writer: &Schema, reader: &Schema) -> Read {
    let datum_reader = GenericDatumReader::builder(writer).reader_schema(reader).build().unwrap();
    match datum_reader.read_value(&mut hex::decode(&case.datum).unwrap().as_slice()) {
        Ok(value) => Read::Value(plain(&value, reader)),
        Err(_) => Read::Fails,
    }
}

/// A datum as its writer means it.
pub(crate) fn written(case: &Resolution) -> Value {
    let writer = parse(&case.writer);
    let datum_reader = GenericDatumReader::builder(&writer).build().unwrap();
    let value = datum_reader.read_value(&mut hex::decode(&case.datum).unwrap().as_slice()).unwrap();
    plain(&value, &writer)
}

/// A value as JSON, in the same form for every implementation.
fn plain(value: &Avro, schema: &Schema) -> Value {
    match (value, schema) {
        (Avro::Record(fields), Schema::Record(record)) => {
            let fields = fields.iter().zip(&record.fields);
            fields.map(|((name, value), field)| (name.clone(), plain(value, &field.schema))).collect()
        }
        (Avro::Union(branch, value), Schema::Union(union)) => {
            plain(value, union.get_variant(*branch as usize).unwrap())
        }
        (Avro::Decimal(unscaled), Schema::Decimal(decimal)) => {
            json!(decimal_text(&Vec::try_from(unscaled).unwrap(), decimal.scale))
        }
        (Avro::Null, _) => Value::Null,
        (Avro::Int(number), _) => json!(number),
        (Avro::Long(number), _) => json!(number),
        (Avro::Float(number), _) => json!(number),
        (Avro::Double(number), _) => json!(number),
        (Avro::String(text) | Avro::Enum(_, text), _) => json!(text),
        (Avro::Bytes(bytes), _) => json!({ "bytes": hex::encode(bytes) }),
        (Avro::TimestampMillis(millis), _) => time(DateTime::from_timestamp_millis(*millis).unwrap()),
        (Avro::TimestampMicros(micros), _) => time(DateTime::from_timestamp_micros(*micros).unwrap()),
        other => panic!("no case has {other:?}"),
    }
}

fn time(time: DateTime<Utc>) -> Value {
    json!(time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
}

/// A positive decimal with at least one digit before the point. The crate returns the number without its scale.
fn decimal_text(unscaled: &[u8], scale: usize) -> String {
    let number = unscaled.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let digits = format!("{number:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{whole}.{fraction}")
}
