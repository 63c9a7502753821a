//! Looks at a running system through the doors that its users have: the HTTP APIs, the mailbox, the topic.

mod events;
mod imap;
mod inbox;
mod purge;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, stream};
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderValue, LOCATION};
use uuid::Uuid;

pub use events::TopicPosition;
pub use imap::{Standing, standing};
pub use inbox::Inbox;
pub use purge::purge;

use crate::connections::{Answer, Connections, Failure, Limits, get};
use crate::reconcile::{Held, Order, Told};
use crate::target::{Target, Token, authority};

/// Looks at once.
const LOOKS: usize = 8;

/// The pause between two looks at the same thing.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to look for copies of mails after the last one expected.
const AFTERMATH: Duration = Duration::from_secs(3);

const LIMITS: Limits = Limits {
    connections: LOOKS,
    waiting: LOOKS * 4,
    slot_timeout: Duration::from_secs(30),
    request_timeout: Duration::from_secs(5),
};

/// Somebody who looks. Begins to watch mailbox and topic before the run, so that nothing of it is missed and nothing of others
/// counts.
#[derive(Debug)]
pub struct Observer {
    orders: Connections,
    links: Connections,
    authorization: HeaderValue,
    inbox: Option<Inbox>,
    topic: Option<TopicPosition>,
    settling: Duration,
}

impl Observer {
    /// Begins to watch. `customer` is the address that the orders of the run are for; what is missing counts as missing once
    /// there was no progress for `settling`.
    pub async fn begin(
        target: &Target,
        token: &Token,
        customer: &str,
        settling: Duration,
    ) -> anyhow::Result<Self> {
        let inbox = match &target.mailbox {
            Some(mailbox) => Some(Inbox::watch(customer, &mailbox.imap).await.context("mailbox")?),
            None => None,
        };
        let topic = match &target.events {
            Some(events) => Some(TopicPosition::now(events, customer).await.context("events")?),
            None => None,
        };
        Ok(Self {
            orders: Connections::new(authority(&target.orders_url)?, LIMITS)?,
            links: Connections::new(authority(&target.links_url)?, LIMITS)?,
            authorization: token.header()?,
            inbox,
            topic,
            settling,
        })
    }

    /// Waits until everything that was promised has come about, or nothing more does, and returns what there is.
    pub async fn look(mut self, told: &Told) -> anyhow::Result<Held> {
        let ids: Vec<Uuid> = told.acknowledged().into_keys().collect();
        // Mails first: looking for them costs next to nothing, while asking for many orders would take time from the very
        // thing that is being measured.
        let mails = match &mut self.inbox {
            Some(inbox) => Some(await_mails(inbox, ids.len(), self.settling).await?),
            None => None,
        };
        let orders = self.final_orders(&ids).await?;
        let events = match &self.topic {
            Some(topic) => Some(topic.read(&orders.keys().copied().collect(), self.settling).await?),
            None => None,
        };
        let mails = match (&mut self.inbox, mails) {
            (Some(inbox), Some(())) => Some(inbox.arrivals().await?),
            _ => None,
        };
        Ok(Held { orders, mails, events, links: self.targets(told).await? })
    }

    /// Each order as it is once it is final, or when there was no progress any more. One that is not found is left out.
    async fn final_orders(&self, ids: &[Uuid]) -> anyhow::Result<BTreeMap<Uuid, Order>> {
        let mut orders: BTreeMap<Uuid, Order> = BTreeMap::new();
        let mut n_final = 0;
        let mut progress_at = Instant::now();
        loop {
            let is_final = |id: &&Uuid| orders.get(id).is_some_and(|order| order.state.is_final());
            let open: Vec<Uuid> = ids.iter().filter(|id| !is_final(id)).copied().collect();
            if open.is_empty() || progress_at.elapsed() > self.settling {
                return Ok(orders);
            }
            let looks = stream::iter(open).map(|id| self.order(id)).buffer_unordered(LOOKS);
            let found: Vec<_> = looks.filter_map(async |order| order.transpose()).collect().await;
            // A service that is away for a moment is asked again.
            orders.extend(found.into_iter().flatten().map(|order| (order.id, order)));
            let n_now = orders.values().filter(|order| order.state.is_final()).count();
            if n_now > n_final {
                n_final = n_now;
                progress_at = Instant::now();
            }
            if n_now < ids.len() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn order(&self, id: Uuid) -> anyhow::Result<Option<Order>> {
        let request = get(&format!("/v1/orders/{id}"), &[(AUTHORIZATION, self.authorization.clone())])?;
        let answer = answered(self.orders.send(request, Instant::now()).await)?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        ensure!(answer.status == StatusCode::OK, "GET of an order answers {}", answer.status);
        Ok(Some(serde_json::from_slice(&answer.body).context("the answer is no order")?))
    }

    /// Where each link that was promised leads.
    async fn targets(&self, told: &Told) -> anyhow::Result<BTreeMap<String, String>> {
        let looks = stream::iter(told.links.keys()).map(async |code| {
            let request = get(&format!("/{code}"), &[])?;
            let answer = answered(self.links.send(request, Instant::now()).await)?;
            let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            anyhow::Ok(location.map(|location| (code.clone(), location.to_owned())))
        });
        let found: Vec<_> = looks.buffer_unordered(LOOKS).collect().await;
        found.into_iter().filter_map(Result::transpose).collect()
    }
}

fn answered(answer: Result<Answer, Failure>) -> anyhow::Result<Answer> {
    answer.map_err(|failure| anyhow::anyhow!("{}", failure.label()))
}

/// Waits until as many mails have come as are expected, or no more come.
async fn await_mails(inbox: &mut Inbox, n_expected: usize, settling: Duration) -> anyhow::Result<()> {
    let mut n_seen = 0;
    let mut last_at = Instant::now();
    while n_seen < n_expected && last_at.elapsed() < settling {
        let n_now = inbox.arrivals().await?.len();
        if n_now > n_seen {
            n_seen = n_now;
            last_at = Instant::now();
        }
        tokio::time::sleep(PAUSE).await;
    }
    if n_expected > 0 {
        tokio::time::sleep(AFTERMATH).await;
    }
    Ok(())
}
