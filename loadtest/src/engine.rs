//! Sends requests on schedule, whether or not answers come: an open loop.
//!
//! What is measured is the time from the intended start to the whole answer. A server that stalls holds up no request that was
//! to leave meanwhile, or, where every connection is taken, is charged for the wait. The generator measures how late it hands
//! requests over itself, so that a run in which it fell behind can be told from one in which the server did.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;

use crate::connections::{Answer, Connections, Failure, Request};
use crate::pacer::Pacer;
use crate::recording::{Ending, Recording};
use crate::schedule::{Arrival, Schedule};

/// A generator that is so late has lost, and ends the run.
const HOPELESS: Duration = Duration::from_secs(5);

/// How many requests may wait for their next try at once; beyond, there is none.
const RETRYING: usize = 1_000;

/// One request of a workload.
#[derive(Debug)]
pub struct Outgoing<T> {
    /// Which of the scenario's operations it is.
    pub operation: usize,
    /// Which of the servers it goes to.
    pub server: usize,
    /// The request.
    pub request: Request,
    /// What the workload wants to know again when the answer is there.
    pub ticket: T,
}

/// What a workload makes of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Judgement {
    /// How the request ended.
    pub ending: Ending,
    /// Whether to send the same request once more, after a pause.
    pub retry_after: Option<Duration>,
}

/// Makes requests and judges answers.
pub trait Workload: Send + 'static {
    /// What is remembered of a request while it is under way.
    type Ticket: Clone + Send + 'static;

    /// Makes the next request, which is to leave at `due_at`. `counted` says whether it counts for thresholds.
    fn next(&mut self, due_at: Instant, counted: bool) -> Outgoing<Self::Ticket>;

    /// Judges what came of a request. `n_tries` counts those of this request, the last one included.
    fn judge(&mut self, ticket: &Self::Ticket, answer: &Result<Answer, Failure>, n_tries: u32) -> Judgement;
}

/// Where the run stands, for whoever watches.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Time since the beginning.
    pub elapsed: Duration,
    /// Everything measured so far.
    pub recording: &'a Recording,
    /// Requests under way.
    pub n_in_flight: usize,
}

struct Shared<W> {
    servers: Vec<Connections>,
    workload: Mutex<W>,
    recording: Mutex<Recording>,
    retries: tokio::sync::Semaphore,
    started: Instant,
}

/// Runs the schedule to its end, and waits for every answer. Calls `watch` once a second.
pub async fn run<W: Workload>(
    schedule: Schedule,
    servers: Vec<Connections>,
    workload: W,
    n_operations: usize,
    watch: impl FnMut(Progress<'_>) + Send,
) -> anyhow::Result<(Recording, W)> {
    let shared = Arc::new(Shared {
        servers,
        workload: Mutex::new(workload),
        recording: Mutex::new(Recording::new(n_operations)),
        retries: tokio::sync::Semaphore::new(RETRYING),
        started: Instant::now(),
    });
    let under_way = TaskTracker::new();
    let generate = async {
        dispatch(schedule, &shared, &under_way).await?;
        under_way.close();
        under_way.wait().await;
        anyhow::Ok(())
    };
    tokio::select! {
        generated = generate => generated?,
        () = keep_watching(watch, &shared, &under_way) => {}
    }
    let shared = Arc::into_inner(shared).expect("every request has ended");
    let recording = shared.recording.into_inner().expect("nobody panics with this lock");
    let workload = shared.workload.into_inner().expect("nobody panics with this lock");
    Ok((recording, workload))
}

/// Hands over each request at its time.
async fn dispatch<W: Workload>(
    schedule: Schedule,
    shared: &Arc<Shared<W>>,
    under_way: &TaskTracker,
) -> anyhow::Result<()> {
    let pacer = Pacer::new()?;
    for (number, arrival) in schedule.enumerate() {
        let intended = shared.started + arrival.at;
        pacer.sleep_until(intended).await?;
        let outgoing = locked(&shared.workload).next(intended, arrival.counted);
        under_way.spawn(carry(Arc::clone(shared), arrival, outgoing));
        let lateness = intended.elapsed();
        {
            let mut recording = locked(&shared.recording);
            recording.note_lateness(lateness);
            if lateness > HOPELESS {
                recording.gave_up = true;
                return Ok(());
            }
        }
        // When it is late, and so never sleeps, the answers still have to be read.
        if number % 16 == 15 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// One request, to its end and that of its retries.
async fn carry<W: Workload>(shared: Arc<Shared<W>>, arrival: Arrival, outgoing: Outgoing<W::Ticket>) {
    let Outgoing { operation, server, request, ticket } = outgoing;
    let intended = shared.started + arrival.at;
    let server = &shared.servers[server];
    let answer = server.send(request.clone(), intended).await;
    let latency = intended.elapsed();
    let mut judgement = locked(&shared.workload).judge(&ticket, &answer, 1);
    locked(&shared.recording).note(operation, arrival, latency, &judgement.ending);

    let mut n_tries = 1;
    while let Some(pause) = judgement.retry_after
        && let Ok(_retrying) = shared.retries.try_acquire()
    {
        tokio::time::sleep(pause).await;
        n_tries += 1;
        locked(&shared.recording).n_retries += 1;
        let answer = server.send(request.clone(), Instant::now()).await;
        judgement = locked(&shared.workload).judge(&ticket, &answer, n_tries);
    }
}

async fn keep_watching<W: Workload>(
    mut watch: impl FnMut(Progress<'_>),
    shared: &Shared<W>,
    under_way: &TaskTracker,
) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        watch(Progress {
            elapsed: shared.started.elapsed(),
            recording: &locked(&shared.recording),
            n_in_flight: under_way.len(),
        });
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with this lock")
}
