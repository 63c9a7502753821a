//! A body as a tree, within the limits of every body: nesting, arrays, strings and numbers.
//!
//! A number keeps its text: `1`, `1.0` and `1e0` are the same whole number in JSON Schema, and different kinds of number in most parsers.

use std::{collections::BTreeSet, fmt};

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::number;
use crate::problems::{Problems, escape};

/// The deepest nesting of objects and arrays; the body itself is the first level.
const MAX_DEPTH: usize = 32;
/// The most elements of an array.
const MAX_ELEMENTS: usize = 1_000;
/// The longest string or member name, in bytes of UTF-8.
const MAX_STRING_BYTES: usize = 8 * 1_024;

/// One value.
#[derive(Debug)]
pub(super) enum Tree<'a> {
    Null,
    Bool(bool),
    /// Its text.
    Number(&'a str),
    Text(String),
    /// A string that is not valid Unicode; the problems have it.
    InvalidText,
    Array(Vec<Tree<'a>>),
    /// Each name once; a repeated one is in the problems only.
    Object(Vec<(String, Tree<'a>)>),
}

impl Tree<'_> {
    /// Returns its kind, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) | Self::InvalidText => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Adds a fault for every number that JSON implementations read differently, unless its place has a fault already.
    pub(super) fn check_numbers(&self, place: &Place<'_>, problems: &Problems) {
        match self {
            Self::Number(text) if !number::is_exact(text) => {
                problems.add_first(place.to_string(), number::bounds());
            }
            Self::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    element.check_numbers(&Place::Element(place, index), problems);
                }
            }
            Self::Object(members) => {
                for (name, member) in members {
                    member.check_numbers(&Place::Member(place, name), problems);
                }
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::InvalidText => {}
        }
    }
}

/// The place of a value in the body; displays as a JSON pointer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    Root,
    Element(&'a Place<'a>, usize),
    Member(&'a Place<'a>, &'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Element(parent, index) => write!(f, "{parent}/{index}"),
            Self::Member(parent, name) => write!(f, "{parent}/{}", escape(name)),
        }
    }
}

/// The body exceeds a limit; the problems have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutOfBounds;

/// Reads a body.
pub(super) fn read<'a>(body: &'a RawValue, problems: &Problems) -> Result<Tree<'a>, OutOfBounds> {
    Reader { problems }.value(body, &Place::Root, 1)
}

struct Reader<'p> {
    problems: &'p Problems,
}

impl Reader<'_> {
    /// `depth` is that of an object or array at this place.
    fn value<'a>(&self, raw: &'a RawValue, place: &Place<'_>, depth: usize) -> Result<Tree<'a>, OutOfBounds> {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'{') => self.object(text, place, depth),
            Some(b'[') => self.array(text, place, depth),
            Some(b'"') => Ok(self.text(text, place, "a string")?.map_or(Tree::InvalidText, Tree::Text)),
            Some(b'n') => Ok(Tree::Null),
            Some(b't' | b'f') => Ok(Tree::Bool(text == "true")),
            _ => Ok(Tree::Number(text)),
        }
    }

    fn object<'a>(&self, text: &'a str, place: &Place<'_>, depth: usize) -> Result<Tree<'a>, OutOfBounds> {
        self.check_depth(place, depth)?;
        let mut names = BTreeSet::new();
        let mut members = Vec::new();
        for (name, value) in raw_members(text) {
            let Some(name) = self.text(name.get(), place, "a member's name")? else {
                self.value(value, place, depth + 1)?;
                continue;
            };
            let place = Place::Member(place, &name);
            let value = self.value(value, &place, depth + 1)?;
            if names.insert(name.clone()) {
                members.push((name, value));
            } else {
                self.problems.add(place.to_string(), "must be sent once");
            }
        }
        Ok(Tree::Object(members))
    }

    fn array<'a>(&self, text: &'a str, place: &Place<'_>, depth: usize) -> Result<Tree<'a>, OutOfBounds> {
        self.check_depth(place, depth)?;
        let mut elements = Vec::new();
        for raw in serde_json::from_str::<Vec<&RawValue>>(text).expect("the syntax of the body is valid") {
            if elements.len() == MAX_ELEMENTS {
                return self.refuse(place, format!("must not have more than {MAX_ELEMENTS} elements"));
            }
            elements.push(self.value(raw, &Place::Element(place, elements.len()), depth + 1)?);
        }
        Ok(Tree::Array(elements))
    }

    /// `None` is a string that is not valid Unicode.
    fn text(&self, raw: &str, place: &Place<'_>, what: &str) -> Result<Option<String>, OutOfBounds> {
        let Ok(text) = serde_json::from_str::<String>(raw) else {
            // A string of valid syntax has no other fault.
            let message = format!("{what} must be Unicode text: an escape is half of a surrogate pair");
            self.problems.add(place.to_string(), message);
            return Ok(None);
        };
        if text.len() > MAX_STRING_BYTES {
            return self.refuse(place, format!("{what} must not be longer than {MAX_STRING_BYTES} bytes"));
        }
        Ok(Some(text))
    }

    fn check_depth(&self, place: &Place<'_>, depth: usize) -> Result<(), OutOfBounds> {
        if depth > MAX_DEPTH {
            return self.refuse(place, format!("must not be nested deeper than {MAX_DEPTH} levels"));
        }
        Ok(())
    }

    fn refuse<T>(&self, place: &Place<'_>, message: String) -> Result<T, OutOfBounds> {
        self.problems.add(place.to_string(), message);
        Err(OutOfBounds)
    }
}

/// Returns the members of an object, repeated names and names that are not valid Unicode included: a map has neither.
fn raw_members(text: &str) -> Vec<(&RawValue, &RawValue)> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Vec<(&'de RawValue, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            std::iter::from_fn(|| map.next_entry().transpose()).collect()
        }
    }
    let mut object = serde_json::Deserializer::from_str(text);
    object.deserialize_map(InOrder).expect("the syntax of the body is valid")
}
