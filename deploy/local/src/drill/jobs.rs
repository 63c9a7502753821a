//! `muster drill check --jobs N`: proves drills side by side, each on a stack of its own.
//!
//! A drill mostly waits, so several stacks share two cores. A drill that fails leaves its stack stopped in
//! `.muster/stacks/failed-NAME`, with its logs; the next one gets a new stack.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;

use super::definition::Drill;
use crate::{
    checkout::{Checkout, STACK_VARIABLE},
    console::print,
    ports::ReservedPorts,
    process::Launch,
    signals::Interrupts,
};

/// Proves the drills, `n_jobs` at a time; those that need the machine for themselves at the end, one by one.
pub(super) async fn run(
    checkout: &Checkout,
    drills: Vec<Drill>,
    n_jobs: u8,
    one_seed: bool,
) -> anyhow::Result<()> {
    let mut interrupts = Interrupts::listen()?;
    let stacks: Vec<_> =
        (1..=n_jobs).map(|number| OwnStack::new(checkout, number, one_seed)).collect::<Result<_, _>>()?;
    let outcome = tokio::select! {
        outcome = prove_all(&stacks, drills) => outcome,
        _ = interrupts.next() => Err(anyhow::anyhow!("interrupted")),
    };
    for stack in &stacks {
        stack.stop().await?;
    }
    outcome
}

async fn prove_all(stacks: &[OwnStack], drills: Vec<Drill>) -> anyhow::Result<()> {
    let n_drills = drills.len();
    let (alone, shared) = drills.into_iter().partition(|drill| drill.file.alone);
    let mut failed = prove_queue(stacks, shared).await?;
    let (first, others) = stacks.split_first().context("jobs: at least one")?;
    for stack in others {
        stack.stop().await?;
    }
    failed.extend(prove_queue(std::slice::from_ref(first), alone).await?);
    ensure!(failed.is_empty(), "{} of {n_drills} drills failed: {}", failed.len(), failed.join(", "));
    Ok(())
}

/// Each stack takes the next drill from the queue. Returns those that failed.
async fn prove_queue(stacks: &[OwnStack], queue: Vec<Drill>) -> anyhow::Result<Vec<String>> {
    let queue = Mutex::new(queue.into_iter().map(|drill| drill.name));
    let next = || queue.lock().expect("no holder panics").next();
    let work = async |stack: &OwnStack| {
        let mut failed = Vec::new();
        while let Some(name) = next() {
            if !stack.prove(&name).await? {
                failed.push(name);
            }
        }
        anyhow::Ok(failed)
    };
    Ok(try_join_all(stacks.iter().map(work)).await?.concat())
}

/// Stacks start one after the other, because a start uses the whole machine.
static START: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A stack of this checkout beside that of `muster up`, with reserved ports.
struct OwnStack {
    name: String,
    root: PathBuf,
    state_dir: PathBuf,
    ports: ReservedPorts,
    one_seed: bool,
    has_started: AtomicBool,
}

impl OwnStack {
    fn new(checkout: &Checkout, number: u8, one_seed: bool) -> anyhow::Result<Self> {
        let name = format!("check-{number}");
        let state_dir = checkout.named_state_dir(&name);
        let (root, ports) = (checkout.root().to_owned(), ReservedPorts::take()?);
        Ok(Self { name, root, state_dir, ports, one_seed, has_started: AtomicBool::new(false) })
    }

    fn command(&self, command: &str) -> anyhow::Result<Launch> {
        Ok(Launch::this_program(command)?.env(STACK_VARIABLE, &self.name).directory(&self.root))
    }

    /// Proves one drill. A stack that does not start fails only this drill: another program may have used up the machine.
    async fn prove(&self, drill: &str) -> anyhow::Result<bool> {
        let is_proven = match self.start().await {
            Ok(()) => {
                let check = self.command("drill")?.args(["check", drill]);
                check.args(self.one_seed.then_some("--one-seed")).run_with_output().await?
            }
            Err(error) => {
                print(format_args!("{drill}: FAILED: {error:#}"));
                false
            }
        };
        if !is_proven {
            self.set_aside(drill).await?;
        }
        Ok(is_proven)
    }

    /// Starts an empty stack, unless this one has started before. What a killed check left is stopped and removed.
    async fn start(&self) -> anyhow::Result<()> {
        if self.has_started.load(Ordering::Relaxed) {
            return Ok(());
        }
        let _turn = START.lock().await;
        self.stop().await?;
        if self.state_dir.exists() {
            fs::remove_dir_all(&self.state_dir).context("an old stack cannot be removed")?;
        }
        let base = self.ports.ports.base().to_string();
        self.command("up")?.args(["--port-base", &base]).run().await?;
        self.has_started.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Ends a drill that still runs, and stops the stack.
    async fn stop(&self) -> anyhow::Result<()> {
        // It fails if no drill runs, which is as good.
        self.command("drill")?.arg("abort").run().await.unwrap_or_default();
        self.command("down")?.run().await
    }

    /// Stops the stack, and keeps it for a look at its logs.
    async fn set_aside(&self, drill: &str) -> anyhow::Result<()> {
        self.has_started.store(false, Ordering::Relaxed);
        self.stop().await?;
        let kept = self.state_dir.with_file_name(format!("failed-{drill}"));
        if kept.exists() {
            fs::remove_dir_all(&kept).context("the stack of an earlier failure cannot be removed")?;
        }
        fs::rename(&self.state_dir, &kept).context("the stack cannot be kept")
    }
}
