//! The decoder while its registry fails, and its lookups of schemas that it does not know.

use std::time::Instant;

use events::{DecodeError, Decoder, Encoder, Event as _, orders::OrderPlaced};
use futures::{FutureExt as _, future::join_all};
use testkit::{FaultProxy, endpoints};
use uuid::Uuid;

use crate::{
    now, order,
    registry::{registry, registry_at},
};

/// A decoder whose registry is behind a proxy, and a payload that it can read.
struct World {
    proxy: FaultProxy,
    decoder: Decoder,
    payload: Vec<u8>,
}

impl World {
    async fn start() -> Self {
        let topic = format!("decoder-{}", Uuid::new_v4());
        let types = [OrderPlaced::event_type()];
        let encoder = Encoder::new(&topic);
        encoder.register(&registry(), &types).await.unwrap();
        let payload = encoder.encode(&OrderPlaced { order: order(), placed_at: now() }).unwrap();
        let upstream =
            endpoints().schema_registry_url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let proxy = FaultProxy::start(upstream.0).await;
        let url = format!("http://{}/{}", proxy.addr(), upstream.1);
        let decoder = Decoder::new(registry_at(&url)).of_topic(&topic);
        Self { proxy, decoder, payload }
    }

    async fn verify(&self) {
        self.decoder.verify(&[OrderPlaced::event_type()]).await.unwrap();
    }

    async fn decode(&self, payload: &[u8]) -> Result<OrderPlaced, DecodeError> {
        self.decoder.decode(payload).await
    }
}

/// A payload with a schema id that the registry does not have.
fn unknown(number: u16) -> Vec<u8> {
    let mut payload = vec![0];
    payload.extend_from_slice(&(u32::MAX - u32::from(number)).to_be_bytes());
    payload
}

#[tokio::test]
async fn nothing_is_decoded_before_the_schemas_are_verified() {
    let world = World::start().await;
    let early = world.decode(&world.payload).await.unwrap_err();
    assert!(matches!(early, DecodeError::NotVerified) && early.is_transient());
    world.verify().await;
    world.decode(&world.payload).await.unwrap();
}

#[tokio::test]
async fn a_timeout_is_no_answer_and_a_known_schema_needs_no_registry() {
    let world = World::start().await;
    world.verify().await;
    world.proxy.black_hole();
    for payload in [&world.payload, &unknown(0)] {
        let timed_out = world.decode(payload).await.unwrap_err();
        assert!(
            matches!(timed_out, DecodeError::Unavailable(_)) && timed_out.is_transient(),
            "{timed_out:?}"
        );
    }
    world.proxy.restore();
    world.decode(&world.payload).await.unwrap();
    assert!(matches!(world.decode(&unknown(0)).await, Err(DecodeError::UnknownSchema(_))));

    world.proxy.cut();
    world.decode(&world.payload).await.expect("the schema is cached");
    assert!(
        matches!(world.decode(&unknown(0)).await, Err(DecodeError::UnknownSchema(_))),
        "and the miss too"
    );
}

#[tokio::test]
async fn unknown_ids_are_looked_up_at_a_bounded_rate() {
    let world = World::start().await;
    world.verify().await;
    world.decode(&world.payload).await.unwrap();
    let started = Instant::now();
    let (mut n_lookups, mut n_limited) = (0, 0);
    for number in 0..300 {
        match world.decode(&unknown(number)).await.unwrap_err() {
            DecodeError::UnknownSchema(_) => n_lookups += 1,
            error @ DecodeError::TooManyLookups => {
                assert!(error.is_transient());
                n_limited += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    let allowed = 10.0 + 10.0 * started.elapsed().as_secs_f64();
    assert!(f64::from(n_lookups) <= allowed && n_limited > 0, "{n_lookups} lookups, {allowed} allowed");
    world.decode(&world.payload).await.expect("what is cached needs no lookup");
}

#[tokio::test]
async fn events_that_need_the_same_schema_at_once_share_one_lookup() {
    let world = World::start().await;
    world.verify().await;
    for decoded in join_all((0..100).map(|_| world.decode(&world.payload))).await {
        decoded.expect("one lookup is within the rate");
    }
    let payload = unknown(0);
    for decoded in join_all((0..100).map(|_| world.decode(&payload))).await {
        assert!(matches!(decoded, Err(DecodeError::UnknownSchema(_))), "{decoded:?}");
    }
}

#[tokio::test]
async fn a_lookup_goes_on_when_the_first_who_needs_it_is_cancelled() {
    let world = World::start().await;
    world.verify().await;
    let mut first = Box::pin(world.decode(&world.payload));
    assert!(first.as_mut().now_or_never().is_none(), "it waits for the registry");
    let mut second = Box::pin(world.decode(&world.payload));
    assert!(second.as_mut().now_or_never().is_none(), "it waits for the same answer");
    drop(first);
    second.await.unwrap();
}
