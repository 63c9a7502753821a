//! State that the HTTP handlers share.

use cursor::Cursors;
use events::Encoder;
use idempotency::http::Retention;
use pg::Pool;

use crate::{catalogue::CatalogueLoaded, config::Tracking, process};

pub(crate) struct State {
    pub(crate) pool: Pool,
    pub(crate) encoder: Encoder,
    pub(crate) tracking: Tracking,
    pub(crate) cursors: Cursors,
    pub(crate) process: process::Wake,
    pub(crate) relay: outbox::Wake,
    pub(crate) retention: Retention,
    pub(crate) catalogue: CatalogueLoaded,
}
