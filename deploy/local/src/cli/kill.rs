//! `muster kill`: ends one part the way a crash does, for drills.

use anyhow::bail;

use super::open_local;
use crate::console::print;
use crate::stack::kill;

/// Which part.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The part, as `muster status` names it.
    part: String,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let Some((_, state)) = open_local()? else { bail!("nothing was ever started here") };
    kill(&args.part, &state).await?;
    print(format_args!("{0} killed; `muster restart {0}` starts it again", args.part));
    Ok(())
}
