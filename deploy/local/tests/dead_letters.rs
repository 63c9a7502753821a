//! `muster dead-letters` against a running email-consumer.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "test harness")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testkit::{Database, Keys, Process, Topics, endpoints, scratch_dir, wait_for};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(90);
const EVENTS: &str = "orders.events";
const DEAD_LETTERS: &str = "orders.events.email-consumer.dlq";

/// Letters of a large fault.
const MANY: usize = 10_000;

/// What the service may need for them: twice the bound of unread records, 4 MiB in its queue and 4 MiB in a response, beside the allocator's
/// reserves.
const MAX_GROWTH_MIB: u64 = 48;

/// The programs belong to other packages, so cargo does not build them for this test.
fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_muster")).with_file_name(name);
    assert!(program.is_file(), "{name} is not built: run the tests with `make test`");
    program
}

/// An email-consumer with dead letters, and a file with the token of an operator.
struct World {
    topics: Topics,
    consumer: Process,
    token_file: PathBuf,
    _shortener: Process,
}

impl World {
    async fn with_letters(n_letters: u32) -> Self {
        let world = Self::start().await;
        for _ in 0..n_letters {
            world.send_garbled().await;
        }
        world.wait_for(&format!("{n_letters} dead letters: {n_letters} unreadable_payload")).await;
        world
    }

    async fn start() -> Self {
        let directory = scratch_dir("dead-letters");
        let keys = Keys::generate(&directory);
        let topics = Topics::create(&[(EVENTS, 3), (DEAD_LETTERS, 2)]).await;
        topics.create_retry_topics(EVENTS, &["5s"], 3).await;
        let shortener = Process::builder(program("url-shortener"))
            .env("DATABASE_URL", Database::create("url_shortener").await.url())
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("LINKS_PUBLIC_URL", "http://links.example")
            .env("LINKS_CURSOR_KEYS", format!("test:{}", "22".repeat(32)))
            .spawn()
            .await;
        let consumer = Process::builder(program("email-consumer"))
            .env("DATABASE_URL", Database::create("email_consumer").await.url())
            .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
            .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
            .env("ORDERS_EVENTS_TOPIC", topics.name(EVENTS))
            .env("EMAIL_GROUP_ID", topics.name(EVENTS))
            .env("EMAIL_RETRY_TOPIC", format!("{}.retry", topics.name(EVENTS)))
            .env("EMAIL_RETRY_DELAYS", "5s")
            .env("EMAIL_DEAD_LETTER_TOPIC", topics.name(DEAD_LETTERS))
            .env("SMTP_HOST", &endpoints().smtp_host)
            .env("SMTP_PORT", endpoints().smtp_port.to_string())
            .env("EMAIL_FROM", "Muster <orders@muster.test>")
            .env("LINKS_URL", shortener.http_url())
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("EMAIL_SIGNING_KEY_FILE", keys.email_consumer_key_file())
            .env("EMAIL_LINK_CODE_KEY", "5a".repeat(32))
            .spawn()
            .await;
        let token_file = directory.join("token");
        let token = keys.token("operators", &["dead-letters:read", "dead-letters:write"]);
        std::fs::write(&token_file, token).unwrap();
        Self { topics, consumer, token_file, _shortener: shortener }
    }

    /// Writes an event that is not Avro.
    async fn send_garbled(&self) {
        send_garbled(&producer(), self.topics.name(EVENTS), &[]).await;
    }

    /// Writes letters of such events to the dead-letter topic, as the consumer does.
    async fn add_letters(&self, n_letters: usize) {
        let (producer, source) = (producer(), self.topics.name(EVENTS));
        let letters = self.topics.name(DEAD_LETTERS);
        let headers = [
            ("dead-letter-topic", source),
            ("dead-letter-partition", "0"),
            ("dead-letter-offset", "0"),
            ("dead-letter-timestamp", "2026-11-30T01:00:00.000Z"),
            ("dead-letter-group", source),
            ("dead-letter-code", "unreadable_payload"),
            ("dead-letter-reason", "the payload is not in Confluent wire format"),
            ("dead-letter-attempts", "1"),
            ("dead-letter-retries", "0"),
            ("dead-letter-at", "2026-11-30T01:00:00.000Z"),
        ];
        let sends = (0..n_letters).map(|_| send_garbled(&producer, letters, &headers));
        stream::iter(sends).buffer_unordered(1_000).collect::<()>().await;
    }

    /// The peak of the resident set of the service.
    fn peak_mib(&self) -> u64 {
        let process = procfs::process::Process::new(self.consumer.pid().try_into().unwrap()).unwrap();
        process.status().unwrap().vmhwm.unwrap() / 1_024
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_muster"))
            .args(["dead-letters", "--url", &self.consumer.http_url(), "--token-file"])
            .arg(&self.token_file)
            .args(arguments)
            .output()
            .unwrap()
    }

    fn muster(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn wait_for(&self, last_line: &str) {
        wait_for(last_line, SOON, async || {
            let said = self.muster(&["list"]);
            (said.lines().last() == Some(last_line)).then_some(())
        })
        .await;
    }

    /// The ids of the open letters.
    fn ids(&self) -> Vec<String> {
        let said = self.muster(&["list"]);
        let letters = said.lines().filter(|line| line.contains("unreadable_payload  "));
        letters.filter_map(|line| line.split("  ").next()).map(str::to_owned).collect()
    }
}

fn producer() -> FutureProducer {
    ClientConfig::new().set("bootstrap.servers", &endpoints().kafka_bootstrap_servers).create().unwrap()
}

async fn send_garbled(producer: &FutureProducer, topic: &str, more_headers: &[(&str, &str)]) {
    let event_id = Uuid::now_v7().to_string();
    let envelope = [
        ("event-id", &*event_id),
        ("event-type", "muster.orders.OrderConfirmed"),
        ("occurred-at", "2026-11-30T01:00:00Z"),
    ];
    let headers = envelope.iter().chain(more_headers).fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(*value) })
    });
    let key = Uuid::now_v7().to_string();
    let record = FutureRecord::to(topic).key(&key).payload("secret").headers(headers);
    producer.send(record, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_listed_shown_and_discarded_with_a_reason() {
    let world = World::with_letters(3).await;
    let ids = world.ids();
    let shown = world.muster(&["show", &ids[0]]);
    assert!(shown.contains("the payload is not in Confluent wire format"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");

    assert!(!world.run(&["discard", "--all", "--yes"]).status.success(), "without a reason");
    let said = world.muster(&["discard", &ids[0], &ids[1], "--reason", "INC-1: written by hand"]);
    assert!(said.ends_with("2 would be discarded; --yes does it\n"), "{said}");
    assert_eq!(world.ids().len(), 3);
    let said = world.muster(&["discard", &ids[0], &ids[1], "--reason", "INC-1: written by hand", "--yes"]);
    assert!(said.ends_with("2 discarded\n"), "{said}");
    assert_eq!(world.ids(), ids[2..]);
    assert!(world.muster(&["show", &ids[0]]).contains("INC-1: written by hand"));

    world.muster(&["discard", "--code", "unreadable_payload", "--reason", "INC-1", "--yes"]);
    world.wait_for("There are no dead letters.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_without_yes_says_what_would_happen_and_needs_a_selection() {
    let world = World::with_letters(2).await;
    let said = world.muster(&["replay", "--all"]);
    assert!(said.ends_with("2 would be replayed; --yes does it\n"), "{said}");
    assert!(!world.run(&["replay", "--yes"]).status.success(), "without a selection");
    let said = world.muster(&["replay", "--tenant", "acme", "--yes"]);
    assert_eq!(said, "No open letter matches.\n");

    let before = world.ids();
    let said = world.muster(&["replay", "--all", "--yes", "--rate", "100"]);
    assert!(said.ends_with("2 replayed\n"), "{said}");
    // The cause is not repaired, so they fail again, as new letters.
    world.wait_for("2 dead letters: 2 unreadable_payload").await;
    assert!(world.ids().iter().all(|id| !before.contains(id)));
}

/// Lists them, and says what a replay would do.
#[tokio::test(flavor = "multi_thread")]
async fn many_letters_are_listed_once_each_and_need_little_memory() {
    let world = World::start().await;
    world.muster(&["list"]);
    let before = world.peak_mib();
    world.add_letters(MANY).await;

    let said = world.muster(&["list"]);

    assert!(said.ends_with("10000 dead letters: 10000 unreadable_payload\n"));
    let ids: BTreeSet<_> = said.lines().filter_map(|line| line.split("  ").next()).collect();
    assert_eq!(ids.len(), MANY + 1, "a line for each letter and one for their number");
    let said = world.muster(&["replay", "--all"]);
    assert!(said.ends_with("10000 would be replayed; --yes does it\n"));
    let growth = world.peak_mib() - before;
    assert!(growth < MAX_GROWTH_MIB, "email-consumer needed {growth} MiB more");
}

/// For the figures in `docs/dead-letters.md`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: a replay sends at most 100 letters per second"]
async fn measure_a_replay_of_many_letters() {
    let world = World::start().await;
    world.add_letters(MANY).await;
    for arguments in [&["list"][..], &["replay", "--all"], &["replay", "--all", "--rate", "100", "--yes"]] {
        let begun = Instant::now();
        let said = world.muster(arguments);
        let last_line = said.lines().last().unwrap();
        println!("{arguments:?}: {:.1?}, {} MiB: {last_line}", begun.elapsed(), world.peak_mib());
    }
}
