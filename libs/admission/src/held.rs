//! A response body that holds a slot until it has been written, or dropped.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};

use crate::slots::Slot;

/// The body of an admitted request's response.
pub(crate) struct Held {
    body: BoxBody,
    _slot: Slot,
}

impl Held {
    pub(crate) fn new(body: BoxBody, slot: Slot) -> Self {
        Self { body, _slot: slot }
    }
}

impl MessageBody for Held {
    type Error = Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let body = Pin::new(&mut self.get_mut().body);
        body.poll_next(cx).map_err(Into::into)
    }
}
