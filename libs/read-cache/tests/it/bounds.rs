//! Nothing grows without bound, and who is not served is told so.

use std::time::Duration;

use futures::future::join_all;
use read_cache::{Error, Settings};

use crate::source::{MAX_AGE, cached_with, settings};

const SLOW: Duration = Duration::from_secs(100);

#[tokio::test(start_paused = true)]
async fn a_scan_of_unknown_keys_displaces_no_value() {
    const HOT: u32 = 50;
    let (cache, source) = cached_with(Settings { capacity: u64::from(HOT), ..settings("scan") });
    for key in 0..HOT {
        source.set(key, 10);
        assert_eq!(cache.get(&key).await.unwrap(), Some(10));
    }
    for key in 1_000..11_000 {
        assert_eq!(cache.get(&key).await.unwrap(), None);
    }
    let n_loads = source.n_loads();
    for key in 0..HOT {
        assert_eq!(cache.get(&key).await.unwrap(), Some(10));
    }
    assert_eq!(source.n_loads(), n_loads, "all of them were still there");
}

#[tokio::test(start_paused = true)]
async fn a_scan_of_keys_that_are_there_is_not_kept_whole() {
    let (cache, source) = cached_with(Settings { capacity: 100, ..settings("capacity") });
    for key in 0..10_000 {
        source.set(key, 10);
        cache.get(&key).await.unwrap();
    }
    let n_loads = source.n_loads();
    for key in 0..10_000 {
        cache.get(&key).await.unwrap();
    }
    // moka tidies up in batches, so for a moment there can be more than its capacity.
    let n_kept = 10_000 - (source.n_loads() - n_loads);
    assert!(n_kept < 2_000, "{n_kept}");
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_maximum_of_loads_is_overloaded() {
    let (cache, source) = cached_with(Settings { max_loads: 2, ..settings("overload") });
    source.set_latency(SLOW);
    let keys = [1, 2, 3, 1, 2];

    let answers = join_all(keys.iter().map(|key| cache.get(key))).await;

    let refused = answers.iter().map(|answer| matches!(answer, Err(Error::Overloaded))).collect::<Vec<_>>();
    assert_eq!(refused, [false, false, true, false, false], "who joins a load needs no other: {answers:?}");
    assert_eq!(cache.get(&3).await.unwrap(), None, "the places are free again");
}

#[tokio::test(start_paused = true)]
async fn a_load_without_waiters_keeps_its_slot_until_it_ends() {
    let (cache, source) = cached_with(Settings { max_loads: 1, ..settings("held") });
    source.set_latency(SLOW);
    assert!(tokio::time::timeout(SLOW / 2, cache.get(&1)).await.is_err());
    // Neither that nor an invalidation makes room for another: the source is still busy with it.
    cache.invalidate(&1);
    assert!(matches!(cache.get(&1).await, Err(Error::Overloaded)));
    tokio::time::sleep(SLOW).await;
    assert_eq!(cache.get(&1).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn hits_need_no_place() {
    let (cache, source) = cached_with(Settings { max_loads: 1, ..settings("hits") });
    source.set(1, 10);
    assert_eq!(cache.get(&1).await.unwrap(), Some(10));
    source.set_latency(SLOW);
    tokio::time::advance(MAX_AGE * 95 / 100).await;
    let (slow, hit) = tokio::join!(cache.get(&2), async {
        tokio::task::yield_now().await;
        cache.get(&1).await
    });
    assert_eq!((slow.unwrap(), hit.unwrap()), (None, Some(10)), "a refresh without a permit fails no caller");
}
