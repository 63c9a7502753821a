#![doc = include_str!("../README.md")]

mod config;
pub mod deadline;
mod error;
mod metrics;
mod migrate;
mod partitions;
mod pool;
mod pool_gauge;
mod query;
mod retention;
mod run_tx;
mod tx;

pub use config::{Config, Migrations};
pub use error::Error;
pub use migrate::{Migration, Schema, migrate};
pub use partitions::{Partitions, Statement, run_partitions};
pub use pool::{Pool, connect};
pub use query::{Columns, query_opt, write_opt};
pub use retention::run_retention;
pub use run_tx::run_tx;
pub use tx::{Tx, TxError, TxFuture};

pub use tokio_postgres::{Row, types};
