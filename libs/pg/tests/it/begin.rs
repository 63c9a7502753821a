//! A transaction whose BEGIN the server refuses, as after a cancellation.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use pg::{Columns as _, Error};
use testkit::Database;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
};

use crate::{COUNT, INSERT, MIGRATIONS, connect, count};

/// Hands everything on, and, while armed, each BEGIN as something that is no statement.
async fn start_relay(armed: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let armed = Arc::clone(&armed);
            tokio::spawn(async move {
                let server = TcpStream::connect(Database::server()).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
                let mut buffer = vec![0; 65_536];
                while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                    let sent = &mut buffer[..length];
                    let begin = sent.windows(6).position(|bytes| bytes == b"BEGIN\0");
                    if let Some(at) = begin.filter(|_| armed.load(Ordering::Relaxed)) {
                        sent[at..at + 5].copy_from_slice(b"NEGIN");
                    }
                    if to_server.write_all(sent).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn nothing_is_written_outside_a_transaction() {
    let armed = Arc::new(AtomicBool::new(false));
    let database = Database::create("pool").await;
    let pool = connect(&database.url_through(start_relay(Arc::clone(&armed)).await));
    pg::migrate(&pool, &[("counters", MIGRATIONS)]).await.unwrap();

    armed.store(true, Ordering::Relaxed);
    let result = pg::run_tx(&pool, "read_and_write", &(), |tx, ()| {
        Box::pin(async move {
            let seen: i64 = tx.query_one(COUNT, &[]).await?.column(0)?;
            tx.execute_exactly(1, INSERT, &[&"a", &1]).await?;
            Ok(seen)
        })
    })
    .await;
    assert!(matches!(result, Err(Error::Refused(_))), "{result:?}");
    let result = pg::run_tx(&pool, "read", &(), |tx, ()| {
        Box::pin(async move { tx.query_one(COUNT, &[]).await?.column::<i64>(0) })
    })
    .await;
    assert!(matches!(result, Err(Error::Refused(_))), "{result:?}");

    armed.store(false, Ordering::Relaxed);
    assert_eq!(count(&pool).await, 0, "the INSERT would have committed by itself");
}
