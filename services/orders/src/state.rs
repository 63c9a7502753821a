//! State that the HTTP handlers share.

use std::sync::{Arc, OnceLock};

use cursor::Cursors;
use events::Encoder;
use idempotency::http::Retention;
use pg::Pool;
use tokio::sync::Notify;

use crate::{back_pressure::BackPressure, config::Tracking};

pub(crate) struct State {
    pub(crate) pool: Pool,
    pub(crate) encoder: Encoder,
    pub(crate) tracking: Tracking,
    pub(crate) cursors: Cursors,
    pub(crate) process: Arc<Notify>,
    pub(crate) relay: Arc<Notify>,
    pub(crate) retention: Retention,
    pub(crate) back_pressure: Arc<BackPressure>,
    /// Set when the products of the catalogue file are in the database. Until then, an unknown product may still be added.
    pub(crate) catalogue: Arc<OnceLock<()>>,
}
