//! Connections that arrive while the process is stopped.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::{net::TcpStream, time::timeout};

use crate::probe::Probe;

/// More than the standard library asks the kernel to hold.
const WAITING: usize = 200;

#[tokio::test]
async fn connections_wait_in_the_backlog_while_the_process_is_stopped() {
    let probe = Probe::start(&[]).await;
    let address = probe.api.strip_prefix("http://").unwrap();
    probe.signal(Signal::SIGSTOP);
    let mut waiting = Vec::new();
    for number in 0..WAITING {
        // When the backlog is full, the kernel answers no handshake.
        let connected = timeout(Duration::from_secs(2), TcpStream::connect(address)).await;
        waiting.push(
            connected.unwrap_or_else(|_| panic!("connection {number} finds the backlog full")).unwrap(),
        );
    }
    probe.signal(Signal::SIGCONT);
}
