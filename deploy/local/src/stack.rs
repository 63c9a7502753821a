//! The supervisor: starts, restarts and stops the parts of a stack.
//!
//! Invariants: a command that starts or stops a process holds the lock of the stack's [state](crate::state::State); a part is recorded as
//! soon as its process exists; a part starts after the parts it needs and stops before them.

mod start;

use anyhow::Context;
use futures::future::join_all;
use rustix::process::Signal;
pub(crate) use start::{require_needs, restart, restart_after, start};

use crate::{
    config::StackConfig,
    console::print,
    parts::{self, Part},
    place::Place,
    process::Identity,
    profile::Profile,
    state::State,
};

/// The parts of one stack, in the order in which commands show them.
pub(crate) struct Stack {
    pub(crate) config: StackConfig,
    pub(crate) parts: Vec<Part>,
}

impl Stack {
    /// The whole stack of its place, for `muster up`.
    pub(crate) fn local(config: StackConfig, profile: Profile) -> Self {
        let parts = match config.place {
            Place::Local => parts::LOCAL,
            Place::Cluster => parts::DESK,
        };
        Self { config: StackConfig { profile, ..config }, parts: parts.to_vec() }
    }

    /// The order service and the parts that it uses, for benchmarks. The benchmark of mails starts email-consumer itself; during the other
    /// benchmarks, mails would distort the figures.
    pub(crate) fn for_bench(config: StackConfig) -> Self {
        let left_out = ["mailbox-keeper", "pager", "alertmanager", "email-consumer", "prometheus"];
        let mut stack = Self::local(config, Profile::default());
        stack.parts.retain(|part| !left_out.contains(&part.name));
        stack
    }

    /// The parts that tests use, without services and monitoring. Tests create their own databases and topics.
    pub(crate) fn for_tests(config: StackConfig) -> Self {
        Self { config, parts: parts::FOR_TESTS.to_vec() }
    }
}

/// Stops the running parts among `parts`: each as soon as no part that needs it runs.
pub(crate) async fn stop(parts: &[Part], state: &State) -> anyhow::Result<()> {
    let record = state.record();
    let mut left: Vec<&Part> = parts.iter().filter(|part| record.alive(part.name).is_some()).collect();
    while !left.is_empty() {
        let needed_by_another = |part: &&Part| left.iter().any(|other| other.needs.contains(&part.name));
        let (needed, free): (Vec<_>, Vec<_>) = left.iter().copied().partition(needed_by_another);
        for outcome in join_all(free.into_iter().map(|part| stop_part(part, state))).await {
            outcome?;
        }
        left = needed;
    }
    state.update(|record| record.parts.retain(|_, part| part.identity.is_alive()))
}

async fn stop_part(part: &Part, state: &State) -> anyhow::Result<()> {
    let name = part.name;
    if let Some(process) = state.record().alive(name).and_then(Identity::open) {
        process
            .stop(part.stop_signal, part.stop_within)
            .await
            .with_context(|| format!("{name} could not be stopped"))?;
        print(format_args!("{name:<15} stopped"));
    }
    Ok(())
}

/// Kills one part with SIGKILL, as a crash would.
pub(crate) async fn kill(name: &str, state: &State) -> anyhow::Result<()> {
    let process = state.record().alive(name).and_then(Identity::open);
    let process = process.with_context(|| format!("{name} does not run; `muster status` shows what does"))?;
    process.signal(Signal::KILL).with_context(|| format!("{name} cannot be killed"))?;
    process.ended().await.with_context(|| format!("{name} cannot be watched"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{checkout::Checkout, ports::Ports};

    fn stack(name: &str, base: u16) -> Stack {
        let home = std::env::temp_dir().join(format!("muster-{name}-{}", std::process::id()));
        let ports = Ports::from_base(base).unwrap();
        Stack::local(StackConfig::prepare(Checkout::find().unwrap(), home, ports).unwrap(), Profile::Drill)
    }

    #[test]
    fn two_stacks_side_by_side_share_no_port_and_no_file() {
        let (left, right) = (stack("one", 7400), stack("two", 17400));
        let ports = |stack: &Stack| -> HashSet<u16> {
            stack.parts.iter().flat_map(|part| part.ports(stack.config.ports)).map(|(_, port)| port).collect()
        };
        assert!(ports(&left).is_disjoint(&ports(&right)));
        for part in &left.parts {
            assert_ne!(left.config.log(part.name), right.config.log(part.name));
        }
        for stack in [left, right] {
            std::fs::remove_dir_all(&stack.config.state_dir).unwrap();
        }
    }

    #[test]
    fn ports_are_unique_and_a_part_needs_only_earlier_parts() {
        let stack = stack("needs", 7400);
        let (mut names, mut ports) = (HashSet::new(), HashSet::new());
        for part in &stack.parts {
            for (purpose, port) in part.ports(stack.config.ports) {
                assert!(ports.insert(port), "{} ({purpose}) has the port of another", part.name);
            }
            for need in part.needs {
                assert!(names.contains(need), "{} needs {need}", part.name);
            }
            names.insert(part.name);
        }
        std::fs::remove_dir_all(&stack.config.state_dir).unwrap();
    }
}
