//! Early refresh: one caller starts the load of a frequently read key, and no caller waits.

use std::time::Duration;

use tokio::time::{Instant, advance, sleep};

use crate::source::{MAX_AGE, TestCache, cached, counter};

const SLOW: Duration = Duration::from_secs(100);
const STEP: Duration = Duration::from_secs(1);

/// Asks every second; returns the longest wait.
async fn ask_for(cache: &TestCache, lasting: Duration) -> Duration {
    let (begin, mut longest) = (Instant::now(), Duration::ZERO);
    while begin.elapsed() < lasting {
        let asked = Instant::now();
        cache.get(&1).await.unwrap();
        longest = longest.max(asked.elapsed());
        sleep(STEP).await;
    }
    longest
}

#[tokio::test(start_paused = true)]
async fn no_caller_waits_for_a_frequently_read_key() {
    let (cache, source) = cached("often");
    source.set(1, 10);
    source.set_latency(SLOW);
    cache.get(&1).await.unwrap();

    assert_eq!(ask_for(&cache, 10 * MAX_AGE).await, Duration::ZERO);

    // One for each 70 to 90 % of a life, and not one more.
    let n_loads = source.n_loads();
    assert!((11..=15).contains(&n_loads), "{n_loads}");
    assert_eq!(counter("cache_refreshes_total", "often", None), n_loads - 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_without_readers_is_not_loaded_again() {
    let (cache, source) = cached("idle");
    source.set(1, 10);
    cache.get(&1).await.unwrap();
    sleep(10 * MAX_AGE).await;
    assert_eq!(source.n_loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_source_is_down_an_entry_is_served_for_its_time_and_no_longer() {
    let (cache, source) = cached("down");
    source.set(1, 10);
    cache.get(&1).await.unwrap();
    source.set_down(true);

    assert_eq!(ask_for(&cache, MAX_AGE * 999 / 1_000).await, Duration::ZERO);
    // One try in each twentieth of a life, in the last third of it.
    assert!((2..=9).contains(&source.n_loads()), "{}", source.n_loads());

    advance(2 * STEP).await;
    assert!(cache.get(&1).await.is_err());
    source.set_down(false);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(cache.get(&1).await.unwrap(), Some(10));
}
