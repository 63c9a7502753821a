//! `muster run`: gives a command, most often `cargo test`, the real parts it talks to.
//!
//! The parts are the command's own, on ports nobody else has, with data that was wiped before. They
//! end with the command, whatever happens; should this program itself be killed, the next run in the
//! same checkout ends them.

mod command;

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;

use anyhow::Context;

use super::leftovers::{stop_leftovers, wipe};
use crate::checkout::Checkout;
use crate::ports::ReservedPorts;
use crate::secrets::write_private;
use crate::signals::Interrupts;
use crate::stack::StackConfig;
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
    command::end_leftover(&state)?;
    stop_leftovers(&checkout, &home, &state, Stack::for_tests).await?;
    wipe(&home)?;

    let slot = ReservedPorts::take()?;
    let record = Record { port_base: Some(slot.ports.base()), ..Record::default() };
    state.update(|state| *state = record)?;
    let stack = Stack::for_tests(StackConfig::prepare(checkout, home.clone(), slot.ports)?);
    if let Err(error) = start(&stack, &state, &mut interrupts).await {
        stop_all(&stack, &state).await?;
        return Err(error.context("the parts for the tests are not up"));
    }

    let endpoints_file = home.join("endpoints.json");
    let endpoints = serde_json::to_string_pretty(&stack.endpoints()?).context("the endpoints")?;
    write_private(&endpoints_file, &endpoints)?;
    let outcome = command::run(&args.command, &endpoints_file, &state, &mut interrupts).await;
    stop_all(&stack, &state).await?;
    outcome.map(exit_code)
}

/// The command's own exit code, or what a shell makes of a death by signal.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
