//! Client of a Confluent-compatible schema registry.
//!
//! <https://docs.confluent.io/platform/current/schema-registry/develop/api.html>

mod error;

use std::time::Duration;

use clap::Args;
use reqwest::{Client, RequestBuilder, StatusCode};
use schema_gate::{Reader, Side, Version};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tls::{Failure, Trust};
use url::Url;

pub use error::RegistryError;

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

    /// Registers `schema` as a version of `subject`, if it is not one already; returns its id. Attributes in another order are the
    /// same schema.
    ///
    /// Sets the compatibility of the subject, because the default of a registry can be to check nothing, as that of a fresh
    /// Apicurio.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let is_new = match self.require_compatibility(subject).await {
            Ok(()) => false,
            Err(RegistryError::Unknown(_)) => true,
            Err(error) => return Err(error),
        };
        let id = self.post(subject, &format!("subjects/{subject}/versions?normalize=true"), schema).await?;
        if is_new {
            self.require_compatibility(subject).await?;
        }
        Ok(id)
    }

    /// Checks that a consumer with `schema` reads every version of `subject`, by the rules of the [gate](schema_gate).
    ///
    /// A subject that does not exist yet has nothing to check. A schema that is a version already is not compared again: otherwise
    /// one version that was registered without the gate would stop every consumer.
    pub async fn verify(&self, subject: &str, schema: &str) -> Result<(), RegistryError> {
        match self.find(subject, schema).await {
            Err(RegistryError::Unknown(_)) => {}
            found => return found.map(|_id| ()),
        }
        let versions = match self.versions(subject).await {
            Err(RegistryError::Unknown(_)) => return Ok(()),
            versions => versions?,
        };
        let findings = schema_gate::check(&versions, schema, &[Reader::Rust]);
        match findings.iter().find(|finding| matches!(finding.side, Side::Reads(_))) {
            None => Ok(()),
            Some(finding) => {
                Err(RegistryError::Incompatible { subject: subject.to_owned(), reason: finding.to_string() })
            }
        }
    }

    async fn versions(&self, subject: &str) -> Result<Vec<Version>, RegistryError> {
        let url = self.url(&format!("subjects/{subject}/versions"));
        let numbers: Vec<u32> = self.call(subject, self.http.get(&url)).await?;
        let mut versions = Vec::with_capacity(numbers.len());
        for number in numbers {
            let text: Text = self.call(subject, self.http.get(format!("{url}/{number}"))).await?;
            versions.push(Version { number, text: text.schema });
        }
        Ok(versions)
    }

    /// Returns the schema with this id.
    pub async fn schema(&self, id: u32) -> Result<String, RegistryError> {
        let request = self.http.get(self.url(&format!("schemas/ids/{id}")));
        let text: Text = self.call(&format!("schema {id}"), request).await?;
        Ok(text.schema)
    }

    /// Returns the id of `schema` if it is a version of `subject`; [`RegistryError::Unknown`] if it is not.
    pub async fn find(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        self.post(subject, &format!("subjects/{subject}?normalize=true"), schema).await
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
