//! The files of this checkout that Git knows or would add.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."))
}

/// Paths from the root, of files with one of these names or extensions.
pub(crate) fn files(kinds: &[&str]) -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let is_wanted = |path: &&str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        kinds.contains(&name.rsplit('.').next().unwrap_or(name)) && root().join(path).exists()
    };
    listed.lines().filter(is_wanted).map(PathBuf::from).collect()
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
