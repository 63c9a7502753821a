//! The reconciler, handed observations into which one fault was planted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use loadtest::reconcile::{EventType, FaultKind, Held, Line, Order, Promise, Report, State, Told, reconcile};
use uuid::Uuid;

struct World {
    told: Told,
    held: Held,
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
    /// One confirmed order with its mail and its events, and one link, all as they should be.
    fn good() -> Self {
        let (key, id) = (Uuid::new_v4(), Uuid::new_v4());
        let due_at = Instant::now();
        let ids = BTreeSet::from([id]);
        let promise = Promise { due_at, counted: true, n_sends: 1, lines: lines(), ids, refusal: None };
        let mut stored = lines();
        stored.reverse();
        let order = Order { id, state: State::Confirmed, lines: stored };
        let events = [EventType::Placed, EventType::Confirmed].map(|kind| (Uuid::new_v4(), (kind, 1)));
        let link = || BTreeMap::from([("abcdef".to_owned(), "https://example.com/".to_owned())]);
        let arrived_at = due_at + Duration::from_millis(40);
        Self {
            told: Told { orders: BTreeMap::from([(key, promise)]), links: link(), seen: Vec::new() },
            held: Held {
                orders: BTreeMap::from([(id, order)]),
                mails: Some(BTreeMap::from([(mail(id, State::Confirmed, "muster.local"), vec![arrived_at])])),
                events: Some(BTreeMap::from([(id, BTreeMap::from(events))])),
                links: link(),
            },
            key,
            id,
        }
    }

    fn promise(&mut self) -> &mut Promise {
        self.told.orders.get_mut(&self.key).unwrap()
    }

    fn order(&mut self) -> &mut Order {
        self.held.orders.get_mut(&self.id).unwrap()
    }

    fn mails(&mut self) -> &mut BTreeMap<String, Vec<Instant>> {
        self.held.mails.as_mut().unwrap()
    }

    fn events(&mut self) -> &mut BTreeMap<Uuid, (EventType, u32)> {
        self.held.events.as_mut().unwrap().get_mut(&self.id).unwrap()
    }

    fn report(&self) -> Report {
        reconcile(&self.told, &self.held)
    }
}

/// The kinds of what is found after `plant`.
fn found(plant: impl FnOnce(&mut World)) -> Vec<FaultKind> {
    let mut world = World::good();
    plant(&mut world);
    world.report().faults.iter().map(|fault| fault.kind).collect()
}

#[test]
fn when_all_is_well_nothing_is_found() {
    let report = World::good().report();
    assert!(report.faults.is_empty(), "{report}");
    assert_eq!(
        (report.n_acknowledged, report.n_confirmed, report.n_with_mail, report.n_events),
        (1, 1, 1, 2)
    );
    assert_eq!(report.mail_percentile(99), Some(Duration::from_millis(40)));
}

#[test]
fn the_time_to_a_mail_counts_for_orders_of_the_counted_phases_only() {
    let mut world = World::good();
    world.promise().counted = false;
    let report = world.report();
    assert_eq!((report.n_with_mail, report.mail_percentile(99)), (1, None));
}

#[test]
fn what_is_missing_is_found() {
    let missing = [FaultKind::Missing];
    assert_eq!(found(|world| world.mails().clear()), missing);
    assert_eq!(found(|world| world.events().retain(|_, (kind, _)| *kind == EventType::Placed)), missing);
    assert_eq!(found(|world| world.held.links.clear()), missing);
    // The order itself; its mail and its events are about an order that was told of.
    assert_eq!(found(|world| world.held.orders.clear()), missing);
}

#[test]
fn what_is_there_twice_is_found() {
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
    assert_eq!(found(other), duplicate, "a mail about an order that nobody was told of");
    let event = |world: &mut World| {
        world.events().insert(Uuid::new_v4(), (EventType::Placed, 1));
    };
    assert_eq!(found(event), duplicate, "an event under two ids");
    let two_orders = |world: &mut World| {
        let id = Uuid::new_v4();
        world.promise().ids.insert(id);
        let order = Order { id, ..world.order().clone() };
        world.held.orders.insert(id, order);
        (world.held.mails, world.held.events) = (None, None);
    };
    assert_eq!(found(two_orders), duplicate, "one key with two orders");
}

#[test]
fn what_is_different_is_found() {
    let different = FaultKind::Different;
    assert_eq!(found(|world| world.order().lines[0].quantity = 2), [different]);
    let moved =
        |world: &mut World| drop(world.held.links.insert("abcdef".to_owned(), "https://x.test/".to_owned()));
    assert_eq!(found(moved), [different]);
    let shared = |world: &mut World| {
        let promise = world.promise().clone();
        world.told.orders.insert(Uuid::new_v4(), promise);
    };
    assert_eq!(found(shared), [different], "one order for two keys");
    // Mail and event say confirmed, and there are none that say rejected.
    let kinds = found(|world| world.order().state = State::Rejected);
    assert_eq!(kinds.iter().filter(|kind| **kind == different).count(), 2);
    assert_eq!(kinds.iter().filter(|kind| **kind == FaultKind::Missing).count(), 2);
}

#[test]
fn what_is_unfinished_is_found() {
    let pending = |world: &mut World| {
        world.order().state = State::Pending;
        world.mails().clear();
        world.events().retain(|_, (kind, _)| *kind == EventType::Placed);
    };
    assert_eq!(found(pending), [FaultKind::Unfinished]);
    let unsettled = |world: &mut World| {
        let promise = Promise { ids: BTreeSet::new(), ..world.promise().clone() };
        world.told.orders.insert(Uuid::new_v4(), promise);
    };
    assert_eq!(found(unsettled), [FaultKind::Unfinished]);
}

#[test]
fn a_refused_request_promises_nothing() {
    let mut world = World::good();
    let refusal = Some("HTTP 422".to_owned());
    let promise = Promise { ids: BTreeSet::new(), refusal, ..world.promise().clone() };
    world.told.orders.insert(Uuid::new_v4(), promise);
    let report = world.report();
    assert_eq!((report.faults.len(), report.n_refused), (0, 1), "{report}");
}

#[test]
fn copies_with_the_same_id_are_counted_apart() {
    let mut world = World::good();
    for times in world.mails().values_mut() {
        times.push(Instant::now());
    }
    for (_, count) in world.events().values_mut() {
        *count += 1;
    }
    let report = world.report();
    assert_eq!((report.n_copies, report.n_event_copies, report.faults.len()), (1, 2, 0), "{report}");
}

#[test]
fn where_nobody_looked_nothing_is_missed() {
    let nobody_looked = |world: &mut World| (world.held.mails, world.held.events) = (None, None);
    assert_eq!(found(nobody_looked), []);
}
