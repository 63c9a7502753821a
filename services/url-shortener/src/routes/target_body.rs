//! What a client sends to make a link or to change one.

use actix_web::HttpRequest;
use api_error::{ApiError, Code};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::{PublicUrl, Target};

/// Where a link is to lead.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LinkTarget, example = json!({ "target": "https://shop.example/orders/17" }))]
pub(super) struct TargetBody {
    /// An absolute URL, without user name or password, that does not lead back here.
    #[schema(max_length = 2048, pattern = "^[Hh][Tt][Tt][Pp][Ss]?://")]
    target: String,
}

impl TargetBody {
    /// Returns the target, if a link can lead there.
    pub(super) fn target(&self, request: &HttpRequest, public_url: &PublicUrl) -> Result<Target, ApiError> {
        let bound = request.app_config().local_addr();
        Target::parse(&self.target, public_url, bound).map_err(|error| {
            ApiError::new(Code::InvalidRequest, "A link cannot lead to this target. See details.")
                .with_detail("/target", error.to_string())
        })
    }
}
