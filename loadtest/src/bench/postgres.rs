//! The database server of the stack, and the database of pgbench: schema and products of the order service, without its orders.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use tokio::{io::AsyncWriteExt as _, process::Command};
use tokio_postgres::{Client, Config, NoTls};

/// The database of pgbench.
pub(super) const BENCH: &str = "bench";

/// The database of the order service.
pub(super) const ORDERS: &str = "orders";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A PostgreSQL server and its superuser.
pub struct Postgres {
    /// The directory with `pgbench`, `pg_dump` and `psql`.
    pub programs: PathBuf,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The superuser.
    pub user: String,
    /// The superuser's password.
    pub password: String,
}

impl Postgres {
    /// Creates the database of pgbench from that of the order service.
    pub(super) async fn create_database(&self) -> anyhow::Result<()> {
        let client = self.connect("postgres").await?;
        client.batch_execute("DROP DATABASE IF EXISTS bench").await.context("the old database")?;
        client.batch_execute("CREATE DATABASE bench").await.context("the new database")?;
        self.copy(&["--schema-only"]).await.context("the schema")?;
        // The rows that the statements read.
        let catalogue = ["--data-only", "--table=currencies", "--table=products", "--table=stock"];
        self.copy(&catalogue).await.context("the catalogue")
    }

    /// Connects to a database.
    pub(super) async fn connect(&self, database: &str) -> anyhow::Result<Client> {
        let mut config = Config::new();
        config.host(&self.host).port(self.port).user(&self.user).password(&self.password).dbname(database);
        config.connect_timeout(CONNECT_TIMEOUT);
        let (client, connection) = config.connect(NoTls).await.context("no connection to PostgreSQL")?;
        // The client reports the errors of the connection.
        tokio::spawn(async { connection.await.unwrap_or_default() });
        Ok(client)
    }

    /// Returns the URL of a database, with the password.
    pub(super) fn url(&self, database: &str) -> String {
        let Self { host, port, user, password, .. } = self;
        format!("postgres://{user}:{password}@{host}:{port}/{database}")
    }

    /// Returns a command of PostgreSQL that works on this server.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command
            .env("PGPASSWORD", &self.password)
            .args(["-h", &self.host, "-U", &self.user, "-p"])
            .arg(self.port.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Copies the output of `pg_dump` from the database of the order service.
    async fn copy(&self, options: &[&str]) -> anyhow::Result<()> {
        let dump = self.program("pg_dump").args(options).args(["--no-owner", ORDERS]).output().await;
        let dump = dump.context("pg_dump")?;
        ensure!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        // A dump of data is a COPY, which only psql can read.
        let mut psql = self
            .program("psql")
            .args(["-q", "-v", "ON_ERROR_STOP=1", BENCH])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("psql")?;
        let mut stdin = psql.stdin.take().context("psql has no standard input")?;
        stdin.write_all(&dump.stdout).await.context("psql")?;
        drop(stdin);
        ensure!(psql.wait().await.context("psql")?.success(), "psql failed");
        Ok(())
    }
}
