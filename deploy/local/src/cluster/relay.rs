//! `muster relay`: forwards connections to the Services of a cluster. The gateway of a desk runs it as a pod, so that one `kubectl
//! port-forward`, to a pod that no drill restarts, reaches every part.

use std::{net::Ipv4Addr, str::FromStr, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional, sink},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{console::print_error, signals::Interrupts};

/// Connections of one route at a time; more wait.
const CONNECTIONS: usize = 512;

/// Limit for a connection to a Service, as of the clients.
const CONNECT: Duration = Duration::from_secs(5);

/// Limit for the rest of what a client sends when its connection has failed.
const LINGER: Duration = Duration::from_secs(1);

/// The pause after a failed accept, such as one without a free descriptor.
const PAUSE: Duration = Duration::from_millis(100);

/// What the relay answers on its own port.
pub(super) const HEALTHY: &[u8] = b"ok\n";

/// Arguments of `muster relay`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The port of this pod that answers `ok`.
    #[arg(long)]
    health: u16,
    /// A port of this pod and the address that it leads to.
    #[arg(required = true, value_name = "PORT=HOST:PORT")]
    routes: Vec<Route>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    port: u16,
    to: String,
}

impl FromStr for Route {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (port, to) = text.split_once('=').context("expected PORT=HOST:PORT")?;
        Ok(Self { port: port.parse().context("expected a port before =")?, to: to.to_owned() })
    }
}

/// Runs until SIGTERM. Only this pod, and `kubectl port-forward`, can connect.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut interrupts = Interrupts::listen()?;
    for route in args.routes {
        let listener = listen(route.port).await?;
        tokio::spawn(serve(listener, move |client| forward(client, route.to.clone())));
    }
    tokio::spawn(serve(listen(args.health).await?, async |mut client: TcpStream| {
        client.write_all(HEALTHY).await.context("the health of the relay")
    }));
    interrupts.next().await;
    Ok(())
}

async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.with_context(|| format!("port {port}"))
}

async fn serve<F>(listener: TcpListener, handle: impl Fn(TcpStream) -> F)
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(permit) = Arc::clone(&free).acquire_owned().await {
        let Ok((client, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let connection = handle(client);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                print_error(format_args!("{error:#}"));
            }
            drop(permit);
        });
    }
}

async fn forward(mut client: TcpStream, to: String) -> anyhow::Result<()> {
    let outcome = exchange(&mut client, &to).await;
    if outcome.is_err() {
        // A reset would end the whole port-forward, with the connections of all parts: close in order instead.
        client.shutdown().await.unwrap_or_default();
        let (mut rest, mut nowhere) = (client.take(u64::MAX), sink());
        drop(timeout(LINGER, tokio::io::copy(&mut rest, &mut nowhere)).await);
    }
    outcome.with_context(|| format!("connection to {to}"))
}

async fn exchange(client: &mut TcpStream, to: &str) -> anyhow::Result<()> {
    let mut server = timeout(CONNECT, TcpStream::connect(to)).await.context("no answer in time")??;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    copy_bidirectional(client, &mut server).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_a_port_and_an_address() {
        let route = Route { port: 8080, to: "orders:80".to_owned() };
        assert_eq!("8080=orders:80".parse::<Route>().unwrap(), route);
        assert!("orders:80".parse::<Route>().is_err());
    }

    #[tokio::test]
    async fn a_connection_is_forwarded_in_both_directions() {
        let server = listen(0).await.unwrap();
        let to = server.local_addr().unwrap().to_string();
        let relay = listen(0).await.unwrap();
        let address = relay.local_addr().unwrap();
        tokio::spawn(serve(relay, move |client| forward(client, to.clone())));

        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut end, _) = server.accept().await.unwrap();
        client.write_all(b"ping").await.unwrap();
        let mut text = [0; 4];
        end.read_exact(&mut text).await.unwrap();
        end.write_all(&text).await.unwrap();
        client.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"ping");
    }

    #[tokio::test]
    async fn a_connection_to_a_part_that_is_down_is_closed_without_a_reset() {
        let closed = listen(0).await.unwrap().local_addr().unwrap().to_string();
        let relay = listen(0).await.unwrap();
        let address = relay.local_addr().unwrap();
        tokio::spawn(serve(relay, move |client| forward(client, closed.clone())));

        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"ping").await.unwrap();
        assert_eq!(client.read(&mut [0; 4]).await.unwrap(), 0, "the end of the stream, not an error");
    }
}
