//! A relay in a process of its own, which can be frozen and killed: this test program, run again for one test.

use std::{
    env,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testkit::endpoints;

use crate::world::{World, start_relay};

const DATABASE: &str = "OUTBOX_TEST_DATABASE";

/// Longer than any test: a process that is not killed ends by itself.
const LIFE: Duration = Duration::from_mins(2);

/// A relay in a process of its own. It is killed when this value is dropped.
pub(crate) struct RelayProcess(Child);

impl RelayProcess {
    /// Starts it, with these fail points.
    pub(crate) fn start(world: &World, fail_points: &str) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child::relay_of_another_test", "--ignored", "--nocapture"])
            .env(DATABASE, world.database.url())
            .env(fail_point::VARIABLE, fail_points)
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by other tests, in a process of its own"]
async fn relay_of_another_test() {
    let Ok(database) = env::var(DATABASE) else { return };
    fail_point::arm(&env::var(fail_point::VARIABLE).unwrap()).unwrap();
    let _running = start_relay(&database, &endpoints().kafka_bootstrap_servers).await;
    tokio::time::sleep(LIFE).await;
}
