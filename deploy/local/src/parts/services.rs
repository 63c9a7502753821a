//! The three services of the product.

use std::time::Duration;

use super::{LaunchOf, Part, PortOf, Probe};
use crate::{
    certificates::{self, Authority},
    config::StackConfig,
    ports::{Ports, authority, https_url, url},
    process::Launch,
};

pub(crate) const ORDERS: Part = Part {
    needs: &["postgres", "kafka", "registry", "otlp-receiver"],
    ports: &[
        ("its API", Ports::orders),
        ("its API over TLS", Ports::orders_https),
        ("health and metrics", Ports::orders_admin),
    ],
    address: |ports| format!("{}  admin :{}", url(ports.orders()), ports.orders_admin()),
    ..service("orders", orders, Ports::orders_admin)
};

fn orders(config: &StackConfig) -> anyhow::Result<Launch> {
    let ports = config.ports;
    Ok(api(config, "orders", ports.orders_admin())?
        .env("HTTP_ADDR", authority(ports.orders()))
        .env("HTTPS_ADDR", authority(ports.orders_https()))
        .env("KAFKA_BOOTSTRAP_SERVERS", authority(ports.kafka()))
        .env("SCHEMA_REGISTRY_URL", ports.registry_url())
        .env("ORDERS_CATALOGUE_FILE", config.checkout.root().join("services/orders/catalogue.json"))
        .env("ORDERS_TRACKING_KEY", config.secrets.random("orders-tracking-key")?)
        .env("ORDERS_CURSOR_KEYS", config.secrets.cursor_keys("orders-cursor-key")?)
        .env("ORDERS_PUBLIC_URL", url(ports.orders()))
        .env("ORDERS_WIN_BACK_EVERY_S", "900"))
}

pub(crate) const URL_SHORTENER: Part = Part {
    needs: &["postgres", "otlp-receiver"],
    ports: &[
        ("its API", Ports::url_shortener),
        ("its API over TLS", Ports::url_shortener_https),
        ("health and metrics", Ports::url_shortener_admin),
    ],
    address: |ports| format!("{}  admin :{}", url(ports.url_shortener()), ports.url_shortener_admin()),
    ..service("url-shortener", url_shortener, Ports::url_shortener_admin)
};

fn url_shortener(config: &StackConfig) -> anyhow::Result<Launch> {
    let ports = config.ports;
    Ok(api(config, "url-shortener", ports.url_shortener_admin())?
        .env("HTTP_ADDR", authority(ports.url_shortener()))
        .env("HTTPS_ADDR", authority(ports.url_shortener_https()))
        .env("LINKS_PUBLIC_URL", url(ports.url_shortener()))
        .env("LINKS_CURSOR_KEYS", config.secrets.cursor_keys("links-cursor-key")?))
}

pub(crate) const EMAIL_CONSUMER: Part = Part {
    needs: &["postgres", "kafka", "registry", "mailbox", "url-shortener", "otlp-receiver"],
    ports: &[("its API", Ports::email_consumer), ("health and metrics", Ports::email_consumer_admin)],
    address: |ports| format!("{}  admin :{}", url(ports.email_consumer()), ports.email_consumer_admin()),
    ..service("email-consumer", email_consumer, Ports::email_consumer_admin)
};

fn email_consumer(config: &StackConfig) -> anyhow::Result<Launch> {
    let ports = config.ports;
    Ok(program(config, "email-consumer", ports.email_consumer_admin())?
        .env("KAFKA_BOOTSTRAP_SERVERS", authority(ports.kafka()))
        .env("SCHEMA_REGISTRY_URL", ports.registry_url())
        .env("SMTP_HOST", "127.0.0.1")
        .env("SMTP_PORT", ports.smtp().to_string())
        .env("EMAIL_FROM", "Muster <orders@muster.local>")
        .env("LINKS_URL", https_url(ports.url_shortener_https()))
        .env("TLS_EXTRA_CA_FILE", Authority::of(&config.secrets)?.file())
        .env("HTTP_ADDR", authority(ports.email_consumer()))
        .env("AUTH_JWKS_FILE", config.secrets.jwks_file())
        .env("EMAIL_SIGNING_KEY_FILE", config.secrets.email_consumer_key_file())
        .env("EMAIL_LINK_CODE_KEY", config.secrets.random("email-link-code-key")?))
}

const fn service(name: &'static str, launch: LaunchOf, admin: PortOf) -> Part {
    Part { ready_within: Duration::from_secs(30), ..Part::new(name, launch, Probe::Http(admin, "/ready")) }
}

/// The program of a service with an API, whose certificate this stack issues.
fn api(config: &StackConfig, name: &str, admin: u16) -> anyhow::Result<Launch> {
    let files = certificates::files(&config.secrets, name)?;
    Ok(program(config, name, admin)?
        .env("AUTH_JWKS_FILE", config.secrets.jwks_file())
        .env("TLS_CERT_FILE", files.certificate)
        .env("TLS_KEY_FILE", files.key))
}

/// The program `name`, built beside this one, with the settings that all services share.
fn program(config: &StackConfig, name: &str, admin: u16) -> anyhow::Result<Launch> {
    // By default a service records every trace.
    let sampling = ["OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"];
    Ok(Launch::sibling(name)?
        .env("ENVIRONMENT", "local")
        .env("ADMIN_ADDR", authority(admin))
        .env("DATABASE_URL", database_url(config, name, config.ports.postgres())?)
        .env("OTEL_SERVICE_NAME", name)
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", url(config.ports.otlp()))
        .envs(sampling.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))))
}

/// The database of a service, through a port of `PostgreSQL` or of a proxy to it.
pub(crate) fn database_url(config: &StackConfig, service: &str, port: u16) -> anyhow::Result<String> {
    let database = service.replace('-', "_");
    let password = config.secrets.random(&database)?;
    Ok(format!("postgres://{database}:{password}@{}/{database}", authority(port)))
}
