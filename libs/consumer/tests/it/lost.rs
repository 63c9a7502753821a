//! A lost assignment: the group has given it to another member.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use testkit::endpoints;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{Recorder, SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_assignment_is_abandoned_at_once_and_handled_again_by_its_next_owner() {
    let world = World::new(1).await;
    world.send(0, "a", "stuck").await;
    let recorder = Recorder::blocking(&["stuck"]);
    // A drain would exceed the timeout of this test.
    let running = world.start(&recorder, Duration::from_secs(29), Duration::from_mins(1));
    recorder.wait_until("the record to be in hand", |log| log.begun.len() == 1).await;
    expel(world.topic()).await;
    tokio::time::timeout(
        Duration::from_secs(20),
        recorder.wait_until("the work to be ended", |log| log.dropped == ["stuck"]),
    )
    .await
    .unwrap();

    recorder.release();
    recorder.wait_until("the record to be handled again", |log| log.done == ["stuck"]).await;
    running.stop().await;
    assert_eq!(world.committed(0), Some(1));
}

/// Has the only member leave its group without knowing: the coordinator then answers it as one whose session has timed out.
async fn expel(group: &str) {
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &endpoints().kafka_bootstrap_servers).create().unwrap();
    let groups = client.client().fetch_group_list(Some(group), SOON).unwrap();
    let member = groups.groups()[0].members()[0].id().to_owned();
    // LeaveGroup, version 1 (https://kafka.apache.org/protocol#The_Messages_LeaveGroup): a test's cluster is one broker.
    let mut request = Vec::new();
    for number in [13_i16, 1] {
        request.extend_from_slice(&number.to_be_bytes());
    }
    request.extend_from_slice(&7_i32.to_be_bytes());
    for text in ["test", group, &member] {
        request.extend_from_slice(&i16::try_from(text.len()).unwrap().to_be_bytes());
        request.extend_from_slice(text.as_bytes());
    }
    let mut stream = TcpStream::connect(&endpoints().kafka_bootstrap_servers).await.unwrap();
    stream.write_all(&i32::try_from(request.len()).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(&request).await.unwrap();
    // Size, correlation id, throttle time, error code.
    let mut answer = [0; 14];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[12..], [0, 0], "the broker's error code");
}
