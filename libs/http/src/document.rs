//! The OpenAPI document: the description of each handler, completed with scope, errors and headers from the table.

use std::{cmp::Reverse, collections::BTreeSet};

use api_error::{Code, openapi as errors};
use utoipa::openapi::{
    Components, Info, OpenApi, Paths, RefOr, Required, Response, SecurityRequirement, Server, Tag,
    extensions::Extensions,
    path::{HttpMethod, Operation as Described, Parameter, ParameterBuilder, ParameterIn},
    schema::{AnyOfBuilder, ObjectBuilder, Schema, Type},
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use crate::{
    Operation,
    operation::{self, Access},
    pages,
    version::HEADER,
};

/// The name of the security scheme.
const BEARER: &str = "bearer";

/// Stated once: `HEAD` operations would double the document.
const HEAD: &str = "Every `GET` has a `HEAD` with the same status and headers, and without a body.";

/// Makes the document of these operations.
pub(crate) fn of(mut info: Info, operations: &[Operation]) -> OpenApi {
    require_conditions(operations);
    info.description = info.description.map(|description| format!("{description}\n\n{HEAD}"));
    let mut paths = Paths::new();
    for operation in operations {
        add(&mut paths, &operation.path, &operation.methods, &describe(operation));
    }
    for (path, operations) in operation::by_header(operations) {
        for (methods, described) in describe_by_header(&operations) {
            add(&mut paths, path, &methods, &described);
        }
    }
    let mut document = OpenApi::new(info, paths);
    document.servers = Some(vec![Server::new("/")]);
    document.tags = Some(tags(operations));
    document.components = Some(components(operations));
    document
}

/// A resource whose `GET` has an `ETag` takes conditions in every method that changes it.
fn require_conditions(operations: &[Operation]) {
    let tagged = operations.iter().filter(|operation| operation.has_etag());
    let tagged: BTreeSet<_> = tagged.map(|operation| &operation.path).collect();
    for operation in operations.iter().filter(|operation| tagged.contains(&operation.path)) {
        let reads = operation.methods().all(|method| method.is_safe());
        assert!(
            reads || operation.is_conditional(),
            "{}: GET has an ETag, so this takes If-Match and may answer precondition_failed",
            operation.path
        );
    }
}

/// The tags in the order of the table, in which a page shows them; the documentation comes last.
fn tags(operations: &[Operation]) -> Vec<Tag> {
    let tags = operations.iter().flat_map(|operation| operation.described.tags.iter().flatten());
    let own = tags.map(String::as_str).filter(|tag| *tag != pages::TAG);
    let mut seen = BTreeSet::new();
    own.chain([pages::TAG]).filter(|tag| seen.insert(*tag)).map(Tag::new).collect()
}

fn components(operations: &[Operation]) -> Components {
    let mut components = Components::new();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("A token of the issuer; an operation names the scope that the token needs."))
        .build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    let of_operations = operations.iter().flat_map(|operation| operation.schemas.iter().cloned());
    components.schemas.extend(of_operations.chain(errors::schemas()));
    let headers = errors::headers()
        .into_iter()
        .chain(DEPRECATION_HEADERS.map(|(name, described)| (name, errors::header(described, Type::String))));
    components.headers.extend(headers.map(|(name, header)| (name.to_owned(), RefOr::T(header))));
    components
}

/// The headers that announce a deprecation, with their descriptions.
const DEPRECATION_HEADERS: [(&str, &str); 3] = [
    ("Deprecation", "When this version was deprecated: `@` and seconds since 1970 (RFC 9745)."),
    ("Sunset", "When this version is removed (RFC 8594)."),
    ("Link", "The successor (`rel=\"successor-version\"`) and the policy (`rel=\"deprecation\"`)."),
];

/// Returns a handler's description with the operation's scope, errors and deprecation.
fn describe(operation: &Operation) -> Described {
    let mut described = complete(operation, operation.codes.iter().copied());
    if operation.deprecation.is_some() {
        described.responses.responses.values_mut().for_each(announce);
    }
    described
}

fn complete(operation: &Operation, codes: impl Iterator<Item = Code>) -> Described {
    let mut described = operation.described.clone();
    match operation.access {
        Access::Scope(scope) => described.security = Some(vec![SecurityRequirement::new(BEARER, [scope])]),
        Access::Public(reason) => {
            described.security = Some(Vec::new());
            described.extensions = Some(Extensions::from_iter([("x-public", reason)]));
        }
    }
    for response in described.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            *response = errors::with_request_id(std::mem::take(response));
        }
    }
    for (status, error) in errors::responses(codes) {
        add_error(&mut described, status, error);
    }
    described
}

/// Adds an error response. A status that the handler describes too keeps its own body beside the error's.
fn add_error(described: &mut Described, status: u16, error: Response) {
    let responses = &mut described.responses.responses;
    match responses.get_mut(&status.to_string()) {
        Some(RefOr::T(own)) => {
            own.description = format!("{} {}", own.description, error.description);
            own.headers.extend(error.headers);
            own.content.extend(error.content);
        }
        _ => drop(responses.insert(status.to_string(), RefOr::T(error))),
    }
}

fn announce(response: &mut RefOr<Response>) {
    if let RefOr::T(response) = response {
        for (name, _) in DEPRECATION_HEADERS {
            errors::refer(response, (name, name));
        }
    }
}

/// Describes the path without a version, once for each set of methods that a handler takes.
fn describe_by_header(operations: &[&Operation]) -> Vec<(Vec<HttpMethod>, Described)> {
    let mut methods: Vec<_> = operations.iter().map(|operation| operation.methods.clone()).collect();
    methods.dedup();
    methods
        .into_iter()
        .map(|methods| {
            let versions = operations.iter().copied().filter(|operation| operation.methods == methods);
            let described = any_version(&versions.collect::<Vec<_>>());
            (methods, described)
        })
        .collect()
}

/// Returns the newest version's description, with the responses of every other version as alternatives.
fn any_version(versions: &[&Operation]) -> Described {
    let mut newest_first = versions.to_vec();
    newest_first.sort_by_key(|operation| Reverse(operation.version().map(|(version, _)| version)));
    let mut codes = BTreeSet::from([Code::MissingVersion, Code::UnknownVersion]);
    codes.extend(versions.iter().flat_map(|operation| &operation.codes));
    let mut described = complete(newest_first[0], codes.into_iter());
    for older in newest_first.iter().skip(1) {
        merge_responses(&mut described, &older.described);
    }
    if versions.iter().any(|operation| operation.deprecation.is_some()) {
        described.responses.responses.values_mut().for_each(announce);
    }
    let summary = described.summary.unwrap_or_default();
    described.summary = Some(format!("{} (version selected by a header)", summary.trim_end_matches('.')));
    described.operation_id = described.operation_id.map(|id| format!("{id}_by_header"));
    let numbers = versions.iter().filter_map(|operation| operation.version());
    let header = version_header(numbers.map(|(version, _)| version.to_string()).collect());
    described.parameters.get_or_insert_default().push(RefOr::T(header));
    described
}

/// Adds the schemas of another version's responses as alternatives.
fn merge_responses(into: &mut Described, other: &Described) {
    for (status, response) in &other.responses.responses {
        let (Some(RefOr::T(known)), RefOr::T(response)) =
            (into.responses.responses.get_mut(status), response)
        else {
            continue;
        };
        for (media_type, content) in &response.content {
            if let (Some(RefOr::T(known)), RefOr::T(content)) = (known.content.get_mut(media_type), content) {
                let forms = known.schema.take().into_iter().chain(content.schema.clone());
                let any = forms.fold(AnyOfBuilder::new(), AnyOfBuilder::item).build();
                known.schema = Some(RefOr::T(Schema::AnyOf(any)));
            }
        }
    }
}

fn version_header(versions: Vec<String>) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(versions)).build();
    ParameterBuilder::new()
        .name(HEADER)
        .parameter_in(ParameterIn::Header)
        .required(Required::True)
        .description(Some("The version."))
        .schema(Some(schema))
        .build()
}

fn add(paths: &mut Paths, path: &str, methods: &[HttpMethod], described: &Described) {
    for method in methods {
        paths.add_path_operation(path, vec![method.clone()], described.clone());
    }
}
