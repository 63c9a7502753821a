//! `muster target`: prints the local stack as a load test takes it.

use anyhow::Context;

use super::read_local;
use crate::console::print;
use crate::target::target;

pub(super) fn run() -> anyhow::Result<()> {
    let (stack, _) = read_local()?.context("nothing was ever started here: `make up` first")?;
    let text = toml::to_string_pretty(&target(&stack.config)?).context("the target cannot be written")?;
    print(text.trim_end());
    Ok(())
}
