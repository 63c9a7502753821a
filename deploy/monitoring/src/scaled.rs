//! Files that are written for production and scaled to a profile: alerts on causes, and Alertmanager's configuration.

use anyhow::Context as _;
use serde_norway::Value;

use crate::{
    rules::{Alert, Groups, Rule, select_bounds},
    window::{Profile, Window},
};

/// The durations of a route of Alertmanager.
const DURATIONS: [&str; 3] = ["group_wait", "group_interval", "repeat_interval"];

/// The start of a placeholder for a number of seconds that depends on the profile.
const SECONDS: &str = "{{seconds ";

/// Returns Alertmanager's configuration with every duration scaled to the profile.
pub(crate) fn alertmanager(mut config: Value, profile: Profile) -> anyhow::Result<Value> {
    let route = config.get_mut("route").context("the configuration has no route")?;
    scale_route(route, profile)?;
    Ok(config)
}

fn scale_route(route: &mut Value, profile: Profile) -> anyhow::Result<()> {
    for name in DURATIONS {
        let Some(duration) = route.get_mut(name) else { continue };
        let text = duration.as_str().with_context(|| format!("{name} is not a string"))?;
        *duration = scale(text, profile)?.into();
    }
    let Some(routes) = route.get_mut("routes") else { return Ok(()) };
    routes
        .as_sequence_mut()
        .context("routes is not a list")?
        .iter_mut()
        .try_for_each(|route| scale_route(route, profile))
}

/// Generates the alerts on causes, and the rules beside them.
pub(crate) fn causes(mut groups: Groups, profile: Profile) -> anyhow::Result<Groups> {
    for group in &mut groups.groups {
        for rule in &mut group.rules {
            match rule {
                Rule::Alert(alert) => {
                    let name = alert.name.clone();
                    *alert = scale_alert(alert.clone(), profile).context(name)?;
                }
                Rule::Record { name, expr, .. } => *expr = scale_expr(expr, profile).context(name.clone())?,
            }
        }
    }
    Ok(groups)
}

/// The alert, scaled to the profile, with the label `service` from `job`.
fn scale_alert(mut alert: Alert, profile: Profile) -> anyhow::Result<Alert> {
    alert.expr = scale_expr(&alert.expr, profile)?;
    alert.pending = alert.pending.map(|pending| scale(&pending, profile)).transpose()?;
    alert.labels.insert("service".to_owned(), "{{ $labels.job }}".to_owned());
    Ok(alert.with_runbook())
}

fn scale_expr(expr: &str, profile: Profile) -> anyhow::Result<String> {
    let expr = replace(expr, SECONDS, "}}", |time| Ok(profile.scale(time.parse()?).seconds()))?;
    let expr = replace(&expr, "[", "]", |range| Ok(format!("[{}]", scale_range(range, profile)?)))?;
    let expr = replace(&expr, "offset ", ")", |time| Ok(format!("offset {})", scale(time, profile)?)))?;
    // Last, since this puts brackets into values.
    Ok(select_bounds(&expr))
}

/// Scales the range of a selector, or that of a subquery with the default resolution, as in `3m:`.
fn scale_range(range: &str, profile: Profile) -> anyhow::Result<String> {
    match range.strip_suffix(':') {
        Some(window) => Ok(format!("{}:", scale(window, profile)?)),
        None => scale(range, profile),
    }
}

fn scale(window: &str, profile: Profile) -> anyhow::Result<String> {
    Ok(profile.scale(window.parse::<Window>()?).to_string())
}

/// Replaces everything between `open` and `close`, both included.
fn replace(
    text: &str,
    open: &str,
    close: &str,
    with: impl Fn(&str) -> anyhow::Result<String>,
) -> anyhow::Result<String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        let (inside, after) =
            after.split_once(close).with_context(|| format!("`{open}` without `{close}`"))?;
        result.push_str(before);
        result.push_str(&with(inside)?);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn alert(expr: &str) -> Alert {
        Alert {
            name: "A".to_owned(),
            expr: expr.to_owned(),
            pending: Some("5m".to_owned()),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn the_drill_profile_scales_windows_and_times_but_no_numbers() {
        let expr = "rate(a[10m]) * {{seconds 5m}} > max(b{le=\"1\"} offset 1h) + 86400";
        let drill = scale_alert(alert(expr), Profile::Drill).unwrap();
        assert_eq!(drill.expr, "rate(a[10s]) * 5 > max(b{le=~\"1|1[.]0\"} offset 1m) + 86400");
        assert_eq!(drill.pending.as_deref(), Some("5s"));
        let production = scale_alert(alert(expr), Profile::Production).unwrap();
        assert_eq!(production.expr, "rate(a[10m]) * 300 > max(b{le=~\"1|1[.]0\"} offset 1h) + 86400");
        assert_eq!(production.annotations["runbook_url"], "docs/runbooks/A.md");
    }

    #[test]
    fn the_range_of_a_subquery_is_scaled() {
        let drill = scale_alert(alert("last_over_time((a - timestamp(a))[3m:])"), Profile::Drill).unwrap();
        assert_eq!(drill.expr, "last_over_time((a - timestamp(a))[3s:])");
    }

    #[test]
    fn a_duration_without_an_exact_sixtieth_is_refused() {
        for bad in ["rate(a[5x])", "a{b=~\"[0-9]\"}", "a > {{seconds 5m"] {
            assert!(scale_alert(alert(bad), Profile::Drill).is_err(), "{bad}");
        }
    }
}
