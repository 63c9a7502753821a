//! `GET` and `PUT /misbehaviour` on the admin port.

use actix_web::{HttpResponse, web::Data};
use api_error::{ApiError, Code, FromJson, Json, Members, Node};

use crate::{
    domain::{MAX_DELAY_MS, Misbehaviour},
    state::Switch,
};

impl FromJson for Misbehaviour {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself has one lifetime, and `optional` needs any"
    )]
    fn from_json(body: Node<'_>) -> Option<Self> {
        let default = Self::default();
        body.object(|body| {
            let seed = body.optional("seed", |seed| seed.integer(0..=u32::MAX));
            let delay_min_ms = body.optional("delay_min_ms", |delay| delay.integer(0..=MAX_DELAY_MS));
            let delay_max_ms = body.optional("delay_max_ms", |delay| delay.integer(0..=MAX_DELAY_MS));
            let refused_percent = percent(body, "refused_percent");
            let timeout_percent = percent(body, "timeout_percent");
            let twice_percent = percent(body, "twice_percent");
            let out_of_order_percent = percent(body, "out_of_order_percent");
            let contradictory_percent = percent(body, "contradictory_percent");
            let down = body.optional("down", |down| down.boolean());
            Some(Self {
                seed: seed?.unwrap_or(default.seed),
                delay_min_ms: delay_min_ms?.unwrap_or(default.delay_min_ms),
                delay_max_ms: delay_max_ms?.unwrap_or(default.delay_max_ms),
                refused_percent: refused_percent?.unwrap_or(default.refused_percent),
                timeout_percent: timeout_percent?.unwrap_or(default.timeout_percent),
                twice_percent: twice_percent?.unwrap_or(default.twice_percent),
                out_of_order_percent: out_of_order_percent?.unwrap_or(default.out_of_order_percent),
                contradictory_percent: contradictory_percent?.unwrap_or(default.contradictory_percent),
                down: down?.unwrap_or(default.down),
            })
        })
    }
}

#[expect(clippy::option_option, reason = "the outer one is a fault, the inner one an absent member")]
fn percent(body: &mut Members<'_>, name: &'static str) -> Option<Option<u8>> {
    body.optional(name, |percent| percent.integer(0..=100))
}

/// Returns how the bank misbehaves.
#[utoipa::path(
    get, path = "/misbehaviour", tag = "misbehaviour",
    responses((status = 200, description = "The present misbehaviour.", body = Misbehaviour)),
)]
pub(super) async fn get_misbehaviour(switch: Data<Switch>) -> HttpResponse {
    HttpResponse::Ok().json(switch.get())
}

/// Changes how the bank misbehaves. A member that is absent gets its default.
///
/// What will become of an instruction is decided when it is accepted, so a change applies to later instructions; `down` applies at once.
#[utoipa::path(
    put, path = "/misbehaviour", tag = "misbehaviour",
    request_body = Misbehaviour,
    responses((status = 200, description = "The new misbehaviour.", body = Misbehaviour)),
)]
pub(super) async fn put_misbehaviour(
    switch: Data<Switch>,
    misbehaviour: Json<Misbehaviour>,
) -> Result<HttpResponse, ApiError> {
    let misbehaviour = misbehaviour.into_inner();
    misbehaviour.check().map_err(|error| {
        ApiError::new(Code::InvalidRequest, "The delays contradict each other. See details.")
            .with_detail("/delay_min_ms", error.to_string())
    })?;
    tracing::info!(?misbehaviour, "the misbehaviour is changed");
    switch.set(misbehaviour.clone());
    Ok(HttpResponse::Ok().json(misbehaviour))
}
