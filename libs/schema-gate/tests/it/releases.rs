//! The files of the repository, and of one in a temporary directory.

use std::{fs, path::Path, process::Command};

use schema_gate::{Broken, Reader, Releases, check};
use strum::IntoEnumIterator as _;
use tempfile::TempDir;

use crate::event;

/// The crate with the event schemas.
fn events() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../events"))
}

#[test]
fn the_working_schemas_may_ship() {
    let readers: Vec<_> = Reader::iter().collect();
    let events = Releases::of(events()).read().unwrap();
    assert!(!events.is_empty());
    for event in events {
        let found = check(&event.released, event.working.as_ref().unwrap(), &readers);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "{}: {}", event.name, found.join("\n"));
    }
}

/// Also finds a file that was changed together with its digest.
#[test]
fn no_commit_and_no_edit_changes_a_released_file() {
    for command in [["log", "--format="], ["diff", "HEAD"]] {
        let output = Command::new("git")
            .args(command)
            .args(["--no-renames", "--name-status", "--diff-filter=a", "--", "released/*.avsc"])
            .current_dir(events())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let changed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(changed, "", "a released schema never changes: restore it");
    }
}

/// A repository with one event in one released version.
fn repository() -> (TempDir, Releases) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("schemas/tests")).unwrap();
    write_working(&directory, "");
    let releases = Releases::of(directory.path());
    assert_eq!(releases.release().unwrap(), ["tests/Event.v1.avsc"]);
    (directory, releases)
}

fn write_working(directory: &TempDir, fields: &str) {
    fs::write(directory.path().join("schemas/tests/Event.avsc"), event(fields)).unwrap();
}

#[test]
fn a_release_adds_the_schemas_that_changed() {
    let (directory, releases) = repository();
    assert_eq!(releases.release().unwrap(), [""; 0]);
    write_working(&directory, r#"{"name": "a", "type": "int", "default": 0}"#);
    assert_eq!(releases.release().unwrap(), ["tests/Event.v2.avsc"]);
    let numbers: Vec<u32> =
        releases.read().unwrap()[0].released.iter().map(|version| version.number).collect();
    assert_eq!(numbers, [1, 2]);
    let sums = Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(directory.path().join("released"))
        .output()
        .unwrap();
    assert!(sums.status.success(), "sha256sum reads the file: {}", String::from_utf8_lossy(&sums.stderr));
}

#[test]
fn a_released_file_that_is_edited_removed_or_added_by_hand_is_refused() {
    let (directory, releases) = repository();
    let path = directory.path().join("released/tests/Event.v1.avsc");
    let original = fs::read_to_string(&path).unwrap();

    fs::write(&path, original.replace("Event", "Other")).unwrap();
    assert!(matches!(releases.read(), Err(Broken::Changed(file)) if file == "tests/Event.v1.avsc"));

    fs::remove_file(&path).unwrap();
    assert!(matches!(releases.read(), Err(Broken::Removed(file)) if file == "tests/Event.v1.avsc"));

    fs::write(&path, &original).unwrap();
    fs::write(directory.path().join("released/tests/Event.v2.avsc"), &original).unwrap();
    assert!(matches!(releases.read(), Err(Broken::Unreleased(file)) if file == "tests/Event.v2.avsc"));
}
