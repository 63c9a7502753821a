//! The page with the answers.

use std::fmt;

use serde_json::Value;

use crate::cases::{Answer, Answers, Canonical, Cases, Form, Read, Resolution};

const INTRODUCTION: &str = "\
# Where Avro implementations disagree

A schema may change if every consumer still reads the old data, and reads it as it was meant. A compatibility check compares two schemas; what a
library then reads is another question, and the answers differ. Here each implementation answers both, for one change at a time.

A cell has the verdict of the implementation's own check (*yes*, *no*, *partial*) and what it reads. Bold is what the specification of Avro 1.12
does not allow; *open* is what it leaves to the implementation. A number without a point is an integer. fastavro has no check. confluent-kafka
reads with fastavro, behind Confluent's framing, and its check is that of the registry, which reads nothing.

## What follows for a schema

| do | because |
|---|---|
| Rename no field, record or namespace of a released schema; add a field, fill both, retire the old one | aliases are optional, and checks that follow them say yes for libraries that do not |
| Let the default of a union have the type of its first branch | behind null, the Rust crate reads null instead, without an error |
| Keep the unit of a timestamp and the scale of a decimal; add a field in the new unit | registry and Java accept the change, and Java reads a time in 1970, and a tenth of the price |
| Keep decimals out of events that the Rust crate reads; write amounts as a `long` in the minor unit | with a reader's schema it fails on each value that has fewer bytes than its precision can need |
| Promote no `int` or `long` that identifies something to a floating-point type, and no bytes to a string | the value changes silently, or only some values can be read |
| Give an enum a default before it gains or loses a symbol, and treat *partial* as no | without it an unknown symbol is an error; with it, still in Avro for Python |
| Give a record at least one field, and let no event be `bytes` alone | confluent-kafka reads neither as it was written |
| Compare fingerprints of one implementation only | the canonical forms differ for logical types and sort orders |

`events::Decoder` uses the Rust crate, and refuses bytes behind a datum, which all of these ignore.

## How it is kept true

`make test` asks every implementation and fails if an answer differs from this page ([`tests/interop`](../libs/events/tests/interop/main.rs)); it takes some
seconds. `make schemas/interop` writes the page after a change of a version or of [a case](../libs/events/interop/cases.json), which has the schemas and
the bytes. Java's Avro is the jar in the distribution of Apicurio, from Maven; the Python libraries are pinned with hashes in
[`requirements.txt`](../libs/events/examples/python/requirements.txt).
";

/// An implementation with its answers.
pub(crate) struct Column {
    name: &'static str,
    answers: Answers,
}

impl Column {
    pub(crate) fn new(name: &'static str, answers: Answers) -> Self {
        Self { name, answers }
    }

    fn title(&self) -> String {
        format!("{} {}", self.name, self.answers.version)
    }

    fn has_forms(&self) -> bool {
        self.answers.canonical.values().any(Option::is_some)
    }

    fn form(&self, case: &Canonical) -> &Form {
        self.answers.canonical[&case.name].as_ref().unwrap()
    }
}

pub(crate) struct Page<'a> {
    pub(crate) cases: &'a Cases,
    pub(crate) columns: &'a [Column],
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(INTRODUCTION)?;
        self.resolution(f)?;
        self.specification(f)?;
        self.canonical(f)
    }
}

impl Page<'_> {
    fn resolution(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## Reading old data\n")?;
        header(f, &["change", "specification"], self.columns)?;
        for case in &self.cases.resolution {
            write!(f, "| {} | {} |", case.change, specified(case))?;
            for column in self.columns {
                write!(f, " {} |", answered(&column.answers.resolution[&case.name], case))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn specification(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## What the specification says\n")?;
        header(f, &["change", "written", "rule"], [])?;
        for Resolution { change, written, specification, .. } in &self.cases.resolution {
            writeln!(f, "| {change} | {} | {specification} |", shown(written))?;
        }
        Ok(())
    }

    fn canonical(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## Fingerprints\n")?;
        writeln!(
            f,
            "CRC-64-AVRO of the Parsing Canonical Form. Bold is another form than the specified one.\n"
        )?;
        let columns: Vec<_> = self.columns.iter().filter(|column| column.has_forms()).collect();
        header(f, &["the schema has"], columns.iter().copied())?;
        for case in &self.cases.canonical {
            write!(f, "| {} |", case.what)?;
            for column in &columns {
                let Form { form, fingerprint } = column.form(case);
                write!(f, " {} |", bold_unless(*form == case.expected, format!("`{fingerprint}`")))?;
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        header(f, &["the schema has", "implementation", "another form"], [])?;
        for case in &self.cases.canonical {
            for column in columns.iter().filter(|column| column.form(case).form != case.expected) {
                writeln!(f, "| {} | {} | `{}` |", case.what, column.name, column.form(case).form)?;
            }
        }
        Ok(())
    }
}

fn header<'a>(
    f: &mut fmt::Formatter<'_>,
    first: &[&str],
    columns: impl IntoIterator<Item = &'a Column>,
) -> fmt::Result {
    let mut titles: Vec<_> = first.iter().map(ToString::to_string).collect();
    titles.extend(columns.into_iter().map(Column::title));
    writeln!(f, "| {} |\n|{}", titles.join(" | "), "---|".repeat(titles.len()))
}

fn specified(case: &Resolution) -> String {
    match &case.expected {
        None => "open".to_owned(),
        Some(expected) if expected == "error" => "error".to_owned(),
        Some(expected) => shown(expected),
    }
}

/// The check, and what is read.
fn answered(Answer { check, read }: &Answer, case: &Resolution) -> String {
    let check = check.as_deref().map(|check| match check {
        "compatible" => "yes".to_owned(),
        "incompatible" => "no".to_owned(),
        other => other.to_owned(),
    });
    let read = read.as_ref().map(|read| {
        let text = match read {
            Read::Value(value) => shown(value),
            Read::Fails => "fails".to_owned(),
        };
        bold_unless(case.expected.as_ref().is_none_or(|expected| read.is(expected)), text)
    });
    [check, read].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn bold_unless(is_expected: bool, text: String) -> String {
    if is_expected { text } else { format!("**{text}**") }
}

/// The value of the only field of a record, or the whole record; bytes in hexadecimal.
fn shown(value: &Value) -> String {
    let fields: Vec<_> = value.as_object().into_iter().flatten().collect();
    match fields[..] {
        [(name, Value::String(hex))] if name == "bytes" => format!("bytes `{hex}`"),
        [(_, value)] => shown(value),
        _ => format!("`{value}`"),
    }
}
