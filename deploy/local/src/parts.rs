//! The parts of a stack, each described as data: program, ports, dependencies, readiness probe, stop signal.
//!
//! One supervisor, [`crate::stack`], starts and stops every part.

mod cluster_link;
pub(crate) mod java;
pub(crate) mod kafka;
pub(crate) mod monitoring;
pub(crate) mod postgres;
pub(crate) mod services;

use std::time::Duration;

use futures::future::BoxFuture;
use rustix::process::Signal;

use crate::{
    config::StackConfig,
    ports::{Ports, url},
    process::{Launch, resident_mib},
    readiness::http_ok,
};

pub(crate) type Action = for<'a> fn(&'a StackConfig) -> BoxFuture<'a, anyhow::Result<()>>;

pub(crate) type LaunchOf = fn(&StackConfig) -> anyhow::Result<Launch>;

pub(crate) type PortOf = fn(Ports) -> u16;

/// The parts of `muster up`, in the order in which commands show them: a part comes after those that it needs.
pub(crate) const LOCAL: &[Part] = &[
    postgres::POSTGRES,
    kafka::KAFKA,
    java::REGISTRY,
    java::MAILBOX,
    java::ZIPKIN,
    java::OTLP_RECEIVER,
    java::MAILBOX_KEEPER,
    monitoring::PAGER,
    monitoring::ALERTMANAGER,
    services::URL_SHORTENER,
    services::ORDERS,
    services::EMAIL_CONSUMER,
    monitoring::PROMETHEUS,
];

/// The parts of the on-call desk of a cluster.
pub(crate) const DESK: &[Part] =
    &[cluster_link::LINK, monitoring::PAGER, monitoring::ALERTMANAGER, monitoring::PROMETHEUS_OF_DESK];

/// The parts of `muster run`.
pub(crate) const FOR_TESTS: &[Part] = &[
    postgres::POSTGRES_FOR_TESTS,
    kafka::KAFKA_FOR_TESTS,
    java::REGISTRY,
    java::MAILBOX,
    java::ZIPKIN,
    java::OTLP_RECEIVER,
];

/// One process of a stack. [`Part::new`] has the defaults.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    /// The name in commands, in logs and in `stack.json`.
    pub(crate) name: &'static str,
    /// Parts that are ready before this one starts, and that stop after it.
    pub(crate) needs: &'static [&'static str],
    /// The ports it listens on, with their purpose.
    pub(crate) ports: &'static [(&'static str, PortOf)],
    /// The address that `muster status` shows.
    pub(crate) address: fn(Ports) -> String,
    /// Creates files that the process needs. Idempotent.
    pub(crate) prepare: Action,
    /// The command of the process. Runs after `prepare`, and once before it as a check.
    pub(crate) launch: LaunchOf,
    pub(crate) probe: Probe,
    /// Creates what other parts expect inside this one, such as databases. Idempotent.
    pub(crate) provision: Action,
    /// Limit for the time from start to ready.
    pub(crate) ready_within: Duration,
    pub(crate) stop_signal: Signal,
    /// Limit for the time from the stop signal to the end; then follows SIGKILL.
    pub(crate) stop_within: Duration,
    pub(crate) memory_mib: fn(u32) -> Option<u64>,
}

/// How the supervisor finds out whether a part is ready.
#[derive(Clone, Copy)]
pub(crate) enum Probe {
    /// A GET of this path on this port returns a 2xx status.
    Http(PortOf, &'static str),
    Action(Action),
    /// The part has no interface: it is ready when it runs.
    Runs,
}

impl Part {
    /// A part without ports, dependencies and files, and with one minute to become ready.
    pub(crate) const fn new(name: &'static str, launch: LaunchOf, probe: Probe) -> Self {
        Self {
            name,
            needs: &[],
            ports: &[],
            address: |_| String::new(),
            prepare: |_| Box::pin(async { Ok(()) }),
            launch,
            probe,
            provision: |_| Box::pin(async { Ok(()) }),
            ready_within: Duration::from_mins(1),
            stop_signal: Signal::TERM,
            stop_within: Duration::from_secs(20),
            memory_mib: resident_mib,
        }
    }

    pub(crate) async fn probe(&self, config: &StackConfig) -> anyhow::Result<()> {
        match self.probe {
            Probe::Http(port, path) => http_ok(&format!("{}{path}", url(port(config.ports)))).await,
            Probe::Action(action) => action(config).await,
            Probe::Runs => Ok(()),
        }
    }

    pub(crate) fn ports(&self, ports: Ports) -> impl Iterator<Item = (&'static str, u16)> {
        self.ports.iter().map(move |(purpose, port)| (*purpose, port(ports)))
    }
}
