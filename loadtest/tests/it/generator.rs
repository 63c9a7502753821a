//! The generator with servers that stall, and when it falls behind itself.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use loadtest::{
    connections::{Answer, Connections, Failure, Limits, Request},
    engine::{self, Judgement, Outgoing, Workload},
    recording::{Outcome, Recording},
    schedule::{Phase, Shape, arrivals},
};

use crate::server::{self, Behaviour};

/// GET requests; making one takes `effort`.
struct Gets {
    effort: Duration,
}

impl Workload for Gets {
    type Ticket = ();

    fn next(&mut self, _: Instant, _: bool) -> Outgoing<()> {
        let done_at = Instant::now() + self.effort;
        while Instant::now() < done_at {
            std::hint::spin_loop();
        }
        Outgoing { operation: 0, server: 0, request: Request::new(Full::new(Bytes::new())), ticket: () }
    }

    fn judge(&mut self, (): &(), answer: &Result<Answer, Failure>, _: u32) -> Judgement {
        let outcome = match answer {
            Ok(_) => Outcome::Expected,
            Err(failure) => Outcome::from(*failure),
        };
        Judgement { outcome, retry_after: None }
    }
}

const LIMITS: Limits = Limits {
    connections: 4,
    waiting: 1000,
    slot_timeout: Duration::from_secs(30),
    request_timeout: Duration::from_secs(30),
};

async fn run(address: &str, rate: f64, limits: Limits, effort: Duration) -> Recording {
    let phase = Phase {
        name: "steady".to_owned(),
        duration: Duration::from_secs(1),
        shape: Shape::Constant { rate },
        counted: true,
    };
    let servers = vec![Connections::new(&format!("http://{address}"), limits).unwrap()];
    let (recording, _) =
        engine::run(arrivals(vec![phase], 1), servers, Gets { effort }, 1, |_| {}).await.unwrap();
    recording
}

/// A closed loop would measure four slow answers, one per connection, and a good 99th percentile.
#[tokio::test]
async fn a_server_stall_shows_in_the_latency_of_every_scheduled_request() {
    let stall = Duration::from_millis(600);
    let (address, _) = server::start(Behaviour::StallsAfter(50, stall)).await;

    let recording = run(&address, 200.0, LIMITS, Duration::ZERO).await;

    let latency = &recording.operations[0].latency;
    let n_slow = latency.len() - latency.count_between(0, 200_000);
    // 120 requests are due during the stall; those of its first 400 ms wait for more than 200 ms.
    assert!(n_slow >= 70, "only {n_slow} of {} requests saw the stall", latency.len());
    assert!(latency.value_at_quantile(0.99) >= 500_000, "{} µs", latency.value_at_quantile(0.99));
}

#[tokio::test]
async fn requests_start_on_schedule_without_answers() {
    let (address, n_connections) = server::start(Behaviour::Silent).await;
    let limits = Limits {
        waiting: 20,
        slot_timeout: Duration::from_millis(200),
        request_timeout: Duration::from_millis(300),
        ..LIMITS
    };

    let recording = run(&address, 200.0, limits, Duration::ZERO).await;

    let figures = &recording.operations[0];
    assert_eq!(recording.scheduling_lag.len(), 200, "every request was started");
    assert_eq!(figures.n_arrivals, 200);
    assert_eq!(figures.n_dropped + figures.n_errors(), 200);
    assert!(figures.n_dropped > 100, "only {} were dropped", figures.n_dropped);
    // Each timeout closes its connection, and a new one replaces it.
    assert!(n_connections.load(Ordering::Relaxed) as u64 <= figures.errors["timeout"]);
}

#[tokio::test]
async fn a_prompt_server_is_reached_over_few_connections() {
    let (address, n_connections) = server::start(Behaviour::Prompt).await;
    let recording = run(&address, 500.0, LIMITS, Duration::ZERO).await;
    assert_eq!(recording.operations[0].latency.len(), 500);
    assert!(n_connections.load(Ordering::Relaxed) <= LIMITS.connections);
}

#[tokio::test]
async fn a_generator_that_falls_behind_stops_the_run() {
    let (address, _) = server::start(Behaviour::Prompt).await;
    let recording = run(&address, 1000.0, LIMITS, Duration::from_millis(50)).await;
    assert!(recording.gave_up);
    assert!(recording.scheduling_lag.value_at_quantile(0.99) > 4_000_000);
    assert!(recording.scheduling_lag.len() < 1000);
}
