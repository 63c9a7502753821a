//! Addresses of the parts of a stack, for tests, scripts and shells.

use std::{fmt, path::PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio_postgres::Config;

use crate::{
    certificates::Authority,
    cluster::Cluster,
    config::StackConfig,
    place::Place,
    ports::{authority, https_url, url},
};

/// The role that owns the cluster.
pub(crate) const SUPERUSER: &str = "postgres";

/// The environment variable with the path of the file of [`Endpoints`].
pub(crate) const VARIABLE: &str = "MUSTER_TEST_PARTS";

/// The addresses of the parts of a test run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The database cluster, as superuser.
    pub postgres: PostgresEndpoint,
    /// The value of `bootstrap.servers` for clients.
    pub kafka_bootstrap_servers: String,
    /// The directory with Kafka's jars, for [`crate::kafka::start_private`].
    pub kafka_jars: PathBuf,
    /// The schema registry's URL for clients of Confluent's API.
    pub schema_registry_url: String,
    /// The host of the mail server.
    pub smtp_host: String,
    /// The port of the mail server.
    pub smtp_port: u16,
    /// The HTTP API of the mail server: `GET /api/user/{address}/messages`.
    pub mailbox_url: String,
    /// IMAP of the mail server: `host:port`.
    pub imap: String,
    /// The trace store: `GET /api/v2/trace/{id}`.
    pub zipkin_url: String,
    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT` for services.
    pub otlp_url: String,
}

/// A database server and its superuser. The `Debug` output hides the password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresEndpoint {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The superuser.
    pub user: String,
    /// The superuser's password.
    pub password: String,
}

impl Endpoints {
    /// Reads the file that `muster run` wrote for its command.
    pub fn from_env() -> anyhow::Result<Self> {
        let path = std::env::var_os(VARIABLE).with_context(|| {
            format!("{VARIABLE} is not set: run the tests through `muster run -- cargo test`")
        })?;
        let name = path.display();
        let text = std::fs::read(&path).with_context(|| format!("{name}"))?;
        serde_json::from_slice(&text).with_context(|| format!("{name} was written by another version"))
    }
}

impl PostgresEndpoint {
    pub(crate) fn of(config: &StackConfig) -> anyhow::Result<Self> {
        Ok(Self {
            host: "127.0.0.1".to_owned(),
            port: config.ports.postgres(),
            user: SUPERUSER.to_owned(),
            password: config.secrets.random(SUPERUSER)?,
        })
    }

    /// Configuration of a superuser's session on one database.
    pub fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host(&self.host).port(self.port).user(&self.user).password(&self.password).dbname(database);
        config
    }

    /// The superuser's URL of one database.
    pub fn url(&self, database: &str) -> String {
        let Self { host, port, user, password } = self;
        format!("postgres://{user}:{password}@{host}:{port}/{database}")
    }
}

impl fmt::Debug for PostgresEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "postgres://{}@{}:{}", self.user, self.host, self.port)
    }
}

/// The addresses of the parts, as variables for programs and scripts. Those of a desk also select the desk and its cluster.
pub(crate) fn shell_variables(config: &StackConfig) -> anyhow::Result<Vec<(&'static str, String)>> {
    let ports = config.ports;
    let mut variables = vec![
        (Place::VARIABLE, config.place.to_string()),
        ("ORDERS_URL", url(ports.orders())),
        ("ORDERS_ADMIN_URL", url(ports.orders_admin())),
        ("URL_SHORTENER_URL", url(ports.url_shortener())),
        ("URL_SHORTENER_ADMIN_URL", url(ports.url_shortener_admin())),
        ("EMAIL_CONSUMER_ADMIN_URL", url(ports.email_consumer_admin())),
        ("PROMETHEUS_URL", url(ports.prometheus())),
        ("ALERTMANAGER_URL", url(ports.alertmanager())),
        ("MAILBOX_URL", url(ports.mailbox_api())),
        ("PGHOST", "127.0.0.1".to_owned()),
        ("PGPORT", ports.postgres().to_string()),
        ("PGUSER", SUPERUSER.to_owned()),
        ("PGPASSWORD", config.secrets.random(SUPERUSER)?),
    ];
    variables.extend(match config.place {
        Place::Local => vec![
            ("ORDERS_HTTPS_URL", https_url(ports.orders_https())),
            ("URL_SHORTENER_HTTPS_URL", https_url(ports.url_shortener_https())),
            ("CA_FILE", Authority::of(&config.secrets)?.file().display().to_string()),
            ("EMAIL_CONSUMER_URL", url(ports.email_consumer())),
            ("KAFKA_BOOTSTRAP_SERVERS", authority(ports.kafka())),
            ("SCHEMA_REGISTRY_URL", ports.registry_url()),
        ],
        Place::Cluster => vec![("KUBECONFIG", Cluster::of(config).kubeconfig().display().to_string())],
    });
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_password() {
        let endpoint = PostgresEndpoint {
            host: "127.0.0.1".to_owned(),
            port: 5432,
            user: "postgres".to_owned(),
            password: "hush".to_owned(),
        };
        assert!(!format!("{endpoint:?}").contains("hush"));
        assert_eq!(endpoint.url("orders"), "postgres://postgres:hush@127.0.0.1:5432/orders");
    }
}
