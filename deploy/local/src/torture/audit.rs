//! What the databases say after a run: nothing waits, stock adds up, copies of mails are explained.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Context as _;
use loadtest::reconcile::{ClientLog, Fault, FaultKind, MailTimes};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::{config::StackConfig, endpoints::PostgresEndpoint, parts::postgres, target::TENANT};

/// Limit of a session with PostgreSQL.
const CONNECT: Duration = Duration::from_secs(5);

/// Limit for what still waits.
const EMPTY_WITHIN: Duration = Duration::from_mins(2);

const POLL: Duration = Duration::from_millis(500);

/// Work that waits: each statement counts it.
const WAITING: [(Database, &str, &str); 6] = [
    (Database::Orders, "orders that are not final", "SELECT count(*) FROM orders WHERE state = 'pending'"),
    (Database::Orders, "order processes", "SELECT count(*) FROM order_process WHERE step <> 'done'"),
    (
        Database::Orders,
        "unpublished events",
        "SELECT count(*) FROM outbox JOIN outbox_bucket USING (bucket) WHERE seq > published_up_to",
    ),
    (Database::Orders, "parked events", "SELECT count(*) FROM outbox_parked"),
    (Database::EmailConsumer, "postponed events", "SELECT count(*) FROM postponed_events"),
    (
        Database::EmailConsumer,
        "mails that are not sent",
        "SELECT count(*) FROM mails WHERE state <> 'sent' AND kind <> 'win_back'",
    ),
];

/// Reservations without a line of a confirmed order, and lines without a reservation.
const RESERVATIONS: &str = "
    WITH wanted AS (SELECT order_id, sku, quantity FROM order_lines JOIN orders ON id = order_id WHERE state = 'confirmed'),
         reserved AS (SELECT order_id, sku, quantity FROM stock_reservations)
    SELECT order_id, 'a confirmed line without its reservation' FROM (SELECT * FROM wanted EXCEPT SELECT * FROM reserved) AS one
    UNION ALL
    SELECT order_id, 'a reservation without its confirmed line' FROM (SELECT * FROM reserved EXCEPT SELECT * FROM wanted) AS other";

const STOCK: &str = "
    SELECT sku, available, coalesce((SELECT sum(quantity)::bigint FROM stock_reservations AS reserved
        WHERE (reserved.tenant, reserved.sku) = (stock.tenant, stock.sku)), 0)
    FROM stock WHERE tenant = $1";

#[derive(Clone, Copy, PartialEq)]
enum Database {
    Orders,
    EmailConsumer,
}

/// Superuser's sessions, and the stock before the run.
pub(crate) struct Auditor {
    pub(crate) orders: Client,
    emails: Client,
    stock: BTreeMap<String, i64>,
    /// Limit for what still waits.
    empty_within: Duration,
}

impl Auditor {
    /// Connects to the databases. PostgreSQL must not restart before it is dropped.
    pub(crate) async fn connect(config: &StackConfig) -> anyhow::Result<Self> {
        let endpoint = PostgresEndpoint::of(config)?;
        Ok(Self {
            orders: postgres::connect(endpoint.config("orders"), CONNECT).await?,
            emails: postgres::connect(endpoint.config("email_consumer"), CONNECT).await?,
            stock: BTreeMap::new(),
            empty_within: EMPTY_WITHIN,
        })
    }

    /// Makes one product scarce, so that orders compete for the last pieces, and returns the stock to compare with later.
    pub(crate) async fn make_scarce(&self, sku: &str, pieces: i64) -> anyhow::Result<BTreeMap<String, i64>> {
        let update = "UPDATE stock SET available = $3 WHERE (tenant, sku) = ($1, $2)";
        self.orders.execute(update, &[&TENANT, &sku, &pieces]).await.context("the stock")?;
        let rows = self.orders.query(STOCK, &[&TENANT]).await.context("the stock")?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Compares with the stock of [`Self::make_scarce`].
    pub(crate) fn with_stock(self, stock: BTreeMap<String, i64>) -> Self {
        Self { stock, ..self }
    }

    /// Every fault that the databases show.
    pub(crate) async fn faults(&self, log: &ClientLog, mails: &MailTimes) -> anyhow::Result<Vec<Fault>> {
        let mut faults = self.waiting().await?;
        faults.extend(self.reservations().await?);
        faults.extend(self.unknown_orders(log).await?);
        faults.extend(self.unexplained_copies(mails).await?);
        Ok(faults)
    }

    async fn waiting(&self) -> anyhow::Result<Vec<Fault>> {
        let deadline = Instant::now() + self.empty_within;
        let mut faults = Vec::new();
        for (database, what, statement) in WAITING {
            let client = if database == Database::Orders { &self.orders } else { &self.emails };
            loop {
                let row = client.query_one(statement, &[]).await.context(what)?;
                let count: i64 = row.try_get(0)?;
                if count == 0 {
                    break;
                }
                if Instant::now() > deadline {
                    faults.push(Fault::new(FaultKind::Unfinished, format!("{count} {what}")));
                    break;
                }
                sleep(POLL).await;
            }
        }
        Ok(faults)
    }

    async fn reservations(&self) -> anyhow::Result<Vec<Fault>> {
        let mut faults = Vec::new();
        for row in self.orders.query(STOCK, &[&TENANT]).await.context("the stock")? {
            let (sku, available, reserved): (String, i64, i64) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let before = self.stock.get(&sku).copied().unwrap_or_default();
            if available + reserved != before {
                let what = format!("{sku}: {available} available and {reserved} reserved of {before}");
                faults.push(Fault::new(FaultKind::Different, what));
            }
        }
        for row in self.orders.query(RESERVATIONS, &[]).await.context("the reservations")? {
            let (order, what): (Uuid, String) = (row.try_get(0)?, row.try_get(1)?);
            faults.push(Fault::new(FaultKind::Different, format!("order {order}: {what}")));
        }
        Ok(faults)
    }

    /// Orders that no client knows.
    async fn unknown_orders(&self, log: &ClientLog) -> anyhow::Result<Vec<Fault>> {
        let known: BTreeSet<Uuid> = log.acknowledged().into_keys().collect();
        let rows = self.orders.query("SELECT id FROM orders", &[]).await.context("the orders")?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let unknown = ids.into_iter().filter(|id| !known.contains(id));
        let what = |id| format!("order {id} exists, and no client has it");
        Ok(unknown.map(|id| Fault::new(log.unknown_order(), what(id))).collect())
    }

    /// Copies of a mail that was handed over once. A mail may be in the mailbox as often as it was handed over: email-consumer says so in
    /// `email_possible_duplicates_total`.
    async fn unexplained_copies(&self, mails: &MailTimes) -> anyhow::Result<Vec<Fault>> {
        let mut faults = Vec::new();
        let statement = "SELECT coalesce(max(handovers), 0) FROM mails WHERE message_id = $1";
        for (mail, times) in mails.iter().filter(|(_, times)| times.len() > 1) {
            let row = self.emails.query_one(statement, &[mail]).await.context("the mails")?;
            let handovers: i32 = row.try_get(0)?;
            if usize::try_from(handovers)? < times.len() {
                let what =
                    format!("mail {mail} arrived {} times, handed over {handovers} times", times.len());
                faults.push(Fault::new(FaultKind::Duplicate, what));
            }
        }
        Ok(faults)
    }
}

#[cfg(test)]
mod tests;
