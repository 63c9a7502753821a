//! Parses the JSON of a schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::schema::{Enum, Field, Logical, Record, Schema, Shape, Type};

/// Why a text is not an Avro schema.
#[derive(Debug, Error)]
pub(crate) enum Malformed {
    #[error("it is not an Avro schema: {0}")]
    Avro(Box<apache_avro::Error>),
    #[error("it is not JSON: {0}")]
    Json(serde_json::Error),
    #[error("`{0}` is missing or has a wrong type")]
    Attribute(&'static str),
}

impl Schema {
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let json = serde_json::from_str(text).map_err(Malformed::Json)?;
        let mut parser = Parser { named: BTreeMap::new() };
        let root = parser.parse(&json, "")?;
        Ok(Self { root, named: parser.named })
    }
}

struct Parser {
    named: BTreeMap<String, Type>,
}

impl Parser {
    fn parse(&mut self, json: &Value, namespace: &str) -> Result<Type, Malformed> {
        let shape = match json {
            Value::String(name) => {
                name.parse().map_or_else(|_| Shape::Reference(full_name(name, namespace)), Shape::Primitive)
            }
            Value::Array(branches) => Shape::Union(
                branches.iter().map(|branch| self.parse(branch, namespace)).collect::<Result<_, _>>()?,
            ),
            Value::Object(object) => return self.object(object, namespace),
            _ => return Err(Malformed::Attribute("type")),
        };
        Ok(Type { shape, logical: None })
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Type, Malformed> {
        let inner = object.get("type").ok_or(Malformed::Attribute("type"))?;
        let shape = match inner.as_str() {
            Some("record" | "error") => self.record(object, namespace)?,
            Some("enum") => Shape::Enum(Enum {
                name: name(object, namespace)?,
                symbols: strings(object, "symbols"),
                default: object.get("default").and_then(Value::as_str).map(str::to_owned),
            }),
            Some("fixed") => Shape::Fixed {
                name: name(object, namespace)?,
                size: object.get("size").and_then(Value::as_u64).ok_or(Malformed::Attribute("size"))?,
            },
            Some("array") => Shape::Array(Box::new(self.nested(object, "items", namespace)?)),
            Some("map") => Shape::Map(Box::new(self.nested(object, "values", namespace)?)),
            _ => {
                let inner = self.parse(inner, namespace)?;
                return Ok(Type { logical: logical(object).or(inner.logical), ..inner });
            }
        };
        let of = Type { shape, logical: logical(object) };
        if let Shape::Record(Record { name, .. })
        | Shape::Enum(Enum { name, .. })
        | Shape::Fixed { name, .. } = &of.shape
        {
            self.named.insert(name.clone(), of.clone());
        }
        Ok(of)
    }

    fn record(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Shape, Malformed> {
        let name = name(object, namespace)?;
        let inside = name.rsplit_once('.').map_or("", |(inside, _)| inside);
        let fields = object.get("fields").and_then(Value::as_array).ok_or(Malformed::Attribute("fields"))?;
        let fields = fields.iter().map(|field| self.field(field, inside)).collect::<Result<_, _>>()?;
        Ok(Shape::Record(Record { name, fields }))
    }

    fn field(&mut self, json: &Value, namespace: &str) -> Result<Field, Malformed> {
        let object = json.as_object().ok_or(Malformed::Attribute("fields"))?;
        Ok(Field {
            name: text(object, "name")?.to_owned(),
            aliases: strings(object, "aliases"),
            of: self.nested(object, "type", namespace)?,
            default: object.get("default").cloned(),
        })
    }

    fn nested(
        &mut self,
        object: &Map<String, Value>,
        attribute: &'static str,
        namespace: &str,
    ) -> Result<Type, Malformed> {
        self.parse(object.get(attribute).ok_or(Malformed::Attribute(attribute))?, namespace)
    }
}

fn name(object: &Map<String, Value>, namespace: &str) -> Result<String, Malformed> {
    let own = object.get("namespace").and_then(Value::as_str);
    Ok(full_name(text(object, "name")?, own.unwrap_or(namespace)))
}

fn full_name(name: &str, namespace: &str) -> String {
    if namespace.is_empty() || name.contains('.') { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn text<'a>(object: &'a Map<String, Value>, attribute: &'static str) -> Result<&'a str, Malformed> {
    object.get(attribute).and_then(Value::as_str).ok_or(Malformed::Attribute(attribute))
}

fn strings(object: &Map<String, Value>, attribute: &str) -> Vec<String> {
    let texts = object.get(attribute).and_then(Value::as_array).into_iter().flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn logical(object: &Map<String, Value>) -> Option<Logical> {
    let name = object.get("logicalType")?.as_str()?.to_owned();
    let number = |attribute| object.get(attribute).and_then(Value::as_u64).unwrap_or(0);
    let decimal = (name == "decimal").then(|| (number("precision"), number("scale")));
    Some(Logical { name, decimal })
}
