//! Client of a Confluent-compatible schema registry.
//!
//! <https://docs.confluent.io/platform/current/schema-registry/develop/api.html>

use std::time::Duration;

use clap::Args;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use thiserror::Error;
use tls::{Failure, Trust};
use url::Url;

/// Time limit of a call.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A consumer with any version can read events of all earlier versions.
const COMPATIBILITY: &str = "BACKWARD_TRANSITIVE";

/// Settings of the schema registry.
#[derive(Args, Clone, Debug)]
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Config {
    /// Base URL of the Confluent API, such as `http://registry:8081` or Apicurio's `…/apis/ccompat/v7`.
    #[arg(long, env, value_parser = parse_base_url)]
    pub schema_registry_url: Url,
}

/// A client of a schema registry.
#[derive(Clone, Debug)]
pub struct Registry {
    base: String,
    http: Client,
}

/// An error of the registry.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// It is unreachable or its response is invalid: retry later.
    #[error("the schema registry is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The schema would break consumers that read released versions.
    #[error(
        "the registry refuses the schema of {subject} as incompatible with its earlier versions: {reason}"
    )]
    Incompatible {
        /// The subject.
        subject: String,
        /// The reason of the registry.
        reason: String,
    },
    /// The subject or schema does not exist.
    #[error("the registry does not know {0}")]
    Unknown(String),
    /// It refused the request.
    #[error("the registry refused: {status}: {reason}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The reason of the registry.
        reason: String,
    },
}

impl RegistryError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

#[derive(Deserialize)]
struct Text {
    schema: String,
}

impl Registry {
    /// Makes a client without a connection.
    pub fn new(config: &Config, trust: &Trust) -> Self {
        let http = trust
            .http()
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .build()
            .expect("nothing in these settings depends on the machine");
        Self { base: config.schema_registry_url.as_str().trim_end_matches('/').to_owned(), http }
    }

    /// The readiness check: whether the registry answers.
    pub async fn ping(&self) -> Result<(), RegistryError> {
        let _subjects: Value = self.call("subjects", self.http.get(self.url("subjects"))).await?;
        Ok(())
    }

    /// Registers `schema` as a version of `subject`, if it is not one already; returns its id.
    ///
    /// Sets the compatibility of the subject before, so that a second version is checked too.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let is_new = match self.require_compatibility(subject).await {
            Ok(()) => false,
            Err(RegistryError::Unknown(_)) => true,
            Err(error) => return Err(error),
        };
        let id = self.post(subject, &format!("subjects/{subject}/versions"), schema).await?;
        if is_new {
            self.require_compatibility(subject).await?;
        }
        Ok(id)
    }

    /// Returns the schema with this id.
    pub async fn schema(&self, id: u32) -> Result<String, RegistryError> {
        let request = self.http.get(self.url(&format!("schemas/ids/{id}")));
        let text: Text = self.call(&format!("schema {id}"), request).await?;
        Ok(text.schema)
    }

    /// Returns the id of `schema` if it is a version of `subject`; [`RegistryError::Unknown`] if it is not.
    pub async fn find(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        self.post(subject, &format!("subjects/{subject}"), schema).await
    }

    /// Sends a schema; returns its id.
    async fn post(&self, subject: &str, path: &str, schema: &str) -> Result<u32, RegistryError> {
        let version = json!({ "schema": schema, "schemaType": "AVRO" });
        let registered: Registered =
            self.call(subject, self.http.post(self.url(path)).json(&version)).await?;
        Ok(registered.id)
    }

    /// Sets the compatibility of a subject.
    ///
    /// Apicurio 3.0.9 answers 409 to one of two concurrent first calls, as of replicas that start together; the rule then exists
    /// and can be set again.
    async fn require_compatibility(&self, subject: &str) -> Result<(), RegistryError> {
        match self.set_compatibility(subject).await {
            Err(RegistryError::Incompatible { .. }) => {}
            other => return other,
        }
        self.set_compatibility(subject).await.map_err(|error| match error {
            RegistryError::Incompatible { reason, .. } => RegistryError::Unavailable(reason.into()),
            other => other,
        })
    }

    async fn set_compatibility(&self, subject: &str) -> Result<(), RegistryError> {
        let request = self.http.put(self.url(&format!("config/{subject}")));
        let body = json!({ "compatibility": COMPATIBILITY });
        let _config: Value = self.call(subject, request.json(&body)).await?;
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        what: &str,
        request: RequestBuilder,
    ) -> Result<T, RegistryError> {
        let unavailable =
            |error: reqwest::Error| RegistryError::Unavailable(Failure::explained(Box::new(error)));
        let response = request.send().await.map_err(unavailable)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(unavailable);
        }
        let reason = response.text().await.map_err(unavailable)?;
        Err(match status {
            StatusCode::NOT_FOUND if is_the_registrys(&reason) => RegistryError::Unknown(what.to_owned()),
            StatusCode::CONFLICT => RegistryError::Incompatible { subject: what.to_owned(), reason },
            status if status.is_server_error() => RegistryError::Unavailable(reason.into()),
            status => RegistryError::Refused { status: status.as_u16(), reason },
        })
    }
}

fn parse_base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| format!("`{text}` is not a base URL: write it as in `https://registry:8081`"))
}

/// Whether a 404 comes from the registry, with an error code such as 40403, and not from a proxy or a wrong path.
fn is_the_registrys(body: &str) -> bool {
    let body: Option<Value> = serde_json::from_str(body).ok();
    let code = body.and_then(|body| body["error_code"].as_u64());
    code.is_some_and(|code| code == 404 || code / 100 == 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_404_of_the_registry_means_unknown() {
        assert!(is_the_registrys(r#"{"error_code":40403,"message":"No content with ID '9' was found."}"#));
        for other in ["", "<html>not found</html>", "{}", r#"{"error_code":50001}"#] {
            assert!(!is_the_registrys(other), "{other}");
        }
    }
}
