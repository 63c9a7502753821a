//! Generated operations against the ledger and against a model in memory, compared after every step.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::wait_for;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::app::{Answer, App, SOON, Stall, new_key, send};

/// Number of generated cases, of about fifteen requests each.
const CASES: u32 = 12;

const CURRENCIES: [&str; 2] = ["EUR", "JPY"];
const STATES: [&str; 3] = ["open", "frozen", "closed"];

/// An operation. Numbers select an account or a transfer of those that exist.
#[derive(Clone, Debug)]
enum Operation {
    Transfer {
        source: usize,
        destination: usize,
        currency: usize,
        amount: i64,
    },
    Reverse {
        transfer: usize,
    },
    SetState {
        account: usize,
        state: usize,
    },
    /// Settles all pending transfers.
    Settle,
}

fn operation() -> impl Strategy<Value = Operation> {
    // Mostly in one currency, and from the account that can be overdrawn.
    let currency = prop_oneof![6 => Just(0_usize), 1 => Just(1)];
    let source = prop_oneof![2 => Just(0_usize), 3 => 0_usize..5];
    prop_oneof![
        6 => (source, 0_usize..5, currency, 1_i64..200).prop_map(|(source, destination, currency, amount)| {
            Operation::Transfer { source, destination, currency, amount }
        }),
        2 => (0_usize..8).prop_map(|transfer| Operation::Reverse { transfer }),
        2 => (0_usize..5, prop_oneof![3 => Just(0_usize), 2 => Just(1), 1 => Just(2)])
            .prop_map(|(account, state)| Operation::SetState { account, state }),
        2 => Just(Operation::Settle),
    ]
}

/// What the ledger should contain.
struct Model {
    accounts: Vec<Account>,
    transfers: Vec<Transfer>,
}

struct Account {
    id: String,
    currency: usize,
    may_overdraw: bool,
    state: &'static str,
    posted: i64,
    held: i64,
}

struct Transfer {
    id: String,
    source: usize,
    destination: usize,
    amount: i64,
    state: &'static str,
    reverses: Option<usize>,
}

/// The code of an error.
type Refused = Result<(), &'static str>;

impl Model {
    fn can_transfer(&self, source: usize, destination: usize, currency: usize, amount: i64) -> Refused {
        if source == destination {
            return Err("invalid_request");
        }
        for account in [&self.accounts[source], &self.accounts[destination]] {
            if account.currency != currency {
                return Err("currency_mismatch");
            }
            match account.state {
                "open" => {}
                "frozen" => return Err("account_frozen"),
                _ => return Err("account_closed"),
            }
        }
        let source = &self.accounts[source];
        if source.may_overdraw || source.posted - source.held >= amount {
            Ok(())
        } else {
            Err("insufficient_funds")
        }
    }

    fn can_reverse(&self, transfer: usize) -> Refused {
        let Transfer { source, destination, amount, state, reverses, .. } = self.transfers[transfer];
        let is_live = |other: &Transfer| other.reverses == Some(transfer) && other.state != "failed";
        if self.transfers.iter().any(is_live) {
            return Err("already_reversed");
        }
        if state != "succeeded" || reverses.is_some() {
            return Err("not_reversible");
        }
        self.can_transfer(destination, source, self.accounts[source].currency, amount)
    }

    fn can_set_state(&self, account: usize, state: &str) -> Refused {
        let has_pending = self.transfers.iter().any(|transfer| {
            transfer.state == "pending" && (transfer.source == account || transfer.destination == account)
        });
        let account = &self.accounts[account];
        if account.state == state {
            Ok(())
        } else if account.state == "closed" {
            Err("account_closed")
        } else if state == "closed" && (account.posted != 0 || has_pending) {
            Err("account_in_use")
        } else {
            Ok(())
        }
    }

    fn add(&mut self, transfer: Transfer) {
        self.accounts[transfer.source].held += transfer.amount;
        self.transfers.push(transfer);
    }

    fn settle(&mut self) {
        for at in 0..self.transfers.len() {
            let Transfer { source, destination, amount, state, reverses, .. } = self.transfers[at];
            if state != "pending" {
                continue;
            }
            self.accounts[source].held -= amount;
            let succeeds =
                [source, destination].iter().all(|account| self.accounts[*account].state == "open");
            if succeeds {
                self.accounts[source].posted -= amount;
                self.accounts[destination].posted += amount;
                if let Some(original) = reverses {
                    self.transfers[original].state = "reversed";
                }
            }
            self.transfers[at].state = if succeeds { "succeeded" } else { "failed" };
        }
    }
}

/// One case: a tenant of its own, whose transfers stay pending until they are settled.
struct Case<'a> {
    app: &'a App,
    tenant: String,
    stall: Option<Stall>,
    model: Model,
}

impl<'a> Case<'a> {
    /// Four accounts in one currency, of which the first can be overdrawn, and one in another currency.
    async fn begin(app: &'a App) -> Self {
        let tenant = Uuid::new_v4().to_string();
        let mut accounts = Vec::new();
        for (currency, may_overdraw) in [(0, true), (0, false), (0, false), (0, false), (1, false)] {
            let id = app.open_of(&tenant, CURRENCIES[currency], may_overdraw).await;
            accounts.push(Account { id, currency, may_overdraw, state: "open", posted: 0, held: 0 });
        }
        let stall = Some(app.stall().await);
        Self { app, tenant, stall, model: Model { accounts, transfers: Vec::new() } }
    }

    async fn run(&mut self, operation: &Operation) {
        match *operation {
            Operation::Transfer { source, destination, currency, amount } => {
                self.transfer(source, destination, currency, amount).await;
            }
            Operation::Reverse { transfer } if !self.model.transfers.is_empty() => {
                self.reverse(transfer % self.model.transfers.len()).await;
            }
            Operation::Reverse { .. } => {}
            Operation::SetState { account, state } => self.set_state(account, STATES[state]).await,
            Operation::Settle => self.settle().await,
        }
    }

    async fn transfer(&mut self, source: usize, destination: usize, currency: usize, amount: i64) {
        let id = |account: usize| &self.model.accounts[account].id;
        let money = json!({ "value": amount, "currency": CURRENCIES[currency] });
        let body = json!({ "source": id(source), "destination": id(destination), "amount": money, "reference": "x" });
        let expected = self.model.can_transfer(source, destination, currency, amount);
        let request = self.request(Method::POST, "/v1/transfers").header("Idempotency-Key", new_key());
        let answer = send(request.json(&body)).await;
        assert_as(expected, StatusCode::ACCEPTED, &answer);
        if expected.is_ok() {
            let (id, state, reverses) = (answer.id(), "pending", None);
            self.model.add(Transfer { id, source, destination, amount, state, reverses });
        }
    }

    async fn reverse(&mut self, original: usize) {
        let expected = self.model.can_reverse(original);
        let Transfer { ref id, source, destination, amount, .. } = self.model.transfers[original];
        let request = self.request(Method::POST, &format!("/v1/transfers/{id}/reversal"));
        let answer = send(request.header("Idempotency-Key", new_key())).await;
        assert_as(expected, StatusCode::ACCEPTED, &answer);
        if expected.is_ok() {
            let (id, state, reverses) = (answer.id(), "pending", Some(original));
            let (source, destination) = (destination, source);
            self.model.add(Transfer { id, source, destination, amount, state, reverses });
        }
    }

    async fn set_state(&mut self, account: usize, state: &'static str) {
        let expected = self.model.can_set_state(account, state);
        let path = format!("/v1/accounts/{}", self.model.accounts[account].id);
        let answer = send(self.request(Method::PATCH, &path).json(&json!({ "state": state }))).await;
        assert_as(expected, StatusCode::OK, &answer);
        if expected.is_ok() {
            self.model.accounts[account].state = state;
        }
    }

    async fn settle(&mut self) {
        if let Some(stall) = self.stall.take() {
            stall.end().await;
        }
        let pending = "SELECT count(*) FROM transfers WHERE state = 'pending'";
        wait_for("all transfers to be settled", SOON, async || {
            (self.app.count(pending).await == 0).then_some(())
        })
        .await;
        self.stall = Some(self.app.stall().await);
        self.model.settle();
    }

    /// Compares every account and every transfer with the model.
    async fn compare(&self) {
        let accounts = self.items("/v1/accounts").await;
        let expected = self.model.accounts.iter().map(|account| {
            let balance = json!({ "posted": account.posted, "available": account.posted - account.held });
            (json!(account.id), json!(account.state), balance)
        });
        let found = accounts
            .iter()
            .map(|account| (account["id"].clone(), account["state"].clone(), account["balance"].clone()));
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());

        let transfers = self.items("/v1/transfers").await;
        let expected =
            self.model.transfers.iter().map(|transfer| (json!(transfer.id), json!(transfer.state)));
        let found = transfers.iter().map(|transfer| (transfer["id"].clone(), transfer["state"].clone()));
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        for account in &self.model.accounts {
            assert!(account.may_overdraw || account.posted >= account.held, "{}", account.id);
        }
    }

    async fn items(&self, path: &str) -> Vec<Value> {
        let answer = send(self.request(Method::GET, &format!("{path}?order=oldest&limit=200"))).await;
        answer.body["items"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone()
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.app.request_of(&self.tenant, method, path)
    }
}

#[track_caller]
fn assert_as(expected: Refused, accepted: StatusCode, answer: &Answer) {
    match expected {
        Ok(()) => assert_eq!(answer.status, accepted, "{answer:?}"),
        Err(code) => assert_eq!(answer.body["code"], code, "{answer:?}"),
    }
}

#[test]
fn the_ledger_behaves_like_its_model() {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(App::start());
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let cases = prop::collection::vec(operation(), 10..25);
    let outcome = runner.run(&cases, |operations| {
        runtime.block_on(async {
            let mut case = Case::begin(&app).await;
            for operation in &operations {
                case.run(operation).await;
                case.compare().await;
            }
            case.settle().await;
            case.compare().await;
            app.assert_sound().await;
        });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
