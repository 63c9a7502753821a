//! Where implementations of Avro disagree: each is asked about the same cases, and `docs/avro-implementations.md` has their answers.

#![expect(clippy::unwrap_used, reason = "test harness")]

mod adapters;
mod apicurio;
mod cases;
mod page;
mod rust;

use cases::Cases;
use page::{Column, Page};

#[tokio::test]
async fn the_page_has_the_answers_of_every_implementation() {
    let cases = Cases::load();
    let (mut java, mut python, apicurio) =
        tokio::join!(adapters::java(), adapters::python(), apicurio::answers(&cases));
    let mut python = |name| python.remove(name).unwrap();
    let columns = vec![
        Column::new("apache-avro (Rust)", rust::answers(&cases)),
        Column::new("avro (Java)", java.remove("avro (Java)").unwrap()),
        Column::new("avro (Python)", python("avro (Python)")),
        Column::new("fastavro", python("fastavro")),
        Column::new("confluent-kafka", python("confluent-kafka")),
        Column::new("Apicurio Registry", apicurio),
    ];
    let page = Page { cases: &cases, columns: &columns }.to_string();
    testkit::assert_committed("docs/avro-implementations.md", &page, "make schemas/interop");
}

#[test]
fn each_datum_is_what_its_case_says() {
    for case in Cases::load().resolution {
        assert_eq!(rust::written(&case), case.written, "{}", case.name);
    }
}
