//! `GET /track/{token}`: the public page of an order.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use api_error::ApiError;
use askama::Template;
use chrono::Utc;

use super::{
    html::{Form, Message, STYLE, page},
    order_body::line_total,
};
use crate::{
    domain::{Snapshot, StateName, TrackingError},
    state::State,
    store,
};

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    order: Snapshot,
}

const UNKNOWN: Message = Message {
    headline: "Order not found",
    explanation: "This link is not valid. Open the link in your e-mail and check that it is complete.",
};

const EXPIRED: Message = Message {
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
        Err(TrackingError::Expired) => return Ok(page(Form::None, StatusCode::GONE, &EXPIRED)),
        Err(TrackingError::Invalid) => return Ok(page(Form::None, StatusCode::NOT_FOUND, &UNKNOWN)),
    };
    let order = store::orders::find(&state.pool, "track_order", id).await?;
    Ok(match order {
        Some(order) => page(Form::None, StatusCode::OK, &OrderPage { order }),
        None => page(Form::None, StatusCode::NOT_FOUND, &UNKNOWN),
    })
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
