#![doc = include_str!("../README.md")]

mod config;
mod connect;
mod error;
mod in_use;
mod metrics;
mod migrate;
mod patience;
mod pool;
mod pool_gauge;
mod read;
mod row;
mod run;
mod ssl_mode;
mod tx;
mod write;

pub use config::{Config, Migrations};
pub use error::Error;
pub use migrate::{Migration, Schema, migrate};
pub use pool::{Pool, connect};
pub use read::query_opt;
pub use row::Columns;
pub use run::run_tx;
pub use tx::{Tx, TxError, TxFuture};
pub use write::write_opt;

pub use tokio_postgres::{Row, types};
