//! `POST /v1/orders`.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web::Data};
use api_error::{ApiError, Code, Json};
use auth::Caller;
use chrono::{SubsecRound, Utc};
use events::EncodeError;
use futures::try_join;
use idempotency::http::{self, Answer, Effect, Key, Request, Response, Stored};
use outbox::AppendError;
use pg::{Tx, TxFuture};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{get_order, order_body::OrderBody};
use crate::{
    app::State,
    domain::{
        Details, EmailAddress, Line, MAX_LINES, MAX_QUANTITY, MIN_QUANTITY, Order, Pending, PlaceError, Sku,
        Snapshot,
    },
    notice::Notices,
    store::{self, catalogue::Product},
};

/// What a client sends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "customer_email": "ada@example.com",
    "lines": [{ "sku": "TEA-SENCHA", "quantity": 2 }, { "sku": "POT-IRON", "quantity": 1 }],
}))]
pub(crate) struct NewOrder {
    /// Where the mail about the order goes.
    #[schema(
        max_length = 254,
        pattern = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+$"
    )]
    customer_email: String,
    /// What is ordered; no product twice.
    #[schema(min_items = 1, max_items = 50)]
    lines: Vec<NewLine>,
}

/// A product and how many of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOrderLine)]
struct NewLine {
    /// The stock keeping unit, as the tenant's catalogue has it.
    #[schema(pattern = "^[A-Z0-9][A-Z0-9-]{0,39}$")]
    sku: String,
    #[schema(minimum = 1, maximum = 1000)]
    quantity: i32,
}

/// A checked order, before it has prices.
struct Wanted {
    customer_email: EmailAddress,
    /// Stock keeping unit and quantity; no stock keeping unit twice.
    lines: Vec<(Sku, i32)>,
}

/// Accepts an order; its state is to be asked for at `Location`.
///
/// The same request with the same `Idempotency-Key` has one effect and one answer.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders",
    params((
        "Idempotency-Key" = String, Header, description = "The client's name for this request, such as a UUID.",
        min_length = 1, max_length = 255, pattern = "^[!#-~]+$", example = "8e03978e-40d5-43dd-bc93-6894a57f9324",
    )),
    request_body = NewOrder,
    responses((
        status = 202, description = "Accepted, and still `pending`.", body = OrderBody,
        headers(
            ("Location" = String, description = "Where the order is, in the version of this answer."),
            ("Idempotent-Replayed" = String, description = "`true` when this is the answer to an earlier request."),
        ),
    )),
)]
pub(crate) async fn create_order(
    caller: Caller,
    key: Key,
    request: HttpRequest,
    body: Json<NewOrder>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (new_order, raw) = body.into_parts();
    let wanted = check(new_order)?;
    let tenant = caller.tenant.as_str();
    let request = Request::new(tenant, key, &request, &raw)?;
    let placing = Placing { tenant, wanted, state: &state };
    let response = http::local(&state.pool, "create_order", &request, state.retention, &placing).await?;
    state.process.notify();
    state.relay.notify();
    Ok(response)
}

/// Reports everything that is wrong at once.
fn check(new_order: NewOrder) -> Result<Wanted, ApiError> {
    let mut wrong: Vec<(String, String)> = Vec::new();
    let customer_email = EmailAddress::parse(&new_order.customer_email);
    if customer_email.is_none() {
        wrong.push((
            "/customer_email".to_owned(),
            "must be a mail address such as name@example.com".to_owned(),
        ));
    }
    if !(1..=MAX_LINES).contains(&new_order.lines.len()) {
        wrong.push(("/lines".to_owned(), format!("must have 1 to {MAX_LINES} entries")));
    }
    let mut first_seen = BTreeMap::new();
    let mut lines = Vec::with_capacity(new_order.lines.len().min(MAX_LINES));
    for (index, line) in new_order.lines.into_iter().take(MAX_LINES).enumerate() {
        let quantity = line.quantity;
        if !(MIN_QUANTITY..=MAX_QUANTITY).contains(&quantity) {
            let message = format!("must be {MIN_QUANTITY} to {MAX_QUANTITY}");
            wrong.push((format!("/lines/{index}/quantity"), message));
        }
        let Some(sku) = Sku::parse(&line.sku) else {
            let message = "must be 1 to 40 upper-case letters, digits or hyphens".to_owned();
            wrong.push((format!("/lines/{index}/sku"), message));
            continue;
        };
        if let Some(first) = first_seen.insert(sku.clone(), index) {
            let message = format!("is in line {first} already; put the quantities together");
            wrong.push((format!("/lines/{index}/sku"), message));
        }
        lines.push((sku, quantity));
    }
    match customer_email {
        Some(customer_email) if wrong.is_empty() => Ok(Wanted { customer_email, lines }),
        _ => Err(wrong.into_iter().fold(
            ApiError::new(
                Code::InvalidRequest,
                "The order is not valid; details name each problem and its place.",
            ),
            |error, (pointer, message)| error.with_detail(pointer, message),
        )),
    }
}

/// The placing of an order.
struct Placing<'a> {
    tenant: &'a str,
    wanted: Wanted,
    state: &'a State,
}

impl Effect for Placing<'_> {
    type Error = ApiError;
    type Found = BTreeMap<Sku, Product>;

    fn read<'t>(&'t self, tx: &'t Tx<'_>) -> TxFuture<'t, Self::Found, ApiError> {
        Box::pin(async move {
            let skus: Vec<&str> = self.wanted.lines.iter().map(|(sku, _)| sku.as_str()).collect();
            Ok(store::catalogue::find_products(tx, self.tenant, &skus).await?)
        })
    }

    fn run<'t>(
        &'t self,
        tx: &'t Tx<'_>,
        products: Self::Found,
        answer: Answer<'t>,
    ) -> TxFuture<'t, Stored, ApiError> {
        Box::pin(async move {
            let order = self.place(&products)?;
            let body = OrderBody::from(&Snapshot::from(&order));
            let location = get_order::location(order.details.id);
            let response = Response::json(202, &body).with_header("location", location);
            let store = async { Ok(answer.store(tx, response).await?) };
            let ((), stored) = try_join!(write_down(tx, self.state, &order), store)?;
            Ok(stored)
        })
    }
}

impl Placing<'_> {
    /// Gives the order its prices.
    fn place(&self, products: &BTreeMap<Sku, Product>) -> Result<Order<Pending>, ApiError> {
        let lines = priced(&self.wanted, products).map_err(|error| {
            if self.state.catalogue.is_true() {
                return error;
            }
            // What was not found may be about to be added.
            ApiError::unavailable("the catalogue").with_source(error)
        })?;
        let now = Utc::now().trunc_subsecs(6);
        Order::place(self.tenant, self.wanted.customer_email.clone(), lines, now).map_err(|error| {
            let message = match error {
                PlaceError::LineCount => format!("An order has 1 to {MAX_LINES} lines."),
                PlaceError::MixedCurrencies => {
                    "Order products of different currencies separately.".to_owned()
                }
                PlaceError::TotalTooLarge => "The total is too large; split the order.".to_owned(),
            };
            ApiError::new(Code::InvalidRequest, message).with_source(error)
        })
    }
}

fn priced(wanted: &Wanted, products: &BTreeMap<Sku, Product>) -> Result<Vec<Line>, ApiError> {
    let unknown = wanted.lines.iter().enumerate().filter(|(_, (sku, _))| !products.contains_key(sku));
    let mut error = None;
    for (index, _) in unknown {
        let so_far = error.unwrap_or_else(|| {
            ApiError::new(Code::UnknownSku, "The catalogue does not have every product of this order.")
        });
        error = Some(so_far.with_detail(format!("/lines/{index}/sku"), "is not in the catalogue"));
    }
    if let Some(error) = error {
        return Err(error);
    }
    let line = |(sku, quantity): &(Sku, i32)| {
        let product = &products[sku];
        Line {
            sku: sku.clone(),
            name: product.name.clone(),
            quantity: *quantity,
            unit_price: product.unit_price,
        }
    };
    Ok(wanted.lines.iter().map(line).collect())
}

/// The order, the beginning of its process and its event.
async fn write_down(tx: &Tx<'_>, state: &State, order: &Order<Pending>) -> Result<(), ApiError> {
    let Details { id, placed_at, .. } = order.details;
    let insert = async {
        store::orders::insert(tx, order).await?;
        fail_point::hit("orders.create.order_inserted");
        Ok::<_, AppendError>(())
    };
    let traceparent = telemetry::trace::current_traceparent();
    let begin = async {
        store::process::insert(tx, id, traceparent.as_deref()).await?;
        fail_point::hit("orders.create.process_inserted");
        Ok(())
    };
    let placed = Notices::placed(order);
    let append = outbox::append(tx, &state.encoder, id, placed_at, &placed);
    try_join!(insert, begin, append).map(drop).map_err(|error| match error {
        AppendError::Database(error) => error.into(),
        AppendError::Encode(error @ EncodeError::NotRegistered(_)) => {
            ApiError::unavailable("schema registry").with_source(error)
        }
        AppendError::Encode(error @ EncodeError::Mismatch(..)) => ApiError::internal(error),
    })
}
