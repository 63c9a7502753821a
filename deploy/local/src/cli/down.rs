//! `muster down`: stops what this checkout started.

use super::open_local;
use crate::console::print;
use crate::stack::stop_all;

pub(super) async fn run() -> anyhow::Result<()> {
    let Some((stack, state)) = open_local()? else {
        print("Nothing was ever started here.");
        return Ok(());
    };
    if !state.record().any_alive() {
        print("Nothing of this checkout was running.");
    }
    stop_all(&stack, &state).await
}
