//! Many orders, and then the reckoning: what was acknowledged against what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use futures::{StreamExt as _, stream};
use loadtest::observe::Observer;
use loadtest::reconcile::{Line, Promise, Told, reconcile};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use uuid::Uuid;

use super::shop::{Placement, Shop};
use super::visits::Visits;
use super::{Scene, fresh_address};
use crate::console::{print, seconds};

/// How many requests may be under way when no rate is given.
const IN_FLIGHT: usize = 16;

/// How many requests may be under way at a given rate, before the next one has to wait after all.
const IN_FLIGHT_LIMIT: usize = 2000;

/// How long one order is tried for. A service that was killed has to be started by a person.
const PLACING: Duration = Duration::from_mins(2);

/// How long nothing more may come about before what is missing counts as missing.
const SETTLING: Duration = Duration::from_mins(1);

/// The pauses between two tries of one request double from the first to the last.
const FIRST_PAUSE_MS: u64 = 100;
const LAST_PAUSE_MS: u64 = 2000;

/// What is to be done to the product, while a link of its own is followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) n_orders: u32,
    /// Orders each second; as fast as [`IN_FLIGHT`] allow if left out.
    pub(crate) rate: Option<f64>,
    /// Whether a request that had to be sent again, or a visit that led nowhere, is a failure even if all came right in the end.
    pub(crate) uninterrupted: bool,
}

/// Places orders and reconciles; fails on any disagreement, and when an order was refused.
pub(crate) async fn load(scene: &Scene, load: Load) -> anyhow::Result<()> {
    let Load { n_orders, rate, uninterrupted } = load;
    let customer = fresh_address("load");
    let (target, token) = (&scene.doors.target, &scene.shop.token);
    let observer = Observer::begin(target, token, &customer, SETTLING).await?;
    let visits = Visits::begin(&target.links_url, token).await?;
    let wanted = (0..n_orders).map(|number| {
        let sku = &target.skus[number as usize % target.skus.len()];
        Wanted::new(&customer, Line { sku: sku.clone(), quantity: 1 + number % 3 })
    });
    let begun = Instant::now();
    let tries = match rate {
        Some(rate) => place_at_rate(&scene.shop, wanted.collect(), rate).await,
        None => place_by_turns(&scene.shop, wanted.collect()).await,
    };
    print(format_args!("{n_orders} orders sent in {}", seconds(begun.elapsed())));

    let links = BTreeMap::from([visits.link()]);
    let visits = visits.end();
    let mut failures = visits.failures;
    let mut orders = BTreeMap::new();
    for tried in tries {
        failures.extend(tried.failures);
        orders.insert(tried.key, tried.promise);
    }
    let told = Told { orders, links, ..Told::default() };
    let report = reconcile(&told, &observer.look(&told).await?);
    print(&report);
    print(format_args!("visits of a link      {}", visits.n_redirected));
    print(Failures(&failures));
    match (report.faults.len(), report.n_refused, failures.len()) {
        (0, 0, failures) if uninterrupted && failures > 0 => bail!("{failures} requests failed"),
        (0, 0, _) => Ok(()),
        (0, refused, _) => bail!("{refused} orders were refused"),
        (faults, ..) => bail!("{faults} faults"),
    }
}

/// Requests that failed, the same reasons together.
struct Failures<'a>(&'a [String]);

impl fmt::Display for Failures<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "requests failed       {}", self.0.len())?;
        let mut counts = BTreeMap::<&str, usize>::new();
        for failure in self.0 {
            *counts.entry(failure).or_default() += 1;
        }
        for (reason, count) in counts {
            write!(formatter, "\n  {count} times: {reason}")?;
        }
        Ok(())
    }
}

/// An order that is to be placed.
struct Wanted {
    placement: Placement,
    line: Line,
}

impl Wanted {
    fn new(customer: &str, line: Line) -> Self {
        Self { placement: Placement::new(customer, &[(&line.sku, line.quantity)]), line }
    }
}

/// What came of trying to place one order.
struct Tried {
    key: Uuid,
    promise: Promise,
    /// Why the request was answered by nobody, or by nothing that settles it: each time.
    failures: Vec<String>,
}

/// The next request goes out when one of the earlier ones has its answer.
async fn place_by_turns(shop: &Shop, wanted: Vec<Wanted>) -> Vec<Tried> {
    stream::iter(wanted)
        .map(|wanted| place(shop, wanted, Instant::now()))
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await
}

/// Requests go out at fixed times, whether or not there were answers, and count from those times:
/// otherwise a slow service would slow down what measures it.
async fn place_at_rate(shop: &Shop, wanted: Vec<Wanted>, rate: f64) -> Vec<Tried> {
    let permits = Arc::new(Semaphore::new(IN_FLIGHT_LIMIT));
    let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut placing = JoinSet::new();
    for wanted in wanted {
        let due_at = ticks.tick().await;
        let permit = Arc::clone(&permits).acquire_owned().await.expect("it is never closed");
        let shop = shop.clone();
        placing.spawn(async move {
            let tried = place(&shop, wanted, due_at).await;
            drop(permit);
            tried
        });
    }
    placing.join_all().await
}

/// Sends the same request, with the same key, until there is an answer that settles it.
async fn place(shop: &Shop, wanted: Wanted, due_at: Instant) -> Tried {
    let Wanted { placement, line } = wanted;
    let mut failures = Vec::new();
    let mut promise = Promise {
        due_at: due_at.into_std(),
        counted: true,
        n_sends: 0,
        lines: vec![line],
        ids: BTreeSet::new(),
        refusal: None,
    };
    while promise.n_sends == 0 || due_at.elapsed() < PLACING {
        promise.n_sends += 1;
        match shop.place(&placement).await {
            Ok(answer) if answer.status == 202 => {
                match answer.order() {
                    Ok(order) => promise.ids = BTreeSet::from([order.id]),
                    Err(error) => promise.refusal = Some(format!("{error:#}")),
                }
                break;
            }
            Ok(answer) if !is_worth_another_try(answer.status) => {
                promise.refusal = Some(format!("HTTP {}: {}", answer.status, answer.body));
                break;
            }
            answer => {
                failures.push(match answer {
                    Ok(answer) => format!("POST of an order: HTTP {}", answer.status),
                    Err(error) => format!("{error:#}"),
                });
                sleep(pause_after(promise.n_sends)).await;
            }
        }
    }
    Tried { key: placement.idempotency_key, promise, failures }
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
