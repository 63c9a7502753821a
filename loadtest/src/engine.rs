//! Sends the requests of a workload: on schedule, whether or not answers arrive (open loop), or one after another (closed loop).
//!
//! In the open loop, latency counts from the intended start to the whole answer. A server that stalls delays no request that is due
//! meanwhile; a request that waits for a connection is charged to the server. The engine measures its own scheduling lag, which tells
//! a run in which the generator fell behind from one in which the server did.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use tokio_util::task::TaskTracker;

use crate::{
    connections::{Answer, Connections, Failure, Request},
    pacer::Pacer,
    recording::{Outcome, Recording},
    schedule::Arrival,
};

/// A scheduling lag at which the generator stops the run.
const MAX_SCHEDULING_LAG: Duration = Duration::from_secs(5);

/// Maximum number of requests that wait for their next try; further retries are skipped.
const MAX_RETRYING: usize = 10_000;

/// One request of a workload.
#[derive(Debug)]
pub struct Outgoing<T> {
    /// The index of the scenario's operation.
    pub operation: usize,
    /// The index of its server.
    pub server: usize,
    /// The request.
    pub request: Request,
    /// What the workload needs to judge the answer.
    pub ticket: T,
}

/// The result of one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The outcome.
    pub outcome: Outcome,
    /// The pause after which to send the same request again; `None` to stop.
    pub retry_after: Option<Duration>,
}

/// Makes requests and judges answers.
pub trait Workload: Send + 'static {
    /// What a request in flight is about.
    type Ticket: Clone + Send + 'static;

    /// Makes the next request, due at `due_at`. `counted`: whether it counts for thresholds.
    fn next(&mut self, due_at: Instant, counted: bool) -> Outgoing<Self::Ticket>;

    /// Judges the answer to a request. `n_tries`: how often this request was sent, the last time included.
    fn judge(&mut self, ticket: &Self::Ticket, answer: &Result<Answer, Failure>, n_tries: u32) -> Judgement;
}

/// The state of a run.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Time since the start.
    pub elapsed: Duration,
    /// Everything measured so far.
    pub recording: &'a Recording,
    /// Requests in flight.
    pub n_in_flight: usize,
}

struct Run<W> {
    servers: Vec<Connections>,
    workload: Mutex<W>,
    recording: Mutex<Recording>,
    retries: tokio::sync::Semaphore,
    started: Instant,
}

/// Runs the schedule to its end, and waits for every answer. Calls `watch` once a second.
pub async fn run<W: Workload>(
    schedule: impl Iterator<Item = Arrival>,
    servers: Vec<Connections>,
    workload: W,
    n_operations: usize,
    watch: impl FnMut(Progress<'_>) + Send,
) -> anyhow::Result<(Recording, W)> {
    let run = Arc::new(Run::new(servers, workload, n_operations));
    let in_flight = TaskTracker::new();
    let generate = async {
        dispatch(schedule, &run, &in_flight).await?;
        in_flight.close();
        in_flight.wait().await;
        anyhow::Ok(())
    };
    tokio::select! {
        generated = generate => generated?,
        () = watch_progress(watch, &run, &in_flight) => {}
    }
    Ok(Arc::into_inner(run).expect("every request has ended").finish())
}

/// Runs `n_clients`, each of which sends its next request after the answer to the last one, as long as `more` returns true.
pub async fn run_closed_loop<W: Workload>(
    n_clients: usize,
    mut more: impl FnMut() -> bool,
    servers: Vec<Connections>,
    workload: W,
) -> (Recording, W) {
    let run = Run::new(servers, workload, 1);
    stream::iter(std::iter::from_fn(|| more().then_some(())))
        .for_each_concurrent(n_clients, async |()| {
            let arrival = Arrival { at: run.started.elapsed(), counted: true };
            let outgoing = locked(&run.workload).next(run.started + arrival.at, arrival.counted);
            send(&run, arrival, outgoing).await;
        })
        .await;
    run.finish()
}

impl<W: Workload> Run<W> {
    fn new(servers: Vec<Connections>, workload: W, n_operations: usize) -> Self {
        Self {
            servers,
            workload: Mutex::new(workload),
            recording: Mutex::new(Recording::new(n_operations)),
            retries: tokio::sync::Semaphore::new(MAX_RETRYING),
            started: Instant::now(),
        }
    }

    fn finish(self) -> (Recording, W) {
        let recording = self.recording.into_inner().expect("no panic while locked");
        (recording, self.workload.into_inner().expect("no panic while locked"))
    }
}

/// Starts each request at its time.
async fn dispatch<W: Workload>(
    schedule: impl Iterator<Item = Arrival>,
    run: &Arc<Run<W>>,
    in_flight: &TaskTracker,
) -> anyhow::Result<()> {
    let pacer = Pacer::new()?;
    for (number, arrival) in schedule.enumerate() {
        let intended = run.started + arrival.at;
        pacer.sleep_until(intended).await?;
        let outgoing = locked(&run.workload).next(intended, arrival.counted);
        let this_run = Arc::clone(run);
        in_flight.spawn(async move { send(&this_run, arrival, outgoing).await });
        let lag = intended.elapsed();
        {
            let mut recording = locked(&run.recording);
            recording.record_lag(lag);
            if lag > MAX_SCHEDULING_LAG {
                recording.gave_up = true;
                return Ok(());
            }
        }
        // A generator that is behind never sleeps, and must read answers all the same.
        if number % 16 == 15 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Sends one request, and its retries.
async fn send<W: Workload>(run: &Run<W>, arrival: Arrival, outgoing: Outgoing<W::Ticket>) {
    let Outgoing { operation, server, request, ticket } = outgoing;
    let intended = run.started + arrival.at;
    let server = &run.servers[server];
    let answer = server.send(request.clone(), intended).await;
    let latency = intended.elapsed();
    let mut judgement = locked(&run.workload).judge(&ticket, &answer, 1);
    locked(&run.recording).record(operation, arrival, latency, &judgement.outcome);

    let mut n_tries = 1;
    while let Some(pause) = judgement.retry_after
        && let Ok(_retrying) = run.retries.try_acquire()
    {
        tokio::time::sleep(pause).await;
        n_tries += 1;
        locked(&run.recording).n_retries += 1;
        let answer = server.send(request.clone(), Instant::now()).await;
        judgement = locked(&run.workload).judge(&ticket, &answer, n_tries);
    }
}

async fn watch_progress<W>(mut watch: impl FnMut(Progress<'_>), run: &Run<W>, in_flight: &TaskTracker) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        watch(Progress {
            elapsed: run.started.elapsed(),
            recording: &locked(&run.recording),
            n_in_flight: in_flight.len(),
        });
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic while locked")
}
