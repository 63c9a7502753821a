//! A person who works with dead letters through the API.

use reqwest::{Method, StatusCode};
use serde_json::Value;
use testkit::{Process, client, wait_for};

use crate::{
    orders::Order,
    world::{SOON, World},
};

/// The scopes of an operator.
const SCOPES: [&str; 2] = ["dead-letters:read", "dead-letters:write"];

/// A caller of the API of one process.
pub(crate) struct Operator {
    base: String,
    token: Option<String>,
}

impl Operator {
    pub(crate) fn of(world: &World, consumer: &Process) -> Self {
        Self::with_scopes(world, consumer, &SCOPES)
    }

    pub(crate) fn with_scopes(world: &World, consumer: &Process, scopes: &[&str]) -> Self {
        Self { base: consumer.http_url(), token: Some(world.token(scopes)) }
    }

    pub(crate) fn without_token(consumer: &Process) -> Self {
        Self { base: consumer.http_url(), token: None }
    }

    /// Sends a request below `/v1/dead-letters`.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = client().request(method, format!("{}/v1/dead-letters{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Returns the open letters of all pages; `filters` begins with `&` or is empty.
    pub(crate) async fn list(&self, filters: &str) -> Vec<Value> {
        self.pages(Method::GET, "", filters, None).await
    }

    /// Returns the letters that were replayed, or would be in a dry run.
    pub(crate) async fn replay(&self, parameters: &str) -> Vec<Value> {
        self.pages(Method::POST, "/replay", parameters, None).await
    }

    pub(crate) async fn discard(&self, parameters: &str, reason: &str) -> Vec<Value> {
        let body = serde_json::json!({ "reason": reason });
        self.pages(Method::POST, "/discard", parameters, Some(body)).await
    }

    pub(crate) async fn show(&self, letter: &Value) -> Value {
        let (status, shown) = self.send(Method::GET, &format!("/{}", id(letter)), None).await;
        assert_eq!(status, StatusCode::OK, "{shown}");
        shown
    }

    /// Waits until there are so many open letters.
    pub(crate) async fn wait_for(&self, n_letters: usize) -> Vec<Value> {
        wait_for(&format!("{n_letters} open letters"), SOON, async || {
            let letters = self.list("").await;
            (letters.len() == n_letters).then_some(letters)
        })
        .await
    }

    async fn pages(&self, method: Method, path: &str, parameters: &str, body: Option<Value>) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{path}?limit=100{parameters}{cursor}");
            let (status, page) = self.send(method.clone(), &path, body.clone()).await;
            assert_eq!(status, StatusCode::OK, "{path}: {page}");
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next"].as_str() else { return items };
            cursor = format!("&cursor={next}");
        }
    }
}

/// The id of a letter.
pub(crate) fn id(letter: &Value) -> &str {
    letter["id"].as_str().unwrap()
}

/// A constraint without which every event could be handled.
pub(crate) struct Fault<'a>(&'a World);

impl<'a> Fault<'a> {
    pub(crate) async fn inject(world: &'a World) -> Self {
        world.execute("ALTER TABLE mails ADD CONSTRAINT refuses_all CHECK (tenant = '') NOT VALID").await;
        Self(world)
    }

    pub(crate) async fn repair(self) {
        self.0.execute("ALTER TABLE mails DROP CONSTRAINT refuses_all").await;
    }
}

/// Publishes an event for each of some new orders, and waits until each is a letter.
pub(crate) async fn letters(world: &World, operator: &Operator, n_letters: usize) -> Vec<Order> {
    let orders: Vec<Order> = (0..n_letters).map(|_| Order::new()).collect();
    for order in &orders {
        world.publisher.publish(order, &order.confirmed()).await;
    }
    operator.wait_for(n_letters).await;
    orders
}
