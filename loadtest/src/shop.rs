//! The clients of a load test: they follow links, place orders and read them.

mod orders;
mod prepare;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hyper::{
    StatusCode,
    header::{LOCATION, RETRY_AFTER},
};
pub use prepare::prepare;
use rand::{
    RngExt as _, SeedableRng as _,
    distr::{Distribution as _, weighted::WeightedIndex},
    rngs::SmallRng,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    api::Api,
    connections::{Answer, Failure, Request, get},
    engine::{Judgement, Outgoing, Workload},
    reconcile::{ClientLog, Fault, FaultKind, Order},
    recording::Outcome,
    scenario::{Kind, Operation},
    target::Target,
};

/// The indexes of the servers.
pub(crate) const ORDERS: usize = 0;
pub(crate) const LINKS: usize = 1;

/// Maximum number of orders to read from: the most recent ones.
const MAX_READABLE: usize = 10_000;

/// Maximum number of keys to repeat: recent enough that some of their first requests are still in flight.
const MAX_REPEATABLE: usize = 64;

/// Maximum number of recorded faults.
const MAX_FAULTS: usize = 1_000;

/// Maximum pause that a server can request with `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Maximum of the clients' own backoff. With a shorter one, thousands of clients in retries keep an overloaded service overloaded.
const MAX_BACKOFF_MS: u64 = 10_000;

/// The state of all clients of a run.
#[derive(Debug)]
pub struct Shop {
    operations: Vec<Operation>,
    /// Chooses an operation by the shares.
    mix: WeightedIndex<f64>,
    skus: Vec<String>,
    customer: String,
    api: Api,
    rng: SmallRng,
    links: Vec<Link>,
    readable: VecDeque<Uuid>,
    repeatable: VecDeque<Uuid>,
    gave_up: CancellationToken,
    log: ClientLog,
}

#[derive(Debug)]
struct Link {
    request: Request,
    target: String,
}

/// What a request in flight is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// The index of the link.
    Redirect(usize),
    /// The id of the order.
    ReadOrder(Uuid),
    /// The idempotency key of the order.
    PlaceOrder(Uuid),
}

impl Shop {
    /// Clients that act for the target's tenant and order for one customer.
    pub fn new(operations: Vec<Operation>, seed: u64, target: &Target, api: Api, customer: &str) -> Self {
        let shares = operations.iter().map(|operation| operation.share);
        Self {
            mix: WeightedIndex::new(shares).expect("a scenario has operations with positive shares"),
            operations,
            skus: target.skus.clone(),
            customer: customer.to_owned(),
            api,
            // Not the schedule's sequence: the mix would depend on the gaps.
            rng: SmallRng::seed_from_u64(seed.wrapping_add(1)),
            links: Vec::new(),
            readable: VecDeque::new(),
            repeatable: VecDeque::new(),
            gave_up: CancellationToken::new(),
            log: ClientLog::default(),
        }
    }

    /// Clients that plan no retry after `gave_up` is cancelled. One that waits for its next try sends it.
    #[must_use]
    pub fn until(mut self, gave_up: CancellationToken) -> Self {
        self.gave_up = gave_up;
        self
    }

    /// Returns what all clients were answered.
    pub fn into_log(self) -> ClientLog {
        self.log
    }

    fn add_link(&mut self, code: String, target: String) -> anyhow::Result<()> {
        self.links.push(Link { request: get(&format!("/{code}"))?, target: target.clone() });
        self.log.links.insert(code, target);
        Ok(())
    }

    fn fault(&mut self, kind: FaultKind, what: String) {
        if self.log.faults.len() < MAX_FAULTS {
            self.log.faults.push(Fault::new(kind, what));
        }
    }

    fn judge_redirect(&mut self, index: usize, answer: &Answer) {
        let link = &self.links[index];
        if answer.status == StatusCode::FOUND && answer.header(LOCATION) != link.target {
            let what = format!("link {} redirected to another target", link.request.uri());
            self.fault(FaultKind::Different, what);
        }
    }

    fn judge_read(&mut self, id: Uuid, answer: &Answer) {
        if answer.status == StatusCode::NOT_FOUND {
            self.fault(FaultKind::Missing, format!("a read of order {id} was answered with 404"));
        } else if answer.status == StatusCode::OK
            && answer.json().ok().is_none_or(|order: Order| order.id != id)
        {
            self.fault(FaultKind::Different, format!("a read of order {id} returned something else"));
        }
    }

    /// Whether another request with the same key may be in flight.
    fn has_twin(&self, ticket: &Ticket) -> bool {
        let Ticket::PlaceOrder(key) = ticket else { return false };
        self.log.orders.get(key).is_some_and(|record| record.n_sends > 1)
    }
}

impl Workload for Shop {
    type Ticket = Ticket;

    fn next(&mut self, due_at: Instant, counted: bool) -> Outgoing<Ticket> {
        let operation = self.mix.sample(&mut self.rng);
        let (server, request, ticket) = match self.operations[operation].kind {
            Kind::Redirect => {
                let index = self.rng.random_range(0..self.links.len());
                (LINKS, self.links[index].request.clone(), Ticket::Redirect(index))
            }
            Kind::ReadOrder => {
                let id = self.readable[self.rng.random_range(0..self.readable.len())];
                (ORDERS, self.api.read_order(id), Ticket::ReadOrder(id))
            }
            Kind::PlaceOrder => {
                let key = self.next_key(self.operations[operation].repeat, due_at, counted);
                (ORDERS, self.order_request(key), Ticket::PlaceOrder(key))
            }
        };
        Outgoing { operation, server, request, ticket }
    }

    fn judge(&mut self, ticket: &Ticket, answer: &Result<Answer, Failure>, n_tries: u32) -> Judgement {
        let kind = match ticket {
            Ticket::Redirect(_) => Kind::Redirect,
            Ticket::ReadOrder(_) => Kind::ReadOrder,
            Ticket::PlaceOrder(_) => Kind::PlaceOrder,
        };
        let operation = self.operations.iter().find(|operation| operation.kind == kind);
        let (expect, retries) = operation.map_or((&[][..], 0), |found| (&found.expect[..], found.retries));
        let outcome = match answer {
            Ok(answer) if expect.contains(&answer.status.as_u16()) => Outcome::Expected,
            // Of two requests with one key in flight, the second is answered with a conflict.
            Ok(answer) if answer.status == StatusCode::CONFLICT && self.has_twin(ticket) => Outcome::Expected,
            Ok(answer) => Outcome::Failed(format!("HTTP {}", answer.status.as_u16())),
            Err(failure) => Outcome::from(*failure),
        };
        let mut retry_after = None;
        match (ticket, answer) {
            (Ticket::PlaceOrder(key), _) => retry_after = self.judge_order(*key, answer, n_tries, retries),
            (Ticket::Redirect(index), Ok(answer)) => self.judge_redirect(*index, answer),
            (Ticket::ReadOrder(id), Ok(answer)) => self.judge_read(*id, answer),
            (Ticket::Redirect(_) | Ticket::ReadOrder(_), Err(_)) => {}
        }
        Judgement { outcome, retry_after }
    }
}

/// Backoff with full jitter, added to the server's `Retry-After`.
fn backoff(n_tries: u32, answer: &Result<Answer, Failure>) -> Duration {
    let max_ms = 100_u64.saturating_mul(1 << n_tries.min(10)).min(MAX_BACKOFF_MS);
    let requested = answer.as_ref().ok().and_then(|answer| answer.header(RETRY_AFTER).parse().ok());
    let requested = Duration::from_secs(requested.unwrap_or(0)).min(MAX_RETRY_AFTER);
    requested + Duration::from_millis(rand::random_range(0..=max_ms))
}
