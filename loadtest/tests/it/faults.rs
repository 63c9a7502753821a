//! The reconciler, with observations that contain one fault.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use loadtest::reconcile::{
    ClientLog, EventType, FaultKind, Line, Observed, Order, OrderRecord, Report, SeenEvent, State, reconcile,
};
use uuid::Uuid;

struct World {
    log: ClientLog,
    observed: Observed,
    key: Uuid,
    id: Uuid,
}

fn lines() -> Vec<Line> {
    ["B", "A"].map(|sku| Line { sku: sku.to_owned(), quantity: 1 }).to_vec()
}

fn mail(id: Uuid, state: State, domain: &str) -> String {
    format!("<order-{id}-{state}@{domain}>")
}

impl World {
    /// One confirmed order with its mail and its events, and one link, without a fault.
    fn good() -> Self {
        let (key, id) = (Uuid::new_v4(), Uuid::new_v4());
        let due_at = Instant::now();
        let ids = BTreeSet::from([id]);
        let record = OrderRecord { ids, ..OrderRecord::new(due_at, true, lines()) };
        let mut stored = lines();
        stored.reverse();
        let order = Order { id, state: State::Confirmed, rejection_reason: None, lines: stored };
        let events = [(EventType::Placed, 1), (EventType::Confirmed, 2)];
        let events = events.map(|(kind, place)| (Uuid::new_v4(), SeenEvent::new(kind, place)));
        let link = || BTreeMap::from([("abcdef".to_owned(), "https://example.com/".to_owned())]);
        let arrived_at = due_at + Duration::from_millis(40);
        Self {
            log: ClientLog { orders: BTreeMap::from([(key, record)]), links: link(), faults: Vec::new() },
            observed: Observed {
                orders: BTreeMap::from([(id, order)]),
                mails: Some(BTreeMap::from([(mail(id, State::Confirmed, "muster.local"), vec![arrived_at])])),
                events: Some(BTreeMap::from([(id, BTreeMap::from(events))])),
                links: link(),
            },
            key,
            id,
        }
    }

    fn record(&mut self) -> &mut OrderRecord {
        self.log.orders.get_mut(&self.key).unwrap()
    }

    fn order(&mut self) -> &mut Order {
        self.observed.orders.get_mut(&self.id).unwrap()
    }

    fn mails(&mut self) -> &mut BTreeMap<String, Vec<Instant>> {
        self.observed.mails.as_mut().unwrap()
    }

    fn events(&mut self) -> &mut BTreeMap<Uuid, SeenEvent> {
        self.observed.events.as_mut().unwrap().get_mut(&self.id).unwrap()
    }

    fn report(&self) -> Report {
        reconcile(&self.log, &self.observed)
    }
}

/// The kinds of the faults that are found after `plant`.
fn found(plant: impl FnOnce(&mut World)) -> Vec<FaultKind> {
    let mut world = World::good();
    plant(&mut world);
    world.report().faults.iter().map(|fault| fault.kind).collect()
}

#[test]
fn a_correct_system_has_no_faults() {
    let report = World::good().report();
    assert!(report.faults.is_empty(), "{report}");
    assert_eq!(
        (report.n_acknowledged, report.n_confirmed, report.n_with_mail, report.n_events),
        (1, 1, 1, 2)
    );
    assert_eq!(report.mail_percentile(99), Some(Duration::from_millis(40)));
}

#[test]
fn the_time_to_mail_counts_for_counted_orders_only() {
    let mut world = World::good();
    world.record().counted = false;
    let report = world.report();
    assert_eq!((report.n_with_mail, report.mail_percentile(99)), (1, None));
}

#[test]
fn a_missing_order_mail_event_or_link_is_a_fault() {
    let missing = [FaultKind::Missing];
    assert_eq!(found(|world| world.mails().clear()), missing);
    assert_eq!(
        found(|world| world.events().retain(|_, event| event.event_type == EventType::Placed)),
        missing
    );
    assert_eq!(found(|world| world.observed.links.clear()), missing);
    // The order; its mail and its events belong to an acknowledged order.
    assert_eq!(found(|world| world.observed.orders.clear()), missing);
}

#[test]
fn a_duplicate_order_mail_or_event_is_a_fault() {
    let duplicate = [FaultKind::Duplicate];
    let second = |world: &mut World| {
        let mail = mail(world.id, State::Confirmed, "elsewhere.local");
        world.mails().insert(mail, vec![Instant::now()]);
    };
    assert_eq!(found(second), duplicate, "a mail under two ids");
    let other = |world: &mut World| {
        let mail = mail(Uuid::new_v4(), State::Confirmed, "muster.local");
        world.mails().insert(mail, vec![Instant::now()]);
    };
    assert_eq!(found(other), duplicate, "a mail about an order that no client has");
    let event = |world: &mut World| {
        world.events().insert(Uuid::new_v4(), SeenEvent::new(EventType::Placed, 3));
    };
    assert_eq!(found(event), duplicate, "an event under two ids");
    let two_orders = |world: &mut World| {
        let id = Uuid::new_v4();
        world.record().ids.insert(id);
        let order = Order { id, ..world.order().clone() };
        world.observed.orders.insert(id, order);
        (world.observed.mails, world.observed.events) = (None, None);
    };
    assert_eq!(found(two_orders), duplicate, "one key with two orders");
}

#[test]
fn a_different_order_mail_event_or_link_is_a_fault() {
    let different = FaultKind::Different;
    assert_eq!(found(|world| world.order().lines[0].quantity = 2), [different]);
    let moved = |world: &mut World| {
        drop(world.observed.links.insert("abcdef".to_owned(), "https://x.test/".to_owned()));
    };
    assert_eq!(found(moved), [different]);
    let shared = |world: &mut World| {
        let record = world.record().clone();
        world.log.orders.insert(Uuid::new_v4(), record);
    };
    assert_eq!(found(shared), [different], "one order for two keys");
    let other_contents =
        |world: &mut World| world.events().values_mut().take(1).for_each(|event| event.is_changed = true);
    assert_eq!(found(other_contents), [different], "one event id with two contents");
    let other_order =
        |world: &mut World| world.events().values_mut().for_each(|event| event.place = 3 - event.place);
    assert_eq!(found(other_order), [different], "the final event before OrderPlaced");
    // Mail and event are those of a confirmed order, and those of a rejected order are missing.
    let kinds = found(|world| world.order().state = State::Rejected);
    assert_eq!(kinds.iter().filter(|kind| **kind == different).count(), 2);
    assert_eq!(kinds.iter().filter(|kind| **kind == FaultKind::Missing).count(), 2);
}

#[test]
fn a_pending_order_or_an_unanswered_key_is_a_fault() {
    let pending = |world: &mut World| {
        world.order().state = State::Pending;
        world.mails().clear();
        world.events().retain(|_, event| event.event_type == EventType::Placed);
    };
    assert_eq!(found(pending), [FaultKind::Unfinished]);
    let unsettled = |world: &mut World| {
        let record = OrderRecord { ids: BTreeSet::new(), ..world.record().clone() };
        world.log.orders.insert(Uuid::new_v4(), record);
    };
    assert_eq!(found(unsettled), [FaultKind::Unfinished]);
}

#[test]
fn a_refused_request_needs_no_order() {
    let mut world = World::good();
    let refusal = Some("HTTP 422".to_owned());
    let record = OrderRecord { ids: BTreeSet::new(), refusal, ..world.record().clone() };
    world.log.orders.insert(Uuid::new_v4(), record);
    let report = world.report();
    assert_eq!((report.faults.len(), report.n_refused), (0, 1), "{report}");
}

#[test]
fn copies_with_the_same_id_are_counted_and_are_no_fault() {
    let mut world = World::good();
    for times in world.mails().values_mut() {
        times.push(Instant::now());
    }
    for event in world.events().values_mut() {
        event.n_seen += 1;
    }
    let report = world.report();
    assert_eq!((report.n_copies, report.n_event_copies, report.faults.len()), (1, 2, 0), "{report}");
}

#[test]
fn without_mailbox_and_topic_nothing_is_missing() {
    let not_observed = |world: &mut World| (world.observed.mails, world.observed.events) = (None, None);
    assert_eq!(found(not_observed), []);
}
