//! Inserts orders directly into the database, and lists them.

use chrono::{DateTime, Duration, Utc};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use testkit::client;
use uuid::Uuid;

use crate::app::App;

const INSERT: &str = "\
INSERT INTO orders (id, tenant, customer_email, state, rejection_reason, total_minor, currency, version, placed_at, updated_at)
SELECT id, $1, customer, state, CASE WHEN state = 'rejected' THEN 'sold out' END, 100, 'EUR', 1, at, at
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[]) AS placed (id, customer, state, at)";

/// An order without lines and history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) placed_at: DateTime<Utc>,
    pub(crate) id: Uuid,
    pub(crate) state: &'static str,
    pub(crate) customer: &'static str,
}

impl Row {
    /// A pending order of the customer Ada.
    pub(crate) fn at(microsecond: i64) -> Self {
        let begin: DateTime<Utc> = "2025-01-31T08:00:00Z".parse().unwrap();
        let placed_at = begin + Duration::microseconds(microsecond);
        Self { placed_at, id: Uuid::new_v4(), state: "pending", customer: "ada@example.com" }
    }

    pub(crate) fn id(&self) -> String {
        self.id.to_string()
    }
}

/// The orders of one tenant, and requests for them.
pub(crate) struct Listing<'a> {
    app: &'a App,
    tenant: String,
    token: String,
    http: Client,
    database: tokio_postgres::Client,
}

impl<'a> Listing<'a> {
    pub(crate) async fn of(app: &'a App, tenant: &str) -> Self {
        let token = app.keys.token(tenant, &["orders:read"]);
        let database = app.database.connect().await;
        Self { app, tenant: tenant.to_owned(), token, http: client(), database }
    }

    pub(crate) async fn insert<'r>(&self, rows: impl IntoIterator<Item = &'r Row>) {
        let rows: Vec<&Row> = rows.into_iter().collect();
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let customers: Vec<&str> = rows.iter().map(|row| row.customer).collect();
        let states: Vec<&str> = rows.iter().map(|row| row.state).collect();
        let times: Vec<DateTime<Utc>> = rows.iter().map(|row| row.placed_at).collect();
        self.database.execute(INSERT, &[&self.tenant, &ids, &customers, &states, &times]).await.unwrap();
    }

    pub(crate) async fn delete<'r>(&self, rows: impl IntoIterator<Item = &'r Row>) {
        let ids: Vec<Uuid> = rows.into_iter().map(|row| row.id).collect();
        self.database.execute("DELETE FROM orders WHERE id = ANY($1)", &[&ids]).await.unwrap();
    }

    pub(crate) fn request(&self, query: &str) -> RequestBuilder {
        self.http.get(self.app.url(&format!("/v1/orders?{query}"))).bearer_auth(&self.token)
    }

    pub(crate) async fn response(&self, query: &str) -> Response {
        let response = self.request(query).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{query}: {:?}", response.text().await);
        response
    }

    /// Requests a page and checks that the request succeeds.
    pub(crate) async fn page(&self, query: &str) -> Page {
        Page(self.response(query).await.json().await.unwrap())
    }

    /// Requests a page, and returns the error code and the name of the parameter.
    pub(crate) async fn refused(&self, query: &str) -> (String, String) {
        let response = self.request(query).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        let error: Value = response.json().await.unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        assert_eq!(error["details"].as_array().unwrap().len(), 1, "{error}");
        let pointer = text(&error["details"][0]["pointer"]);
        let parameter = pointer.strip_prefix("/query/").unwrap_or_else(|| panic!("{error}"));
        (text(&error["code"]), parameter.to_owned())
    }
}

/// The body of a page.
pub(crate) struct Page(pub(crate) Value);

impl Page {
    pub(crate) fn ids(&self) -> Vec<String> {
        let items = self.0["items"].as_array().unwrap();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn next(&self) -> Option<&str> {
        self.0["next"].as_str()
    }

    pub(crate) fn prev(&self) -> Option<&str> {
        self.0["prev"].as_str()
    }
}

/// The ids of the rows, in this order.
pub(crate) fn ids<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<String> {
    rows.into_iter().map(Row::id).collect()
}
