//! The query extractor: refuses unknown and repeated parameters, and names every fault.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fmt::Display,
    future::{Ready, ready},
    str::FromStr,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use derive_more::Deref;
use url::form_urlencoded;

use crate::{
    ApiError,
    problems::{Problems, escape, listed},
};

/// The parameters of a query, read as `T`.
///
/// A repeated parameter is refused, and so is one that `T` does not read: a mistyped filter would otherwise have no effect.
#[derive(Clone, Debug, Deref)]
pub struct Query<T>(T);

/// A type that a query can be read as.
///
/// Reading continues after a fault, so that one error names all of them: use `?` after the last parameter only.
pub trait FromQuery: Sized {
    /// Reads the parameters. `None` when `parameters` has a fault.
    fn from_query(parameters: &mut Parameters<'_>) -> Option<Self>;
}

/// The parameters of a query, for [`FromQuery`].
#[derive(Debug)]
pub struct Parameters<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    known: Vec<&'static str>,
    problems: Problems,
}

impl<T> Query<T> {
    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: FromQuery + 'static> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(decode(request.query_string(), T::from_query).map(Self))
    }
}

/// Refuses every parameter, for an operation without any.
///
/// # Errors
/// The query has parameters; the error names them.
pub fn refuse_parameters(request: &HttpRequest) -> Result<(), ApiError> {
    decode(request.query_string(), |_| Some(()))
}

fn decode<T>(query: &str, read: impl FnOnce(&mut Parameters<'_>) -> Option<T>) -> Result<T, ApiError> {
    let pairs = form_urlencoded::parse(query.as_bytes()).collect();
    let mut parameters = Parameters { pairs, known: Vec::new(), problems: Problems::default() };
    let value = read(&mut parameters);
    parameters.refuse_others();
    parameters.problems.conclude("The query parameters do", value)
}

impl Parameters<'_> {
    /// Reads a parameter with `FromStr`, whose error is the message of the fault; `Some(None)` when it is absent.
    #[expect(clippy::option_option, reason = "the outer one is a fault, the inner one an absent parameter")]
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.known.push(name);
        let mut values = self.pairs.iter().filter(|(present, _)| present == name).map(|(_, value)| value);
        let fault = match (values.next(), values.next()) {
            (None, _) => return Some(None),
            (Some(value), None) => match value.parse() {
                Ok(value) => return Some(Some(value)),
                Err(error) => error.to_string(),
            },
            (Some(_), Some(_)) => "must be sent once".to_owned(),
        };
        self.problems.add(pointer(name), fault);
        None
    }

    fn refuse_others(&self) {
        let mut seen = BTreeSet::new();
        for (name, _) in &self.pairs {
            if !self.known.contains(&name.as_ref()) && seen.insert(name) {
                let message = format!("is unknown; known are: {}", listed(&self.known));
                self.problems.add(pointer(name), message);
            }
        }
    }
}

fn pointer(name: &str) -> String {
    format!("/query/{}", escape(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[derive(Debug, PartialEq)]
    struct Search {
        text: Option<String>,
        size: Option<u8>,
    }

    impl FromQuery for Search {
        fn from_query(parameters: &mut Parameters<'_>) -> Option<Self> {
            let text = parameters.optional("text");
            let size = parameters.optional("size");
            Some(Self { text: text?, size: size? })
        }
    }

    fn refused(query: &str) -> Vec<(String, String)> {
        let error = decode(query, Search::from_query).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        let details = error.details().iter();
        details.map(|detail| (detail.pointer.clone(), detail.message.clone().into_owned())).collect()
    }

    #[test]
    fn a_valid_query_is_read() {
        let search = |text: Option<&str>, size| Search { text: text.map(str::to_owned), size };
        assert_eq!(
            decode("text=a%2Bb+c&size=7", Search::from_query).unwrap(),
            search(Some("a+b c"), Some(7))
        );
        assert_eq!(decode("&text=", Search::from_query).unwrap(), search(Some(""), None));
        assert_eq!(decode("", Search::from_query).unwrap(), search(None, None));
    }

    #[test]
    fn one_error_names_every_fault() {
        let found = refused("text=a&te%78t=b&size=256&page=1&a~/b=2&page=3");
        let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/query/text", "/query/size", "/query/page", "/query/a~0~1b"]);
        assert_eq!(found[0].1, "must be sent once");
        assert_eq!(found[2].1, "is unknown; known are: text and size");
    }
}
