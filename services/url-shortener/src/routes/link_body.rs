//! Links and targets as JSON.

use actix_web::HttpRequest;
use api_error::{ApiError, Code as ErrorCode, FromJson, Node};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Code, Link, PublicUrl, Target, TargetUrl};

pub(super) fn location(code: &Code) -> String {
    format!("/v1/links/{code}")
}

/// Returns the code of the link with this path.
pub(super) fn code_at(location: &str) -> Option<Code> {
    location.strip_prefix("/v1/links/")?.parse().ok()
}

/// A link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Link)]
pub(super) struct LinkBody {
    code: String,
    /// URL to which the link redirects, in normalized form.
    target: String,
    /// Public short URL.
    short_url: String,
    created_at: DateTime<Utc>,
    /// Time of the last change of the target.
    updated_at: DateTime<Utc>,
}

impl LinkBody {
    pub(super) fn new(link: Link, public_url: &PublicUrl) -> Self {
        let Link { code, target, created_at, updated_at, .. } = link;
        Self {
            code: code.to_string(),
            target: target.to_string(),
            short_url: public_url.short_url(&code),
            created_at,
            updated_at,
        }
    }
}

/// The target of a link.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LinkTarget, example = json!({ "target": "https://shop.example/orders/17" }))]
pub(super) struct TargetBody {
    /// Absolute URL without user name and password. It must not point to this service.
    #[schema(value_type = String, max_length = 2048, pattern = "^[Hh][Tt][Tt][Pp][Ss]?://")]
    target: TargetUrl,
}

impl FromJson for TargetBody {
    fn from_json(body: Node<'_>) -> Option<Self> {
        body.object(|body| {
            let target = body.required_text("target");
            Some(Self { target: target? })
        })
    }
}

impl TargetBody {
    /// Returns the target, unless it points to this service.
    pub(super) fn target(self, request: &HttpRequest, public_url: &PublicUrl) -> Result<Target, ApiError> {
        let bound = request.app_config().local_addr();
        self.target.into_target(public_url, bound).map_err(|error| {
            ApiError::new(ErrorCode::InvalidRequest, "The target is not allowed. See details.")
                .with_detail("/target", error.to_string())
        })
    }
}
