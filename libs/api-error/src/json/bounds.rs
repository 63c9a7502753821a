//! Bounds on the shape of a body, whatever type it is meant for: nesting, arrays, strings and numbers.
//!
//! They are looked at in a pass of their own, because serde has no place for them: it refuses 128 levels without saying where,
//! and takes any number of elements. Text that is not JSON ends the pass early, and is for the decoder to complain about.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{JsonLimit, decode};
use crate::{ApiError, Code};

/// The largest whole number that every JSON implementation keeps exactly (RFC 7493, section 2.2). Beyond it two different
/// bodies could have one canonical form, and so one idempotency fingerprint.
const MAX_NUMBER: i64 = (1 << 53) - 1;

/// Refuses a body that exceeds a limit, and says where and which.
pub(super) fn check(raw: &[u8], limit: JsonLimit) -> Result<(), ApiError> {
    let found = Cell::new(None);
    let root = Walk { limit, place: &Place::Root, depth: 1, found: &found };
    // An error without a finding is one of syntax.
    drop(root.deserialize(&mut serde_json::Deserializer::from_slice(raw)));
    match found.into_inner() {
        None => Ok(()),
        Some((pointer, message)) => {
            Err(ApiError::new(Code::InvalidRequest, "The request body exceeds a limit. See details.")
                .with_detail(pointer, message))
        }
    }
}

/// Where in the body a value is, from the inside out.
enum Place<'a> {
    Root,
    Element(&'a Place<'a>, usize),
    Member(&'a Place<'a>, &'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Element(parent, index) => write!(f, "{parent}/{index}"),
            Self::Member(parent, name) => write!(f, "{parent}/{}", decode::escape(name)),
        }
    }
}

/// A pointer and what is wrong there.
type Finding = (String, String);

/// Looks at one value and at all that is in it.
#[derive(Clone, Copy)]
struct Walk<'a> {
    limit: JsonLimit,
    place: &'a Place<'a>,
    depth: usize,
    found: &'a Cell<Option<Finding>>,
}

impl Walk<'_> {
    /// Ends the walk with a finding.
    fn refuse<T, E: Error>(self, message: String) -> Result<T, E> {
        self.found.set(Some((self.place.to_string(), message)));
        Err(E::custom("a limit is exceeded"))
    }

    fn check_depth<E: Error>(self) -> Result<(), E> {
        if self.depth > self.limit.max_depth {
            return self.refuse(format!("must not be nested deeper than {} levels", self.limit.max_depth));
        }
        Ok(())
    }

    fn check_string<E: Error>(self, what: &str, text: &str) -> Result<(), E> {
        if text.len() > self.limit.max_string_bytes {
            return self
                .refuse(format!("{what} must not be longer than {} bytes", self.limit.max_string_bytes));
        }
        Ok(())
    }

    fn check_number<E: Error>(self, fits: bool) -> Result<(), E> {
        if !fits {
            return self.refuse(format!("must be a number from -{MAX_NUMBER} to {MAX_NUMBER}"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.check_number(number.unsigned_abs() <= MAX_NUMBER.unsigned_abs())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.check_number(number <= MAX_NUMBER.unsigned_abs())
    }

    #[expect(clippy::cast_precision_loss, reason = "it is the largest whole number that a f64 has exactly")]
    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.check_number(number.abs() <= MAX_NUMBER as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.check_string("a string", text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.check_depth()?;
        let mut count = 0;
        loop {
            let place = Place::Element(self.place, count);
            if elements.next_element_seed(Walk { place: &place, depth: self.depth + 1, ..self })?.is_none() {
                return Ok(());
            }
            count += 1;
            if count > self.limit.max_elements {
                return self.refuse(format!("must not have more than {} elements", self.limit.max_elements));
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.check_depth()?;
        while let Some(name) = members.next_key::<String>()? {
            self.check_string("a member's name", &name)?;
            let place = Place::Member(self.place, &name);
            members.next_value_seed(Walk { place: &place, depth: self.depth + 1, ..self })?;
        }
        Ok(())
    }
}
