//! A load that began before an invalidation cannot undo it.

use std::time::Duration;

use tokio::time::{advance, sleep, timeout};

use crate::source::{MAX_AGE, cached, counter};

const SLOW: Duration = Duration::from_secs(100);

#[tokio::test(start_paused = true)]
async fn a_value_read_before_an_invalidation_is_not_served_after_it() {
    let (cache, source) = cached("fence");
    source.set(1, 10);
    source.set_latency(SLOW);

    let (early, ()) = tokio::join!(cache.get(&1), async {
        sleep(SLOW / 2).await;
        source.set(1, 11);
        cache.invalidate(&1);
    });

    // Who asked before the change may get either.
    assert_eq!(early.unwrap(), Some(10));
    assert_eq!((cache.get(&1).await.unwrap(), source.n_loads()), (Some(11), 2));
    assert_eq!(counter("cache_stale_loads_rejected_total", "fence", None), 1);
}

#[tokio::test(start_paused = true)]
async fn no_caller_joins_a_load_from_before_an_invalidation() {
    let (cache, source) = cached("joins");
    source.set(1, 10);
    source.set_latency(SLOW);

    let (early, late) = tokio::join!(cache.get(&1), async {
        sleep(SLOW / 2).await;
        source.set(1, 11);
        cache.invalidate(&1);
        cache.get(&1).await
    });

    assert_eq!((early.unwrap(), late.unwrap()), (Some(10), Some(11)));
    assert_eq!((cache.get(&1).await.unwrap(), source.n_loads()), (Some(11), 2), "the later load was kept");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_fenced_like_any_load() {
    let (cache, source) = cached("fenced-refresh");
    source.set(1, 10);
    cache.get(&1).await.unwrap();
    source.set_latency(SLOW);
    advance(MAX_AGE * 9 / 10).await;
    assert_eq!(cache.get(&1).await.unwrap(), Some(10));
    sleep(SLOW / 2).await;
    assert_eq!(source.n_loads(), 2, "the refresh is on its way");

    source.set(1, 11);
    cache.invalidate(&1);
    sleep(SLOW).await;

    assert_eq!(cache.get(&1).await.unwrap(), Some(11));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_appears_replaces_its_absence_at_once() {
    let (cache, source) = cached("appears");
    assert_eq!(cache.get(&1).await.unwrap(), None);
    source.set(1, 10);
    cache.invalidate(&1);
    assert_eq!(cache.get(&1).await.unwrap(), Some(10));
    source.remove(1);
    cache.invalidate(&1);
    assert_eq!(cache.get(&1).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_ends_the_pause_after_a_failure() {
    let (cache, source) = cached("pause");
    source.set(1, 10);
    source.set_down(true);
    assert!(cache.get(&1).await.is_err());
    source.set_down(false);
    cache.invalidate(&1);
    assert_eq!(cache.get(&1).await.unwrap(), Some(10));
}

#[tokio::test(start_paused = true)]
async fn a_write_invalidates_however_it_ends() {
    let (cache, source) = cached("write");
    source.set(1, 10);
    let write = async |value: u64, answer_after: Duration| {
        let _invalidation = cache.invalidate_on_drop(1);
        source.set(1, value);
        sleep(answer_after).await;
    };
    cache.get(&1).await.unwrap();
    write(11, Duration::ZERO).await;
    assert_eq!(cache.get(&1).await.unwrap(), Some(11));

    let cancelled = timeout(SLOW, write(12, 2 * SLOW)).await;
    assert!(cancelled.is_err());
    assert_eq!(cache.get(&1).await.unwrap(), Some(12));
}
