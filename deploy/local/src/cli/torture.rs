//! `muster torture`: starts a separate stack behind fault proxies, plays the run, and stops the stack.

use std::process::ExitCode;

use super::run::TemporaryStack;
use crate::{
    checkout::Checkout,
    signals::Interrupts,
    torture::{self, Args, Proxies},
};

/// The directory of the stack in `.muster`.
const NAME: &str = "torture";

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    let state_dir = Checkout::find()?.state_dir().join(NAME);
    // What a killed run left.
    torture::unmount(&state_dir).await?;
    let reserved = TemporaryStack::reserve(NAME, torture::stack).await?;
    let proxies = Proxies::start(reserved.stack.config.ports).await?;
    let temporary = reserved.start(&mut interrupts).await?;
    let outcome = tokio::select! {
        outcome = torture::run(&temporary.stack, &temporary.state, &proxies, args) => outcome,
        _ = interrupts.next() => Err(anyhow::anyhow!("interrupted")),
    };
    temporary.stop().await?;
    torture::unmount(&state_dir).await?;
    Ok(if outcome? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
