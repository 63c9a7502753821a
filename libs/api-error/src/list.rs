//! Lists in pages: the query parameters of every list, and the response with one page.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, LINK},
};
use cursor::{Limit, Sort, TimeRange, Timestamp};
use serde::Serialize;

use crate::{ApiError, Code, Parameters};

/// The query parameters of every list. An operation reads them after its own filters.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
pub struct ListParameters {
    /// Only items created at this time or later.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>, format = DateTime))]
    created_from: Option<Timestamp>,
    /// Only items created before this time.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>, format = DateTime))]
    created_to: Option<Timestamp>,
    /// Sort order by the time of creation: newest or oldest first.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>, pattern = "^(newest|oldest)$"))]
    pub order: Sort,
    /// Maximum number of items on a page.
    #[cfg_attr(feature = "openapi", param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50))]
    pub limit: Limit,
    /// `next` or `prev` of another page, with the same filters and sort order.
    pub cursor: Option<String>,
}

impl ListParameters {
    /// Reads the parameters; `None` if one of them is invalid.
    pub fn read(parameters: &mut Parameters<'_>) -> Option<Self> {
        let created_from = parameters.optional("created_from");
        let created_to = parameters.optional("created_to");
        let order = parameters.optional("order");
        let limit = parameters.optional("limit");
        let cursor = parameters.optional("cursor");
        Some(Self {
            created_from: created_from?,
            created_to: created_to?,
            order: order?.unwrap_or_default(),
            limit: limit?.unwrap_or_default(),
            cursor: cursor?,
        })
    }

    /// Returns the time range of the items.
    ///
    /// # Errors
    /// `created_to` is not after `created_from`.
    pub fn created(&self) -> Result<TimeRange, ApiError> {
        TimeRange::new(self.created_from, self.created_to).map_err(|error| {
            ApiError::new(Code::InvalidRequest, "The time range is empty. See details.")
                .with_detail("/query/created_to", error.to_string())
        })
    }
}

/// Returns the response with one page. `link` is its `Link` header. Caches must not store it.
pub fn page_response(link: Option<String>, page: &impl Serialize) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "private, no-store"));
    if let Some(link) = link {
        response.insert_header((LINK, link));
    }
    response.json(page)
}
