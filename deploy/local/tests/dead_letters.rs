//! `muster dead-letters`: what a person sees of letters, and what becomes of them.

#![expect(clippy::unwrap_used, reason = "test harness")]

use std::{collections::BTreeMap, process::Command, time::Duration};

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testkit::{Kafka, Topics, endpoints, wait_for};

const SOON: Duration = Duration::from_secs(30);

const TRACESTATE: &str = "vendor=opaque, other=1";
const BAGGAGE: &str = "user=ada;secret=1, x=%20y";

/// Two topics of one test.
struct Letters(Topics);

impl Letters {
    async fn with(n_letters: u32) -> Self {
        let letters = Self(Topics::create(&[("events", 3), ("letters", 2)]).await);
        for number in 0..n_letters {
            letters.write(number).await;
        }
        letters
    }

    async fn write(&self, number: u32) {
        let servers = &endpoints().kafka_bootstrap_servers;
        let producer: FutureProducer =
            ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
        let headers = [
            ("event-id", format!("event-{number}")),
            ("tracestate", TRACESTATE.to_owned()),
            ("baggage", BAGGAGE.to_owned()),
            ("dead-letter-topic", self.0.name("events").to_owned()),
            ("dead-letter-reason", "no mail can reach it".to_owned()),
        ];
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let (key, payload) = (format!("order-{number}"), format!("secret-{number}"));
        let record = FutureRecord::to(self.0.name("letters")).key(&key).payload(&payload).headers(headers);
        producer.send(record, SOON).await.unwrap();
    }

    fn muster(&self, what: &[&str]) -> String {
        let servers = &endpoints().kafka_bootstrap_servers;
        let output = Command::new(env!("CARGO_BIN_EXE_muster"))
            .args(["dead-letters", "--topic", self.0.name("letters"), "--bootstrap-servers", servers])
            .args(what)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn wait_until_none(&self) {
        wait_for("the letters to be gone", SOON, async || {
            self.muster(&[]).contains("There are no dead letters.").then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_shown_with_its_reason_and_without_its_payload() {
    let letters = Letters::with(2).await;
    let said = letters.muster(&[]);
    assert_eq!(said.matches("no mail can reach it").count(), 2, "{said}");
    assert!(said.contains("event-1") && said.contains("2 dead letters"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_letters_are_the_events_that_they_were_and_are_gone() {
    let letters = Letters::with(5).await;
    assert!(letters.muster(&["--replay"]).contains("5 replayed"));
    letters.wait_until_none().await;

    let events = Kafka::read(letters.0.name("events"), 5).await;
    let found: BTreeMap<_, _> = events.iter().map(|event| (event.key.clone().unwrap(), event)).collect();
    assert_eq!((events.len(), found.len()), (5, 5));
    for number in 0..5 {
        let event = found[&format!("order-{number}")];
        assert_eq!(event.payload.as_deref(), Some(format!("secret-{number}").as_bytes()));
        let expected = BTreeMap::from([
            ("event-id".to_owned(), format!("event-{number}")),
            ("tracestate".to_owned(), TRACESTATE.to_owned()),
            ("baggage".to_owned(), BAGGAGE.to_owned()),
            ("replays".to_owned(), "1".to_owned()),
        ]);
        assert_eq!(event.headers, expected, "of the letter only the number of its replays is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn discarded_letters_are_gone_and_later_ones_stay() {
    let letters = Letters::with(3).await;
    assert!(letters.muster(&["--discard"]).contains("3 discarded"));
    letters.wait_until_none().await;
    letters.write(9).await;
    let said = letters.muster(&[]);
    assert!(said.contains("event-9") && said.contains("1 dead letters"), "{said}");
}
