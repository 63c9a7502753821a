//! Conditional requests (RFC 9110, section 13): `ETag` and 304 for reads, `If-Match`, `If-None-Match` and 412 for writes.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{CACHE_CONTROL, ETag, EntityTag, HeaderValue, IfNoneMatch},
};
use api_error::{ApiError, Code};
use serde::Serialize;

/// A client may store the response, and validates it before each use. A shared cache must not store it.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Answers with a resource: 200 with a body, or 304 when `If-None-Match` has its tag.
///
/// `tag` is visible ASCII without quotes, and differs after every change of the resource. `body` runs for a 200 only.
///
/// # Panics
/// The tag has other characters.
pub fn json<T: Serialize>(
    request: &HttpRequest,
    tag: impl Into<String>,
    body: impl FnOnce() -> T,
) -> HttpResponse {
    let tag = EntityTag::new_strong(tag.into());
    let unchanged = matches_if_none_match(request, &tag);
    let mut response = if unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(ETag(tag)).insert_header((CACHE_CONTROL, REVALIDATE));
    if unchanged { response.finish() } else { response.json(body()) }
}

fn matches_if_none_match(request: &HttpRequest, tag: &EntityTag) -> bool {
    match request.get_header::<IfNoneMatch>() {
        None => false,
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
    }
}

/// The conditions of a request that writes: `If-Match` and `If-None-Match` (RFC 9110, section 13.1).
///
/// The extractor refuses a malformed condition with a 400 that names the header: ignoring it could overwrite a change that the client has not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    if_match: Option<Wanted>,
    if_none_match: Option<Wanted>,
}

/// The value of one of the headers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// `*`: any representation.
    Any,
    /// One of these tags.
    These(Vec<EntityTag>),
}

impl Conditions {
    /// Returns whether the request has no conditions.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether a handler may confirm a change that has been made before, although the conditions do not hold: the request can be
    /// the retry of one whose response got lost. `If-Match` allows that (section 13.1.1), `If-None-Match` does not.
    pub fn allow_repetition(&self) -> bool {
        self.if_none_match.is_none()
    }

    /// Returns whether the conditions hold for a resource with this tag; `None` is a resource that does not exist.
    ///
    /// Call it in the transaction that writes, with the resource locked: otherwise the resource can change in between.
    ///
    /// # Panics
    /// The tag has characters other than visible ASCII without quotes.
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

/// Returns the 412 of a request whose conditions do not hold.
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

/// Reads a header; several lines of it are one list.
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

/// Takes the first tag of a list. A tag can contain a comma, so splitting at commas would be wrong.
fn next_tag(text: &str) -> Option<(EntityTag, &str)> {
    let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?;
    let (_, after) = opaque.split_once('"')?;
    let (tag, _) = text.split_at(text.len() - after.len());
    Some((tag.parse().ok()?, after))
}

#[cfg(test)]
mod tests {
    use actix_web::{
        ResponseError as _,
        http::{StatusCode, header},
        test::TestRequest,
    };

    use super::*;

    fn get(if_none_match: &[&str]) -> HttpResponse {
        let mut request = TestRequest::get();
        for value in if_none_match {
            request = request.append_header((header::IF_NONE_MATCH, *value));
        }
        json(&request.to_http_request(), "a-2", || "body")
    }

    #[test]
    fn a_known_tag_is_answered_with_304() {
        for known in
            [&[r#""a-2""#][..], &[r#"W/"a-2""#], &["*"], &[r#""a-1", W/"a-2""#], &[r#""a-1""#, r#""a-2""#]]
        {
            assert_eq!(get(known).status(), StatusCode::NOT_MODIFIED, "{known:?}");
        }
    }

    #[test]
    fn any_other_tag_is_answered_with_200() {
        for other in [&[][..], &[""], &[r#""a-1""#], &["a-2"], &[r#""A-2""#], &[r#""a-2"#], &[r#""*""#]] {
            assert_eq!(get(other).status(), StatusCode::OK, "{other:?}");
        }
    }

    #[test]
    fn a_200_and_a_304_have_the_same_headers() {
        let (fresh, known) = (get(&[]), get(&["*"]));
        for (name, value) in [(header::ETAG, r#""a-2""#), (CACHE_CONTROL, "private, no-cache")] {
            assert_eq!(fresh.headers().get(&name).unwrap(), value);
            assert_eq!(known.headers().get(&name).unwrap(), value);
        }
    }

    fn read(headers: &[(&str, &str)]) -> Result<Conditions, ApiError> {
        let request =
            headers.iter().fold(TestRequest::put(), |request, header| request.append_header(*header));
        Conditions::from_request(&request.to_http_request(), &mut Payload::None).into_inner()
    }

    fn hold(headers: &[(&str, &str)], tag: Option<&str>) -> bool {
        read(headers).unwrap().hold(tag)
    }

    #[test]
    fn if_match_compares_strongly() {
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
    fn if_none_match_compares_weakly() {
        for known in [r#""a-2""#, "*", r#"W/"a-2""#, r#""a-1", W/"a-2""#] {
            assert!(!hold(&[("if-none-match", known)], Some("a-2")), "{known}");
            assert!(hold(&[("if-none-match", known)], None), "{known}");
        }
        assert!(hold(&[("if-none-match", r#""a-1""#)], Some("a-2")));
    }

    #[test]
    fn both_conditions_must_hold_and_no_condition_always_holds() {
        let both = [("if-match", "*"), ("if-none-match", r#""a-1""#)];
        assert!(hold(&both, Some("a-2")) && !hold(&both, Some("a-1")) && !hold(&both, None));
        let none = read(&[]).unwrap();
        assert!(none.are_none() && none.hold(None) && none.hold(Some("a-2")));
        assert!(!read(&both).unwrap().are_none());
    }

    #[test]
    fn a_malformed_condition_is_a_400() {
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
