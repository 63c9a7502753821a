//! The query extractor: strict about what it takes, exact about what is wrong.

use std::{
    collections::BTreeSet,
    future::{Ready, ready},
    ops::Deref,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::{ApiError, Code, misfit};

/// The parameters of a query, parsed.
///
/// A parameter that is sent twice is refused. Put `#[serde(deny_unknown_fields)]` on `T`, so that an unknown one is too: a
/// mistyped filter would otherwise be no filter.
#[derive(Clone, Debug)]
pub struct Query<T>(T);

impl<T> Query<T> {
    /// Returns the parsed value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(decode(request.query_string()).map(Self))
    }
}

fn decode<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let pairs = || form_urlencoded::parse(query.as_bytes());
    let mut seen = BTreeSet::new();
    if let Some((name, _)) = pairs().find(|(name, _)| !seen.insert(name.clone())) {
        return Err(refusal(name.into_owned(), "must be there once only".to_owned()));
    }
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs())).map_err(|error| {
        let reason = error.inner().to_string();
        let name = misfit::member(&reason).map_or_else(|| error.path().to_string(), str::to_owned);
        refusal(name, misfit::in_api_words(&reason))
    })
}

fn refusal(name: String, message: String) -> ApiError {
    // RFC 6901 gives these two characters another meaning.
    let name = name.replace('~', "~0").replace('/', "~1");
    ApiError::new(Code::InvalidRequest, "The query parameters do not fit this operation. See details.")
        .with_detail(format!("/query/{name}"), message)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Search {
        text: String,
        #[serde(default)]
        size: Option<u8>,
    }

    fn refused(query: &str) -> (String, String) {
        let error = decode::<Search>(query).unwrap_err();
        assert_eq!((error.code(), error.details().len()), (Code::InvalidRequest, 1));
        let detail = &error.details()[0];
        let name = detail.pointer.strip_prefix("/query/").unwrap();
        (name.to_owned(), detail.message.to_string())
    }

    #[test]
    fn a_good_query_is_decoded() {
        let search = |text: &str, size| Search { text: text.to_owned(), size };
        assert_eq!(decode::<Search>("text=a%2Bb+c&size=7").unwrap(), search("a+b c", Some(7)));
        assert_eq!(decode::<Search>("&text=").unwrap(), search("", None));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (query, name, message) in [
            ("", "text", "is required"),
            ("text=a&text=b", "text", "must be there once only"),
            ("text=a&size=1&si%7Ae=2", "size", "must be there once only"),
            ("text=a&page=1", "page", "unknown field `page`, expected `text` or `size`"),
            ("text=a&page=1&page=2", "page", "must be there once only"),
        ] {
            assert_eq!(refused(query), (name.to_owned(), message.to_owned()), "{query}");
        }
        assert_eq!(refused("text=a&size=256").0, "size");
        assert_eq!(refused("text=a&size=").0, "size");
    }

    #[test]
    fn a_long_name_is_not_echoed_at_length() {
        assert!(refused(&format!("text=a&{}=1", "x".repeat(1_000))).1.chars().count() <= 240);
    }
}
