//! A whole run against the services, and again with faults planted between the run and the reckoning.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use loadtest::{
    reconcile::FaultKind,
    report::Report,
    run::generate_load,
    scenario::Scenario,
    target::{Events, Mailbox, Target},
};
use testkit::{Database, Keys, Process, Topics, endpoints, scratch_dir};

const EVENTS: &str = "orders.events";
const DEAD_LETTERS: &str = "orders.events.email-consumer.dlq";

/// Longer than usual: on a machine that is busy with other tests, opening connections takes its time, and none of these tests
/// is about that.
const ACQUIRE_TIMEOUT_MS: &str = "4500";

/// The services, each with its own database, around one topic.
struct System {
    target: Target,
    orders: Database,
    links: Database,
    _processes: [Process; 3],
}

/// The programs are other packages', so cargo does not build them for these tests.
fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_loadtest")).with_file_name(name);
    assert!(program.is_file(), "{name} is not built: run the tests with `make test`");
    program
}

impl System {
    async fn start() -> Self {
        let directory = scratch_dir("loadtest");
        let keys = Keys::generate(&directory);
        let topics = Topics::create(&[(EVENTS, 2), (DEAD_LETTERS, 1)]).await;
        let (orders_db, links_db) =
            (Database::create("orders").await, Database::create("url_shortener").await);
        let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/orders/catalogue.json");
        let orders = Process::builder(program("orders"))
            .env("DATABASE_URL", orders_db.url())
            .env("DATABASE_ACQUIRE_TIMEOUT_MS", ACQUIRE_TIMEOUT_MS)
            .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
            .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("ORDERS_EVENTS_TOPIC", topics.name(EVENTS))
            .env("ORDERS_CATALOGUE_FILE", catalogue)
            .env("ORDERS_TRACKING_KEY", "11".repeat(32))
            .env("ORDERS_CURSOR_KEYS", format!("test:{}", "22".repeat(32)))
            .env("ORDERS_PUBLIC_URL", "http://orders.example")
            .spawn()
            .await;
        let links = Process::builder(program("url-shortener"))
            .env("DATABASE_URL", links_db.url())
            .env("DATABASE_ACQUIRE_TIMEOUT_MS", ACQUIRE_TIMEOUT_MS)
            .env("AUTH_JWKS_FILE", keys.jwks_file())
            .env("LINKS_PUBLIC_URL", "http://links.example")
            .env("LINKS_CURSOR_KEYS", format!("test:{}", "33".repeat(32)))
            .spawn()
            .await;
        let email_consumer = email_consumer(&keys, &topics, &links).await;
        let token_file = directory.join("token");
        std::fs::write(&token_file, keys.token("acme", &["orders:write", "orders:read", "links:write"]))
            .unwrap();
        let target = target(&orders, &links, &topics, token_file);
        Self { target, orders: orders_db, links: links_db, _processes: [orders, links, email_consumer] }
    }
}

async fn email_consumer(keys: &Keys, topics: &Topics, links: &Process) -> Process {
    Process::builder(program("email-consumer"))
        .env("DATABASE_URL", Database::create("email_consumer").await.url())
        .env("KAFKA_BOOTSTRAP_SERVERS", &endpoints().kafka_bootstrap_servers)
        .env("SCHEMA_REGISTRY_URL", &endpoints().schema_registry_url)
        .env("ORDERS_EVENTS_TOPIC", topics.name(EVENTS))
        .env("EMAIL_GROUP_ID", topics.name(EVENTS))
        .env("EMAIL_RETRY_TOPIC", format!("{}.retry", topics.name(EVENTS)))
        .env("EMAIL_DEAD_LETTER_TOPIC", topics.name(DEAD_LETTERS))
        .env("SMTP_HOST", &endpoints().smtp_host)
        .env("SMTP_PORT", endpoints().smtp_port.to_string())
        .env("EMAIL_FROM", "Muster <orders@muster.test>")
        .env("LINKS_URL", links.http_url())
        .env("AUTH_JWKS_FILE", keys.jwks_file())
        .env("EMAIL_SIGNING_KEY_FILE", keys.email_consumer_key_file())
        .env("EMAIL_LINK_CODE_KEY", "5a".repeat(32))
        .spawn()
        .await
}

fn target(orders: &Process, links: &Process, topics: &Topics, token_file: PathBuf) -> Target {
    Target {
        orders_url: orders.http_url(),
        links_url: links.http_url(),
        tenant: "acme".to_owned(),
        skus: vec!["TEA-SENCHA".to_owned(), "TEA-EARL-GREY".to_owned()],
        token_file: Some(token_file),
        signing_key_file: None,
        mailbox: Some(Mailbox { imap: endpoints().imap.clone(), api_url: None }),
        events: Some(Events {
            bootstrap_servers: endpoints().kafka_bootstrap_servers.clone(),
            topic: topics.name(EVENTS).to_owned(),
            registry_url: endpoints().schema_registry_url.clone(),
        }),
    }
}

/// The smoke test of the crate, shorter still.
fn scenario() -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/smoke.toml");
    let mut scenario = Scenario::read(&path).unwrap();
    scenario.set_duration(Duration::from_secs(3));
    scenario.settling = Duration::from_secs(15);
    scenario
}

fn count(report: &Report, kind: FaultKind) -> usize {
    report.reconciliation.faults.iter().filter(|fault| fault.kind == kind).count()
}

#[tokio::test]
async fn a_run_against_healthy_services_passes_and_makes_a_page() {
    let system = System::start().await;
    let scenario = scenario();

    let load = generate_load(&scenario, &system.target).await.unwrap();
    // A row that a person wrote: no consumer can read it, and it belongs to no order of the run.
    let unreadable =
        "INSERT INTO outbox (event_id, topic, key, event_type, payload, occurred_at)
         VALUES (gen_random_uuid(), $1, gen_random_uuid()::text, 'muster.orders.OrderConfirmed', 'order 17', now())";
    let topic = system.target.events.as_ref().unwrap().topic.clone();
    system.orders.connect().await.execute(unreadable, &[&topic]).await.unwrap();
    let report = load.reconcile(&scenario).await.unwrap();

    assert!(report.passed, "{report}");
    let found = &report.reconciliation;
    assert!(found.n_acknowledged > 5 && found.n_repeated > 0, "{found}");
    assert_eq!(found.n_with_mail, found.n_acknowledged, "{found}");
    assert_eq!(found.n_events, 2 * found.n_acknowledged, "{found}");
    let page = report.html().unwrap();
    assert!(page.contains("<svg") && page.contains("passed") && !page.contains("http://"), "{page}");
}

#[tokio::test]
async fn faults_planted_in_the_services_data_are_found() {
    let system = System::start().await;
    let mut scenario = scenario();
    scenario.settling = Duration::from_secs(3);

    let load = generate_load(&scenario, &system.target).await.unwrap();
    // Their mails are there, and nothing changes any more, before anything is broken.
    let orders = system.orders.connect().await;
    testkit::wait_for("every order to be final", Duration::from_secs(30), async || {
        let open =
            orders.query_one("SELECT count(*) FROM orders WHERE state = 'pending'", &[]).await.unwrap();
        (open.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    let links = system.links.connect().await;
    let code = |n: usize| load.log.links.keys().nth(n).unwrap().clone();
    links.execute("DELETE FROM links WHERE code = $1", &[&code(0)]).await.unwrap();
    links
        .execute("UPDATE links SET target = 'https://example.org/' WHERE code = $1", &[&code(1)])
        .await
        .unwrap();
    // The trigger would refuse it.
    let undo = "ALTER TABLE orders DISABLE TRIGGER USER; \
                UPDATE orders SET state = 'pending' WHERE id = (SELECT id FROM orders ORDER BY id LIMIT 1)";
    orders.batch_execute(undo).await.unwrap();
    let report = load.reconcile(&scenario).await.unwrap();

    assert!(!report.passed);
    assert_eq!(count(&report, FaultKind::Missing), 1, "{report}");
    assert_eq!(count(&report, FaultKind::Unfinished), 1, "{report}");
    // The moved link, and mail and event of the order that is pending again.
    assert_eq!(count(&report, FaultKind::Different), 3, "{report}");
}
