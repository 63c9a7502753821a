//! The checkout of a stack, and its directories.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

/// A file that every checkout has.
const MARKER: &str = "deploy/local/pom.xml";

/// The directory of a checkout that is outside version control.
const STATE: &str = ".muster";

/// The environment variable with the name of the stack that commands use; unset: the stack of `make up`.
pub(crate) const STACK_VARIABLE: &str = "MUSTER_STACK";

/// One clone of the repository, and the stack of it that commands use.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    root: PathBuf,
    stack: Option<String>,
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
        Ok(Self { root: root.to_owned(), stack: stack_name()? })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the stack, outside version control: data, logs, secrets.
    pub(crate) fn state_dir(&self) -> PathBuf {
        match &self.stack {
            Some(name) => self.named_state_dir(name),
            None => self.root.join(STATE),
        }
    }

    /// The directory of the stack with this name.
    pub(crate) fn named_state_dir(&self, name: &str) -> PathBuf {
        self.root.join(STATE).join("stacks").join(name)
    }

    /// The jars that `make setup` downloads, for every stack of the checkout.
    pub(crate) fn parts_dir(&self) -> PathBuf {
        self.root.join(STATE).join("parts")
    }

    /// Fails if `make setup` has not completed.
    pub(crate) fn require_setup(&self) -> anyhow::Result<()> {
        let is_complete = self.parts_dir().join("stamp").is_file();
        ensure!(is_complete, "the parts of the stack are not installed: run `make setup` first");
        Ok(())
    }
}

/// Reads the name from the environment. It becomes a directory, so only letters, digits and hyphens are valid.
fn stack_name() -> anyhow::Result<Option<String>> {
    let Some(name) = env::var_os(STACK_VARIABLE) else { return Ok(None) };
    let name = name.to_string_lossy().into_owned();
    let is_valid = !name.is_empty() && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '-');
    ensure!(is_valid, "{STACK_VARIABLE}={name} is no name of a stack: use letters, digits and hyphens");
    Ok(Some(name))
}
