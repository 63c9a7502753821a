//! All that is wrong with one part of a request, collected so that one answer names it.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
};

use crate::{ApiError, Code, Detail};

/// Places that one answer names at most: a body can be wrong in thousands of them, and an answer must not outgrow its request.
const MAX: usize = 100;

/// What was found so far. Shared by everything that reads a part of the same request.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: RefCell<Vec<Detail>>,
    more: Cell<bool>,
}

impl Problems {
    /// Notes what is wrong at a place.
    pub(crate) fn add(&self, pointer: String, message: impl Into<Cow<'static, str>>) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX {
            found.push(Detail { pointer, message: message.into() });
        } else {
            self.more.set(true);
        }
    }

    /// Notes what is wrong at a place of which nothing is known yet.
    pub(crate) fn add_first(&self, pointer: String, message: String) {
        if self.found.borrow().iter().all(|known| known.pointer != pointer) {
            self.add(pointer, message);
        }
    }

    /// Returns the value, if all of it could be read and nothing is wrong.
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
        let message = format!("{part} not fit this operation. See details.{extent}");
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

/// Puts names into a sentence: `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        [name] => (*name).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
