//! The JSON form of a link, the same in every answer.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Code, Link, PublicUrl};

/// Where a tenant sees its link.
pub(super) fn location(code: &Code) -> String {
    format!("/v1/links/{code}")
}

/// Returns the code of the link whose place this is.
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
