//! The circuit: one attempt at a time while a dependency is down.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use consumer::{Handler, Message, Outcome};
use testkit::wait_for;

use crate::world::{SOON, World, metric};

const IGNORED: &str = "ignored";

/// Attempts that can begin before the circuit opens: 16 at a time, and one after each of the four failures before the last.
const BEFORE: usize = 20;

/// A handler whose dependency is down.
#[derive(Clone, Debug, Default)]
struct Down {
    in_progress: Arc<AtomicUsize>,
    /// For each attempt that needs the dependency, in the order of their beginnings, the attempts in progress then.
    begun: Arc<Mutex<Vec<usize>>>,
}

impl Handler for Down {
    async fn handle(&self, message: &Message) -> Outcome {
        if message.payload == IGNORED.as_bytes() {
            return Outcome::Ignored;
        }
        let in_progress = self.in_progress.fetch_add(1, Ordering::Relaxed) + 1;
        self.begun.lock().unwrap().push(in_progress);
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.in_progress.fetch_sub(1, Ordering::Relaxed);
        Outcome::Unavailable("the test lets it fail".to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_that_is_down_gets_one_attempt_at_a_time_also_between_ignored_messages() {
    let world = World::new(1).await;
    let keys: Vec<_> = (0..100).flat_map(|number| [format!("a{number}"), format!("b{number}")]).collect();
    let payloads = ["needs it", IGNORED].into_iter().cycle();
    let sends = keys.iter().zip(payloads).map(|(key, payload)| world.send(0, key, payload));
    futures::future::join_all(sends).await;
    let down = Down::default();
    let running = world.start(&down, Duration::from_secs(5), Duration::from_mins(1));
    wait_for("attempts of the open circuit", SOON, async || {
        (down.begun.lock().unwrap().len() >= BEFORE + 3).then_some(())
    })
    .await;
    assert_eq!(metric("consumer_circuit_open", &[("topic", world.topic())]), Some(1.0));
    // The first attempt of the open circuit can begin beside those before it.
    let of_circuit = down.begun.lock().unwrap().split_off(BEFORE + 1);
    assert!(of_circuit.iter().all(|in_progress| *in_progress == 1), "{of_circuit:?}");
    running.stop().await;
}
