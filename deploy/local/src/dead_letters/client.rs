//! Client of the API of the dead letters.

use std::fmt;

use anyhow::{Context as _, bail};
use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::readiness::http_client;

/// Letters of a page.
const LIMIT: &str = "200";

/// A letter. Its `Display` is one line.
#[derive(Debug, Deserialize)]
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) state: String,
    at: Option<String>,
    pub(crate) code: Option<String>,
    reason: Option<String>,
    pub(crate) event_id: Option<String>,
    event_type: Option<String>,
    key: Option<String>,
    replays: u32,
    source: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Letter>,
    next: Option<String>,
}

/// Parameters of a query.
type Query = Vec<(&'static str, String)>;

pub(crate) struct Client {
    pub(crate) base: String,
    pub(crate) token: String,
}

impl Client {
    pub(crate) async fn list(&self, query: Query, each: impl Fn(&Letter)) -> anyhow::Result<Vec<Letter>> {
        self.pages("", query, |url| self.request(Method::GET, url), each).await
    }

    pub(crate) async fn replay(&self, query: Query, each: impl Fn(&Letter)) -> anyhow::Result<Vec<Letter>> {
        self.pages("/replay", query, |url| self.request(Method::POST, url), each).await
    }

    pub(crate) async fn discard(
        &self,
        query: Query,
        reason: &str,
        each: impl Fn(&Letter),
    ) -> anyhow::Result<Vec<Letter>> {
        let body = json!({ "reason": reason });
        self.pages("/discard", query, |url| self.request(Method::POST, url).json(&body), each).await
    }

    /// Returns a letter as indented JSON.
    pub(crate) async fn show(&self, id: &str) -> anyhow::Result<String> {
        let shown: Value = answer(self.request(Method::GET, self.url(&format!("/{id}"), &[])?)).await?;
        serde_json::to_string_pretty(&shown).context("the letter as JSON")
    }

    /// Sends the request for each page, and calls `each` for every letter as it arrives.
    async fn pages(
        &self,
        path: &str,
        mut query: Query,
        request: impl Fn(Url) -> RequestBuilder,
        each: impl Fn(&Letter),
    ) -> anyhow::Result<Vec<Letter>> {
        query.push(("limit", LIMIT.to_owned()));
        let mut letters = Vec::new();
        loop {
            let page: Page = answer(request(self.url(path, &query)?)).await?;
            page.items.iter().for_each(&each);
            letters.extend(page.items);
            let Some(next) = page.next else { return Ok(letters) };
            query.retain(|(name, _)| *name != "cursor");
            query.push(("cursor", next));
        }
    }

    fn url(&self, path: &str, query: &[(&'static str, String)]) -> anyhow::Result<Url> {
        let url = format!("{}/v1/dead-letters{path}", self.base.trim_end_matches('/'));
        Url::parse_with_params(&url, query).with_context(|| format!("{} is not a base URL", self.base))
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        http_client().request(method, url).bearer_auth(&self.token)
    }
}

async fn answer<T: for<'de> Deserialize<'de>>(request: RequestBuilder) -> anyhow::Result<T> {
    let response = request.send().await.context("email-consumer does not answer")?;
    let status = response.status();
    let body = response.bytes().await.context("email-consumer ended its answer")?;
    if !status.is_success() {
        bail!("email-consumer answers {status}: {}", String::from_utf8_lossy(&body));
    }
    serde_json::from_slice(&body).context("the answer of email-consumer is not as documented")
}

impl fmt::Display for Letter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn or_none(value: Option<&String>) -> &str {
            value.map_or("-", String::as_str)
        }
        write!(
            formatter,
            "{}  {}  {}  {}  {}  event {}  order {}  from {}  replays {}  {}",
            self.id,
            or_none(self.at.as_ref()),
            or_none(self.code.as_ref()),
            or_none(self.reason.as_ref()),
            or_none(self.event_type.as_ref()),
            or_none(self.event_id.as_ref()),
            or_none(self.key.as_ref()),
            self.source,
            self.replays,
            self.state,
        )
    }
}
