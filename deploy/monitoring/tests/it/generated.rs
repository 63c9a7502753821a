//! What is committed is what the generator makes of the sources.

use std::{collections::BTreeSet, fs, path::PathBuf};

use monitoring::generate;

use crate::sources::monitoring;

#[test]
fn committed_rules_match_the_generator() {
    let files = generate(monitoring()).unwrap();
    for file in &files {
        let committed = fs::read_to_string(monitoring().join(&file.path)).unwrap_or_default();
        assert!(committed == file.text, "{} is out of date: `make rules`", file.path.display());
    }
    let generated: BTreeSet<PathBuf> = files.into_iter().map(|file| file.path).collect();
    let committed: BTreeSet<PathBuf> = ["rules/production", "rules/drill", "alertmanager"]
        .iter()
        .flat_map(|dir| fs::read_dir(monitoring().join(dir)).unwrap())
        .map(|entry| entry.unwrap().path().strip_prefix(monitoring()).unwrap().to_owned())
        .collect();
    assert_eq!(committed, generated, "a file that nothing generates any more is deleted");
}
