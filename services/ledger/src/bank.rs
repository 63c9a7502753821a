//! Client of the bank: instructs it to move money, and asks what it has decided.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use telemetry::semconv;
use tls::Trust;
use tracing::{Instrument, Span, field::Empty};
use url::Url;
use uuid::Uuid;

use crate::{
    domain::{Details, Instruction},
    metrics,
};

/// Timeouts of a call and of its connection. An attempt makes two calls at most, in less than its lease.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Client of the bank. Clones share connections.
#[derive(Clone)]
pub(crate) struct Bank {
    settings: Arc<Settings>,
    http: Client,
}

/// Where the bank is, and how it knows the ledger.
pub(crate) struct Settings {
    pub(crate) base: Url,
    /// The bearer token of the ledger.
    pub(crate) key: SecretString,
    /// Where the bank announces its decisions.
    pub(crate) webhook_url: Url,
}

/// What the bank says of an instruction.
#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Not decided yet.
    Accepted,
    /// Final: the money has moved.
    Settled,
    /// Final: no money moves.
    Refused {
        /// In the bank's own words.
        reason: Option<String>,
    },
}

/// The outcome of a call is unknown: the bank may have acted on it or not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No answer, or a malformed one.
    #[error("the bank is unavailable: {0}")]
    Unavailable(&'static str),
    /// Any other answer, because of a wrong setting or a temporary state.
    #[error("the bank answers {0}; if this continues, check LEDGER_BANK_URL and LEDGER_BANK_KEY")]
    Unexpected(u16),
}

impl Answer {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Settled => "settled",
            Self::Refused { .. } => "refused",
        }
    }
}

impl Bank {
    pub(crate) fn new(settings: Settings, trust: &Trust) -> Result<Self, reqwest::Error> {
        let http = trust
            .http()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self { settings: Arc::new(settings), http })
    }

    /// Instructs the bank to make this transfer. Idempotent: the id of the transfer is that of the instruction.
    pub(crate) async fn instruct(&self, transfer: &Details) -> Result<Answer, Error> {
        let Instruction { source, destination, amount, .. } = &transfer.instruction;
        let terms = json!({
            "amount_minor": amount.minor(),
            "currency": amount.currency().code(),
            "source": source,
            "destination": destination,
            "webhook_url": self.settings.webhook_url.as_str(),
        });
        let request = self.http.put(self.url(transfer.id)).json(&terms);
        let answer = self.call("PUT", request, read).await;
        count("instruct", answer.as_ref().map(Answer::outcome));
        answer
    }

    /// Asks what the bank has decided; returns `None` if it does not know the instruction.
    pub(crate) async fn poll(&self, transfer_id: Uuid) -> Result<Option<Answer>, Error> {
        let request = self.http.get(self.url(transfer_id));
        let answer = self.call("GET", request, read_if_known).await;
        count("poll", answer.as_ref().map(|answer| answer.as_ref().map_or("not_found", Answer::outcome)));
        answer
    }

    fn url(&self, transfer_id: Uuid) -> Url {
        let mut url = self.settings.base.clone();
        url.set_path(&format!("/v1/instructions/{transfer_id}"));
        url
    }

    async fn call<T>(
        &self,
        method: &'static str,
        request: RequestBuilder,
        read: impl AsyncFnOnce(Response) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let span = self.client_span(method);
        let calling = async {
            let sent = request.bearer_auth(self.settings.key.expose_secret()).send().await;
            let answer = match sent {
                Ok(response) => {
                    Span::current().record(semconv::HTTP_RESPONSE_STATUS_CODE, response.status().as_u16());
                    read(response).await
                }
                Err(error) => Err(unavailable(&error)),
            };
            answer.inspect_err(record_failure)
        };
        calling.instrument(span).await
    }

    fn client_span(&self, method: &'static str) -> Span {
        tracing::info_span!(
            "call bank",
            otel.name = format!("{method} /v1/instructions/{{id}}"),
            otel.kind = "client",
            otel.status_code = Empty,
            { semconv::HTTP_REQUEST_METHOD } = method,
            { semconv::HTTP_RESPONSE_STATUS_CODE } = Empty,
            { semconv::SERVER_ADDRESS } = self.settings.base.host_str(),
            { semconv::SERVER_PORT } = self.settings.base.port_or_known_default(),
            { semconv::ERROR_TYPE } = Empty,
        )
    }
}

async fn read(response: Response) -> Result<Answer, Error> {
    let status = response.status();
    if !status.is_success() {
        return Err(Error::Unexpected(status.as_u16()));
    }
    response.json().await.map_err(|error| unavailable(&error))
}

async fn read_if_known(response: Response) -> Result<Option<Answer>, Error> {
    if response.status() == StatusCode::NOT_FOUND { Ok(None) } else { read(response).await.map(Some) }
}

/// Describes the error without the URL, which contains the id of the transfer.
fn unavailable(error: &reqwest::Error) -> Error {
    if let Some(advice) = tls::explain(error) {
        return Error::Unavailable(advice);
    }
    Error::Unavailable(if error.is_timeout() {
        "it does not answer in time"
    } else if error.is_connect() {
        "the connection fails"
    } else if error.is_decode() {
        "its answer is malformed"
    } else {
        "the connection broke"
    })
}

fn record_failure(error: &Error) {
    let span = Span::current();
    span.record("otel.status_code", "ERROR");
    match error {
        Error::Unavailable(_) => span.record(semconv::ERROR_TYPE, "unavailable"),
        Error::Unexpected(status) => span.record(semconv::ERROR_TYPE, status.to_string()),
    };
}

fn count(call: &str, outcome: Result<&str, &Error>) {
    metrics::BANK_CALLS.with_label_values(&[call, outcome.unwrap_or("unknown")]).inc();
}
