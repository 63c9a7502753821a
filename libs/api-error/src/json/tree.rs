//! A body as a tree, within the limits of every body: nesting, arrays, strings and numbers.
//!
//! A number keeps its text: `1`, `1.0` and `1e0` are the same whole number in JSON Schema, and different kinds of number in most parsers.

use std::{collections::BTreeSet, fmt};

use super::{JsonLimit, number};
use crate::problems::{Problems, escape};

/// One value.
#[derive(Debug)]
pub(super) enum Tree<'a> {
    Null,
    Bool,
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
            Self::Bool => "a boolean",
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
            Self::Null | Self::Bool | Self::Number(_) | Self::Text(_) | Self::InvalidText => {}
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

/// Parses a text whose syntax is valid JSON.
pub(super) fn parse<'a>(
    text: &'a str,
    limit: JsonLimit,
    problems: &Problems,
) -> Result<Tree<'a>, OutOfBounds> {
    Scanner { text, at: 0, limit, problems }.value(&Place::Root, 1)
}

/// Reads a text that is valid JSON, so it checks no syntax.
struct Scanner<'a, 'p> {
    text: &'a str,
    at: usize,
    limit: JsonLimit,
    problems: &'p Problems,
}

impl<'a> Scanner<'a, '_> {
    /// `depth` is that of an object or array at this place.
    fn value(&mut self, place: &Place<'_>, depth: usize) -> Result<Tree<'a>, OutOfBounds> {
        match self.peek() {
            b'{' => self.object(place, depth),
            b'[' => self.array(place, depth),
            b'"' => self.text(place, "a string").map(|text| text.map_or(Tree::InvalidText, Tree::Text)),
            _ => Ok(self.literal()),
        }
    }

    fn object(&mut self, place: &Place<'_>, depth: usize) -> Result<Tree<'a>, OutOfBounds> {
        self.check_depth(place, depth)?;
        let mut names = BTreeSet::new();
        let mut members = Vec::new();
        while self.has_next(b'}') {
            let name = self.text(place, "a member's name")?;
            self.skip(b':');
            let Some(name) = name else {
                self.value(place, depth + 1)?;
                continue;
            };
            let place = Place::Member(place, &name);
            let value = self.value(&place, depth + 1)?;
            if names.insert(name.clone()) {
                members.push((name, value));
            } else {
                self.problems.add(place.to_string(), "must be sent once");
            }
        }
        Ok(Tree::Object(members))
    }

    fn array(&mut self, place: &Place<'_>, depth: usize) -> Result<Tree<'a>, OutOfBounds> {
        self.check_depth(place, depth)?;
        let mut elements = Vec::new();
        while self.has_next(b']') {
            if elements.len() == self.limit.max_elements {
                let message = format!("must not have more than {} elements", self.limit.max_elements);
                return self.refuse(place, message);
            }
            let place = Place::Element(place, elements.len());
            elements.push(self.value(&place, depth + 1)?);
        }
        Ok(Tree::Array(elements))
    }

    /// `None` is a string that is not valid Unicode.
    fn text(&mut self, place: &Place<'_>, what: &str) -> Result<Option<String>, OutOfBounds> {
        let written = self.string();
        let Ok(text) = serde_json::from_str::<String>(written) else {
            // A string of valid syntax has no other fault.
            let message = format!("{what} must be Unicode text: an escape is half of a surrogate pair");
            self.problems.add(place.to_string(), message);
            return Ok(None);
        };
        if text.len() > self.limit.max_string_bytes {
            let message = format!("{what} must not be longer than {} bytes", self.limit.max_string_bytes);
            return self.refuse(place, message);
        }
        Ok(Some(text))
    }

    /// Skips a string and returns its text, with the quotes.
    fn string(&mut self) -> &'a str {
        self.peek();
        let begin = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while bytes[self.at] != b'"' {
            self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        self.text.get(begin..self.at).unwrap_or_default()
    }

    fn literal(&mut self) -> Tree<'a> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let literal = rest.split([',', ']', '}', ' ', '\t', '\r', '\n']).next().unwrap_or_default();
        self.at += literal.len();
        match literal {
            "null" => Tree::Null,
            "true" | "false" => Tree::Bool,
            number => Tree::Number(number),
        }
    }

    /// Returns whether another element or member follows; skips the bracket before the first one, and the comma before any other.
    fn has_next(&mut self, end: u8) -> bool {
        if self.peek() != end {
            self.at += 1;
            if self.peek() != end {
                return true;
            }
        }
        self.at += 1;
        false
    }

    fn skip(&mut self, expected: u8) {
        if self.peek() == expected {
            self.at += 1;
        }
    }

    /// Skips whitespace, and returns the next byte.
    fn peek(&mut self) -> u8 {
        let rest = &self.text.as_bytes()[self.at..];
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.at += blanks;
        rest.get(blanks).copied().unwrap_or_default()
    }

    fn check_depth(&self, place: &Place<'_>, depth: usize) -> Result<(), OutOfBounds> {
        if depth > self.limit.max_depth {
            return self
                .refuse(place, format!("must not be nested deeper than {} levels", self.limit.max_depth));
        }
        Ok(())
    }

    fn refuse<T>(&self, place: &Place<'_>, message: String) -> Result<T, OutOfBounds> {
        self.problems.add(place.to_string(), message);
        Err(OutOfBounds)
    }
}
