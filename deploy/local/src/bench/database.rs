//! The database that pgbench works on: the schema and the products of the order service's, and nothing of its data.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;
use tokio_postgres::Client;

use crate::endpoints::PostgresEndpoint;
use crate::parts::postgres::{PROGRAMS, SUPERUSER, connect};
use crate::stack::StackConfig;

/// Its name.
pub(super) const NAME: &str = "bench";

/// The name of the order service's.
pub(super) const ORDERS: &str = "orders";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Tables whose rows the statements read.
const CATALOGUE: [&str; 3] = ["currencies", "products", "stock"];

/// How to reach it, as the role that may do everything.
pub(super) struct BenchDatabase(PostgresEndpoint);

impl BenchDatabase {
    /// Makes it anew from the order service's database.
    pub(super) async fn create(config: &StackConfig) -> anyhow::Result<Self> {
        let database = Self(PostgresEndpoint::of(config)?);
        let client = database.connect("postgres").await?;
        client.batch_execute("DROP DATABASE IF EXISTS bench").await.context("the old one")?;
        client.batch_execute("CREATE DATABASE bench").await.context("the new one")?;
        database.copy(&["--schema-only"]).await.context("the schema")?;
        let [currencies, products, stock] = CATALOGUE.map(|table| format!("--table={table}"));
        database.copy(&["--data-only", &currencies, &products, &stock]).await.context("the catalogue")?;
        Ok(database)
    }

    /// A session on a database of this cluster.
    pub(super) async fn connect(&self, name: &str) -> anyhow::Result<Client> {
        connect(self.0.config(name), CONNECT_TIMEOUT).await
    }

    /// The URL of a database of this cluster.
    pub(super) fn url(&self, name: &str) -> String {
        self.0.url(name)
    }

    /// A program of PostgreSQL's that works on a database of this cluster.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(Path::new(PROGRAMS).join(name));
        command
            .env("PGPASSWORD", &self.0.password)
            .args(["-h", "127.0.0.1", "-U", SUPERUSER, "-p"])
            .arg(self.0.port.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Copies what `pg_dump` writes of the order service's database.
    async fn copy(&self, options: &[&str]) -> anyhow::Result<()> {
        let dump = self.program("pg_dump").args(options).args(["--no-owner", ORDERS]).output().await;
        let dump = dump.context("pg_dump")?;
        ensure!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let text = String::from_utf8(dump.stdout).context("what pg_dump wrote")?;
        // A dump of data is a COPY, which only psql can read.
        let mut psql = self
            .program("psql")
            .args(["-q", "-v", "ON_ERROR_STOP=1", NAME])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("psql")?;
        let mut stdin = psql.stdin.take().context("psql takes no input")?;
        tokio::io::AsyncWriteExt::write_all(&mut stdin, text.as_bytes()).await.context("psql")?;
        drop(stdin);
        ensure!(psql.wait().await.context("psql")?.success(), "psql failed");
        Ok(())
    }
}
