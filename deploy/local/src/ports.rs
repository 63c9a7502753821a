//! The ports of a stack: one base and fixed offsets, all on the loopback interface.
//!
//! A check for a free port reserves nothing. [`ReservedPorts`] does: it holds the last port of a range during a test run.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, bail, ensure};
use procfs::{net::TcpState, process::FDTarget};
use rand::RngExt as _;

pub(crate) const DEFAULT_BASE: u16 = 7400;

/// The number of ports of one stack, from the base on.
const SPAN: u16 = 32;

/// The default base of the on-call desk of a cluster, beside a local stack.
pub(crate) const DESK_BASE: u16 = DEFAULT_BASE + SPAN;

/// Ranges for test runs, in units of `SPAN`: below the kernel's range of ephemeral ports.
const SLOTS: std::ops::Range<u16> = 625..1000;

/// Ports for single servers. Not ephemeral ports: a client that reconnects to a stopped server could get the server's port as its own,
/// connect to itself, and keep the port.
const SINGLE_PORTS: std::ops::Range<u16> = 12_000..19_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    base: u16,
}

impl Ports {
    /// Returns the ports from `base` on, unless they would not fit below 65536.
    pub(crate) fn from_base(base: u16) -> anyhow::Result<Self> {
        let last = u16::MAX - SPAN;
        ensure!(
            (1024..=last).contains(&base),
            "port base {base} is out of range: choose one from 1024 to {last}"
        );
        Ok(Self { base })
    }

    pub(crate) fn base(self) -> u16 {
        self.base
    }

    /// The schema registry's URL for clients of Confluent's API.
    pub(crate) fn registry_url(self) -> String {
        format!("{}/apis/ccompat/v7", url(self.registry()))
    }
}

/// Defines a method of [`Ports`] for each offset from the base.
macro_rules! offsets {
    ($($name:ident = $offset:literal),*) => {
        impl Ports { $(pub(crate) fn $name(self) -> u16 { self.base + $offset })* }
    };
}

offsets! {
    orders = 0, url_shortener = 1, orders_https = 2, url_shortener_https = 3, email_consumer = 4,
    orders_to_postgres = 5, url_shortener_to_postgres = 6, email_consumer_to_postgres = 7, all_to_kafka = 8,
    services_to_registry = 9, email_consumer_to_smtp = 13, email_consumer_to_links = 14,
    orders_admin = 10, url_shortener_admin = 11, email_consumer_admin = 12,
    gateway_health = 17, kube_api = 18, pager = 19, postgres = 20, kafka = 21, kafka_controller = 22, registry = 23,
    smtp = 24, imap = 25, mailbox_api = 26, zipkin = 27, otlp = 28, prometheus = 29, alertmanager = 30
}

/// The address of a local port as `host:port`.
pub(crate) fn authority(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

pub(crate) fn url(port: u16) -> String {
    format!("http://{}", authority(port))
}

/// The address of a local port as a URL, with TLS.
pub(crate) fn https_url(port: u16) -> String {
    format!("https://{}", authority(port))
}

/// A range of free ports that no other test run on this machine gets at the same time.
#[derive(Debug)]
pub(crate) struct ReservedPorts {
    pub(crate) ports: Ports,
    _guard: TcpListener,
}

impl ReservedPorts {
    pub(crate) fn take() -> anyhow::Result<Self> {
        for _ in 0..100 {
            let base = rand::rng().random_range(SLOTS) * SPAN;
            let Ok(guard) = bind(base + SPAN - 1) else { continue };
            if (base..base + SPAN - 1).all(is_free) {
                return Ok(Self { ports: Ports::from_base(base)?, _guard: guard });
            }
        }
        bail!("no {SPAN} free ports in a row were found for a test run: end some other programs")
    }
}

/// Fails if another process listens on `port`, which `part` needs; names that process.
pub(crate) fn require_free(part: &str, purpose: &str, port: u16) -> anyhow::Result<()> {
    if is_free(port) {
        return Ok(());
    }
    let holder = listener(port).unwrap_or_else(|| "another program".to_owned());
    bail!(
        "port {port}, which {part} needs ({purpose}), is taken by {holder}.\n\
         Stop it, or choose another port base: `muster up --port-base N` (or MUSTER_PORT_BASE=N)"
    )
}

/// The name and pid of the process that listens on `port`, if `/proc` shows it.
fn listener(port: u16) -> Option<String> {
    let mut sockets = procfs::net::tcp().into_iter().chain(procfs::net::tcp6()).flatten();
    let inode = sockets.find(|it| it.state == TcpState::Listen && it.local_address.port() == port)?.inode;
    let owner = procfs::process::all_processes().ok()?.flatten().find(|process| {
        process
            .fd()
            .is_ok_and(|fds| fds.flatten().any(|fd| matches!(fd.target, FDTarget::Socket(it) if it == inode)))
    });
    Some(match owner.and_then(|process| process.stat().ok()) {
        Some(stat) => format!("{} (pid {})", stat.comm, stat.pid),
        None => "a process of another user".to_owned(),
    })
}

/// Returns a port that is free now, from the range of [`SINGLE_PORTS`].
pub(crate) fn any_free() -> anyhow::Result<u16> {
    std::iter::repeat_with(|| rand::rng().random_range(SINGLE_PORTS))
        .take(100)
        .find(|port| is_free(*port))
        .context("no free port was found: end some other programs")
}

fn is_free(port: u16) -> bool {
    bind(port).is_ok()
}

fn bind(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_a_taken_port_names_part_process_and_option() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();

        let message = require_free("kafka", "clients", port).unwrap_err().to_string();

        assert!(message.contains(&format!("port {port}")), "{message}");
        assert!(message.contains("kafka"), "{message}");
        assert!(message.contains(&format!("pid {}", std::process::id())), "{message}");
        assert!(message.contains("--port-base"), "{message}");
    }

    #[test]
    fn a_free_port_is_accepted() {
        let port = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        require_free("kafka", "clients", port).unwrap();
    }

    #[test]
    fn two_test_runs_never_share_a_port_range() {
        let slots: Vec<ReservedPorts> = (0..20).map(|_| ReservedPorts::take().unwrap()).collect();
        let bases: std::collections::HashSet<u16> = slots.iter().map(|slot| slot.ports.base()).collect();
        assert_eq!(bases.len(), slots.len());
    }

    #[test]
    fn a_port_base_out_of_range_is_refused() {
        assert!(Ports::from_base(80).is_err());
        assert!(Ports::from_base(65_530).is_err());
    }
}
