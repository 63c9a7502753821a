//! Visits to one short link, again and again, while something happens to the services.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use loadtest::target::Token;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::readiness::http_client;

/// How long a visitor waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many visits are made each second.
const RATE: f64 = 20.0;

/// How many visits may be under way; none is begun above that, which the count shows.
const IN_FLIGHT_LIMIT: usize = 100;

/// Where the link leads.
const TARGET: &str = "https://www.example.com/";

/// What came of the visits so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    pub(super) n_redirected: usize,
    pub(super) failures: Vec<String>,
}

/// Visits that go on until this is dropped.
#[derive(Debug)]
pub(super) struct Visits {
    code: String,
    count: Arc<Mutex<Count>>,
    visiting: JoinHandle<()>,
}

impl Visits {
    /// Makes a link, and begins to follow it.
    pub(super) async fn begin(links_url: &str, token: &Token) -> anyhow::Result<Self> {
        let code = hex::encode(rand::random::<[u8; 8]>());
        let response = http_client()
            .put(format!("{links_url}/v1/links/{code}"))
            .bearer_auth(token.expose())
            .json(&json!({ "target": TARGET }))
            .send()
            .await
            .context("PUT of a link: no answer")?;
        ensure!(response.status() == 201, "PUT of a link answers {}", response.status());
        let count = Arc::new(Mutex::new(Count::default()));
        let visiting = tokio::spawn(visit_again_and_again(format!("{links_url}/{code}"), Arc::clone(&count)));
        Ok(Self { code, count, visiting })
    }

    /// The link's code, and where it was said to lead.
    pub(super) fn link(&self) -> (String, String) {
        (self.code.clone(), TARGET.to_owned())
    }

    /// Ends them, and says what came of those that have ended.
    pub(super) fn end(self) -> Count {
        self.count.lock().expect("nobody panics with this lock").clone()
    }
}

impl Drop for Visits {
    fn drop(&mut self) {
        self.visiting.abort();
    }
}

async fn visit_again_and_again(link: String, count: Arc<Mutex<Count>>) {
    let mut ticks = interval(Duration::from_secs_f64(1.0 / RATE));
    let mut visits = tokio::task::JoinSet::new();
    loop {
        ticks.tick().await;
        while visits.try_join_next().is_some() {}
        if visits.len() < IN_FLIGHT_LIMIT {
            visits.spawn(visit(link.clone(), Arc::clone(&count)));
        }
    }
}

async fn visit(link: String, count: Arc<Mutex<Count>>) {
    let outcome = http_client().get(&link).timeout(PATIENCE).send().await;
    let mut count = count.lock().expect("nobody panics with this lock");
    match outcome {
        Ok(response) if response.status() == 302 => count.n_redirected += 1,
        Ok(response) => count.failures.push(format!("GET of a link: HTTP {}", response.status())),
        Err(error) => count.failures.push(format!("GET of a link: {:#}", anyhow::Error::new(error))),
    }
}
