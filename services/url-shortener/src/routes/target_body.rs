//! What a client sends to make a link or to change one.

use actix_web::HttpRequest;
use api_error::{ApiError, Code, FromJson, Node};
use utoipa::ToSchema;

use crate::domain::{PublicUrl, Target};

/// The target of a link.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LinkTarget, example = json!({ "target": "https://shop.example/orders/17" }))]
pub(super) struct TargetBody {
    /// Absolute URL without user name and password. It must not point to this service.
    #[schema(value_type = String, max_length = 2048, pattern = "^[Hh][Tt][Tt][Pp][Ss]?://")]
    target: Target,
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
    /// Returns the target, if a link can lead there.
    pub(super) fn target(self, request: &HttpRequest, public_url: &PublicUrl) -> Result<Target, ApiError> {
        let bound = request.app_config().local_addr();
        self.target.away_from(public_url, bound).map_err(|error| {
            ApiError::new(Code::InvalidRequest, "The target is not allowed. See details.")
                .with_detail("/target", error.to_string())
        })
    }
}
