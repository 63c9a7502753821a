//! `GET /v1/statement`: what was settled, for reconciliation.

#![expect(unused_qualifications, reason = "utoipa qualifies the type of the parameters")]

use actix_web::{HttpResponse, web::Data};
use api_error::{ApiError, FromQuery, Parameters, Query};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    book::Case,
    domain::{Identifier, Terms},
    state::State,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Position {
    /// Number of the last entry that the client has; without it, the statement begins at its first entry.
    #[param(minimum = 0)]
    after: Option<u32>,
}

impl FromQuery for Position {
    fn from_query(parameters: &mut Parameters<'_>) -> Option<Self> {
        let after = parameters.optional("after");
        Some(Self { after: after? })
    }
}

/// A page of the statement.
#[derive(Serialize, ToSchema)]
#[schema(as = StatementPage)]
struct PageBody {
    /// Up to 100 entries, in the order of their numbers.
    items: Vec<EntryBody>,
    /// `after` of the next page; `null` if there are no more entries now.
    #[schema(required = true)]
    next: Option<usize>,
}

/// A settled instruction.
#[derive(Serialize, ToSchema)]
#[schema(as = StatementEntry)]
struct EntryBody {
    /// Entries are numbered from 1, without gaps, in the order of their settlement.
    number: usize,
    #[schema(value_type = String)]
    id: Identifier,
    amount_minor: i64,
    currency: &'static str,
    #[schema(value_type = String)]
    source: Identifier,
    #[schema(value_type = String)]
    destination: Identifier,
    #[schema(required = true)]
    settled_at: Option<DateTime<Utc>>,
}

impl EntryBody {
    fn new((number, case): (usize, Case)) -> Self {
        let Terms { amount_minor, currency, source, destination, .. } = case.acceptance.terms;
        let (id, currency, settled_at) = (case.acceptance.id, currency.code(), case.decided_at);
        Self { number, id, amount_minor, currency, source, destination, settled_at }
    }
}

/// Lists settled instructions. An entry never changes, and no entry comes before one that was read.
#[utoipa::path(
    get, path = "/v1/statement", tag = "statement",
    params(Position),
    responses((status = 200, description = "One page of the statement.", body = PageBody)),
)]
pub(super) async fn read_statement(
    state: Data<State>,
    position: Query<Position>,
) -> Result<HttpResponse, ApiError> {
    let after = position.after.unwrap_or(0).try_into().map_err(ApiError::internal)?;
    let (entries, has_more) = state.book.statement(after).await.map_err(ApiError::internal)?;
    let items: Vec<_> = entries.into_iter().map(EntryBody::new).collect();
    let next = items.last().filter(|_| has_more).map(|last| last.number);
    Ok(HttpResponse::Ok().json(PageBody { items, next }))
}
