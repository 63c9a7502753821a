//! Alertmanager's configuration of a profile.

use anyhow::Context as _;
use serde_norway::Value;

use crate::{Profile, window::Window};

/// The durations of a route.
const DURATIONS: [&str; 3] = ["group_wait", "group_interval", "repeat_interval"];

/// Returns the configuration with every duration scaled to the profile.
pub(crate) fn config(mut config: Value, profile: Profile) -> anyhow::Result<Value> {
    let route = config.get_mut("route").context("the configuration has no route")?;
    scale(route, profile)?;
    Ok(config)
}

fn scale(route: &mut Value, profile: Profile) -> anyhow::Result<()> {
    for name in DURATIONS {
        let Some(duration) = route.get_mut(name) else { continue };
        let text = duration.as_str().with_context(|| format!("{name} is not a string"))?;
        *duration = profile.scale(text.parse::<Window>()?).to_string().into();
    }
    let Some(routes) = route.get_mut("routes") else { return Ok(()) };
    routes
        .as_sequence_mut()
        .context("routes is not a list")?
        .iter_mut()
        .try_for_each(|route| scale(route, profile))
}
