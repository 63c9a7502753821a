//! A small volume with tables of the order service, which a fault fills. Needs root.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rustix::process::geteuid;
use tokio_postgres::Client;

use crate::process::Launch;

/// Room for the tables of a thousand kills.
const SIZE: &str = "size=192m,mode=0755";

/// Tables that each order writes to.
const TABLES: [&str; 2] = ["orders", "idempotency_keys"];

static BLOCK: [u8; 64 << 10] = [0; 64 << 10];

/// Whether this user can mount it.
pub(crate) fn is_possible() -> bool {
    geteuid().is_root()
}

#[derive(Debug)]
pub(crate) struct Volume {
    path: PathBuf,
}

impl Volume {
    /// Mounts a volume below the directory of `PostgreSQL`, and moves the tables there.
    pub(crate) async fn create(postgres_dir: &Path, orders: &Client) -> anyhow::Result<Self> {
        let postgres_dir = postgres_dir.canonicalize().context("the directory of PostgreSQL")?;
        let path = postgres_dir.join("volume");
        let tables = path.join("tables");
        fs::create_dir_all(&path).with_context(|| format!("{}", path.display()))?;
        Launch::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(&path).run().await?;
        Launch::new("install").args(["-d", "-o", "postgres", "-g", "postgres"]).arg(&tables).run().await?;
        Launch::new("chown").arg("postgres:").arg(&path).run().await?;
        let statement = format!("CREATE TABLESPACE volume LOCATION '{}'", tables.display());
        orders.batch_execute(&statement).await.context("the volume")?;
        for table in TABLES {
            orders
                .batch_execute(&format!("ALTER TABLE {table} SET TABLESPACE volume"))
                .await
                .with_context(|| format!("{table} cannot be moved"))?;
        }
        Ok(Self { path })
    }

    /// Fills it to the last block.
    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        let mut file = fs::File::create(self.filler()).context("the volume")?;
        loop {
            match file.write_all(&BLOCK) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("the volume cannot be filled"),
            }
        }
    }

    /// Makes room again.
    pub(crate) fn empty(&self) -> anyhow::Result<()> {
        fs::remove_file(self.filler()).context("the volume cannot be emptied")
    }

    fn filler(&self) -> PathBuf {
        self.path.join("export")
    }
}

/// Unmounts the volume of an ended stack, if there is one. Lazily: processes of a stack that was killed may still have files open.
pub(crate) async fn unmount(state_dir: &Path) -> anyhow::Result<()> {
    let Ok(path) = state_dir.join("postgres/volume").canonicalize() else { return Ok(()) };
    let is_mounted = Launch::new("mountpoint").arg("-q").arg(&path).run().await.is_ok();
    if is_mounted {
        Launch::new("umount").arg("--lazy").arg(&path).run().await?;
    }
    Ok(())
}
