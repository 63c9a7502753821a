//! Who asks the source, and what those get who wait for it.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use read_cache::{Cache, Error};
use tokio::time::{Instant, advance, timeout};

use crate::source::{Down, cached, requests, settings};

const SLOW: Duration = Duration::from_secs(100);

#[tokio::test(start_paused = true)]
async fn fifty_misses_at_once_make_one_load() {
    let (cache, source) = cached("fifty");
    source.set(1, 10);
    source.set_latency(SLOW);

    let answers = join_all((0..50).map(|_| cache.get(&1))).await;

    assert!(answers.iter().all(|answer| matches!(answer, Ok(Some(10)))), "{answers:?}");
    assert_eq!(source.n_loads(), 1);
    assert_eq!(cache.get(&1).await.unwrap(), Some(10));
    assert_eq!(source.n_loads(), 1);
    let counted =
        ["miss", "coalesced", "hit", "negative_hit", "failed"].map(|outcome| requests("fifty", outcome));
    assert_eq!(counted, [1, 49, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_stop_the_load() {
    let (cache, source) = cached("gives-up");
    source.set(1, 10);
    source.set_latency(SLOW);

    let started = Instant::now();
    let (first, second) = tokio::join!(timeout(SLOW / 10, cache.get(&1)), async {
        tokio::task::yield_now().await;
        cache.get(&1).await
    });

    assert!(first.is_err(), "{first:?}");
    assert_eq!(second.unwrap(), Some(10));
    assert_eq!((source.n_loads(), started.elapsed()), (1, SLOW), "it was not begun again");
}

#[tokio::test(start_paused = true)]
async fn a_load_without_waiters_is_cached() {
    let (cache, source) = cached("no-waiters");
    source.set(1, 10);
    source.set_latency(SLOW);
    assert!(timeout(SLOW / 10, cache.get(&1)).await.is_err());

    advance(SLOW).await;
    tokio::task::yield_now().await;

    assert_eq!((cache.get(&1).await.unwrap(), source.n_loads()), (Some(10), 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_and_not_cached() {
    let (cache, source) = cached("failure");
    source.set(1, 10);
    source.set_latency(SLOW);
    source.set_down(true);

    let answers = join_all((0..50).map(|_| cache.get(&1))).await;
    let failures: Vec<Arc<Down>> = answers
        .into_iter()
        .map(|answer| match answer {
            Err(Error::Load(error)) => error,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(failures.iter().all(|failure| Arc::ptr_eq(failure, &failures[0])));
    assert_eq!((source.n_loads(), requests("failure", "failed")), (1, 50));

    // Those who come right afterwards are no reason to ask again; those who come later are.
    assert!(cache.get(&1).await.is_err());
    assert_eq!(source.n_loads(), 1);
    source.set_down(false);
    advance(Duration::from_millis(200)).await;
    tokio::task::yield_now().await;
    assert_eq!((cache.get(&1).await.unwrap(), source.n_loads()), (Some(10), 2));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_key_does_not_affect_another() {
    let (cache, source) = cached("other-key");
    source.set(2, 20);
    source.set_down(true);
    assert!(cache.get(&1).await.is_err());
    source.set_down(false);
    assert_eq!(cache.get(&2).await.unwrap(), Some(20));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_panics_fails_those_who_wait_and_no_one_else() {
    let panics_once = std::sync::atomic::AtomicBool::new(true);
    let cache: Cache<u32, u64, Down> = Cache::new(settings("panics"), move |_| {
        let panics = panics_once.swap(false, std::sync::atomic::Ordering::Relaxed);
        async move {
            assert!(!panics, "on purpose");
            Ok(Some(10))
        }
    });
    assert!(matches!(cache.get(&1).await, Err(Error::Lost)));
    assert_eq!(cache.get(&1).await.unwrap(), Some(10));
}
