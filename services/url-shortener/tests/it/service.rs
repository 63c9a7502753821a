//! Starts the service under test, and sends requests to it.

use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use testkit::{Builder, Database, Keys, Process};

/// The origin of short links. It does not resolve; tests follow a code at the listening address of the service.
pub(crate) const PUBLIC_URL: &str = "http://links.test";

/// A running service with its own database and keys.
pub(crate) struct Service {
    pub(crate) process: Process,
    pub(crate) database: Database,
    pub(crate) http: reqwest::Client,
    keys: Keys,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `null` if the body is not JSON.
    pub(crate) body: Value,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let database = Database::create("url_shortener").await;
        let url = database.url();
        Self::start_with(database, |process| process.env("DATABASE_URL", &url)).await
    }

    /// Starts the service with one more setting.
    pub(crate) async fn start_with_env(name: &str, value: &str) -> Self {
        let database = Database::create("url_shortener").await;
        let url = database.url();
        Self::start_with(database, |process| process.env("DATABASE_URL", &url).env(name, value)).await
    }

    /// Starts the service with longer timeouts than in production, for tests in which requests wait for each other.
    pub(crate) async fn start_with_long_timeouts() -> Self {
        let database = Database::create("url_shortener").await;
        let url = database.url();
        Self::start_with(database, |process| {
            process
                .env("DATABASE_URL", url)
                .env("DATABASE_ACQUIRE_TIMEOUT_MS", "10000")
                .env("DATABASE_LOCK_TIMEOUT_MS", "10000")
                .env("DATABASE_STATEMENT_TIMEOUT_MS", "10000")
                .env("DATABASE_TRANSACTION_TIMEOUT_MS", "10000")
                .env("REQUEST_TIMEOUT_MS", "12000")
        })
        .await
    }

    /// Starts the service with these settings, including the URL of the database.
    pub(crate) async fn start_with(database: Database, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let keys = Keys::generate(&testkit::scratch_dir("url-shortener-keys"));
        let process = settings(builder(&keys)).spawn().await;
        Self { process, database, http: testkit::client(), keys }
    }

    /// Starts a second replica on the same database.
    pub(crate) async fn replica(&self) -> Process {
        builder(&self.keys).env("DATABASE_URL", self.database.url()).spawn().await
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn token(&self, tenant: &str, scopes: &[&str]) -> String {
        self.keys.token(tenant, scopes)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.process.http_url()))
    }

    /// A PUT of the tenant `acme` with every scope, without a body.
    pub(crate) fn put_request(&self, code: &str) -> RequestBuilder {
        let token = self.token("acme", &["links:write", "links:read"]);
        self.request(Method::PUT, &format!("/v1/links/{code}")).bearer_auth(token)
    }

    pub(crate) async fn put(&self, tenant: &str, code: &str, target: &str) -> Answer {
        let request = self.request(Method::PUT, &format!("/v1/links/{code}"));
        send(request.bearer_auth(self.token(tenant, &["links:write"])).json(&json!({"target": target}))).await
    }

    /// A POST of the tenant `acme` for a link with a random code.
    pub(crate) async fn post(&self, key: &str, target: &str) -> Answer {
        send(self.post_request(key, target)).await
    }

    pub(crate) fn post_request(&self, key: &str, target: &str) -> RequestBuilder {
        let request = self.request(Method::POST, "/v1/links").header("Idempotency-Key", key);
        request.bearer_auth(self.token("acme", &["links:write"])).json(&json!({"target": target}))
    }

    pub(crate) async fn get(&self, tenant: &str, code: &str) -> Answer {
        let request = self.request(Method::GET, &format!("/v1/links/{code}"));
        send(request.bearer_auth(self.token(tenant, &["links:read"]))).await
    }

    pub(crate) async fn follow(&self, code: &str) -> Answer {
        send(self.request(Method::GET, &format!("/{code}"))).await
    }

    /// Requests `/ready` on the admin port.
    pub(crate) async fn readiness(&self) -> Answer {
        send(self.http.get(format!("{}/ready", self.process.admin_url()))).await
    }

    pub(crate) async fn count_links(&self) -> i64 {
        self.database.connect().await.query_one("SELECT count(*) FROM links", &[]).await.unwrap().get(0)
    }

    /// Returns the sum of the metrics whose lines start with this text.
    pub(crate) async fn metric(&self, prefix: &str) -> f64 {
        let url = format!("{}/metrics", self.process.admin_url());
        let text = self.http.get(url).send().await.unwrap().text().await.unwrap();
        let lines = text.lines().filter(|line| line.starts_with(prefix));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

fn builder(keys: &Keys) -> Builder {
    Process::builder(env!("CARGO_BIN_EXE_url-shortener"))
        .env("AUTH_JWKS_FILE", keys.jwks_file())
        .env("LINKS_PUBLIC_URL", PUBLIC_URL)
        .env("LINKS_CURSOR_KEYS", format!("test:{}", "22".repeat(32)))
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

    /// Checks that this is a complete error envelope with this status and code.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.body["code"], code, "{self:?}");
        assert!(!self.body["message"].as_str().unwrap().is_empty(), "{self:?}");
        assert!(self.body["details"].is_array(), "{self:?}");
        assert_eq!(self.body["request_id"], self.header("x-request-id"), "{self:?}");
        assert_eq!(self.body.as_object().unwrap().len(), 4, "{self:?}");
    }

    /// Checks that the only detail has this pointer.
    #[track_caller]
    pub(crate) fn assert_detail(&self, pointer: &str) {
        let details = self.body["details"].as_array().unwrap();
        assert_eq!(details.len(), 1, "{self:?}");
        assert_eq!(details[0]["pointer"], pointer, "{self:?}");
        assert!(!details[0]["message"].as_str().unwrap().is_empty(), "{self:?}");
    }

    /// Checks that this is a retryable 503 with `Retry-After`.
    #[track_caller]
    pub(crate) fn assert_unavailable(&self) {
        self.assert_error(503, "unavailable");
        assert!(self.header("retry-after").parse::<u64>().unwrap() >= 1, "{self:?}");
    }
}
