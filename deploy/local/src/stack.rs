//! A stack: which parts it has, and how all of them start and end together.
//!
//! Invariants: whoever starts or stops anything holds the lock of the stack's [state](crate::state::State); a part is
//! written down as soon as its process exists; a part starts after those it needs and ends before
//! them.

mod config;
mod start;
mod stop;

use std::sync::Arc;

use crate::endpoints::{Endpoints, PostgresEndpoint};
use crate::part::AnyPart;
use crate::parts::alertmanager::Alertmanager;
use crate::parts::kafka::{self, Kafka};
use crate::parts::mailbox::{self, Mailbox, MailboxKeeper};
use crate::parts::pager::Pager;
use crate::parts::postgres::Postgres;
use crate::parts::prometheus::Prometheus;
use crate::parts::registry::{self, Registry};
use crate::parts::services;
use crate::parts::traces::{self, OtlpReceiver, Zipkin};
use crate::ports::{authority, url};
use crate::profile::Profile;

pub(crate) use config::{StackConfig, log_file};
pub(crate) use start::{restart, start};
pub(crate) use stop::{kill, stop_all};

/// The parts of one stack, in the order in which they are shown.
pub(crate) struct Stack {
    pub(crate) config: Arc<StackConfig>,
    pub(crate) parts: Vec<AnyPart>,
}

impl Stack {
    /// The whole stack of `muster up`.
    pub(crate) fn local(config: StackConfig, profile: Profile) -> Self {
        let config = Arc::new(config);
        let postgres = Postgres {
            config: Arc::clone(&config),
            databases: &["orders", "email_consumer", "url_shortener", "apicurio"],
            max_connections: 100,
        };
        let mut parts = foundation(&config, postgres, Kafka::new(&config, kafka::TOPICS));
        parts.push(Arc::new(MailboxKeeper { config: Arc::clone(&config) }));
        parts.push(Arc::new(Pager { config: Arc::clone(&config), profile }));
        parts.push(Arc::new(Alertmanager { config: Arc::clone(&config), profile }));
        parts.push(Arc::new(services::url_shortener(&config)));
        parts.push(Arc::new(services::orders(&config)));
        parts.push(Arc::new(services::email_consumer(&config)));
        parts.push(Arc::new(Prometheus { config: Arc::clone(&config), profile }));
        Self { config, parts }
    }

    /// What a benchmark needs: the order service and what it works with. The benchmark of mails starts email-consumer by
    /// itself; beside the others, mails would take their time from what is measured.
    pub(crate) fn for_bench(config: StackConfig) -> Self {
        let mut stack = Self::local(config, Profile::default());
        let parts = [
            "postgres",
            "kafka",
            "registry",
            "mailbox",
            "zipkin",
            "otlp-receiver",
            "url-shortener",
            "orders",
        ];
        stack.parts.retain(|part| parts.contains(&part.name()));
        stack
    }

    /// What tests need: no services and no monitoring, and room for many connections. Tests make
    /// their own databases and topics.
    pub(crate) fn for_tests(config: StackConfig) -> Self {
        let config = Arc::new(config);
        let postgres =
            Postgres { config: Arc::clone(&config), databases: &["apicurio"], max_connections: 300 };
        let parts = foundation(&config, postgres, Kafka::new(&config, &[]));
        Self { config, parts }
    }

    /// Where a test finds the parts.
    pub(crate) fn endpoints(&self) -> anyhow::Result<Endpoints> {
        let ports = self.config.ports;
        Ok(Endpoints {
            postgres: PostgresEndpoint::of(&self.config)?,
            kafka_bootstrap_servers: authority(ports.kafka()),
            kafka_jars: kafka::jars(&self.config.checkout.parts_dir()),
            schema_registry_url: registry::url(&self.config),
            smtp_host: "127.0.0.1".to_owned(),
            smtp_port: ports.smtp(),
            mailbox_url: mailbox::api_url(&self.config),
            imap: authority(ports.imap()),
            zipkin_url: url(ports.zipkin()),
            otlp_url: traces::otlp_url(&self.config),
        })
    }
}

fn foundation(config: &Arc<StackConfig>, postgres: Postgres, kafka: Kafka) -> Vec<AnyPart> {
    vec![
        Arc::new(postgres),
        Arc::new(kafka),
        Arc::new(Registry { config: Arc::clone(config) }),
        Arc::new(Mailbox { config: Arc::clone(config) }),
        Arc::new(Zipkin { config: Arc::clone(config) }),
        Arc::new(OtlpReceiver { config: Arc::clone(config) }),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::checkout::Checkout;
    use crate::ports::Ports;

    fn stack(name: &str, base: u16) -> Stack {
        let home = std::env::temp_dir().join(format!("muster-{name}-{}", std::process::id()));
        let ports = Ports::from_base(base).unwrap();
        Stack::local(StackConfig::prepare(Checkout::find().unwrap(), home, ports).unwrap(), Profile::Drill)
    }

    #[test]
    fn two_stacks_side_by_side_share_no_port_and_no_file() {
        let (left, right) = (stack("one", 7400), stack("two", 17400));
        let ports = |stack: &Stack| -> HashSet<u16> {
            stack.parts.iter().flat_map(|part| part.listens()).map(|(_, port)| port).collect()
        };
        assert!(ports(&left).is_disjoint(&ports(&right)));
        for part in &left.parts {
            assert_ne!(left.config.log(part.name()), right.config.log(part.name()));
        }
        for stack in [left, right] {
            std::fs::remove_dir_all(&stack.config.state_dir).unwrap();
        }
    }

    #[test]
    fn every_part_has_ports_of_its_own_and_needs_only_parts_named_before_it() {
        let stack = stack("needs", 7400);
        let (mut names, mut ports) = (HashSet::new(), HashSet::new());
        for part in &stack.parts {
            for (purpose, port) in part.listens() {
                assert!(ports.insert(port), "{} ({purpose}) has the port of another", part.name());
            }
            for need in part.needs() {
                assert!(names.contains(need), "{} needs {need}", part.name());
            }
            names.insert(part.name());
        }
        std::fs::remove_dir_all(&stack.config.state_dir).unwrap();
    }
}
