//! The JSON body extractor: limits size, time and shape, refuses unknown members, and names every fault.

use std::time::Duration;

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header,
    web::{Bytes, BytesMut},
};
use derive_more::Deref;
use futures::{FutureExt, StreamExt, future::LocalBoxFuture};

use self::{
    read::{FromJson, Node},
    tree::{OutOfBounds, Place},
};
use crate::{ApiError, Code, problems::Problems};

mod media;
mod number;
pub(crate) mod read;
mod syntax;
mod tree;

/// The limits of [`Json`]; put other ones into `app_data` to change them.
///
/// The time must be shorter than the deadline of [`error_boundary`](crate::error_boundary), or a slow client gets the error of a slow service.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimit {
    /// The largest body, in bytes.
    pub max_bytes: usize,
    /// How long the whole body may take to arrive.
    pub read_timeout: Duration,
}

impl Default for JsonLimit {
    fn default() -> Self {
        Self { max_bytes: 64 * 1024, read_timeout: Duration::from_secs(3) }
    }
}

/// A request body of `application/json`, read as `T`, with its raw bytes for fingerprints and signatures.
#[derive(Clone, Debug, Deref)]
pub struct Json<T> {
    #[deref]
    value: T,
    raw: Bytes,
}

impl<T> Json<T> {
    /// Returns the raw bytes.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Returns the value and the raw bytes.
    pub fn into_parts(self) -> (T, Bytes) {
        (self.value, self.raw)
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T: FromJson + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = request.app_data::<JsonLimit>().copied().unwrap_or_default();
        let checked = check_headers(request, limit.max_bytes);
        let payload = payload.take();
        async move {
            checked?;
            let raw = tokio::time::timeout(limit.read_timeout, read(payload, limit.max_bytes)).await;
            let raw = raw.unwrap_or_else(|_| Err(too_slow(limit.read_timeout)))?;
            Ok(Self { value: decode(&raw)?, raw })
        }
        .boxed_local()
    }
}

/// A value of any shape.
struct Anything;

impl FromJson for Anything {
    fn from_json(_: Node<'_>) -> Option<Self> {
        Some(Self)
    }
}

/// Refuses a body that [`Json`] would refuse for every type: JSON that is invalid, or that two readers can read differently.
///
/// The latter has a member twice, or a number that not every implementation reads exactly.
pub fn refuse_ambiguous(raw: &[u8]) -> Result<(), ApiError> {
    decode::<Anything>(raw).map(drop)
}

/// Reads a value, or names every fault of the body.
fn decode<T: FromJson>(raw: &[u8]) -> Result<T, ApiError> {
    let body = syntax::check(raw)?;
    let problems = Problems::default();
    let value = match tree::read(body, &problems) {
        Ok(tree) => {
            let value = T::from_json(Node { tree: &tree, place: &Place::Root, problems: &problems });
            tree.check_numbers(&Place::Root, &problems);
            value
        }
        Err(OutOfBounds) => None,
    };
    problems.conclude("The request body does", value)
}

/// Refuses an unacceptable body before reading it.
fn check_headers(request: &HttpRequest, max_bytes: usize) -> Result<(), ApiError> {
    media::check(request)?;
    let declared =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > max_bytes) {
        return Err(too_large(max_bytes));
    }
    Ok(())
}

async fn read(mut payload: Payload, max_bytes: usize) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            ApiError::new(
                Code::InvalidRequest,
                "The request body ended before it was complete. Send it again.",
            )
            .with_source(error.to_string())
        })?;
        if body.len() + chunk.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(max_bytes: usize) -> ApiError {
    ApiError::new(
        Code::PayloadTooLarge,
        format!("The request body is larger than {max_bytes} bytes. Send less."),
    )
}

fn too_slow(read_timeout: Duration) -> ApiError {
    let limit = read_timeout.as_millis();
    let message = format!("The request body did not arrive within {limit} ms. Send it again.");
    ApiError::new(Code::RequestTimeout, message)
}
