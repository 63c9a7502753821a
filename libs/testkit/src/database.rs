//! A database and a role for one test.

use std::net::SocketAddr;

use pg::{Migrations, Pool, Schema};
use tls::Trust;
use tokio_postgres::{Client, Config, NoTls};

use crate::parts::{endpoints, unique};

/// An empty database and the role that owns it; the role has no other rights, as in production.
#[derive(Debug)]
pub struct Database {
    /// The name of the database, of its role, and the role's password.
    name: String,
}

impl Database {
    /// Creates the database. `name` is its prefix, of lower-case letters and underscores.
    pub async fn create(name: &str) -> Self {
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}: not a plain identifier");
        let name = unique(name, '_');
        let server = connect(&superuser()).await;
        for statement in [
            format!("CREATE ROLE {name} LOGIN PASSWORD '{name}'"),
            // template0 has no connections, which would prevent concurrent creations.
            format!("CREATE DATABASE {name} OWNER {name} TEMPLATE template0"),
        ] {
            server.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
        Self { name }
    }

    /// Returns the URL of the database, with its role.
    pub fn url(&self) -> String {
        self.url_at(&Self::server())
    }

    /// Returns the URL of the database through a [`FaultProxy`](crate::FaultProxy).
    pub fn url_through(&self, proxy: SocketAddr) -> String {
        self.url_at(&proxy.to_string())
    }

    /// Returns `host:port` of the server: the upstream for a proxy.
    pub fn server() -> String {
        let postgres = &endpoints().postgres;
        format!("{}:{}", postgres.host, postgres.port)
    }

    /// Connects to the database as its owner.
    pub async fn connect(&self) -> Client {
        connect(&self.url().parse().expect("the URL is valid")).await
    }

    /// Returns a pool of the database, in which these schemas are migrated.
    pub async fn pool(&self, schemas: &[Schema]) -> Pool {
        pool_at(&self.url(), schemas).await
    }

    /// Copies the database. All its sessions end.
    pub async fn back_up(&self) {
        let name = &self.name;
        self.without_sessions(&[format!("CREATE DATABASE {name}_backup OWNER {name} TEMPLATE {name}")]).await;
    }

    /// Puts the copy in the place of the database. All sessions end.
    pub async fn restore(&self) {
        let name = &self.name;
        let replace =
            [format!("DROP DATABASE {name}"), format!("ALTER DATABASE {name}_backup RENAME TO {name}")];
        self.without_sessions(&replace).await;
    }

    async fn without_sessions(&self, statements: &[String]) {
        let (name, server) = (&self.name, connect(&superuser()).await);
        let prepare = [
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
            format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"),
        ];
        let open = [format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")];
        for statement in prepare.iter().chain(statements).chain(&open) {
            server.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
    }

    fn url_at(&self, address: &str) -> String {
        let name = &self.name;
        format!("postgres://{name}:{name}@{address}/{name}")
    }
}

/// Returns a pool of the database at this URL, in which these schemas are migrated.
pub async fn pool_at(url: &str, schemas: &[Schema]) -> Pool {
    let config = pg::Config {
        database_url: url.to_owned().into(),
        database_pool_size: 4,
        database_acquire_timeout_ms: 1_000,
        database_lock_timeout_ms: 1_500,
        database_statement_timeout_ms: 2_000,
        database_transaction_timeout_ms: 3_000,
        database_migrations: Migrations::Apply,
    };
    let pool = pg::connect(&config, &Trust::none(), "test").expect("the configuration is valid");
    pg::migrate(&pool, schemas).await.expect("the schemas are valid");
    pool
}

fn superuser() -> Config {
    endpoints().postgres.config("postgres")
}

async fn connect(config: &Config) -> Client {
    let (client, connection) =
        config.connect(NoTls).await.unwrap_or_else(|error| panic!("cannot reach PostgreSQL: {error:?}"));
    // Ends with the client.
    tokio::spawn(connection);
    client
}
