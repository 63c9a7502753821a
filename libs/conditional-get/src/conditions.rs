//! Conditions on a resource that is to be written.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::EntityTag};
use api_error::{ApiError, Code};

/// What a writing request requires of the resource as it is: `If-Match` and `If-None-Match` (RFC 9110, section 13.1).
///
/// As an extractor it refuses, with a 400 that names the header, a condition that cannot be read: to write in spite of it would be worse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    if_match: Option<Wanted>,
    if_none_match: Option<Wanted>,
}

/// The value of one header.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// Any representation there may be.
    Any,
    /// One of these.
    These(Vec<EntityTag>),
}

impl Conditions {
    /// Returns whether the request requires nothing.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether a change that is there already may be confirmed although the conditions do not hold: the request may be the
    /// repetition of one whose answer got lost. `If-Match` allows it (section 13.1.1), `If-None-Match` does not.
    pub fn allow_repetition(&self) -> bool {
        self.if_none_match.is_none()
    }

    /// Returns whether the conditions hold for a resource with this tag; `None` is a resource that is not there.
    ///
    /// Ask inside the transaction that writes, with the resource locked: else it can change in between.
    ///
    /// # Panics
    /// The tag has characters that a tag cannot have.
    pub fn hold(&self, tag: Option<&str>) -> bool {
        let tag = tag.map(|tag| EntityTag::new_strong(tag.to_owned()));
        let matches = |wanted: &Wanted, equal: fn(&EntityTag, &EntityTag) -> bool| match (wanted, &tag) {
            (_, None) => false,
            (Wanted::Any, Some(_)) => true,
            (Wanted::These(tags), Some(tag)) => tags.iter().any(|wanted| equal(wanted, tag)),
        };
        self.if_match.as_ref().is_none_or(|wanted| matches(wanted, EntityTag::strong_eq))
            && self.if_none_match.as_ref().is_none_or(|wanted| !matches(wanted, EntityTag::weak_eq))
    }
}

/// Makes the error of a request whose conditions do not hold.
pub fn precondition_failed() -> ApiError {
    ApiError::new(
        Code::PreconditionFailed,
        "The resource is not as If-Match or If-None-Match requires, and was not changed. GET it and decide again.",
    )
}

impl FromRequest for Conditions {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let conditions = wanted(request, "If-Match")
            .and_then(|if_match| Ok(Self { if_match, if_none_match: wanted(request, "If-None-Match")? }));
        ready(conditions)
    }
}

/// Reads a header, whose lines are one list.
fn wanted(request: &HttpRequest, name: &str) -> Result<Option<Wanted>, ApiError> {
    let mut lines = request.headers().get_all(name).peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    let text: Option<Vec<&str>> = lines.map(|line| line.to_str().ok()).collect();
    let wanted = text.and_then(|lines| parse(&lines.join(",")));
    wanted.map(Some).ok_or_else(|| {
        ApiError::new(Code::InvalidRequest, "A condition of the request cannot be read. See details.")
            .with_detail(
                format!("/header/{name}"),
                "must be * or a list of entity tags, each in double quotes",
            )
    })
}

fn parse(text: &str) -> Option<Wanted> {
    if text.trim() == "*" {
        return Some(Wanted::Any);
    }
    let mut tags = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (tag, after) = next_tag(rest)?;
        tags.push(tag);
        let after = after.trim_start_matches([' ', '\t']);
        if !after.is_empty() && !after.starts_with(',') {
            return None;
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    (!tags.is_empty()).then_some(Wanted::These(tags))
}

/// Takes one tag off the beginning. A tag can have a comma in it, so a list is not split at them.
fn next_tag(text: &str) -> Option<(EntityTag, &str)> {
    let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?;
    let (_, after) = opaque.split_once('"')?;
    let (tag, _) = text.split_at(text.len() - after.len());
    Some((tag.parse().ok()?, after))
}

#[cfg(test)]
mod tests {
    use actix_web::{FromRequest as _, ResponseError as _, test::TestRequest};

    use super::*;

    fn read(headers: &[(&str, &str)]) -> Result<Conditions, ApiError> {
        let request =
            headers.iter().fold(TestRequest::put(), |request, header| request.append_header(*header));
        Conditions::from_request(&request.to_http_request(), &mut Payload::None).into_inner()
    }

    fn hold(headers: &[(&str, &str)], tag: Option<&str>) -> bool {
        read(headers).unwrap().hold(tag)
    }

    #[test]
    fn if_match_wants_the_very_representation() {
        for good in [r#""a-2""#, "*", r#""a-1", "a-2""#, r#" ,"x,y" , "a-2","#] {
            assert!(hold(&[("if-match", good)], Some("a-2")), "{good}");
            assert!(!hold(&[("if-match", good)], None), "{good}");
        }
        assert!(hold(&[("if-match", r#""a-1""#), ("if-match", r#""a-2""#)], Some("a-2")), "two lines");
        for bad in [r#""a-1""#, r#"W/"a-2""#, r#""A-2""#, r#""*""#] {
            assert!(!hold(&[("if-match", bad)], Some("a-2")), "{bad}");
        }
    }

    #[test]
    fn if_none_match_wants_another_one_or_none() {
        for known in [r#""a-2""#, "*", r#"W/"a-2""#, r#""a-1", W/"a-2""#] {
            assert!(!hold(&[("if-none-match", known)], Some("a-2")), "{known}");
            assert!(hold(&[("if-none-match", known)], None), "{known}");
        }
        assert!(hold(&[("if-none-match", r#""a-1""#)], Some("a-2")));
    }

    #[test]
    fn both_have_to_hold_and_none_always_holds() {
        let both = [("if-match", "*"), ("if-none-match", r#""a-1""#)];
        assert!(hold(&both, Some("a-2")) && !hold(&both, Some("a-1")) && !hold(&both, None));
        let none = read(&[]).unwrap();
        assert!(none.are_none() && none.hold(None) && none.hold(Some("a-2")));
        assert!(!read(&both).unwrap().are_none());
    }

    #[test]
    fn a_condition_that_cannot_be_read_is_refused() {
        for bad in
            ["", "a-2", r#""a-2"#, r#"a-2""#, r#"w/"a-2""#, r#""a" "b""#, r#""a";"#, "**", r#"*, "a-2""#, ","]
        {
            for name in ["if-match", "if-none-match"] {
                let error = read(&[(name, bad)]).unwrap_err();
                assert_eq!(error.status_code(), 400, "{name}: {bad}");
            }
        }
    }
}
