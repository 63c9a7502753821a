//! `PostgreSQL`: one cluster; each service has its own database and role, and can connect to no other.
//!
//! It listens on TCP only, so that no socket lies in a shared directory. `fsync` stays on, so that drills with kills and crashes show
//! real durability.

mod cluster;

use std::{path::Path, time::Duration};

use anyhow::Context;
use rustix::process::Signal;
use tokio_postgres::{Client, Config, NoTls};

use super::{Part, Probe};
use crate::{
    config::StackConfig,
    endpoints::{PostgresEndpoint, SUPERUSER},
    ports::{Ports, authority},
    process::{Launch, proportional_mib},
};

pub(crate) const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// The server of `muster up`, with the databases of the product. Each name is also that of the owning role and of its password.
pub(super) const POSTGRES: Part = Part {
    ports: &[("clients", Ports::postgres)],
    address: |ports| format!("postgres://{}", authority(ports.postgres())),
    prepare: |config| {
        Box::pin(async {
            let password = config.secrets.random(SUPERUSER)?;
            cluster::prepare(&config.dir("postgres"), &password).await
        })
    },
    provision: |config| {
        Box::pin(create_databases(config, &["orders", "email_consumer", "url_shortener", "apicurio"]))
    },
    // "Fast" shutdown: the server ends every session and writes a checkpoint.
    stop_signal: Signal::INT,
    stop_within: Duration::from_secs(30),
    memory_mib: proportional_mib,
    ..Part::new(
        "postgres",
        |config| Ok(launch(config, 100)),
        Probe::Action(|config| Box::pin(async { connect_unlogged(config).await.map(drop) })),
    )
};

/// The server of `muster run`: tests create their own databases, and open many connections.
pub(super) const POSTGRES_FOR_TESTS: Part = Part {
    launch: |config| Ok(launch(config, 300)),
    provision: |config| Box::pin(create_databases(config, &["apicurio"])),
    ..POSTGRES
};

fn launch(config: &StackConfig, max_connections: u16) -> Launch {
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={}", config.ports.postgres()),
        "unix_socket_directories=".to_owned(),
        format!("max_connections={max_connections}"),
        "shared_buffers=64MB".to_owned(),
        // The log is the only record of schema changes.
        "log_statement=ddl".to_owned(),
        "log_line_prefix=%m [%p] %q%u@%d %a %h ".to_owned(),
        // Without it, the statement of a killed client runs on and keeps its locks.
        "client_connection_check_interval=5s".to_owned(),
    ];
    Launch::new(Path::new(PROGRAMS).join("postgres"))
        .user(cluster::owner())
        .arg("-D")
        .arg(cluster::data_dir(&config.dir("postgres")))
        .args(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]))
}

async fn create_databases(config: &StackConfig, names: &[&str]) -> anyhow::Result<()> {
    let client = connect_unlogged(config).await?;
    for name in names {
        ensure(&client, name, &config.secrets.random(name)?).await?;
    }
    Ok(())
}

/// Keeps statements with passwords, which are DDL, out of the log.
const UNLOGGED: &str = "SET log_statement = 'none'; SET log_min_error_statement = 'panic'";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) async fn connect(mut config: Config, within: Duration) -> anyhow::Result<Client> {
    config.connect_timeout(within);
    let (client, connection) = config.connect(NoTls).await.context("no connection to PostgreSQL")?;
    // The task ends with the client, which reports its errors.
    tokio::spawn(async { connection.await.unwrap_or_default() });
    Ok(client)
}

/// Opens a superuser's session that may set passwords.
async fn connect_unlogged(config: &StackConfig) -> anyhow::Result<Client> {
    let client = connect(PostgresEndpoint::of(config)?.config(SUPERUSER), CONNECT_TIMEOUT).await?;
    client.batch_execute(UNLOGGED).await.context("the logging of statements cannot be turned off")?;
    Ok(client)
}

/// Creates the role and the database `name` unless they exist, and sets the role's password.
///
/// Names are constants and passwords hexadecimal digits: DDL statements take no parameters.
async fn ensure(client: &Client, name: &str, password: &str) -> anyhow::Result<()> {
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
    Ok(client.query_opt(query, &[&name]).await.context("the system catalog cannot be read")?.is_some())
}

async fn run(client: &Client, statement: &str) -> anyhow::Result<()> {
    // The statement may contain a password, so the error does not repeat it.
    client.batch_execute(statement).await.context("a role or database cannot be created")
}
