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
use chrono::Utc;
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
    order: Snapshot,
}

#[derive(Template)]
#[template(path = "no_order.html")]
struct NoOrderPage {
    headline: &'static str,
    explanation: &'static str,
}

const UNKNOWN: NoOrderPage = NoOrderPage {
    headline: "Order not found",
    explanation: "This link is not valid. Open the link in your e-mail and check that it is complete.",
};

const EXPIRED: NoOrderPage = NoOrderPage {
    headline: "This link has expired",
    explanation: "Links to orders work for a limited time. Contact the shop and give the order number from your e-mail.",
};

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
        Err(TrackingError::Expired) => return Ok(page(StatusCode::GONE, &EXPIRED)),
        Err(TrackingError::Invalid) => return Ok(page(StatusCode::NOT_FOUND, &UNKNOWN)),
    };
    let order = store::orders::find(&state.pool, "track_order", id).await?;
    Ok(match order {
        Some(order) => page(StatusCode::OK, &OrderPage { order }),
        None => page(StatusCode::NOT_FOUND, &UNKNOWN),
    })
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

impl StateName {
    /// The text of this state on the page.
    fn headline(self) -> &'static str {
        match self {
            Self::Pending => "Order received",
            Self::Confirmed => "Order confirmed",
            Self::Rejected => "Order could not be fulfilled",
        }
    }
}
