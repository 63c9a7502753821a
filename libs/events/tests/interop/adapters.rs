//! The answers of implementations in other languages, each asked by a program in `interop/`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use testkit::endpoints;
use tokio::{process::Command, time};

use crate::cases::{Answers, FILE};

/// Time limit of a program: starting on a busy machine, and some hundred decoded bytes.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The jars of Avro and of what it needs, among those of the registry.
const JARS: [&str; 3] = ["org.apache.avro.avro-", "com.fasterxml.jackson.core.", "org.slf4j.slf4j-api-"];

/// Answers by the name of the implementation.
pub(crate) type Named = BTreeMap<String, Answers>;

/// Avro for Java, with the jar that Apicurio comes with.
pub(crate) async fn java() -> Named {
    let program = Path::new(FILE).with_file_name("AvroAnswers.java");
    run(Command::new("java").arg("-cp").arg(class_path()).arg(program)).await
}

/// Avro for Python, fastavro and confluent-kafka.
pub(crate) async fn python() -> Named {
    let python = checkout().join(".muster/tools/python-consumer/bin/python");
    assert!(python.is_file(), "{} is missing: run the tests with `make test`", python.display());
    let program = Path::new(FILE).with_file_name("answers.py");
    run(Command::new(python).arg(program).arg(&endpoints().schema_registry_url)).await
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn class_path() -> String {
    let jars = endpoints().kafka_jars.with_file_name("registry").join("lib");
    let mut found = Vec::new();
    for jar in fs::read_dir(jars).unwrap() {
        let jar = jar.unwrap();
        if JARS.iter().any(|prefix| jar.file_name().to_string_lossy().starts_with(prefix)) {
            found.push(jar.path().display().to_string());
        }
    }
    found.join(":")
}

async fn run(program: &mut Command) -> Named {
    let output = program.stdin(File::open(FILE).unwrap()).kill_on_drop(true).output();
    let output = time::timeout(TIMEOUT, output).await.expect("the program ends in time").unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?}: {message}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{program:?}: {error}: {message}"))
}
