//! State that the HTTP handlers share.

use std::sync::Arc;

use cursor::Cursors;
use idempotency::http::Retention;
use pg::Pool;
use tokio::sync::Notify;
use webhook::Keys;

pub(crate) struct State {
    pub(crate) pool: Pool,
    pub(crate) cursors: Cursors,
    pub(crate) retention: Retention,
    /// Wakes the settlement: call `notify_one` after COMMIT.
    pub(crate) settlement: Arc<Notify>,
    /// Keys of the webhooks of the bank.
    pub(crate) webhook_keys: Keys,
}
