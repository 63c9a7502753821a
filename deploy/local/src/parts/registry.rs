//! Apicurio Registry, which keeps schemas behind Confluent's API, in `PostgreSQL`.

use std::sync::Arc;

use super::jvm;
use crate::part::{Part, Step};
use crate::ports;
use crate::process::Launch;
use crate::readiness::http_ok;
use crate::stack::StackConfig;

/// The name of its database, of its role, and of the role's password.
const DATABASE: &str = "apicurio";

/// The schema registry of a stack.
pub(crate) struct Registry {
    pub(crate) config: Arc<StackConfig>,
}

/// The address that clients of Confluent's API use.
pub(crate) fn url(config: &StackConfig) -> String {
    format!("{}/apis/ccompat/v7", ports::url(config.ports.registry()))
}

impl Part for Registry {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["postgres"]
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        vec![("clients", self.config.ports.registry())]
    }

    fn address(&self) -> String {
        url(&self.config)
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let home = self.config.checkout.parts_dir().join("registry");
        let ports = self.config.ports;
        Ok(jvm::java(160, &self.config.dir("tmp"))
            .arg("-Dquarkus.http.host=127.0.0.1")
            .arg(format!("-Dquarkus.http.port={}", ports.registry()))
            // It opens 20 connections by itself, of the 100 that all services share.
            .args(
                ["initial-size=1", "min-size=1", "max-size=8"]
                    .map(|pool| format!("-Dapicurio.datasource.jdbc.{pool}")),
            )
            .arg("-jar")
            .arg(home.join("apicurio-registry-app-3.0.9-runner.jar"))
            .env("APICURIO_STORAGE_KIND", "sql")
            .env("APICURIO_STORAGE_SQL_KIND", "postgresql")
            .env(
                "APICURIO_DATASOURCE_URL",
                format!("jdbc:postgresql://127.0.0.1:{}/{DATABASE}", ports.postgres()),
            )
            .env("APICURIO_DATASOURCE_USERNAME", DATABASE)
            .env("APICURIO_DATASOURCE_PASSWORD", self.config.secrets.random(DATABASE)?))
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async { http_ok(&format!("{}/subjects", url(&self.config))).await })
    }
}
