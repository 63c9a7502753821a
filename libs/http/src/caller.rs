//! The authenticated caller, as an extractor: a handler that takes it runs only with a valid bearer token.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderValue},
};
use api_error::{ApiError, Code};
use auth::{Principal, Verifier};
use derive_more::Deref;

/// Who calls, for which tenant, with which scopes: the [`Principal`] of a verified token.
#[derive(Clone, Debug, Deref, PartialEq, Eq)]
pub struct Caller(Principal);

impl Caller {
    /// Refuses a caller without the scope, with a 403 that names it.
    pub fn require(&self, scope: &str) -> Result<(), ApiError> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        let challenge = format!("Bearer realm=\"muster\", error=\"insufficient_scope\", scope=\"{scope}\"");
        let challenge = HeaderValue::from_str(&challenge).expect("scopes are constants of visible ASCII");
        Err(ApiError::new(Code::Forbidden, format!("This needs a token with the scope {scope}."))
            .with_header(header::WWW_AUTHENTICATE, challenge))
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authenticate(request))
    }
}

/// Returns the caller of a request, from its head: for middleware that runs before the body is read.
///
/// The first call verifies the token; later calls for the same request return the same caller.
///
/// # Errors
/// 401 for a request without a valid token.
pub fn authenticate(request: &HttpRequest) -> Result<Caller, ApiError> {
    if let Some(caller) = request.extensions().get::<Caller>() {
        return Ok(caller.clone());
    }
    let caller = verify(request)?;
    request.extensions_mut().insert(caller.clone());
    Ok(caller)
}

fn verify(request: &HttpRequest) -> Result<Caller, ApiError> {
    let verifier = request
        .app_data::<Verifier>()
        .ok_or_else(|| ApiError::internal("no auth::Verifier in the application's data"))?;
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let Some(header) = headers.next() else {
        return Err(missing());
    };
    if headers.next().is_some() {
        return Err(invalid());
    }
    let token = bearer(header)?;
    verifier.verify(token).map(Caller).map_err(|rejection| {
        // The reason goes to the log only: in the response it would help to forge a better token.
        let cause = rejection.chain().nth(1).map(ToString::to_string);
        tracing::debug!(reason = %rejection, cause, "bearer token refused");
        invalid()
    })
}

/// Returns the token of a `Bearer` credential; the scheme is case-insensitive (RFC 9110). A request with another scheme gets the
/// answer of a request without a token (RFC 6750, section 3.1).
fn bearer(header: &HeaderValue) -> Result<&str, ApiError> {
    let credential = header.to_str().map_err(|error| invalid().with_source(error))?;
    let (scheme, token) = credential.split_once(' ').unwrap_or((credential, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    Ok(token.trim_start_matches(' '))
}

fn missing() -> ApiError {
    unauthenticated("Send a bearer token: Authorization: Bearer <token>.", "Bearer realm=\"muster\"")
}

fn invalid() -> ApiError {
    let message = "The bearer token is invalid or expired. Get a new one.";
    unauthenticated(message, "Bearer realm=\"muster\", error=\"invalid_token\"")
}

fn unauthenticated(message: &'static str, challenge: &'static str) -> ApiError {
    ApiError::new(Code::Unauthenticated, message)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::{App, HttpResponse, test, web};
    use auth::{Jwks, SigningKey, TokenRequest};
    use serde_json::Value;
    use telemetry::Environment;

    use super::*;

    async fn protected(caller: Caller) -> Result<HttpResponse, ApiError> {
        caller.require("orders:write")?;
        Ok(HttpResponse::Ok().finish())
    }

    /// Sends a request with these Authorization headers; returns status, challenge and body.
    async fn send(key: &SigningKey, authorization: &[&str]) -> (u16, String, Value) {
        let verifier = Verifier::new(Jwks { keys: vec![key.public_jwk(None)] }, Environment::Local).unwrap();
        let app = App::new().app_data(verifier).route("/", web::get().to(protected));
        let app = test::init_service(app).await;
        let mut request = test::TestRequest::get().uri("/");
        for value in authorization {
            request = request.append_header((header::AUTHORIZATION, *value));
        }
        let response = test::call_service(&app, request.to_request()).await;
        let challenge = response.headers().get(header::WWW_AUTHENTICATE).cloned();
        let challenge = challenge.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let status = response.status().as_u16();
        let body = test::read_body(response).await;
        (status, challenge, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn token(key: &SigningKey, scope: &str) -> String {
        let request = TokenRequest {
            subject: "ada".to_owned(),
            tenant: "acme".parse().unwrap(),
            scopes: vec![scope.to_owned()],
            ttl: Duration::from_mins(1),
        };
        key.sign(&request).unwrap()
    }

    #[actix_web::test]
    async fn a_valid_token_is_accepted_in_any_case_of_the_scheme() {
        let key = SigningKey::generate("k");
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let credential = format!("{scheme} {}", token(&key, "orders:write"));
            assert_eq!(send(&key, &[&credential]).await.0, 200, "{scheme}");
        }
    }

    #[actix_web::test]
    async fn a_request_without_a_token_is_challenged_without_an_error_code() {
        for credentials in [&[][..], &["Basic YTpi"], &["Negotiate"]] {
            let (status, challenge, body) = send(&SigningKey::generate("k"), credentials).await;
            assert_eq!((status, challenge.as_str()), (401, "Bearer realm=\"muster\""), "{credentials:?}");
            assert_eq!(body["code"], "unauthenticated");
        }
    }

    #[actix_web::test]
    async fn every_invalid_token_gets_the_same_401() {
        let key = SigningKey::generate("k");
        let good = format!("Bearer {}", token(&key, "orders:write"));
        let forged = format!("Bearer {}", token(&SigningKey::generate("k"), "orders:write"));
        let mut answers = Vec::new();
        for credentials in [&["Bearer"][..], &["Bearer junk"], &["Bearer "], &[&forged], &[&good, &good]] {
            let answer = send(&key, credentials).await;
            assert_eq!(answer.0, 401, "{credentials:?}");
            answers.push(answer);
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
        assert!(answers[0].1.contains("invalid_token"), "{answers:?}");
    }

    #[actix_web::test]
    async fn a_missing_scope_is_a_403_that_names_it() {
        let key = SigningKey::generate("k");
        let credential = format!("Bearer {}", token(&key, "orders:read"));
        let (status, challenge, body) = send(&key, &[&credential]).await;
        assert_eq!((status, &body["code"]), (403, &Value::from("forbidden")));
        assert!(challenge.contains("insufficient_scope") && challenge.contains("scope=\"orders:write\""));
        assert!(body["message"].as_str().unwrap().contains("orders:write"));
    }
}
