//! Compares the schema of a writer with that of a reader by the resolution rules of the Avro specification, and is stricter where
//! implementations differ.

use std::collections::BTreeSet;

use crate::{
    finding::Rule,
    schema::{Enum, Field, Primitive, Record, Schema, Shape, Type},
};

/// What a reader cannot read.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) rule: Rule,
    pub(crate) path: String,
    pub(crate) cause: String,
}

/// Returns what a reader with schema `reader` cannot read in the data of `writer`.
pub(crate) fn differences(writer: &Schema, reader: &Schema) -> Vec<Difference> {
    let mut comparison = Comparison { writer, reader, seen: BTreeSet::new(), found: Vec::new() };
    comparison.types(&writer.root, &reader.root, "");
    comparison.found
}

struct Comparison<'a> {
    writer: &'a Schema,
    reader: &'a Schema,
    /// Pairs of records that were compared; ends the recursion of a record that contains itself.
    seen: BTreeSet<(&'a str, &'a str)>,
    found: Vec<Difference>,
}

impl<'a> Comparison<'a> {
    fn types(&mut self, writer: &'a Type, reader: &'a Type, path: &str) {
        let (writer, reader) = (self.writer.resolve(writer), self.reader.resolve(reader));
        if writer.is_union() || reader.is_union() {
            return writer.branches().iter().for_each(|branch| self.branch(branch, reader, path));
        }
        match (&writer.shape, &reader.shape) {
            (Shape::Record(writer), Shape::Record(reader)) => self.records(writer, reader, path),
            (Shape::Enum(writer), Shape::Enum(reader)) => self.enums(writer, reader, path),
            (Shape::Array(writer), Shape::Array(reader)) => self.types(writer, reader, &format!("{path}[]")),
            (Shape::Map(writer), Shape::Map(reader)) => self.types(writer, reader, &format!("{path}{{}}")),
            (Shape::Fixed { name: written, size }, Shape::Fixed { name, size: expected })
                if size == expected =>
            {
                self.names(written, name, path);
                self.logical_types(writer, reader, path);
            }
            (Shape::Primitive(from), Shape::Primitive(to)) => {
                if self.primitives(*from, *to, path) {
                    self.logical_types(writer, reader, path);
                }
            }
            _ => self.add(Rule::ChangedType, path, became(writer, reader)),
        }
    }

    /// Compares a branch of the writer with the branch of the reader that has its type, or with the first that can read it.
    fn branch(&mut self, writer: &'a Type, reader: &'a Type, path: &str) {
        let writer = self.writer.resolve(writer);
        let mut branches = reader.branches().iter();
        if let Some(same) = branches.clone().find(|branch| is_same_kind(writer, self.reader.resolve(branch)))
        {
            return self.types(writer, same, path);
        }
        let can_read = |branch| {
            let (seen, found) = (self.seen.clone(), Vec::new());
            let mut attempt = Comparison { seen, found, ..*self };
            attempt.types(writer, branch, path);
            attempt.found.is_empty()
        };
        if !branches.any(can_read) {
            self.add(Rule::MissingBranch, path, format!("{writer} has no branch in {reader}"));
        }
    }

    fn records(&mut self, writer: &'a Record, reader: &'a Record, path: &str) {
        self.names(&writer.name, &reader.name, path);
        if self.seen.insert((writer.name.as_str(), reader.name.as_str())) {
            reader.fields.iter().for_each(|field| self.field(writer, field, path));
        }
    }

    fn field(&mut self, writer: &'a Record, reader: &'a Field, path: &str) {
        let path = if path.is_empty() { reader.name.clone() } else { format!("{path}.{}", reader.name) };
        if let Some(written) = writer.field(&reader.name) {
            return self.types(&written.of, &reader.of, &path);
        }
        if let Some(written) = reader.aliases.iter().find_map(|alias| writer.field(alias)) {
            self.add(
                Rule::RenamedField,
                &path,
                format!("`{}` is an alias, which Rust readers ignore", written.name),
            );
            return self.types(&written.of, &reader.of, &path);
        }
        if reader.default.is_none() {
            self.add(
                Rule::MissingField,
                &path,
                "the event lacks the field, and the reader has no default for it",
            );
        }
    }

    fn enums(&mut self, writer: &Enum, reader: &Enum, path: &str) {
        self.names(&writer.name, &reader.name, path);
        let missing: Vec<&str> = writer
            .symbols
            .iter()
            .filter(|symbol| !reader.symbols.contains(symbol))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() && reader.default.is_none() {
            let cause = format!("the reader's enum lacks {}, and has no default", missing.join(", "));
            self.add(Rule::MissingSymbol, path, cause);
        }
    }

    fn names(&mut self, writer: &str, reader: &str, path: &str) {
        if writer != reader {
            self.add(Rule::RenamedType, path, format!("the name {writer} became {reader}"));
        }
    }

    fn logical_types(&mut self, writer: &Type, reader: &Type, path: &str) {
        let is_decimal = |of: &Type| of.logical.as_ref().is_some_and(|logical| logical.decimal.is_some());
        if writer.logical == reader.logical {
            return;
        }
        let both = is_decimal(writer) && is_decimal(reader);
        let rule = if both { Rule::ChangedDecimal } else { Rule::ChangedLogicalType };
        self.add(rule, path, became(writer, reader));
    }

    /// Returns whether the reader can read the writer's type without loss.
    fn primitives(&mut self, writer: Primitive, reader: Primitive, path: &str) -> bool {
        use Primitive::{Bytes, Double, Float, Int, Long, String};
        let (rule, consequence) = match (writer, reader) {
            _ if writer == reader => return true,
            (Int, Long | Double) | (Float, Double) => return true,
            (Int | Long, Float) => (Rule::LostPrecision, ": integers above 16777216 lose digits"),
            (Long, Double) => (Rule::LostPrecision, ": integers above 9007199254740992 lose digits"),
            (String, Bytes) | (Bytes, String) => (Rule::TextOrBytes, ""),
            _ => (Rule::ChangedType, ""),
        };
        self.add(rule, path, format!("{writer} became {reader}{consequence}"));
        false
    }

    fn add(&mut self, rule: Rule, path: &str, cause: impl Into<String>) {
        self.found.push(Difference { rule, path: path.to_owned(), cause: cause.into() });
    }
}

fn became(writer: &Type, reader: &Type) -> String {
    format!("{writer} became {reader}")
}

/// Whether a branch of the reader is the counterpart of one of the writer: the same primitive, or the same kind with the same name.
fn is_same_kind(writer: &Type, reader: &Type) -> bool {
    match (&writer.shape, &reader.shape) {
        (Shape::Primitive(writer), Shape::Primitive(reader)) => writer == reader,
        (Shape::Record(Record { name: writer, .. }), Shape::Record(Record { name: reader, .. }))
        | (Shape::Enum(Enum { name: writer, .. }), Shape::Enum(Enum { name: reader, .. }))
        | (Shape::Fixed { name: writer, .. }, Shape::Fixed { name: reader, .. }) => writer == reader,
        (Shape::Array(_), Shape::Array(_)) | (Shape::Map(_), Shape::Map(_)) => true,
        _ => false,
    }
}
