//! Starts a ledger with its own database, topic, keys and bank, and a client.

use std::{
    process::{Command, Output},
    time::Duration,
};

use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use testkit::{Builder, Database, Keys, Process, Topics, client, endpoints, scratch_dir, wait_for};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::bank::{self, Bank};

/// Timeout for a transfer to be settled, and for the service to recover.
pub(crate) const SOON: Duration = Duration::from_secs(90);

const SCOPES: [&str; 4] = ["accounts:read", "accounts:write", "transfers:read", "transfers:write"];

/// A running service with its parts.
pub(crate) struct App {
    pub(crate) process: Process,
    pub(crate) database: Database,
    pub(crate) topics: Topics,
    pub(crate) keys: Keys,
    pub(crate) bank: Bank,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `null` if the body is not JSON.
    pub(crate) body: Value,
}

/// Until [`Stall::end`], new transfers are not due.
pub(crate) struct Stall(Client);

impl App {
    pub(crate) async fn start() -> Self {
        Self::start_with(async |_, service| service).await
    }

    /// Starts the service with other settings; they can depend on the database.
    pub(crate) async fn start_with(settings: impl AsyncFnOnce(&Database, Builder) -> Builder) -> Self {
        Self::start_at(Bank::start().await, settings).await
    }

    /// The same with this bank.
    pub(crate) async fn start_at(
        bank: Bank,
        settings: impl AsyncFnOnce(&Database, Builder) -> Builder,
    ) -> Self {
        let database = Database::create("ledger").await;
        let topics = Topics::create(&[("payments.events", 3)]).await;
        let keys = Keys::generate(&scratch_dir("ledger-keys"));
        let builder = service(&database, &topics, &keys, &bank);
        let process = settings(&database, builder).await.spawn().await;
        Self { process, database, topics, keys, bank }
    }

    /// Starts a second replica on the same database.
    pub(crate) async fn replica(&self) -> Process {
        service(&self.database, &self.topics, &self.keys, &self.bank).spawn().await
    }

    /// Restarts the service with these fail points.
    pub(crate) async fn arm(&mut self, trap: &str) {
        self.process.set_env("MUSTER_FAIL_POINTS", trap);
        self.process.restart().await;
    }

    /// Waits until a fail point has killed the service, and starts it again without one.
    pub(crate) async fn restart_after_kill(&mut self, point: &str) {
        let status = self.process.wait_exit(SOON).await;
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{point}: {status}");
        self.process.remove_env("MUSTER_FAIL_POINTS");
        self.process.restart().await;
    }

    pub(crate) fn request_of(&self, tenant: &str, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.process.http_url());
        client().request(method, url).bearer_auth(self.keys.token(tenant, &SCOPES))
    }

    /// A request of the tenant `acme` with every scope.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_of("acme", method, path)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    /// Sends a POST with a key.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
    }

    /// Creates an account in this currency and returns its id.
    pub(crate) async fn open(&self, currency: &str, may_overdraw: bool) -> String {
        self.open_of("acme", currency, may_overdraw).await
    }

    pub(crate) async fn open_of(&self, tenant: &str, currency: &str, may_overdraw: bool) -> String {
        let body = json!({ "kind": "customer", "currency": currency, "may_overdraw": may_overdraw });
        let request = self.request_of(tenant, Method::POST, "/v1/accounts");
        let created = send(request.header("Idempotency-Key", new_key()).json(&body)).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
        created.id()
    }

    /// Creates an account that has this balance, in euros.
    pub(crate) async fn funded(&self, amount: i64) -> String {
        let (source, account) = (self.open("EUR", true).await, self.open("EUR", false).await);
        self.paid(&source, &account, amount).await;
        account
    }

    /// Sends a transfer of euros.
    pub(crate) async fn transfer(&self, source: &str, destination: &str, amount: i64) -> Answer {
        self.post("/v1/transfers", &new_key(), &transfer(source, destination, amount)).await
    }

    /// Makes a transfer of euros, checks that it is accepted, and returns its id.
    pub(crate) async fn accepted(&self, source: &str, destination: &str, amount: i64) -> String {
        let accepted = self.transfer(source, destination, amount).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{accepted:?}");
        accepted.id()
    }

    /// Makes a transfer of euros that succeeds, and returns its id.
    pub(crate) async fn paid(&self, source: &str, destination: &str, amount: i64) -> String {
        let id = self.accepted(source, destination, amount).await;
        assert_eq!(self.settled(&id).await["state"], "succeeded");
        id
    }

    pub(crate) async fn reverse(&self, id: &str, key: &str) -> Answer {
        let request = self.request(Method::POST, &format!("/v1/transfers/{id}/reversal"));
        send(request.header("Idempotency-Key", key)).await
    }

    /// Polls a transfer until it is not pending.
    pub(crate) async fn settled(&self, id: &str) -> Value {
        wait_for(&format!("transfer {id} to be settled"), SOON, async || {
            let request = self.request(Method::GET, &format!("/v1/transfers/{id}"));
            let transfer: Value = request.send().await.ok()?.json().await.ok()?;
            (transfer["state"].as_str()? != "pending").then_some(transfer)
        })
        .await
    }

    pub(crate) async fn account(&self, id: &str) -> Value {
        let answer = self.get(&format!("/v1/accounts/{id}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body
    }

    /// Returns the balance of an account: posted and available.
    pub(crate) async fn balance(&self, id: &str) -> (i64, i64) {
        let balance = &self.account(id).await["balance"];
        (balance["posted"].as_i64().unwrap(), balance["available"].as_i64().unwrap())
    }

    pub(crate) async fn set_state(&self, id: &str, state: &str) -> Answer {
        let request = self.request(Method::PATCH, &format!("/v1/accounts/{id}"));
        send(request.json(&json!({ "state": state }))).await
    }

    /// Prevents that the bank learns of new transfers, until [`Stall::end`].
    pub(crate) async fn stall(&self) -> Stall {
        let stall = "\
CREATE OR REPLACE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.due_at := 'infinity'; RETURN NEW; END $$;
CREATE OR REPLACE TRIGGER stall BEFORE INSERT ON settlements FOR EACH ROW EXECUTE FUNCTION stall()";
        let session = self.database.connect().await;
        session.batch_execute(stall).await.unwrap();
        Stall(session)
    }

    /// Runs `ledger check`.
    pub(crate) fn check(&self) -> Output {
        let mut job = Command::new(env!("CARGO_BIN_EXE_ledger"));
        job.arg("check").env_clear().env("OTEL_TRACES_EXPORTER", "none").env("LOG_FORMAT", "json");
        job.env("DATABASE_URL", self.database.url()).output().unwrap()
    }

    /// Checks that the ledger has no break, and that all postings sum to zero.
    pub(crate) async fn assert_sound(&self) {
        let checked = self.check();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        let unequal = "\
SELECT count(*) FROM (SELECT currency FROM postings GROUP BY tenant, currency HAVING sum(amount) <> 0) AS unequal";
        assert_eq!(self.count(unequal).await, 0);
        assert_eq!(
            self.count("SELECT count(*) FROM accounts WHERE NOT may_overdraw AND posted < held").await,
            0
        );
    }

    /// Returns the result of a `count(*)` query.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.database.connect().await.query_one(sql, &[]).await.unwrap().get(0)
    }
}

impl Stall {
    /// Makes the transfers due.
    pub(crate) async fn end(self) {
        let end = "DROP TRIGGER stall ON settlements; UPDATE settlements SET due_at = now()";
        self.0.batch_execute(end).await.unwrap();
    }
}

impl Answer {
    /// Returns a header; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }

    /// Checks that this is an error with this status and code, whose details name these places.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str, pointers: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.body["code"], code, "{self:?}");
        let details = self.body["details"].as_array().unwrap().iter();
        let found: Vec<_> = details.map(|detail| detail["pointer"].as_str().unwrap()).collect();
        assert_eq!(found, pointers, "{self:?}");
    }
}

fn service(database: &Database, topics: &Topics, keys: &Keys, bank: &Bank) -> Builder {
    Process::builder(env!("CARGO_BIN_EXE_ledger"))
        .env("DATABASE_URL", database.url())
        .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
        .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
        .env("AUTH_JWKS_FILE", keys.jwks_file())
        .env("LEDGER_EVENTS_TOPIC", topics.name("payments.events"))
        .env("LEDGER_CURSOR_KEYS", format!("test:{}", "22".repeat(32)))
        .env("LEDGER_BANK_URL", bank.url())
        .env("LEDGER_BANK_KEY", bank::KEY)
        // Nothing listens there; tests of webhooks name another one.
        .env("LEDGER_WEBHOOK_URL", "http://127.0.0.1:9/v1/bank/notifications")
        .env("LEDGER_WEBHOOK_KEYS", bank::WEBHOOK_KEY)
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default() }
}

/// The body of a transfer of euros.
pub(crate) fn transfer(source: &str, destination: &str, amount: i64) -> Value {
    let amount = json!({ "value": amount, "currency": "EUR" });
    json!({ "source": source, "destination": destination, "amount": amount, "reference": "Invoice 7" })
}

pub(crate) fn new_key() -> String {
    Uuid::new_v4().to_string()
}
