//! `PostgreSQL`: one cluster, with a database and a role for each service.
//!
//! It listens on TCP only, so that nothing of it lies in a shared directory, and keeps `fsync` on:
//! what the drills show about kills and crashes has to be true.

mod cluster;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use super::database;
use crate::endpoints::PostgresEndpoint;
use crate::part::{Part, Step};
use crate::process::{Launch, proportional_mib};
use crate::stack::StackConfig;

/// The name of the role that owns the cluster.
pub(crate) const SUPERUSER: &str = "postgres";

pub(crate) const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// The database server of a stack.
pub(crate) struct Postgres {
    pub(crate) config: Arc<StackConfig>,
    /// Each name is that of a database, of the role that owns it, and of the role's password.
    pub(crate) databases: &'static [&'static str],
    pub(crate) max_connections: u16,
}

impl Part for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        vec![("clients", self.config.ports.postgres())]
    }

    fn address(&self) -> String {
        format!("postgres://127.0.0.1:{}", self.config.ports.postgres())
    }

    fn prepare(&self) -> Step<'_> {
        Box::pin(async {
            let password = self.config.secrets.random(SUPERUSER)?;
            cluster::prepare(&self.config.dir(self.name()), &password).await
        })
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.config.ports.postgres()),
            "unix_socket_directories=".to_owned(),
            format!("max_connections={}", self.max_connections),
            "shared_buffers=64MB".to_owned(),
            // Who changed which schema when: the log is the only place that knows.
            "log_statement=ddl".to_owned(),
            "log_line_prefix=%m [%p] %q%u@%d %a %h ".to_owned(),
            // Otherwise the statement of a program that was ended goes on, with its locks.
            "client_connection_check_interval=5s".to_owned(),
        ];
        Ok(Launch::new(Path::new(PROGRAMS).join("postgres"))
            .user(cluster::owner())
            .arg("-D")
            .arg(cluster::data_dir(&self.config.dir(self.name())))
            .args(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting])))
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async {
            let client = database::connect_unlogged(&PostgresEndpoint::of(&self.config)?).await?;
            client.simple_query("SELECT 1").await?;
            Ok(())
        })
    }

    fn provision(&self) -> Step<'_> {
        Box::pin(async {
            let client = database::connect_unlogged(&PostgresEndpoint::of(&self.config)?).await?;
            for name in self.databases {
                database::ensure(&client, name, &self.config.secrets.random(name)?).await?;
            }
            Ok(())
        })
    }

    /// The "fast" shutdown: sessions are ended, everything is written.
    fn stop_signal(&self) -> Signal {
        Signal::INT
    }

    fn stop_timeout(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn memory_mib(&self, pid: u32) -> Option<u64> {
        proportional_mib(pid)
    }
}
