//! The canonical form of a JSON body: RFC 8785, of the JSON that RFC 8785 is for.
//!
//! That is I-JSON (RFC 7493). What is outside of it is refused, because two readers may see two different requests in it,
//! or one in two: a member that is there twice, and a number that a double cannot hold.

use std::fmt;

use api_error::{ApiError, Code};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, error::Category};

/// The integers up to here are those that a double holds exactly.
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// Reads a body; `None` when there is none.
pub(super) fn read(body: &[u8]) -> Result<Option<Value>, ApiError> {
    if body.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(body).map(|Strict(value)| Some(value)).map_err(refuse)
}

/// Returns the canonical bytes of a body.
pub(super) fn canonical(body: &Value) -> Result<Vec<u8>, ApiError> {
    serde_json_canonicalizer::to_vec(body).map_err(refuse)
}

/// What is wrong, and where, is said by `api_error::Json`, which reads the body before. This is for a body that was read otherwise.
fn refuse(error: serde_json::Error) -> ApiError {
    let refusal = if error.classify() == Category::Data {
        let message = "The request body is ambiguous: it has a member twice, or a number beyond ±(2^53 - 1).";
        ApiError::new(Code::InvalidRequest, message)
    } else {
        ApiError::new(Code::MalformedJson, "The request body is not valid JSON.")
    };
    refusal.with_source(error)
}

/// A value of which every reader sees the same.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        if value <= MAX_NUMBER { Ok(value.into()) } else { Err(too_large()) }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() <= MAX_NUMBER { Ok(value.into()) } else { Err(too_large()) }
    }

    /// Integers beyond 64 bits come here too, rounded already.
    #[expect(clippy::cast_precision_loss, reason = "the bound is the largest integer of which none is lost")]
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).filter(|_| value.abs() <= MAX_NUMBER as f64);
        number.map(Value::Number).ok_or_else(too_large)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if values.insert(name, value).is_some() {
                return Err(A::Error::custom("an object has the same member twice"));
            }
        }
        Ok(values.into())
    }
}

fn too_large<E: Error>() -> E {
    E::custom("a number is beyond ±(2^53 - 1); send it as a string")
}
