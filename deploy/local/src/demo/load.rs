//! Many orders, and then the reckoning: what was acknowledged against what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use futures::{StreamExt as _, stream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use uuid::Uuid;

use super::inbox::Inbox;
use super::reconcile::{Acknowledged, Outcome};
use super::shop::{Placement, Shop, State};
use super::{Scene, fresh_address};
use crate::console::{say, seconds};
use crate::readiness::until_ok;

/// How many requests may be under way when no rate is given.
const IN_FLIGHT: usize = 16;

/// How many requests may be under way at a given rate, before the next one has to wait after all.
const IN_FLIGHT_LIMIT: usize = 2000;

/// How long one order is tried for. A service that was killed has to be started by a person.
const PLACING: Duration = Duration::from_mins(2);

/// How long an order may take to become final, and how long no mail may come before we give up.
const SETTLING: Duration = Duration::from_mins(1);

/// How long to look for copies of mails after the last one expected.
const AFTERMATH: Duration = Duration::from_secs(3);

/// The pauses between two tries of one request double from the first to the last.
const FIRST_PAUSE_MS: u64 = 100;
const LAST_PAUSE_MS: u64 = 2000;

/// Places `n_orders` and reconciles; fails on any mismatch.
pub(crate) async fn load(scene: &Scene, n_orders: u32, rate: Option<f64>) -> anyhow::Result<()> {
    let customer = fresh_address("load");
    let mut inbox = Inbox::watch(&customer, scene.ports.imap()).await?;
    let placements = (0..n_orders).map(|number| {
        let sku = &scene.skus[number as usize % scene.skus.len()];
        Placement::new(&customer, &[(sku, 1 + number % 3)])
    });
    let begun = Instant::now();
    let tries = match rate {
        Some(rate) => place_at_rate(&scene.shop, placements.collect(), rate).await,
        None => place_by_turns(&scene.shop, placements.collect()).await,
    };
    say(format_args!("{n_orders} orders sent in {}", seconds(begun.elapsed())));

    let acknowledged: BTreeMap<Uuid, Acknowledged> =
        tries.iter().filter_map(|tried| tried.order.map(|id| (id, tried.acknowledged))).collect();
    // Mails first: looking for them costs next to nothing, while asking for hundreds of orders would
    // take time from the very thing that is being measured.
    await_mails(&mut inbox, acknowledged.len()).await?;
    let states = final_states(&scene.shop, acknowledged.keys().copied().collect()).await;
    let outcome = Outcome {
        n_sent: tries.len(),
        n_retried: tries.iter().filter(|tried| tried.acknowledged.n_tries > 1).count(),
        refusals: tries.iter().filter_map(|tried| tried.refusal.clone()).collect(),
        acknowledged,
        states,
        arrivals: inbox.arrivals().await?,
    };
    let report = outcome.reconcile();
    say(&report);
    if !report.mismatches.is_empty() {
        bail!("{} mismatches", report.mismatches.len());
    }
    Ok(())
}

/// What came of trying to place one order.
struct Tried {
    /// The order that was acknowledged.
    order: Option<Uuid>,
    acknowledged: Acknowledged,
    refusal: Option<String>,
}

/// The next request goes out when one of the earlier ones has its answer.
async fn place_by_turns(shop: &Shop, placements: Vec<Placement>) -> Vec<Tried> {
    stream::iter(placements)
        .map(|placement| place(shop, placement, Instant::now()))
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await
}

/// Requests go out at fixed times, whether or not there were answers, and count from those times:
/// otherwise a slow service would slow down what measures it.
async fn place_at_rate(shop: &Shop, placements: Vec<Placement>, rate: f64) -> Vec<Tried> {
    let permits = Arc::new(Semaphore::new(IN_FLIGHT_LIMIT));
    let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut placing = JoinSet::new();
    for placement in placements {
        let due_at = ticks.tick().await;
        let permit = Arc::clone(&permits).acquire_owned().await.expect("it is never closed");
        let shop = shop.clone();
        placing.spawn(async move {
            let tried = place(&shop, placement, due_at).await;
            drop(permit);
            tried
        });
    }
    placing.join_all().await
}

/// Sends the same request, with the same key, until there is an answer that settles it.
async fn place(shop: &Shop, placement: Placement, sent_at: Instant) -> Tried {
    let mut n_tries = 0;
    loop {
        n_tries += 1;
        let (order, refusal) = match shop.place(&placement).await {
            Ok(answer) if answer.status == 202 => match answer.order() {
                Ok(order) => (Some(order.id), None),
                Err(error) => (None, Some(format!("{error:#}"))),
            },
            Ok(answer) if !is_worth_another_try(answer.status) => {
                (None, Some(format!("HTTP {}: {}", answer.status, answer.body)))
            }
            Ok(_) | Err(_) if sent_at.elapsed() < PLACING => {
                sleep(pause_after(n_tries)).await;
                continue;
            }
            Ok(answer) => (None, Some(format!("gave up; the last answer was HTTP {}", answer.status))),
            Err(error) => (None, Some(format!("gave up; at last: {error:#}"))),
        };
        return Tried { order, acknowledged: Acknowledged { sent_at, n_tries }, refusal };
    }
}

/// A request with an idempotency key can be repeated whenever the answer is not about the request.
fn is_worth_another_try(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 409 | 429)
}

/// Anything from nothing to twice as long as before, so that clients do not come back together.
fn pause_after(n_tries: u32) -> Duration {
    let most = FIRST_PAUSE_MS.saturating_mul(1 << n_tries.min(10)).min(LAST_PAUSE_MS);
    Duration::from_millis(rand::random_range(0..=most))
}

/// The state of each order when it became final, or when we stopped waiting for that.
async fn final_states(shop: &Shop, orders: Vec<Uuid>) -> BTreeMap<Uuid, State> {
    let states = stream::iter(orders).map(async |id| {
        let state = until_ok(SETTLING, async || {
            let state = shop.find(id).await?.state;
            anyhow::ensure!(state.is_final(), "still {state}");
            Ok(state)
        });
        (id, state.await.unwrap_or(State::Pending))
    });
    states.buffer_unordered(IN_FLIGHT).collect().await
}

/// Waits until as many mails have come as are expected, or no more come.
async fn await_mails(inbox: &mut Inbox, n_expected: usize) -> anyhow::Result<()> {
    let mut n_seen = 0;
    let mut last_at = Instant::now();
    while n_seen < n_expected && last_at.elapsed() < SETTLING {
        let n_now = inbox.arrivals().await?.len();
        if n_now > n_seen {
            n_seen = n_now;
            last_at = Instant::now();
        }
        sleep(Duration::from_millis(100)).await;
    }
    sleep(AFTERMATH).await;
    Ok(())
}
