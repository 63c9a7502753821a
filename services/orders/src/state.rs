//! State that the HTTP handlers share.

use std::sync::Arc;

use cursor::Cursors;
use events::Encoder;
use idempotency::http::Retention;
use pg::Pool;
use tokio::sync::Notify;

use crate::{catalogue::CatalogueLoaded, config::Tracking};

pub(crate) struct State {
    pub(crate) pool: Pool,
    pub(crate) encoder: Encoder,
    pub(crate) tracking: Tracking,
    pub(crate) cursors: Cursors,
    pub(crate) process: Arc<Notify>,
    pub(crate) relay: Arc<Notify>,
    pub(crate) retention: Retention,
    pub(crate) catalogue: CatalogueLoaded,
}
