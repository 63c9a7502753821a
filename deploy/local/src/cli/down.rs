//! `muster down`: stops what this checkout started.

use super::open_local;
use crate::console::say;
use crate::stack::stop_all;

pub(super) async fn run() -> anyhow::Result<()> {
    let Some((stack, state)) = open_local()? else {
        say("Nothing was ever started here.");
        return Ok(());
    };
    if !state.record().any_alive() {
        say("Nothing of this checkout was running.");
    }
    stop_all(&stack, &state).await
}
