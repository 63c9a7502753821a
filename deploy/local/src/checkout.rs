//! The checkout of a stack, and its directories.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

/// A file that every checkout has.
const MARKER: &str = "deploy/local/pom.xml";

/// The root directory of one clone of the repository.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// Finds the checkout that contains the current directory, or else this program.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let here = env::current_dir().context("the current directory cannot be read")?;
        let program = env::current_exe().context("the path of this program cannot be read")?;
        let root = here
            .ancestors()
            .chain(program.ancestors())
            .find(|directory| directory.join(MARKER).is_file())
            .context("this is no Muster checkout: change to one and run the command again")?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory outside version control: data, logs, secrets, downloaded parts.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.root.join(".muster")
    }

    /// The jars that `make setup` downloads.
    pub(crate) fn parts_dir(&self) -> PathBuf {
        self.state_dir().join("parts")
    }

    /// Fails if `make setup` has not completed.
    pub(crate) fn require_setup(&self) -> anyhow::Result<()> {
        let is_complete = self.parts_dir().join("stamp").is_file();
        ensure!(is_complete, "the parts of the stack are not installed: run `make setup` first");
        Ok(())
    }
}
