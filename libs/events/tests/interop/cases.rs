//! The cases of `interop/cases.json`, and the answers of an implementation to them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// What the adapters get too.
pub(crate) const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/cases.json");

#[derive(Deserialize)]
pub(crate) struct Cases {
    pub(crate) resolution: Vec<Resolution>,
    pub(crate) canonical: Vec<Canonical>,
}

/// A datum, and the schema that reads it in place of that of its writer.
#[derive(Deserialize)]
pub(crate) struct Resolution {
    pub(crate) name: String,
    /// What differs between the two schemas.
    pub(crate) change: String,
    pub(crate) writer: Value,
    pub(crate) reader: Value,
    /// In hexadecimal.
    pub(crate) datum: String,
    /// The datum as the writer means it.
    pub(crate) written: Value,
    /// What the specification says about it.
    pub(crate) specification: String,
    /// What the specification lets the reader get: a value, or `"error"`; absent if it does not decide.
    pub(crate) expected: Option<Value>,
}

/// A schema and its Parsing Canonical Form.
#[derive(Deserialize)]
pub(crate) struct Canonical {
    pub(crate) name: String,
    /// What the schema has that the form is about.
    pub(crate) what: String,
    pub(crate) schema: Value,
    pub(crate) expected: String,
}

impl Cases {
    pub(crate) fn load() -> Self {
        let text = std::fs::read_to_string(FILE).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// The answers of one implementation, by the name of the case.
#[derive(Deserialize)]
pub(crate) struct Answers {
    pub(crate) version: String,
    pub(crate) resolution: BTreeMap<String, Answer>,
    /// `None` if it computes no canonical form.
    pub(crate) canonical: BTreeMap<String, Option<Form>>,
}

#[derive(Deserialize)]
pub(crate) struct Answer {
    /// The verdict of its own compatibility check, if it has one.
    pub(crate) check: Option<String>,
    /// What it reads, if it reads.
    pub(crate) read: Option<Read>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Read {
    Value(Value),
    Fails,
}

impl Read {
    /// Whether it is `expected`, the value or `"error"`.
    pub(crate) fn is(&self, expected: &Value) -> bool {
        match self {
            Self::Value(value) => value == expected,
            Self::Fails => expected == "error",
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Form {
    pub(crate) form: String,
    /// CRC-64-AVRO of the form, as bytes in hexadecimal, the least significant first.
    pub(crate) fingerprint: String,
}
