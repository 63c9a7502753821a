//! A proxy in front of a broker. It answers the first Produce request itself, with `NOT_LEADER_OR_FOLLOWER`, as a broker does that has not
//! taken its partitions over yet.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, watch},
};

/// The numbers of Kafka's protocol.
const PRODUCE: i16 = 0;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;

/// The state of the first Produce request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum First {
    Awaited,
    /// It is on its way for the client.
    Held,
    Refused,
}

/// Relays the connections of `listener` to the broker, and holds the first Produce request until there is a second one. The topic has one
/// partition.
pub(crate) fn start(listener: TcpListener, broker: String, topic: &'static str) -> watch::Receiver<First> {
    let (first, observed) = watch::channel(First::Awaited);
    let first = Arc::new(first);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&broker).await.unwrap();
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let to_client = Arc::new(Mutex::new(to_client));
            tokio::spawn(responses(from_server, Arc::clone(&to_client)));
            tokio::spawn(requests(from_client, to_server, to_client, topic, Arc::clone(&first)));
        }
    });
    observed
}

async fn requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    to_client: Arc<Mutex<OwnedWriteHalf>>,
    topic: &'static str,
    first: Arc<watch::Sender<First>>,
) {
    let mut held = None;
    while let Some(request) = frame(&mut client).await {
        if request.starts_with(&PRODUCE.to_be_bytes()) {
            if *first.borrow() == First::Awaited {
                held = Some(request);
                first.send_replace(First::Held);
                continue;
            }
            if let Some(held) = held.take() {
                to_client.lock().await.write_all(&refusal(&held, topic)).await.unwrap();
                first.send_replace(First::Refused);
            }
        }
        let size = u32::try_from(request.len()).unwrap().to_be_bytes();
        if server.write_all(&[&size, &*request].concat()).await.is_err() {
            return;
        }
    }
}

async fn responses(mut server: OwnedReadHalf, client: Arc<Mutex<OwnedWriteHalf>>) {
    while let Some(response) = frame(&mut server).await {
        let size = u32::try_from(response.len()).unwrap().to_be_bytes();
        if client.lock().await.write_all(&[&size, &*response].concat()).await.is_err() {
            return;
        }
    }
}

/// The next request or response, without its length.
async fn frame(stream: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut frame = vec![0; length.try_into().unwrap()];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

/// The response for partition 0, with its length: <https://kafka.apache.org/protocol.html#The_Messages_Produce>, versions 9 and 10.
fn refusal(request: &[u8], topic: &str) -> Vec<u8> {
    assert!(matches!(request[2..4], [0, 9 | 10]), "another version of Produce: {:?}", &request[2..4]);
    let correlation_id = &request[4..8];
    let no_offset_or_time = (-1_i64).to_be_bytes();
    let one_and_length = [2, u8::try_from(topic.len() + 1).unwrap()];
    let body = [
        correlation_id,
        &[0],
        &one_and_length,
        topic.as_bytes(),
        // One partition: its number, the error, base offset, time, first offset, no errors of records, no message, no tags.
        &[2],
        &0_i32.to_be_bytes(),
        &NOT_LEADER_OR_FOLLOWER.to_be_bytes(),
        &no_offset_or_time,
        &no_offset_or_time,
        &no_offset_or_time,
        &[1, 0, 0],
        // No tags of the topic, no throttling, no tags.
        &[0],
        &0_i32.to_be_bytes(),
        &[0],
    ]
    .concat();
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), &*body].concat()
}
