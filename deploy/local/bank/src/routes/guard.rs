//! What comes before every operation of the API: the switch `down`, and the key.

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE},
    middleware::Next,
    web::Data,
};
use api_error::{ApiError, Code};

use crate::{metrics, state::State};

/// Answers 503 while the bank is down.
pub(super) async fn refuse_while_down<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    if state.switch.get().down {
        metrics::MISBEHAVIOUR.with_label_values(&["down"]).inc();
        let error = ApiError::new(Code::Unavailable, "the bank is down, see /misbehaviour on the admin port");
        return Ok(request.error_response(error).map_into_right_body());
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

/// Answers 401 to a request without the key.
pub(super) async fn require_key<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    if presented(&request).is_some_and(|key| state.key.matches(key)) {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    }
    let error =
        ApiError::new(Code::Unauthenticated, "Send the key of the bank: Authorization: Bearer <key>.")
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bank\""));
    Ok(request.error_response(error).map_into_right_body())
}

/// Returns the bearer token. The scheme is case-insensitive (RFC 9110).
fn presented(request: &ServiceRequest) -> Option<&str> {
    let (scheme, key) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key)
}
