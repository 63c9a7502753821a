//! A stack: which parts it has, and how all of them start and end together.
//!
//! Invariants: whoever starts or stops anything holds the lock of the stack's [state](crate::state::State); a part is
//! written down as soon as its process exists; a part starts after those it needs and ends before
//! them.

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
use crate::site::Site;

pub(crate) use start::{restart, start};
pub(crate) use stop::{kill, stop_all};

/// The parts of one stack, in the order in which they are shown.
pub(crate) struct Stack {
    pub(crate) site: Arc<Site>,
    pub(crate) parts: Vec<AnyPart>,
}

impl Stack {
    /// The whole stack of `muster up`.
    pub(crate) fn local(site: Site, profile: Profile) -> Self {
        let site = Arc::new(site);
        let postgres = Postgres {
            site: Arc::clone(&site),
            databases: &["orders", "email_consumer", "url_shortener", "apicurio"],
            max_connections: 100,
        };
        let mut parts = foundation(&site, postgres, Kafka::new(&site, kafka::TOPICS));
        parts.push(Arc::new(MailboxKeeper { site: Arc::clone(&site) }));
        parts.push(Arc::new(Pager { site: Arc::clone(&site), profile }));
        parts.push(Arc::new(Alertmanager { site: Arc::clone(&site), profile }));
        parts.push(Arc::new(services::url_shortener(&site)));
        parts.push(Arc::new(services::orders(&site)));
        parts.push(Arc::new(services::email_consumer(&site)));
        parts.push(Arc::new(Prometheus { site: Arc::clone(&site), profile }));
        Self { site, parts }
    }

    /// What a benchmark needs: the order service and what it works with. The benchmark of mails starts email-consumer by
    /// itself; beside the others, mails would take their time from what is measured.
    pub(crate) fn for_bench(site: Site) -> Self {
        let mut stack = Self::local(site, Profile::default());
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
    pub(crate) fn for_tests(site: Site) -> Self {
        let site = Arc::new(site);
        let postgres = Postgres { site: Arc::clone(&site), databases: &["apicurio"], max_connections: 300 };
        let parts = foundation(&site, postgres, Kafka::new(&site, &[]));
        Self { site, parts }
    }

    /// Where a test finds the parts.
    pub(crate) fn endpoints(&self) -> anyhow::Result<Endpoints> {
        let ports = self.site.ports;
        Ok(Endpoints {
            postgres: PostgresEndpoint::of(&self.site)?,
            kafka_bootstrap_servers: authority(ports.kafka()),
            kafka_jars: kafka::jars(&self.site.checkout.parts_dir()),
            schema_registry_url: registry::url(&self.site),
            smtp_host: "127.0.0.1".to_owned(),
            smtp_port: ports.smtp(),
            mailbox_url: mailbox::api_url(&self.site),
            imap: authority(ports.imap()),
            zipkin_url: url(ports.zipkin()),
            otlp_url: traces::otlp_url(&self.site),
        })
    }
}

fn foundation(site: &Arc<Site>, postgres: Postgres, kafka: Kafka) -> Vec<AnyPart> {
    vec![
        Arc::new(postgres),
        Arc::new(kafka),
        Arc::new(Registry { site: Arc::clone(site) }),
        Arc::new(Mailbox { site: Arc::clone(site) }),
        Arc::new(Zipkin { site: Arc::clone(site) }),
        Arc::new(OtlpReceiver { site: Arc::clone(site) }),
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
        Stack::local(Site::prepare(Checkout::find().unwrap(), home, ports).unwrap(), Profile::Drill)
    }

    #[test]
    fn two_stacks_side_by_side_share_no_port_and_no_file() {
        let (left, right) = (stack("one", 7400), stack("two", 17400));
        let ports = |stack: &Stack| -> HashSet<u16> {
            stack.parts.iter().flat_map(|part| part.listens()).map(|(_, port)| port).collect()
        };
        assert!(ports(&left).is_disjoint(&ports(&right)));
        for part in &left.parts {
            assert_ne!(left.site.log(part.name()), right.site.log(part.name()));
        }
        for stack in [left, right] {
            std::fs::remove_dir_all(&stack.site.home).unwrap();
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
        std::fs::remove_dir_all(&stack.site.home).unwrap();
    }
}
