//! The query parameters that select letters.

use std::{collections::BTreeSet, str::FromStr};

use api_error::{FromQuery, Parameters};
use auth::Tenant;
use chrono::{DateTime, Utc};
use consumer::letters::{LetterId, Position, Selection};
use utoipa::IntoParams;
use uuid::Uuid;

/// Letters in one parameter at most.
const MAX_IDS: usize = 100;

/// Letters of a page, when the caller does not say it.
const DEFAULT_LIMIT: u8 = 50;

/// Ids of letters, separated by commas.
#[derive(Clone, Debug)]
struct Ids(BTreeSet<LetterId>);

#[derive(Debug, thiserror::Error)]
#[error("must be 1 to {MAX_IDS} ids of letters, separated by commas, such as 0-17,0-18")]
struct InvalidIds;

impl FromStr for Ids {
    type Err = InvalidIds;

    fn from_str(text: &str) -> Result<Self, InvalidIds> {
        let ids: Result<Vec<LetterId>, _> = text.split(',').take(MAX_IDS + 1).map(str::parse).collect();
        let ids = ids.or(Err(InvalidIds))?;
        if ids.len() > MAX_IDS { Err(InvalidIds) } else { Ok(Self(ids.into_iter().collect())) }
    }
}

/// Letters on a page.
#[derive(Clone, Copy, Debug)]
struct Limit(u8);

#[derive(Debug, thiserror::Error)]
#[error("must be 1 to 200")]
struct InvalidLimit;

impl FromStr for Limit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        text.parse().ok().filter(|limit| (1..=200).contains(limit)).map(Self).ok_or(InvalidLimit)
    }
}

/// Conditions that all hold.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    /// Only these letters, separated by commas.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,9}-[0-9]{1,18}(,[0-9]{1,9}-[0-9]{1,18}){0,99}$", example = "0-17,0-18")]
    ids: Option<Ids>,
    /// Only letters with this code.
    #[param(example = "link_refused")]
    code: Option<String>,
    /// Only events of this type.
    #[param(rename = "type", example = "muster.orders.OrderConfirmed")]
    event_type: Option<String>,
    /// Only events of this order.
    key: Option<Uuid>,
    /// Only events of this tenant.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9-]{1,63}$")]
    tenant: Option<Tenant>,
    /// Only letters of this time or later.
    since: Option<DateTime<Utc>>,
    /// Only letters from before this time.
    until: Option<DateTime<Utc>>,
    /// Maximum number of letters on the page.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<Limit>,
    /// `next` of the page before, with the same filters.
    #[param(value_type = Option<String>)]
    cursor: Option<Position>,
}

impl FromQuery for Filters {
    fn from_query(parameters: &mut Parameters<'_>) -> Option<Self> {
        let ids = parameters.optional("ids");
        let code = parameters.optional("code");
        let event_type = parameters.optional("type");
        let key = parameters.optional("key");
        let tenant = parameters.optional("tenant");
        let since = parameters.optional("since");
        let until = parameters.optional("until");
        let limit = parameters.optional("limit");
        let cursor = parameters.optional("cursor");
        Some(Self {
            ids: ids?,
            code: code?,
            event_type: event_type?,
            key: key?,
            tenant: tenant?,
            since: since?,
            until: until?,
            limit: limit?,
            cursor: cursor?,
        })
    }
}

impl Filters {
    pub(super) fn into_parts(self) -> (Selection, Option<Position>, usize) {
        let limit = self.limit.map_or(DEFAULT_LIMIT, |Limit(limit)| limit);
        let selection = Selection {
            ids: self.ids.map(|Ids(ids)| ids),
            code: self.code,
            event_type: self.event_type,
            key: self.key,
            tenant: self.tenant.map(String::from),
            since: self.since,
            until: self.until,
        };
        (selection, self.cursor, limit.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_and_well_formed() {
        let Ids(ids) = "0-2,1-0,0-2".parse().unwrap();
        assert_eq!(ids.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0-2", "1-0"]);
        let many = vec!["0-1"; 101].join(",");
        for text in ["", ",", "0-1,", "0", &many] {
            assert!(text.parse::<Ids>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_is_1_to_200() {
        assert!("200".parse::<Limit>().is_ok());
        for text in ["0", "201", "256", "-1", ""] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }
}
