//! Idle clients of a process with a low limit of open files.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::probe::{Probe, get};

const REQUEST: &[u8] = b"GET /slow/0 HTTP/1.1\r\nhost: x\r\n\r\n";

async fn ask(address: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(REQUEST).await.unwrap();
    client
}

#[tokio::test]
async fn idle_clients_leave_file_descriptors_for_the_admin_port() {
    let limits = "ulimit -Sn 256 && ulimit -Hn 1024";
    let probe = Probe::spawn_below(limits, &[("HTTP_WORKERS", "2")]).listening().await;
    let address = probe.api.strip_prefix("http://").unwrap();

    // More than the soft limit had room for. They stay for the keep-alive, longer than this test.
    let mut idle = Vec::new();
    for number in 0..300 {
        let mut client = ask(address).await;
        let answered = timeout(Duration::from_secs(5), client.read_u8()).await;
        assert!(matches!(answered, Ok(Ok(b'H'))), "client {number}: {answered:?}");
        idle.push(client);
    }

    // More clients than file descriptors: they wait in the kernel, and the admin port answers.
    for _ in 0..150 {
        idle.push(ask(address).await);
    }
    for path in ["live", "ready", "metrics"] {
        assert_eq!(get(format!("{}/{path}", probe.admin)).await.unwrap().0, 200, "{path}");
    }
    drop(idle);
}

#[tokio::test]
async fn a_low_hard_limit_of_open_files_stops_start_up() {
    let remains = Probe::spawn_below("ulimit -n 512", &[]).end().await;
    assert_eq!(remains.code, 1);
    let error = remains.log.iter().find_map(|line| line["error"].as_str()).unwrap();
    assert!(error.contains("may open 512 files") && error.contains("needs 1024"), "{error}");
}
