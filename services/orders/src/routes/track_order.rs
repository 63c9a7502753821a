//! `GET /track/{token}`: the public page of an order.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, CROSS_ORIGIN_OPENER_POLICY,
            PERMISSIONS_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    web::{Data, Path},
};
use api_error::ApiError;
use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::order_body::line_total;
use crate::{
    domain::{Snapshot, StateName, TrackingError},
    state::State,
    store,
};

/// The inline style of the page. The content security policy allows only this text.
const STYLE: &str = include_str!("../../templates/track.css");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// The page needs no features of the device.
const PERMISSIONS: &str =
    "accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()";

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    style: &'static str,
    number: String,
    state: &'static str,
    headline: &'static str,
    reason: Option<String>,
    lines: Vec<LineRow>,
    total: String,
    history: Vec<HistoryRow>,
}

struct LineRow {
    name: String,
    quantity: i32,
    unit_price: String,
    total: String,
}

struct HistoryRow {
    label: &'static str,
    at: String,
    reason: Option<String>,
}

#[derive(Template)]
#[template(path = "no_order.html")]
struct NoOrderPage {
    style: &'static str,
    headline: &'static str,
    explanation: &'static str,
}

/// Returns the public page of an order, as HTML.
///
/// The page shows state, lines and history. It shows neither the mail address of the customer nor other orders.
#[utoipa::path(
    get, path = "/track/{token}", tag = "tracking",
    params(("token" = String, Path, description = "Token of the tracking link in the e-mail about the order.", example = "AQGXwfJqDnw-m1U")),
    responses(
        (status = 200, description = "The page of the order.", body = String, content_type = "text/html"),
        (status = 404, description = "The token belongs to no order.", body = String, content_type = "text/html"),
        (status = 410, description = "The tracking link has expired.", body = String, content_type = "text/html"),
    ),
)]
pub(crate) async fn track_order(token: Path<String>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let id = match state.tracking.key.verify(&token, Utc::now()) {
        Ok(id) => id,
        Err(TrackingError::Expired) => return Ok(expired()),
        Err(TrackingError::Invalid) => return Ok(unknown()),
    };
    let order = store::orders::find(&state.pool, "track_order", id).await?;
    Ok(order.map_or_else(unknown, |order| page(StatusCode::OK, &OrderPage::from(&order))))
}

fn unknown() -> HttpResponse {
    let page_body = NoOrderPage {
        style: STYLE,
        headline: "Order not found",
        explanation: "This link is not valid. Open the link in your e-mail and check that it is complete.",
    };
    page(StatusCode::NOT_FOUND, &page_body)
}

fn expired() -> HttpResponse {
    let page_body = NoOrderPage {
        style: STYLE,
        headline: "This link has expired",
        explanation: "Links to orders work for a limited time. Contact the shop and give the order number from your e-mail.",
    };
    page(StatusCode::GONE, &page_body)
}

fn page(status: StatusCode, template: &impl Template) -> HttpResponse {
    let html = template.render().expect("the templates have no failing parts");
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY.as_str()))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        .insert_header((PERMISSIONS_POLICY, PERMISSIONS))
        .insert_header((CROSS_ORIGIN_OPENER_POLICY, "same-origin"))
        .insert_header(("X-Robots-Tag", "noindex"))
        .insert_header((CACHE_CONTROL, "private, no-store"))
        .body(html)
}

impl From<&Snapshot> for OrderPage {
    fn from(order: &Snapshot) -> Self {
        let details = &order.details;
        let lines = details.lines.iter().map(|line| LineRow {
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price.to_string(),
            total: line_total(line).to_string(),
        });
        let history = order.history.iter().map(|change| HistoryRow {
            label: headline(change.state),
            at: readable(change.at),
            reason: change.reason.clone(),
        });
        Self {
            style: STYLE,
            number: details.id.to_string(),
            state: order.state.as_str(),
            headline: headline(order.state),
            reason: order.rejection_reason.clone(),
            lines: lines.collect(),
            total: details.total.to_string(),
            history: history.collect(),
        }
    }
}

fn headline(state: StateName) -> &'static str {
    match state {
        StateName::Pending => "Order received",
        StateName::Confirmed => "Order confirmed",
        StateName::Rejected => "Order could not be fulfilled",
    }
}

fn readable(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M:%S UTC").to_string()
}
