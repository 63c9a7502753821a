//! A pooler between the service and the server, as PgBouncer 1.18 of Debian 12 was seen to behave.

use std::time::Duration;

use pg::Error;
use testkit::Database;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::connect;

const SSL_REQUEST: i32 = 80_877_103;

/// What it does with the startup parameter `options`, which carries the service's timeouts.
#[derive(Clone, Copy)]
enum Options {
    /// Its default.
    Refused,
    /// `ignore_startup_parameters = options`
    Ignored,
}

/// Starts a pooler, and returns its address.
async fn pooler(options: Options) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, options));
        }
    });
    addr
}

async fn serve(mut client: TcpStream, options: Options) -> std::io::Result<()> {
    let (mut version, mut parameters) = read_startup(&mut client).await?;
    if version == SSL_REQUEST {
        client.write_all(b"N").await?;
        (version, parameters) = read_startup(&mut client).await?;
    }
    if let Options::Refused = options {
        let fields = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0";
        let length = i32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        return client.write_all(&[b"E", &length[..], fields].concat()).await;
    }
    let texts: Vec<&[u8]> = parameters.split(|byte| *byte == 0).collect();
    let kept = texts.chunks_exact(2).filter(|pair| pair[0] != b"options" && !pair[0].is_empty());
    let mut startup = version.to_be_bytes().to_vec();
    startup.extend(kept.flat_map(|pair| [pair[0], b"\0", pair[1], b"\0"].concat()));
    startup.push(0);
    let mut server = TcpStream::connect(Database::server()).await?;
    server.write_i32(i32::try_from(startup.len() + 4).unwrap()).await?;
    server.write_all(&startup).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Protocol version, or the code of a request, and what follows.
async fn read_startup(client: &mut TcpStream) -> std::io::Result<(i32, Vec<u8>)> {
    let length = client.read_i32().await?;
    let version = client.read_i32().await?;
    let mut rest = vec![0; usize::try_from(length).unwrap() - 8];
    client.read_exact(&mut rest).await?;
    Ok((version, rest))
}

#[tokio::test]
async fn a_pooler_is_refused_at_start_up_without_a_retry() {
    let database = Database::create("pool").await;
    for (options, reason) in
        [(Options::Refused, "unsupported startup parameter"), (Options::Ignored, "pooler")]
    {
        let pool = connect(&database.url_through(pooler(options).await));
        let refused = tokio::time::timeout(Duration::from_secs(5), pg::migrate(&pool, &[])).await.unwrap();
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error:?}");
        assert!(format!("{error:?}").contains(reason), "{error:?}");
    }
}
