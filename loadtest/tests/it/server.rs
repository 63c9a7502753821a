//! HTTP server that stalls, for tests of the generator.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

const ANSWER: &[u8] = b"HTTP/1.1 302 Found\r\nlocation: https://example.com/\r\ncontent-length: 0\r\n\r\n";

/// How it behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Answers at once.
    Prompt,
    /// Stalls for this time, after this number of requests.
    StallsAfter(usize, Duration),
    /// Never answers.
    Silent,
}

/// Starts it on a free port, until the test's runtime ends. Returns its address and the number of its connections.
pub(crate) async fn start(behaviour: Behaviour) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let n_connections = Arc::new(AtomicUsize::new(0));
    let shared =
        Arc::new(Shared { behaviour, n_requests: AtomicUsize::new(0), one_at_a_time: Semaphore::new(1) });
    let count = Arc::clone(&n_connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { serve(stream, &shared).await.unwrap_or_default() });
        }
    });
    (address, n_connections)
}

struct Shared {
    behaviour: Behaviour,
    n_requests: AtomicUsize,
    /// A stall delays all requests.
    one_at_a_time: Semaphore,
}

async fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
        }
        let number = shared.n_requests.fetch_add(1, Ordering::Relaxed);
        let _turn = shared.one_at_a_time.acquire().await.unwrap();
        match shared.behaviour {
            Behaviour::StallsAfter(at, duration) if number == at => tokio::time::sleep(duration).await,
            Behaviour::Silent => std::future::pending().await,
            Behaviour::Prompt | Behaviour::StallsAfter(..) => {}
        }
        stream.get_mut().write_all(ANSWER).await?;
    }
}
