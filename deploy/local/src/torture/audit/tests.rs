//! The audit, with databases that contain one fault.

use std::{fs, path::Path, time::Instant};

use loadtest::reconcile::{Line, OrderRecord};
use testkit::Database;

use super::*;

/// The schemas of the two databases, here in one.
const MIGRATIONS: [&str; 5] = [
    "libs/outbox/migrations",
    "services/orders/migrations",
    "libs/idempotency/migrations/dedup",
    "libs/consumer/migrations",
    "services/email-consumer/migrations",
];

const MAIL: &str = "<order-confirmed@muster.local>";

/// One confirmed order of two pieces, with its reservation and its mail.
const GOOD: &str = "
    INSERT INTO products VALUES ('acme', 'TEA', 'Tea', 890, 'EUR');
    INSERT INTO stock VALUES ('acme', 'TEA', 8);
    INSERT INTO orders VALUES ('ORDER', 'acme', 'ada@example.com', 'confirmed', NULL, 1780, 'EUR', 2, now(), now());
    INSERT INTO order_lines VALUES ('ORDER', 1, 'TEA', 'Tea', 2, 890);
    INSERT INTO stock_reservations VALUES ('ORDER', 'acme', 'TEA', 2);
    INSERT INTO mails (event_id, order_id, tenant, kind, message_id, state, handovers, sent_at)
        VALUES (gen_random_uuid(), 'ORDER', 'acme', 'confirmed', '<order-confirmed@muster.local>', 'sent', 1, now());";

struct World {
    auditor: Auditor,
    log: ClientLog,
    mails: MailTimes,
}

impl World {
    async fn good() -> Self {
        let database = Database::create("audit").await;
        let auditor = Auditor {
            orders: database.connect().await,
            emails: database.connect().await,
            stock: BTreeMap::from([("TEA".to_owned(), 10)]),
            empty_within: Duration::ZERO,
        };
        for directory in MIGRATIONS {
            migrate(&auditor.orders, directory).await;
        }
        let id = Uuid::new_v4();
        auditor.orders.batch_execute(&GOOD.replace("ORDER", &id.to_string())).await.unwrap();
        let lines = vec![Line { sku: "TEA".to_owned(), quantity: 2 }];
        let record =
            OrderRecord { ids: BTreeSet::from([id]), ..OrderRecord::new(Instant::now(), true, lines) };
        let log = ClientLog { orders: BTreeMap::from([(Uuid::new_v4(), record)]), ..ClientLog::default() };
        Self { auditor, log, mails: MailTimes::from([(MAIL.to_owned(), vec![Instant::now()])]) }
    }

    async fn faults(&self) -> Vec<String> {
        let faults = self.auditor.faults(&self.log, &self.mails).await.unwrap();
        faults.into_iter().map(|fault| fault.what).collect()
    }

    async fn plant(&self, statement: &str) -> Vec<String> {
        self.auditor.orders.batch_execute(statement).await.unwrap();
        self.faults().await
    }
}

async fn migrate(client: &Client, directory: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(directory);
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        client.batch_execute(&format!("BEGIN; {text}; COMMIT")).await.unwrap_or_else(|error| {
            panic!("{}: {error:?}", file.display());
        });
    }
}

#[tokio::test]
async fn a_correct_database_has_no_faults() {
    assert_eq!(World::good().await.faults().await, Vec::<String>::new());
}

#[tokio::test]
async fn lost_and_invented_reservations_are_found() {
    let world = World::good().await;
    let found = world.plant("DELETE FROM stock_reservations").await;
    assert!(found.iter().any(|it| it.contains("TEA: 8 available and 0 reserved of 10")), "{found:?}");
    assert!(found.iter().any(|it| it.contains("a confirmed line without its reservation")), "{found:?}");

    let world = World::good().await;
    let found = world.plant("DELETE FROM order_lines").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("a reservation without its confirmed line"), "{found:?}");
}

#[tokio::test]
async fn an_order_that_no_client_has_is_found() {
    let mut world = World::good().await;
    world.log.orders.clear();
    let found = world.faults().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("no client has it"), "{found:?}");
}

#[tokio::test]
async fn a_copy_of_a_mail_needs_a_second_handover() {
    let mut world = World::good().await;
    world.mails.values_mut().for_each(|times| times.push(Instant::now()));
    let found = world.faults().await;
    assert_eq!(found, [format!("mail {MAIL} arrived 2 times, handed over 1 times")]);

    assert_eq!(world.plant("UPDATE mails SET handovers = 2").await, Vec::<String>::new());
}

#[tokio::test]
async fn work_that_waits_is_found() {
    let world = World::good().await;
    let statements = [
        "INSERT INTO outbox (event_id, topic, key, event_type, payload, occurred_at)
            VALUES (gen_random_uuid(), 'orders.events', 'k', 'OrderPlaced', '', now())",
        "INSERT INTO postponed_events (consumer_group, topic, partition, \"offset\", event_id, header_names, header_values, written_at)
            VALUES ('email-consumer', 'orders.events', 0, 1, gen_random_uuid(), '{}', '{}', now())",
        "UPDATE mails SET state = 'handing_over', sent_at = NULL",
    ];
    let expected = ["1 unpublished events", "1 postponed events", "1 mails that are not sent"];
    for (statement, n_found) in statements.into_iter().zip(1..) {
        assert_eq!(world.plant(statement).await, expected[..n_found]);
    }
}
