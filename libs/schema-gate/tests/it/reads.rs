//! apache-avro reads without loss what the gate lets pass: every pair of types, alone and nested.

use apache_avro::{
    Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter,
};
use proptest::{prelude::*, sample::select};
use schema_gate::{Reader, Version, check};

use crate::event;

/// A type and values of it.
type Sample = (&'static str, Vec<Value>);

fn samples() -> Vec<Sample> {
    let text = |text: &str| Value::String(text.to_owned());
    let symbol = |index, symbol: &str| Value::Enum(index, symbol.to_owned());
    let branch = |index, value| Value::Union(index, Box::new(value));
    vec![
        (r#""null""#, vec![Value::Null]),
        (r#""boolean""#, vec![Value::Boolean(true)]),
        (r#""int""#, vec![Value::Int(i32::MIN), Value::Int(16_777_217)]),
        (r#""long""#, vec![Value::Long(i64::MAX), Value::Long(7)]),
        (r#""float""#, vec![Value::Float(0.1)]),
        (r#""double""#, vec![Value::Double(0.1)]),
        (r#""bytes""#, vec![Value::Bytes(vec![0xff, 0])]),
        (r#""string""#, vec![text("Grüße"), text("")]),
        (
            r#"{"type": "string", "logicalType": "uuid"}"#,
            vec![Value::Uuid("0197c1f2-0000-7000-8000-000000000000".parse().unwrap())],
        ),
        (r#"{"type": "int", "logicalType": "date"}"#, vec![Value::Date(20_000)]),
        (
            r#"{"type": "long", "logicalType": "timestamp-millis"}"#,
            vec![Value::TimestampMillis(1_790_000_000_123)],
        ),
        (
            r#"{"type": "long", "logicalType": "timestamp-micros"}"#,
            vec![Value::TimestampMicros(1_790_000_000_123_456)],
        ),
        (r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#, vec![symbol(0, "A"), symbol(1, "B")]),
        (
            r#"{"type": "enum", "name": "E", "symbols": ["B", "A", "C"]}"#,
            vec![symbol(2, "C"), symbol(0, "B")],
        ),
        (r#"{"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}"#, vec![symbol(0, "A")]),
        (r#"{"type": "fixed", "name": "F", "size": 2}"#, vec![Value::Fixed(2, vec![1, 2])]),
        (r#"{"type": "fixed", "name": "F", "size": 3}"#, vec![Value::Fixed(3, vec![1, 2, 3])]),
        (r#"["null", "string"]"#, vec![branch(0, Value::Null), branch(1, text("x"))]),
        (r#"["string", "null"]"#, vec![branch(1, Value::Null), branch(0, text("x"))]),
        (r#"["null", "int"]"#, vec![branch(1, Value::Int(16_777_217))]),
        (r#"["null", "long", "string"]"#, vec![branch(1, Value::Long(i64::MIN)), branch(2, text("x"))]),
    ]
}

/// Puts a type and its value into others.
#[derive(Clone, Copy, Debug)]
enum Nesting {
    None,
    Array,
    Map,
    Record,
}

impl Nesting {
    fn of_type(self, of: &str) -> String {
        match self {
            Self::None => of.to_owned(),
            Self::Array => format!(r#"{{"type": "array", "items": {of}}}"#),
            Self::Map => format!(r#"{{"type": "map", "values": {of}}}"#),
            Self::Record => {
                format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "x", "type": {of}}}]}}"#)
            }
        }
    }

    fn value(self, value: Value) -> Value {
        match self {
            Self::None => value,
            Self::Array => Value::Array(vec![value]),
            Self::Map => Value::Map([("x".to_owned(), value)].into()),
            Self::Record => Value::Record(vec![("x".to_owned(), value)]),
        }
    }
}

fn field(nesting: Nesting, of: &str) -> String {
    event(&format!(r#"{{"name": "a", "type": {}}}"#, nesting.of_type(of)))
}

/// Writes a value with one schema and reads it with another; `None` if that fails.
fn read(value: Value, written: &Schema, reader: &Schema) -> Option<Value> {
    let event = Value::Record(vec![("a".to_owned(), value)]);
    let datum = GenericDatumWriter::builder(written).build().unwrap().write_value_to_vec(event).unwrap();
    let datum_reader = GenericDatumReader::builder(written).reader_schema(reader).build().unwrap();
    datum_reader.read_value(&mut datum.as_slice()).ok()
}

/// The scalars of a value as text, without the types that hold them.
fn scalars(value: &Value) -> Vec<String> {
    match value {
        Value::Union(_, value) => scalars(value),
        Value::Array(values) => values.iter().flat_map(scalars).collect(),
        Value::Map(values) => values.values().flat_map(scalars).collect(),
        Value::Record(fields) => fields.iter().flat_map(|(_, value)| scalars(value)).collect(),
        Value::Enum(_, symbol) => vec![symbol.clone()],
        Value::Int(number) => vec![f64::from(*number).to_string()],
        Value::Float(number) => vec![f64::from(*number).to_string()],
        Value::Double(number) => vec![number.to_string()],
        Value::Long(number) if i32::try_from(*number).is_ok() => vec![number.to_string()],
        other => vec![format!("{other:?}")],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_is_read_without_loss(
        (written, values) in select(samples()),
        (working, _) in select(samples()),
        nesting in select(&[Nesting::None, Nesting::Array, Nesting::Map, Nesting::Record][..]),
    ) {
        let (written, working) = (field(nesting, written), field(nesting, working));
        let found = check(&[Version { number: 1, text: written.clone() }], &working, &[Reader::Rust]);
        let passes = found.iter().all(|finding| !matches!(finding.side, schema_gate::Side::Reads(_)));
        let (written, reader) = (Schema::parse_str(&written).unwrap(), Schema::parse_str(&working).unwrap());
        let has_default = working.contains("default");
        for value in values {
            let value = nesting.value(value);
            let read = read(value.clone(), &written, &reader);
            if passes {
                let read = read.expect("the gate lets it pass");
                prop_assert!(has_default || scalars(&read) == scalars(&value), "{value:?} became {read:?}");
            }
        }
    }
}

/// The reasons for rules that are stricter than the specification or than apache-avro's own check. If one of these begins to pass,
/// apache-avro has changed.
#[test]
fn apache_avro_fails_or_changes_what_is_refused() {
    let field = |field: &str| Schema::parse_str(&event(field)).unwrap();
    let of = |of: &str| field(&format!(r#"{{"name": "a", "type": {of}}}"#));
    let millis = of(r#"{"type": "long", "logicalType": "timestamp-millis"}"#);
    let micros = of(r#"{"type": "long", "logicalType": "timestamp-micros"}"#);
    assert_eq!(read(Value::TimestampMillis(1_790_000_000_123), &millis, &micros), None);
    assert_eq!(read(Value::Bytes(vec![0xff]), &of(r#""bytes""#), &of(r#""string""#)), None);
    let alias = r#"{"name": "b", "type": "int", "aliases": ["a"]"#;
    assert_eq!(read(Value::Int(7), &of(r#""int""#), &field(&format!("{alias}}}"))), None);

    let changed = |value: Value, written: &Schema, reader: &Schema| match read(value, written, reader) {
        Some(Value::Record(fields)) => fields.into_iter().map(|(_, value)| value).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let default = field(&format!(r#"{alias}, "default": 0}}"#));
    assert_eq!(changed(Value::Int(7), &of(r#""int""#), &default), [Value::Int(0)]);
    let rounded = changed(Value::Int(16_777_217), &of(r#""int""#), &of(r#""float""#));
    assert_eq!(rounded, [Value::Float(16_777_216.0)]);
    let later_branch = field(r#"{"name": "b", "type": ["null", "string"], "default": "none"}"#);
    let null = Value::Union(0, Box::new(Value::Null));
    assert_eq!(changed(Value::Int(7), &of(r#""int""#), &later_branch), [null]);
}
