//! Observes a running system through its public interfaces: HTTP APIs, mailbox, Kafka topic.

mod events;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use events::RunEvents;
use futures::{StreamExt as _, TryStreamExt as _, future::OptionFuture, stream};
use hyper::header::LOCATION;
use uuid::Uuid;

use crate::{
    api::Api,
    connections::{Connections, Limits, get},
    imap::{Arrivals, InboxWatch},
    reconcile::{ClientLog, Observed, Order},
    target::Target,
};

/// Interval between two observations of the same thing.
const POLL: Duration = Duration::from_millis(100);

/// How long to wait for copies of mails after the last expected mail.
const COPIES_WAIT: Duration = Duration::from_secs(3);

/// Observes one run. It starts to watch mailbox and topic before the run, so that it misses nothing and counts nothing of other runs.
pub struct Observer {
    orders: Connections,
    links: Connections,
    api: Api,
    inbox: Option<InboxWatch>,
    events: Option<RunEvents>,
    settling: Duration,
}

impl Observer {
    /// Starts to watch. `customer` is the address of the run's orders. What has not appeared is missing after `settling` without
    /// progress.
    pub async fn start(
        target: &Target,
        api: Api,
        customer: &str,
        settling: Duration,
    ) -> anyhow::Result<Self> {
        let inbox = target.mailbox.as_ref().map(|mailbox| InboxWatch::start(customer, &mailbox.imap));
        let events = target.events.as_ref().map(|events| RunEvents::start(events, customer));
        Ok(Self {
            orders: Connections::new(&target.orders_url, Limits::FEW)?,
            links: Connections::new(&target.links_url, Limits::FEW)?,
            api,
            inbox: OptionFuture::from(inbox).await.transpose().context("mailbox")?,
            events: OptionFuture::from(events).await.transpose().context("events")?,
            settling,
        })
    }

    /// The mails of the run, as they arrive; none without a mailbox.
    pub fn arrivals(&self) -> Option<Arrivals> {
        self.inbox.as_ref().map(InboxWatch::arrivals)
    }

    /// Waits until the system holds everything in the log, or makes no more progress, and returns what it holds.
    pub async fn observe(mut self, log: &ClientLog) -> anyhow::Result<Observed> {
        let ids: Vec<Uuid> = log.acknowledged().into_keys().collect();
        // Mails first: to wait for them costs the system almost nothing, while reads of many orders take processor time from what is
        // measured.
        if let Some(inbox) = &mut self.inbox {
            await_mails(inbox, ids.len(), self.settling).await?;
        }
        let orders = self.final_orders(&ids).await?;
        let existing: BTreeSet<Uuid> = orders.keys().copied().collect();
        let events = self.events.take().map(|events| events.read(&existing, self.settling));
        let events = OptionFuture::from(events).await.transpose()?;
        let mails = OptionFuture::from(self.inbox.as_mut().map(InboxWatch::times)).await.transpose()?;
        Ok(Observed { orders, mails, events, links: self.link_targets(log).await? })
    }

    /// Each order that exists: in its final state, or as it is when no order becomes final any more.
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
            let reads = stream::iter(open).map(|id| self.order(id)).buffer_unordered(Limits::FEW.connections);
            // A failed read is repeated in the next round.
            let found: Vec<_> = reads.filter_map(async |order| order.ok().flatten()).collect().await;
            orders.extend(found.into_iter().map(|order| (order.id, order)));
            let n_now = orders.values().filter(|order| order.state.is_final()).count();
            if n_now > n_final {
                n_final = n_now;
                progress_at = Instant::now();
            }
            if n_now < ids.len() {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    async fn order(&self, id: Uuid) -> anyhow::Result<Option<Order>> {
        let answer = self.orders.call(self.api.read_order(id)).await?;
        if answer.status == 404 { Ok(None) } else { answer.expect(200)?.json().map(Some) }
    }

    /// The target of each link that exists.
    async fn link_targets(&self, log: &ClientLog) -> anyhow::Result<BTreeMap<String, String>> {
        let targets = stream::iter(log.links.keys()).map(async |code| {
            let answer = self.links.call(get(&format!("/{code}"))?).await?;
            let target = answer.headers.contains_key(LOCATION).then(|| answer.header(LOCATION).to_owned());
            anyhow::Ok(target.map(|target| (code.clone(), target)))
        });
        targets
            .buffer_unordered(Limits::FEW.connections)
            .try_filter_map(async |target| Ok(target))
            .try_collect()
            .await
    }
}

/// Waits until `n_expected` mails have arrived, or no more arrive.
async fn await_mails(inbox: &mut InboxWatch, n_expected: usize, settling: Duration) -> anyhow::Result<()> {
    let mut n_seen = 0;
    let mut progress_at = Instant::now();
    while n_seen < n_expected && progress_at.elapsed() < settling {
        let n_now = inbox.times().await?.len();
        if n_now > n_seen {
            n_seen = n_now;
            progress_at = Instant::now();
        }
        tokio::time::sleep(POLL).await;
    }
    if n_expected > 0 {
        tokio::time::sleep(COPIES_WAIT).await;
    }
    Ok(())
}
