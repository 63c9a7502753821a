//! Plays the planned faults on a running stack, and undoes each.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, bail};
use futures::future::join_all;
use rustix::process::Signal;
use serde::Serialize;
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    connections::Proxies,
    plan::{Fault, Planned},
    volume::Volume,
};
use crate::{console::print, process::Identity, stack, stack::Stack, state::State};

/// Faults at the same time.
const MAX_FAULTS: usize = 2;

/// Limit for the time until a part is ready again.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// The pause before the next attempt to start a part, whose dependencies may be disturbed too.
const RETRY: Duration = Duration::from_millis(500);

/// Limit for the time from SIGKILL to the end of a process.
const END_WITHIN: Duration = Duration::from_secs(10);

/// A fault as it was played.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Played {
    #[serde(flatten)]
    pub(crate) planned: Planned,
    /// Milliseconds from the start of the faults.
    pub(crate) began_ms: u64,
    /// When it was undone and the part was ready again.
    pub(crate) ended_ms: u64,
    /// Why it could not be played or undone.
    pub(crate) error: Option<String>,
}

impl Played {
    pub(crate) fn began(&self) -> Duration {
        Duration::from_millis(self.began_ms)
    }

    pub(crate) fn ended(&self) -> Duration {
        Duration::from_millis(self.ended_ms)
    }
}

/// What faults disturb.
pub(crate) struct Victims<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) state: &'a State,
    pub(crate) proxies: &'a Proxies,
    pub(crate) volume: Option<&'a Volume>,
}

impl Victims<'_> {
    /// Plays every fault at its time, or when the one before it on the same target has ended.
    pub(crate) async fn play(&self, plan: &[Planned]) -> Vec<Played> {
        let begun = Instant::now();
        let targets: BTreeMap<String, Mutex<()>> =
            plan.iter().map(|planned| (planned.fault.target(), Mutex::default())).collect();
        let at_once = Semaphore::new(MAX_FAULTS);
        let plays = plan.iter().map(async |planned| {
            sleep_until(begun + planned.at()).await;
            let _one_of_few = at_once.acquire().await.expect("the semaphore is never closed");
            let _alone = targets.get(&planned.fault.target()).expect("every target has a lock").lock().await;
            let began_ms = ms(begun.elapsed());
            print(format_args!(
                "{:>6.1} s  #{} {}",
                begun.elapsed().as_secs_f64(),
                planned.number,
                planned.fault
            ));
            let outcome = self.play_one(planned).await;
            let error = outcome.err().map(|error| format!("{error:#}"));
            Played { planned: *planned, began_ms, ended_ms: ms(begun.elapsed()), error }
        });
        join_all(plays).await
    }

    async fn play_one(&self, planned: &Planned) -> anyhow::Result<()> {
        let injected = self.inject(planned.fault).await;
        sleep(planned.lasts()).await;
        // A part that has ended by itself is started again too.
        self.undo(planned).await.with_context(|| format!("{} was not undone", planned.fault))?;
        injected
    }

    async fn inject(&self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Kill(part) => self.kill(part).await,
            Fault::Stop(part) => self.signal(part, Signal::STOP),
            Fault::Cut(connection) => {
                self.proxies.cut(connection);
                Ok(())
            }
            Fault::Slow(connection) => {
                self.proxies.slow(connection);
                Ok(())
            }
            Fault::BlackHole(connection) => {
                self.proxies.black_hole(connection);
                Ok(())
            }
            Fault::FastRestart => self.signal("postgres", Signal::INT),
            Fault::ImmediateRestart => self.signal("postgres", Signal::QUIT),
            Fault::FullDisk => self.volume()?.fill(),
        }
    }

    async fn undo(&self, planned: &Planned) -> anyhow::Result<()> {
        match planned.fault {
            Fault::Kill(part) => self.start_again(part, planned.number).await,
            Fault::Stop(part) => self.signal(part, Signal::CONT),
            Fault::Cut(connection) | Fault::Slow(connection) | Fault::BlackHole(connection) => {
                self.proxies.restore(connection);
                Ok(())
            }
            Fault::FastRestart | Fault::ImmediateRestart => {
                self.start_again("postgres", planned.number).await
            }
            Fault::FullDisk => self.volume()?.empty(),
        }
    }

    async fn kill(&self, part: &str) -> anyhow::Result<()> {
        timeout(END_WITHIN, stack::kill(part, self.state))
            .await
            .with_context(|| format!("{part} did not end by SIGKILL"))?
    }

    fn signal(&self, part: &str, signal: Signal) -> anyhow::Result<()> {
        let process = self.state.record().alive(part).and_then(Identity::open);
        let process = process.with_context(|| format!("{part} has ended by itself"))?;
        process.signal(signal).with_context(|| format!("{part} cannot be signalled"))
    }

    fn volume(&self) -> anyhow::Result<&Volume> {
        self.volume.context("there is no volume to fill")
    }

    /// Starts a part as often as it needs: another fault may keep what it depends on away.
    async fn start_again(&self, part: &str, number: usize) -> anyhow::Result<()> {
        let log = self.stack.config.log(part);
        // The logs of all processes explain a violation, and the supervisor keeps that of the last one only.
        fs::rename(&log, log.with_extension(format!("{number}.log"))).context("the log cannot be kept")?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match stack::restart(self.stack, part, self.state).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error)
                        .with_context(|| format!("{part} was not ready within {READY_WITHIN:?}"));
                }
                Err(_) => sleep(RETRY).await,
            }
        }
    }

    /// Fails if a part has ended by itself.
    pub(crate) fn require_alive(&self) -> anyhow::Result<()> {
        let record = self.state.record();
        let parts = self.stack.parts.iter().map(|part| part.name);
        let ended: Vec<_> = parts.filter(|part| record.alive(part).is_none()).collect();
        if !ended.is_empty() {
            bail!("ended by themselves: {}", ended.join(", "));
        }
        Ok(())
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
