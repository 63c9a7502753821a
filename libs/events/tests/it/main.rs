//! The events, their schemas, and the client of the registry on a real one.

#![expect(clippy::unwrap_used, reason = "test harness")]

mod decoder;
mod registry;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use apache_avro::{from_value, reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};
use chrono::{DateTime, Utc};
use events::{
    Event,
    orders::{OrderConfirmed, OrderData, OrderLine, OrderPlaced, OrderRejected},
    payments::{TransferData, TransferFailed, TransferReversed, TransferSucceeded},
    promotions::CustomerLapsed,
};
use uuid::Uuid;

#[test]
fn each_event_type_has_a_schema_file_and_no_file_is_unused() {
    let types = [
        &events::orders::event_types()[..],
        &events::payments::event_types(),
        &events::promotions::event_types(),
    ]
    .concat();
    let types = types.iter().map(|event_type| event_type.name.replace("muster.", ""));
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let files: BTreeSet<String> = names_in(&root)
        .flat_map(|aggregate| {
            let files = names_in(&root.join(&aggregate));
            files.map(move |file| format!("{aggregate}.{}", file.strip_suffix(".avsc").unwrap()))
        })
        .collect();
    assert_eq!(files, types.collect());
}

fn names_in(directory: &Path) -> impl Iterator<Item = String> + use<> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
}

fn round_trip<E: Event + PartialEq + std::fmt::Debug>(event: &E) {
    let schema = &E::event_type().schema;
    let datum = GenericDatumWriter::builder(schema).build().unwrap().write_ser_to_vec(event).unwrap();
    let reader = GenericDatumReader::builder(schema).reader_schema(schema).build().unwrap();
    let read: E = from_value(&reader.read_value(&mut datum.as_slice()).unwrap()).unwrap();
    assert_eq!(&read, event);
}

fn line() -> OrderLine {
    OrderLine { sku: "TEA-01".into(), name: "Tea".into(), quantity: 2, unit_price_minor: 499 }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_790_000_000_123_456).unwrap()
}

fn order() -> OrderData {
    OrderData {
        order_id: Uuid::now_v7(),
        tenant: "acme".to_owned(),
        customer_email: "a@example.com".to_owned(),
        lines: vec![line()],
        total_minor: 998,
        currency: "EUR".to_owned(),
    }
}

#[test]
fn an_event_survives_its_schema() {
    let order = order();
    let tracking_url = "http://localhost/track/x".to_owned();
    round_trip(&OrderPlaced { order: order.clone(), placed_at: now() });
    round_trip(&OrderConfirmed {
        order: order.clone(),
        tracking_url: tracking_url.clone(),
        confirmed_at: now(),
    });
    round_trip(&OrderRejected {
        order,
        reason: "Not enough tea.".to_owned(),
        tracking_url,
        rejected_at: now(),
    });
    round_trip(&CustomerLapsed {
        customer_id: Uuid::now_v7(),
        tenant: "acme".to_owned(),
        customer_email: "a@example.com".to_owned(),
        n_purchases: 3,
        last_purchase_at: now(),
        unsubscribe_url: "http://localhost/unsubscribe/x".to_owned(),
        expires_at: now(),
    });
    let transfer = TransferData {
        transfer_id: Uuid::now_v7(),
        tenant: "acme".to_owned(),
        source: Uuid::now_v7(),
        destination: Uuid::now_v7(),
        amount_minor: 499,
        currency: "EUR".to_owned(),
        reference: "Invoice 7".to_owned(),
    };
    round_trip(&TransferSucceeded { transfer: transfer.clone(), succeeded_at: now() });
    round_trip(&TransferFailed {
        transfer: transfer.clone(),
        reason: "account_frozen".to_owned(),
        failed_at: now(),
    });
    round_trip(&TransferReversed { transfer, reversal_id: Uuid::now_v7(), reversed_at: now() });
}
