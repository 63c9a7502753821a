//! Bucket bounds of histograms, as both Prometheus 2 and 3 store them.

/// The start of a bound's matcher.
const BOUND: &str = "le=\"";

/// Makes every `le="60"` select `60` and `60.0`.
///
/// A service exports `le="60"`. Prometheus 2 stores that; Prometheus 3 stores `60.0` (its migration guide, "le and quantile label
/// values"). A bound with a fraction is the same in both.
pub(crate) fn select(query: &str) -> String {
    let mut parts = query.split(BOUND);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |before, part| match part.split_once('"') {
        Some((bound, rest)) if is_integer(bound) => format!("{before}le=~\"{bound}|{bound}[.]0\"{rest}"),
        _ => format!("{before}{BOUND}{part}"),
    })
}

fn is_integer(bound: &str) -> bool {
    !bound.is_empty() && bound.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integer_bounds_have_two_forms() {
        for (written, selected) in [
            (r#"a{le="60"} - b{x="1", le="5"}[5m]"#, r#"a{le=~"60|60[.]0"} - b{x="1", le=~"5|5[.]0"}[5m]"#),
            (r#"a{le="0.25"} / b{le="+Inf"}"#, r#"a{le="0.25"} / b{le="+Inf"}"#),
            (r#"a{le=~"60|60[.]0"}"#, r#"a{le=~"60|60[.]0"}"#),
            ("a", "a"),
        ] {
            assert_eq!(select(written), selected);
        }
    }
}
