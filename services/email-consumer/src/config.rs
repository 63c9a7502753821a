//! The settings, and what they must not be together.

use std::{num::NonZeroU16, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use auth::SigningKey;
use clap::Parser;
use lettre::message::Mailbox;
use service::HasConfig;
use telemetry::Environment;
use url::Url;

use crate::{domain::link_code::LinkCodeKey, smtp};

/// A lease below this would end while the database answers slowly but in time.
const MIN_LEASE: Duration = Duration::from_secs(2);

/// How long the consumer may take to stop.
const STOP_TIME: Duration = DRAIN_TIMEOUT.saturating_add(consumer::LEAVE_TIMEOUT);

/// How long a drain waits for the events in hand. Not for the slowest exchange: one that takes longer goes on beside, and
/// its lease keeps the next owner of the event from repeating it.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(9);

/// Sends the mails about orders.
#[derive(Parser, Debug)]
#[command(version, about)]
pub(crate) struct Config {
    #[command(flatten)]
    pub(crate) service: service::Config,
    #[command(flatten)]
    pub(crate) telemetry: telemetry::Config,
    #[command(flatten)]
    pub(crate) database: pg::Config,
    #[command(flatten)]
    pub(crate) kafka: events::KafkaConfig,
    #[command(flatten)]
    pub(crate) registry: events::Config,

    /// Topic with the events of orders.
    #[arg(long, env, default_value = "orders.events")]
    pub(crate) orders_events_topic: String,

    /// How long that topic keeps an event, as in `7d` or `36h`.
    #[arg(long, env, default_value = "7d", value_parser = parse_retention)]
    pub(crate) orders_events_retention: Duration,

    /// Consumer group; its members share the partitions.
    #[arg(long, env, default_value = "email-consumer")]
    pub(crate) email_group_id: String,

    /// Topic for events that no mail can be made of.
    #[arg(long, env, default_value = "orders.events.email-consumer.dlq")]
    pub(crate) email_dead_letter_topic: String,

    /// How long it is remembered which mails were sent. Longer than an event can come back.
    #[arg(long, env, default_value = "30d", value_parser = parse_retention)]
    pub(crate) email_dedup_retention: Duration,

    #[command(flatten)]
    pub(crate) smtp_server: smtp::Server,

    #[command(flatten)]
    pub(crate) smtp_limits: smtp::Limits,

    /// Connections to the SMTP server at most. A server limits them for each client (Postfix: 50).
    #[arg(long, env, default_value_t = NonZeroU16::new(32).expect("not zero"))]
    pub(crate) smtp_max_connections: NonZeroU16,

    /// For how long a mail is claimed while it is handed over, in milliseconds; the claim is renewed meanwhile. After the
    /// death of a process, its mails in hand wait so long.
    #[arg(long, env, default_value_t = 15_000)]
    pub(crate) email_lease_ms: u64,

    /// How often a mail is handed over, at most, when the SMTP server never answers whether it has it. Then its event
    /// becomes a dead letter.
    #[arg(long, env, default_value_t = NonZeroU16::new(3).expect("not zero"))]
    pub(crate) email_unknown_attempts: NonZeroU16,

    /// For how long a mail is tried again that the SMTP server refuses for now while it takes others, in milliseconds. Then its
    /// event becomes a dead letter. Its partition stops when 4,096 further events are handled before.
    #[arg(long, env, default_value_t = 600_000)]
    pub(crate) email_give_up_ms: u64,

    /// Sender of the mails, as in `Muster <orders@example.com>`. Its domain is that of the Message-IDs: changing it
    /// makes a mail that is sent twice look like two.
    #[arg(long, env)]
    pub(crate) email_from: Mailbox,

    /// Base URL of url-shortener's API.
    #[arg(long, env, value_parser = parse_base_url)]
    pub(crate) links_url: Url,

    /// File with the private JWK that signs our tokens for url-shortener.
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

    fn telemetry(&self) -> &telemetry::Config {
        &self.telemetry
    }
}

impl Config {
    /// Checks the rules that concern more than one setting.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.email_dedup_retention > self.orders_events_retention,
            "EMAIL_DEDUP_RETENTION ({:?}) must be longer than ORDERS_EVENTS_RETENTION ({:?}), or an event that is read \
             again would send its mail again; raise the first",
            self.email_dedup_retention,
            self.orders_events_retention
        );
        ensure!(
            self.email_lease() >= MIN_LEASE,
            "EMAIL_LEASE_MS ({}) must be at least {}, or a slow answer of the database ends a lease",
            self.email_lease_ms,
            MIN_LEASE.as_millis()
        );
        ensure!(
            Duration::from_millis(self.service.drain_timeout_ms) > STOP_TIME,
            "DRAIN_TIMEOUT_MS ({}) must be longer than {}, in which the consumer finishes its events and leaves its group",
            self.service.drain_timeout_ms,
            STOP_TIME.as_millis()
        );
        self.smtp_server.check()?;
        self.smtp_limits.check()
    }

    /// For how long a mail is claimed.
    pub(crate) fn email_lease(&self) -> Duration {
        Duration::from_millis(self.email_lease_ms)
    }

    /// Reads the key that signs our tokens.
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
            "key `{}` of EMAIL_SIGNING_KEY_FILE is a local development key, which production refuses; make a key for \
             this service, and put its public half into url-shortener's AUTH_JWKS_FILE",
            key.kid()
        );
        Ok(key)
    }
}

/// Reads whole days or hours: finer is not meant by a retention.
fn parse_retention(text: &str) -> Result<Duration, String> {
    let malformed = || format!("`{text}` is not a retention: write days or hours, as in `7d` or `36h`");
    let (number, hours_per_unit) = text
        .strip_suffix('d')
        .map(|days| (days, 24))
        .or_else(|| text.strip_suffix('h').map(|hours| (hours, 1)))
        .ok_or_else(malformed)?;
    let number: u32 = number.parse().ok().filter(|number| *number > 0).ok_or_else(malformed)?;
    Ok(Duration::from_hours(u64::from(number) * hours_per_unit))
}

fn parse_base_url(text: &str) -> Result<Url, String> {
    let malformed = || format!("`{text}` is not a base URL: write it as in `http://links:8080`");
    let url = Url::parse(text).ok().filter(Url::has_host).ok_or_else(malformed)?;
    if matches!(url.scheme(), "http" | "https") && url.path() == "/" { Ok(url) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_in_days_or_hours() {
        assert_eq!(parse_retention("30d"), Ok(Duration::from_hours(720)));
        assert_eq!(parse_retention("36h"), Ok(Duration::from_hours(36)));
        for bad in ["", "7", "d", "0d", "-1d", "1.5d", "7w", "7 d"] {
            assert!(parse_retention(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_base_url_has_a_host_and_no_path() {
        for good in ["http://127.0.0.1:7401", "https://links.example.com/"] {
            assert!(parse_base_url(good).is_ok(), "{good}");
        }
        for bad in ["", "links:7401", "ftp://links", "http://links/v1"] {
            assert!(parse_base_url(bad).is_err(), "{bad}");
        }
    }
}
