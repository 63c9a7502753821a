//! An Avro schema with what the gate compares, also attributes that apache-avro drops when it parses one.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;
use strum::{Display, EnumString};

/// A schema and its named types.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) root: Type,
    /// Records, enums and fixed types by full name.
    pub(crate) named: BTreeMap<String, Type>,
}

/// A type with its logical type.
#[derive(Clone, Debug)]
pub(crate) struct Type {
    pub(crate) shape: Shape,
    pub(crate) logical: Option<Logical>,
}

#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Primitive(Primitive),
    Record(Record),
    Enum(Enum),
    Fixed {
        name: String,
        size: u64,
    },
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    /// The full name of a type that is defined elsewhere in the schema.
    Reference(String),
}

#[derive(Clone, Copy, Debug, Display, EnumString, PartialEq, Eq)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) of: Type,
    pub(crate) default: Option<Value>,
}

#[derive(Clone, Debug)]
pub(crate) struct Enum {
    pub(crate) name: String,
    pub(crate) symbols: Vec<String>,
    pub(crate) default: Option<String>,
}

/// A logical type; only a decimal has precision and scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logical {
    pub(crate) name: String,
    pub(crate) decimal: Option<(u64, u64)>,
}

impl Schema {
    /// The definition of a type.
    pub(crate) fn resolve<'a>(&'a self, of: &'a Type) -> &'a Type {
        match &of.shape {
            Shape::Reference(name) => self.named.get(name).unwrap_or(of),
            _ => of,
        }
    }

    /// Every record.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.named.values().filter_map(|of| match &of.shape {
            Shape::Record(record) => Some(record),
            _ => None,
        })
    }
}

impl Type {
    /// The branches of a union; any other type is its own only branch.
    pub(crate) fn branches(&self) -> &[Self] {
        match &self.shape {
            Shape::Union(branches) => branches,
            _ => std::slice::from_ref(self),
        }
    }

    pub(crate) fn is_union(&self) -> bool {
        matches!(self.shape, Shape::Union(_))
    }
}

impl Record {
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// The type as a message names it: `long (timestamp-micros)`, `record OrderLine`.
impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::Primitive(primitive) => write!(formatter, "{primitive}")?,
            Shape::Record(Record { name, .. }) => write!(formatter, "record {name}")?,
            Shape::Enum(Enum { name, .. }) => write!(formatter, "enum {name}")?,
            Shape::Fixed { name, size } => write!(formatter, "fixed {name} of {size} bytes")?,
            Shape::Array(items) => write!(formatter, "array of {items}")?,
            Shape::Map(values) => write!(formatter, "map of {values}")?,
            Shape::Union(branches) => {
                let branches: Vec<String> = branches.iter().map(ToString::to_string).collect();
                write!(formatter, "union of {}", branches.join(", "))?;
            }
            Shape::Reference(name) => formatter.write_str(name)?,
        }
        self.logical.as_ref().map_or(Ok(()), |logical| write!(formatter, " ({logical})"))
    }
}

impl fmt::Display for Logical {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        match self.decimal {
            Some((precision, scale)) => write!(formatter, " of precision {precision} and scale {scale}"),
            None => Ok(()),
        }
    }
}
