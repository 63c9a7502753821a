//! How orders are placed: each with a key of its own, and some of them more than once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use rand::RngExt as _;
use uuid::Uuid;

use super::{ORDERS, READABLE, REPEATABLE, Shop, Ticket, pause_after, uri};
use crate::connections::{Answer, Failure, Request};
use crate::reconcile::{FaultKind, Line, Order, Promise};

impl Shop {
    pub(super) fn place_order(
        &mut self,
        repeat: f64,
        due_at: Instant,
        counted: bool,
    ) -> (usize, Request, Ticket) {
        let is_repetition = self.rng.random::<f64>() < repeat && !self.repeatable.is_empty();
        let key = if is_repetition { self.key_to_repeat() } else { self.new_order(due_at, counted) };
        (ORDERS, self.placing(key), Ticket::PlaceOrder(key))
    }

    fn key_to_repeat(&mut self) -> Uuid {
        let key = self.repeatable[self.rng.random_range(0..self.repeatable.len())];
        if let Some(promise) = self.told.orders.get_mut(&key) {
            promise.n_sends += 1;
        }
        key
    }

    /// Makes up an order, under a key that no run ever had.
    pub(super) fn new_order(&mut self, due_at: Instant, counted: bool) -> Uuid {
        let key = Uuid::new_v4();
        let first = self.rng.random_range(0..self.skus.len());
        let n_lines = self.rng.random_range(1..=2.min(self.skus.len()));
        let skus = self.skus.iter().cycle().skip(first).take(n_lines).cloned();
        let lines: Vec<Line> = skus.map(|sku| Line { sku, quantity: 1 }).collect();
        let promise = Promise { due_at, counted, n_sends: 1, lines, ids: BTreeSet::new(), refusal: None };
        self.told.orders.insert(key, promise);
        if self.repeatable.len() == REPEATABLE {
            self.repeatable.pop_front();
        }
        self.repeatable.push_back(key);
        key
    }

    /// The request under this key, always the same.
    pub(super) fn placing(&self, key: Uuid) -> Request {
        let lines = self.told.orders.get(&key).map(|promise| {
            let line = |line: &Line| serde_json::json!({ "sku": line.sku, "quantity": line.quantity });
            promise.lines.iter().map(line).collect::<Vec<_>>()
        });
        let body = serde_json::json!({ "customer_email": self.customer, "lines": lines.unwrap_or_default() });
        let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = uri("/v1/orders");
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let key = HeaderValue::from_str(&key.to_string()).expect("a UUID is a header value");
        headers.insert("idempotency-key", key);
        request
    }

    /// Keeps what an answer says, and decides whether the same request is sent once more.
    pub(super) fn judge_order(
        &mut self,
        key: Uuid,
        answer: &Result<Answer, Failure>,
        n_tries: u32,
        retries: u32,
    ) -> Option<Duration> {
        match answer {
            Ok(answer) if answer.status == StatusCode::ACCEPTED => {
                self.accepted(key, answer);
                None
            }
            Ok(answer) if !is_worth_another_try(answer.status) => {
                let refusal = format!("HTTP {}", answer.status.as_u16());
                self.told.orders.get_mut(&key)?.refusal = Some(refusal);
                None
            }
            Err(Failure::Dropped) => {
                self.never_sent(key);
                None
            }
            Ok(_) | Err(Failure::Timeout | Failure::Connect | Failure::Broken) => {
                let promise = self.told.orders.get_mut(&key)?;
                let again = promise.ids.is_empty() && n_tries <= retries;
                promise.n_sends += u32::from(again);
                again.then(|| pause_after(n_tries, answer))
            }
        }
    }

    fn accepted(&mut self, key: Uuid, answer: &Answer) {
        let order: Order = match serde_json::from_slice(&answer.body) {
            Ok(order) => order,
            Err(error) => {
                return self
                    .fault(FaultKind::Different, format!("key {key} was accepted with no order: {error}"));
            }
        };
        let Some(promise) = self.told.orders.get_mut(&key) else { return };
        if promise.ids.insert(order.id) {
            if self.readable.len() == READABLE {
                self.readable.pop_front();
            }
            self.readable.push_back(order.id);
        }
    }

    /// A request that nobody sent promises nothing.
    fn never_sent(&mut self, key: Uuid) {
        let Some(promise) = self.told.orders.get_mut(&key) else { return };
        promise.n_sends = promise.n_sends.saturating_sub(1);
        if promise.n_sends == 0 && promise.ids.is_empty() {
            self.told.orders.remove(&key);
            self.repeatable.retain(|repeatable| *repeatable != key);
        }
    }
}

/// A request with an idempotency key can be repeated whenever the answer is not about the request.
pub(super) fn is_worth_another_try(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS
        )
}
