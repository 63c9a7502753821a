//! The checkout that the stack belongs to, and where things lie in it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// What tells the root of a checkout from any other directory.
const LANDMARK: &str = "deploy/local/pom.xml";

/// The root directory of one clone of the repository.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// Finds the checkout around the current directory, or else the one this program was built in.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let here = env::current_dir().context("the current directory cannot be read")?;
        let program = env::current_exe().context("the path of this program cannot be read")?;
        let root = here
            .ancestors()
            .chain(program.ancestors())
            .find(|directory| directory.join(LANDMARK).is_file())
            .context("this is no Muster checkout: change to one and run the command again")?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Everything that is not in version control: data, logs, secrets, downloaded parts.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.root.join(".muster")
    }

    /// The jars that `make setup` fetched.
    pub(crate) fn parts_dir(&self) -> PathBuf {
        self.state_dir().join("parts")
    }

    /// Fails when `make setup` has not run to its end here.
    pub(crate) fn require_setup(&self) -> anyhow::Result<()> {
        if !self.parts_dir().join("stamp").is_file() {
            bail!("the parts of the stack are not installed: run `make setup` first");
        }
        Ok(())
    }
}
