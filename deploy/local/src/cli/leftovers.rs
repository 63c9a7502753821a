//! What a killed run left behind in a stack that lasts no longer than a command.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::checkout::Checkout;
use crate::ports::Ports;
use crate::stack::StackConfig;
use crate::stack::{Stack, stop_all};
use crate::state::State;

/// Ends the parts of an earlier run that was killed.
pub(super) async fn stop_leftovers(
    checkout: &Checkout,
    home: &Path,
    state: &State,
    stack: fn(StackConfig) -> Stack,
) -> anyhow::Result<()> {
    let record = state.record();
    let Some(base) = record.port_base.filter(|_| record.any_alive()) else { return Ok(()) };
    let config = StackConfig::prepare(checkout.clone(), home.to_owned(), Ports::from_base(base)?)?;
    stop_all(&stack(config), state).await
}

/// Removes everything in `home` but the lock, which is held, and the record.
pub(super) fn wipe(home: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(home).with_context(|| format!("{}", home.display()))?;
    for entry in entries {
        let path = entry.context("an entry cannot be read")?.path();
        if path.ends_with("lock") || path.ends_with("stack.json") {
            continue;
        }
        let is_dir = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("{} cannot be removed", path.display()))?;
    }
    Ok(())
}
