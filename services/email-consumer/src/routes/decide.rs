//! `POST /v1/dead-letters/replay` and `POST /v1/dead-letters/discard`: a dry run unless the caller says otherwise.

#![expect(unused_qualifications, reason = "utoipa qualifies the type of the parameters")]

use std::str::FromStr;

use actix_web::{HttpResponse, web::Data};
use api_error::{ApiError, Code, FromJson, FromQuery, Json, Node, Parameters, Query};
use consumer::letters::{Act, Action, Order, Rate, Selection};
use http_api::Caller;
use utoipa::{IntoParams, ToSchema};

use super::{bodies::PageBody, filters::Filters, list::work};
use crate::letters::DeadLetters;

/// How to decide about the selected letters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Manner {
    /// Selects every open letter; needed without another filter.
    #[param(value_type = Option<bool>, default = false)]
    all: bool,
    /// Only list the letters about which the call would decide.
    #[param(value_type = Option<bool>, default = true)]
    dry_run: bool,
    /// Maximum number of letters per second.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100, default = 10)]
    rate: Rate,
    #[param(ignore)]
    filters: Filters,
}

impl FromQuery for Manner {
    fn from_query(parameters: &mut Parameters<'_>) -> Option<Self> {
        let all = parameters.optional("all");
        let dry_run = parameters.optional("dry_run");
        let rate = parameters.optional("rate");
        let filters = Filters::from_query(parameters);
        Some(Self {
            all: all?.unwrap_or(false),
            dry_run: dry_run?.unwrap_or(true),
            rate: rate?.unwrap_or_default(),
            filters: filters?,
        })
    }
}

impl Manner {
    fn order(self, action: Action, caller: &Caller) -> Result<Order, ApiError> {
        let (selection, from, limit) = self.filters.into_parts();
        if !self.all && selection == Selection::default() {
            let message = "Select letters with ids or another filter, or send all=true.";
            return Err(ApiError::new(Code::InvalidRequest, message)
                .with_detail("/query/all", "is needed without a filter"));
        }
        let act = if self.dry_run {
            Act::List
        } else {
            Act::Decide { action, actor: caller.subject.clone(), rate: self.rate }
        };
        Ok(Order { selection, from, limit, act })
    }
}

/// Sends the events of the selected letters to their group again, with the same event id.
///
/// A letter that was replayed or discarded is not open any more, so a repeated call does nothing twice. A call ends after two
/// seconds; send `next` as `cursor` until it is `null`.
#[utoipa::path(
    post, path = "/v1/dead-letters/replay", tag = "dead letters",
    params(Manner, Filters),
    responses((status = 200, description = "The letters that were replayed, or would be.", body = PageBody)),
)]
pub(super) async fn replay_dead_letters(
    letters: Data<DeadLetters>,
    caller: Caller,
    manner: Query<Manner>,
) -> Result<HttpResponse, ApiError> {
    work(&letters, &manner.into_inner().order(Action::Replay, &caller)?).await
}

/// Why letters are discarded.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DiscardReason, example = json!({ "reason": "INC-17: rows written by hand, their orders do not exist" }))]
pub(super) struct DiscardBody {
    /// Without mail addresses: it is kept longer than the letter.
    #[schema(value_type = String, min_length = 1, max_length = 500, pattern = "^[^@]*[^@\\s][^@]*$")]
    reason: Reason,
}

struct Reason(String);

#[derive(Debug, thiserror::Error)]
#[error("must be 1 to 500 characters without a mail address")]
struct InvalidReason;

impl FromStr for Reason {
    type Err = InvalidReason;

    fn from_str(text: &str) -> Result<Self, InvalidReason> {
        let is_harmless = !text.contains(['@', '\0']);
        let is_long_enough = !text.trim().is_empty() && text.chars().count() <= 500;
        if is_harmless && is_long_enough { Ok(Self(text.to_owned())) } else { Err(InvalidReason) }
    }
}

impl FromJson for DiscardBody {
    fn from_json(body: Node<'_>) -> Option<Self> {
        body.object(|body| {
            let reason = body.required_text("reason");
            Some(Self { reason: reason? })
        })
    }
}

/// Ends the selected letters without handling their events, for a reason that is kept.
///
/// A call ends after two seconds; send `next` as `cursor` until it is `null`.
#[utoipa::path(
    post, path = "/v1/dead-letters/discard", tag = "dead letters",
    params(Manner, Filters),
    request_body = DiscardBody,
    responses((status = 200, description = "The letters that were discarded, or would be.", body = PageBody)),
)]
pub(super) async fn discard_dead_letters(
    letters: Data<DeadLetters>,
    caller: Caller,
    manner: Query<Manner>,
    body: Json<DiscardBody>,
) -> Result<HttpResponse, ApiError> {
    let DiscardBody { reason: Reason(reason) } = body.into_inner();
    work(&letters, &manner.into_inner().order(Action::Discard(reason), &caller)?).await
}
