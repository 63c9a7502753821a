//! Places many orders, follows a link meanwhile, and reconciles.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use loadtest::{
    connections::{Connections, Limits},
    engine::{run, run_closed_loop},
    observe::Observer,
    reconcile::{ClientLog, reconcile},
    recording::Figures,
    scenario::{Kind, Operation, Prepare},
    schedule::{Arrival, Phase, Shape, arrivals},
    shop::{Shop, prepare},
};

use super::{Product, new_address};
use crate::console::{print, seconds};

/// Concurrent requests when no rate is given.
const CLIENTS: usize = 16;

/// Retries of one order: some two minutes, in which a person can restart a killed service.
const RETRIES: u32 = 100;

const VISITS_PER_S: f64 = 20.0;

/// An order or a mail is missing after this time without progress.
const SETTLING: Duration = Duration::from_mins(1);

const MAX_DURATION: Duration = Duration::from_hours(1);

/// Places orders and reconciles; fails when a fault is found or an order is refused.
pub(super) async fn load(
    product: &Product,
    n_orders: u32,
    rate: Option<f64>,
    uninterrupted: bool,
) -> anyhow::Result<()> {
    let target = &product.target;
    let api = target.api(MAX_DURATION).context("the token of the demonstration")?;
    let customer = new_address("load");
    let observer = Observer::start(target, api.clone(), &customer, SETTLING).await?;
    let shop = |kind, status| {
        let operation = Operation { kind, share: 1.0, expect: vec![status], repeat: 0.0, retries: RETRIES };
        Shop::new(vec![operation], rand::random(), target, api.clone(), &customer)
    };
    let servers = || {
        let server = |url| Connections::new(url, Limits::WAITING);
        anyhow::Ok(vec![server(&target.orders_url)?, server(&target.links_url)?])
    };
    let (orders, mut visitors) = (shop(Kind::PlaceOrder, 202), shop(Kind::Redirect, 302));
    prepare(&mut visitors, Prepare { links: 1, orders: 0 }, &servers()?).await?;

    let is_over = AtomicBool::new(false);
    let (order_servers, link_servers) = (servers()?, servers()?);
    let place = async {
        let begun = Instant::now();
        let placed = if let Some(rate) = rate {
            let duration = Duration::from_secs_f64(f64::from(n_orders) / rate + 1.0);
            let schedule = constant(rate, duration).take(n_orders as usize);
            run(schedule, order_servers, orders, 1, |_| {}).await
        } else {
            let mut left = 0..n_orders;
            let more = || left.next().is_some();
            Ok(run_closed_loop(CLIENTS, more, order_servers, orders).await)
        };
        print(format_args!("{n_orders} orders sent in {}", seconds(begun.elapsed())));
        is_over.store(true, Ordering::Relaxed);
        placed
    };
    let schedule = constant(VISITS_PER_S, MAX_DURATION).take_while(|_| !is_over.load(Ordering::Relaxed));
    let visit = run(schedule, link_servers, visitors, 1, |_| {});
    let (placed, visited) = tokio::join!(place, visit);
    let ((placed, orders), (visited, visitors)) = (placed?, visited?);
    ensure!(!placed.gave_up, "this machine is too slow for {} orders per second", rate.unwrap_or_default());

    let (orders, visitors) = (orders.into_log(), visitors.into_log());
    let faults = [orders.faults, visitors.faults].concat();
    let log = ClientLog { orders: orders.orders, links: visitors.links, faults };
    let report = reconcile(&log, &observer.observe(&log).await?);
    print(&report);
    print(format_args!("visits of a link      {}", visited.total().latency.len()));
    let n_failures =
        show_failures([("POST of an order", placed.total()), ("GET of a link", visited.total())]);
    match (report.faults.len(), report.n_refused, n_failures) {
        (0, 0, failures) if uninterrupted && failures > 0 => bail!("{failures} requests failed"),
        (0, 0, _) => Ok(()),
        (0, refused, _) => bail!("{refused} orders were refused"),
        (faults, ..) => bail!("{faults} faults"),
    }
}

fn constant(rate: f64, duration: Duration) -> impl Iterator<Item = Arrival> {
    let phase = Phase { name: "load".to_owned(), duration, shape: Shape::Constant { rate }, counted: true };
    arrivals(vec![phase], 0)
}

/// Shows the failed requests by reason, and returns their number.
fn show_failures(operations: [(&str, Figures); 2]) -> u64 {
    let mut reasons = BTreeMap::new();
    for (name, figures) in operations {
        let dropped = ("no free connection".to_owned(), figures.n_dropped);
        let counts = figures.errors.into_iter().chain([dropped]).filter(|(_, count)| *count > 0);
        reasons.extend(counts.map(|(reason, count)| (format!("{name}: {reason}"), count)));
    }
    let n_failures = reasons.values().sum();
    print(format_args!("requests failed       {n_failures}"));
    for (reason, count) in reasons {
        print(format_args!("  {count} times: {reason}"));
    }
    n_failures
}
