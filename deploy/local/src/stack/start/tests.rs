//! Start and restart of real processes: HTTP servers of Python, some of them stopped by a signal or killed.

use rustix::process::Signal;

use super::*;
use crate::{
    checkout::Checkout,
    parts::{Part, Probe},
    ports::{Ports, ReservedPorts, url},
    process::Launch,
};

/// An HTTP server on the port with this offset.
const fn server<const OFFSET: u16>(name: &'static str, needs: &'static [&'static str]) -> Part {
    Part {
        needs,
        ports: &[("HTTP", port::<OFFSET>)],
        address: |ports| url(port::<OFFSET>(ports)),
        ..Part::new(
            name,
            |config| {
                let port = port::<OFFSET>(config.ports).to_string();
                Ok(Launch::new("python3").args(["-m", "http.server", "--bind", "127.0.0.1", &port]))
            },
            Probe::Http(port::<OFFSET>, "/"),
        )
    }
}

fn port<const OFFSET: u16>(ports: Ports) -> u16 {
    ports.base() + OFFSET
}

struct TestStack {
    stack: Stack,
    state: State,
    interrupts: Interrupts,
    _slot: ReservedPorts,
}

impl TestStack {
    fn new(name: &str, parts: &[Part]) -> Self {
        let slot = ReservedPorts::take().unwrap();
        let home = std::env::temp_dir().join(format!("muster-start-{name}-{}", std::process::id()));
        let config = StackConfig::prepare(Checkout::find().unwrap(), home.clone(), slot.ports).unwrap();
        let stack = Stack { config, parts: parts.to_vec() };
        let state = State::open(&home).unwrap();
        Self { stack, state, interrupts: Interrupts::listen().unwrap(), _slot: slot }
    }

    async fn up(&mut self) -> anyhow::Result<()> {
        start(&self.stack, &self.state, &mut self.interrupts).await
    }

    fn identity(&self, part: &str) -> Option<Identity> {
        self.state.record().alive(part).cloned()
    }

    async fn down(self) {
        stop(&self.stack.parts, &self.state).await.unwrap();
        fs::remove_dir_all(&self.stack.config.state_dir).unwrap();
    }
}

#[tokio::test]
async fn up_names_a_hung_part_and_keeps_every_ready_part() {
    let parts = [
        server::<0>("hung", &[]),
        server::<1>("healthy", &[]),
        server::<2>("killed", &[]),
        server::<3>("needy", &["hung"]),
    ];
    let mut stack = TestStack::new("hung", &parts);
    stack.up().await.unwrap();
    let [hung, healthy] = ["hung", "healthy"].map(|part| stack.identity(part).unwrap());
    hung.open().unwrap().signal(Signal::STOP).unwrap();
    for part in ["killed", "needy"] {
        super::super::kill(part, &stack.state).await.unwrap();
    }

    let begun = Instant::now();
    let error = stack.up().await.unwrap_err().to_string();

    assert!(begun.elapsed() < Duration::from_secs(30), "up waited for a stopped process until the deadline");
    for expected in [
        &format!("hung: pid {} runs and is not ready (state T: stopped by a signal)", hung.pid),
        &format!("kill -CONT {}", hung.pid),
        "muster restart hung",
        "needy: not started, because it needs hung",
    ] {
        assert!(error.contains(expected), "no {expected:?} in {error}");
    }
    assert!(!error.contains("did not start"), "{error}");
    assert_eq!(stack.identity("healthy"), Some(healthy), "a ready part stays");
    assert_eq!(stack.identity("hung"), Some(hung), "a hung part stays for inspection");
    assert!(stack.identity("killed").is_some(), "a missing part is ready and stays");

    let before = ["hung", "healthy", "killed"].map(|part| stack.identity(part).unwrap());
    restart(&stack.stack, "hung", &stack.state).await.unwrap();
    let after = ["hung", "healthy", "killed"].map(|part| stack.identity(part).unwrap());
    assert_ne!(before[0], after[0], "the hung one is another process");
    assert_eq!(before[1..], after[1..], "no other part was touched");
    stack.up().await.unwrap();
    stack.down().await;
}

#[tokio::test]
async fn a_restart_with_a_missing_dependency_leaves_the_part_running() {
    let parts = [server::<0>("base", &[]), server::<1>("needy", &["base"])];
    let mut stack = TestStack::new("needs", &parts);
    stack.up().await.unwrap();
    super::super::kill("base", &stack.state).await.unwrap();
    let needy = stack.identity("needy");

    let error = restart(&stack.stack, "needy", &stack.state).await.unwrap_err().to_string();
    assert!(error.contains("needy needs base, which does not run"), "{error}");
    let error = restart(&stack.stack, "other", &stack.state).await.unwrap_err().to_string();
    assert!(error.contains("there are base, needy"), "{error}");

    assert_eq!(stack.identity("needy"), needy);
    stack.down().await;
}
