//! The gate: whether a working schema of an event may ship.

use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

use crate::{
    compare::{Difference, differences},
    decimal, default,
    finding::{Finding, Reader, Rule, Side},
    parse::Malformed,
    schema::Schema,
};

/// A released schema of an event.
#[derive(Clone, Debug)]
pub struct Version {
    /// From 1, in the order of release.
    pub number: u32,
    /// The text of the schema.
    pub text: String,
}

/// Returns why `working` cannot ship, for consumers that use one of `readers`; empty if it may.
///
/// It must read events of every released version (`BACKWARD_TRANSITIVE`), because topics keep old events and dead letters come
/// back. Consumers with the newest released version must read its events, because a rollout replaces one replica at a time and can
/// be undone.
pub fn check(released: &[Version], working: &str, readers: &[Reader]) -> Vec<Finding> {
    let findings = Candidate::parse(working).map_or_else(
        |error| vec![malformed(Side::Schema, &error)],
        |working| {
            let reads = released.iter().flat_map(|version| working.reads(version));
            let read_by = released.iter().max_by_key(|version| version.number);
            let read_by = read_by.into_iter().flat_map(|version| working.read_by(version));
            let itself = default::check(&working.schema).into_iter().chain(decimal::check(&working.schema));
            itself.chain(reads).chain(read_by).collect()
        },
    );
    let is_served = |finding: &Finding| finding.rule.breaks().iter().any(|reader| readers.contains(reader));
    findings.into_iter().filter(is_served).collect()
}

/// A schema, parsed by the gate and by apache-avro.
struct Candidate {
    schema: Schema,
    library: apache_avro::Schema,
}

impl Candidate {
    fn parse(text: &str) -> Result<Self, Malformed> {
        let library =
            apache_avro::Schema::parse_str(text).map_err(|error| Malformed::Avro(Box::new(error)))?;
        Ok(Self { schema: Schema::parse(text)?, library })
    }

    fn reads(&self, version: &Version) -> Vec<Finding> {
        let side = Side::Reads(version.number);
        Self::parse(&version.text)
            .map_or_else(|error| vec![malformed(side, &error)], |released| compare(&released, self, side))
    }

    fn read_by(&self, version: &Version) -> Vec<Finding> {
        let side = Side::ReadBy(version.number);
        Self::parse(&version.text)
            .map_or_else(|error| vec![malformed(side, &error)], |released| compare(self, &released, side))
    }
}

/// The differences; if there are none, the answer of apache-avro's own check.
fn compare(writer: &Candidate, reader: &Candidate, side: Side) -> Vec<Finding> {
    let found = differences(&writer.schema, &reader.schema);
    if found.is_empty() {
        let objection = objection_of_library(&writer.library, &reader.library);
        let finding = |cause| Finding { rule: Rule::LibraryCheck, side, path: String::new(), cause };
        return objection.map(finding).into_iter().collect();
    }
    let finding = |Difference { rule, path, cause }| Finding { rule, side, path, cause };
    found.into_iter().map(finding).collect()
}

/// Why apache-avro's own check does not promise to read all data. It answers `Ok(Partial)` for schemas that can read some data
/// only.
fn objection_of_library(writer: &apache_avro::Schema, reader: &apache_avro::Schema) -> Option<String> {
    match SchemaCompatibility::can_read(writer, reader) {
        Ok(Compatibility::Full) => None,
        Ok(Compatibility::Partial) => Some("apache-avro can read some of the data only".to_owned()),
        Err(error) => Some(format!("apache-avro cannot read the data: {error}")),
    }
}

fn malformed(side: Side, error: &Malformed) -> Finding {
    Finding { rule: Rule::Malformed, side, path: String::new(), cause: error.to_string() }
}

#[cfg(test)]
mod tests {
    use apache_avro::Schema;

    use super::objection_of_library;

    #[test]
    fn an_answer_for_some_of_the_data_is_an_objection() {
        let parse = |text| Schema::parse_str(text).unwrap();
        let (wide, narrow) = (parse(r#"["null", "string"]"#), parse(r#""string""#));
        assert_eq!(objection_of_library(&narrow, &wide), None);
        assert!(objection_of_library(&wide, &narrow).unwrap().contains("some of the data"));
    }
}
