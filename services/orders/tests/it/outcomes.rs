//! The outcomes of orders.

use futures::future::join_all;
use serde_json::json;

use crate::app::{App, id, order};

#[tokio::test]
async fn an_order_without_stock_is_rejected_with_a_reason() {
    let app = App::start().await;
    let body = json!({
        "customer_email": "ada@example.com",
        "lines": [{ "sku": "TEA", "quantity": 5 }, { "sku": "GONE", "quantity": 1 }],
    });
    let placed = app.place(&body).await;

    let order = app.settled(id(&placed)).await;

    assert_eq!(order["state"], "rejected");
    assert_eq!(order["rejection_reason"], "Not enough in stock: Gone.");
    assert_eq!(order["history"][1]["reason"], order["rejection_reason"]);
    assert_eq!(app.count("SELECT available FROM stock WHERE tenant = 'acme' AND sku = 'TEA'").await, 100_000);
}

#[tokio::test]
async fn orders_never_reserve_more_than_the_stock() {
    let app = App::start().await;
    let placed = join_all((0..6).map(|_| async { app.place(&order("CUP", 1)).await })).await;
    let settled = join_all(placed.iter().map(|order| app.settled(id(order)))).await;

    let confirmed = settled.iter().filter(|order| order["state"] == "confirmed").count();
    assert_eq!(confirmed, 3, "there are three cups");
    assert_eq!(app.count("SELECT available FROM stock WHERE tenant = 'acme' AND sku = 'CUP'").await, 0);
    assert_eq!(app.count("SELECT count(*) FROM stock_reservations WHERE sku = 'CUP'").await, 3);
}

#[tokio::test]
async fn the_database_refuses_illegal_changes_of_state() {
    let app = App::start().await;
    let placed = app.place(&order("TEA", 1)).await;
    app.settled(id(&placed)).await;
    let database = app.database.connect().await;
    for (change, constraint) in [
        ("state = 'pending', version = version + 1", "orders_legal_transition"),
        ("state = 'rejected', rejection_reason = 'x', version = version + 1", "orders_legal_transition"),
        ("total_minor = 1", "orders_legal_transition"),
    ] {
        let error = database.execute(&format!("UPDATE orders SET {change}"), &[]).await.unwrap_err();
        assert_eq!(error.as_db_error().unwrap().constraint(), Some(constraint), "{change}");
    }
    let error = database.execute("UPDATE stock SET available = -1", &[]).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().constraint(), Some("stock_is_never_negative"));
}
