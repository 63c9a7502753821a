//! Orders: each has its own idempotency key, and some requests are repeated.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use rand::RngExt as _;
use uuid::Uuid;

use super::{MAX_READABLE, MAX_REPEATABLE, Shop, backoff};
use crate::{
    connections::{Answer, Failure, Request},
    reconcile::{FaultKind, Line, Order, OrderRecord},
};

impl Shop {
    /// The key of the next request: with probability `repeat` an earlier one.
    pub(super) fn next_key(&mut self, repeat: f64, due_at: Instant, counted: bool) -> Uuid {
        if self.rng.random::<f64>() >= repeat || self.repeatable.is_empty() {
            return self.new_order(due_at, counted);
        }
        let key = self.repeatable[self.rng.random_range(0..self.repeatable.len())];
        if let Some(record) = self.log.orders.get_mut(&key) {
            record.n_sends += 1;
        }
        key
    }

    /// Makes an order of one or two products, and returns its new key.
    pub(super) fn new_order(&mut self, due_at: Instant, counted: bool) -> Uuid {
        let key = Uuid::new_v4();
        let first = self.rng.random_range(0..self.skus.len());
        let n_lines = self.rng.random_range(1..=2.min(self.skus.len()));
        let skus = self.skus.iter().cycle().skip(first).take(n_lines).cloned();
        let lines = skus.map(|sku| Line { sku, quantity: 1 }).collect();
        self.log.orders.insert(key, OrderRecord::new(due_at, counted, lines));
        push_bounded(&mut self.repeatable, MAX_REPEATABLE, key);
        key
    }

    /// The request of this key, always the same.
    pub(super) fn order_request(&self, key: Uuid) -> Request {
        let lines = self.log.orders.get(&key).map_or(&[][..], |record| &record.lines);
        self.api.place_order(key, &self.customer, lines)
    }

    /// Records an answer; returns the pause before the next try of the same request, or nothing when it needs no retry.
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
            Ok(answer) if !is_retryable(answer.status) => {
                let refusal = format!("HTTP {}: {}", answer.status.as_u16(), answer.excerpt());
                self.log.orders.get_mut(&key)?.refusal = Some(refusal);
                None
            }
            Err(Failure::Dropped) => {
                self.dropped(key);
                None
            }
            Ok(_) | Err(Failure::Timeout | Failure::Connect | Failure::Broken) => {
                let gave_up = self.gave_up.is_cancelled();
                let record = self.log.orders.get_mut(&key)?;
                let retry = record.ids.is_empty() && n_tries <= retries && !gave_up;
                record.n_sends += u32::from(retry);
                retry.then(|| backoff(n_tries, answer))
            }
        }
    }

    fn accepted(&mut self, key: Uuid, answer: &Answer) {
        let order: Order = match answer.json() {
            Ok(order) => order,
            Err(error) => {
                return self.fault(
                    FaultKind::Different,
                    format!("key {key} was accepted without an order: {error:#}"),
                );
            }
        };
        let Some(record) = self.log.orders.get_mut(&key) else { return };
        if record.ids.insert(order.id) {
            push_bounded(&mut self.readable, MAX_READABLE, order.id);
        }
    }

    /// A request that was not sent leaves no record.
    fn dropped(&mut self, key: Uuid) {
        let Some(record) = self.log.orders.get_mut(&key) else { return };
        record.n_sends = record.n_sends.saturating_sub(1);
        if record.n_sends == 0 && record.ids.is_empty() {
            self.log.orders.remove(&key);
            self.repeatable.retain(|repeatable| *repeatable != key);
        }
    }
}

fn push_bounded(queue: &mut std::collections::VecDeque<Uuid>, bound: usize, id: Uuid) {
    if queue.len() == bound {
        queue.pop_front();
    }
    queue.push_back(id);
}

/// A request with an idempotency key can be repeated, unless the answer rejects the request itself.
pub(super) fn is_retryable(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 429)
}
