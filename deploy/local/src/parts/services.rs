//! The services of the product, built in this workspace, and the environment each is given.

use std::sync::Arc;
use std::time::Duration;

use super::registry;
use super::traces::otlp_url;
use crate::checkout::sibling_program;
use crate::part::{Part, Step};
use crate::ports::{authority, url};
use crate::process::Launch;
use crate::readiness::http_ok;
use crate::stack::StackConfig;

/// What is passed on to every service from the environment of this program: how much of its work is traced, which is all of it
/// unless somebody measures.
const SAMPLING: [&str; 2] = ["OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"];

/// One service: what is the same for all, and the environment that is its own.
pub(crate) struct Service {
    config: Arc<StackConfig>,
    name: &'static str,
    needs: &'static [&'static str],
    /// The port of its public API, if it has one.
    http: Option<u16>,
    admin: u16,
    configure: fn(&StackConfig, Launch) -> anyhow::Result<Launch>,
}

/// The service that takes orders.
pub(crate) fn orders(config: &Arc<StackConfig>) -> Service {
    Service {
        name: "orders",
        needs: &["postgres", "kafka", "registry", "otlp-receiver"],
        http: Some(config.ports.orders()),
        admin: config.ports.orders_admin(),
        configure: configure_orders,
        config: Arc::clone(config),
    }
}

/// The service that shortens links.
pub(crate) fn url_shortener(config: &Arc<StackConfig>) -> Service {
    Service {
        name: "url-shortener",
        needs: &["postgres", "otlp-receiver"],
        http: Some(config.ports.url_shortener()),
        admin: config.ports.url_shortener_admin(),
        configure: configure_url_shortener,
        config: Arc::clone(config),
    }
}

/// The service that writes mails.
pub(crate) fn email_consumer(config: &Arc<StackConfig>) -> Service {
    Service {
        name: "email-consumer",
        needs: &["postgres", "kafka", "registry", "mailbox", "url-shortener", "otlp-receiver"],
        http: None,
        admin: config.ports.email_consumer_admin(),
        configure: configure_email_consumer,
        config: Arc::clone(config),
    }
}

fn configure_orders(config: &StackConfig, launch: Launch) -> anyhow::Result<Launch> {
    let catalogue = config.checkout.root().join("services/orders/catalogue.json");
    Ok(launch
        .env("DATABASE_URL", database_url(config, "orders")?)
        .env("AUTH_JWKS_FILE", config.secrets.jwks_file())
        .env("KAFKA_BOOTSTRAP_SERVERS", authority(config.ports.kafka()))
        .env("SCHEMA_REGISTRY_URL", registry::url(config))
        .env("ORDERS_CATALOGUE_FILE", catalogue)
        .env("ORDERS_TRACKING_KEY", config.secrets.random("orders-tracking-key")?)
        .env("ORDERS_CURSOR_KEYS", config.secrets.cursor_keys("orders-cursor-key")?)
        .env("ORDERS_PUBLIC_URL", url(config.ports.orders())))
}

fn configure_url_shortener(config: &StackConfig, launch: Launch) -> anyhow::Result<Launch> {
    Ok(launch
        .env("DATABASE_URL", database_url(config, "url_shortener")?)
        .env("AUTH_JWKS_FILE", config.secrets.jwks_file())
        .env("LINKS_PUBLIC_URL", url(config.ports.url_shortener()))
        .env("LINKS_CURSOR_KEYS", config.secrets.cursor_keys("links-cursor-key")?))
}

fn configure_email_consumer(config: &StackConfig, launch: Launch) -> anyhow::Result<Launch> {
    Ok(launch
        .env("DATABASE_URL", database_url(config, "email_consumer")?)
        .env("KAFKA_BOOTSTRAP_SERVERS", authority(config.ports.kafka()))
        .env("SCHEMA_REGISTRY_URL", registry::url(config))
        .env("SMTP_HOST", "127.0.0.1")
        .env("SMTP_PORT", config.ports.smtp().to_string())
        .env("EMAIL_FROM", "Muster <orders@muster.local>")
        .env("LINKS_URL", url(config.ports.url_shortener()))
        .env("EMAIL_SIGNING_KEY_FILE", config.secrets.email_consumer_key_file())
        .env("EMAIL_LINK_CODE_KEY", config.secrets.random("email-link-code-key")?))
}

fn database_url(config: &StackConfig, name: &str) -> anyhow::Result<String> {
    let password = config.secrets.random(name)?;
    Ok(format!("postgres://{name}:{password}@127.0.0.1:{}/{name}", config.ports.postgres()))
}

impl Part for Service {
    fn name(&self) -> &'static str {
        self.name
    }

    fn needs(&self) -> &'static [&'static str] {
        self.needs
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        let http = self.http.map(|port| ("its API", port));
        http.into_iter().chain([("health and metrics", self.admin)]).collect()
    }

    fn address(&self) -> String {
        match self.http {
            Some(http) => format!("{}  admin :{}", url(http), self.admin),
            None => format!("admin {}", url(self.admin)),
        }
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let launch = Launch::new(sibling_program(self.name)?)
            .env("ENVIRONMENT", "local")
            .env("ADMIN_ADDR", authority(self.admin))
            .env("OTEL_SERVICE_NAME", self.name)
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", otlp_url(&self.config));
        let sampling = SAMPLING.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let launch = sampling.fold(launch, |launch, (name, value)| launch.env(name, value));
        let launch = match self.http {
            Some(http) => launch.env("HTTP_ADDR", authority(http)),
            None => launch,
        };
        (self.configure)(&self.config, launch)
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async { http_ok(&format!("{}/ready", url(self.admin))).await })
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(30)
    }
}
