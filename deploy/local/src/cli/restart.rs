//! `muster restart`: ends one part and starts it again, for runbooks.

use anyhow::bail;

use super::open_local;
use crate::stack::restart;

/// Which part.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The part, as `muster status` names it.
    part: String,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let Some((stack, state)) = open_local()? else { bail!("nothing was ever started here") };
    restart(&stack, &args.part, &state).await
}
