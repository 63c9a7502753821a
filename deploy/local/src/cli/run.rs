//! `muster run`: gives a command, most often `cargo test`, the real parts it talks to.
//!
//! The parts are the command's own, on ports nobody else has, with data that was wiped before. They
//! end with the command, whatever happens; should this program itself be killed, the next run in the
//! same checkout ends them.

mod command;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;

use anyhow::Context;

use crate::checkout::Checkout;
use crate::ports::{Ports, Slot};
use crate::secrets::write_private;
use crate::signals::Interrupts;
use crate::site::Site;
use crate::stack::{Stack, start, stop_all};
use crate::state::{Record, State};

/// What to run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    let checkout = Checkout::find()?;
    checkout.require_setup()?;
    let home = checkout.state_dir().join("test");
    let state = Arc::new(State::open(&home)?);
    stop_leftovers(&checkout, &home, &state).await?;
    wipe(&home)?;

    let slot = Slot::take()?;
    let record = Record { port_base: Some(slot.ports.base()), ..Record::default() };
    state.update(|state| *state = record)?;
    let stack = Stack::for_tests(Site::prepare(checkout, home.clone(), slot.ports)?);
    start(&stack, &state, &mut interrupts).await.context("the parts for the tests are not up")?;

    let endpoints_file = home.join("endpoints.json");
    let endpoints = serde_json::to_string_pretty(&stack.endpoints()?).context("the endpoints")?;
    write_private(&endpoints_file, &endpoints)?;
    let outcome = command::run(&args.command, &endpoints_file, &state, &mut interrupts).await;
    stop_all(&stack, &state).await?;
    outcome.map(exit_code)
}

/// Ends the command and the parts of an earlier run that was killed.
async fn stop_leftovers(checkout: &Checkout, home: &Path, state: &State) -> anyhow::Result<()> {
    command::end_leftover(state)?;
    let record = state.record();
    let Some(base) = record.port_base.filter(|_| record.any_alive()) else { return Ok(()) };
    let site = Site::prepare(checkout.clone(), home.to_owned(), Ports::from_base(base)?)?;
    stop_all(&Stack::for_tests(site), state).await
}

/// Removes everything in `home` but the lock, which is held, and the record.
fn wipe(home: &Path) -> anyhow::Result<()> {
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

/// The command's own exit code, or what a shell makes of a death by signal.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
