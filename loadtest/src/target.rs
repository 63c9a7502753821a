//! Target of a load test, from a TOML file: the addresses of a running system, and a token.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use auth::{SigningKey, TokenRequest};
use serde::{Deserialize, Serialize};

use crate::{api::Api, connections::authority};

/// A running system. `muster target` prints that of the local stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The API of the order service: `http://host:port`.
    pub orders_url: String,
    /// The API of the link service: `http://host:port`.
    pub links_url: String,
    /// The tenant of all requests.
    pub tenant: String,
    /// Well-stocked products of that tenant; at least one.
    pub skus: Vec<String>,
    /// A file with a bearer token of that tenant, scopes `orders:write orders:read links:write`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// A file with a private JWK that the services trust, to sign such a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key_file: Option<PathBuf>,
    /// The mail server, to reconcile mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<Mailbox>,
    /// The topic, to reconcile events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
}

/// A mail server that accepts mail for every address and does not check passwords.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mailbox {
    /// Its IMAP server: `host:port`.
    pub imap: String,
    /// `GreenMail`'s HTTP API, to purge all mailboxes: `http://host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
}

/// The broker and the registry behind the events.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Kafka's `bootstrap.servers`.
    pub bootstrap_servers: String,
    /// The topic of the order service's events.
    pub topic: String,
    /// The schema registry: the URL of its Confluent-compatible API.
    pub registry_url: String,
}

/// The scopes of a token.
const SCOPES: [&str; 3] = ["orders:write", "orders:read", "links:write"];

/// Maximum lifetime of a token.
const MAX_TTL: Duration = Duration::from_hours(24);

impl Target {
    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "the target {} cannot be read; `muster target` prints that of the local stack",
                path.display()
            )
        })?;
        let target: Self = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
        target.check().with_context(|| format!("{}", path.display()))?;
        Ok(target)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.skus.is_empty(), "skus must name at least one product");
        authority(&self.orders_url).context("orders_url")?;
        authority(&self.links_url).context("links_url")?;
        if let Some(api_url) = self.mailbox.as_ref().and_then(|mailbox| mailbox.api_url.as_deref()) {
            authority(api_url).context("api_url of the mailbox")?;
        }
        ensure!(
            self.token_file.is_some() != self.signing_key_file.is_some(),
            "set either token_file or signing_key_file"
        );
        Ok(())
    }

    /// Reads or signs a token for the requests of a client. A signed one is valid for `run` and an hour after it.
    pub fn api(&self, run: Duration) -> anyhow::Result<Api> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
        };
        if let Some(path) = &self.token_file {
            return Api::new(read(path)?.trim());
        }
        let Some(path) = &self.signing_key_file else { bail!("set token_file or signing_key_file") };
        let key = SigningKey::from_jwk_json(&read(path)?).with_context(|| format!("{}", path.display()))?;
        let request = TokenRequest {
            subject: "loadtest".to_owned(),
            tenant: self.tenant.parse().context("tenant")?,
            scopes: SCOPES.map(str::to_owned).to_vec(),
            ttl: (run + Duration::from_hours(1)).min(MAX_TTL),
        };
        Api::new(&key.sign(&request).context("the token cannot be made")?)
    }
}
