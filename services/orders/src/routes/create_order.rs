//! `POST /v1/orders`.

use std::collections::{BTreeMap, btree_map::Entry};

use actix_web::{HttpRequest, HttpResponse, web::Data};
use api_error::{ApiError, Code, FromJson, Json, Members, Node};
use chrono::{SubsecRound, Utc};
use events::EncodeError;
use futures::try_join;
use http_api::Caller;
use idempotency::http::{self, Answer, Effect, Key, Request, Response, Stored};
use outbox::AppendError;
use pg::{Tx, TxFuture};
use telemetry::trace::Propagation;
use utoipa::ToSchema;

use super::{get_order, order_body::OrderBody};
use crate::{
    domain::{
        Details, EmailAddress, Line, MAX_LINES, MAX_QUANTITY, MIN_QUANTITY, Order, Pending, PlaceError, Sku,
        Snapshot,
    },
    order_events,
    state::State,
    store::{self, stock::CatalogueProduct},
};

/// An order to place.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "customer_email": "ada@example.com",
    "lines": [{ "sku": "TEA-SENCHA", "quantity": 2 }, { "sku": "POT-IRON", "quantity": 1 }],
}))]
pub(crate) struct NewOrder {
    /// Mail address of the customer. The e-mails about the order go to it.
    #[schema(
        value_type = String, max_length = 254,
        pattern = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+$"
    )]
    customer_email: EmailAddress,
    /// Products to order. Each SKU appears at most once.
    #[schema(min_items = 1, max_items = 50)]
    lines: Vec<NewLine>,
}

/// A product and its quantity.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOrderLine)]
struct NewLine {
    /// Stock keeping unit (SKU) of a product in the tenant's catalogue.
    #[schema(value_type = String, pattern = "^[A-Z0-9][A-Z0-9-]{0,39}$")]
    sku: Sku,
    /// Number of pieces.
    #[schema(minimum = 1, maximum = 1000)]
    quantity: i32,
}

impl FromJson for NewOrder {
    fn from_json(body: Node<'_>) -> Option<Self> {
        body.object(|order| {
            let customer_email = order.required_text("customer_email");
            let lines = order.required("lines", |lines| {
                let mut first_seen = BTreeMap::new();
                lines.array(1..=MAX_LINES, |index, line| {
                    line.object(|line| NewLine::read(line, index, &mut first_seen))
                })
            });
            Some(Self { customer_email: customer_email?, lines: lines? })
        })
    }
}

impl NewLine {
    /// `first_seen` contains the SKUs of the previous lines and their indexes.
    fn read(line: &mut Members<'_>, index: usize, first_seen: &mut BTreeMap<Sku, usize>) -> Option<Self> {
        let sku = line.required("sku", |node| {
            let sku: Sku = node.text()?;
            match first_seen.entry(sku.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(index);
                    Some(sku)
                }
                Entry::Occupied(first) => {
                    node.refuse(format!("is also in line {}; add the quantities in one line", first.get()))
                }
            }
        });
        let quantity = line.required("quantity", |quantity| quantity.integer(MIN_QUANTITY..=MAX_QUANTITY));
        Some(Self { sku: sku?, quantity: quantity? })
    }
}

/// Places an order.
///
/// The order is `pending` until its stock is reserved. Poll the path in `Location` for the final state. Retries with the same
/// `Idempotency-Key` place one order and get the same response. While too many events wait to be published, new orders get 503
/// `backlog_full`, and retries of accepted ones their response.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders",
    params((
        "Idempotency-Key" = String, Header, description = "Unique key of this request, such as a UUID. A retry sends the same key.",
        min_length = 1, max_length = 255, pattern = "^[!#-~]+$", example = "8e03978e-40d5-43dd-bc93-6894a57f9324",
    )),
    request_body = NewOrder,
    responses((
        status = 202, description = "The order is accepted and `pending`.", body = OrderBody,
        headers(
            ("Location" = String, description = "Path of the order, in the API version of this response."),
            ("Idempotent-Replayed" = String, description = "`true` if this response is a replay of the response to an earlier request."),
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
    let tenant = caller.tenant.as_str();
    let request = Request::new(tenant, key, &request, &raw)?;
    let create = CreateOrder { tenant, new_order, state: &state };
    let response = http::local(&state.pool, "create_order", &request, state.retention, &create).await?;
    state.process.notify_one();
    state.relay.notify_one();
    Ok(response)
}

struct CreateOrder<'a> {
    tenant: &'a str,
    new_order: NewOrder,
    state: &'a State,
}

impl Effect for CreateOrder<'_> {
    type Error = ApiError;
    type Found = BTreeMap<Sku, CatalogueProduct>;

    fn read<'t>(&'t self, tx: &'t Tx<'_>) -> TxFuture<'t, Self::Found, ApiError> {
        Box::pin(async move {
            let skus: Vec<&str> = self.new_order.lines.iter().map(|line| line.sku.as_str()).collect();
            Ok(store::stock::find_products(tx, self.tenant, &skus).await?)
        })
    }

    fn run<'t>(
        &'t self,
        tx: &'t Tx<'_>,
        products: Self::Found,
        answer: Answer<'t>,
    ) -> TxFuture<'t, Stored, ApiError> {
        Box::pin(async move {
            // Here, because a replay does not come here.
            self.state.back_pressure.admit()?;
            let order = self.place(&products)?;
            let body = OrderBody::from(&Snapshot::from(&order));
            let location = get_order::location(order.details.id);
            let response = Response::json(202, &body).with_header("location", location);
            let store = async { Ok(answer.store(tx, response).await?) };
            let ((), stored) = try_join!(insert(tx, self.state, &order), store)?;
            Ok(stored)
        })
    }
}

impl CreateOrder<'_> {
    fn place(&self, products: &BTreeMap<Sku, CatalogueProduct>) -> Result<Order<Pending>, ApiError> {
        let lines = priced_lines(&self.new_order, products).map_err(|error| {
            if self.state.catalogue.get().is_some() {
                return error;
            }
            // The unknown products may be in the part of the catalogue that is not loaded yet.
            ApiError::unavailable("the catalogue").with_source(error)
        })?;
        let now = Utc::now().trunc_subsecs(6);
        Order::place(self.tenant, self.new_order.customer_email.clone(), lines, now).map_err(|error| {
            let (message, fault) = match error {
                PlaceError::LineCount => {
                    ("The order has too few or too many lines.", "must have 1 to 50 lines")
                }
                PlaceError::MixedCurrencies => (
                    "All products of an order must have the same currency. Place one order for each currency.",
                    "has products with different currencies",
                ),
                PlaceError::TotalTooLarge => {
                    ("The total of the order is too large. Split the order.", "has too large a total")
                }
            };
            ApiError::new(Code::InvalidRequest, message).with_detail("/lines", fault).with_source(error)
        })
    }
}

fn priced_lines(
    new_order: &NewOrder,
    products: &BTreeMap<Sku, CatalogueProduct>,
) -> Result<Vec<Line>, ApiError> {
    let lines = new_order.lines.iter().enumerate();
    let mut unknown = lines.filter(|(_, line)| !products.contains_key(&line.sku)).peekable();
    if unknown.peek().is_some() {
        let error =
            ApiError::new(Code::UnknownSku, "The catalogue does not contain every product of this order.");
        return Err(unknown.fold(error, |error, (index, _)| {
            error.with_detail(format!("/lines/{index}/sku"), "is not in the catalogue")
        }));
    }
    let line = |NewLine { sku, quantity }: &NewLine| {
        let product = &products[sku];
        Line {
            sku: sku.clone(),
            name: product.name.clone(),
            quantity: *quantity,
            unit_price: product.unit_price,
        }
    };
    Ok(new_order.lines.iter().map(line).collect())
}

/// Inserts the order, its first step and its event.
async fn insert(tx: &Tx<'_>, state: &State, order: &Order<Pending>) -> Result<(), ApiError> {
    let Details { id, placed_at, .. } = order.details;
    let order_rows = async {
        store::orders::insert(tx, order).await?;
        fail_point::hit("orders.create.order_inserted");
        Ok::<_, AppendError>(())
    };
    let propagation = Propagation::current();
    let first_step = async {
        store::process::insert(tx, id, &propagation).await?;
        fail_point::hit("orders.create.process_inserted");
        Ok(())
    };
    let placed = order_events::placed(order);
    let event = outbox::append(tx, &state.encoder, id, placed_at, &placed);
    try_join!(order_rows, first_step, event).map(drop).map_err(|error| match error {
        AppendError::Database(error) => error.into(),
        AppendError::Encode(error @ EncodeError::NotRegistered(_)) => {
            ApiError::unavailable("schema registry").with_source(error)
        }
        AppendError::Encode(error @ EncodeError::Mismatch(..)) => ApiError::internal(error),
    })
}
