//! Win-back: emits an event for each customer who bought often and has not been seen lately.
//!
//! Every replica searches, and each customer is claimed by the row of the recipient, in the transaction that appends the event. A process that
//! dies before COMMIT has changed nothing, and the next search of any replica finds the customer again. While half of the backlog that orders
//! may fill is full, nothing is emitted: an outage of Kafka must not refuse orders because of promotions.

use std::{collections::HashMap, error::Error as StdError, sync::Arc, time::Duration};

use chrono::{SubsecRound, Utc};
use events::{EncodeError, Encoder, promotions::CustomerLapsed};
use outbox::{AppendError, Backlog};
use pg::{Pool, Tx};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    back_pressure::Bounds,
    domain::{Lapse, LapsedCustomer},
    metrics,
    store::{self, promotions::Recipient},
};

/// Customers that one search returns: few enough to keep, many enough that a backlog does not repeat the search often.
const FOUND: i64 = 1_000;

/// Customers in one transaction: an unsubscribe waits for its end.
const CLAIMED: usize = 100;

/// How often the schema and the backlog are asked for until one is registered and the other measured.
const PREPARED: Duration = Duration::from_secs(1);

/// Searches the database of this service. Each replica runs one.
pub(crate) struct WinBack {
    pub(crate) pool: Pool,
    pub(crate) events: PromotionEvents,
    pub(crate) relay: Arc<Notify>,
    pub(crate) every: Duration,
    pub(crate) backlog: watch::Receiver<Option<Backlog>>,
    pub(crate) bounds: Bounds,
}

/// How a search ended that did not fail.
#[derive(Clone, Copy, Debug)]
enum End {
    Done,
    /// Too many events are not published. The next search finds the customers that are left.
    Deferred,
}

/// Makes the outbox entries of promotions.
pub(crate) struct PromotionEvents {
    pub(crate) encoder: Encoder,
    /// Without a trailing slash.
    pub(crate) public_url: String,
}

/// Customers of one tenant, for one transaction.
struct Batch<'a> {
    events: &'a PromotionEvents,
    tenant: &'a str,
    customers: &'a [LapsedCustomer],
}

impl WinBack {
    /// Runs until `stop`. A search that fails is logged and counted; the next one finds the customers that are left.
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.search_regularly()).await;
    }

    async fn search_regularly(&self) {
        metrics::show_win_back();
        while !self.events.encoder.is_ready() || self.backlog.borrow().is_none() {
            tokio::time::sleep(PREPARED).await;
        }
        loop {
            let outcome = match self.search().await {
                Ok(End::Done) => "done",
                Ok(End::Deferred) => "deferred",
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn StdError,
                        "lapsed customers cannot be searched, trying again later"
                    );
                    "failed"
                }
            };
            metrics::observe_search(outcome, Utc::now());
            // With jitter, so that the replicas do not all search at the same time.
            tokio::time::sleep(self.every.mul_f64(rand::random_range(0.75..1.25))).await;
        }
    }

    /// Searches every tenant, also after the failure of one, and returns the first failure. Ends when the backlog has no room.
    async fn search(&self) -> Result<End, AppendError> {
        let mut outcome = Ok(End::Done);
        for tenant in store::promotions::tenants(&self.pool).await? {
            let end = self.search_tenant(&tenant).await;
            let is_deferred = matches!(end, Ok(End::Deferred));
            outcome = outcome.and(end);
            if is_deferred {
                break;
            }
        }
        outcome
    }

    async fn search_tenant(&self, tenant: &str) -> Result<End, AppendError> {
        let mut after = String::new();
        loop {
            let found = self.find(tenant, &after).await?;
            for customers in found.chunks(CLAIMED) {
                if !self.has_room() {
                    return Ok(End::Deferred);
                }
                self.emit(&Batch { events: &self.events, tenant, customers }).await?;
            }
            let is_full = found.len() as u64 >= FOUND.unsigned_abs();
            let Some(last) = found.last().filter(|_| is_full) else { return Ok(End::Done) };
            last.email.as_str().clone_into(&mut after);
        }
    }

    fn has_room(&self) -> bool {
        self.backlog.borrow().is_some_and(|backlog| self.bounds.has_room(&backlog))
    }

    async fn find(&self, tenant: &str, after: &str) -> Result<Vec<LapsedCustomer>, pg::Error> {
        pg::run_tx(&self.pool, "find_lapsed_customers", &(tenant, after), |tx, (tenant, after)| {
            let lapse = Lapse::at(Utc::now());
            Box::pin(async move { store::promotions::find_lapsed(tx, tenant, &lapse, after, FOUND).await })
        })
        .await
    }

    async fn emit(&self, batch: &Batch<'_>) -> Result<(), AppendError> {
        fail_point::hit("orders.win_back.found");
        let emitted =
            pg::run_tx(&self.pool, "emit_lapsed_customers", batch, |tx, batch| Box::pin(batch.emit(tx)))
                .await?;
        fail_point::hit("orders.win_back.committed");
        if emitted > 0 {
            metrics::WIN_BACK_EMITTED.inc_by(emitted);
            self.relay.notify_one();
        }
        Ok(())
    }
}

impl Batch<'_> {
    /// Claims the customers and appends their events. Returns how many.
    async fn emit(&self, tx: &Tx<'_>) -> Result<u64, AppendError> {
        let lapse = Lapse::at(Utc::now().trunc_subsecs(6));
        let recipients = store::promotions::claim(tx, self.tenant, &lapse, self.customers).await?;
        fail_point::hit("orders.win_back.claimed");
        let entries = self.entries(&lapse, &recipients)?;
        outbox::append_all(tx, &self.events.encoder, &entries).await?;
        fail_point::hit("orders.win_back.before_commit");
        Ok(entries.len() as u64)
    }

    fn entries(&self, lapse: &Lapse, recipients: &[Recipient]) -> Result<Vec<outbox::Entry>, EncodeError> {
        let customers: HashMap<String, &LapsedCustomer> = self
            .customers
            .iter()
            .map(|customer| (customer.email.as_str().to_ascii_lowercase(), customer))
            .collect();
        let found =
            recipients.iter().filter_map(|recipient| Some((recipient, customers.get(&recipient.customer)?)));
        found
            .map(|(recipient, customer)| {
                let event = self.events.lapsed(self.tenant, customer, recipient, lapse);
                outbox::Entry::new(&self.events.encoder, recipient.id, lapse.now, &event)
            })
            .collect()
    }
}

impl PromotionEvents {
    fn lapsed(
        &self,
        tenant: &str,
        customer: &LapsedCustomer,
        recipient: &Recipient,
        lapse: &Lapse,
    ) -> CustomerLapsed {
        CustomerLapsed {
            customer_id: recipient.id,
            tenant: tenant.to_owned(),
            customer_email: customer.email.as_str().to_owned(),
            n_purchases: customer.n_purchases,
            last_purchase_at: customer.last_purchase_at,
            unsubscribe_url: format!("{}/unsubscribe/{}", self.public_url, recipient.unsubscribe_token),
            expires_at: lapse.expires_at,
        }
    }
}
