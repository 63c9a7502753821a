//! Retries waiting orders, in the database of the order service.

use std::time::Duration;

use anyhow::Context;
use tokio_postgres::Config;

use crate::parts::postgres::connect;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A replica of the previous release may be processing one of these orders; then it runs twice and takes effect once.
const WAKE: &str = "UPDATE order_process SET due_at = now() WHERE step <> 'done' AND due_at > now()";

const WAITING: &str = "\
SELECT count(*), coalesce(extract(epoch FROM now() - min(placed_at)), 0)::float8 FROM orders WHERE state = 'pending'";

/// Parses the URL of the database. The connection has no TLS, so it must not cross a network without a tunnel.
pub(crate) fn parse_url(url: &str) -> anyhow::Result<Config> {
    // The error of an invalid URL could contain its password.
    url.parse().ok().context("the URL of the database is invalid")
}

/// Makes every waiting order due, which the order service polls twice a second; returns what to print.
pub(crate) async fn wake(database: Config) -> anyhow::Result<String> {
    let client = connect(database, CONNECT_TIMEOUT).await?;
    client.batch_execute("SET lock_timeout = '5s'").await.context("PostgreSQL")?;
    let n_woken = client.execute(WAKE, &[]).await.context("the orders cannot be woken")?;
    let row = client.query_one(WAITING, &[]).await.context("the orders cannot be counted")?;
    let (n_waiting, oldest_s): (i64, f64) = (row.try_get(0)?, row.try_get(1)?);
    let oldest = if n_waiting > 0 { format!(", the oldest for {oldest_s:.0} s") } else { String::new() };
    Ok(format!("{n_woken} orders woken; {n_waiting} wait{oldest}"))
}
