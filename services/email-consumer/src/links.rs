//! Client of url-shortener: creates the short link to the page of an order.

use std::time::Duration;

use auth::{SigningKey, Tenant, TokenRequest};
use moka::sync::Cache;
use reqwest::{Client, Response, StatusCode, redirect};
use serde::Deserialize;
use serde_json::json;
use telemetry::semconv;
use tls::Trust;
use tracing::{Instrument, Span, field::Empty};
use url::Url;

/// Timeouts of a request and of its connection.
const TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Lifetime of a token: longer than a request, and short in case a token leaks.
const TOKEN_TTL: Duration = Duration::from_mins(1);

/// How long a token is reused. After that, it is still valid for one request and for a clock difference.
const TOKEN_REUSE: Duration = Duration::from_secs(30);

/// Maximum number of cached tokens, one for each tenant.
const MAX_TOKENS: u64 = 1_000;

/// Client of url-shortener. Clones share connections and tokens.
#[derive(Clone)]
pub(crate) struct Links {
    base: Url,
    key: SigningKey,
    http: Client,
    tokens: Cache<Tenant, String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("a token for url-shortener cannot be signed")]
    Token(#[source] anyhow::Error),
    /// No answer, or a malformed one.
    #[error("url-shortener is unavailable: {0}")]
    Unavailable(&'static str),
    /// url-shortener refuses this link.
    #[error("url-shortener refuses the link with {status} {code}")]
    Refused { status: u16, code: String },
    /// Any other answer, because of a wrong setting or a temporary state.
    #[error(
        "url-shortener answers {0}; if this continues, check LINKS_URL of email-consumer, AUTH_JWKS_FILE of url-shortener, and both clocks"
    )]
    Unexpected(u16),
}

impl Error {
    /// Returns whether another attempt would fail in the same way.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

#[derive(Deserialize)]
struct Link {
    short_url: String,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
}

impl Links {
    pub(crate) fn new(base: Url, key: SigningKey, trust: &Trust) -> Result<Self, reqwest::Error> {
        let http = trust
            .http()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()?;
        let tokens = Cache::builder().max_capacity(MAX_TOKENS).time_to_live(TOKEN_REUSE).build();
        Ok(Self { base, key, http, tokens })
    }

    /// Creates or updates the link with this code, and returns its short URL. Idempotent.
    pub(crate) async fn put(&self, tenant: &Tenant, code: &str, target: &str) -> Result<String, Error> {
        let span = self.client_span();
        self.call(tenant, code, target).instrument(span).await
    }

    /// Readiness check: url-shortener answers in HTTP, with any status. A TCP connection alone could be answered by a proxy.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.http.get(self.base.clone()).send().await.map(drop).map_err(|error| unavailable(&error))
    }

    async fn call(&self, tenant: &Tenant, code: &str, target: &str) -> Result<String, Error> {
        let mut url = self.base.clone();
        url.set_path(&format!("/v1/links/{code}"));
        let sent = self
            .http
            .put(url)
            .bearer_auth(self.token(tenant)?)
            .headers(telemetry::trace::headers())
            .json(&json!({ "target": target }))
            .send()
            .await;
        let response = sent.map_err(|error| {
            let unavailable = unavailable(&error);
            record_failure("unavailable");
            unavailable
        })?;
        Span::current().record(semconv::HTTP_RESPONSE_STATUS_CODE, response.status().as_u16());
        if !response.status().is_success() {
            record_failure(response.status().as_str());
        }
        read(response).await
    }

    fn token(&self, tenant: &Tenant) -> Result<String, Error> {
        if let Some(token) = self.tokens.get(tenant) {
            return Ok(token);
        }
        let request = TokenRequest {
            subject: env!("CARGO_PKG_NAME").to_owned(),
            tenant: tenant.clone(),
            scopes: vec!["links:write".to_owned()],
            ttl: TOKEN_TTL,
        };
        let token = self.key.sign(&request).map_err(Error::Token)?;
        self.tokens.insert(tenant.clone(), token.clone());
        Ok(token)
    }

    fn client_span(&self) -> Span {
        tracing::info_span!(
            "put link",
            otel.name = "PUT /v1/links/{code}",
            otel.kind = "client",
            otel.status_code = Empty,
            { semconv::HTTP_REQUEST_METHOD } = "PUT",
            { semconv::HTTP_RESPONSE_STATUS_CODE } = Empty,
            { semconv::SERVER_ADDRESS } = self.base.host_str(),
            { semconv::SERVER_PORT } = self.base.port_or_known_default(),
            { semconv::ERROR_TYPE } = Empty,
        )
    }
}

/// Reads an answer. Only answers about the link itself are final errors. Otherwise a wrong key or address would turn every event into a dead
/// letter.
async fn read(response: Response) -> Result<String, Error> {
    let status = response.status();
    if status.is_success() {
        let link: Link = response.json().await.map_err(|error| unavailable(&error))?;
        return Ok(link.short_url);
    }
    match status {
        StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
            let body: Result<Refusal, _> = response.json().await;
            let code = body.map_or_else(|_| "without a code".to_owned(), |body| body.code);
            Err(Error::Refused { status: status.as_u16(), code })
        }
        other => Err(Error::Unexpected(other.as_u16())),
    }
}

/// Describes the error without the URL, which contains the code of the link.
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

fn record_failure(kind: &str) {
    let span = Span::current();
    span.record("otel.status_code", "ERROR");
    span.record(semconv::ERROR_TYPE, kind);
}
