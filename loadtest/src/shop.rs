//! The clients of Muster: people who follow links, place orders and look at them.

mod orders;
mod prepare;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{StatusCode, Uri};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use uuid::Uuid;

use crate::connections::{Answer, Failure, Request};
use crate::engine::{Judgement, Outgoing, Workload};
use crate::reconcile::{Fault, FaultKind, Told};
use crate::recording::Ending;
use crate::scenario::{Kind, Operation, Scenario};
use crate::target::{Target, Token};

pub use prepare::prepare;

/// The servers, in the order in which the engine is given them.
pub(crate) const ORDERS: usize = 0;
pub(crate) const LINKS: usize = 1;

/// Orders that reads choose from: the most recent ones.
const READABLE: usize = 10_000;

/// Keys that repetitions choose from: recent enough for some of their first requests to be under way still.
const REPEATABLE: usize = 64;

/// Faults that are kept one by one.
const KEPT_FAULTS: usize = 1_000;

/// The longest pause that a server can make a client take.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The state of all clients of a run.
#[derive(Debug)]
pub struct Shop {
    operations: Vec<Operation>,
    skus: Vec<String>,
    customer: String,
    authorization: HeaderValue,
    rng: SmallRng,
    links: Vec<Link>,
    readable: VecDeque<Uuid>,
    repeatable: VecDeque<Uuid>,
    told: Told,
}

#[derive(Debug)]
struct Link {
    uri: Uri,
    target: String,
}

/// What is remembered of a request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// The link that is followed.
    Redirect(usize),
    /// The order that is read.
    ReadOrder(Uuid),
    /// The key of the order that is placed.
    PlaceOrder(Uuid),
}

impl Shop {
    /// Clients that act for the target's tenant, and order for one customer.
    pub fn new(scenario: &Scenario, target: &Target, token: &Token, customer: &str) -> anyhow::Result<Self> {
        Ok(Self {
            operations: scenario.operations.clone(),
            skus: target.skus.clone(),
            customer: customer.to_owned(),
            authorization: token.header()?,
            // Another stream than that of the schedule, or the mix would depend on the gaps.
            rng: SmallRng::seed_from_u64(scenario.seed.wrapping_add(1)),
            links: Vec::new(),
            readable: VecDeque::new(),
            repeatable: VecDeque::new(),
            told: Told::default(),
        })
    }

    /// What all clients were told.
    pub fn into_told(self) -> Told {
        self.told
    }

    /// The operation that is next, by the shares.
    fn choose(&mut self) -> usize {
        let total: f64 = self.operations.iter().map(|operation| operation.share).sum();
        let mut left = self.rng.random::<f64>() * total;
        let chosen = self.operations.iter().position(|operation| {
            left -= operation.share;
            left < 0.0
        });
        // Rounding may leave a little at the end.
        chosen.unwrap_or(self.operations.len() - 1)
    }

    fn fault(&mut self, kind: FaultKind, what: String) {
        if self.told.seen.len() < KEPT_FAULTS {
            self.told.seen.push(Fault::new(kind, what));
        }
    }

    fn follow_link(&mut self) -> (usize, Request, Ticket) {
        let index = self.rng.random_range(0..self.links.len());
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = self.links[index].uri.clone();
        (LINKS, request, Ticket::Redirect(index))
    }

    fn read_order(&mut self) -> (usize, Request, Ticket) {
        let id = self.readable[self.rng.random_range(0..self.readable.len())];
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = uri(&format!("/v1/orders/{id}"));
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        (ORDERS, request, Ticket::ReadOrder(id))
    }

    fn judge_redirect(&mut self, index: usize, answer: &Answer) {
        let link = &self.links[index];
        let location = answer.headers.get(LOCATION).map(HeaderValue::as_bytes);
        if answer.status == StatusCode::FOUND && location != Some(link.target.as_bytes()) {
            let what = format!("link {} redirected to another target", link.uri);
            self.fault(FaultKind::Different, what);
        }
    }

    fn judge_read(&mut self, id: Uuid, answer: &Answer) {
        let order: Option<crate::reconcile::Order> = serde_json::from_slice(&answer.body).ok();
        if answer.status == StatusCode::NOT_FOUND {
            self.fault(FaultKind::Missing, format!("order {id} was not found when it was read"));
        } else if answer.status == StatusCode::OK && order.is_none_or(|order| order.id != id) {
            self.fault(
                FaultKind::Different,
                format!("a read of order {id} was answered with something else"),
            );
        }
    }

    /// Whether the request was sent more than once, so that another one of its key may be under way.
    fn has_twin(&self, ticket: &Ticket) -> bool {
        let Ticket::PlaceOrder(key) = ticket else { return false };
        self.told.orders.get(key).is_some_and(|promise| promise.n_sends > 1)
    }
}

impl Workload for Shop {
    type Ticket = Ticket;

    fn next(&mut self, due_at: Instant, counted: bool) -> Outgoing<Ticket> {
        let operation = self.choose();
        let (server, request, ticket) = match self.operations[operation].kind {
            Kind::Redirect => self.follow_link(),
            Kind::ReadOrder => self.read_order(),
            Kind::PlaceOrder => self.place_order(self.operations[operation].repeat, due_at, counted),
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
        let ending = ending(answer, expect, self.has_twin(ticket));
        let retry_after = match (ticket, answer) {
            (Ticket::PlaceOrder(key), _) => self.judge_order(*key, answer, n_tries, retries),
            (Ticket::Redirect(index), Ok(answer)) => {
                self.judge_redirect(*index, answer);
                None
            }
            (Ticket::ReadOrder(id), Ok(answer)) => {
                self.judge_read(*id, answer);
                None
            }
            (Ticket::Redirect(_) | Ticket::ReadOrder(_), Err(_)) => None,
        };
        Judgement { ending, retry_after }
    }
}

fn ending(answer: &Result<Answer, Failure>, expect: &[u16], has_twin: bool) -> Ending {
    match answer {
        Ok(answer) if expect.contains(&answer.status.as_u16()) => Ending::Expected,
        // So is whichever of two came second, while the other is under way.
        Ok(answer) if answer.status == StatusCode::CONFLICT && has_twin => Ending::Expected,
        Ok(answer) => Ending::Failed(format!("HTTP {}", answer.status.as_u16())),
        Err(Failure::Timeout) => Ending::Timeout,
        Err(Failure::Dropped) => Ending::Dropped,
        Err(failure @ (Failure::Connect | Failure::Broken)) => Ending::Failed(failure.label().to_owned()),
    }
}

/// Anything from nothing to twice as long as before, so that clients do not come back together, and at least as long as the
/// server asks for.
fn pause_after(n_tries: u32, answer: &Result<Answer, Failure>) -> Duration {
    let most_ms = 100_u64.saturating_mul(1 << n_tries.min(10)).min(2_000);
    let asked =
        answer.as_ref().ok().and_then(|answer| answer.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok());
    let asked = Duration::from_secs(asked.unwrap_or(0)).min(LONGEST_PAUSE);
    asked + Duration::from_millis(rand::random_range(0..=most_ms))
}

fn uri(path: &str) -> Uri {
    path.parse().expect("a path of letters, digits, hyphens and slashes is a URI")
}
