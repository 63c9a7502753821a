//! Files with one JSON value per line.

use std::{fs::File, io::Write as _, path::Path};

use anyhow::Context as _;
use serde::Serialize;

/// Appends a value as a line, and creates the file if needed.
pub(crate) fn append(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let write = || {
        let line = serde_json::to_string(value)? + "\n";
        File::options().create(true).append(true).open(path)?.write_all(line.as_bytes())
    };
    write().with_context(|| format!("{}", path.display()))
}
