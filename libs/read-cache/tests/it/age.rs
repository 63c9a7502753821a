//! How old an answer can be.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use read_cache::{Cache, Error};
use tokio::time::{Instant, advance, sleep};

use crate::source::{ABSENT_MAX_AGE, Down, LOAD_TIMEOUT, MAX_AGE, cached, settings};

/// What a client or the world does.
#[derive(Clone, Debug)]
enum Step {
    Get {
        key: u32,
    },
    GetAndGiveUp {
        key: u32,
    },
    Invalidate {
        key: u32,
    },
    Pass {
        s: u64,
    },
    /// From now on a load takes so long, and looks at the row when half of it is over.
    Slow {
        s: u64,
    },
    /// From now on loads fail, or not.
    Down {
        down: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u32).prop_map(|key| Step::Get { key }),
        1 => (0..4_u32).prop_map(|key| Step::GetAndGiveUp { key }),
        1 => (0..4_u32).prop_map(|key| Step::Invalidate { key }),
        4 => (0..1_500_u64).prop_map(|s| Step::Pass { s }),
        1 => (0..2_500_u64).prop_map(|s| Step::Slow { s }),
        1 => any::<bool>().prop_map(|down| Step::Down { down }),
    ]
}

/// Every value is the moment at which it was read.
async fn no_answer_is_too_old(steps: Vec<Step>) {
    let world = Arc::new(std::sync::Mutex::new((Duration::ZERO, false)));
    let cache: Cache<u32, Instant, Down> = Cache::new(settings("property"), {
        let world = Arc::clone(&world);
        move |_| {
            let (latency, down) = *world.lock().unwrap();
            async move {
                sleep(latency / 2).await;
                let now = Instant::now();
                sleep(latency / 2).await;
                if down { Err(Down) } else { Ok(Some(now)) }
            }
        }
    });
    for step in steps {
        match step {
            Step::Get { key } => {
                if let Ok(answer) = cache.get(&key).await {
                    let age = answer.unwrap().elapsed();
                    assert!(age < MAX_AGE, "{age:?}");
                }
            }
            Step::GetAndGiveUp { key } => {
                drop(tokio::time::timeout(Duration::from_secs(1), cache.get(&key)).await);
            }
            Step::Invalidate { key } => {
                cache.invalidate(&key);
                let now = Instant::now();
                if let Ok(answer) = cache.get(&key).await {
                    assert!(answer.unwrap() >= now, "what was read before an invalidation came after it");
                }
            }
            Step::Pass { s } => advance(Duration::from_secs(s)).await,
            Step::Slow { s } => world.lock().unwrap().0 = Duration::from_secs(s),
            Step::Down { down } => world.lock().unwrap().1 = down,
        }
    }
}

proptest! {
    #[test]
    fn nothing_older_than_max_age_is_served(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(no_answer_is_too_old(steps));
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_lasts_for_max_age_and_no_longer() {
    let (cache, source) = cached("lasts");
    source.set(1, 10);
    assert_eq!(cache.get(&1).await.unwrap(), Some(10));
    source.set(1, 11);
    advance(MAX_AGE * 6 / 10).await;
    assert_eq!(cache.get(&1).await.unwrap(), Some(10));
    advance(MAX_AGE * 4 / 10).await;
    assert_eq!(cache.get(&1).await.unwrap(), Some(11));
}

#[tokio::test(start_paused = true)]
async fn age_counts_from_the_beginning_of_the_load() {
    let (cache, source) = cached("beginning");
    source.set(1, 10);
    source.set_latency(MAX_AGE / 2);
    assert_eq!(cache.get(&1).await.unwrap(), Some(10));
    source.set(1, 11);
    source.set_latency(Duration::ZERO);
    advance(MAX_AGE / 2).await;
    assert_eq!(
        cache.get(&1).await.unwrap(),
        Some(11),
        "it came half a life ago, and was read a whole one ago"
    );
}

#[tokio::test(start_paused = true)]
async fn the_absence_of_a_value_has_its_own_maximum_age() {
    let (cache, source) = cached("nothing");
    assert_eq!(cache.get(&1).await.unwrap(), None);
    source.set(1, 10);
    advance(ABSENT_MAX_AGE * 6 / 10).await;
    assert_eq!((cache.get(&1).await.unwrap(), source.n_loads()), (None, 1));
    advance(ABSENT_MAX_AGE * 4 / 10).await;
    assert_eq!(cache.get(&1).await.unwrap(), Some(10));

    source.remove(1);
    advance(MAX_AGE).await;
    assert_eq!(cache.get(&1).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_fails() {
    let (cache, source) = cached("too-long");
    source.set(1, 10);
    source.set_latency(LOAD_TIMEOUT * 2);
    let started = Instant::now();
    assert!(matches!(cache.get(&1).await, Err(Error::TooSlow)));
    assert_eq!(started.elapsed(), LOAD_TIMEOUT);

    // In time for a load, too late for what may be said of a key without a value.
    source.set_latency(ABSENT_MAX_AGE * 11 / 10);
    assert!(matches!(cache.get(&2).await, Err(Error::TooSlow)));
}
