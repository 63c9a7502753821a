//! `/unsubscribe/{token}`: ends promotions to a customer, with one click of a mail program (RFC 8058) or a button on a page.
//!
//! Programs that check links open them, so a GET changes nothing.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use api_error::ApiError;
use askama::Template;
use uuid::Uuid;

use super::html::{Form, Message, STYLE, page};
use crate::{metrics, state::State, store};

#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct UnsubscribePage;

const DONE: Message = Message {
    headline: "You are unsubscribed",
    explanation: "You get no more offers from this shop by e-mail. An offer that is already on its way can still arrive within the hour. \
                  E-mails about your orders continue.",
};

const UNKNOWN: Message = Message {
    headline: "Link not found",
    explanation: "This link is not valid. Open the link in your e-mail and check that it is complete.",
};

/// Returns a page with a button that unsubscribes, as HTML. Changes nothing.
#[utoipa::path(
    get, path = "/unsubscribe/{token}", tag = "promotions",
    params(("token" = String, Path, description = "Token of the unsubscribe link in the e-mail.", example = "6f1d1f5e-8f5b-4b0e-9d0a-3a8f0f8b7c11")),
    responses(
        (status = 200, description = "The page, or what it says after the customer has unsubscribed.", body = String, content_type = "text/html"),
        (status = 404, description = "The token belongs to no customer.", body = String, content_type = "text/html"),
    ),
)]
pub(crate) async fn show_unsubscribe(
    token: Path<String>,
    state: Data<State>,
) -> Result<HttpResponse, ApiError> {
    let Ok(token) = token.parse::<Uuid>() else { return Ok(unknown()) };
    Ok(match store::promotions::is_unsubscribed(&state.pool, token).await? {
        Some(false) => page(Form::ToSelf, StatusCode::OK, &UnsubscribePage),
        Some(true) => done(),
        None => unknown(),
    })
}

/// Ends promotions to a customer. Repetitions have the same response.
///
/// The body is not read: mail programs send `List-Unsubscribe=One-Click` as `multipart/form-data` or `application/x-www-form-urlencoded` (RFC 8058,
/// section 3.2), the page the latter. Nothing but the token authorizes the request: these programs send no cookies and follow no redirects.
#[utoipa::path(
    post, path = "/unsubscribe/{token}", tag = "promotions",
    params(("token" = String, Path, description = "Token of the unsubscribe link in the e-mail.", example = "6f1d1f5e-8f5b-4b0e-9d0a-3a8f0f8b7c11")),
    responses(
        (status = 200, description = "The customer is unsubscribed: no event for a promotion follows.", body = String, content_type = "text/html"),
        (status = 404, description = "The token belongs to no customer.", body = String, content_type = "text/html"),
    ),
)]
pub(crate) async fn unsubscribe(token: Path<String>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let Ok(token) = token.parse::<Uuid>() else { return Ok(unknown()) };
    if !store::promotions::unsubscribe(&state.pool, token).await? {
        return Ok(unknown());
    }
    metrics::UNSUBSCRIBED.inc();
    Ok(done())
}

fn done() -> HttpResponse {
    page(Form::None, StatusCode::OK, &DONE)
}

fn unknown() -> HttpResponse {
    page(Form::None, StatusCode::NOT_FOUND, &UNKNOWN)
}
