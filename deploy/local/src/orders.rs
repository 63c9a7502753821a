//! Orders that wait, in the database of the order service.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use tokio_postgres::Config;

use crate::endpoints::PostgresEndpoint;
use crate::parts::postgres::connect;
use crate::stack::StackConfig;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A replica of the previous release may have one of these in hand; then it is tried twice, and done once.
const WAKE: &str = "UPDATE order_process SET due_at = now() WHERE step <> 'done' AND due_at > now()";

const WAITING: &str = "\
SELECT count(*), coalesce(extract(epoch FROM now() - min(placed_at)), 0)::float8 FROM orders WHERE state = 'pending'";

/// How to reach it.
pub(crate) struct OrdersDatabase(Config);

/// What was woken, and what waits. The order service looks for it twice a second.
pub(crate) struct Woken {
    n_made_due: u64,
    n_waiting: i64,
    oldest_s: f64,
}

impl OrdersDatabase {
    pub(crate) fn local(config: &StackConfig) -> anyhow::Result<Self> {
        Ok(Self(PostgresEndpoint::of(config)?.config("orders")))
    }

    /// Over no network but a tunnel: the connection is not encrypted.
    pub(crate) fn at(url: &str) -> anyhow::Result<Self> {
        // The error of a malformed URL could repeat it.
        Ok(Self(url.parse().ok().context("the database's URL cannot be understood")?))
    }

    pub(crate) async fn wake(self) -> anyhow::Result<Woken> {
        let client = connect(self.0, CONNECT_TIMEOUT).await?;
        client.batch_execute("SET lock_timeout = '5s'").await.context("PostgreSQL")?;
        let n_made_due = client.execute(WAKE, &[]).await.context("the orders cannot be woken")?;
        let row = client.query_one(WAITING, &[]).await.context("the orders cannot be counted")?;
        Ok(Woken { n_made_due, n_waiting: row.try_get(0)?, oldest_s: row.try_get(1)? })
    }
}

impl fmt::Display for Woken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n_made_due, n_waiting, oldest_s } = self;
        write!(f, "{n_made_due} orders woken; {n_waiting} wait")?;
        if *n_waiting > 0 {
            write!(f, ", the oldest for {oldest_s:.0} s")?;
        }
        Ok(())
    }
}
