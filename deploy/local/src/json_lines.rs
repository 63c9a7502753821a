//! Files with one JSON value per line.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::Path,
};

use anyhow::Context as _;
use serde::{Serialize, de::DeserializeOwned};

/// Appends a value as a line, and creates the file if needed.
pub(crate) fn append(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let write = || {
        let line = serde_json::to_string(value)? + "\n";
        File::options().create(true).append(true).open(path)?.write_all(line.as_bytes())
    };
    write().with_context(|| format!("{}", path.display()))
}

/// Reads the values of all lines that can be parsed; none if the file does not exist. A killed process can leave an incomplete line.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("{}", path.display())),
    }
}
