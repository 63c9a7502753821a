//! Writes every generated file of this directory; `make rules`.

use std::{fs, path::Path};

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in monitoring::generate(sources)? {
        let path = sources.join(&file.path);
        let dir = path.parent().context("a generated file is in a directory")?;
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        fs::write(&path, file.text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
