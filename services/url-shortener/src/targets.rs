//! Where codes lead, remembered for a moment.

use pg::Pool;
use read_cache::{Cache, Settings};

use crate::{
    domain::{Code, Target},
    store,
};

/// The targets of codes. Whoever changes a link invalidates its code before the client is told.
pub(crate) type Targets = Cache<Code, Target, pg::Error>;

/// Makes the cache, still empty, in front of the database.
pub(crate) fn remembered(settings: Settings, pool: Pool) -> Targets {
    Cache::new(settings, move |code| {
        let pool = pool.clone();
        async move { store::find_target(&pool, &code).await }
    })
}
