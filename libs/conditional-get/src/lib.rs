#![doc = include_str!("../README.md")]

use actix_web::{
    HttpMessage as _, HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, ETag, EntityTag, HeaderValue, IfNoneMatch},
};
use serde::Serialize;

mod conditions;

pub use conditions::{Conditions, precondition_failed};

/// The client may keep it, but asks before it uses it; nobody in between may keep it at all.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Answers with a resource, or with 304 when the client has it already.
///
/// `tag` is of visible ASCII without quotes, and another one for every change of the resource. `body` runs only when it is sent.
///
/// # Panics
/// The tag has characters that a tag cannot have.
pub fn json<T: Serialize>(
    request: &HttpRequest,
    tag: impl Into<String>,
    body: impl FnOnce() -> T,
) -> HttpResponse {
    let tag = EntityTag::new_strong(tag.into());
    let known = is_known(request, &tag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(ETag(tag)).insert_header((CACHE_CONTROL, REVALIDATE));
    if known { response.finish() } else { response.json(body()) }
}

/// Returns whether the client says that it has the representation with this tag.
fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match request.get_header::<IfNoneMatch>() {
        None => false,
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{
        http::{StatusCode, header},
        test::TestRequest,
    };

    use super::*;

    fn ask(if_none_match: &[&str]) -> HttpResponse {
        let mut request = TestRequest::get();
        for value in if_none_match {
            request = request.append_header((header::IF_NONE_MATCH, *value));
        }
        json(&request.to_http_request(), "a-2", || "body")
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for known in
            [&[r#""a-2""#][..], &[r#"W/"a-2""#], &["*"], &[r#""a-1", W/"a-2""#], &[r#""a-1""#, r#""a-2""#]]
        {
            assert_eq!(ask(known).status(), StatusCode::NOT_MODIFIED, "{known:?}");
        }
    }

    #[test]
    fn anything_else_is_sent() {
        for other in [&[][..], &[""], &[r#""a-1""#], &["a-2"], &[r#""A-2""#], &[r#""a-2"#], &[r#""*""#]] {
            assert_eq!(ask(other).status(), StatusCode::OK, "{other:?}");
        }
    }

    #[test]
    fn both_answers_say_the_same_about_the_resource() {
        let (fresh, known) = (ask(&[]), ask(&["*"]));
        for (name, value) in [(header::ETAG, r#""a-2""#), (CACHE_CONTROL, "private, no-cache")] {
            assert_eq!(fresh.headers().get(&name).unwrap(), value);
            assert_eq!(known.headers().get(&name).unwrap(), value);
        }
    }
}
