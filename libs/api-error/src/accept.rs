//! Content negotiation between the envelope and problem details.

use actix_web::http::header::{self, HeaderMap};

use crate::body::PROBLEM_JSON;

/// Returns whether `Accept` names problem details, and likes them no less than plain JSON.
///
/// Wildcards do not count: a client that takes anything gets the envelope.
pub(crate) fn wants_problem(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    let (mut problem, mut json) = (0.0, 0.0);
    for range in accept.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if media.eq_ignore_ascii_case(PROBLEM_JSON) {
            problem = quality(parts);
        } else if media.eq_ignore_ascii_case("application/json") {
            json = quality(parts);
        }
    }
    problem > 0.0 && problem >= json
}

/// Reads the `q` parameter: 1 when absent, 0 when it is not a number.
fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f32 {
    parameters
        .find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")))
        .map_or(1.0, |q| q.parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn accepts(value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        wants_problem(&headers)
    }

    #[test]
    fn only_a_named_media_type_selects_problem_details() {
        assert!(!wants_problem(&HeaderMap::new()));
        assert!(!accepts("*/*"));
        assert!(!accepts("application/*, application/json"));
        assert!(accepts("application/problem+json"));
        assert!(accepts("text/html, Application/Problem+JSON;charset=utf-8"));
    }

    #[test]
    fn the_higher_quality_wins() {
        assert!(accepts("application/json, application/problem+json"));
        assert!(!accepts("application/json, application/problem+json;q=0.5"));
        assert!(accepts("application/json;q=0.1, application/problem+json;q=0.5"));
        assert!(!accepts("application/problem+json;q=0"));
        assert!(!accepts("application/problem+json;q=high"));
    }
}
