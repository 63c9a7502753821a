//! Versions of an API: selected by path or by header, deprecated with notice, and listed in the error for an unknown version.

use std::{
    collections::BTreeSet,
    time::{Duration, UNIX_EPOCH},
};

use actix_web::{
    dev::ResourceDef,
    http::header::{HeaderMap, HeaderName, HeaderValue, HttpDate, LINK},
};
use api_error::{ApiError, Code};

/// The header that selects the version on a path without one.
pub(crate) const HEADER: &str = "API-Version";

/// The page with the policy of versions.
pub(crate) const POLICY_PATH: &str = "/docs/versioning";

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// The shortest time from a deprecation to the sunset, in seconds.
const MIN_NOTICE: u64 = 180 * 24 * 60 * 60;

/// The deprecation of a version, and its sunset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecation {
    since: u64,
    sunset: u64,
    successor: u32,
}

impl Deprecation {
    /// Takes the time of deprecation and the time of removal, in seconds since 1970, and the version that replaces this one at the same
    /// path.
    ///
    /// # Panics
    /// Fewer than 180 days lie between the two; in a constant, that is a compile error.
    pub const fn new(since: u64, sunset: u64, successor: u32) -> Self {
        assert!(sunset >= since + MIN_NOTICE, "clients have 180 days at least to move to the next version");
        Self { since, sunset, successor }
    }

    /// Adds `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and `Link` (RFC 5829) to a response. `path` is the one without the version.
    pub(crate) fn announce(self, path: &str, headers: &mut HeaderMap) {
        let sunset = HttpDate::from(UNIX_EPOCH + Duration::from_secs(self.sunset)).to_string();
        let links = [
            format!("</v{}{path}>; rel=\"successor-version\"", self.successor),
            format!("<{POLICY_PATH}>; rel=\"deprecation\"; type=\"text/plain\""),
        ];
        let mut add = |name: HeaderName, value: String| {
            // A path that is not a valid header value gets no link; the other headers stay.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.append(name, value);
            }
        };
        add(DEPRECATION, format!("@{}", self.since));
        add(SUNSET, sunset);
        for link in links {
            add(LINK, link);
        }
    }
}

/// Splits a path into its version and the rest: `/v2/orders` is version 2 of `/orders`.
pub(crate) fn split(path: &str) -> Option<(u32, &str)> {
    let rest = path.strip_prefix("/v")?;
    let (version, rest) = rest.split_at(rest.find('/')?);
    Some((number(version)?, rest))
}

/// Reads a version: digits without a leading zero, and not too many.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

/// Returns the version in the header; `None` when the header is missing, repeated, or not a version.
pub(crate) fn requested(headers: &HeaderMap) -> Option<u32> {
    let mut values = headers.get_all(HEADER);
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then(|| number(value)).flatten()
}

/// A path and its versions.
#[derive(Debug)]
pub(crate) struct Versioned {
    pattern: ResourceDef,
    versions: BTreeSet<u32>,
}

impl Versioned {
    pub(crate) fn new(path: &str, versions: BTreeSet<u32>) -> Self {
        Self { pattern: ResourceDef::new(path), versions }
    }

    /// Returns the error for this path in a version that does not exist.
    pub(crate) fn refuse(&self, path: &str) -> Option<ApiError> {
        let (_, rest) = split(path)?;
        self.pattern.is_match(rest).then(|| self.unknown("/path/version"))
    }

    /// Returns the error for this path without a version, when the header does not select one.
    pub(crate) fn refuse_header(&self, headers: &HeaderMap) -> ApiError {
        match headers.get_all(HEADER).count() {
            0 => {}
            1 => return self.unknown("/header/API-Version"),
            _ => {
                let message = format!("{HEADER} must be sent once. The versions are {}.", self.list());
                return ApiError::new(Code::UnknownVersion, message)
                    .with_detail("/header/API-Version", "must be sent once");
            }
        }
        let message = format!(
            "This path has no version. Send {HEADER} with one of {}, or put the version into the path.",
            self.list()
        );
        ApiError::new(Code::MissingVersion, message)
            .with_detail("/header/API-Version", format!("is required, one of {}", self.list()))
    }

    fn unknown(&self, pointer: &'static str) -> ApiError {
        let message = format!("This path does not exist in that version. The versions are {}.", self.list());
        ApiError::new(Code::UnknownVersion, message)
            .with_detail(pointer, format!("must be one of {}", self.list()))
    }

    fn list(&self) -> String {
        self.versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_first_segment_of_a_path() {
        assert_eq!(split("/v1/orders/{id}"), Some((1, "/orders/{id}")));
        assert_eq!(split("/v12/x"), Some((12, "/x")));
        for none in ["/orders", "/v/orders", "/v01/orders", "/v1", "/version/1", "/v-1/x", "/v99999999999/x"]
        {
            assert_eq!(split(none), None, "{none}");
        }
    }

    #[test]
    fn a_deprecation_has_three_headers() {
        const LATER: Deprecation = Deprecation::new(1_688_169_599, 1_719_791_999, 2);
        let mut headers = HeaderMap::new();
        LATER.announce("/orders/17", &mut headers);
        assert_eq!(headers.get("deprecation").unwrap(), "@1688169599");
        assert_eq!(headers.get("sunset").unwrap(), "Sun, 30 Jun 2024 23:59:59 GMT");
        let links: Vec<_> = headers.get_all("link").map(|value| value.to_str().unwrap()).collect();
        assert_eq!(
            links,
            [
                "</v2/orders/17>; rel=\"successor-version\"",
                "</docs/versioning>; rel=\"deprecation\"; type=\"text/plain\""
            ]
        );
    }

    #[test]
    #[should_panic(expected = "180 days")]
    fn a_deprecation_gives_180_days_at_least() {
        Deprecation::new(1_688_169_599, 1_688_169_599 + MIN_NOTICE - 1, 2);
    }
}
