//! The connections of the stack that a torture run disturbs: a fault proxy in each, and the parts that connect through them.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use derive_more::Display;
use fault_proxy::FaultProxy;
use serde::Serialize;

use crate::{
    config::StackConfig,
    kafka::Node,
    parts::{
        kafka::node,
        services::{self, database_url},
    },
    ports::{Ports, authority, https_url, url},
    process::Launch,
    profile::Profile,
    stack::Stack,
};

/// What a slow connection adds to each piece of data.
const DELAY: Duration = Duration::from_millis(150);

/// Parts of `muster up` that take no part: monitoring, and the purge of the mailbox, whose mails the reconciler reads.
const LEFT_OUT: [&str; 4] = ["mailbox-keeper", "pager", "alertmanager", "prometheus"];

/// A connection with a proxy in it. The broker has one for all clients, because it tells them its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Display)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Connection {
    #[display("orders to postgres")]
    OrdersToPostgres,
    #[display("url-shortener to postgres")]
    UrlShortenerToPostgres,
    #[display("email-consumer to postgres")]
    EmailConsumerToPostgres,
    #[display("all to kafka")]
    AllToKafka,
    #[display("services to registry")]
    ServicesToRegistry,
    #[display("email-consumer to the mail server")]
    EmailConsumerToSmtp,
    #[display("email-consumer to url-shortener")]
    EmailConsumerToLinks,
}

impl Connection {
    pub(crate) const ALL: [Self; 7] = [
        Self::OrdersToPostgres,
        Self::UrlShortenerToPostgres,
        Self::EmailConsumerToPostgres,
        Self::AllToKafka,
        Self::ServicesToRegistry,
        Self::EmailConsumerToSmtp,
        Self::EmailConsumerToLinks,
    ];

    /// The port of the proxy, and that of the server behind it.
    fn ports(self, ports: Ports) -> (u16, u16) {
        match self {
            Self::OrdersToPostgres => (ports.orders_to_postgres(), ports.postgres()),
            Self::UrlShortenerToPostgres => (ports.url_shortener_to_postgres(), ports.postgres()),
            Self::EmailConsumerToPostgres => (ports.email_consumer_to_postgres(), ports.postgres()),
            Self::AllToKafka => (ports.all_to_kafka(), ports.kafka()),
            Self::ServicesToRegistry => (ports.services_to_registry(), ports.registry()),
            Self::EmailConsumerToSmtp => (ports.email_consumer_to_smtp(), ports.smtp()),
            Self::EmailConsumerToLinks => (ports.email_consumer_to_links(), ports.url_shortener_https()),
        }
    }
}

/// The proxies of a stack. They run in this process and end with it.
#[derive(Debug)]
pub(crate) struct Proxies(BTreeMap<Connection, FaultProxy>);

impl Proxies {
    pub(crate) async fn start(ports: Ports) -> anyhow::Result<Self> {
        let mut proxies = BTreeMap::new();
        for connection in Connection::ALL {
            let (port, upstream) = connection.ports(ports);
            let proxy = FaultProxy::listen(port, authority(upstream)).await;
            proxies.insert(connection, proxy.with_context(|| format!("the proxy of {connection}"))?);
        }
        Ok(Self(proxies))
    }

    pub(crate) fn cut(&self, connection: Connection) {
        self.of(connection).cut();
    }

    pub(crate) fn slow(&self, connection: Connection) {
        self.of(connection).slow(DELAY);
    }

    pub(crate) fn black_hole(&self, connection: Connection) {
        self.of(connection).black_hole();
    }

    pub(crate) fn restore(&self, connection: Connection) {
        self.of(connection).restore();
    }

    fn of(&self, connection: Connection) -> &FaultProxy {
        self.0.get(&connection).expect("every connection has a proxy")
    }
}

/// The stack of `muster up` without monitoring, connected through the proxies.
pub(crate) fn stack(config: StackConfig) -> Stack {
    let mut stack = Stack::local(config, Profile::default());
    stack.parts.retain(|part| !LEFT_OUT.contains(&part.name));
    for part in &mut stack.parts {
        match part.name {
            "kafka" => {
                part.prepare = |config| Box::pin(async { kafka_node(config).prepare().await });
                part.launch = |config| Ok(kafka_node(config).launch());
            }
            "orders" => part.launch = orders,
            "url-shortener" => part.launch = url_shortener,
            "email-consumer" => part.launch = email_consumer,
            _ => {}
        }
    }
    stack
}

fn kafka_node(config: &StackConfig) -> Node {
    Node { advertised_port: config.ports.all_to_kafka(), ..node(config) }
}

fn orders(config: &StackConfig) -> anyhow::Result<Launch> {
    let postgres = config.ports.orders_to_postgres();
    let launch = (services::ORDERS.launch)(config)?;
    with_database(with_events(launch, config), config, "orders", postgres)
}

fn url_shortener(config: &StackConfig) -> anyhow::Result<Launch> {
    let postgres = config.ports.url_shortener_to_postgres();
    let launch = (services::URL_SHORTENER.launch)(config)?;
    with_database(launch, config, "url-shortener", postgres)
}

fn email_consumer(config: &StackConfig) -> anyhow::Result<Launch> {
    let ports = config.ports;
    let postgres = ports.email_consumer_to_postgres();
    let launch = (services::EMAIL_CONSUMER.launch)(config)?;
    let launch = with_events(launch, config)
        .env("SMTP_PORT", ports.email_consumer_to_smtp().to_string())
        .env("LINKS_URL", https_url(ports.email_consumer_to_links()));
    with_database(launch, config, "email-consumer", postgres)
}

/// Few traces, because their store keeps them in memory, which a long run would fill.
fn with_database(launch: Launch, config: &StackConfig, service: &str, port: u16) -> anyhow::Result<Launch> {
    Ok(launch
        .env("DATABASE_URL", database_url(config, service, port)?)
        .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        .env("OTEL_TRACES_SAMPLER_ARG", "0.01"))
}

fn with_events(launch: Launch, config: &StackConfig) -> Launch {
    let registry = format!("{}/apis/ccompat/v7", url(config.ports.services_to_registry()));
    launch
        .env("KAFKA_BOOTSTRAP_SERVERS", authority(config.ports.all_to_kafka()))
        .env("SCHEMA_REGISTRY_URL", registry)
}
