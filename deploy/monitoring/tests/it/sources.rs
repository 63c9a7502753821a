//! Paths of the repository.

use std::path::{Path, PathBuf};

/// `deploy/monitoring`.
pub(crate) fn monitoring() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The repository.
pub(crate) fn repository() -> PathBuf {
    monitoring().join("../..").canonicalize().unwrap()
}
