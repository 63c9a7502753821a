#![doc = include_str!("../README.md")]

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

/// Bytes of [`FaultProxy::sent`].
const MAX_SENT: usize = 1 << 20;

/// The state of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Each piece of data is forwarded after this time.
    Forward(Duration),
    Cut,
    BlackHole,
}

/// What waits for a change of the mode. The number counts the modes that end connections, because a receiver sees only the last mode.
type Watch = watch::Receiver<(Mode, u64)>;

/// A proxy to one upstream, with a fixed address. It ends when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    mode: watch::Sender<(Mode, u64)>,
    sent: Sent,
    accepting: AbortHandle,
}

/// The bytes that clients sent.
type Sent = Arc<Mutex<Vec<u8>>>;

impl FaultProxy {
    /// Starts to forward connections to `upstream`, `host:port`, from a free port.
    pub async fn start(upstream: impl Into<String>) -> Self {
        Self::listen(0, upstream).await.expect("loopback has a free port")
    }

    /// Starts to forward connections to `upstream`, `host:port`, from this port of the loopback interface. Fails if it is taken.
    pub async fn listen(port: u16, upstream: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let addr = listener.local_addr()?;
        let mode = watch::Sender::new((Mode::Forward(Duration::ZERO), 0));
        let sent = Sent::default();
        let accepting = accept(listener, upstream.into(), mode.subscribe(), Arc::clone(&sent));
        Ok(Self { addr, mode, sent, accepting: tokio::spawn(accepting).abort_handle() })
    }

    /// Returns its address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the first MiB of what clients have sent to the upstream, as text.
    pub fn sent(&self) -> String {
        String::from_utf8_lossy(&self.sent.lock().expect("no panic under this lock")).into_owned()
    }

    /// Resets every connection, and every new one: the upstream is down.
    pub fn cut(&self) {
        self.mode.send_modify(|(mode, ends)| (*mode, *ends) = (Mode::Cut, *ends + 1));
    }

    /// Reads from every connection, old or new, and never answers: the upstream hangs.
    pub fn black_hole(&self) {
        self.mode.send_modify(|(mode, ends)| (*mode, *ends) = (Mode::BlackHole, *ends + 1));
    }

    /// Forwards each piece of data after `delay`, in both directions: the network is slow.
    pub fn slow(&self, delay: Duration) {
        self.mode.send_modify(|(mode, _)| *mode = Mode::Forward(delay));
    }

    /// Forwards without delay again, new connections too, and resets those of a black hole, whose data is lost.
    pub fn restore(&self) {
        self.mode.send_modify(|(mode, _)| *mode = Mode::Forward(Duration::ZERO));
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The connections end with this task, which owns them.
async fn accept(listener: TcpListener, upstream: String, mode: Watch, sent: Sent) {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((client, _)) = listener.accept().await {
            connections.spawn(serve(client, upstream.clone(), mode.clone(), Arc::clone(&sent)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut client: TcpStream, upstream: String, mut mode: Watch, sent: Sent) {
    let forwards = mode.clone();
    let (now, ends_before) = *mode.borrow();
    let is_refused = !matches!(now, Mode::Forward(_));
    tokio::select! {
        biased;
        _ = mode.wait_for(|(_, ends)| is_refused || *ends != ends_before) => {}
        _ = forward(&mut client, &upstream, &forwards, &sent) => {}
    }
    if mode.borrow_and_update().0 == Mode::BlackHole {
        tokio::select! {
            _ = discard(&mut client) => {}
            _ = mode.changed() => {}
        }
    }
    reset(client);
}

async fn forward(
    client: &mut TcpStream,
    upstream: &str,
    mode: &Watch,
    sent: &Mutex<Vec<u8>>,
) -> io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let record = |bytes: &[u8]| {
        let mut sent = sent.lock().expect("no panic under this lock");
        let room = MAX_SENT.saturating_sub(sent.len()).min(bytes.len());
        sent.extend_from_slice(&bytes[..room]);
    };
    tokio::try_join!(copy(from_client, to_server, mode, record), copy(from_server, to_client, mode, |_| {}))?;
    Ok(())
}

async fn copy(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mode: &Watch,
    mut see: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let n_bytes = from.read(&mut buffer).await?;
        if n_bytes == 0 {
            return to.shutdown().await;
        }
        let (now, _) = *mode.borrow();
        if let Mode::Forward(delay) = now
            && !delay.is_zero()
        {
            sleep(delay).await;
        }
        see(&buffer[..n_bytes]);
        to.write_all(&buffer[..n_bytes]).await?;
    }
}

async fn discard(client: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Closes with RST, like a host that has lost the connection. After a regular end it has no effect.
fn reset(client: TcpStream) {
    // Fails only when the peer has closed already.
    drop(client.set_zero_linger());
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    async fn echo_server() -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        addr.to_string()
    }

    async fn echo(stream: &mut TcpStream) -> io::Result<u8> {
        stream.write_u8(7).await?;
        timeout(SOON, stream.read_u8()).await.expect("an answer or an error")
    }

    #[tokio::test]
    async fn a_cut_breaks_connections_until_it_is_restored() {
        let proxy = FaultProxy::start(echo_server().await).await;
        let mut old = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(echo(&mut old).await.unwrap(), 7);

        proxy.cut();
        assert!(echo(&mut old).await.is_err());
        let mut new = TcpStream::connect(proxy.addr()).await.unwrap();
        assert!(echo(&mut new).await.is_err());

        proxy.restore();
        let mut newest = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(echo(&mut newest).await.unwrap(), 7);
        assert_eq!(proxy.sent(), "\u{7}\u{7}", "what was cut was not sent");
    }

    #[tokio::test]
    async fn a_black_hole_accepts_data_and_never_answers() {
        let proxy = FaultProxy::start(echo_server().await).await;
        let mut old = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(echo(&mut old).await.unwrap(), 7);

        proxy.black_hole();
        let mut new = TcpStream::connect(proxy.addr()).await.unwrap();
        for stream in [&mut old, &mut new] {
            stream.write_u8(7).await.unwrap();
            assert!(timeout(Duration::from_millis(50), stream.read_u8()).await.is_err(), "no answer");
        }

        proxy.restore();
        assert!(timeout(SOON, new.read_u8()).await.unwrap().is_err(), "discarded data is lost");
    }

    #[tokio::test]
    async fn a_cut_that_is_restored_at_once_resets_connections() {
        let proxy = FaultProxy::start(echo_server().await).await;
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(echo(&mut stream).await.unwrap(), 7);

        proxy.cut();
        proxy.restore();
        let mut byte = [0];
        let answer = timeout(SOON, stream.read(&mut byte)).await.expect("the connection ends");
        assert!(answer.is_err(), "{answer:?}");
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(echo(&mut stream).await.unwrap(), 7, "new ones are forwarded");
    }

    #[tokio::test]
    async fn a_slow_connection_is_delayed_and_stays() {
        let proxy = FaultProxy::start(echo_server().await).await;
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(echo(&mut stream).await.unwrap(), 7);

        let delay = Duration::from_millis(50);
        proxy.slow(delay);
        let begun = Instant::now();
        assert_eq!(echo(&mut stream).await.unwrap(), 7);
        assert!(begun.elapsed() >= 2 * delay, "there and back");

        proxy.restore();
        assert_eq!(echo(&mut stream).await.unwrap(), 7, "the same connection");
    }
}
