//! Alertmanager's configuration in the pace of a profile.

use anyhow::Context as _;
use serde_norway::Value;

use crate::{Profile, window::Window};

/// How long Alertmanager waits for what. They are members of routes, wherever those are.
const DURATIONS: [&str; 3] = ["group_wait", "group_interval", "repeat_interval"];

/// Returns the configuration with every duration in the pace of the profile.
pub(crate) fn config(mut config: Value, profile: Profile) -> anyhow::Result<Value> {
    let route = config.get_mut("route").context("the configuration has no `route`")?;
    pace(route, profile)?;
    Ok(config)
}

fn pace(route: &mut Value, profile: Profile) -> anyhow::Result<()> {
    for name in DURATIONS {
        let Some(duration) = route.get_mut(name) else { continue };
        let text = duration.as_str().with_context(|| format!("{name} is no text"))?;
        *duration = profile.scale(text.parse::<Window>()?).to_string().into();
    }
    let Some(routes) = route.get_mut("routes") else { return Ok(()) };
    routes
        .as_sequence_mut()
        .context("routes are a list")?
        .iter_mut()
        .try_for_each(|route| pace(route, profile))
}
