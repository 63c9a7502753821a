//! Starts the bank of a ledger under test.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};
use testkit::{Process, client, scratch_dir};

pub(crate) const KEY: &str = "key-of-the-test-bank";
pub(crate) const WEBHOOK_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A running bank, which decides within 5 ms unless a test says otherwise.
pub(crate) struct Bank(pub(crate) Process);

impl Bank {
    /// Another package contains the program, so cargo does not build it for these tests.
    pub(crate) async fn start() -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_ledger")).with_file_name("bank");
        assert!(
            program.is_file(),
            "{} is missing: build it first with `cargo build --workspace`, as `make test` does",
            program.display()
        );
        let bank = Process::builder(program)
            .env("BANK_JOURNAL", scratch_dir("bank").join("journal"))
            .env("BANK_KEY", KEY)
            .env("BANK_WEBHOOK_KEYS", WEBHOOK_KEY)
            .env("BANK_DELAY_MIN_MS", "0")
            .env("BANK_DELAY_MAX_MS", "5");
        Self(bank.spawn().await)
    }

    pub(crate) fn url(&self) -> String {
        self.0.http_url()
    }

    /// Returns `host:port` of its API.
    pub(crate) fn addr(&self) -> String {
        self.url().replace("http://", "")
    }

    /// Replaces the misbehaviour. Decisions are made at once, unless it says otherwise.
    pub(crate) async fn misbehave(&self, mut misbehaviour: Value) {
        for name in ["delay_min_ms", "delay_max_ms"] {
            misbehaviour.as_object_mut().unwrap().entry(name).or_insert_with(|| 0.into());
        }
        let url = format!("{}/misbehaviour", self.0.admin_url());
        let answer = client().put(url).json(&misbehaviour).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{answer:?}");
    }

    /// Behaves and decides at once.
    pub(crate) async fn behave(&self) {
        self.misbehave(json!({})).await;
    }

    /// Returns the status of an instruction; `None` if the bank does not know it.
    pub(crate) async fn status(&self, id: &str) -> Option<String> {
        let instruction = self.get(&format!("/v1/instructions/{id}")).await;
        instruction["status"].as_str().map(str::to_owned)
    }

    /// The ids of the settled instructions, up to 100.
    pub(crate) async fn settled(&self) -> BTreeSet<String> {
        let statement = self.get("/v1/statement").await;
        let items = statement["items"].as_array().unwrap_or_else(|| panic!("{statement}"));
        let ids: BTreeSet<_> = items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), items.len(), "an instruction is settled once");
        ids
    }

    async fn get(&self, path: &str) -> Value {
        let request = client().get(format!("{}{path}", self.url())).bearer_auth(KEY);
        request.send().await.unwrap().json().await.unwrap()
    }
}
