//! State that the HTTP handlers share.

use cursor::Cursors;
use idempotency::http::Retention;
use pg::Pool;
use read_cache::{Cache, Settings};

use crate::{
    domain::{Code, PublicUrl, Target},
    store,
};

/// Cached targets by code. A handler that changes a link invalidates its code before it responds.
pub(crate) type Targets = Cache<Code, Target, pg::Error>;

pub(crate) struct State {
    pub(crate) pool: Pool,
    pub(crate) targets: Targets,
    pub(crate) public_url: PublicUrl,
    pub(crate) cursors: Cursors,
    pub(crate) retention: Retention,
}

pub(crate) fn cached_targets(settings: Settings, pool: Pool) -> Targets {
    Cache::new(settings, move |code| {
        let pool = pool.clone();
        async move { store::find_target(&pool, &code).await }
    })
}
