//! Settings of email-consumer: each is a flag and an environment variable. `email-consumer --help` lists them.

mod values;

use std::{num::NonZeroU16, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use auth::SigningKey;
use clap::Parser;
use consumer::Retry;
use lettre::message::Mailbox;
use service::HasConfig;
use telemetry::Environment;
use url::Url;

use self::values::{RetryDelay, parse_base_url, parse_retention};
use crate::{domain::link_code::LinkCodeKey, smtp};

/// A shorter lease could end while the database answers slowly but within its timeouts.
const MIN_LEASE: Duration = Duration::from_secs(2);

/// Database connections of the promotions, so that a mail about an order never waits for one of theirs.
const POOL_SIZE_OF_PROMOTIONS: usize = 2;

/// Maximum time for the consumer to stop.
const STOP_TIME: Duration = DRAIN_TIMEOUT.saturating_add(consumer::LEAVE_TIMEOUT);

/// Maximum time that a drain waits for events in progress. A slower SMTP exchange continues after it, and its lease prevents the next owner of
/// the event from sending the mail again.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(9);

/// Sends e-mails about orders, and promotions.
#[derive(Parser, Debug)]
#[command(version, about)]
pub(crate) struct Config {
    #[command(flatten)]
    pub(crate) service: service::Config,
    #[command(flatten)]
    pub(crate) database: pg::Config,
    #[command(flatten)]
    pub(crate) kafka: events::KafkaConfig,
    #[command(flatten)]
    pub(crate) registry: events::Config,
    #[command(flatten)]
    pub(crate) auth: auth::Config,
    #[command(flatten)]
    pub(crate) admission: http_api::admission::Config,

    /// Topic of order events.
    #[arg(long, env, default_value = "orders.events")]
    pub(crate) orders_events_topic: String,

    /// Topic of promotions.
    #[arg(long, env, default_value = "orders.promotions")]
    pub(crate) orders_promotions_topic: String,

    /// Retention of the topic of order events, such as `7d` or `36h`.
    #[arg(long, env, default_value = "7d", value_parser = parse_retention)]
    pub(crate) orders_events_retention: Duration,

    /// Consumer group. Its members share the partitions. The group of the promotions has this name and `-promotions`.
    #[arg(long, env, default_value = "email-consumer")]
    pub(crate) email_group_id: String,

    /// Prefix of the retry topics, for events whose mail cannot be sent for now while others can. Each delay has its own topic,
    /// `PREFIX.DELAY`, with as many partitions as the topic of order events.
    #[arg(long, env, default_value = "orders.events.email-consumer.retry")]
    pub(crate) email_retry_topic: String,

    /// Delays of the retry topics, such as `500ms`, `5s`, `10m`. An event goes through them in this order, and becomes a dead letter after the
    /// last one.
    #[arg(long, env, default_value = "5s,1m,10m", value_delimiter = ',')]
    pub(crate) email_retry_delays: Vec<RetryDelay>,

    /// Topic for dead letters: events for which no mail can be sent.
    #[arg(long, env, default_value = "orders.events.email-consumer.dlq")]
    pub(crate) email_dead_letter_topic: String,

    /// Retention of that topic: until when a dead letter can be replayed.
    #[arg(long, env, default_value = "28d", value_parser = parse_retention)]
    pub(crate) email_dead_letter_retention: Duration,

    /// Retention of sent mails, for deduplication. Must be longer than an event can be delivered again: the retentions of both topics and
    /// the delays of the retry topics together.
    #[arg(long, env, default_value = "40d", value_parser = parse_retention)]
    pub(crate) email_dedup_retention: Duration,

    #[command(flatten)]
    pub(crate) smtp_server: smtp::Server,

    #[command(flatten)]
    pub(crate) smtp_timeouts: smtp::Timeouts,

    /// Maximum number of connections to the SMTP server. Servers limit connections for each client (Postfix: 50).
    #[arg(long, env, default_value_t = NonZeroU16::new(32).expect("not zero"))]
    pub(crate) smtp_max_connections: NonZeroU16,

    /// Length of the lease of a mail while it is sent, in milliseconds. The lease is renewed during the exchange. After the death of a
    /// process, its mails in progress wait this long.
    #[arg(long, env, default_value_t = 15_000)]
    pub(crate) email_lease_ms: u64,

    /// Maximum number of attempts for a mail when the SMTP server does not answer after its end. Then the event becomes a dead letter.
    #[arg(long, env, default_value_t = NonZeroU16::new(3).expect("not zero"))]
    pub(crate) email_unknown_attempts: NonZeroU16,

    /// Sender of the mails, such as `Muster <orders@example.com>`. The Message-IDs contain its domain: after a change, duplicates of a mail
    /// have different Message-IDs.
    #[arg(long, env)]
    pub(crate) email_from: Mailbox,

    /// Base URL of the API of url-shortener.
    #[arg(long, env, value_parser = parse_base_url)]
    pub(crate) links_url: Url,

    /// File with the private JWK that signs the tokens for url-shortener.
    #[arg(long, env, value_name = "PATH")]
    pub(crate) email_signing_key_file: PathBuf,

    /// Secret from which the codes of short links are derived: 32 bytes in hexadecimal.
    #[arg(long, env, hide_env_values = true, value_name = "HEX")]
    pub(crate) email_link_code_key: LinkCodeKey,
}

impl HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }
}

impl Config {
    /// Checks the rules for combinations of settings.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let retries: Duration = self.email_retry_delays.iter().map(|delay| delay.duration).sum();
        let longest = self.orders_events_retention + retries + self.email_dead_letter_retention;
        ensure!(
            self.email_dedup_retention > longest,
            "EMAIL_DEDUP_RETENTION ({:?}) must be longer than {longest:?}, the sum of ORDERS_EVENTS_RETENTION ({:?}), the delays in \
             EMAIL_RETRY_DELAYS ({retries:?}) and EMAIL_DEAD_LETTER_RETENTION ({:?}), because an event that is read again, retried or \
             replayed after it would send its mail again; increase the first",
            self.email_dedup_retention,
            self.orders_events_retention,
            self.email_dead_letter_retention
        );
        ensure!(
            self.email_lease() >= MIN_LEASE,
            "EMAIL_LEASE_MS ({}) must be at least {}, because a slow answer of the database would end a shorter lease",
            self.email_lease_ms,
            MIN_LEASE.as_millis()
        );
        ensure!(
            Duration::from_millis(self.service.drain_timeout_ms) > STOP_TIME,
            "DRAIN_TIMEOUT_MS ({}) must be longer than {}, the time in which the consumer finishes its events and leaves its group",
            self.service.drain_timeout_ms,
            STOP_TIME.as_millis()
        );
        ensure!(
            self.database.database_pool_size > POOL_SIZE_OF_PROMOTIONS,
            "DATABASE_POOL_SIZE ({}) must be above {POOL_SIZE_OF_PROMOTIONS}, because the promotions use that many of the connections",
            self.database.database_pool_size
        );
        self.smtp_server.check()
    }

    /// The database for the mails about orders, with its part of the connections.
    pub(crate) fn database_of_orders(&self) -> pg::Config {
        let size = self.database.database_pool_size - POOL_SIZE_OF_PROMOTIONS;
        pg::Config { database_pool_size: size, ..self.database.clone() }
    }

    /// The same for the promotions.
    pub(crate) fn database_of_promotions(&self) -> pg::Config {
        pg::Config { database_pool_size: POOL_SIZE_OF_PROMOTIONS, ..self.database.clone() }
    }

    /// The retry topics, in the order of their delays.
    pub(crate) fn retries(&self) -> Vec<Retry> {
        let retry = |delay: &RetryDelay| Retry {
            topic: format!("{}.{}", self.email_retry_topic, delay.name),
            delay: delay.duration,
        };
        self.email_retry_delays.iter().map(retry).collect()
    }

    pub(crate) fn email_lease(&self) -> Duration {
        Duration::from_millis(self.email_lease_ms)
    }

    /// Reads the key that signs tokens.
    pub(crate) fn signing_key(&self) -> anyhow::Result<SigningKey> {
        let path = self.email_signing_key_file.display();
        let json = std::fs::read_to_string(&self.email_signing_key_file).with_context(|| {
            format!("cannot read {path}; point EMAIL_SIGNING_KEY_FILE to a file with a private JWK")
        })?;
        let key = SigningKey::from_jwk_json(&json).with_context(|| {
            format!("cannot use the key in {path}; EMAIL_SIGNING_KEY_FILE needs a private JWK")
        })?;
        ensure!(
            self.service.environment == Environment::Local || !key.kid().starts_with("local-development"),
            "key `{}` of EMAIL_SIGNING_KEY_FILE is a local development key, which production refuses; create a key for \
             this service, and add its public key to the AUTH_JWKS_FILE of url-shortener",
            key.kid()
        );
        Ok(key)
    }
}
