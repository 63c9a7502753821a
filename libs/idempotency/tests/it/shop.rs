//! Replicas of the gift card shop over one database, and a client of them.

use std::{env, path::PathBuf, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use testkit::{Builder, Database, Keys, Process, client, scratch_dir, wait_for};

use crate::bank::Bank;

/// How long anything may take that is waited for.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// The lease of these replicas: short, for it is waited for.
pub(crate) const LEASE_S: u64 = 2;

pub(crate) struct Shop {
    pub(crate) database: Database,
    pub(crate) keys: Keys,
    pub(crate) bank: Bank,
}

impl Shop {
    pub(crate) async fn make() -> Self {
        let database = Database::create("gift_cards").await;
        Self { database, keys: Keys::generate(&scratch_dir("gift-cards-keys")), bank: Bank::open() }
    }

    pub(crate) fn replica(&self) -> Builder {
        Process::builder(executable())
            .env("DATABASE_URL", self.database.url())
            .env("AUTH_JWKS_FILE", self.keys.jwks_file())
            .env("BANK_URL", self.bank.url())
            .env("IDEMPOTENCY_LEASE_MS", (LEASE_S * 1_000).to_string())
            .env("REQUEST_TIMEOUT_MS", "15000")
    }

    pub(crate) fn with_fail_point(&self, specification: &str) -> Builder {
        self.replica().env("MUSTER_FAIL_POINTS", specification)
    }

    /// Buys a gift card; an error means that no answer came.
    pub(crate) async fn try_buy(&self, at: &Process, key: &str, amount: i64) -> reqwest::Result<Response> {
        let token = self.keys.token("acme", &["gift-cards:write"]);
        let request = client().post(format!("{}/v1/gift-cards", at.http_url())).bearer_auth(token);
        request.header("Idempotency-Key", key).json(&json!({ "amount_minor": amount })).send().await
    }

    pub(crate) async fn buy(&self, at: &Process, key: &str, amount: i64) -> Response {
        self.try_buy(at, key, amount).await.unwrap()
    }

    /// Buys as a client does that never gives up.
    pub(crate) async fn buy_until_done(&self, at: &Process, key: &str, amount: i64) -> Value {
        wait_for("the gift card", SOON, async || {
            let response = self.try_buy(at, key, amount).await.ok()?;
            (response.status() == StatusCode::CREATED).then_some(response)?.json().await.ok()
        })
        .await
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.database.connect().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Waits until this many keys are finished.
    pub(crate) async fn finished(&self, keys: i64) {
        wait_for("the operation to be finished", SOON, async || {
            let sql = "SELECT count(*) FROM idempotency_keys WHERE status IS NOT NULL";
            (self.count(sql).await == keys).then_some(())
        })
        .await;
    }

    /// Waits until the bank was called so often.
    pub(crate) async fn called(&self, times: usize) {
        wait_for("a call at the bank", SOON, async || (self.bank.calls() >= times).then_some(())).await;
    }

    /// Asserts one card, one charge and one key in all calls.
    pub(crate) async fn assert_one_effect(&self, context: &str) {
        assert_eq!(
            self.count("SELECT count(*) FROM gift_cards WHERE state = 'active'").await,
            1,
            "{context}"
        );
        assert_eq!(self.count("SELECT count(*) FROM gift_cards").await, 1, "{context}");
        assert_eq!((self.bank.charges(), self.bank.keys()), (1, 1), "{context}");
        let finished = "SELECT count(*) FROM idempotency_keys WHERE recovery_point = 'finished'";
        assert_eq!(self.count(finished).await, 1, "{context}");
    }
}

/// Returns a metric's value; zero when it is not there.
pub(crate) async fn metric(of: &Process, line: &str) -> f64 {
    let text =
        client().get(format!("{}/metrics", of.admin_url())).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|found| found.strip_prefix(line));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

pub(crate) fn signal(process: &Process, signal: Signal) {
    kill(Pid::from_raw(process.pid().try_into().unwrap()), signal).unwrap();
}

/// Waits until the kernel says that the process is stopped.
pub(crate) async fn stopped(process: &Process) {
    let path = format!("/proc/{}/stat", process.pid());
    wait_for("the process to freeze", SOON, async || {
        let stat = std::fs::read_to_string(&path).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T').then_some(())
    })
    .await;
}

/// Cargo builds examples before it runs tests, beside the directory of the tests.
pub(crate) fn executable() -> PathBuf {
    env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/gift_cards")
}
