//! The steady traffic of a drill or a torture run, and what its clients were answered.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use chrono::Utc;
use loadtest::{
    connections::{Connections, Limits},
    engine::{self, Progress},
    imap::Arrivals,
    observe::Observer,
    reconcile::{ClientLog, Observed},
    scenario::{Kind, Operation, Prepare},
    schedule::{Phase, Shape, arrivals},
    shop::{Shop, prepare},
    target::Target,
};
use serde::Deserialize;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Links that visitors follow.
const LINKS: u32 = 50;

/// Orders to read before the first one is placed.
const ORDERS: u32 = 5;

/// Retries of one order, a second apart on average: a client does not give up before the drill does.
const RETRIES: u32 = 7_200;

/// An order or mail is missing after this time without progress.
const SETTLING: Duration = Duration::from_mins(1);

/// Limit of a whole drill.
pub(crate) const MAX_DURATION: Duration = Duration::from_hours(2);

/// Requests per second of each operation.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rates {
    #[serde(default)]
    pub(crate) redirects: f64,
    #[serde(default)]
    pub(crate) reads: f64,
    #[serde(default)]
    pub(crate) orders: f64,
}

/// Clients that run in the background.
pub(crate) struct Traffic {
    is_over: Arc<AtomicBool>,
    gave_up: CancellationToken,
    clients: JoinHandle<anyhow::Result<ClientLog>>,
    observer: Observer,
}

impl Traffic {
    /// Creates what the clients need and starts them. Writes a line per second to `file`: time, requests, failures.
    pub(crate) async fn start(target: &Target, rates: Rates, seed: u64, file: &Path) -> anyhow::Result<Self> {
        let api = target.api(MAX_DURATION).context("the token of the clients")?;
        let customer = format!("shift-{}@example.com", uuid::Uuid::new_v4().simple());
        let observer = Observer::start(target, api.clone(), &customer, SETTLING).await?;
        let operation = |kind, share, status, retries| Operation {
            kind,
            share,
            expect: vec![status],
            repeat: 0.0,
            retries,
        };
        let operations: Vec<_> = [
            operation(Kind::Redirect, rates.redirects, 302, 0),
            operation(Kind::ReadOrder, rates.reads, 200, 0),
            operation(Kind::PlaceOrder, rates.orders, 202, RETRIES),
        ]
        .into_iter()
        .filter(|operation| operation.share > 0.0)
        .collect();
        let rate = operations.iter().map(|operation| operation.share).sum();
        let gave_up = CancellationToken::new();
        let shop = Shop::new(operations.clone(), seed, target, api, &customer);
        let mut shop = shop.until(gave_up.clone());
        let servers = || {
            let server = |url| Connections::new(url, Limits::WAITING);
            anyhow::Ok(vec![server(&target.orders_url)?, server(&target.links_url)?])
        };
        prepare(&mut shop, Prepare { links: LINKS, orders: ORDERS }, &servers()?).await?;
        let mut log = SecondLog::create(file)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, servers) = (Arc::clone(&is_over), servers()?);
        let clients = tokio::spawn(async move {
            let phase = Phase {
                name: "steady".to_owned(),
                duration: MAX_DURATION,
                shape: Shape::Poisson { rate },
                counted: true,
            };
            let schedule = arrivals(vec![phase], seed).take_while(|_| !over.load(Ordering::Relaxed));
            let watch = |progress: Progress<'_>| log.write(&progress);
            let (_, shop) = engine::run(schedule, servers, shop, operations.len(), watch).await?;
            Ok(shop.into_log())
        });
        Ok(Self { is_over, gave_up, clients, observer })
    }

    /// Whether the clients have ended, which they do not before [`Self::stop`] unless the machine is too slow.
    pub(crate) fn has_ended(&self) -> bool {
        self.clients.is_finished()
    }

    /// The mails to the clients, as they arrive.
    pub(crate) fn arrivals(&self) -> anyhow::Result<Arrivals> {
        self.observer.arrivals().context("the target has no mailbox")
    }

    /// Stops the clients; returns what they were answered, and what the system holds. Clients without an answer repeat their requests for the
    /// time of `patience`.
    pub(crate) async fn stop(mut self, patience: Duration) -> anyhow::Result<(ClientLog, Observed)> {
        self.is_over.store(true, Ordering::Relaxed);
        let log = match timeout(patience, &mut self.clients).await {
            Ok(ended) => ended,
            Err(_elapsed) => {
                self.gave_up.cancel();
                self.clients.await
            }
        };
        let log = log.context("the clients failed")??;
        let observed = self.observer.observe(&log).await?;
        Ok((log, observed))
    }
}

/// The file of measurements.
struct SecondLog {
    file: File,
    n_requests: u64,
    n_failed: u64,
}

impl SecondLog {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let mut file = File::create(path).with_context(|| format!("{}", path.display()))?;
        writeln!(file, "time,requests,failed").with_context(|| format!("{}", path.display()))?;
        Ok(Self { file, n_requests: 0, n_failed: 0 })
    }

    /// A full disk must not stop the clients.
    fn write(&mut self, progress: &Progress<'_>) {
        let total = progress.recording.total();
        let (requests, failed) = (total.n_arrivals, total.n_errors() + total.n_dropped);
        let (new, new_failed) = (requests - self.n_requests, failed - self.n_failed);
        (self.n_requests, self.n_failed) = (requests, failed);
        let time = Utc::now().format("%Y-%m-%dT%H:%M:%SZ");
        writeln!(self.file, "{time},{new},{new_failed}").unwrap_or_default();
    }
}
