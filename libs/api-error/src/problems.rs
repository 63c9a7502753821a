//! Collects every fault of one part of a request, for one error.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
};

use crate::{ApiError, Code, Detail};

/// The most faults in one error: a body can have thousands, and the response must not be larger than the request.
const MAX: usize = 100;

/// The faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: RefCell<Vec<Detail>>,
    more: Cell<bool>,
}

impl Problems {
    /// Adds a fault.
    pub(crate) fn add(&self, pointer: String, message: impl Into<Cow<'static, str>>) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX {
            found.push(Detail { pointer, message: message.into() });
        } else {
            self.more.set(true);
        }
    }

    /// Adds a fault, unless its place has one already.
    pub(crate) fn add_first(&self, pointer: String, message: String) {
        if self.found.borrow().iter().all(|known| known.pointer != pointer) {
            self.add(pointer, message);
        }
    }

    /// Returns the value when it has no fault.
    pub(crate) fn conclude<T>(self, part: &str, value: Option<T>) -> Result<T, ApiError> {
        match value {
            Some(value) if self.found.borrow().is_empty() => Ok(value),
            _ => Err(self.into_error(part)),
        }
    }

    /// Makes the error. `part` is the subject of its message, such as "The request body does".
    pub(crate) fn into_error(self, part: &str) -> ApiError {
        let extent =
            if self.more.get() { format!(" Details name the first {MAX} faults.") } else { String::new() };
        let message = format!("{part} not match this operation. See details.{extent}");
        let found = self.found.into_inner().into_iter();
        found.fold(ApiError::new(Code::InvalidRequest, message), |error, Detail { pointer, message }| {
            error.with_detail(pointer, message)
        })
    }
}

/// Escapes one reference token of a JSON pointer (RFC 6901, section 3).
pub(crate) fn escape(token: &str) -> Cow<'_, str> {
    if token.contains(['~', '/']) {
        Cow::Owned(token.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(token)
    }
}

/// Joins names for a sentence: `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        [name] => (*name).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
