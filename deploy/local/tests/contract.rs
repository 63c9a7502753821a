//! Contract test with schemathesis: valid and invalid requests, generated from the OpenAPI document of a service, and a comparison of
//! every response with the document.
//!
//! The API of email-consumer is for operators, and is not tested here.

#![expect(clippy::unwrap_used, reason = "test harness")]

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use testkit::{Builder, Database, Keys, Process, Topics, client, endpoints, scratch_dir};
use tokio::process::Command;

/// Minimum of requests to both services; fewer mean that the tool stopped early.
const MIN_REQUESTS: f64 = 20_000.0;

/// A running service, and a token with all of its scopes.
struct Target {
    process: Process,
    token: String,
}

/// The programs belong to other packages, so cargo does not build them for this test.
fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_muster")).with_file_name(name);
    assert!(program.is_file(), "{name} is not built: run the tests with `make test`");
    program
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Target {
    async fn orders(keys: &Keys) -> Self {
        let topics = Topics::create(&[("orders.events", 3)]).await;
        let process = Process::builder(program("orders"))
            .env("DATABASE_URL", Database::create("orders").await.url())
            .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
            .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("ORDERS_EVENTS_TOPIC", topics.name("orders.events"))
            .env("ORDERS_CATALOGUE_FILE", checkout().join("services/orders/catalogue.json"))
            .env("ORDERS_TRACKING_KEY", "11".repeat(32))
            .env("ORDERS_CURSOR_KEYS", format!("test:{}", "22".repeat(32)))
            .env("ORDERS_PUBLIC_URL", "http://orders.example");
        Self::start(process, keys, &["orders:write", "orders:read"]).await
    }

    async fn url_shortener(keys: &Keys) -> Self {
        let process = Process::builder(program("url-shortener"))
            .env("DATABASE_URL", Database::create("url_shortener").await.url())
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("LINKS_PUBLIC_URL", "http://links.example")
            .env("LINKS_CURSOR_KEYS", format!("test:{}", "33".repeat(32)));
        Self::start(process, keys, &["links:write", "links:read"]).await
    }

    async fn start(process: Builder, keys: &Keys, scopes: &[&str]) -> Self {
        // The spans of thousands of requests have no use.
        let process = process.env("OTEL_TRACES_EXPORTER", "none").spawn().await;
        Self { process, token: keys.token("acme", scopes) }
    }

    /// Runs the tool against the service; returns its output if it found a difference.
    async fn run_schemathesis(&self) -> Option<String> {
        let tool = checkout().join(".muster/tools/bin/schemathesis");
        assert!(tool.is_file(), "{} is missing: run `make contract`", tool.display());
        let output = Command::new(tool)
            .arg("--config-file")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/schemathesis.toml"))
            .arg("run")
            .arg(format!("{}/openapi.json", self.process.http_url()))
            .env("CONTRACT_TOKEN", &self.token)
            .current_dir(scratch_dir("schemathesis"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let output_text = || {
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        };
        (!output.status.success()).then(output_text)
    }

    /// The number of requests that the service answered, by its own metric.
    async fn n_requests(&self) -> f64 {
        let metrics = client().get(format!("{}/metrics", self.process.admin_url())).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let counts =
            metrics.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count{"));
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

#[tokio::test]
async fn every_response_matches_the_openapi_document() {
    let keys = Keys::generate(&scratch_dir("contract-keys"));
    let targets = [Target::orders(&keys).await, Target::url_shortener(&keys).await];

    let (orders, url_shortener) = tokio::join!(targets[0].run_schemathesis(), targets[1].run_schemathesis());

    let found: Vec<_> = [orders, url_shortener].into_iter().flatten().collect();
    assert!(found.is_empty(), "{}", found.join("\n\n"));
    let n_requests = targets[0].n_requests().await + targets[1].n_requests().await;
    assert!(n_requests >= MIN_REQUESTS, "{n_requests} requests only");
}
