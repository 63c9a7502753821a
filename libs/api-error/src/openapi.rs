//! The error codes in an OpenAPI document: the error responses of an operation, from its codes.

use std::{borrow::Cow, collections::BTreeMap};

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Content, Header, Ref, RefOr, Response, Schema,
        schema::{AllOfBuilder, Object, ObjectBuilder, Type},
    },
};

use crate::{
    Code, Detail,
    body::{Envelope, PROBLEM_JSON, Problem},
};

/// The names of the headers, as components of the document and on the wire.
const REQUEST_ID: (&str, &str) = ("RequestId", "x-request-id");
const RETRY_AFTER: (&str, &str) = ("RetryAfter", "Retry-After");
const CHALLENGE: (&str, &str) = ("Challenge", "WWW-Authenticate");
/// A 415 has those of them that name the accepted type or coding.
const ACCEPTED: [(&str, &str); 3] =
    [("Accept", "Accept"), ("AcceptPost", "Accept-Post"), ("AcceptEncoding", "Accept-Encoding")];

/// A schema and its name in the document.
pub type NamedSchema = (String, RefOr<Schema>);

/// Returns the schemas that the responses refer to.
pub fn schemas() -> Vec<NamedSchema> {
    vec![named::<Envelope<'_>>(), named::<Code>(), named::<Detail>(), named::<Problem<'_>>()]
}

fn named<T: ToSchema>() -> NamedSchema {
    (T::name().into_owned(), T::schema())
}

/// Returns a header of the document.
pub fn header(description: &str, r#type: Type) -> Header {
    let mut header = Header::new(Object::with_type(r#type));
    header.description = Some(description.to_owned());
    header
}

/// Returns the headers that the responses refer to.
pub fn headers() -> Vec<(&'static str, Header)> {
    vec![
        (REQUEST_ID.0, header("The id of this request in the service's log.", Type::String)),
        (RETRY_AFTER.0, header("Seconds after which to send the same request again.", Type::Integer)),
        (CHALLENGE.0, header("The token that the operation needs (RFC 6750).", Type::String)),
        (ACCEPTED[0].0, header("The accepted media type, when the request had another one.", Type::String)),
        (ACCEPTED[1].0, header("The same, for POST.", Type::String)),
        (
            ACCEPTED[2].0,
            header("The accepted content coding, when the request had another one.", Type::String),
        ),
    ]
}

/// Adds `x-request-id` to a response.
pub fn with_request_id(mut response: Response) -> Response {
    refer(&mut response, REQUEST_ID);
    response
}

/// Returns one response for each status of these codes.
pub fn responses(codes: impl IntoIterator<Item = Code>) -> BTreeMap<u16, Response> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().as_u16()).or_default().push(code);
    }
    by_status.into_iter().map(|(status, codes)| (status, response(status, &codes))).collect()
}

fn response(status: u16, codes: &[Code]) -> Response {
    let described: Vec<_> = codes.iter().map(|code| format!("`{code}`: {}.", code.title())).collect();
    let mut response = Response::new(described.join(" "));
    refer(&mut response, REQUEST_ID);
    if codes.iter().any(|code| code.retryable()) {
        refer(&mut response, RETRY_AFTER);
    }
    if matches!(status, 401 | 403) {
        refer(&mut response, CHALLENGE);
    }
    if status == 415 {
        for accepted in ACCEPTED {
            refer(&mut response, accepted);
        }
    }
    for (media_type, body) in [("application/json", Envelope::name()), (PROBLEM_JSON, Problem::name())] {
        let schema = limited_to(codes, &body);
        response.content.insert(media_type.to_owned(), RefOr::T(Content::new(Some(schema))));
    }
    response
}

/// Returns the schema of a body whose code is one of these.
fn limited_to(codes: &[Code], body: &str) -> RefOr<Schema> {
    let code = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(codes.iter().map(|code| code.as_str())))
        .build();
    let one_of_these = ObjectBuilder::new().property("code", code).build();
    AllOfBuilder::new().item(Ref::from_schema_name(body)).item(one_of_these).into()
}

/// Adds to a response a header of the document's components, as `(component, header)`.
pub fn refer(response: &mut Response, (component, name): (&str, &str)) {
    let header = RefOr::Ref(Ref::new(format!("#/components/headers/{component}")));
    response.headers.insert(name.to_owned(), header);
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A stable name; the page `/problems/{code}` explains it."))
            .enum_values(Some(Self::ALL.iter().map(|code| code.as_str())))
            .into()
    }
}

impl ToSchema for Code {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ErrorCode")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_of_one_status_share_a_response_that_names_them() {
        let responses = responses([Code::InvalidRequest, Code::MalformedJson, Code::Unavailable]);
        assert_eq!(responses.keys().copied().collect::<Vec<_>>(), [400, 503]);
        let bad_request = serde_json::to_value(&responses[&400]).unwrap();
        for media_type in ["application/json", "application/problem+json"] {
            let code = &bad_request["content"][media_type]["schema"]["allOf"][1]["properties"]["code"];
            assert_eq!(code["enum"], json!(["invalid_request", "malformed_json"]));
        }
        assert!(bad_request["headers"]["Retry-After"].is_null());
        let unavailable = serde_json::to_value(&responses[&503]).unwrap();
        assert_eq!(unavailable["headers"]["Retry-After"]["$ref"], "#/components/headers/RetryAfter");
    }

    #[test]
    fn every_reference_resolves_to_a_schema() {
        let names: Vec<_> = schemas().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Error", "ErrorCode", "ErrorDetail", "Problem"]);
    }
}
