//! Files that are generated from code and committed, so that a change of them is seen in review.

use std::{env, fs, path::Path};

/// Set by `make openapi`: the files are written and not compared.
const WRITE: &str = "MUSTER_WRITE_COMMITTED";

/// Checks that a file of this repository, named from its root, has this text; writes it instead when `make openapi` asks.
///
/// # Panics
/// It has another text, or there is no such file.
pub fn assert_committed(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if env::var_os(WRITE).is_some() {
        fs::write(&file, expected).unwrap_or_else(|error| panic!("cannot write {path}: {error}"));
        return;
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let differs =
        committed.lines().zip(expected.lines()).position(|(committed, expected)| committed != expected);
    let line = differs.unwrap_or_else(|| committed.lines().count().min(expected.lines().count())) + 1;
    assert!(
        committed == expected,
        "{path} is not what the code says, from line {line} on: run `make openapi`"
    );
}
