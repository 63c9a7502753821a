//! The comparison: keys, orders, mails, events and links.

use std::collections::BTreeMap;

use FaultKind::{Different, Duplicate, Missing, Unfinished};
use uuid::Uuid;

use super::{ClientLog, EventType, FaultKind, Line, Observed, Order, OrderRecord, Report, SeenEvent, State};

/// Compares both sides.
pub fn reconcile(log: &ClientLog, observed: &Observed) -> Report {
    let mut report = Report::new(log, observed);
    compare_keys(log, &mut report);
    let acknowledged = log.acknowledged();
    for (id, record) in &acknowledged {
        match observed.orders.get(id) {
            None => report.fault(Missing, format!("order {id} does not exist")),
            Some(order) => compare_order(order, record, observed, &mut report),
        }
    }
    let unknown = log.unknown_order();
    for mail in observed.mails.iter().flat_map(BTreeMap::keys) {
        if order_of(mail).is_none_or(|id| !acknowledged.contains_key(&id)) {
            report.fault(unknown, format!("mail {mail} is about an order that no client has"));
        }
    }
    for id in observed.events.iter().flat_map(BTreeMap::keys).filter(|id| !acknowledged.contains_key(id)) {
        report.fault(unknown, format!("order {id} has events, and no client has this order"));
    }
    for (code, target) in &log.links {
        match observed.links.get(code) {
            None => report.fault(Missing, format!("link {code} does not exist")),
            Some(observed) if observed != target => {
                report.fault(Different, format!("link {code} redirects to another target"));
            }
            Some(_) => {}
        }
    }
    report.latencies.sort_unstable();
    report
}

/// The order that a mail is about, from its id.
fn order_of(mail: &str) -> Option<Uuid> {
    mail.strip_prefix("<order-")?.get(..36)?.parse().ok()
}

/// Each key has one order, and each order has one key.
fn compare_keys(log: &ClientLog, report: &mut Report) {
    let mut owners: BTreeMap<Uuid, Uuid> = BTreeMap::new();
    for (key, record) in &log.orders {
        match (record.ids.len(), &record.refusal) {
            (0, None) => report.fault(Unfinished, format!("key {key} has no final answer")),
            (0 | 1, _) => {}
            (n, _) => report.fault(Duplicate, format!("key {key} was answered with {n} different orders")),
        }
        for id in &record.ids {
            if let Some(other) = owners.insert(*id, *key) {
                report.fault(Different, format!("order {id} was the answer to two keys, {other} and {key}"));
            }
        }
    }
}

fn compare_order(order: &Order, record: &OrderRecord, observed: &Observed, report: &mut Report) {
    let id = order.id;
    if sorted(&order.lines) != sorted(&record.lines) {
        report.fault(Different, format!("order {id} has other lines than its request"));
    }
    match order.state {
        State::Pending => report.fault(Unfinished, format!("order {id} is still pending")),
        State::Confirmed => report.n_confirmed += 1,
        State::Rejected => report.n_rejected += 1,
    }
    if let Some(mails) = &observed.mails {
        compare_mails(order, record, mails, report);
    }
    if let Some(events) = &observed.events {
        compare_events(order, events.get(&id).unwrap_or(&BTreeMap::new()), report);
    }
}

fn sorted(lines: &[Line]) -> Vec<&Line> {
    let mut lines: Vec<&Line> = lines.iter().collect();
    lines.sort();
    lines
}

/// A final order has one mail, about its state.
fn compare_mails(order: &Order, record: &OrderRecord, mails: &super::MailTimes, report: &mut Report) {
    let id = order.id;
    let prefix = format!("<order-{id}-");
    let expected = format!("{prefix}{}@", order.state);
    let mails = mails.range(prefix.clone()..).take_while(|(mail, _)| mail.starts_with(&prefix));
    let (right, wrong): (Vec<_>, Vec<_>) = mails.partition(|(mail, _)| mail.starts_with(&expected));
    for (mail, _) in wrong {
        report.fault(Different, format!("mail {mail} arrived, and order {id} is {}", order.state));
    }
    match right.first() {
        Some((_, times)) => {
            report.n_with_mail += 1;
            report.n_copies += times.len() - 1;
            let first = times.first().filter(|_| record.counted);
            report.latencies.extend(first.map(|first| first.duration_since(record.due_at)));
        }
        None if !order.state.is_final() => {}
        None => report.fault(Missing, format!("mail {expected}…> did not arrive")),
    }
    for _ in right.iter().skip(1) {
        report.fault(Duplicate, format!("mail {expected}…> arrived with two ids"));
    }
}

/// An order has one event for its creation, then one for its final state, and no other.
fn compare_events(order: &Order, events: &BTreeMap<Uuid, SeenEvent>, report: &mut Report) {
    let id = order.id;
    report.n_events += events.len();
    report.n_event_copies +=
        events.values().map(|event| event.n_seen.saturating_sub(1) as usize).sum::<usize>();
    for (event_type, is_expected) in [
        (EventType::Placed, true),
        (EventType::Confirmed, order.state == State::Confirmed),
        (EventType::Rejected, order.state == State::Rejected),
    ] {
        match (events.values().filter(|event| event.event_type == event_type).count(), is_expected) {
            (1, true) | (0, false) => {}
            (0, true) => report.fault(Missing, format!("order {id} has no event {event_type:?}")),
            (_, false) => {
                report.fault(
                    Different,
                    format!("order {id} is {}, and has an event {event_type:?}", order.state),
                );
            }
            (n, true) => report.fault(Duplicate, format!("order {id} has {n} events {event_type:?}")),
        }
    }
    for (event, _) in events.iter().filter(|(_, event)| event.is_changed) {
        report.fault(Different, format!("order {id}: event {event} was published with two contents"));
    }
    let first = events.values().min_by_key(|event| event.place);
    if first.is_some_and(|first| first.event_type != EventType::Placed) && events.len() > 1 {
        report.fault(Different, format!("order {id}: its final event was published before OrderPlaced"));
    }
}
