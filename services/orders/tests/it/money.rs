//! Amounts and currencies, from the catalogue to the tracking page.

use std::collections::BTreeSet;

use money::Currency;
use reqwest::StatusCode;
use serde_json::Value;
use testkit::client;

use crate::{
    app::{App, Parts, id, order},
    tracking::token,
};

/// The table cells of a tracking page.
async fn cells(app: &App, order_id: &str) -> Vec<String> {
    let tomorrow = chrono::Utc::now().timestamp() + 86_400;
    let response = client().get(app.url(&format!("/track/{}", token(order_id, tomorrow)))).send().await;
    let page = response.unwrap().text().await.unwrap();
    let table = page.split_once("<table>").unwrap().1.split_once("</table>").unwrap().0;
    let cells = table.split("</t").filter_map(|cell| cell.rsplit_once('>'));
    cells.map(|(_, text)| text.trim().replace('\u{a0}', " ")).filter(|text| !text.is_empty()).collect()
}

#[tokio::test]
async fn amounts_have_the_decimals_of_their_currency() {
    let app = App::start().await;
    for (sku, name, unit, total, minor) in [
        ("MATCHA", "Matcha", "JPY 1,500", "JPY 4,500", 4_500),
        ("DATES", "Dates", "BHD 1.234", "BHD 3.702", 3_702),
        ("TEA", "Tea", "€4.99", "€14.97", 1_497),
    ] {
        let placed = app.place(&order(sku, 3)).await;
        assert_eq!(placed["total_minor"], minor, "{placed}");
        let headings = ["Product", "Pieces", "Unit price", "Total"];
        let rows = [name, "3", unit, total, "Total", total];
        assert_eq!(cells(&app, id(&placed)).await, [headings.as_slice(), &rows].concat());
    }
}

#[tokio::test]
async fn a_catalogue_with_an_unknown_currency_is_refused_at_start_up() {
    let parts = Parts::make().await;
    for code in ["EUX", "eur", "XAU", "DEM"] {
        let catalogue = format!(
            r#"{{"acme": [{{"sku": "TEA", "name": "Tea", "unit_price_minor": 1, "currency": "{code}", "stock": 1}}]}}"#
        );
        let output = parts.service_with(&catalogue).expect_refusal().await;
        assert!(output.contains("is not a catalogue") && output.contains(&format!("`{code}`")), "{output}");
    }
}

#[tokio::test]
async fn the_database_accepts_exactly_the_currencies_of_the_code() {
    let app = App::start().await;
    let database = app.database.connect().await;

    let rows = database.query("SELECT code FROM currencies", &[]).await.unwrap();
    let stored: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(stored, every_currency(), "a new release of the list needs a migration");

    let change = "UPDATE products SET currency = 'EUX' WHERE sku = 'CUP'";
    let error = database.execute(change, &[]).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().constraint(), Some("products_currency_is_known"));

    // A currency of a newer release.
    database.batch_execute(&format!("INSERT INTO currencies VALUES ('EUX'); {change}")).await.unwrap();
    let response = app.post("new", &order("CUP", 1)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "unavailable");
    app.place(&order("TEA", 1)).await;
}

/// Every currency code of three letters.
fn every_currency() -> BTreeSet<String> {
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
    codes.map(String::from_iter).filter(|code| code.parse::<Currency>().is_ok()).collect()
}

#[tokio::test]
async fn a_migration_refuses_an_unknown_currency_and_changes_nothing() {
    let app = App::start().await;
    let before_the_list = "
        ALTER TABLE products DROP CONSTRAINT products_currency_is_known;
        DROP TABLE currencies;
        ALTER TABLE order_process DROP COLUMN tracestate, DROP COLUMN baggage;
        DELETE FROM orders_migrations WHERE version >= 7;
        UPDATE products SET currency = 'EUX' WHERE sku = 'CUP'";
    app.database.connect().await.batch_execute(before_the_list).await.unwrap();
    let App { database, topics, keys, .. } = app;

    let output = Parts { database, topics, keys }.service().expect_refusal().await;
    assert!(output.contains("(EUX)") && output.contains("currencies"), "{output}");
}
