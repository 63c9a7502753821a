//! Roles and databases: each service has its own of both, and can connect to no other.

use std::time::Duration;

use anyhow::Context;
use tokio_postgres::{Client, Config, NoTls};

use super::postgres::SUPERUSER;
use crate::endpoints::PostgresEndpoint;

/// Statements that hold a password are DDL, and otherwise in the log.
const UNLOGGED: &str = "SET log_statement = 'none'; SET log_min_error_statement = 'panic'";

/// How long the server of a stack may take to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens a session.
pub(crate) async fn connect(mut config: Config, within: Duration) -> anyhow::Result<Client> {
    config.connect_timeout(within);
    let (client, connection) = config.connect(NoTls).await.context("no connection to PostgreSQL")?;
    // It ends with the client, and what goes wrong on it the client reports.
    tokio::spawn(async { connection.await.unwrap_or_default() });
    Ok(client)
}

/// Opens a session of the superuser in which passwords may be set.
pub(super) async fn connect_unlogged(endpoint: &PostgresEndpoint) -> anyhow::Result<Client> {
    let client = connect(endpoint.config(SUPERUSER), CONNECT_TIMEOUT).await?;
    client.batch_execute(UNLOGGED).await.context("the log of PostgreSQL cannot be kept from passwords")?;
    Ok(client)
}

/// Makes the role and the database `name` unless they are there, and sets the role's password.
///
/// Names and passwords are our own constants and hexadecimal digits; statements of this kind take
/// no parameters.
pub(super) async fn ensure(client: &Client, name: &str, password: &str) -> anyhow::Result<()> {
    let is_there = exists(client, "SELECT 1 FROM pg_roles WHERE rolname = $1", name).await?;
    let verb = if is_there { "ALTER" } else { "CREATE" };
    run(client, &format!("{verb} ROLE {name} LOGIN PASSWORD '{password}'")).await?;
    if !exists(client, "SELECT 1 FROM pg_database WHERE datname = $1", name).await? {
        run(client, &format!("CREATE DATABASE {name} OWNER {name}")).await?;
        run(client, &format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")).await?;
    }
    Ok(())
}

async fn exists(client: &Client, query: &str, name: &str) -> anyhow::Result<bool> {
    Ok(client.query_opt(query, &[&name]).await.context("the catalogue cannot be read")?.is_some())
}

async fn run(client: &Client, statement: &str) -> anyhow::Result<()> {
    // The statement may hold a password, so the error must not repeat it.
    client.batch_execute(statement).await.context("a role or database cannot be made")
}
