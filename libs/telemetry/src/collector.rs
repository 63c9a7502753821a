//! The HTTP client that sends spans to the collector.

use std::{
    env,
    error::Error,
    iter::successors,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tls::{Failure, Trust};

/// The variables of the endpoint and of the timeout (in milliseconds); the first one that is set counts.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

/// The default of the specification: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that trusts our certificate authorities; the SDK's own client would not.
#[derive(Debug)]
pub(crate) struct Collector {
    client: reqwest::Client,
    pub(crate) cause: Cause,
}

/// Why the last request failed: the SDK reports "network error" only. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cause(Arc<Mutex<Option<String>>>);

impl Cause {
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().expect("no panic under this lock").take()
    }

    fn note(&self, error: &(dyn Error + 'static)) {
        *self.0.lock().expect("no panic under this lock") = Some(with_causes(error));
    }
}

/// Returns an error and its chain of causes, joined by colons.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let chain = successors(Some(error), |error| (*error).source()).map(ToString::to_string);
    chain.collect::<Vec<_>>().join(": ")
}

impl Collector {
    pub(crate) fn new(trust: &Trust) -> anyhow::Result<Self> {
        if let Some((variable, endpoint)) = first_set(&ENDPOINTS) {
            let known = ["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme));
            ensure!(known, "{variable} is {endpoint}; set a URL with http:// or https://");
        }
        let timeout = first_set(&TIMEOUTS).and_then(|(_, millis)| millis.parse().ok());
        let timeout = timeout.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
        let client =
            trust.http().timeout(timeout).build().context("cannot make the HTTP client for spans")?;
        Ok(Self { client, cause: Cause::default() })
    }
}

fn first_set(variables: &[&'static str]) -> Option<(&'static str, String)> {
    let set = |variable: &&'static str| env::var(variable).ok().filter(|value| !value.is_empty());
    variables.iter().find_map(|variable| set(variable).map(|value| (*variable, value)))
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.client.send_bytes(request).await.map_err(Failure::explained);
        sent.inspect_err(|error| self.cause.note(&**error))
    }
}
