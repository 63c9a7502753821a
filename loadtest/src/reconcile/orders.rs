//! Keys, orders, mails and events.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{EventType, FaultKind, Held, Line, Order, Promise, Report, State, Told};
use FaultKind::{Different, Duplicate, Missing, Unfinished};

pub(super) fn compare(told: &Told, held: &Held, report: &mut Report) {
    keys(told, report);
    let acknowledged = told.acknowledged();
    for (id, promise) in &acknowledged {
        match held.orders.get(id) {
            None => report.fault(Missing, format!("order {id} is not there")),
            Some(order) => compare_order(order, promise, held, report),
        }
    }
    if let Some(mails) = &held.mails {
        let is_expected = |mail: &str| order_of(mail).is_some_and(|id| acknowledged.contains_key(&id));
        // An order that no client was told of: the second one of some key.
        let unexpected = mails.keys().filter(|mail| !is_expected(mail));
        report.faults_of(
            Duplicate,
            unexpected.map(|mail| format!("mail {mail} is about an order nobody was told of")),
        );
    }
    if let Some(events) = &held.events {
        let unexpected = events.keys().filter(|id| !acknowledged.contains_key(id));
        report.faults_of(
            Duplicate,
            unexpected.map(|id| format!("order {id} has events, and nobody was told of it")),
        );
    }
}

/// The order that a mail is about, from its id.
fn order_of(mail: &str) -> Option<Uuid> {
    mail.strip_prefix("<order-")?.get(..36)?.parse().ok()
}

/// One key, one id; one id, one key.
fn keys(told: &Told, report: &mut Report) {
    let mut owners: BTreeMap<Uuid, Uuid> = BTreeMap::new();
    for (key, promise) in &told.orders {
        match (promise.ids.len(), &promise.refusal) {
            (0, None) => report.fault(Unfinished, format!("key {key}: no answer that settles it")),
            (0 | 1, _) => {}
            (n, _) => report.fault(Duplicate, format!("key {key} was answered with {n} different orders")),
        }
        for id in &promise.ids {
            if let Some(other) = owners.insert(*id, *key) {
                report.fault(Different, format!("order {id} was the answer to two keys, {other} and {key}"));
            }
        }
    }
}

fn compare_order(order: &Order, promise: &Promise, held: &Held, report: &mut Report) {
    let id = order.id;
    if sorted(&order.lines) != sorted(&promise.lines) {
        report.fault(Different, format!("order {id} has other lines than were ordered"));
    }
    match order.state {
        State::Pending => report.fault(Unfinished, format!("order {id} is still pending")),
        State::Confirmed => report.n_confirmed += 1,
        State::Rejected => report.n_rejected += 1,
    }
    if held.mails.is_some() {
        mails(order, promise, held, report);
    }
    if held.events.is_some() {
        events(order, held, report);
    }
}

fn sorted(lines: &[Line]) -> Vec<&Line> {
    let mut lines: Vec<&Line> = lines.iter().collect();
    lines.sort();
    lines
}

/// One mail for each final order, about its state.
fn mails(order: &Order, promise: &Promise, held: &Held, report: &mut Report) {
    let id = order.id;
    let prefix = format!("<order-{id}-");
    let right = format!("{prefix}{}@", order.state);
    let found: Vec<_> = held
        .mails
        .iter()
        .flat_map(|mails| mails.range(prefix.clone()..))
        .take_while(|(mail, _)| mail.starts_with(&prefix))
        .collect();
    for (mail, _) in found.iter().filter(|(mail, _)| !mail.starts_with(&right)) {
        report.fault(Different, format!("mail {mail} came, and order {id} is {}", order.state));
    }
    let mut about = found.iter().filter(|(mail, _)| mail.starts_with(&right)).map(|(_, times)| *times);
    match about.next() {
        Some(times) => {
            report.n_with_mail += 1;
            report.n_copies += times.len() - 1;
            let first = times.first().filter(|_| promise.counted);
            report.latencies.extend(first.map(|first| first.duration_since(promise.due_at)));
        }
        // It cannot be missed yet.
        None if !order.state.is_final() => {}
        None => report.fault(Missing, format!("mail {right}…> never arrived")),
    }
    report.faults_of(Duplicate, about.map(|_| format!("mail {right}…> came under two ids")));
}

/// One event for the placing, one for the end, and no other.
fn events(order: &Order, held: &Held, report: &mut Report) {
    let id = order.id;
    let none = BTreeMap::new();
    let events = held.events.as_ref().and_then(|events| events.get(&id)).unwrap_or(&none);
    report.n_events += events.len();
    report.n_event_copies += events.values().map(|(_, n)| n.saturating_sub(1) as usize).sum::<usize>();
    let count = |event_type| events.values().filter(|(held, _)| *held == event_type).count();
    let expected = |event_type| match event_type {
        EventType::Placed => 1,
        EventType::Confirmed => usize::from(order.state == State::Confirmed),
        EventType::Rejected => usize::from(order.state == State::Rejected),
    };
    for event_type in [EventType::Placed, EventType::Confirmed, EventType::Rejected] {
        match (count(event_type), expected(event_type)) {
            (held, expected) if held == expected => {}
            (0, _) => report.fault(Missing, format!("order {id} has no event {event_type:?}")),
            (_, 0) => {
                report.fault(
                    Different,
                    format!("order {id} is {}, and has an event {event_type:?}", order.state),
                );
            }
            (held, _) => report.fault(Duplicate, format!("order {id} has {held} events {event_type:?}")),
        }
    }
}
