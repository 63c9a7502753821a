//! Whether the defaults of fields are values of their types.
//!
//! Until version 1.11 the specification said that the default of a union is of its first branch; 1.12 accepts any branch
//! (AVRO-3649). apache-avro 0.22 accepts the schema and then reads the first branch: `null` instead of the default if that is
//! `null`.

use serde_json::Value;

use crate::{
    finding::{Finding, Rule, Side},
    schema::{Field, Primitive, Record, Schema, Shape, Type},
};

/// The findings about defaults in a schema.
pub(crate) fn check(schema: &Schema) -> Vec<Finding> {
    let fields = schema.records().flat_map(|record| record.fields.iter().map(move |field| (record, field)));
    fields.filter_map(|(record, field)| check_field(schema, record, field)).collect()
}

fn check_field(schema: &Schema, record: &Record, field: &Field) -> Option<Finding> {
    let default = field.default.as_ref()?;
    if schema.is_value(&field.of, default) {
        return None;
    }
    let is_later_branch = field.of.branches().iter().any(|branch| schema.is_value(branch, default));
    let cause = if is_later_branch {
        format!("the default {default} is not of the first branch of the {}", field.of)
    } else {
        format!("the default {default} is not a value of {}", field.of)
    };
    let path = format!("{}.{}", record.name, field.name);
    Some(Finding { rule: Rule::InvalidDefault, side: Side::Schema, path, cause })
}

impl Schema {
    /// Whether JSON is a default of a type.
    fn is_value(&self, of: &Type, json: &Value) -> bool {
        match &self.resolve(of).shape {
            Shape::Primitive(primitive) => primitive.is_value(json),
            Shape::Fixed { size, .. } => json
                .as_str()
                .is_some_and(|text| u64::try_from(text.chars().count()).is_ok_and(|n| n == *size)),
            Shape::Enum(of) => json.as_str().is_some_and(|symbol| of.symbols.iter().any(|one| one == symbol)),
            Shape::Array(items) => {
                json.as_array().is_some_and(|array| array.iter().all(|item| self.is_value(items, item)))
            }
            Shape::Map(values) => {
                json.as_object().is_some_and(|map| map.values().all(|value| self.is_value(values, value)))
            }
            Shape::Union(branches) => branches.first().is_some_and(|branch| self.is_value(branch, json)),
            Shape::Record(record) => record.fields.iter().all(|field| {
                let value = json.get(&field.name).or(field.default.as_ref());
                json.is_object() && value.is_some_and(|value| self.is_value(&field.of, value))
            }),
            Shape::Reference(_) => false,
        }
    }
}

impl Primitive {
    fn is_value(self, json: &Value) -> bool {
        match self {
            Self::Null => json.is_null(),
            Self::Boolean => json.is_boolean(),
            Self::Int => json.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            Self::Long => json.is_i64(),
            Self::Float | Self::Double => json.is_number(),
            // apache-avro reads the UTF-8 encoding of the text, the specification has one byte per code point.
            Self::Bytes => json.as_str().is_some_and(str::is_ascii),
            Self::String => json.is_string(),
        }
    }
}
