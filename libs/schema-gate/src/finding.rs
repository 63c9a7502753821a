//! What the gate finds: the rule, the place, the readers that break, and how to make the change instead.

use std::fmt;

use strum::{Display, EnumIter};

/// An implementation of Avro whose consumers we promise to serve.
#[derive(Clone, Copy, Debug, Display, EnumIter, PartialEq, Eq)]
pub enum Reader {
    /// apache-avro 0.22, of our services.
    Rust,
    /// Apache Avro 1.12.
    Java,
    /// fastavro 1.13, which confluent-kafka uses.
    Python,
}

/// Why a schema cannot ship.
#[derive(Clone, Copy, Debug, EnumIter, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A text is not an Avro schema.
    Malformed,
    /// A default is not a value of its type, or of a later branch of its union.
    InvalidDefault,
    /// The schema has a decimal.
    Decimal,
    /// The reader has a field that the event does not have, without a default.
    MissingField,
    /// A field has a new name, and its old name as an alias.
    RenamedField,
    /// A record, enum or fixed type has a new name.
    RenamedType,
    /// A type became one that cannot read it.
    ChangedType,
    /// A logical type, such as a unit of time, was added, removed or replaced.
    ChangedLogicalType,
    /// A decimal has another precision or scale.
    ChangedDecimal,
    /// Large integers lose digits as floating-point numbers.
    LostPrecision,
    /// Text became bytes or the reverse.
    TextOrBytes,
    /// The reader's enum lacks a symbol, and has no default.
    MissingSymbol,
    /// The reader's union lacks a branch.
    MissingBranch,
    /// apache-avro's own check does not answer that it can read all data.
    LibraryCheck,
}

/// Who reads what in a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The working schema itself is at fault.
    Schema,
    /// The working schema cannot read events of this version.
    Reads(u32),
    /// Consumers with this version cannot read events of the working schema.
    ReadBy(u32),
}

/// One reason why the working schema cannot ship.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// Who reads what.
    pub side: Side,
    /// The field, such as `lines[].quantity`; empty for the event itself.
    pub path: String,
    /// What differs.
    pub cause: String,
}

impl Rule {
    /// The readers that fail or read another value. They differ, see `docs/schema-evolution.md`.
    pub fn breaks(self) -> &'static [Reader] {
        match self {
            Self::Decimal | Self::RenamedField | Self::LibraryCheck => &[Reader::Rust],
            // fastavro uses the unit and scale of the writer, and does not round to single precision.
            Self::ChangedLogicalType | Self::ChangedDecimal | Self::LostPrecision => {
                &[Reader::Rust, Reader::Java]
            }
            _ => &[Reader::Rust, Reader::Java, Reader::Python],
        }
    }

    /// How to make the change so that every reader continues.
    fn instead(self, side: Side) -> &'static str {
        match (self, side) {
            (Self::Malformed, _) => "correct the schema",
            (Self::InvalidDefault, _) => {
                "use a value of the type, for bytes an ASCII one, or put the branch of the default first in the union"
            }
            (Self::Decimal, _) => "use a long in the minor unit",
            (Self::MissingField, Side::ReadBy(_)) => {
                "give the field a default in this release, and remove it in the next"
            }
            (Self::MissingField, _) => "give the field a default",
            (Self::RenamedField, _) => {
                "add a field with the new name and a default, fill both, and retire the old one over two releases"
            }
            (Self::RenamedType, _) => "keep the name; a new name is a new type beside the old one",
            (Self::MissingSymbol, Side::ReadBy(_)) => {
                "give the enum a default in this release, and add the symbol in the next"
            }
            (Self::MissingSymbol, _) => "keep the symbol, or give the enum a default",
            (Self::LibraryCheck, _) => "undo the change; find the rule that the gate lacks, and add it",
            _ => {
                "add a field with the new type and a default, fill both, and retire the old one over two releases"
            }
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema => formatter.write_str("the working schema itself"),
            Self::Reads(version) => {
                write!(formatter, "the working schema reads events of version {version}")
            }
            Self::ReadBy(version) => {
                write!(formatter, "consumers with version {version} read events of the working schema")
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the event" } else { &self.path };
        let breaks: Vec<String> = self.rule.breaks().iter().map(ToString::to_string).collect();
        writeln!(formatter, "{path}: {}", self.cause)?;
        writeln!(formatter, "  where:   {}", self.side)?;
        writeln!(formatter, "  breaks:  {}", breaks.join(", "))?;
        write!(formatter, "  instead: {}", self.rule.instead(self.side))
    }
}
