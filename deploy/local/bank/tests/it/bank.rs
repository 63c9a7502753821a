//! Starts the bank under test, and sends requests to it.

use std::{path::PathBuf, time::Duration};

use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use testkit::{Builder, Process, wait_for};

pub(crate) const KEY: &str = "key-of-the-test-bank";
pub(crate) const WEBHOOK_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) const SOON: Duration = Duration::from_secs(90);

/// A running bank.
pub(crate) struct Bank {
    pub(crate) process: Process,
    pub(crate) http: reqwest::Client,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `null` if the body is not JSON.
    pub(crate) body: Value,
}

/// Describes a bank with a new journal that decides at once.
pub(crate) fn builder() -> Builder {
    Process::builder(env!("CARGO_BIN_EXE_bank"))
        .env("BANK_JOURNAL", journal())
        .env("BANK_KEY", KEY)
        .env("BANK_WEBHOOK_KEYS", WEBHOOK_KEY)
        .env("BANK_DELAY_MIN_MS", "0")
        .env("BANK_DELAY_MAX_MS", "0")
}

pub(crate) fn journal() -> PathBuf {
    testkit::scratch_dir("bank").join("journal")
}

/// The body of an instruction without a webhook.
pub(crate) fn terms() -> Value {
    json!({"amount_minor": 1250, "currency": "EUR", "source": "acc-1", "destination": "acc-2"})
}

/// The body of an instruction with a webhook.
pub(crate) fn terms_with_webhook(url: &str) -> Value {
    let mut terms = terms();
    terms["webhook_url"] = url.into();
    terms
}

impl Bank {
    pub(crate) async fn start() -> Self {
        Self::start_with(|process| process).await
    }

    pub(crate) async fn start_with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        Self { process: settings(builder()).spawn().await, http: testkit::client() }
    }

    /// A request with the key.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.process.http_url())).bearer_auth(KEY)
    }

    pub(crate) fn put_request(&self, id: &str, terms: &Value) -> RequestBuilder {
        self.request(Method::PUT, &format!("/v1/instructions/{id}")).json(terms)
    }

    pub(crate) async fn put(&self, id: &str, terms: &Value) -> Answer {
        send(self.put_request(id, terms)).await
    }

    pub(crate) async fn get(&self, id: &str) -> Answer {
        send(self.request(Method::GET, &format!("/v1/instructions/{id}"))).await
    }

    /// Polls until the instruction is decided.
    pub(crate) async fn decided(&self, id: &str) -> Value {
        wait_for("a decision", SOON, async || {
            let answer = self.get(id).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            (answer.body["status"] != "accepted").then_some(answer.body)
        })
        .await
    }

    pub(crate) async fn statement(&self, query: &str) -> Value {
        let answer = send(self.request(Method::GET, &format!("/v1/statement{query}"))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// Replaces the misbehaviour. Decisions are made at once, unless it says otherwise.
    pub(crate) async fn misbehave(&self, mut misbehaviour: Value) {
        for name in ["delay_min_ms", "delay_max_ms"] {
            let members = misbehaviour.as_object_mut().unwrap();
            members.entry(name).or_insert_with(|| 0.into());
        }
        let answer = send(self.http.put(self.misbehaviour_url()).json(&misbehaviour)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub(crate) fn misbehaviour_url(&self) -> String {
        format!("{}/misbehaviour", self.process.admin_url())
    }

    /// Returns the value of a metric with its labels.
    pub(crate) async fn metric(&self, series: &str) -> u64 {
        let url = format!("{}/metrics", self.process.admin_url());
        let text = self.http.get(url).send().await.unwrap().text().await.unwrap();
        let line =
            text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("no {series}"));
        line.trim().parse().unwrap()
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default() }
}

impl Answer {
    /// Returns a header; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is an error with this status and code.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), &self.body["code"]), (status, &Value::from(code)), "{self:?}");
    }
}
