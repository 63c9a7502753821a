//! How a type reads itself from a body and reports every fault.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use super::{
    number::{self, NotWhole},
    tree::{Place, Tree},
};
use crate::problems::{Problems, listed};

/// A type that can be read from a body, or from a part of one.
///
/// Reading continues after a fault, so that one error names all of them: use `?` after the last member only.
pub trait FromJson: Sized {
    /// Reads a value. `None` when `value` has a fault.
    fn from_json(value: Node<'_>) -> Option<Self>;
}

/// A value of the body.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    pub(super) tree: &'a Tree<'a>,
    pub(super) place: &'a Place<'a>,
    pub(super) problems: &'a Problems,
}

impl Node<'_> {
    /// Reads an object. Members that `read` does not read are refused.
    pub fn object<T>(self, read: impl FnOnce(&mut Members<'_>) -> Option<T>) -> Option<T> {
        let Tree::Object(present) = self.tree else { return self.is_not("an object") };
        let mut members = Members { node: self, present, known: Vec::new() };
        let value = read(&mut members);
        members.refuse_others();
        value
    }

    /// Reads an array whose length is in this range. The elements of a longer one are not read.
    pub fn array<T>(
        self,
        length: RangeInclusive<usize>,
        mut read: impl FnMut(usize, Node<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Tree::Array(elements) = self.tree else { return self.is_not("an array") };
        if !length.contains(&elements.len()) {
            return self.refuse(format!("must have {} to {} elements", length.start(), length.end()));
        }
        let mut values = Vec::with_capacity(elements.len());
        for (index, tree) in elements.iter().enumerate() {
            let place = Place::Element(self.place, index);
            values.extend(read(index, Node { tree, place: &place, ..self }));
        }
        (values.len() == elements.len()).then_some(values)
    }

    /// Reads a string with `FromStr`, whose error is the message of the fault.
    pub fn text<T: FromStr<Err: Display>>(self) -> Option<T> {
        match self.tree {
            Tree::Text(text) => {
                text.parse().map_or_else(|error: T::Err| self.refuse(error.to_string()), Some)
            }
            Tree::InvalidText => None,
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Array(_) | Tree::Object(_) => {
                self.is_not("a string")
            }
        }
    }

    /// Reads a whole number in this range, in every spelling (`1`, `1.0` and `1e0` are the same).
    pub fn integer<T: TryFrom<i64> + Into<i64> + Copy + Display>(
        self,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let Tree::Number(text) = self.tree else { return self.is_not("a whole number") };
        let in_range = (*range.start()).into()..=(*range.end()).into();
        match number::whole(text) {
            Ok(value) if in_range.contains(&value) => T::try_from(value).ok(),
            Err(NotWhole::Fraction) => self.refuse("must be a whole number".to_owned()),
            Ok(_) | Err(NotWhole::OutOfRange) => {
                self.refuse(format!("must be {} to {}", range.start(), range.end()))
            }
        }
    }

    /// Reads `true` or `false`.
    pub fn boolean(self) -> Option<bool> {
        let Tree::Bool(value) = self.tree else { return self.is_not("a boolean") };
        Some(*value)
    }

    /// Adds a fault of this value; the message continues its pointer.
    pub fn refuse<T>(self, message: String) -> Option<T> {
        self.problems.add(self.place.to_string(), message);
        None
    }

    fn is_not<T>(self, expected: &str) -> Option<T> {
        self.refuse(format!("must be {expected}, not {}", self.tree.kind()))
    }
}

/// The members of an object, for [`Node::object`].
#[derive(Debug)]
pub struct Members<'a> {
    node: Node<'a>,
    present: &'a [(String, Tree<'a>)],
    known: Vec<&'static str>,
}

impl Members<'_> {
    /// Reads a required member.
    pub fn required<T>(&mut self, name: &'static str, read: impl FnOnce(Node<'_>) -> Option<T>) -> Option<T> {
        let value = self.optional(name, read)?;
        if value.is_none() {
            self.node.problems.add(Place::Member(self.node.place, name).to_string(), "is required");
        }
        value
    }

    /// Reads a required member with [`Node::text`].
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself has one lifetime, and `required` needs any"
    )]
    pub fn required_text<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        self.required(name, |node| node.text())
    }

    /// Reads a required member with [`Node::boolean`].
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself has one lifetime, and `required` needs any"
    )]
    pub fn required_boolean(&mut self, name: &'static str) -> Option<bool> {
        self.required(name, |node| node.boolean())
    }

    /// Reads a member with [`Node::text`] that can be left out; `Some(None)` when it is absent. `null` is refused.
    #[expect(clippy::option_option, reason = "the outer one is a fault, the inner one an absent member")]
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself has one lifetime, and `optional` needs any"
    )]
    pub fn optional_text<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.optional(name, |node| node.text())
    }

    /// Reads a member that can be left out; `Some(None)` when it is absent. `null` is refused.
    #[expect(clippy::option_option, reason = "the outer one is a fault, the inner one an absent member")]
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Node<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.known.push(name);
        let member = self.present.iter().find(|(present, _)| present == name);
        let Some((_, tree)) = member else { return Some(None) };
        let place = Place::Member(self.node.place, name);
        read(Node { tree, place: &place, ..self.node }).map(Some)
    }

    fn refuse_others(&self) {
        for (name, _) in self.present {
            if !self.known.contains(&name.as_str()) {
                let place = Place::Member(self.node.place, name);
                let message = format!("is unknown; known are: {}", listed(&self.known));
                self.node.problems.add(place.to_string(), message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::decode;

    #[derive(Debug, PartialEq)]
    struct Parcel {
        gift: bool,
        note: Option<String>,
    }

    impl FromJson for Parcel {
        fn from_json(body: Node<'_>) -> Option<Self> {
            body.object(|parcel| {
                let gift = parcel.required_boolean("gift");
                let note = parcel.optional_text("note");
                Some(Self { gift: gift?, note: note? })
            })
        }
    }

    #[test]
    fn booleans_and_optional_members_are_read() {
        let parcel = |gift, note: Option<&str>| Parcel { gift, note: note.map(str::to_owned) };
        assert_eq!(decode::<Parcel>(br#"{"gift": true}"#).unwrap(), parcel(true, None));
        let body = br#"{"gift": false, "note": "fragile"}"#;
        assert_eq!(decode::<Parcel>(body).unwrap(), parcel(false, Some("fragile")));
    }

    #[test]
    fn an_optional_member_is_not_null_and_a_boolean_is_no_text() {
        let error = decode::<Parcel>(br#"{"gift": "true", "note": null}"#).unwrap_err();
        let details = error.details().iter();
        let details: Vec<_> = details.map(|detail| (detail.pointer.as_str(), &*detail.message)).collect();
        let expected =
            [("/gift", "must be a boolean, not a string"), ("/note", "must be a string, not null")];
        assert_eq!(details, expected);
    }
}
