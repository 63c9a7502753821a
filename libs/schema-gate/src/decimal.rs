//! Decimals: apache-avro 0.22 resolves one only if it has as many bytes as its precision can need, so it fails on small values.

use crate::{
    finding::{Finding, Rule, Side},
    schema::{Record, Schema, Shape, Type},
};

/// The findings about decimals in a schema.
pub(crate) fn check(schema: &Schema) -> Vec<Finding> {
    schema.records().flat_map(check_record).collect()
}

fn check_record(record: &Record) -> impl Iterator<Item = Finding> {
    record.fields.iter().filter(|field| has_decimal(&field.of)).map(|field| Finding {
        rule: Rule::Decimal,
        side: Side::Schema,
        path: format!("{}.{}", record.name, field.name),
        cause: "Rust readers fail on decimals with fewer bytes than the precision can need".to_owned(),
    })
}

/// Whether a type is or contains a decimal; the fields of a record have their own findings.
fn has_decimal(of: &Type) -> bool {
    of.logical.as_ref().is_some_and(|logical| logical.decimal.is_some())
        || match &of.shape {
            Shape::Array(inner) | Shape::Map(inner) => has_decimal(inner),
            Shape::Union(branches) => branches.iter().any(has_decimal),
            _ => false,
        }
}
