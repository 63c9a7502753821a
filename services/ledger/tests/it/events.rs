//! The events of transfers.

use events::{
    Decoder, Event, Registry,
    payments::{TransferFailed, TransferReversed, TransferSucceeded},
};
use testkit::{Kafka, Record, endpoints};

use crate::app::{App, new_key};

fn decoder() -> Decoder {
    let url = endpoints().schema_registry_url.parse().unwrap();
    Decoder::new(Registry::new(&events::Config { schema_registry_url: url }, &tls::Trust::none()))
}

/// Decodes the events of one transfer, in order.
async fn types_of(records: &[Record], transfer: &str) -> Vec<String> {
    let of_transfer = records.iter().filter(|record| record.key.as_deref() == Some(transfer));
    of_transfer.map(|record| record.headers["event-type"].replace("muster.payments.", "")).collect()
}

async fn decoded<E: Event>(records: &[Record], transfer: &str) -> E {
    let name = E::event_type().name;
    let wanted =
        |record: &&Record| record.key.as_deref() == Some(transfer) && record.headers["event-type"] == name;
    let record = records.iter().find(wanted).unwrap_or_else(|| panic!("no {name} of {transfer}"));
    decoder().decode(record.payload.as_ref().unwrap()).await.unwrap()
}

#[tokio::test]
async fn every_end_of_a_transfer_publishes_its_event() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let original = app.paid(&source, &destination, 300).await;
    let reversal = app.reverse(&original, &new_key()).await.id();
    app.settled(&reversal).await;
    let stall = app.stall().await;
    let failed = app.accepted(&source, &destination, 200).await;
    app.set_state(&source, "frozen").await;
    stall.end().await;
    app.settled(&failed).await;

    let records = Kafka::read(app.topics.name("payments.events"), 4).await;

    assert_eq!(records.len(), 4);
    assert_eq!(types_of(&records, &original).await, ["TransferSucceeded", "TransferReversed"]);
    assert_eq!(types_of(&records, &reversal).await, ["TransferSucceeded"]);
    assert_eq!(types_of(&records, &failed).await, ["TransferFailed"]);

    let succeeded: TransferSucceeded = decoded(&records, &original).await;
    let data = &succeeded.transfer;
    assert_eq!(
        (data.source.to_string(), data.destination.to_string()),
        (source.clone(), destination.clone())
    );
    assert_eq!((data.amount_minor, data.currency.as_str()), (300, "EUR"));
    assert_eq!((data.tenant.as_str(), data.reference.as_str()), ("acme", "Invoice 7"));
    let reversed: TransferReversed = decoded(&records, &original).await;
    assert_eq!((&reversed.transfer, reversed.reversal_id.to_string()), (data, reversal.clone()));
    let taken_back: TransferSucceeded = decoded(&records, &reversal).await;
    assert_eq!(taken_back.transfer.source.to_string(), destination);
    let failed: TransferFailed = decoded(&records, &failed).await;
    assert_eq!((failed.transfer.amount_minor, failed.reason.as_str()), (200, "account_frozen"));
}

#[tokio::test]
async fn an_event_continues_the_trace_of_its_request() {
    let app = App::start().await;
    let (source, destination) = (app.open("EUR", true).await, app.open("EUR", false).await);
    let request = app
        .request(reqwest::Method::POST, "/v1/transfers")
        .header("Idempotency-Key", new_key())
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("baggage", "k=v");
    let accepted = crate::app::send(request.json(&crate::app::transfer(&source, &destination, 300))).await;
    app.settled(&accepted.id()).await;

    let records = Kafka::read(app.topics.name("payments.events"), 1).await;
    assert!(records[0].headers["traceparent"].starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    assert_eq!(records[0].headers["baggage"], "k=v");
}
